//! Rights and secrets, with a cluster that asks for both.

use std::path::Path;
use std::time::Duration;

use kusto_emulator::{Emulator, Grant};
use timely_kusto_tests::{Config, Outcome, Place, command};

const TENANT: &str = "contoso.example";
const KEY: &str = "k3y~that-nobody.may_see";

/// A cluster with sign-in and a table, and an application that has these rights.
fn cluster(grants: &[Grant]) -> Emulator {
    let builder = Emulator::builder().database("Samples").sign_in(true).tenant(TENANT);
    let emulator = builder.batching_time(Duration::from_millis(50)).start().unwrap();
    emulator.handle().command("Samples", ".create table T (name: string, n: long)").unwrap();
    emulator.handle().add_app("app-1", KEY, grants).unwrap();
    emulator
}

fn config(emulator: &Emulator, place: &Place) -> Config {
    place.write("rows.csv", "name,n\na,1\nb,2\n");
    let auth = format!(
        "auth = {{ kind = \"application\", app_id = \"app-1\", tenant_id = \"{TENANT}\", app_key = {{ env = \"E2E_KEY\" }} }}"
    );
    Config::new(emulator.cluster_url()).file("rows.csv").connection(&auth)
}

/// Runs with this key, and everything logged.
fn run(place: &Place, config: &Config, key: &str, log: &str) -> Outcome {
    let file = place.write_config(config);
    let mut command = command();
    command.env("E2E_KEY", key).args(["--log", log, "run", "--report", "json"]).arg(file);
    place.start(&mut command).wait()
}

fn least_rights() -> [Grant; 2] {
    [Grant::database("Samples", "users"), Grant::table("Samples", "T", "ingestors")]
}

#[test]
fn table_ingestor_and_database_user_are_enough() {
    let (place, emulator) = (Place::new(), cluster(&least_rights()));
    let config = config(&emulator, &place).existing_table();
    assert_eq!(run(&place, &config, KEY, "warn").expect(0).number("rows_delivered"), 2);
    assert_eq!(emulator.handle().query("Samples", "T | count").unwrap()[0][0], 2);
}

#[test]
fn a_database_user_may_create_the_table() {
    let place = Place::new();
    let emulator = cluster(&[Grant::database("Samples", "users"), Grant::database("Samples", "ingestors")]);
    let config = config(&emulator, &place).table("New");
    assert_eq!(run(&place, &config, KEY, "warn").expect(0).number("rows_delivered"), 2);
}

/// Rights one by one, each granted by the command that the error before shows.
#[test]
fn an_application_without_rights_is_told_the_commands_that_grant_them_and_they_do() {
    let (place, emulator) = (Place::new(), cluster(&[]));
    let config = config(&emulator, &place).existing_table();
    let mut granted = Vec::new();
    let outcome = loop {
        let outcome = run(&place, &config, KEY, "error");
        if outcome.code == Some(0) || granted.len() == 4 {
            break outcome;
        }
        outcome.refused(1, &["Samples", "aadapp="]);
        let command = |line: &str| line.find(".add ").map(|start| line[start..].to_owned());
        let commands: Vec<_> = outcome.stderr.lines().filter_map(command).collect();
        assert!(!commands.is_empty(), "no command in {}", outcome.stderr);
        commands.iter().for_each(|command| drop(emulator.handle().command("Samples", command).unwrap()));
        granted.push(commands);
    };
    assert_eq!(outcome.expect(0).number("rows_delivered"), 2);
    assert!(!granted.is_empty(), "it worked without any right");
}

#[test]
fn an_application_without_the_right_to_ingest_is_told_so_and_nothing_is_written() {
    let (place, emulator) = (Place::new(), cluster(&[Grant::database("Samples", "users")]));
    let config = config(&emulator, &place).existing_table();
    let texts = ["2 rows were not ingested into Samples.T", "Table Ingestor", ".add table T ingestors ("];
    run(&place, &config, KEY, "error").refused(1, &texts);
    assert_eq!(emulator.handle().query("Samples", "T | count").unwrap()[0][0], 0);
}

#[test]
fn a_wrong_key_and_a_missing_one_are_told_apart() {
    let (place, emulator) = (Place::new(), cluster(&least_rights()));
    let config = config(&emulator, &place).existing_table();
    run(&place, &config, "another-wrong-key", "error").refused(1, &["sign in", "app-1"]);
    let file = place.write_config(&config);
    let outcome = place.start(command().env_remove("E2E_KEY").arg("run").arg(file)).wait();
    outcome.refused(2, &["E2E_KEY is not set", "pipeline-"]);
    let text = config.to_string().replace("{ env = \"E2E_KEY\" }", &format!("{KEY:?}"));
    let file = place.write("secret.toml", text);
    let outcome = place.start(command().arg("run").arg(file)).wait();
    outcome.refused(2, &["secrets do not stand in this file", "env"]);
    assert_no_secret(&place, &outcome, &["secret.toml"]);
}

#[test]
fn a_pipeline_and_a_query_may_name_their_cluster_by_a_connection_string() {
    let (place, emulator) = (Place::new(), cluster(&least_rights()));
    let url = emulator.cluster_url().trim_end_matches('/');
    let text = format!("{url}/Samples;Fed=true;AppClientId=app-1;AppKey=\"{KEY}\";Authority Id={TENANT}");
    let mut config = config(&emulator, &place).existing_table();
    config.connection = "cluster = { env = \"E2E_CONNECTION\" }".into();
    let file = place.write_config(&config);
    let mut command = command();
    command.env("E2E_CONNECTION", &text).args(["--log", "trace", "run", "--report", "json"]).arg(file);
    let outcome = place.start(&mut command).wait().expect(0);
    assert_eq!(outcome.number("rows_delivered"), 2);
    assert_no_secret(&place, &outcome, &[]);
    let asked = place.command(&["query", "--cluster", &text, "T | count"]).expect(0);
    assert!(asked.stdout.contains("\n2\n"), "{}", asked.stdout);
    let wrong = text.replace("Authority", "Autority");
    let outcome = place.command(&["query", "--cluster", &wrong, "T | count"]);
    outcome.refused(2, &["`Autority Id`", "did you mean `Authority Id`"]);
    assert_no_secret(&place, &outcome, &[]);
}

/// Looks through what was printed and written.
fn assert_no_secret(place: &Place, outcome: &Outcome, except: &[&str]) {
    assert_clean("stdout", &outcome.stdout);
    assert_clean("stderr", &outcome.stderr);
    assert_clean_below(place.path(), except);
}

fn assert_clean_below(dir: &Path, except: &[&str]) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            assert_clean_below(&path, except);
        } else if !except.contains(&name.as_str()) {
            assert_clean(&name, &String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
}

/// What the storage libraries write in place of a signature.
const REDACTED: &str = "sig=REDACTED";

/// Neither keys nor tokens (their first letters are those of `{"` in base64) nor signatures.
fn assert_clean(what: &str, text: &str) {
    let text = &text.replace(REDACTED, "");
    for secret in [KEY, "another-wrong-key", "eyJ", "sig=", "client_secret="] {
        if let Some(at) = text.find(secret) {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let line: String = text[line..].lines().next().unwrap_or_default().chars().take(600).collect();
            panic!("{secret:?} in {what}: {line}");
        }
    }
}

#[test]
fn no_output_holds_a_key_a_token_or_a_signature_however_much_is_logged() {
    let (place, emulator) = (Place::new(), cluster(&least_rights()));
    let config = config(&emulator, &place).existing_table();
    let outcome = run(&place, &config, KEY, "trace").expect(0);
    assert!(outcome.stderr.contains("TRACE"), "nothing was logged: {}", outcome.stderr);
    assert_no_secret(&place, &outcome, &[]);
    assert!(place.path().join("state/positions").exists());
}

#[test]
fn no_failure_shows_a_key_a_token_or_a_signature_however_much_is_logged() {
    let (place, emulator) = (Place::new(), cluster(&[Grant::database("Samples", "users")]));
    let config = config(&emulator, &place).existing_table();
    for key in [KEY, "another-wrong-key"] {
        let outcome = run(&place, &config, key, "trace").expect(1);
        assert_no_secret(&place, &outcome, &[]);
    }
}
