//! No key, token or signature that was in play is in anything that a run prints or keeps, however much it logs and
//! whatever goes wrong.
//!
//! What was in play is not taken from the client's code but listened in on: every sign-in and every answer of data
//! management goes over a line that keeps all bytes.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use kusto_client::Certificate;
use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule, Grant};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use timely::dataflow::operators::vec::ToStream;
use timely_kusto::{ConnectionOptions, RowsToKusto, SinkV2, WriteOptions};
use timely_kusto_tests::{Config, Outcome, Place, Process, Tap, command};
use tracing_subscriber::filter::LevelFilter;

pub(crate) const TENANT: &str = "contoso.example";
pub(crate) const KEY: &str = "k3y~that-nobody.may_see";
const POD: &str = "system:serviceaccount:default:loader";

/// Files that hold a secret because the test wrote it there.
const OWN_FILES: [&str; 3] = ["az", "app.pem", "pod-token"];

/// What the test itself makes and hands to the processes.
pub(crate) struct Made {
    pub(crate) emulator: Emulator,
    /// A private key and its certificate.
    pub(crate) pem: String,
    /// The token of the pod.
    pub(crate) pod: String,
}

/// A cluster with sign-in, to which all kinds of principals may write.
pub(crate) fn cluster() -> Made {
    let builder = Emulator::builder().database("Samples").sign_in(true).tenant(TENANT);
    let emulator = builder.batching_time(Duration::from_millis(20)).start().unwrap();
    let handle = emulator.handle();
    handle.command("Samples", ".create table T (name: string, n: long)").unwrap();
    let grants = [Grant::database("Samples", "users"), Grant::table("Samples", "T", "ingestors")];
    handle.add_app("app-1", KEY, &grants).unwrap();
    handle.grant(&handle.system_identity(), &grants).unwrap();
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let certificate =
        CertificateParams::new(vec!["app.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    handle.add_certificate("app-2", certificate.der(), &grants).unwrap();
    handle.add_federated("app-3", POD, &grants).unwrap();
    let pod = handle.workload_token(POD);
    Made { emulator, pem: format!("{}{}", key.serialize_pem(), certificate.pem()), pod }
}

impl Made {
    /// The private key as a file holds it and in one piece, and all that a log could show of it on a line; the token of
    /// the pod; the application's key.
    fn secrets(&self) -> Vec<String> {
        let private = self.pem.split("-----").nth(2).unwrap();
        let lines = private.lines().filter(|line| line.len() > 32).map(str::to_owned);
        let whole = private.split_whitespace().collect::<String>();
        let bytes = format!("{:?}", STANDARD.decode(&whole).unwrap()).replace(['[', ']'], "");
        let mut secrets: Vec<_> = lines.chain([whole, bytes]).collect();
        secrets.extend([STANDARD.encode(&self.pem), self.pem.clone()]);
        secrets.extend([&self.pod, KEY].into_iter().flat_map(forms));
        secrets
    }
}

/// Something goes wrong at every kind of request, and passes.
pub(crate) fn trouble(emulator: &Emulator) {
    let refused = Fault::Fail { status: 403, retry_after: None };
    let failing = Fault::Fail { status: 500, retry_after: None };
    for (endpoint, operation, fault) in [
        (Endpoint::Management, ".show table", Fault::Refuse),
        (Endpoint::Management, ".get ingestion resources", failing),
        (Endpoint::Management, ".get kusto identity token", Fault::Truncate { bytes: 40 }),
        (Endpoint::Blob, "PutBlob", refused),
        (Endpoint::Blob, "PutBlob", Fault::Garble),
        (Endpoint::Blob, "PutBlob", Fault::LoseAnswer),
        (Endpoint::Table, "InsertEntity", failing),
        (Endpoint::Table, "GetEntity", Fault::Truncate { bytes: 5 }),
        (Endpoint::Queue, "PutMessage", Fault::Throttle { retry_after: None }),
    ] {
        emulator.handle().add_fault(FaultRule::new(endpoint, fault).operation(operation).times(1));
    }
}

/// What goes wrong and does not pass.
pub(crate) fn disasters() -> [FaultRule; 6] {
    let refused = Fault::Fail { status: 403, retry_after: None };
    [
        FaultRule::new(Endpoint::Blob, refused),
        FaultRule::new(Endpoint::Blob, Fault::Refuse),
        FaultRule::new(Endpoint::Queue, Fault::Fail { status: 400, retry_after: None }),
        FaultRule::new(Endpoint::Table, Fault::Garble),
        FaultRule::new(Endpoint::Management, Fault::RevokeTokens),
        FaultRule::new(Endpoint::Ingestion, Fault::Fail { status: 400, retry_after: None }),
    ]
}

/// Everything secret that went over the line, by what it is.
pub(crate) fn in_play(tap: &Tap) -> BTreeMap<&'static str, Vec<String>> {
    let mut found: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let marks = [
        ("access tokens", "\"access_token\":\""),
        ("signatures", "sig="),
        ("bearer tokens", "authorization: Bearer "),
        ("keys", "client_secret="),
        ("assertions", "client_assertion="),
        ("identity tokens", "\"Rows\":[[\"eyJ"),
    ];
    for text in tap.heard() {
        for (what, mark) in marks {
            for rest in text.split(mark).skip(1) {
                let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '&' | '\'' | '\\');
                let value = rest.split(ends).next().unwrap_or_default();
                let value = if mark.ends_with("eyJ") { format!("eyJ{value}") } else { value.to_owned() };
                if value.len() > 8 && !found.get(what).is_some_and(|known| known.contains(&value)) {
                    found.entry(what).or_default().push(value);
                }
            }
        }
    }
    found
}

/// A secret as it is, and in the forms that it takes on its way.
fn forms(secret: &str) -> Vec<String> {
    let decoded: String = url_decoded(secret);
    let encoded = [STANDARD.encode(&decoded), URL_SAFE_NO_PAD.encode(&decoded)];
    [
        vec![secret.to_owned(), decoded.clone(), decoded.replace('+', "%2B").replace('/', "%2F")],
        encoded.into(),
    ]
    .concat()
}

fn url_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let hex = (*first == b'%').then(|| others.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Looks through every file below `dir`: the output of processes, pipeline files, state.
fn look_through(dir: &Path, secrets: &[String], files: &mut usize) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            look_through(&path, secrets, files);
        } else if !OWN_FILES.contains(&name.as_str()) {
            *files += 1;
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            for secret in secrets {
                let Some(at) = text.find(secret.as_str()) else { continue };
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let line: String =
                    text[line..].lines().next().unwrap_or_default().chars().take(400).collect();
                panic!("{secret} is in {}: {line}", path.display());
            }
        }
    }
}

/// Runs with everything logged; as if backtraces were asked for, too.
fn run(place: &Place, config: &Config, made: &Made, token: &str) -> Outcome {
    start(place, config, made, token).wait()
}

pub(crate) fn start(place: &Place, config: &Config, made: &Made, token: &str) -> Process {
    let file = place.write_config(config);
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap());
    let mut command = command();
    command.env("E2E_KEY", KEY).env("E2E_TOKEN", token).env("E2E_PEM", &made.pem).env("PATH", path);
    command.env("RUST_BACKTRACE", "full").args(["--log", "trace", "run", "--report", "json"]).arg(file);
    place.start(&mut command)
}

/// The ways to sign in that a process has here. A token is one that an application got.
pub(crate) const KINDS: [&str; 7] = [
    "auth = { kind = \"application\", app_id = \"app-1\", tenant_id = \"contoso.example\", app_key = { env = \"E2E_KEY\" } }",
    "auth = { kind = \"certificate\", app_id = \"app-2\", tenant_id = \"contoso.example\", certificate = \"app.pem\" }",
    "auth = { kind = \"certificate\", app_id = \"app-2\", tenant_id = \"contoso.example\", certificate = { env = \"E2E_PEM\" }, send_chain = true }",
    "auth = { kind = \"workload-identity\", client_id = \"app-3\", tenant_id = \"contoso.example\", token_file = \"pod-token\" }",
    "auth = { kind = \"managed-identity\" }",
    "auth = { kind = \"token\", token = { env = \"E2E_TOKEN\" } }",
    "auth = { kind = \"azure-cli\" }",
];

/// One row per blob, and short pauses.
pub(crate) fn config(tap: &Tap, auth: &str, state: &str) -> Config {
    let config = Config::new(&tap.url()).file("rows.csv").existing_table().state(state);
    let config = config.connection(auth).connection(&format!("authority = {:?}", tap.url()));
    let quick = config.sink("retry_backoff = \"1ms\"").sink("retry_max_backoff = \"5ms\"");
    quick.sink("retry_attempts = 6").sink("batch_rows = 1")
}

/// An Azure command line that answers with this token.
fn write_az(place: &Place, token: &str) {
    let answer =
        format!("{{\"accessToken\": \"{token}\", \"expires_on\": 4102444800, \"tokenType\": \"Bearer\"}}");
    let az = place.write("az", format!("#!/bin/sh\necho '{answer}'\n"));
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn no_secret_that_was_in_play_is_in_any_output_or_file_whatever_goes_wrong() {
    let place = Place::new();
    place.write("rows.csv", "name,n\na,1\nb,2\n");
    let made = cluster();
    let Made { emulator, pem, pod } = &made;
    place.write("app.pem", pem);
    place.write("pod-token", pod);
    let tap = Tap::before(emulator.cluster_url());
    let mut token = String::new();
    for (number, auth) in KINDS.into_iter().enumerate() {
        write_az(&place, &token);
        trouble(emulator);
        let outcome = run(&place, &config(&tap, auth, &format!("state-{number}")), &made, &token);
        assert!(outcome.stderr.contains("TRACE"), "nothing was logged: {}", outcome.stderr);
        assert_eq!(outcome.expect(0).number("rows_delivered"), 2, "{auth}");
        token = in_play(&tap)["access tokens"][0].clone();
    }
    by_commands(&place, &made, &tap);
    for (number, disaster) in disasters().into_iter().enumerate() {
        emulator.handle().clear_faults();
        emulator.handle().add_fault(disaster);
        let auth = KINDS[number % 4]; // those that present something of their own at sign-in
        run(&place, &config(&tap, auth, &format!("disaster-{number}")), &made, "").expect(1);
    }
    emulator.handle().clear_faults();
    nothing_is_shown_of(&place, &made, &tap, 3 * 13);
}

/// The write-ahead mode with chunks that are pulled by commands, which have signatures in them.
fn by_commands(place: &Place, made: &Made, tap: &Tap) {
    let handle = made.emulator.handle();
    let refused = Fault::Fail { status: 400, retry_after: None };
    for (table, fault, code) in [
        ("W0", None, 0),
        ("W1", Some(refused), 1),
        ("W2", Some(Fault::LoseAnswer), 0),
        ("W3", Some(Fault::Quote { status: 400 }), 1),
    ] {
        handle.clear_faults();
        handle.command("Samples", &format!(".create table {table} (name: string, n: long)")).unwrap();
        let grants = [Grant::table("Samples", table, "admins"), Grant::database("Samples", "users")];
        handle.add_app("app-1", KEY, &grants).unwrap();
        if let Some(fault) = fault {
            let rule = FaultRule::new(Endpoint::Management, fault).operation(".ingest into");
            handle.add_fault(rule.times(2));
        }
        let config = config(tap, KINDS[0], &format!("state-{table}")).table(table);
        let config = config.sink("mode = \"write-ahead\"").sink("staging = \"direct\"");
        run(place, &config, made, "").expect(code);
    }
}

/// Looks through all that was printed and kept for all that was in play.
pub(crate) fn nothing_is_shown_of(place: &Place, made: &Made, tap: &Tap, least_files: usize) {
    let found = in_play(tap);
    for what in ["access tokens", "signatures", "bearer tokens", "assertions", "identity tokens"] {
        assert!(found.contains_key(what), "no {what} were heard: {:?}", found.keys());
    }
    assert!(found["signatures"].len() >= 8 && found["access tokens"].len() >= 2, "{found:?}");
    let mut secrets: Vec<_> = found.values().flatten().flat_map(|secret| forms(secret)).collect();
    secrets.extend(made.secrets());
    let mut files = 0;
    look_through(place.path(), &secrets, &mut files);
    assert!(files > least_files, "only {files} files were looked through");
}

#[test]
fn no_secret_is_in_what_a_process_prints_whose_worker_panics() {
    let place = Place::new();
    let made = cluster();
    let tap = Tap::before(made.emulator.cluster_url());
    for (number, kind) in ["certificate", "workload-identity", "application"].into_iter().enumerate() {
        panics_as(&place, &made, &tap, kind, "secrets::writes_until_a_worker_panics");
        assert!(in_play(&tap)["bearer tokens"].len() > number, "{kind} did not sign in");
    }
    nothing_is_shown_of(&place, &made, &tap, 5);
}

/// Runs a program whose worker panics.
pub(crate) fn panics_as(place: &Place, made: &Made, tap: &Tap, kind: &str, program: &str) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", program]);
    command.env("E2E_KIND", kind).env("E2E_URL", tap.url()).env("E2E_KEY", KEY).env("E2E_PEM", &made.pem);
    command.env("E2E_POD", place.write("pod-token", &made.pod)).env("RUST_BACKTRACE", "full");
    command.env_remove("RUST_LOG");
    let outcome = place.start(&mut command).wait().expect(101);
    let said = outcome.stdout + &outcome.stderr;
    for text in ["TRACE", "the worker gives up", "stack backtrace"] {
        assert!(said.contains(text), "{kind}: {text:?} is missing in:\n{said}");
    }
}

/// A program of somebody who embeds the sink, which logs everything.
#[test]
#[ignore = "run by no_secret_is_in_what_a_process_prints_whose_worker_panics"]
fn writes_until_a_worker_panics() {
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).init();
    let connection = connection_of_environment();
    let write = WriteOptions::builder().database("Samples").table("T").batch_rows(1);
    let write = write.poll_interval(Duration::from_millis(10)).build().unwrap();
    let sink = SinkV2::connect(&connection, &write).unwrap();
    timely::execute_directly(move |worker| {
        let handle = worker.dataflow::<u64, _, _>(|scope| {
            (0..200_i64).map(|n| (format!("row {n}"), n)).to_stream(scope).sink_v2(&sink).1
        });
        while handle.stats().rows_delivered < 3 {
            worker.step_or_park(Some(Duration::from_millis(10)));
        }
        panic!("the worker gives up: {connection:?} {handle:?} {sink:?}");
    });
}

/// As the test that starts the program says.
pub(crate) fn connection_of_environment() -> ConnectionOptions {
    let variable = |name| std::env::var(name).unwrap();
    let (url, tenant) = (variable("E2E_URL"), TENANT.to_owned());
    let builder = ConnectionOptions::builder().cluster_url(&url).authority(&url);
    let builder = match variable("E2E_KIND").as_str() {
        "certificate" => {
            builder.application_certificate("app-2", Certificate::from_pem(variable("E2E_PEM")), tenant)
        }
        "workload-identity" => {
            let file = variable("E2E_POD").into();
            builder.workload_identity_of(Some("app-3".into()), Some(tenant), Some(file))
        }
        _ => builder.application("app-1", variable("E2E_KEY"), tenant),
    };
    builder.build().unwrap()
}
