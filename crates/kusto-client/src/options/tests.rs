use std::convert::Infallible;
use std::time::Duration;

use super::*;
use crate::ErrorKind;
use crate::auth::Token;

const CLUSTER: &str = "https://c.westeurope.kusto.windows.net";

fn refused(builder: ConnectionOptionsBuilder) -> String {
    let error = builder.build().expect_err("must be refused");
    assert!(matches!(error.kind(), ErrorKind::InvalidOption | ErrorKind::UntrustedHost), "{error:?}");
    error.to_string()
}

#[test]
fn the_ingestion_url_is_derived_unless_it_is_given() {
    let options = ConnectionOptions::builder().cluster_url(CLUSTER).azure_cli();
    assert_eq!(
        options.clone().build().unwrap().ingestion_url(),
        "https://ingest-c.westeurope.kusto.windows.net/"
    );
    let own = options.ingestion_url("https://x.kusto.windows.net:444").build().unwrap();
    assert_eq!(own.ingestion_url(), "https://x.kusto.windows.net:444/");
    let local = ConnectionOptions::builder().cluster_url("http://127.0.0.1:8080").no_auth().build().unwrap();
    assert_eq!(local.ingestion_url(), local.cluster_url());
}

#[test]
fn what_cannot_work_is_refused_with_option_value_and_remedy() {
    let builder = ConnectionOptions::builder;
    for (builder, words) in [
        (builder().no_auth(), ["cluster_url", "required"]),
        (
            builder().cluster_url("c.kusto.windows.net").no_auth(),
            ["cluster_url", "https://c.kusto.windows.net"],
        ),
        (
            builder().cluster_url("https://ingest-c.westeurope.kusto.windows.net").azure_cli(),
            ["cluster_url", "https://c.westeurope.kusto.windows.net/"],
        ),
        (builder().cluster_url(CLUSTER), ["none was chosen", "managed_identity"]),
        (builder().cluster_url(CLUSTER).no_auth().azure_cli(), ["no_auth and azure_cli", "exactly one"]),
        (builder().cluster_url("http://c.westeurope.kusto.windows.net").azure_cli(), ["clear text", "https"]),
        (builder().cluster_url("https://evil.example").token("x"), ["evil.example", "trusted_host"]),
        (
            builder().cluster_url(CLUSTER).ingestion_url("https://evil.example").azure_cli(),
            ["evil.example", "no token goes there"],
        ),
        (builder().cluster_url(CLUSTER).token(" "), ["token", "empty"]),
        (builder().cluster_url(CLUSTER).application("", "k", "t"), ["application", "app_id"]),
        (builder().cluster_url(CLUSTER).application("i", "", "t"), ["application", "app_key"]),
        (builder().cluster_url(CLUSTER).application("i", "k", "a/b"), ["tenant", "a/b"]),
        (
            builder().cluster_url(CLUSTER).managed_identity_client_id(" "),
            ["managed_identity_client_id", "empty"],
        ),
        (
            builder().cluster_url(CLUSTER).azure_cli().query_timeout(Duration::from_secs(7200)),
            ["query_timeout", "7200s is out of range; allowed are 1s to 3600s"],
        ),
        (
            builder().cluster_url(CLUSTER).azure_cli().authority("http://login.example"),
            ["authority", "https"],
        ),
    ] {
        let text = refused(builder);
        for word in words {
            assert!(text.contains(word), "`{word}` is missing in: {text}");
        }
    }
}

#[test]
fn no_form_of_the_options_shows_a_secret() {
    let builder = ConnectionOptions::builder().cluster_url(CLUSTER).application("id", "s3cret", "tenant");
    let options = builder.clone().build().unwrap();
    let token = ConnectionOptions::builder().cluster_url(CLUSTER).token("s3cret").build().unwrap();
    let text = format!("{builder:?} {options:?} {token:?} {:?}", Token::new("s3cret"));
    assert!(!text.contains("s3cret") && text.contains("id"), "{text}");
}

#[test]
fn the_principal_is_named_as_commands_name_it() {
    let builder = || ConnectionOptions::builder().cluster_url(CLUSTER);
    let principal = |builder: ConnectionOptionsBuilder| builder.build().unwrap().principal();
    assert_eq!(principal(builder().application("id", "k", "t")), Some("aadapp=id;t".to_owned()));
    assert_eq!(principal(builder().managed_identity_client_id("mi")), Some("aadapp=mi".to_owned()));
    assert_eq!(principal(builder().azure_cli()), None);
    let provider = |_| async { Ok::<_, Infallible>(Token::new("t")) };
    assert_eq!(principal(builder().token_provider(provider)), None);
}
