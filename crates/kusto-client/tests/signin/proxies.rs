//! Proxies of the environment hold for every host; each is tried by a process of its own.

use std::process::Output;

use kusto_client::{Client, ConnectionOptions, ErrorKind, IngestionState, Service};
use tracing_subscriber::filter::LevelFilter;

use crate::double::Double;
use crate::proxy::{Manner, Proxy};
use crate::support::{blob, in_a_process_of_its_own, ingestion_into, printed};

const PASSWORD: &str = "me:pr0xy-s3cret";
const STORAGE: [&str; 3] = [
    "https://acct0.blob.storage.example",
    "https://acct0.queue.storage.example",
    "https://acct0.table.storage.example",
];

/// A double behind a proxy. It calls its storage by names of their own, as a cluster with private endpoints does.
async fn behind(manner: Manner) -> (Double, Proxy) {
    let double = Double::start().await;
    double.advertise(STORAGE);
    let target = double.url.trim_start_matches("http://").parse().unwrap();
    let proxy = Proxy::start(manner, target).await;
    (double, proxy)
}

/// Runs a test of this file with these variables; its process trusts the proxy's certificates.
async fn run(test: &'static str, proxy: &Proxy, variables: &[(&'static str, String)]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, &proxy.root).unwrap();
    let mut all = vec![("SSL_CERT_FILE", roots.to_str().unwrap().to_owned())];
    all.extend(variables.iter().cloned());
    in_a_process_of_its_own(test, all).await
}

fn options() -> kusto_client::ConnectionOptionsBuilder {
    ConnectionOptions::builder()
        .cluster_url("https://mycluster.westeurope.kusto.windows.net")
        .application("app-id", "app-k3y", "tenant-1")
}

#[tokio::test]
async fn every_host_is_reached_through_the_proxy_and_no_log_shows_its_password() {
    let (double, proxy) = behind(Manner::WithPassword(PASSWORD)).await;
    double.sign_in_at("https://login.microsoftonline.com", "https://kusto.kusto.windows.net");
    double.accept_token(1);
    let url = format!("http://{PASSWORD}@{}", proxy.address);
    let output = run("proxies::asks_every_host", &proxy, &[("HTTPS_PROXY", url)]).await;
    let text = printed(&output);
    assert!(output.status.success(), "{text}");
    let hosts = [
        "acct0.blob.storage.example:443",
        "acct0.queue.storage.example:443",
        "acct0.table.storage.example:443",
        "ingest-mycluster.westeurope.kusto.windows.net:443",
        "login.microsoftonline.com:443",
        "mycluster.westeurope.kusto.windows.net:443",
    ];
    assert_eq!(proxy.hosts(), hosts, "these, and none that was made up");
    assert_eq!(
        double.seen("/tenant-1/oauth2/v2.0/token").len(),
        1,
        "azure_identity's request came this way, too"
    );
    assert!(text.contains("TRACE"), "the log is in: {text}");
    for secret in ["pr0xy-s3cret", "app-k3y", "token-1", "secret0", "bWU6cHIweHktczNjcmV0"] {
        assert!(!text.contains(secret), "`{secret}` is shown");
    }
}

#[tokio::test]
#[ignore = "run by every_host_is_reached_through_the_proxy_and_no_log_shows_its_password"]
async fn asks_every_host() {
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).init();
    let client = Client::connect(options().build().unwrap()).unwrap();
    client.query("db", "print 7").await.unwrap();
    let stored = client.upload(blob("1,x\n")).await.unwrap();
    let ticket = client.queue(&ingestion_into("t"), &stored).await.unwrap();
    assert_eq!(client.status(&ticket).await.unwrap().state, IngestionState::Succeeded);
}

/// Data management behind a private endpoint of another name; a sovereign cloud; nothing is derived from anything.
#[tokio::test]
async fn hosts_are_those_that_options_and_cluster_name() {
    let (double, proxy) = behind(Manner::Open).await;
    double.sign_in_at("https://login.partner.example", "https://kusto.kusto.partner.example");
    let variables = [("https_proxy", format!("http://{}", proxy.address))];
    let output = run("proxies::asks_private_endpoints", &proxy, &variables).await;
    assert!(output.status.success(), "{}", printed(&output));
    let hosts = [
        "acct0.blob.storage.example:443",
        "acct0.queue.storage.example:443",
        "acct0.table.storage.example:443",
        "dm.private.example:443",
        "engine.private.example:8443",
        "login.partner.example:443",
    ];
    assert_eq!(proxy.hosts(), hosts);
    let asked = double.seen("/tenant-1/oauth2/v2.0/token")[0].text();
    assert!(asked.contains("scope=https%3A%2F%2Fkusto.kusto.partner.example%2F.default"), "{asked}");
}

#[tokio::test]
#[ignore = "run by hosts_are_those_that_options_and_cluster_name"]
async fn asks_private_endpoints() {
    let options = options()
        .cluster_url("https://engine.private.example:8443")
        .ingestion_url("https://dm.private.example")
        .trusted_host(".private.example");
    let client = Client::connect(options.build().unwrap()).unwrap();
    client.query("db", "print 7").await.unwrap();
    let stored = client.upload(blob("1,x\n")).await.unwrap();
    client.queue(&ingestion_into("t"), &stored).await.unwrap();
}

#[tokio::test]
async fn each_variable_names_a_proxy_and_no_proxy_names_exceptions() {
    let (_double, proxy) = behind(Manner::Open).await;
    let url = format!("http://{}", proxy.address);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let output = run("proxies::asks_the_cluster", &proxy, &[(name, url.clone())]).await;
        assert!(output.status.success(), "{name}: {}", printed(&output));
    }
    let socks = [("ALL_PROXY", format!("socks5h://{}", proxy.address))];
    let output = run("proxies::asks_the_cluster", &proxy, &socks).await;
    assert!(output.status.success(), "SOCKS: {}", printed(&output));
    for name in ["NO_PROXY", "no_proxy"] {
        let before = proxy.hosts().len();
        let variables = [("HTTPS_PROXY", url.clone()), (name, "other.example,.invalid".to_owned())];
        let output = run("proxies::does_not_reach_a_host_without_the_proxy", &proxy, &variables).await;
        assert!(output.status.success(), "{name}: {}", printed(&output));
        assert_eq!(proxy.hosts().len(), before, "{name}");
    }
}

#[tokio::test]
#[ignore = "run by each_variable_names_a_proxy_and_no_proxy_names_exceptions"]
async fn asks_the_cluster() {
    let options = ConnectionOptions::builder().cluster_url("https://mycluster.westeurope.kusto.windows.net");
    let client = Client::connect(options.token("t").build().unwrap()).unwrap();
    client.query("db", "print 7").await.unwrap();
}

#[tokio::test]
#[ignore = "run by each_variable_names_a_proxy_and_no_proxy_names_exceptions"]
async fn does_not_reach_a_host_without_the_proxy() {
    let options = ConnectionOptions::builder().cluster_url("https://cluster.invalid").no_auth();
    let client = Client::connect(options.build().unwrap()).unwrap();
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(!error.to_string().contains("by way of the proxy"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    for manner in [Manner::WithPassword("somebody:else"), Manner::Refusing(403), Manner::Refusing(407)] {
        let (_double, proxy) = behind(manner).await;
        let url = format!("http://{PASSWORD}@{}", proxy.address);
        let variables = [("HTTPS_PROXY", url.clone()), ("HTTP_PROXY", url)];
        let output = run("proxies::is_refused_by_the_proxy", &proxy, &variables).await;
        let text = printed(&output);
        assert!(output.status.success(), "{text}");
        let named = format!("by way of the proxy {} of HTTPS_PROXY", proxy.address);
        assert!(text.contains(&named), "`{named}` is missing in: {text}");
        assert!(!text.contains("pr0xy-s3cret"), "{text}");
    }
}

#[tokio::test]
#[ignore = "run by a_proxy_that_refuses_is_named_without_its_password"]
async fn is_refused_by_the_proxy() {
    let client = Client::connect(options().build().unwrap()).unwrap();
    let error = client.query("db", "print 7").await.unwrap_err();
    println!("{error} {error:?}");
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("user and password if it wants them"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_wants_a_password_for_plain_http_is_told_apart_from_the_cluster() {
    let (_double, proxy) = behind(Manner::Refusing(407)).await;
    let variables = [("HTTP_PROXY", format!("http://{}", proxy.address))];
    let output = run("proxies::is_refused_by_the_proxy_of_plain_http", &proxy, &variables).await;
    assert!(output.status.success(), "{}", printed(&output));
}

#[tokio::test]
#[ignore = "run by a_proxy_that_wants_a_password_for_plain_http_is_told_apart_from_the_cluster"]
async fn is_refused_by_the_proxy_of_plain_http() {
    let options = ConnectionOptions::builder().cluster_url("http://cluster.invalid").no_auth();
    let client =
        Client::connect(options.trusted_host(".invalid").trusted_host("cluster.invalid").build().unwrap());
    let error = client.unwrap().query("db", "print 7").await.unwrap_err();
    assert_eq!((error.kind(), error.http_status()), (ErrorKind::Unreachable, Some(407)), "{error}");
    assert!(error.to_string().contains("HTTP_PROXY"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_does_not_run_is_named() {
    let (_double, proxy) = behind(Manner::Open).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let variables = [("HTTPS_PROXY", format!("http://{closed}"))];
    let output = run("proxies::is_refused_by_the_proxy", &proxy, &variables).await;
    let text = printed(&output);
    assert!(output.status.success() && text.contains(&format!("by way of the proxy {closed}")), "{text}");
}

/// Plain http as well: absolute-form requests, each with the host that was meant.
#[tokio::test]
async fn plain_http_goes_through_its_proxy() {
    let (double, proxy) = behind(Manner::Open).await;
    double.advertise(["http://cluster.invalid:8080"; 3]);
    let variables = [("HTTP_PROXY", format!("http://{}", proxy.address))];
    let output = run("proxies::asks_a_cluster_over_http", &proxy, &variables).await;
    assert!(output.status.success(), "{}", printed(&output));
    let seen = double.seen("");
    for part in ["/v2/rest/query", "/v1/rest/mgmt", "/acct0/blobs", "/acct0/status", "/acct0/queue"] {
        assert!(seen.iter().any(|seen| seen.path.starts_with(part)), "{part} was not asked");
    }
    assert!(seen.iter().all(|seen| seen.host == "cluster.invalid"), "each came as a request to a proxy");
}

#[tokio::test]
#[ignore = "run by plain_http_goes_through_its_proxy"]
async fn asks_a_cluster_over_http() {
    let url = "http://cluster.invalid:8080";
    let options = ConnectionOptions::builder().cluster_url(url).ingestion_url(url).no_auth();
    let client = Client::connect(options.trusted_host("cluster.invalid").build().unwrap()).unwrap();
    client.query("db", "print 7").await.unwrap();
    let stored = client.upload(blob("1,x\n")).await.unwrap();
    let ticket = client.queue(&ingestion_into("t"), &stored).await.unwrap();
    assert_eq!(client.status(&ticket).await.unwrap().state, IngestionState::Succeeded);
}
