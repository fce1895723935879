use super::*;
use std::time::Duration;

fn shown(cluster: &Cluster, command: &str) -> Json {
    serde_json::from_str(column(&cluster.run(command), "Policy")[0].as_str().unwrap()).unwrap()
}

fn table() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    cluster
}

#[test]
fn a_policy_that_is_not_set_is_shown_as_null() {
    let cluster = table();
    let shown = cluster.run(".show table T policy ingestionbatching");
    assert_eq!(json_rows(&shown), json!([["IngestionBatchingPolicy", "[db].[T]", "null", "", "Table"]]));
    assert_eq!(column_names(&shown), ["PolicyName", "EntityName", "Policy", "ChildEntities", "EntityType"]);
}

#[test]
fn a_table_without_a_policy_has_the_databases_and_its_own_replaces_that_whole() {
    let cluster = table();
    let in_force = || cluster.engine.batching_policy("DB", "T");
    let set = || in_force().unwrap();
    assert_eq!(in_force(), None);
    cluster.run(r#".alter database db policy ingestionbatching '{"MaximumBatchingTimeSpan":"00:00:30","MaximumNumberOfItems":7}'"#);
    assert_eq!((set().time_span, set().items), (Duration::from_secs(30), 7));
    cluster.run(r#".alter table T policy ingestionbatching '{"MaximumNumberOfItems":1}'"#);
    assert_eq!((set().time_span, set().items), (Duration::from_secs(300), 1));
    cluster.run(".delete table T policy ingestionbatching");
    assert_eq!(set().items, 7);
}

#[test]
fn alter_merge_changes_the_fields_given() {
    let cluster = table();
    cluster.run(r#".alter table T policy merge '{"AllowMerge":false}'"#);
    cluster.run(r#".alter-merge table T policy merge '{"allowrebuild":false}'"#);
    let policy = shown(&cluster, ".show table T policy merge");
    assert_eq!((&policy["AllowMerge"], &policy["AllowRebuild"]), (&json!(false), &json!(false)));
    assert_eq!(policy["MaxExtentsToMerge"], json!(100));
}

#[test]
fn retention_streaming_and_caching_have_short_forms() {
    let cluster = table();
    cluster.run(".alter-merge table T policy retention softdelete = 1d recoverability = disabled");
    let expected = json!({"SoftDeletePeriod": "1.00:00:00", "Recoverability": "Disabled"});
    assert_eq!(shown(&cluster, ".show table T policy retention"), expected);
    cluster.run(".alter table T policy streamingingestion enable");
    assert!(cluster.engine.streaming_enabled("db", "T"));
    cluster.run(".alter table T policy caching hot = 3d");
    assert_eq!(shown(&cluster, ".show table T policy caching")["DataHotSpan"]["Value"], "3.00:00:00");
    cluster
        .run(r#".alter table T policy auto_delete @'{"ExpiryDate":"2026-12-31","DeleteIfNotEmpty":true}'"#);
    assert_eq!(shown(&cluster, ".show table T policy auto_delete")["DeleteIfNotEmpty"], json!(true));
}

#[test]
fn a_policy_out_of_range_is_refused_with_field_value_and_range() {
    let cluster = table();
    for (policy, parts) in [
        (
            r#"ingestionbatching '{"MaximumBatchingTimeSpan":"00:00:05"}'"#,
            ["MaximumBatchingTimeSpan", "10 to 1800"],
        ),
        (r#"ingestionbatching '{"MaximumNumberOfItems":0}'"#, ["MaximumNumberOfItems", "1 to 25000"]),
        (r#"ingestionbatching '{"MaximumRawDataSizeMB":5000}'"#, ["MaximumRawDataSizeMB", "100 to 4096"]),
        (r#"merge '{"AllowMurge":true}'"#, ["AllowMurge", "AllowMerge"]),
        (r#"retention '{"Recoverability":"maybe"}'"#, ["Recoverability", "Enabled or Disabled"]),
        ("colour '{}'", ["colour", "policy"]),
    ] {
        let error = cluster.refused(&format!(".alter table T policy {policy}"));
        assert!(parts.iter().all(|part| error.detail.contains(part)), "{policy}: {error}");
    }
}
