//! Every way to sign in that there is.

use std::collections::HashSet;
use std::convert::Infallible;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kusto_client::{Certificate, Client, ConnectionOptions, ConnectionOptionsBuilder, Service, Token};
use kusto_emulator::seed::Seed;
use kusto_emulator::{Emulator, Grant, ManagedIdentity};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use tracing_subscriber::filter::LevelFilter;

use crate::double::Double;
use crate::support::{in_a_process_of_its_own, printed};
use crate::{options, start_with};

pub const TENANT: &str = "contoso.example";

pub fn emulator() -> Emulator {
    Emulator::builder().database("db").sign_in(true).tenant(TENANT).seed(Seed::new(7)).start().unwrap()
}

pub fn rights() -> [Grant; 1] {
    [Grant::database("db", "viewers")]
}

pub fn client(
    emulator: &Emulator,
    auth: impl FnOnce(ConnectionOptionsBuilder) -> ConnectionOptionsBuilder,
) -> Client {
    let builder = auth(ConnectionOptions::builder().cluster_url(emulator.cluster_url()));
    Client::connect(builder.build().unwrap()).unwrap()
}

/// Asks something, and says as whom the cluster took the client.
async fn known_as(emulator: &Emulator, client: &Client) -> String {
    client.query("db", "print 1").await.unwrap();
    emulator.handle().requests().last().unwrap().principal.clone()
}

fn name(id: &str) -> String {
    format!("aadapp={id};{TENANT}")
}

/// An RSA key with its certificate: PEM of both, and the certificate in DER.
pub fn certificate() -> (String, Vec<u8>) {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let certificate =
        CertificateParams::new(vec!["app.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    (format!("{}{}", key.serialize_pem(), certificate.pem()), certificate.der().to_vec())
}

#[tokio::test]
async fn an_application_signs_in_with_its_key() {
    let emulator = emulator();
    emulator.handle().add_app("app-1", "key-1", &rights()).unwrap();
    let client = client(&emulator, |builder| builder.application("app-1", "key-1", TENANT));
    assert_eq!(known_as(&emulator, &client).await, name("app-1"));
}

#[tokio::test]
async fn an_application_signs_in_by_a_connection_string() {
    let emulator = emulator();
    emulator.handle().add_app("app-1", "key;1", &rights()).unwrap();
    let url = emulator.cluster_url().trim_end_matches('/');
    let text = format!("{url}/db;Fed=true;AppClientId=app-1;AppKey=\"key;1\";Authority Id={TENANT}");
    let client = Client::connect(ConnectionOptions::from_connection_string(text).unwrap()).unwrap();
    assert_eq!(client.options().database(), Some("db"));
    assert_eq!(known_as(&emulator, &client).await, name("app-1"));
}

#[tokio::test]
async fn an_application_signs_in_with_its_certificate() {
    let emulator = emulator();
    let (pem, der) = certificate();
    emulator.handle().add_certificate("app-1", &der, &rights()).unwrap();
    for certificate in
        [Certificate::from_pem(pem.clone()), Certificate::from_pem(pem.clone()).send_chain(true)]
    {
        let client =
            client(&emulator, |builder| builder.application_certificate("app-1", certificate, TENANT));
        assert_eq!(known_as(&emulator, &client).await, name("app-1"));
        assert_eq!(client.options().principal(), Some(name("app-1")));
    }
    let url = emulator.cluster_url();
    for blob in [pem.clone(), STANDARD.encode(pem)] {
        let text =
            format!("Data Source={url};AppClientId=app-1;Application Certificate Blob={blob};tid={TENANT}");
        let client = Client::connect(ConnectionOptions::from_connection_string(text).unwrap()).unwrap();
        assert_eq!(known_as(&emulator, &client).await, name("app-1"));
    }
}

#[tokio::test]
async fn a_certificate_renewed_in_its_file_is_used_at_the_next_sign_in() {
    let emulator = emulator();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.pem");
    let (old, old_der) = certificate();
    std::fs::write(&path, old).unwrap();
    let principal = emulator.handle().add_certificate("app-1", &old_der, &rights()).unwrap();
    let file = Certificate::from_file(&path);
    let client = client(&emulator, |builder| builder.application_certificate("app-1", file, TENANT));
    client.query("db", "print 1").await.unwrap();
    let (new, new_der) = certificate();
    std::fs::write(&path, new).unwrap();
    emulator.handle().revoke_tokens(&principal).unwrap();
    let error = client.query("db", "print 1").await.unwrap_err();
    assert!(error.to_string().contains("AADSTS700027"), "the new one is not registered yet: {error}");
    emulator.handle().add_certificate("app-1", &new_der, &[]).unwrap();
    client.query("db", "print 1").await.unwrap();
}

/// For a process of its own: shows what is logged, at the finest level.
fn log_everything() {
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).init();
}

/// Tokens and assertions begin like this: `{"` in base64.
fn assert_logged_without_tokens(output: &Output) {
    let text = printed(output);
    assert!(text.contains("TRACE"), "nothing was logged: {text}");
    let shown: Vec<_> = text.lines().filter(|line| line.contains("eyJ")).collect();
    assert!(shown.is_empty(), "{shown:?}");
}

const POD: &str = "system:serviceaccount:default:loader";

#[tokio::test]
async fn a_pod_signs_in_with_its_projected_token_which_is_read_anew() {
    let emulator = emulator();
    let principal = emulator.handle().add_federated("app-1", POD, &rights()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, emulator.handle().workload_token(POD)).unwrap();
    let client = client(&emulator, |builder| {
        builder.workload_identity_of(Some("app-1".into()), Some(TENANT.into()), Some(path.clone()))
    });
    assert_eq!(known_as(&emulator, &client).await, name("app-1"));
    assert_eq!(client.options().principal(), Some(name("app-1")));
    std::fs::write(&path, emulator.handle().workload_token("system:serviceaccount:default:other")).unwrap();
    emulator.handle().revoke_tokens(&principal).unwrap();
    let error = client.query("db", "print 1").await.unwrap_err().to_string();
    assert!(error.contains("AADSTS700213") && error.contains("issuer, subject and audience"), "{error}");
}

#[tokio::test]
async fn a_pod_signs_in_by_its_environment() {
    let emulator = emulator();
    emulator.handle().add_federated("app-1", POD, &rights()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, emulator.handle().workload_token(POD)).unwrap();
    let variables = vec![
        ("KUSTO_URL", emulator.cluster_url().to_owned()),
        ("AZURE_CLIENT_ID", "app-1".to_owned()),
        ("AZURE_TENANT_ID", TENANT.to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", path.to_str().unwrap().to_owned()),
    ];
    let output = in_a_process_of_its_own("methods::signs_in_as_the_pod_of_its_environment", variables).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert_logged_without_tokens(&output);
    let last = emulator.handle().requests().last().unwrap().clone();
    assert_eq!(last.principal, name("app-1"));
}

#[tokio::test]
#[ignore = "run by a_pod_signs_in_by_its_environment"]
async fn signs_in_as_the_pod_of_its_environment() {
    let url = std::env::var("KUSTO_URL").unwrap();
    log_everything();
    let options = ConnectionOptions::builder().cluster_url(url).workload_identity().build().unwrap();
    Client::connect(options).unwrap().query("db", "print 1").await.unwrap();
}

type Choose = fn(ConnectionOptionsBuilder) -> ConnectionOptionsBuilder;

const RESOURCE_ID: &str =
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i";

/// Each way to name a managed identity, the Flink connector's and the Kafka sink's included (a client id, or `system`),
/// and whether it names the system-assigned one.
fn identities() -> [(Choose, bool); 6] {
    [
        (|builder| builder.managed_identity(), true),
        (|builder| builder.managed_identity_client_id("system"), true),
        (|builder| builder.managed_identity_client_id("SYSTEM"), true),
        (|builder| builder.managed_identity_client_id("c-1"), false),
        (|builder| builder.managed_identity_object_id("o-1"), false),
        (|builder| builder.managed_identity_resource_id(RESOURCE_ID), false),
    ]
}

/// A cluster with both kinds of identity; the name of the system-assigned one.
fn emulator_with_identities() -> (Emulator, String) {
    let emulator = emulator();
    let system = emulator.handle().system_identity();
    emulator.handle().grant(&system, &rights()).unwrap();
    let assigned = ManagedIdentity {
        client_id: "c-1".into(),
        object_id: "o-1".into(),
        resource_id: Some(RESOURCE_ID.into()),
    };
    emulator.handle().add_managed_identity(assigned, &rights()).unwrap();
    (emulator, system)
}

#[tokio::test]
async fn managed_identities_of_a_virtual_machine_sign_in_by_every_name() {
    let (emulator, system) = emulator_with_identities();
    for (choose, is_system) in identities() {
        let client = client(&emulator, |builder| choose(builder).authority(emulator.cluster_url()));
        let expected = if is_system { system.clone() } else { name("c-1") };
        assert_eq!(known_as(&emulator, &client).await, expected);
    }
}

#[tokio::test]
async fn managed_identities_of_app_service_sign_in_by_every_name() {
    let (emulator, system) = emulator_with_identities();
    let variables = vec![
        ("KUSTO_URL", emulator.cluster_url().to_owned()),
        ("IDENTITY_ENDPOINT", emulator.urls().identity.clone()),
        ("IDENTITY_HEADER", emulator.handle().identity_header().to_owned()),
    ];
    let header = emulator.handle().identity_header();
    let output = in_a_process_of_its_own("methods::signs_in_as_identities_of_app_service", variables).await;
    assert!(output.status.success(), "{}", printed(&output));
    assert_logged_without_tokens(&output);
    assert!(!printed(&output).contains(header), "{}", printed(&output));
    let requests = emulator.handle().requests().into_iter().map(|request| request.principal);
    let known: Vec<_> = requests.filter(|principal| !principal.is_empty()).collect();
    let expected = identities().map(|(_, is_system)| if is_system { system.clone() } else { name("c-1") });
    assert_eq!(known, expected);
}

#[tokio::test]
#[ignore = "run by managed_identities_of_app_service_sign_in_by_every_name"]
async fn signs_in_as_identities_of_app_service() {
    log_everything();
    for (choose, _) in identities() {
        let url = std::env::var("KUSTO_URL").unwrap();
        let options = choose(ConnectionOptions::builder().cluster_url(url)).build().unwrap();
        Client::connect(options).unwrap().query("db", "print 1").await.unwrap();
    }
}

#[tokio::test]
async fn managed_identities_are_asked_under_the_names_of_their_endpoint() {
    let choices: [(Choose, &str); 4] = [
        (|builder| builder.managed_identity(), ""),
        (|builder| builder.managed_identity_client_id("c-1"), "client_id=c-1"),
        (|builder| builder.managed_identity_object_id("o-1"), "object_id=o-1"),
        (
            |builder| builder.managed_identity_resource_id("/subscriptions/r"),
            "msi_res_id=%2Fsubscriptions%2Fr",
        ),
    ];
    for (choose, part) in choices {
        let double = Double::start().await;
        let builder = choose(options(&double)).authority(&double.url);
        let client = Client::connect(builder.build().unwrap()).unwrap();
        double.accept_token(1);
        client.query("db", "print 7").await.unwrap();
        let request = &double.seen("/metadata/identity/oauth2/token")[0];
        assert!(request.query.contains(part), "{part} is missing in {}", request.query);
        assert!(request.query.contains("resource=https%3A%2F%2Fdouble.kusto"), "{}", request.query);
        assert_eq!(request.header("metadata"), "true");
    }
}

/// Stands for the Azure command line: answers as `az account get-access-token` does.
#[cfg(unix)]
const FAKE_AZ: &str = r#"#!/bin/sh
case "$*" in
  *"account get-access-token"*"https://double.kusto/.default"*"--tenant contoso.example"*)
    echo '{"accessToken": "token-of-another-tenant", "expires_on": 4102444800, "tokenType": "Bearer"}' ;;
  *"account get-access-token"*"https://double.kusto/.default"*)
    echo '{"accessToken": "token-of-az", "expires_on": 4102444800, "tokenType": "Bearer"}' ;;
  *) echo "unexpected: $*" >&2; exit 1 ;;
esac
"#;

#[cfg(unix)]
fn fake_az(text: &str) -> (tempfile::TempDir, String) {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let az = directory.path().join("az");
    std::fs::write(&az, text).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    (directory, path)
}

#[cfg(unix)]
#[tokio::test]
async fn the_azure_command_line_is_asked() {
    let (_directory, path) = fake_az(FAKE_AZ);
    let double = Double::start().await;
    let variables = vec![("PATH", path), ("KUSTO_DOUBLE", double.url.clone())];
    let output = in_a_process_of_its_own("methods::signs_in_by_the_azure_command_line", variables).await;
    assert!(output.status.success(), "{}", printed(&output));
    let queries = double.seen("/v2/rest/query");
    let tokens: Vec<_> = queries.iter().map(|seen| seen.header("authorization")).collect();
    assert_eq!(tokens, ["Bearer token-of-az", "Bearer token-of-another-tenant", "Bearer token-of-az"]);
}

#[tokio::test]
#[ignore = "run by the_azure_command_line_is_asked, with an `az` on its path"]
async fn signs_in_by_the_azure_command_line() {
    let url = std::env::var("KUSTO_DOUBLE").unwrap();
    let builder = || ConnectionOptions::builder().cluster_url(url.clone());
    for builder in [
        builder().azure_cli(),
        builder().azure_cli_in_tenant("contoso.example"),
        ConnectionOptions::builder().connection_string(format!("{url};Fed=true")),
    ] {
        Client::connect(builder.build().unwrap()).unwrap().query("db", "print 7").await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_the_azure_command_line_complains_of_is_passed_on() {
    let complaint = "#!/bin/sh\necho \"ERROR: Please run 'az login' to setup account.\" >&2\nexit 1\n";
    let (_directory, path) = fake_az(complaint);
    let double = Double::start().await;
    let variables = vec![("PATH", path), ("KUSTO_DOUBLE", double.url.clone())];
    let output = in_a_process_of_its_own("methods::signs_in_by_the_azure_command_line", variables).await;
    let printed = printed(&output);
    assert!(!output.status.success() && printed.contains("Please run 'az login'"), "{printed}");
}

#[tokio::test]
async fn a_token_that_is_given_is_sent_as_it_is() {
    let (double, client) = start_with(|builder| builder.token("given")).await;
    client.query("db", "print 7").await.unwrap();
    assert_eq!(double.seen("/v2/rest/query")[0].header("authorization"), "Bearer given");
    assert!(double.seen("auth/metadata").is_empty(), "nobody has to be asked");
}

#[tokio::test]
async fn without_sign_in_no_token_is_sent_and_nobody_is_asked_how() {
    let (double, client) = start_with(|builder| builder.no_auth()).await;
    client.query("db", "print 7").await.unwrap();
    assert_eq!(double.seen("/v2/rest/query")[0].header("authorization"), "");
    assert_eq!(double.seen("").len(), 1);
}

#[tokio::test]
async fn callbacks_are_given_the_scope_and_asked_again_when_their_token_is_refused() {
    let calls = Arc::new(AtomicUsize::new(0));
    let scopes = Arc::new(Mutex::new(HashSet::new()));
    let (counter, seen) = (Arc::clone(&calls), Arc::clone(&scopes));
    let (double, client) = start_with(move |builder| {
        let (counter, seen) = (Arc::clone(&counter), Arc::clone(&seen));
        builder.token_provider(move |scope| {
            seen.lock().unwrap().insert(scope);
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            async move { Ok::<_, Infallible>(Token::new(format!("token-{number}"))) }
        })
    })
    .await;
    double.accept_token(2);
    client.query("db", "print 7").await.unwrap();
    client.command("db", ".show tables").await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(scopes.lock().unwrap().iter().collect::<Vec<_>>(), ["https://double.kusto/.default"]);
}

/// Sovereign clouds differ in where to sign in and for what; the cluster says both.
#[tokio::test]
async fn the_metadata_of_the_cluster_say_where_to_sign_in_and_for_what() {
    let (double, client) = start_with(|builder| builder.application("app-id", "k", "tenant-1")).await;
    let login = Double::start().await;
    double.sign_in_at(&login.url, "https://kusto.kusto.chinacloudapi.cn");
    client.query("db", "print 7").await.unwrap();
    assert!(double.seen("oauth2").is_empty());
    let asked = &login.seen("/tenant-1/oauth2/v2.0/token")[0];
    assert!(
        asked.text().contains("scope=https%3A%2F%2Fkusto.kusto.chinacloudapi.cn%2F.default"),
        "{}",
        asked.text()
    );
}
