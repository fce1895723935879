//! What insists on https: status by table with the Node client, sign-in by application key with the clients' own libraries;
//! and our command over https.

use std::path::Path;
use std::time::Duration;

use kusto_emulator::{Emulator, EmulatorBuilder, Grant};
use serde_json::json;
use timely_kusto_tests::{Config, Outside, Place, command};

/// Microsoft's libraries ask a directory on the internet whether an authority may be trusted, unless it is one of its own or
/// this path says that it is an AD FS, which has no such directory.
const TENANT: &str = "adfs";

fn cluster() -> EmulatorBuilder {
    Emulator::builder().database("Samples").tls(true).batching_time(Duration::from_millis(50))
}

fn cluster_with_sign_in() -> Emulator {
    let cluster = cluster().sign_in(true).tenant(TENANT).start().unwrap();
    cluster.handle().command("Samples", ".create table T (x: long)").unwrap();
    let grants = [Grant::database("Samples", "users"), Grant::table("Samples", "T", "ingestors")];
    cluster.handle().add_app("app-1", "key-1", &grants).unwrap();
    cluster
}

fn trusting(cluster: &Emulator) -> Option<Outside> {
    Outside::find().map(|outside| outside.trusting(cluster.ca_file().unwrap()))
}

#[test]
fn the_node_client_reports_by_table() {
    let (place, cluster) = (Place::new(), cluster().start().unwrap());
    let Some(outside) = trusting(&cluster) else { return };
    let found = outside.start_node(&place, "status", &[cluster.cluster_url()]).wait().expect(0).json();
    let good = &found["table"]["good"];
    assert_eq!((&good["Status"], &good["Table"]), (&json!("Succeeded"), &json!("Told")), "{found}");
    assert_eq!(good["sources"][0], good["sources"][1], "{found}");
    let missing = &found["table"]["missing"];
    let fields = (&missing["Status"], &missing["ErrorCode"], &missing["FailureStatus"]);
    assert_eq!(
        fields,
        (&json!("Failed"), &json!("BadRequest_TableNotExist"), &json!("Permanent")),
        "{found}"
    );
}

#[test]
fn the_python_client_signs_in_by_application_key() {
    let (place, cluster) = (Place::new(), cluster_with_sign_in());
    let Some(outside) = trusting(&cluster) else { return };
    let arguments = [cluster.cluster_url(), TENANT, "app-1", "key-1", "key-2"];
    let found = outside.start_python(&place, "application", &arguments).wait().expect(0).json();
    assert_eq!((&found["who"], &found["rows"]), (&json!("aadapp=app-1;adfs"), &json!(2)));
    assert!(found["refused"].as_str().unwrap().contains("invalid_client"), "{found}");
}

#[test]
fn the_node_client_signs_in_by_application_key() {
    let (place, cluster) = (Place::new(), cluster_with_sign_in());
    let Some(outside) = trusting(&cluster) else { return };
    let arguments = [cluster.cluster_url(), TENANT, "app-1", "key-1", "key-2"];
    let found = outside.start_node(&place, "application", &arguments).wait().expect(0).json();
    assert_eq!(found["who"], "aadapp=app-1;adfs");
    assert!(found["refused"].as_str().unwrap().contains("invalid_client"), "{found}");
}

fn run(place: &Place, cluster: &Emulator, trusted: Option<&Path>) -> timely_kusto_tests::Outcome {
    let rows = place.write("rows.csv", "name,n\na,1\nb,2\n");
    let config = place.write_config(&Config::new(cluster.cluster_url()).file(rows));
    let mut command = command();
    trusted.map(|file| command.env("SSL_CERT_FILE", file));
    place.start(command.args(["run", "--report", "json"]).arg(config)).wait()
}

#[test]
fn our_command_works_over_https_when_it_trusts_the_certificate_and_not_before() {
    let (place, cluster) = (Place::new(), cluster().start().unwrap());
    run(&place, &cluster, None).refused(1, &["certificate"]);
    assert_eq!(run(&place, &cluster, cluster.ca_file()).expect(0).number("rows_delivered"), 2);
}

#[test]
fn the_certificate_is_the_same_at_every_start_with_a_data_directory_and_gone_without() {
    let place = Place::new();
    let data = place.path().join("data");
    let certificate = || {
        let cluster = cluster().data_dir(&data).start().unwrap();
        std::fs::read(cluster.ca_file().unwrap()).unwrap()
    };
    assert_eq!(certificate(), certificate());
    let passing = cluster().start().unwrap();
    let file = passing.ca_file().unwrap().to_owned();
    assert!(file.exists());
    passing.shutdown();
    assert!(!file.exists());
}
