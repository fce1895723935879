use super::*;
use crate::engine::policy::PolicyKind;
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

#[test]
fn every_policy_of_a_table_is_its_own_or_its_databases() {
    for (kind, own, inherited) in [
        (PolicyKind::IngestionBatching, r#"{"MaximumNumberOfItems":7}"#, r#"{"MaximumNumberOfItems":9}"#),
        (PolicyKind::StreamingIngestion, r#"{"IsEnabled":true}"#, r#"{"IsEnabled":false}"#),
        (
            PolicyKind::Retention,
            r#"{"SoftDeletePeriod":"1.00:00:00"}"#,
            r#"{"SoftDeletePeriod":"2.00:00:00"}"#,
        ),
        (PolicyKind::Merge, r#"{"MaxExtentsToMerge":3}"#, r#"{"MaxExtentsToMerge":4}"#),
        (PolicyKind::Caching, r#"{"DataHotSpan":"1.00:00:00"}"#, r#"{"DataHotSpan":"2.00:00:00"}"#),
        (PolicyKind::IngestionTime, r#"{"IsEnabled":true}"#, r#"{"IsEnabled":false}"#),
        (PolicyKind::Sharding, r#"{"MaxRowCount":1}"#, r#"{"MaxRowCount":2}"#),
        (PolicyKind::Encoding, r#"{"MaxValueSize":5}"#, r#"{"MaxValueSize":6}"#),
        (PolicyKind::ExtentTagsRetention, r#"[{"TagPrefix":"a"}]"#, r#"[{"TagPrefix":"b"}]"#),
    ] {
        let cluster = table();
        let in_force = || {
            let state = cluster.engine.snapshot();
            let database = state.database("db").unwrap();
            let table = database.table("T").unwrap();
            state.policy(database, Some(table), kind).cloned()
        };
        let holds = |given: &str| {
            let (found, given) = (in_force().unwrap(), serde_json::from_str::<Json>(given).unwrap());
            match given.as_object() {
                Some(fields) => fields.iter().all(|(name, value)| found[name] == *value),
                None => found == given,
            }
        };
        let word = kind.word();
        assert_eq!(in_force(), None, "{word}");
        cluster.run(&format!(".alter database db policy {word} '{inherited}'"));
        assert!(holds(inherited), "{word}: {:?}", in_force());
        cluster.run(&format!(".alter table T policy {word} '{own}'"));
        assert!(holds(own), "{word}: {:?}", in_force());
        cluster.run(&format!(".delete table T policy {word}"));
        assert!(holds(inherited), "{word}: {:?}", in_force());
    }
}

#[test]
fn the_cluster_has_policies_of_caching_and_managed_identities_and_no_others() {
    let cluster = table();
    assert_eq!(
        json_rows(&cluster.run(".show cluster policy caching")),
        json!([["CachingPolicy", "", "null", "", ""]])
    );
    cluster.run(".ingest inline into table T <| 1");
    cluster.run(".alter cluster policy caching hot = 1h");
    cluster.clock.advance(Duration::from_secs(2 * 3600));
    assert_eq!(cluster.run(".show table T extents hot").rows, 0);
    cluster.run(".alter database db policy caching hot = 1d");
    assert_eq!(cluster.run(".show table T extents hot").rows, 1, "the database's own replaces it");
    assert_eq!(cluster.refused(".alter cluster policy retention softdelete = 1d").status, 400);
    assert_eq!(cluster.refused(".alter table T policy managed_identity '[]'").status, 400);
}

#[test]
fn an_encoding_policy_of_a_column_raises_the_length_of_a_value_to_2_or_32_mb() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:string, b:string, d:dynamic)");
    cluster.run(".alter column T.a policy encoding type='BigObject'");
    cluster.run(".alter column T.d policy encoding type = 'bigobject32'");
    let shown = cluster.run(".show column T.a policy encoding");
    assert!(column(&shown, "Policy")[0].as_str().unwrap().contains("BigObject"));
    let long = "x".repeat(3 << 20);
    cluster.ingest_text("T", &none(), format!("{long},{long},\"{{\"\"k\"\":\"\"{long}\"\"}}\"\n")).unwrap();
    let row = cluster.content("T")[0].clone();
    assert_eq!(row[0].as_str().unwrap().len(), 2 << 20);
    assert_eq!(row[1].as_str().unwrap().len(), 1 << 20);
    assert_eq!(row[2]["k"].as_str().unwrap().len(), 3 << 20);
    let all = cluster.run(".show column T.* policy encoding");
    assert_eq!(column(&all, "EntityName"), ["[db].[T].[a]", "[db].[T].[b]", "[db].[T].[d]"]);
    let policies = column(&all, "Policy");
    assert_eq!(policies[0], column(&shown, "Policy")[0]);
    assert_eq!(policies[1], "null");
    assert!(policies[2].as_str().unwrap().contains("BigObject32"));
    cluster.run(".alter column T.a policy encoding");
    assert_eq!(column(&cluster.run(".show column T.a policy encoding"), "Policy"), ["null"]);
    assert!(cluster.refused(".alter column T.a policy encoding type='Huge'").detail.contains("BigObject32"));
    assert_eq!(cluster.refused(".alter column T.z policy encoding").code, "BadRequest_EntityNotFound");
}
