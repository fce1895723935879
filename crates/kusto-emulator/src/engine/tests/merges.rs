use super::*;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn table() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    cluster
}

fn ingest(cluster: &Cluster, tags: &str, rows: &str) {
    cluster.run(&format!(".ingest inline into table T with (tags='{tags}') <|\n{rows}"));
}

/// Tags of the extents.
fn tags(cluster: &Cluster) -> Vec<Json> {
    column(&cluster.run(".show table T extents"), "Tags")
}

#[test]
fn extents_without_tags_are_merged_after_an_hour_into_one_with_a_new_id_and_all_rows() {
    let cluster = table();
    for row in ["1", "2", "3"] {
        ingest(&cluster, "[]", row);
    }
    let before = cluster.extents("T");
    cluster.clock.advance(HOUR - Duration::from_secs(1));
    cluster.engine.upkeep().unwrap();
    assert_eq!(cluster.extents("T"), before, "too early");
    cluster.clock.advance(Duration::from_secs(1));
    cluster.engine.upkeep().unwrap();
    let after = cluster.extents("T");
    assert_eq!(after.len(), 1);
    assert!(!before.contains(&after[0]));
    assert_eq!(cluster.content("T"), json!([[1], [2], [3]]));
}

#[test]
fn free_tags_unite_and_only_equal_sets_of_drop_by_tags_are_merged() {
    let cluster = table();
    for tags in
        [r#"["kt:1","drop-by:x"]"#, r#"["kt:2","drop-by:x"]"#, r#"["kt:3"]"#, r#"["drop-by:x","drop-by:y"]"#]
    {
        ingest(&cluster, tags, "1");
    }
    assert_eq!(cluster.engine.merge(None, None).unwrap(), 1);
    let mut tags = tags(&cluster);
    tags.sort_by_key(Json::to_string);
    assert_eq!(tags, [json!("drop-by:x\r\ndrop-by:y"), json!("kt:1\r\ndrop-by:x\r\nkt:2"), json!("kt:3")]);
}

#[test]
fn nothing_is_merged_where_the_policy_allows_neither_merge_nor_rebuild() {
    let cluster = table();
    ingest(&cluster, "[]", "1");
    ingest(&cluster, "[]", "2");
    cluster.run(r#".alter-merge table T policy merge '{"AllowMerge":false,"AllowRebuild":false}'"#);
    assert_eq!(cluster.engine.merge(None, None).unwrap(), 0);
    cluster.run(r#".alter-merge table T policy merge '{"AllowRebuild":true}'"#);
    assert_eq!(cluster.engine.merge(None, None).unwrap(), 1);
}

#[test]
fn merges_stay_within_rows_extents_and_range_of_the_policy() {
    let cluster = table();
    cluster.run(r#".alter table T policy merge '{"MaxExtentsToMerge":2,"RowCountUpperBoundForMerge":3}'"#);
    for rows in ["1", "2", "3", "4\n5\n6", "7"] {
        ingest(&cluster, "[]", rows);
    }
    cluster.clock.advance(25 * HOUR);
    ingest(&cluster, "[]", "8");
    assert_eq!(cluster.engine.merge(None, None).unwrap(), 1);
    let counts = column(&cluster.run(".show table T extents"), "RowCount");
    assert_eq!(counts.iter().filter_map(Json::as_u64).sum::<u64>(), 8);
    assert_eq!(
        counts.len(),
        5,
        "only the first two: three rows are too many, and a day lies before the last"
    );
}

#[test]
fn a_merged_extent_spans_the_creation_times_of_its_sources_and_rows_keep_their_ingestion_times() {
    let cluster = table();
    ingest(&cluster, "[]", "1\n2");
    cluster.clock.advance(HOUR);
    ingest(&cluster, "[]", "3");
    let times = |cluster: &Cluster| {
        let context = cluster.context(&cluster.caller);
        let query = "T | extend at = ingestion_time() | project a, at | order by a asc";
        json_rows(&cluster.engine.query(&context, "db", query, &RequestProperties::default()).unwrap()[0])
    };
    let before = times(&cluster);
    assert_eq!(cluster.engine.merge(Some("DB"), Some("T")).unwrap(), 1);
    assert_eq!(times(&cluster), before);
    assert_ne!(before[0][1], before[2][1]);
    let shown = cluster.run(".show table T extents");
    assert_eq!(column(&shown, "MinCreatedOn"), [json!("2026-01-01T00:00:00.0000000Z")]);
    assert_eq!(column(&shown, "MaxCreatedOn"), [json!("2026-01-01T01:00:00.0000000Z")]);
}

#[test]
fn a_column_that_a_source_does_not_have_is_empty_in_the_merged_extent() {
    let cluster = table();
    ingest(&cluster, "[]", "1");
    cluster.run(".alter-merge table T (b:string)");
    ingest(&cluster, "[]", "2,x");
    cluster.engine.merge(None, None).unwrap();
    assert_eq!(cluster.content("T"), json!([[1, ""], [2, "x"]]));
}

#[test]
fn merges_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = Cluster::open(Some(directory.path()), Access::Open).unwrap();
    cluster.run(".create table T (a:long)");
    ingest(&cluster, "[]", "1");
    ingest(&cluster, "[]", "2");
    cluster.engine.merge(None, None).unwrap();
    let merged = cluster.extents("T");
    drop(cluster);
    let cluster = Cluster::open(Some(directory.path()), Access::Open).unwrap();
    assert_eq!(cluster.extents("T"), merged);
    assert_eq!(cluster.content("T"), json!([[1], [2]]));
}

#[test]
fn merges_on_demand_leave_the_clock_without_effect() {
    let cluster = table();
    cluster.engine.assume(Assumptions { merges: crate::Merges::OnDemand, ..Assumptions::default() });
    ingest(&cluster, "[]", "1");
    ingest(&cluster, "[]", "2");
    cluster.clock.advance(2 * HOUR);
    cluster.engine.upkeep().unwrap();
    assert_eq!(cluster.extents("T").len(), 2);
}
