//! What a configuration file may say, and what is said about one that may not.

use std::time::Duration;

use pipelines::options::SourceOptions;

use super::*;

pub(super) const GOOD: &str = r#"
[job]
name = "storms"
checkpoint_interval = "5s"
state = "state/storms"

[source]
kind = "file"
path = ["a.csv", "b.csv.gz"]
header = true
rate = 100_000

[connection]
cluster = "http://127.0.0.1:8080"

[sink]
mode = "sink-v2"
database = "Samples"
table = "Storms"
create = true
batch_interval = "3s"
batch_bytes = "1MiB"
additional_tags = ["a", "b"]
"#;

fn parse_text(text: &str) -> Result<Configuration> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pipeline.toml");
    std::fs::write(&file, text).unwrap();
    read(&file)
}

fn refusal(text: &str) -> String {
    parse_text(text).unwrap_err().to_string()
}

#[test]
fn every_section_is_read() {
    let Configuration { pipeline, cluster } = parse_text(GOOD).unwrap();
    assert_eq!(pipeline.job.checkpoint_interval, Duration::from_secs(5));
    assert_eq!(pipeline.rate, Some(100_000));
    assert!(matches!(&pipeline.source, SourceOptions::File(file) if file.paths.len() == 2));
    assert!(pipeline.sink.create);
    let write = &pipeline.sink.write;
    assert_eq!((write.batch_interval(), write.batch_bytes()), (Duration::from_secs(3), 1 << 20));
    assert_eq!(write.additional_tags(), ["a", "b"]);
    let Cluster::Remote(connection) = cluster else { panic!("{cluster:?}") };
    assert_eq!(connection.cluster_url().trim_end_matches('/'), "http://127.0.0.1:8080");
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    let error = refusal(&GOOD.replace("batch_interval", "batch_intervall"));
    assert!(error.contains("line 21") && error.contains("did you mean `batch_interval`"), "{error}");
    let error = refusal(&GOOD.replace("header = true", "heade = true"));
    assert!(error.contains("line 10") && error.contains("did you mean `header`"), "{error}");
    let error = refusal(&GOOD.replace("[sink]", "[sinks]"));
    assert!(error.contains("[sink] is missing"), "{error}");
}

#[test]
fn a_value_that_cannot_work_is_named_with_what_is_allowed() {
    let error = refusal(&GOOD.replace("\"3s\"", "\"soon\""));
    assert!(
        error.contains("batch_interval") && error.contains("soon") && error.contains("line 21"),
        "{error}"
    );
    let error = refusal(&GOOD.replace("rate = 100_000", "rate = -1"));
    assert!(error.contains("rate") && error.contains("whole number"), "{error}");
    let error = refusal(&GOOD.replace("name = \"storms\"", "name = \"Storms!\""));
    assert!(error.contains("lower case"), "{error}");
}

#[test]
fn what_comes_later_is_refused_as_not_there_yet() {
    let error = refusal(&GOOD.replace("kind = \"file\"", "kind = \"kafka\""));
    assert!(error.contains("not there yet"), "{error}");
}

#[test]
fn a_secret_is_taken_from_a_file_and_never_from_the_configuration() {
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "s3cret\n").unwrap();
    let with = |value: &str| {
        let auth = format!(
            "cluster = \"https://c.kusto.windows.net\"\n\
             auth = {{ kind = \"application\", app_id = \"app\", tenant_id = \"tenant\", app_key = {value} }}"
        );
        GOOD.replace("cluster = \"http://127.0.0.1:8080\"", &auth)
    };
    let path = format!("{{ file = {:?} }}", key.path());
    let Cluster::Remote(connection) = parse_text(&with(&path)).unwrap().cluster else { panic!("remote") };
    assert!(connection.signs_in());
    assert!(!format!("{connection:?}").contains("s3cret"));
    let error = refusal(&with("\"s3cret\""));
    assert!(error.contains("secrets do not stand in this file") && !error.contains("s3cret"), "{error}");
    let error = refusal(&with("{ env = \"TIMELY_KUSTO_TEST_NO_SUCH_VARIABLE\" }"));
    assert!(error.contains("TIMELY_KUSTO_TEST_NO_SUCH_VARIABLE is not set"), "{error}");
}

/// The good configuration with other lines for its cluster.
pub(super) fn with_connection(lines: &str) -> String {
    GOOD.replace("cluster = \"http://127.0.0.1:8080\"", lines)
}

fn connection(lines: &str) -> kusto_client::ConnectionOptions {
    match parse_text(&with_connection(lines)).unwrap_or_else(|error| panic!("{lines}: {error}")).cluster {
        Cluster::Remote(options) => *options,
        Cluster::Embedded => panic!("{lines}"),
    }
}

#[test]
fn every_kind_of_sign_in_is_read_under_our_names_and_the_kafka_sinks() {
    for (auth, words) in [
        ("kind = \"none\"", "False"),
        ("kind = \"azure-cli\"", "auth: Azure command line"),
        ("kind = \"AZ_DEV_TOKEN\", tenant_id = \"t\"", "Azure command line, tenant t"),
        ("kind = \"managed-identity\"", "system-assigned managed identity"),
        ("kind = \"MANAGED_IDENTITY\", client_id = \"system\"", "system-assigned managed identity"),
        ("kind = \"managed-identity\", client_id = \"c\"", "client id c"),
        ("kind = \"managed-identity\", object_id = \"o\"", "object id o"),
        ("kind = \"managed-identity\", resource_id = \"/r\"", "managed identity /r"),
        ("kind = \"workload-identity\"", "workload identity of the environment"),
        (
            "kind = \"WORKLOAD_IDENTITY\", client_id = \"c\", tenant_id = \"t\", token_file = \"f\"",
            "workload identity c",
        ),
    ] {
        let options = connection(&format!("cluster = \"https://c.kusto.windows.net\"\nauth = {{ {auth} }}"));
        let shown = format!("{options:?} {}", options.connection_string());
        assert!(shown.contains(words), "`{words}` is missing in: {shown}");
    }
    let unknown =
        with_connection("cluster = \"https://c.kusto.windows.net\"\nauth = { kind = \"certificat\" }");
    assert!(refusal(&unknown).contains("did you mean `certificate`"), "{}", refusal(&unknown));
}

#[test]
fn a_certificate_is_taken_from_its_file_and_checked_at_once() {
    let cluster = "cluster = \"https://c.kusto.windows.net\"\nauth = ";
    let certificate =
        "{ kind = \"certificate\", app_id = \"a\", tenant_id = \"t\", certificate = \"/no/such.pem\" }";
    let error = refusal(&with_connection(&format!("{cluster}{certificate}")));
    assert!(error.contains("/no/such.pem cannot be read") && error.contains("line"), "{error}");
}

#[test]
fn a_cluster_may_be_given_as_a_connection_string() {
    let options = connection("cluster = \"https://c.kusto.windows.net/Samples;Fed=true;Authority Id=t\"");
    assert_eq!(options.cluster_url(), "https://c.kusto.windows.net/");
    assert!(format!("{options:?}").contains("Azure command line, tenant t"), "{options:?}");
    let options = connection(
        "cluster = \"https://c.kusto.windows.net;Fed=true\"\nauth = { kind = \"managed-identity\" }",
    );
    assert!(format!("{options:?}").contains("managed identity"), "{options:?}");
    let error = refusal(&with_connection("cluster = \"https://c.kusto.windows.net;Fedd=true\""));
    assert!(error.contains("`Fedd`") && error.contains("`AAD Federated Security`"), "{error}");
    let error = refusal(&with_connection("cluster = \"https://c.kusto.windows.net/Other;Fed=true\""));
    assert!(error.contains("\"Other\"") && error.contains("\"Samples\""), "{error}");
}

#[test]
fn a_connection_string_with_a_secret_is_taken_from_elsewhere() {
    let text = "https://c.kusto.windows.net/Samples;AppClientId=a;AppKey=s3cret;tid=t";
    let error = refusal(&with_connection(&format!("cluster = {text:?}")));
    assert!(error.contains("secrets do not stand in this file") && !error.contains("s3cret"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{text}\n")).unwrap();
    let options = connection(&format!("cluster = {{ file = {:?} }}", file.path()));
    assert_eq!(options.principal().as_deref(), Some("aadapp=a;t"));
}

#[test]
fn http_to_another_machine_needs_the_host_to_be_named() {
    let error = refusal(&with_connection("cluster = \"http://kustainer:8080\""));
    assert!(error.contains("trusted_hosts = [\"kustainer\"]"), "{error}");
    let named = "cluster = \"http://kustainer:8080\"\ningestion = \"http://kustainer:8080\"\ntrusted_hosts = [\"kustainer\"]";
    assert!(!connection(named).signs_in());
}

#[test]
fn text_that_is_no_toml_is_an_error_with_its_line() {
    let error = refusal("[job]\nname = \n");
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn a_collection_is_read_with_its_reader_and_what_cannot_be_meant_is_told() {
    use timely_kusto::Reader;
    let ahead = |lines: &str| GOOD.replace("mode = \"sink-v2\"", &format!("mode = \"write-ahead\"\n{lines}"));
    let reader = |lines: &str| parse_text(&ahead(lines)).unwrap().pipeline.sink.reader;
    assert_eq!(reader(""), None);
    assert_eq!(reader("collection = \"change-stream\""), Some(Reader::change_stream()));
    assert_eq!(
        reader("collection = \"upsert\"\nkey = [\"a\", \"b\"]\nreader = \"F\"\nmaterialized = false"),
        Some(Reader::upsert(["a", "b"]).function("F").materialized(false))
    );
    for (lines, told) in [
        ("collection = \"upsert\"", "needs `key`"),
        ("collection = \"change-stream\"\nkey = \"a\"", "has no `key`"),
        ("collection = \"upserts\"", "did you mean `upsert`"),
        ("reader = \"F\"", "need collection"),
    ] {
        let error = refusal(&ahead(lines));
        assert!(error.contains(told), "{error}");
    }
    let error = refusal(&GOOD.replace("create = true", "collection = \"change-stream\""));
    assert!(error.contains("needs mode = \"write-ahead\""), "{error}");
}
