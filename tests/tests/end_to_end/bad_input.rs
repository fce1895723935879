//! What a user gets wrong: each case ends with its exit code and an error that says what, where and what to do.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use timely_kusto_tests::{Cluster, Config, Place, free_hosts, until};

const FAILED: i32 = 1;
const BAD_CONFIGURATION: i32 = 2;
const NEEDS_A_PERSON: i32 = 4;

/// Says that a test could not be run here; past the capture of a test's output, so that it is seen.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {why}");
}

/// A directory with a small file, and a cluster.
struct Fixture {
    place: Place,
    cluster: Cluster,
}

impl Fixture {
    fn new() -> Self {
        let place = Place::new();
        let cluster = Cluster::start(&place);
        place.write("rows.csv", "name,n\na,1\nb,2\n");
        Fixture { place, cluster }
    }

    /// From the small file into the table `T`.
    fn config(&self) -> Config {
        Config::new(self.cluster.url()).file("rows.csv")
    }

    #[track_caller]
    fn refuses(&self, config: &Config, code: i32, texts: &[&str]) {
        self.place.run(config, &[]).refused(code, texts);
    }
}

/// A configuration that fails before any cluster is asked.
#[track_caller]
fn refuses(config: &Config, texts: &[&str]) {
    let place = Place::new();
    place.write("rows.csv", "name,n\na,1\n");
    place.run(config, &[]).refused(BAD_CONFIGURATION, texts);
    assert!(!place.path().join("state/positions").exists());
}

fn offline() -> Config {
    Config::new("https://c.westeurope.kusto.windows.net").file("rows.csv")
}

#[test]
fn a_missing_table_is_named_with_the_command_that_makes_it_and_the_command_works() {
    let fixture = Fixture::new();
    let config = fixture.config().existing_table();
    let outcome = fixture.place.run(&config, &[]);
    outcome
        .refused(BAD_CONFIGURATION, &["there is no table Samples.T", "create = true", ".create table T ("]);
    assert_eq!(outcome.json()["outcome"], "failed");
    let command = outcome.stderr.lines().find(|line| line.contains(".create table")).unwrap();
    fixture.cluster.ask(command.trim());
    fixture.place.run(&config, &[]).expect(0);
    assert_eq!(fixture.cluster.count("T"), 2);
}

#[test]
fn a_missing_database_is_named_and_no_table_is_made() {
    let fixture = Fixture::new();
    let mut config = fixture.config();
    config.database = "Nowhere".into();
    fixture.refuses(&config, BAD_CONFIGURATION, &["there is no database Nowhere", "`database`"]);
}

#[test]
fn an_unreachable_host_is_named_with_its_port() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(); // closed again at once
    let place = Place::new();
    place.write("rows.csv", "a\n1\n");
    let config = Config::new(&format!("http://{address}")).file("rows.csv");
    place.run(&config, &[]).refused(FAILED, &[&address.to_string(), "refused"]);
    let url = format!("http://{address}");
    place
        .command(&["query", "--cluster", &url, "--database", "Samples", "T"])
        .refused(FAILED, &[&address.to_string(), "refused"]);
}

#[test]
fn a_url_that_is_none_is_shown_with_one_that_would_do() {
    for url in ["mycluster", "not a url", "ftp://c.westeurope.kusto.windows.net", "https://", ""] {
        refuses(&Config::new(url).file("rows.csv"), &["line ", "[connection]", "cluster", "https"]);
    }
    let signed_in = Config::new("http://c.westeurope.kusto.windows.net").file("rows.csv");
    let signed_in = signed_in.connection("auth = { kind = \"azure-cli\" }");
    refuses(&signed_in, &["[connection]", "clear text", "https"]);
}

#[test]
fn an_ingestion_url_is_told_from_a_cluster_url() {
    let config = Config::new("https://ingest-c.westeurope.kusto.windows.net").file("rows.csv");
    refuses(&config, &["ingest-c.westeurope.kusto.windows.net", "https://c.westeurope.kusto.windows.net"]);
}

#[test]
fn an_option_that_cannot_work_is_named_with_its_value_and_what_is_allowed() {
    let cases: [(&str, &[&str]); 8] = [
        ("batch_interval = \"soon\"", &["batch_interval", "soon"]),
        ("batch_interval = \"2d\"", &["batch_interval", "1ms to 1d"]),
        ("compression_level = 13", &["compression_level", "13", "1 to 12"]),
        ("batch_bytes = \"2GiB\"", &["batch_bytes", "1GiB"]),
        ("format = \"xml\"", &["format", "xml", "csv, json"]),
        ("delivery = \"sometimes\"", &["delivery", "sometimes", "none, queued, ingested"]),
        ("ingest_by_tags = [\"ingest-by:a\"]", &["ingest_by_tags", "ingest-by:"]),
        ("max_value_bytes = \"33MiB\"", &["max_value_bytes"]),
    ];
    for (line, texts) in cases {
        refuses(&offline().sink(line), &[texts, &["pipeline-"]].concat());
    }
    refuses(&offline().source("rate = 0"), &["rate is 0", "1 to 1_000_000_000"]);
    let mut config = offline();
    config.checkpoint_interval = "1ms".into();
    refuses(&config, &["checkpoint_interval", "100ms to 1h"]);
}

#[test]
fn a_wrong_key_is_named_with_its_line_and_the_nearest_one() {
    refuses(
        &offline().sink("batch_intervall = \"1s\""),
        &["line ", "batch_intervall", "did you mean `batch_interval`"],
    );
    refuses(&offline().source("headr = true"), &["line ", "headr", "did you mean `header`"]);
    refuses(&offline().connection("ingest = \"x\""), &["line ", "ingest", "`ingestion`"]);
}

#[test]
fn what_is_not_there_yet_is_refused_as_such() {
    refuses(&offline().sink("log_bytes = \"1GiB\""), &["log_bytes", "write-ahead"]);
    let mut config = offline();
    config.source = "kind = \"kafka\"".into();
    refuses(&config, &["kafka", "not there yet"]);
}

#[test]
fn a_malformed_csv_record_is_shown_with_file_line_and_column() {
    let fixture = Fixture::new();
    let cases: [(&str, &[&str]); 4] = [
        ("name,n\na,1\n\"b\"x,2\n", &["line 3", "column 4", "quote"]),
        ("name,n\na,1\nb,\"2\n", &["line 3", "never closed"]),
        ("name,n\na,1\nb,2,3\n", &["line 3", "3 fields instead of 2"]),
        ("name,n\n\"a\n\nb\",1\nb\n", &["line 5", "1 fields instead of 2"]),
    ];
    for (index, (text, texts)) in cases.into_iter().enumerate() {
        let name = format!("bad-{index}.csv");
        fixture.place.write(&name, text);
        fixture.cluster.ask(".create-merge table T (name: string, n: long)");
        let config = fixture.config().file(&name).state(&name.replace('.', "-"));
        fixture.refuses(&config, NEEDS_A_PERSON, &[texts, &[name.as_str(), "mend the record"]].concat());
    }
    fixture.place.write("latin1.csv", b"name,n\na,1\n\xe4,2\n");
    let config = fixture.config().file("latin1.csv").state("latin1");
    fixture.refuses(&config, NEEDS_A_PERSON, &["latin1.csv", "line 3", "column 1", "UTF-8"]);
}

#[test]
fn malformed_json_is_shown_with_file_and_line() {
    let fixture = Fixture::new();
    fixture.cluster.ask(".create table T (a: long)");
    let cases: [(&str, i32, &[&str]); 3] = [
        ("{\"a\":1}\n{\"a\":2,}\n", NEEDS_A_PERSON, &["bad-0.json, line 2, column 8"]),
        ("{\"a\":1}\n[2]\n", NEEDS_A_PERSON, &["bad-1.json, line 2"]),
        ("{\"a\":1}\n{\"a\":2,\"b\":3}\n", BAD_CONFIGURATION, &["has no column for \"b\""]),
    ];
    for (index, (text, code, texts)) in cases.into_iter().enumerate() {
        let name = format!("bad-{index}.json");
        fixture.place.write(&name, text);
        let config = fixture.config().existing_table().file(&name).state(&format!("state-{index}"));
        let outcome = fixture.place.run(&config, &[]);
        outcome.refused(code, texts);
    }
}

#[test]
fn a_field_that_does_not_fit_the_column_that_was_inferred_stops_at_its_line() {
    let fixture = Fixture::new();
    let mut text = "name,n\n".to_owned();
    (0..10_000).for_each(|row| text.push_str(&format!("r{row},{row}\n")));
    text.push_str("late,\"many, or \"\"lots\"\"\"\n");
    fixture.place.write("late.csv", text);
    let texts = [
        "late.csv, line 10002, column 6",
        "\"n\"",
        "many, or",
        "column n of type long",
        "string takes every text",
    ];
    fixture.refuses(&fixture.config().file("late.csv"), NEEDS_A_PERSON, &texts);
}

#[test]
fn a_value_that_the_service_would_cut_is_an_error_and_the_limit_can_be_raised() {
    let fixture = Fixture::new();
    fixture.place.write("long.csv", format!("name,n\n{},1\n", "x".repeat((1 << 20) + 1)));
    let config = fixture.config().file("long.csv");
    let texts =
        ["long.csv, line 2, column 1", "too long", "1048576 bytes", "max_value_bytes", "MaxValueSize"];
    fixture.refuses(&config, NEEDS_A_PERSON, &texts);
    let raised = config.sink("max_value_bytes = \"2MiB\"").state("raised");
    let outcome = fixture.place.run(&raised, &[]).expect(0);
    assert_eq!(outcome.number("rows_delivered"), 1);
    let length = fixture.cluster.ask("T | project strlen(name)");
    let cut = Some(1 << 20); // as the service does where the column's policy does not allow more
    assert_eq!(length.scalar().and_then(|length| length.as_u64()), cut);
}

#[test]
fn a_column_that_the_table_lacks_is_named_with_those_it_has_and_the_table_is_left_alone() {
    let fixture = Fixture::new();
    fixture.cluster.ask(".create table T (name: string, other: long)");
    let texts = ["Samples.T has no column for \"n\"", "name, other", ".alter-merge table"];
    fixture.refuses(&fixture.config(), BAD_CONFIGURATION, &texts);
    assert_eq!(fixture.cluster.ask("T").columns.len(), 2);
    assert_eq!(fixture.cluster.count("T"), 0);
}

#[test]
fn a_source_file_that_is_away_after_a_first_run_is_a_failure_that_may_pass() {
    let fixture = Fixture::new();
    fixture.place.run(&fixture.config(), &[]).expect(0);
    std::fs::remove_file(fixture.place.path().join("rows.csv")).unwrap();
    fixture.refuses(&fixture.config(), FAILED, &["rows.csv", "No such file"]);
}

#[test]
fn a_source_file_that_cannot_be_read_is_named() {
    let fixture = Fixture::new();
    let missing = fixture.config().file("no-such.csv");
    fixture.refuses(&missing, BAD_CONFIGURATION, &["no-such.csv", "No such file", "`path`"]);
    std::fs::create_dir(fixture.place.path().join("dir.csv")).unwrap();
    fixture.refuses(&fixture.config().file("dir.csv"), BAD_CONFIGURATION, &["dir.csv", "no regular file"]);
    let whole = fixture.place.write_gzip("cut.csv.gz", "name,n\na,1\n".repeat(1000));
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
    fixture.refuses(&fixture.config().file("cut.csv.gz"), FAILED, &["cut.csv.gz", "cut off"]);
    fixture.place.write("no.csv.gz", "name,n\na,1\n");
    fixture.refuses(&fixture.config().file("no.csv.gz"), FAILED, &["no.csv.gz", "gzip"]);
}

#[test]
fn a_source_file_without_permission_is_named() {
    if rustix_is_root() {
        skipped("a_source_file_without_permission_is_named: root may read every file");
        return;
    }
    let fixture = Fixture::new();
    let path = fixture.place.write("secret.csv", "a\n1\n");
    Command::new("chmod").arg("000").arg(path).status().unwrap();
    fixture.refuses(&fixture.config().file("secret.csv"), FAILED, &["secret.csv", "Permission denied"]);
}

fn rustix_is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[test]
fn a_file_that_changed_since_the_last_start_is_refused() {
    let fixture = Fixture::new();
    fixture.place.run(&fixture.config(), &[]).expect(0);
    fixture.place.write("rows.csv", "name,n\na,1\nb,3\n");
    fixture.refuses(&fixture.config(), NEEDS_A_PERSON, &["rows.csv", "the file changed"]);
    assert_eq!(fixture.cluster.count("T"), 2);
}

#[test]
fn a_restart_with_another_table_or_format_or_source_says_so() {
    let fixture = Fixture::new();
    fixture.place.run(&fixture.config(), &[]).expect(0);
    let advice = "a state directory of its own";
    let other = fixture.config().table("Other");
    fixture.refuses(&other, BAD_CONFIGURATION, &["their table is \"T\", and now it is \"Other\"", advice]);
    let other = fixture.config().sink("format = \"json\"");
    fixture.refuses(
        &other,
        BAD_CONFIGURATION,
        &["their row format is \"csv\", and now it is \"json\"", advice],
    );
    fixture.place.write("other.csv", "name,n\nc,3\n");
    let other = fixture.config().file("other.csv");
    fixture.refuses(&other, BAD_CONFIGURATION, &["their source is", "rows.csv", "other.csv", advice]);
    assert_eq!(fixture.cluster.count("T"), 2);
}

/// A file system of one page, gone with the value.
pub(crate) struct TinyDisk<'a>(&'a Path);

impl<'a> TinyDisk<'a> {
    pub(crate) fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(TinyDisk(at))
    }

    fn enlarge(&self) {
        let done = Command::new("mount").args(["-o", "remount,size=1m"]).arg(self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for TinyDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_under_the_state_directory_is_an_error_and_room_mends_it() {
    let fixture = Fixture::new();
    let state = fixture.place.path().join("state");
    let Some(disk) = TinyDisk::mount(&state) else {
        skipped("a_full_disk_under_the_state_directory...: a tmpfs cannot be mounted here");
        return;
    };
    let texts = [
        "could not keep positions in",
        "state/positions",
        "No space left on device",
        "make room and start again",
    ];
    fixture.refuses(&fixture.config(), FAILED, &texts);
    disk.enlarge();
    fixture.place.run(&fixture.config(), &[]).expect(0);
    let distinct = fixture.cluster.ask("T | distinct name, n | count");
    assert_eq!(distinct.scalar().and_then(|count| count.as_u64()), Some(2));
}

#[test]
fn a_state_directory_that_cannot_be_made_is_named() {
    let fixture = Fixture::new();
    let config = fixture.config().state("rows.csv/state");
    fixture.refuses(&config, FAILED, &["could not make the state directory", "rows.csv/state"]);
}

#[test]
fn a_damaged_file_of_positions_is_never_taken_for_a_fresh_start() {
    let fixture = Fixture::new();
    fixture.place.run(&fixture.config(), &[]).expect(0);
    let path = fixture.place.path().join("state/positions");
    let mut kept = std::fs::read(&path).unwrap();
    *kept.iter_mut().rfind(|byte| byte.is_ascii_digit()).unwrap() ^= 1;
    std::fs::write(&path, kept).unwrap();
    fixture.refuses(&fixture.config(), NEEDS_A_PERSON, &["state/positions is damaged", "checksum", "backup"]);
    assert_eq!(fixture.cluster.count("T"), 2);
}

#[test]
fn a_second_start_beside_a_running_pipeline_is_refused() {
    let fixture = Fixture::new();
    let config = Config::new(fixture.cluster.url()).storms(1_000_000).source("rate = 100");
    let mut running = fixture.place.start_run(&config, &[]);
    until("the first rows", || {
        assert!(running.runs(), "{}", running.stderr());
        (fixture.cluster.count("T") > 0).then_some(())
    });
    fixture.refuses(&config, FAILED, &["runs in the state directory state already", "process ", "stop it"]);
    assert!(running.runs());
}

#[test]
fn an_embedded_cluster_for_two_processes_is_refused_with_the_command_for_one_of_its_own() {
    let place = Place::new();
    place.write("rows.csv", "a\n1\n");
    let mut config = Config::new("").file("rows.csv");
    config.connection = "cluster = \"emulator\"".into();
    let hosts = free_hosts(&place, 2);
    let hosts = hosts.to_str().unwrap();
    let texts = ["cluster = \"emulator\"", "one process", "timely-kusto emulator"];
    place.run(&config, &["--processes", "2", "--hosts", hosts]).refused(BAD_CONFIGURATION, &texts);
}

#[test]
fn processes_and_hosts_that_do_not_agree_are_refused() {
    let fixture = Fixture::new();
    let hosts = free_hosts(&fixture.place, 2);
    let hosts = hosts.to_str().unwrap();
    let run = |arguments: &[&str]| fixture.place.run(&fixture.config(), arguments);
    run(&["--processes", "2"]).refused(BAD_CONFIGURATION, &["--processes needs --hosts"]);
    run(&["--processes", "3", "--hosts", hosts]).refused(BAD_CONFIGURATION, &["2 hosts", "3", "must agree"]);
    run(&["--processes", "2", "--process", "2", "--hosts", hosts])
        .refused(BAD_CONFIGURATION, &["process is 2", "counted from 0"]);
    run(&["--processes", "2", "--hosts", "nowhere"]).refused(BAD_CONFIGURATION, &["nowhere cannot be read"]);
}

#[test]
fn arguments_that_are_none_are_refused_by_name() {
    let place = Place::new();
    let refuses = |arguments: &[&str], texts: &[&str]| {
        let outcome = place.command(arguments).expect(BAD_CONFIGURATION);
        texts.iter().for_each(|text| assert!(outcome.stderr.contains(text), "{}", outcome.stderr));
        assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
    };
    refuses(&["rum"], &["rum", "run"]);
    refuses(&["run"], &["PIPELINE.TOML"]);
    refuses(&["run", "a.toml", "-w", "0"], &["--workers", "1..=1024"]);
    refuses(&["run", "a.toml", "--reprot", "json"], &["--reprot", "--report"]);
    refuses(&["query", "T"], &["--cluster"]);
    refuses(&["query", "--cluster", "http://127.0.0.1:1", "T"], &["no database is named", "--database"]);
    refuses(&["emulator", "--port", "70000"], &["--port", "70000"]);
    refuses(&["--log", "a=b=c", "run", "a.toml"], &["--log"]);
    refuses(&["run", "no-such.toml"], &["no-such.toml", "cannot be read"]);
}

#[test]
fn an_emulator_whose_port_or_directory_is_taken_says_so() {
    let fixture = Fixture::new();
    let port = fixture.cluster.url().rsplit(':').next().unwrap();
    fixture.place.command(&["emulator", "--port", port]).refused(FAILED, &[port, "in use"]);
    let data = fixture.place.path().join("cluster");
    fixture
        .place
        .command(&["emulator", "--data", data.to_str().unwrap()])
        .refused(FAILED, &["cluster", "use"]);
}

#[test]
fn a_query_that_the_cluster_refuses_shows_the_clusters_words() {
    let fixture = Fixture::new();
    let query = |text: &str| {
        fixture.place.command(&["query", "--cluster", fixture.cluster.url(), "--database", "Samples", text])
    };
    query("NoSuchTable | count").refused(FAILED, &["NoSuchTable"]);
    query("print 1 |").refused(FAILED, &["could not run a query"]);
}
