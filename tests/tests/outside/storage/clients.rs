//! The official clients for Python and Node see the same in the local cluster's storage as in Azurite.

use serde_json::{Value, json};
use timely_kusto_tests::{Azurite, Outside, Place, Process};

use kusto_emulator::Emulator;

/// Where a program's finding differs: its place, ours, Azurite's, and why.
type Difference = (&'static str, Value, Value, &'static str);

/// Runs a program against both and holds what it found against each other.
fn sees_the_same(run: impl Fn(&Outside, &Place, &str) -> Process, differences: &[Difference]) {
    let Some(outside) = Outside::find() else { return };
    let place = Place::new();
    let emulator = Emulator::builder().start().unwrap();
    let mut ours = run(&outside, &place, &emulator.storage_connection_strings()[0]).wait().expect(0).json();
    let azurite = Azurite::start(&outside, &place);
    let mut theirs = run(&outside, &place, &azurite.connection_string()).wait().expect(0).json();
    for (pointer, our, their, why) in differences {
        let take = |found: &mut Value| found.pointer_mut(pointer).map(Value::take);
        assert_eq!(take(&mut ours).as_ref(), Some(our), "{pointer} of ours: {why}");
        assert_eq!(take(&mut theirs).as_ref(), Some(their), "{pointer} of Azurite's: {why}");
        assert_ne!(our, their, "{pointer} is no difference");
    }
    for service in ["blobs", "queues", "tables"] {
        let findings = ours[service].as_object().unwrap();
        assert!(findings.len() >= 10, "{service} has findings: {findings:?}");
        for (step, finding) in findings {
            assert_eq!(finding, &theirs[service][step], "{service}: {step}");
        }
    }
    assert_eq!(ours, theirs);
}

#[test]
fn the_official_python_clients_see_the_same_as_in_azurite() {
    let run = |outside: &Outside, place: &Place, connection: &str| {
        outside.start_python(place, "storage", &[connection])
    };
    let differences = [
        (
            "/blobs/wrong key",
            json!([403, "AuthenticationFailed"]),
            json!([403, "AuthorizationFailure"]),
            "the service says AuthenticationFailed for a signature that does not match",
        ),
        (
            "/tables/sas",
            json!(["r1", "r3"]),
            json!(["r 4%+'x'", "r0", "r2", "r1", "r3"]),
            "Azurite does not hold queries to the range of keys in the signature",
        ),
    ];
    sees_the_same(run, &differences);
}

#[test]
fn the_official_node_clients_see_the_same_as_in_azurite() {
    let run = |outside: &Outside, place: &Place, connection: &str| {
        outside.start_node(place, "storage", &[connection])
    };
    let differences = [(
        "/blobs/nobody",
        json!([401, "NoAuthenticationInformation"]),
        json!([403, "AuthorizationFailure"]),
        "the service tells who has not signed at all",
    )];
    sees_the_same(run, &differences);
}
