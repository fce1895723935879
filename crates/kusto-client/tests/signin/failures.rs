//! What is said when a sign-in fails: what, where, why, and what to do.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use kusto_client::{Certificate, Effect, Error, ErrorKind, Service, Token};
use serde_json::json;

use crate::double::{Order, answer};
use crate::methods::{TENANT, certificate, client, emulator, rights};
use crate::start_with;
use crate::support::{in_a_process_of_its_own, printed};

fn assert_says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert_eq!((error.kind(), error.effect()), (kind, Effect::None), "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
    assert!(text.lines().count() <= 4, "it fits on a screen: {text}");
}

#[tokio::test]
async fn each_refusal_of_an_application_says_what_to_mend() {
    let emulator = emulator();
    let handle = emulator.handle();
    handle.add_app("app-1", "key-1", &rights()).unwrap();
    handle.add_app("app-old", "key-old", &rights()).unwrap();
    handle.expire_key("app-old");
    let (pem, _) = certificate();
    let host = emulator.cluster_url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    for (id, key, tenant, words) in [
        ("app-1", "wrong", TENANT, ["application app-1", "AADSTS7000215", "secret's value, not its id"]),
        ("app-old", "key-old", TENANT, ["application app-old", "AADSTS7000222", "has expired"]),
        ("app-2", "key-1", TENANT, ["application app-2", "AADSTS700016", "Check application id and tenant"]),
        ("app-1", "key-1", "fabrikam.example", ["fabrikam.example", "AADSTS90002", "no such tenant"]),
    ] {
        let client = client(&emulator, |builder| builder.application(id, key, tenant));
        let error = client.query("db", "print 1").await.unwrap_err();
        assert_says(&error, ErrorKind::SignIn, &words);
        assert_says(&error, ErrorKind::SignIn, &[host.as_str(), "could not sign in"]);
        assert!(!error.to_string().contains("Credential authentication failed"), "{error}");
    }
    let unknown = Certificate::from_pem(pem);
    let client = client(&emulator, |builder| builder.application_certificate("app-1", unknown, TENANT));
    let error = client.query("db", "print 1").await.unwrap_err();
    assert_says(&error, ErrorKind::SignIn, &["AADSTS700027", "Upload it for the application"]);
}

#[tokio::test]
async fn sign_in_errors_keep_the_key() {
    let (double, client) = start_with(|builder| builder.application("app-id", "app-k3y", "tenant")).await;
    let refusal = json!({"error": "invalid_client", "error_codes": [7000215],
        "error_description": "AADSTS7000215: Invalid client secret provided: 'app-k3y'."});
    double.order("oauth2", answer(401, refusal.to_string()));
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_says(&error, ErrorKind::SignIn, &["AADSTS7000215", "secret's value, not its id"]);
    assert!(!format!("{error} {error:?}").contains("app-k3y"), "{error:?}");
}

#[tokio::test]
async fn an_identity_that_the_machine_does_not_have_is_named() {
    let emulator = emulator();
    let client = client(&emulator, |builder| {
        builder.managed_identity_client_id("c-9").authority(emulator.cluster_url())
    });
    let error = client.query("db", "print 1").await.unwrap_err();
    assert_says(&error, ErrorKind::SignIn, &["client id c-9", "has this identity"]);
}

/// Azure Arc has managed identities of a kind that `azure_identity` does not know.
#[tokio::test]
async fn a_platform_whose_identities_are_not_known_is_named() {
    let variables = vec![
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/metadata/identity/oauth2/token".to_owned()),
        ("IMDS_ENDPOINT", "http://127.0.0.1:1".to_owned()),
    ];
    let output = in_a_process_of_its_own("failures::signs_in_on_azure_arc", variables).await;
    assert!(output.status.success(), "{}", printed(&output));
}

#[tokio::test]
#[ignore = "run by a_platform_whose_identities_are_not_known_is_named"]
async fn signs_in_on_azure_arc() {
    let (_double, client) = start_with(|builder| builder.managed_identity()).await;
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_says(&error, ErrorKind::SignIn, &["Azure Arc", "token_provider"]);
}

#[tokio::test]
async fn a_callback_that_fails_is_quoted() {
    let (_double, client) =
        start_with(|builder| builder.blocking_token_provider(|_| Err::<Token, _>("the vault is locked")))
            .await;
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_says(&error, ErrorKind::SignIn, &["the vault is locked", "token_provider"]);
}

#[tokio::test]
async fn a_token_file_that_is_not_there_is_named() {
    let (_double, client) = start_with(|builder| {
        builder.workload_identity_of(Some("a".into()), Some("t".into()), Some("/no/such/token".into()))
    })
    .await;
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_says(&error, ErrorKind::SignIn, &["/no/such/token", "service account"]);
}

/// The `Date` of a service whose clock is an hour before this machine's: this machine is ahead.
fn an_hour_ago() -> String {
    let time = Timestamp::try_from(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_told_where_tokens_are_refused_for_it() {
    let (double, client) = start_with(|builder| builder.application("app-id", "k", "tenant")).await;
    let refusal = json!({"error": "invalid_client", "error_codes": [700024],
        "error_description": "AADSTS700024: Client assertion is not within its valid time range."});
    double.order("oauth2", Order::Answer(401, vec![("date", an_hour_ago())], refusal.to_string()));
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_says(
        &error,
        ErrorKind::SignIn,
        &["AADSTS700024", "The clock of this machine is 1 h 0 min ahead of"],
    );

    double.accept_token(99);
    let dated = || Order::Answer(401, vec![("date", an_hour_ago())], String::new());
    double.order("/v2/rest/query", dated());
    double.order("/v2/rest/query", dated());
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_says(&error, ErrorKind::SignIn, &["The clock of this machine is 1 h 0 min ahead of", "set it"]);
}

/// The end of an application's token is told as a number of seconds, and so does not hang on this machine's clock: a
/// token service an hour behind changes nothing.
#[tokio::test]
async fn a_clock_that_is_an_hour_off_does_not_shorten_or_lengthen_a_token() {
    let (double, client) = start_with(|builder| builder.application("app-id", "k", "tenant")).await;
    let token = json!({"access_token": "token-1", "token_type": "Bearer", "expires_in": 3600});
    double.order("oauth2", Order::Answer(200, vec![("date", an_hour_ago())], token.to_string()));
    double.accept_token(1);
    for _ in 0..3 {
        client.query("db", "print 7").await.unwrap();
    }
    assert_eq!(double.seen("oauth2").len(), 1);
}

#[tokio::test]
async fn a_managed_identitys_token_that_seems_over_for_a_wrong_clock_is_used_nonetheless() {
    let double = crate::double::Double::start().await;
    let builder = crate::options(&double).managed_identity().authority(&double.url);
    let client = kusto_client::Client::connect(builder.build().unwrap()).unwrap();
    let soon = Timestamp::try_from(SystemTime::now() - Duration::from_secs(1800)).unwrap().as_second();
    let token = json!({"access_token": "token-1", "token_type": "Bearer", "resource": "r",
        "expires_on": soon.to_string()});
    let order = Order::Answer(200, vec![("date", an_hour_ago())], token.to_string());
    double.order("/metadata/identity", order);
    double.accept_token(1);
    for _ in 0..3 {
        client.query("db", "print 7").await.unwrap();
    }
    assert_eq!(double.seen("/metadata/identity").len(), 1, "half an hour is left of it, by their clock");
}
