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
use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule, Grant};
use timely_kusto_tests::{Config, Outcome, Place, Tap, command};

const TENANT: &str = "contoso.example";
const KEY: &str = "k3y~that-nobody.may_see";

fn cluster() -> Emulator {
    let builder = Emulator::builder().database("Samples").sign_in(true).tenant(TENANT);
    let emulator = builder.batching_time(Duration::from_millis(20)).start().unwrap();
    let handle = emulator.handle();
    handle.command("Samples", ".create table T (name: string, n: long)").unwrap();
    let grants = [Grant::database("Samples", "users"), Grant::table("Samples", "T", "ingestors")];
    handle.add_app("app-1", KEY, &grants).unwrap();
    handle.grant(&handle.system_identity(), &grants).unwrap();
    emulator
}

/// Something goes wrong at every kind of request, and passes.
fn trouble(emulator: &Emulator) {
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
fn disasters() -> [FaultRule; 6] {
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
fn in_play(tap: &Tap) -> BTreeMap<&'static str, Vec<String>> {
    let mut found: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let marks = [
        ("access tokens", "\"access_token\":\""),
        ("signatures", "sig="),
        ("bearer tokens", "authorization: Bearer "),
        ("keys", "client_secret="),
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
        } else if name != "az" {
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
fn run(place: &Place, config: &Config, token: &str) -> Outcome {
    let file = place.write_config(config);
    let path = format!("{}:{}", place.path().display(), std::env::var("PATH").unwrap());
    let mut command = command();
    command.env("E2E_KEY", KEY).env("E2E_TOKEN", token).env("PATH", path).env("RUST_BACKTRACE", "full");
    command.args(["--log", "trace", "run", "--report", "json"]).arg(file);
    place.start(&mut command).wait()
}

/// The ways to sign in that a process has here. A token is one that an application got.
const KINDS: [&str; 4] = [
    "auth = { kind = \"application\", app_id = \"app-1\", tenant_id = \"contoso.example\", app_key = { env = \"E2E_KEY\" } }",
    "auth = { kind = \"managed-identity\" }",
    "auth = { kind = \"token\", token = { env = \"E2E_TOKEN\" } }",
    "auth = { kind = \"azure-cli\" }",
];

#[test]
fn no_secret_that_was_in_play_is_in_any_output_or_file_whatever_goes_wrong() {
    let place = Place::new();
    place.write("rows.csv", "name,n\na,1\nb,2\n");
    let emulator = cluster();
    let tap = Tap::before(emulator.cluster_url());
    let config = |auth: &str, state: &str| {
        let config = Config::new(&tap.url()).file("rows.csv").existing_table().state(state);
        let config = config.connection(auth).connection(&format!("authority = {:?}", tap.url()));
        let quick = config.sink("retry_backoff = \"1ms\"").sink("retry_max_backoff = \"5ms\"");
        quick.sink("retry_attempts = 6").sink("batch_rows = 1")
    };
    let mut token = String::new();
    for (number, auth) in KINDS.into_iter().enumerate() {
        let az = format!(
            "#!/bin/sh\necho '{{\"accessToken\": \"{token}\", \"expires_on\": 4102444800, \"tokenType\": \"Bearer\"}}'\n"
        );
        let az = place.write("az", az);
        std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
        trouble(&emulator);
        let outcome = run(&place, &config(auth, &format!("state-{number}")), &token);
        assert!(outcome.stderr.contains("TRACE"), "nothing was logged: {}", outcome.stderr);
        assert_eq!(outcome.expect(0).number("rows_delivered"), 2, "{auth}");
        token = in_play(&tap)["access tokens"][0].clone();
    }
    for (number, disaster) in disasters().into_iter().enumerate() {
        emulator.handle().clear_faults();
        emulator.handle().add_fault(disaster);
        run(&place, &config(KINDS[0], &format!("disaster-{number}")), "").expect(1);
    }
    let found = in_play(&tap);
    for what in ["access tokens", "signatures", "bearer tokens", "keys", "identity tokens"] {
        assert!(found.contains_key(what), "no {what} were heard: {:?}", found.keys());
    }
    assert!(found["signatures"].len() >= 8 && found["access tokens"].len() >= 2, "{found:?}");
    let mut secrets: Vec<_> = found.values().flatten().flat_map(|secret| forms(secret)).collect();
    secrets.extend(forms(KEY));
    let mut files = 0;
    look_through(place.path(), &secrets, &mut files);
    assert!(files > 3 * 10, "only {files} files were looked through");
}
