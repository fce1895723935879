//! Tokens and rows go to no host that nobody vouched for.

use kusto_client::{Client, ConnectionOptions, ErrorKind, Token};

#[tokio::test]
async fn a_token_for_a_host_that_is_not_trusted_is_not_even_fetched() {
    let error = ConnectionOptions::builder()
        .cluster_url("https://kusto.evil.example")
        .token_provider(|_| async { Err::<Token, _>("must not be asked") })
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UntrustedHost);
}

#[test]
fn rows_do_not_cross_a_network_in_clear_text_unless_the_host_is_named() {
    let builder = || ConnectionOptions::builder().cluster_url("http://kustainer:8080").no_auth();
    let error = builder().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    let text = error.to_string();
    assert!(text.contains("kustainer") && text.contains("trusted_hosts"), "{text}");
    let options = builder().trusted_host("kustainer").ingestion_url("http://kustainer:8080").build().unwrap();
    Client::connect(options).unwrap();
    let signed = ConnectionOptions::builder().cluster_url("http://kustainer:8080").token("t");
    let error = signed.trusted_host("kustainer").build().unwrap_err();
    assert!(error.to_string().contains("a token would cross the network in clear text"), "{error}");
}
