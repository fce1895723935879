//! The command as scripts and people meet it.

use std::net::TcpListener;
use std::os::unix::fs::symlink;

use timely_kusto_tests::{Cluster, Config, Metrics, Place, command, example, repository, until};

#[test]
fn the_report_is_one_json_object_on_stdout_and_logs_are_on_stderr() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = place.write_config(&Config::new(cluster.url()).storms(500));
    let query = "T | summarize Rows = count()";
    let arguments = ["--log", "info,timely_kusto=debug", "run", "--report", "json", "--query", query];
    let outcome = place.start(command().args(arguments).arg(config)).wait().expect(0);
    assert_eq!(outcome.stdout.lines().count(), 1, "{}", outcome.stdout);
    let report = outcome.json();
    for key in ["rows_read", "rows_delivered", "raw_bytes", "compressed_bytes", "blobs", "epochs", "retries"]
    {
        assert!(report[key].is_u64(), "{key} in {report}");
    }
    assert!(report["seconds"].is_f64() && report["times"]["compressing"].is_f64(), "{report}");
    assert_eq!((&report["outcome"], &report["rows_delivered"]), (&"done".into(), &500.into()));
    assert_eq!(report["queries"][0]["tables"][0]["rows"][0][0], 500);
    assert!(!outcome.stderr.is_empty(), "nothing was logged");
}

#[test]
fn the_report_for_people_tells_the_rows_and_answers_the_queries() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = place.write_config(&Config::new(cluster.url()).storms(1_500));
    let outcome = place.start(command().args(["run", "--query", "T | count"]).arg(config)).wait().expect(0);
    assert!(outcome.stdout.contains("delivered 1,500 rows to Samples.T in "), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("\nT | count\nCount\n-----\n1500\n"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains(".create table T (EventId: guid"), "{}", outcome.stderr);
}

#[test]
fn the_first_pipeline_runs_as_it_is_documented_and_can_be_asked_afterwards() {
    let place = Place::new();
    symlink(repository().join("examples"), place.path().join("examples")).unwrap();
    let outcome = place.command(&["run", "examples/birdstrikes.toml", "--query", "BirdStrikes | count"]);
    let outcome = outcome.expect(0);
    assert!(outcome.stdout.contains("\n10000\n"), "{}", outcome.stdout);
    let config = ["query", "--config", "examples/birdstrikes.toml"];
    let sample = place.command(&[&config[..], &["BirdStrikes | take 5"]].concat()).expect(0).stdout;
    assert_eq!(sample.lines().count(), 7, "{sample}");
    assert!(sample.starts_with("AirportName "), "{sample}");
}

#[test]
fn a_query_prints_a_table_or_json() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let to = ["query", "--cluster", cluster.url(), "--database", "Samples"];
    let print = "print a = 1, b = 'x\"y', c = long(null), d = dynamic([1]), e = 2d";
    let text = place.command(&[&to[..], &[print]].concat()).expect(0).stdout;
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("a  b ") && lines[2].starts_with("1  x\"y "), "{text}");
    let json = place.command(&[&to[..], &["--json", print]].concat()).expect(0).json();
    assert_eq!(json[0]["columns"][1]["name"], "b");
    assert_eq!(json[0]["columns"][4]["type"], "timespan");
    assert_eq!(json[0]["rows"], serde_json::json!([[1, "x\"y", null, [1], "2.00:00:00"]]));
    place.command(&[&to[..], &[".create table C (x: long)"]].concat()).expect(0);
    let tables = place.command(&[&to[..], &[".show tables", "--json"]].concat()).expect(0).json();
    assert_eq!(tables[0]["rows"][0][0], "C");
}

#[test]
fn an_emulator_says_where_it_is() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    assert!(cluster.url().starts_with("http://127.0.0.1:"), "{}", cluster.url());
    for key in ["cluster", "ingestion", "authority", "token", "identity", "tenant"] {
        assert!(cluster.urls()[key].is_string(), "{key} in {}", cluster.urls());
    }
    let mut process = place.start_command(&["emulator"]);
    let stdout = timely_kusto_tests::until("the emulator's text", || {
        assert!(process.runs(), "{}", process.stderr());
        Some(process.stdout()).filter(|text| text.contains("Ctrl-C stops it"))
    });
    assert!(stdout.starts_with("cluster and ingestion: http://127.0.0.1:"), "{stdout}");
    assert!(stdout.contains("data: in memory"), "{stdout}");
}

#[test]
fn every_help_shows_examples_and_the_first_one_the_exit_codes() {
    let place = Place::new();
    let help = |arguments: &[&str]| place.command(arguments).expect(0).stdout;
    for name in ["run", "emulator", "query", "bench"] {
        let text = help(&[name, "--help"]);
        assert!(text.contains("Examples:") && text.contains(&format!("\n  timely-kusto {name} ")), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    }
    let text = help(&["--help"]);
    for code in ["0 ", "1 ", "2 ", "130 ", "143 "] {
        assert!(text.contains(&format!("\n  {code}")) || text.contains(code), "{text}");
    }
}

#[test]
fn a_small_bench_prints_one_json_object_with_what_bounds_the_whole() {
    let place = Place::new();
    let arguments = ["bench", "--rows", "20000", "--latencies", "5ms", "--json"];
    let outcome = place.command(&arguments).expect(0);
    assert_eq!(outcome.stdout.lines().count(), 1, "{}", outcome.stdout);
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    let report = outcome.json().to_string();
    for word in ["encode", "gzip", "bound"] {
        assert!(report.contains(word), "{word} in {report}");
    }
}

#[test]
fn the_example_that_embeds_the_sink_delivers_its_rows() {
    let place = Place::new();
    let outcome = place.start(&mut example("embed")).wait().expect(0);
    assert!(outcome.stdout.contains("1000 rows in the table"), "{}", outcome.stdout);
    let outcome = place.start(example("embed").args(["-w", "2"])).wait().expect(0);
    assert!(outcome.stdout.contains("2000 rows in the table"), "{}", outcome.stdout);
}

#[test]
fn the_example_of_a_collection_delivers_each_species_once() {
    let place = Place::new();
    let outcome = place.start(&mut example("collection")).wait().expect(0);
    let lines: Vec<_> = outcome.stdout.lines().map(|line| line.replace('"', "")).collect();
    assert_eq!(lines, ["1990: crow", "1990: gull", "1991: owl", "1992: heron"]);
}

#[test]
fn metrics_are_served_while_it_runs_and_a_bad_address_is_refused() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = Config::new(cluster.url()).storms(3_000).source("rate = 1000");
    let mut process = place.start_run(&config, &["-w", "2", "--metrics", ":0"]);
    let metrics = until("delivered rows in the metrics", || {
        let metrics = Metrics::of(&mut process)?;
        (metrics.value("rows_delivered_total") > 0.0).then_some(metrics)
    });
    assert!(metrics.value("rows_read_total") >= metrics.value("rows_delivered_total"), "{metrics:?}");
    assert!(metrics.value("blobs_total") > 0.0 && metrics.value("memory_limit_bytes") > 0.0, "{metrics:?}");
    assert_eq!((metrics.value("stalled_since_seconds"), metrics.value("restarts")), (0.0, 0.0));
    assert!(!metrics.has("log_bytes"), "{metrics:?}");
    process.wait().expect(0);
    place.run(&config, &["--metrics", "nowhere"]).refused(2, &["--metrics", "must be PORT (on loopback"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    place.run(&config, &["--metrics", &taken]).refused(2, &[&format!("--metrics {taken} cannot be served")]);
}
