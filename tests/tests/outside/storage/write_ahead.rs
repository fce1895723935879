//! The write-ahead mode with storage on Azurite: blobs, messages and status rows that are not this project's.

use timely_kusto_tests::{
    Azurite, Cluster, Config, Outside, Place, assert_same_rows, rows_of, storms, until,
};

const ROWS: u64 = 1_500;

/// A pipeline with several epochs a second.
fn pipeline(cluster: &Cluster) -> Config {
    let mut config = Config::new(cluster.url()).storms(ROWS);
    config.checkpoint_interval = "100ms".into();
    config.source("partitions = 3").source("rate = 300").sink("mode = \"write-ahead\"")
}

#[test]
fn a_pipeline_that_is_killed_holds_each_row_once_with_storage_on_azurite() {
    let Some(outside) = Outside::find() else { return };
    let place = Place::new();
    let azurite = Azurite::start(&outside, &place);
    let cluster = Cluster::start_with(&place, &["--storage", &azurite.connection_string()]);
    let config = pipeline(&cluster);
    for workers in ["2", "3"] {
        let before = cluster.count("T");
        let mut process = place.start_run(&config, &["-w", workers]);
        until("rows in the table", || {
            assert!(process.runs(), "it ended too early: {}", process.stderr());
            (cluster.count("T") > before).then_some(())
        });
        process.kill();
    }
    place.run(&config, &["-w", "1"]).expect(0);
    assert_same_rows(&rows_of(&cluster.ask("T")), &storms(ROWS));
    let file = place.write_config(&config);
    let audit = place.command(&["audit", file.to_str().unwrap(), "--json"]).expect(0);
    assert_eq!(audit.number("promised_rows"), ROWS);
}
