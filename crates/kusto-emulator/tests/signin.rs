//! Each way to sign in, and each reason to be sent away.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use kusto_emulator::{Grant, ManagedIdentity};
use reqwest::Method;
use support::{Answer, Cluster};

const RESOURCE: &str = "https://kusto.kusto.windows.net";

fn start() -> Cluster {
    let cluster = Cluster::start_with(|options| options.sign_in(true));
    cluster.emulator.handle().add_app("reader", "secret", &[Grant::database("Samples", "users")]).unwrap();
    cluster
}

async fn ask(cluster: &Cluster, url: &str, id: &str, key: &str, scope: &str) -> Answer {
    let form =
        [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", key), ("scope", scope)];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    cluster.send(Method::POST, url, &[("content-type", "application/x-www-form-urlencoded")], body).await
}

async fn token(cluster: &Cluster) -> String {
    let answer =
        ask(cluster, cluster.emulator.token_url(), "reader", "secret", &format!("{RESOURCE}/.default")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        (answer.json()["token_type"].as_str(), answer.json()["expires_in"].as_u64()),
        (Some("Bearer"), Some(3600))
    );
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_application_gets_a_token_with_its_key_and_is_known_by_it() {
    let mut cluster = start();
    assert_eq!(cluster.command(".show tables").await.status, 401);
    cluster.token = Some(token(&cluster).await);
    assert_eq!(cluster.command(".show tables").await.status, 200);
    let principal = format!("aadapp=reader;{}", cluster.emulator.urls().tenant);
    let requests = cluster.emulator.handle().requests();
    assert!(
        requests.iter().any(|request| request.operation == ".show tables" && request.principal == principal)
    );
    let refused = cluster.command(".drop table T").await;
    assert_eq!(refused.status, 403, "a user is no admin");
    assert!(refused.text.contains(&principal), "{}", refused.text);
}

#[tokio::test]
async fn without_a_good_token_the_answer_is_401_with_a_challenge() {
    let mut cluster = start();
    let good = token(&cluster).await;
    for bad in [None, Some("nonsense".to_owned()), Some(format!("{good}x")), Some("a.b.c".to_owned())] {
        cluster.token = bad;
        let answer = cluster.command(".show tables").await;
        assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (401, "Bearer"));
    }
    cluster.token = Some(good);
    assert_eq!(cluster.command(".show tables").await.status, 200);
    cluster.clock.advance(Duration::from_secs(3600));
    assert_eq!(cluster.command(".show tables").await.status, 401, "expired");
}

#[tokio::test]
async fn revoked_tokens_are_worth_nothing_and_new_ones_are() {
    let mut cluster = start();
    cluster.token = Some(token(&cluster).await);
    let principal = format!("aadapp=reader;{}", cluster.emulator.urls().tenant);
    cluster.emulator.handle().revoke_tokens(&principal).unwrap();
    assert_eq!(cluster.command(".show tables").await.status, 401);
    cluster.token = Some(token(&cluster).await);
    assert_eq!(cluster.command(".show tables").await.status, 200);
}

#[tokio::test]
async fn the_token_endpoint_says_what_is_wrong_in_the_words_of_the_directory() {
    let cluster = start();
    let url = cluster.emulator.token_url().to_owned();
    let scope = format!("{RESOURCE}/.default");
    let elsewhere = url.replace(&cluster.emulator.urls().tenant, "other");
    let cases = [
        (url.as_str(), "nobody", "secret", scope.as_str(), 400, "unauthorized_client", 700_016),
        (&url, "reader", "wrong", &scope, 401, "invalid_client", 7_000_215),
        (&elsewhere, "reader", "secret", &scope, 400, "invalid_request", 90_002),
        (&url, "reader", "secret", "https://other/.default", 400, "invalid_resource", 500_011),
        (&url, "reader", "secret", RESOURCE, 400, "invalid_scope", 1_002_012),
    ];
    for (url, id, key, scope, status, error, number) in cases {
        let answer = ask(&cluster, url, id, key, scope).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (status, Some(error)));
        assert_eq!(answer.json()["error_codes"][0], number);
        assert!(
            !answer.text.contains("wrong") && !answer.text.contains("secret\""),
            "no key in {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_managed_identity_gets_a_token_by_the_form_of_app_service_and_of_a_machine() {
    let mut cluster = start();
    let handle = cluster.emulator.handle().clone();
    handle.grant(&handle.system_identity(), &[Grant::database("Samples", "viewers")]).unwrap();
    let assigned = ManagedIdentity {
        client_id: "c-1".to_owned(),
        object_id: "o-1".to_owned(),
        resource_id: Some("/subscriptions/s/identities/i".to_owned()),
    };
    handle.add_managed_identity(assigned, &[Grant::database("Samples", "viewers")]).unwrap();
    let app_service =
        format!("{}?api-version=2019-08-01&resource={RESOURCE}", cluster.emulator.urls().identity);
    let machine =
        cluster.url(&format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={RESOURCE}"));
    let header = ("x-identity-header", handle.identity_header());
    let asked = [
        (app_service.clone(), header),
        (format!("{app_service}&client_id=c-1"), header),
        (format!("{app_service}&principal_id=o-1"), header),
        (format!("{app_service}&mi_res_id=/subscriptions/s/identities/i"), header),
        (machine, ("metadata", "true")),
    ];
    for (url, header) in &asked {
        let answer = cluster.send(Method::GET, url, &[*header], "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.json()["expires_on"].as_str().unwrap().parse::<u64>().is_ok());
        cluster.token = Some(answer.json()["access_token"].as_str().unwrap().to_owned());
        assert_eq!(cluster.command(".show tables").await.status, 200, "{url}");
    }
    assert_eq!(cluster.send(Method::GET, &app_service, &[], "").await.status, 400, "the header is missing");
    let unknown = format!("{app_service}&client_id=c-2");
    assert_eq!(cluster.send(Method::GET, &unknown, &[header], "").await.status, 400);
}

#[tokio::test]
async fn the_metadata_needs_no_token_and_names_the_directory() {
    let cluster = start();
    let metadata = cluster.send(Method::GET, &cluster.url("/v1/rest/auth/metadata"), &[], "").await.json();
    let azure = metadata["AzureAD"].as_object().unwrap();
    assert_eq!(azure.len(), 6);
    assert_eq!(azure["LoginEndpoint"], cluster.emulator.cluster_url());
    assert_eq!(azure["KustoServiceResourceId"], RESOURCE);
    let authority = &cluster.emulator.urls().authority;
    let discovery = format!("{authority}/v2.0/.well-known/openid-configuration");
    let openid = cluster.send(Method::GET, &discovery, &[], "").await.json();
    assert_eq!(openid["token_endpoint"], cluster.emulator.token_url());
}

#[tokio::test]
async fn without_sign_in_everybody_may_do_everything_whatever_token_he_has() {
    let mut cluster = Cluster::start();
    assert_eq!(cluster.command(".create table U (n: long)").await.status, 200);
    cluster.token = Some("whatever".to_owned());
    assert_eq!(cluster.command(".drop table U").await.status, 200);
}

/// Presents an assertion instead of a key.
async fn assert_as(cluster: &Cluster, id: &str, assertion: &str) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", &format!("{RESOURCE}/.default")),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let url = cluster.emulator.token_url();
    cluster.send(Method::POST, url, &[("content-type", "application/x-www-form-urlencoded")], body).await
}

#[tokio::test]
async fn a_workload_gets_a_token_for_the_application_that_trusts_it_and_for_no_other() {
    let mut cluster = start();
    let handle = cluster.emulator.handle();
    let pod = "system:serviceaccount:default:loader";
    handle.add_federated("loader", pod, &[Grant::database("Samples", "users")]).unwrap();
    let answer = assert_as(&cluster, "loader", &handle.workload_token(pod)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    cluster.token = Some(answer.json()["access_token"].as_str().unwrap().to_owned());
    assert_eq!(cluster.command(".show tables").await.status, 200);

    let other = handle.workload_token("system:serviceaccount:default:other");
    let of_ours = handle.workload_token(pod);
    let cluster_token = cluster.token.clone().unwrap();
    for (id, assertion, code) in [
        ("loader", other.as_str(), "AADSTS700213"),
        ("reader", of_ours.as_str(), "AADSTS700213"),
        ("loader", cluster_token.as_str(), "AADSTS700211"),
        ("loader", "a.b.c", "AADSTS50027"),
        ("loader", "", "AADSTS50027"),
        ("nobody", of_ours.as_str(), "AADSTS700016"),
    ] {
        let answer = assert_as(&cluster, id, assertion).await;
        assert!(!answer.status.is_success() && answer.text.contains(code), "{id}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_key_that_has_expired_is_told_from_a_wrong_one() {
    let cluster = start();
    cluster.emulator.handle().expire_key("reader");
    let scope = format!("{RESOURCE}/.default");
    for (key, code) in [("secret", "AADSTS7000222"), ("wrong", "AADSTS7000215")] {
        let answer = ask(&cluster, cluster.emulator.token_url(), "reader", key, &scope).await;
        assert!(answer.status == 401 && answer.text.contains(code), "{}", answer.text);
    }
    cluster.emulator.handle().add_app("reader", "newer", &[]).unwrap();
    let answer = ask(&cluster, cluster.emulator.token_url(), "reader", "newer", &scope).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}
