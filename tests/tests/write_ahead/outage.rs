//! The service goes away and comes back: the epoch files take over up to their limit, then the source pauses, and it
//! goes on by itself; a line and the metrics say so.

use timely_kusto_tests::{Cluster, Metrics, Place, until};

use crate::support::*;

#[test]
fn while_the_service_is_away_metrics_and_a_line_say_so_and_it_goes_on_by_itself() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Away", 300).sink("log_bytes = \"8KiB\"");
    let config = config.sink("retry_backoff = \"10ms\"").sink("retry_max_backoff = \"200ms\"");
    let mut process = place.start_run(&config, &["-w", "2", "--metrics", "0"]);
    wait_for_rows(&mut process, &cluster, &config, 0);
    let before = until("metrics of a commit", || {
        let metrics = Metrics::of(&mut process)?;
        (metrics.value("commits_total") > 0.0 && metrics.value("rows_delivered_total") > 0.0)
            .then_some(metrics)
    });
    assert_eq!((before.value("running"), before.value("start")), (1.0, 1.0));
    assert_eq!(before.value("log_limit_bytes"), 8192.0);
    let bounds = ["committed_epoch", "staged_epoch", "sealed_epoch", "epoch"].map(|name| before.value(name));
    assert!(bounds.is_sorted(), "C ≤ S ≤ D ≤ what is read: {bounds:?}");

    cluster = cluster.kill_and_restart(&place, || {
        until("a stall, and a pause at the limit of the epoch files", || {
            let metrics = Metrics::of(&mut process)?;
            let paused = metrics.value("paused{reason=\"log\"}") == 1.0;
            (paused && metrics.value("stalled_since_seconds") > 1.7e9).then(|| {
                assert!(metrics.value("log_bytes") >= metrics.value("log_limit_bytes"), "{metrics:?}");
                assert!(metrics.value("open_epochs") > 0.0 && metrics.has("retries_total"), "{metrics:?}");
            })
        });
        until("the line", || {
            process.stderr().contains("rows are kept in epoch files until it does").then_some(())
        });
    });
    until("the end of the stall and of the pause, or of the run", || {
        if !process.runs() {
            return Some(());
        }
        let metrics = Metrics::of(&mut process)?;
        let goes_on =
            metrics.value("stalled_since_seconds") == 0.0 && metrics.value("paused{reason=\"log\"}") == 0.0;
        goes_on.then_some(())
    });
    let outcome = process.wait().expect(0);
    assert!(!outcome.json()["retry_causes"].as_array().unwrap().is_empty());
    holds_each_row_once(&cluster, &config);
}
