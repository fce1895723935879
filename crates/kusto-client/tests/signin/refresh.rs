//! One token for all who need it, and a fresh one when the service refuses it. Refreshing ahead of expiry is in the unit
//! tests of the cache and of the tokens, on a clock that the tests move.

use futures::future::join_all;
use kusto_client::{Effect, ErrorKind, Service};

use crate::start_with;

#[tokio::test]
async fn many_who_ask_at_once_sign_in_once() {
    let (double, client) = start_with(|builder| builder.application("app-id", "app-key", "tenant-1")).await;
    double.accept_token(1);
    let answers = join_all((0..8).map(|_| client.query("db", "print 7"))).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    let requests = double.seen("/tenant-1/oauth2/v2.0/token");
    assert_eq!(requests.len(), 1);
    let form = requests[0].text();
    assert!(form.contains("client_id=app-id") && form.contains("client_secret=app-key"), "{form}");
    assert!(form.contains("scope=https%3A%2F%2Fdouble.kusto%2F.default"), "{form}");
    assert_eq!(double.seen("auth/metadata").len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (double, client) = start_with(|builder| builder.application("app-id", "app-key", "tenant")).await;
    client.query("db", "print 7").await.unwrap();
    double.accept_token(2);
    client.query("db", "print 7").await.unwrap();
    assert_eq!(double.seen("oauth2").len(), 2);
    double.accept_token(99);
    let queries = double.seen("/v2/rest/query").len();
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::SignIn, Effect::None));
    assert_eq!(double.seen("oauth2").len(), 3, "one fresh token, not one after the other");
    assert_eq!(double.seen("/v2/rest/query").len(), queries + 2, "one request more, not one after the other");
    assert!(error.to_string().contains("Check the tenant"), "{error}");
}

#[tokio::test]
async fn many_whose_token_is_refused_at_once_share_one_fresh_one() {
    let (double, client) = start_with(|builder| builder.application("app-id", "app-key", "tenant")).await;
    client.query("db", "print 7").await.unwrap();
    double.accept_token(2);
    for answer in join_all((0..8).map(|_| client.query("db", "print 7"))).await {
        answer.unwrap();
    }
    assert_eq!(double.seen("oauth2").len(), 2);
}

#[tokio::test]
async fn a_token_that_nothing_can_refresh_is_not_sent_twice() {
    let (double, client) = start_with(|builder| builder.token("given")).await;
    double.accept_token(1);
    let error = client.query("db", "print 7").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignIn);
    assert_eq!(double.seen("/v2/rest/query").len(), 1);
}
