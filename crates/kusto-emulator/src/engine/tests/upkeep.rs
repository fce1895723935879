use super::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn table() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    cluster.run(r#".ingest inline into table T with (tags='["ingest-by:1","free"]') <| 1"#);
    cluster
}

fn pass(cluster: &Cluster, time: Duration) {
    cluster.clock.advance(time);
    cluster.engine.upkeep().unwrap();
}

#[test]
fn retention_takes_extents_that_are_older_than_the_soft_delete_period_and_no_others() {
    let cluster = table();
    cluster.run(".alter-merge table T policy retention softdelete = 1d");
    pass(&cluster, DAY);
    assert_eq!(cluster.count("T"), 1, "never early");
    cluster.run(".ingest inline into table T <| 2");
    pass(&cluster, Duration::from_secs(60));
    assert_eq!(cluster.content("T"), json!([[2]]));
}

#[test]
fn tag_retention_forgets_tags_by_prefix_after_which_ingest_if_not_exists_no_longer_protects() {
    let cluster = table();
    let again =
        r#".ingest inline into table T with (tags='["ingest-by:1"]', ingestIfNotExists='["1"]') <| 1"#;
    assert!(cluster.refused(again).detail.contains("ingest-by:1"));
    let policy = r#"[{"TagPrefix":"ingest-by:","RetentionPeriod":"02:00:00"}]"#;
    cluster.run(&format!(".alter table T policy extent_tags_retention '{policy}'"));
    pass(&cluster, Duration::from_secs(7201));
    assert_eq!(column(&cluster.run(".show table T extents"), "Tags"), [json!("free")]);
    cluster.run(again);
    assert_eq!(cluster.count("T"), 2);
}

#[test]
fn auto_delete_drops_the_table_at_its_date_if_it_is_empty_or_may_be_dropped_with_rows() {
    for (with_rows, left) in [("false", 1), ("true", 0)] {
        let cluster = table();
        let policy = format!(r#"{{"ExpiryDate":"2026-01-02","DeleteIfNotEmpty":{with_rows}}}"#);
        cluster.run(&format!(".alter table T policy auto_delete '{policy}'"));
        pass(&cluster, DAY - Duration::from_secs(1));
        assert_eq!(cluster.tables().len(), 1);
        pass(&cluster, Duration::from_secs(1));
        assert_eq!(cluster.tables().len(), left);
    }
}
