//! What the other tests lean on.

use timely_kusto_tests::{Outside, Place, repository};

#[test]
fn python_and_node_have_the_packages_of_the_lists() {
    let Some(outside) = Outside::find() else { return };
    let place = Place::new();
    let python = "import azure.kusto.data, azure.kusto.ingest, pandas; print('here')";
    assert_eq!(place.start(outside.python().args(["-c", python])).wait().expect(0).stdout, "here\n");
    for package in ["azurite", "azure-kusto-data", "azure-kusto-ingest", "vega-datasets"] {
        assert!(outside.node_modules().join(package).join("package.json").is_file(), "{package} is missing");
    }
    let node = "process.stdout.write('here')";
    assert_eq!(place.start(outside.node().args(["-e", node])).wait().expect(0).stdout, "here");
}

#[test]
fn lists_of_packages_name_no_registry() {
    for file in ["package.json", "package-lock.json", "requirements.txt"] {
        let text = std::fs::read_to_string(repository().join("tests/outside").join(file)).unwrap();
        let host = text.lines().find(|line| line.contains("://") || line.contains("\"resolved\""));
        assert_eq!(host, None, "{file}; set omit-lockfile-registry-resolved=true and install again");
    }
    let python = std::fs::read_to_string(repository().join("tests/outside/requirements.txt")).unwrap();
    assert!(
        python.lines().all(|line| line.starts_with('#') || line.contains("==")),
        "every version is pinned"
    );
}
