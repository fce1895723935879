//! The official Java client (`kusto-data`, `kusto-ingest`), unmodified, against the local cluster.

use std::time::Duration;

use kusto_emulator::Emulator;
use timely_kusto_tests::{Outside, Place, ask, assert_same_rows, rows_of};

use super::inputs;

#[test]
fn files_arrive_status_is_told_by_table_and_queries_and_errors_are_understood() {
    let Some(outside) = Outside::find() else { return };
    let place = Place::new();
    let cluster =
        Emulator::builder().database("Samples").batching_time(Duration::from_millis(50)).start().unwrap();
    inputs::write(&place);
    let (csv, json) = (place.path().join("rows.csv"), place.path().join("rows.json"));
    let arguments = [cluster.cluster_url(), csv.to_str().unwrap(), json.to_str().unwrap()];
    let Some(mut java) = outside.start_java(&place, "Queued", &arguments) else { return };
    let said = java.wait().expect(0).stdout;
    let expected = "csv Succeeded\njson Succeeded\nmissing Failed\nquery 4 1.0E300\nerror true true\n";
    assert_eq!(said, expected);
    for table in ["Csv", "Json"] {
        assert_same_rows(&rows_of(&ask(cluster.cluster_url(), table)), &inputs::rows());
    }
}
