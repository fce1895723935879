//! The likeliest first failures, each provoked with the real command, and held against `docs/troubleshooting.md`: the
//! text that the table shows is what the command says, with the exit code that stands there, and no row is without a case.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use kusto_emulator::{Emulator, EmulatorBuilder, Endpoint, Fault, FaultRule, Grant};
use timely_kusto_tests::{Answering, Config, Outcome, Place, command, free_hosts, repository, until};

use crate::bad_input::{TinyDisk, skipped};
use crate::first_failures_ahead;

pub(crate) const TENANT: &str = "contoso.example";

/// What the table says of one failure.
struct Entry {
    texts: Vec<String>,
    /// None where the command goes on by itself.
    code: Option<i32>,
}

/// The rows of the table, by the name that stands in their comment.
fn documented() -> BTreeMap<String, Entry> {
    let text = std::fs::read_to_string(repository().join("docs/troubleshooting.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| <a id="));
    let entry = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{line}");
        let name = cells[0].split('"').nth(1).unwrap().to_owned();
        let texts: Vec<_> = cells[0].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(!texts.is_empty() && cells[1].len() > 5 && cells[2].len() > 5, "{line}");
        let code = if cells[3] == "goes on" { None } else { Some(cells[3].parse().unwrap()) };
        (name, Entry { texts, code })
    };
    let entries: Vec<_> = rows.map(entry).collect();
    let count = entries.len();
    let entries = BTreeMap::from_iter(entries);
    assert_eq!(entries.len(), count, "two rows have one name");
    entries
}

type Provoke = fn(&Place) -> Option<Outcome>;

/// The name of a row, and how to provoke what it tells of.
pub(crate) type Case = (&'static str, Provoke);

/// Rows of the table; those of the write-ahead mode are in `first_failures_ahead.rs`. `None`: it cannot be tried on this
/// machine, and says so.
const CASES: [Case; 37] = [
    ("no-scheme", |place| run(place, &offline("mycluster.westeurope.kusto.windows.net"))),
    ("no-cluster", |place| {
        let page = Answering::with("200 OK", "text/html", "<html>welcome</html>");
        run(place, &offline(&page.url()))
    }),
    ("no-cluster-404", |place| {
        let page = Answering::with("404 Not Found", "text/html", "<html>not here</html>");
        run(place, &offline(&page.url()))
    }),
    ("ingestion-url", |place| run(place, &offline("https://ingest-c.westeurope.kusto.windows.net"))),
    ("untrusted-host", |place| {
        run(
            place,
            &offline("https://c.kusto.windows.net.example").connection("auth = { kind = \"azure-cli\" }"),
        )
    }),
    ("no-dns", |place| {
        // A label longer than DNS has: no name server needs to be asked.
        run(place, &offline(&format!("https://{}.westeurope.kusto.windows.net", "c".repeat(64))))
    }),
    ("port-closed", |place| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(); // closed again at once
        run(place, &offline(&format!("http://{free}")))
    }),
    ("proxy", |place| {
        let proxy = Answering::with("407 Proxy Authentication Required", "text/html", "no");
        let file = place.write_config(&offline("https://c.westeurope.kusto.windows.net"));
        let mut command = command();
        command
            .env("HTTPS_PROXY", proxy.url())
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .arg("run")
            .arg(file);
        Some(place.start(&mut command).wait())
    }),
    ("tls", untrusted_certificate),
    ("wrong-key", |place| signing_in(place, APP, "another key", TENANT)),
    ("unknown-application", |place| signing_in(place, "nobody", KEY, TENANT)),
    ("wrong-tenant", |place| signing_in(place, APP, KEY, "fabrikam.example")),
    ("key-expired", |place| entra(place, "AADSTS7000222: The provided client secret keys are expired.")),
    ("clock", |place| entra(place, "AADSTS700024: Client assertion is not within its valid time range.")),
    ("token-refused", |place| {
        let emulator = cluster(&least_rights());
        let auth = "auth = { kind = \"token\", token = { env = \"E2E_TOKEN\" } }";
        let file = place.write_config(&config(&emulator).connection(auth));
        Some(place.start(command().env("E2E_TOKEN", "not-a-token").arg("run").arg(file)).wait())
    }),
    ("no-sign-in", |place| run(place, &config(&cluster(&least_rights())))),
    ("secret-missing", |place| {
        let emulator = cluster(&least_rights());
        let file = place.write_config(&application(&config(&emulator), APP, TENANT));
        Some(place.start(command().env_remove("E2E_KEY").arg("run").arg(file)).wait())
    }),
    ("no-user-role", |place| {
        let emulator = cluster(&[]);
        as_application(place, &config(&emulator))
    }),
    ("no-ingestor-role", |place| {
        let emulator = cluster(&[Grant::database("Samples", "users")]);
        as_application(place, &config(&emulator))
    }),
    ("firewall", |place| {
        let emulator = open();
        let refused = Fault::Fail { status: 403, retry_after: None };
        emulator.handle().add_fault(FaultRule::new(Endpoint::Blob, refused));
        run(place, &config(&emulator))
    }),
    ("service-down", |place| {
        let emulator = open();
        let down = Fault::Fail { status: 503, retry_after: None };
        emulator.handle().add_fault(FaultRule::new(Endpoint::Blob, down));
        run(place, &config(&emulator).sink("retry_attempts = 3").sink("retry_backoff = \"1ms\""))
    }),
    ("database-missing", |place| {
        let emulator = open();
        let mut config = config(&emulator);
        config.database = "Nowhere".into();
        run(place, &config)
    }),
    ("table-missing", |place| {
        let emulator = open();
        run(place, &config(&emulator).table("Missing"))
    }),
    ("column-missing", |place| {
        let emulator = open();
        emulator.handle().command("Samples", ".create table Narrow (name: string)").unwrap();
        run(place, &config(&emulator).table("Narrow"))
    }),
    ("mapping-missing", |place| {
        let emulator = open();
        run(place, &config(&emulator).sink("ingestion_mapping_ref = \"nope\""))
    }),
    ("mapping-format", |place| {
        let emulator = open();
        let mapping =
            r#".create table T ingestion json mapping 'rows' '[{"column":"name","path":"$.name"}]'"#;
        emulator.handle().command("Samples", mapping).unwrap();
        run(place, &config(&emulator).sink("ingestion_mapping_ref = \"rows\""))
    }),
    ("batching", |place| {
        let emulator = open();
        let policy = r#".alter table T policy ingestionbatching '{"MaximumBatchingTimeSpan":"00:04:00"}'"#;
        emulator.handle().command("Samples", policy).unwrap();
        run(place, &config(&emulator).sink("poll_timeout = \"1s\""))
    }),
    ("status-unread", |place| {
        let emulator = open();
        let gone = Fault::Fail { status: 404, retry_after: None };
        emulator.handle().add_fault(FaultRule::new(Endpoint::Table, gone).operation("GetEntity"));
        run(place, &config(&emulator).sink("retry_backoff = \"1ms\""))
    }),
    ("option", |place| run(place, &offline("https://c.kusto.windows.net").sink("batch_intervall = \"1s\""))),
    ("source-missing", |place| {
        let emulator = open();
        run(place, &config(&emulator).file("no-such.csv"))
    }),
    ("record", |place| {
        let emulator = open();
        place.write("bad.csv", "name,n\na,1\nb,2,3\n");
        run(place, &config(&emulator).file("bad.csv"))
    }),
    ("source-changed", |place| {
        let emulator = open();
        run(place, &config(&emulator)).unwrap().expect(0);
        place.write("rows.csv", "name,n\na,1\nb,3\n");
        run(place, &config(&emulator))
    }),
    ("disk-full", |place| {
        let emulator = open();
        let state = place.path().join("state");
        let Some(_disk) = TinyDisk::mount(&state) else {
            skipped("a full disk: a tmpfs cannot be mounted here");
            return None;
        };
        run(place, &config(&emulator))
    }),
    ("state-held", |place| {
        let emulator = open();
        let slow = Config::new(emulator.cluster_url()).storms(1_000_000).table("Storms").source("rate = 100");
        let mut running = place.start_run(&slow, &[]);
        until("the first positions", || {
            assert!(running.runs(), "{}", running.stderr());
            place.path().join("state/positions").exists().then_some(())
        });
        run(place, &slow)
    }),
    ("process-missing", |place| {
        let emulator = open();
        let hosts = free_hosts(place, 2);
        let alone = ["--processes", "2", "--hosts", hosts.to_str()?, "--join-timeout", "1s"];
        Some(place.run(&config(&emulator), &alone))
    }),
    ("process-lost", |place| {
        let emulator = open();
        let storms =
            Config::new(emulator.cluster_url()).storms(1_000_000).table("Storms").source("rate = 100");
        let hosts = free_hosts(place, 2);
        let start = |number| {
            let which = ["--processes", "2", "--process", number, "--hosts", hosts.to_str().unwrap()];
            place.start_run(&storms, &which)
        };
        let (mut left, lost) = (start("0"), start("1"));
        until("the first positions", || {
            assert!(left.runs(), "{}", left.stderr());
            place.path().join("state/positions").exists().then_some(())
        });
        lost.kill();
        Some(left.wait())
    }),
    ("metrics-address", |place| {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        Some(place.run(&offline("http://127.0.0.1:9"), &["--metrics", &address]))
    }),
];

pub(crate) const APP: &str = "app-1";
const KEY: &str = "k3y-of-the-application";

pub(crate) fn least_rights() -> [Grant; 2] {
    [Grant::database("Samples", "users"), Grant::table("Samples", "T", "ingestors")]
}

/// A cluster with a table that asks for a sign-in, and an application with these rights.
pub(crate) fn cluster(grants: &[Grant]) -> Emulator {
    let emulator = with_table(Emulator::builder().sign_in(true).tenant(TENANT));
    emulator.handle().add_app(APP, KEY, grants).unwrap();
    emulator
}

/// A cluster with a table that is open to everybody.
pub(crate) fn open() -> Emulator {
    with_table(Emulator::builder())
}

fn with_table(builder: EmulatorBuilder) -> Emulator {
    let emulator = builder.database("Samples").batching_time(Duration::from_millis(20)).start().unwrap();
    emulator.handle().command("Samples", ".create table T (name: string, n: long)").unwrap();
    emulator
}

/// From the small file into the table `T`, which is there.
pub(crate) fn config(emulator: &Emulator) -> Config {
    offline(emulator.cluster_url())
}

fn offline(url: &str) -> Config {
    Config::new(url).file("rows.csv").existing_table()
}

fn application(config: &Config, id: &str, tenant: &str) -> Config {
    let auth = format!(
        "auth = {{ kind = \"application\", app_id = {id:?}, tenant_id = {tenant:?}, app_key = {{ env = \"E2E_KEY\" }} }}"
    );
    config.clone().connection(&auth)
}

pub(crate) fn run(place: &Place, config: &Config) -> Option<Outcome> {
    Some(place.run(config, &[]))
}

fn with_key(place: &Place, config: &Config, key: &str) -> Option<Outcome> {
    let file = place.write_config(config);
    Some(place.start(command().env("E2E_KEY", key).arg("run").arg(file)).wait())
}

pub(crate) fn as_application(place: &Place, config: &Config) -> Option<Outcome> {
    with_key(place, &application(config, APP, TENANT), KEY)
}

fn signing_in(place: &Place, id: &str, key: &str, tenant: &str) -> Option<Outcome> {
    let emulator = cluster(&least_rights());
    with_key(place, &application(&config(&emulator), id, tenant), key)
}

/// A sign-in service that refuses with these words.
fn entra(place: &Place, description: &str) -> Option<Outcome> {
    let emulator = cluster(&least_rights());
    let said = serde_json::json!({"error": "invalid_client", "error_description": description});
    let entra = Answering::with("401 Unauthorized", "application/json", &said.to_string());
    let config =
        application(&config(&emulator), APP, TENANT).connection(&format!("authority = {:?}", entra.url()));
    with_key(place, &config, KEY)
}

/// A server with a certificate of its own making.
fn untrusted_certificate(place: &Place) -> Option<Outcome> {
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.current_dir(place.path()).args(arguments);
        command
    };
    let make = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key",
        "-out",
        "cert",
        "-subj",
        "/CN=localhost",
    ];
    if !openssl(&make).output().is_ok_and(|made| made.status.success()) {
        skipped("a certificate that is not trusted: there is no openssl here");
        return None;
    }
    let mut server = place.start(&mut openssl(&[
        "s_server",
        "-www",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        "cert",
        "-key",
        "key",
    ]));
    let port = until("the server's port", || {
        assert!(server.runs(), "{}", server.stderr());
        let said = server.stdout();
        let accept = said.lines().find_map(|line| line.strip_prefix("ACCEPT "))?.to_owned();
        accept.rsplit(':').next()?.parse::<u16>().ok()
    });
    run(place, &offline(&format!("https://127.0.0.1:{port}")))
}

/// Provokes a failure in a directory of its own and holds it against its row; why it differs.
fn differs(name: &str, provoke: Provoke, documented: &BTreeMap<String, Entry>) -> Option<String> {
    let place = Place::new();
    place.write("rows.csv", "name,n\na,1\nb,2\n");
    let outcome = provoke(&place)?;
    let Some(Entry { texts, code }) = documented.get(name) else {
        return Some(format!(
            "{name} is not in docs/troubleshooting.md; exit code {:?}:\n{}",
            outcome.code, outcome.stderr
        ));
    };
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let held = std::panic::catch_unwind(|| match code {
        Some(code) => outcome.refused(*code, &texts),
        None => assert!(
            outcome.code.is_none() && texts.iter().all(|text| outcome.stderr.contains(text)),
            "{texts:?}: {outcome:?}"
        ),
    });
    held.err().map(|why| format!("{name}: {}", why.downcast_ref::<String>().cloned().unwrap_or_default()))
}

#[test]
fn the_likeliest_first_failures_say_what_the_document_says_that_they_say() {
    let documented = documented();
    let all = || CASES.iter().chain(&first_failures_ahead::CASES);
    let waiting = std::sync::Mutex::new(all());
    let different = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, provoke)) = { waiting.lock().unwrap().next() } {
                    different.lock().unwrap().extend(differs(name, *provoke, &documented));
                }
            });
        }
    });
    let different = different.into_inner().unwrap();
    assert!(different.is_empty(), "{} of {}:\n\n{}", different.len(), all().count(), different.join("\n\n"));
    for name in documented.keys() {
        assert!(all().any(|(case, _)| case == name), "docs/troubleshooting.md has {name}, and no test has");
    }
}
