//! More switches, each both ways; those that need no clock of data management.

use super::*;
use std::time::Duration;

use crate::{
    BlobsVisible, CreatedRange, DirectManagedIdentity, GzipMembers, OperationColumns, RaggedRecords,
    RightsOfWaiting, Undocumented, WeakReads,
};

const MINUTE: Duration = Duration::from_secs(60);

fn assuming(change: impl FnOnce(&mut Assumptions)) -> Cluster {
    let cluster = Cluster::new();
    let mut assumptions = Assumptions::default();
    change(&mut assumptions);
    cluster.engine.assume(assumptions);
    cluster.run(".create table S (a:long)");
    cluster.run(".create table D (a:long)");
    cluster.run(".ingest inline into table S <| 1");
    cluster
}

fn operation(begun: &ResultTable) -> String {
    column(begun, "OperationId")[0].as_str().unwrap().to_owned()
}

fn states(cluster: &Cluster, id: &str) -> Vec<Json> {
    column(&cluster.run(&format!(".show operations {id}")), "State")
}

#[test]
fn an_async_command_is_in_progress_until_its_time_has_come_and_takes_effect_then() {
    let cluster = assuming(|assumptions| assumptions.async_takes = MINUTE);
    let id = operation(&cluster.run(".move async extents all from table S to table D"));
    cluster.work_off();
    assert_eq!((states(&cluster, &id), cluster.count("D")), (vec![json!("InProgress")], 0));
    let details = format!(".show operation {id} details");
    assert_eq!(cluster.refused(&details).code, "BadRequest_EntityNotFound", "there are none before the end");
    cluster.clock.advance(MINUTE);
    cluster.work_off();
    assert_eq!((states(&cluster, &id), cluster.count("D")), (vec![json!("Completed")], 1));
    assert_eq!(cluster.run(&details).rows, 1);
    let all =
        cluster.run(&format!(".show operations | where OperationId == '{id}' | project State, Duration"));
    assert_eq!(json_rows(&all), json!([["InProgress", "00:00:00"], ["Completed", "00:01:00"]]));
    let cluster = assuming(|_| {});
    let id = operation(&cluster.run(".move async extents all from table S to table D"));
    assert_eq!(states(&cluster, &id), [json!("InProgress")], "at first even without a time");
    cluster.work_off();
    assert_eq!(states(&cluster, &id), [json!("Completed")]);
}

#[test]
fn an_async_command_acts_on_the_tables_that_its_names_meant_when_it_came() {
    let cluster = assuming(|_| {});
    let id = operation(&cluster.run(".move async extents all from table S to table D"));
    cluster.run(".rename table S to Old");
    cluster.run(".create table S (a:long)");
    cluster.work_off();
    assert_eq!(states(&cluster, &id), [json!("Completed")]);
    assert_eq!((cluster.count("Old"), cluster.count("D")), (0, 1));
}

#[test]
fn an_async_command_that_fails_says_so_in_its_operation_and_has_no_details() {
    let cluster = assuming(|_| {});
    let id = operation(&cluster.run(".move async extents all from table S to table Nowhere"));
    cluster.work_off();
    let shown = cluster.run(&format!(".show operations {id}"));
    assert_eq!(column(&shown, "State"), [json!("BadInput")]);
    assert!(column(&shown, "Status")[0].as_str().unwrap().contains("Nowhere"));
    assert_eq!(cluster.refused(&format!(".show operation {id} details")).status, 400);
}

#[test]
fn an_operation_in_progress_when_the_cluster_stops_is_abandoned_and_has_no_effect() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Cluster::open(Some(directory.path()), Access::Open).unwrap();
    let cluster = open();
    cluster.run(".create table S (a:long)");
    cluster.run(".create table D (a:long)");
    cluster.run(".ingest inline into table S <| 1");
    let id = operation(&cluster.run(".move async extents all from table S to table D"));
    drop(cluster);
    let cluster = open();
    cluster.work_off();
    assert_eq!((states(&cluster, &id), cluster.count("D")), (vec![json!("Abandoned")], 0));
}

#[test]
fn an_operation_is_found_by_its_id_for_six_hours_and_listed_for_two_weeks() {
    let cluster = assuming(|_| {});
    let id = operation(&cluster.run(".move async extents all from table S to table D"));
    cluster.work_off();
    let listed = || cluster.run(&format!(".show operations | where OperationId == '{id}'")).rows;
    cluster.clock.advance(Duration::from_secs(6 * 3600));
    assert_eq!((states(&cluster, &id), listed()), (vec![], 2));
    cluster.clock.advance(Duration::from_secs(14 * 86_400));
    assert_eq!(listed(), 0);
}

#[test]
fn the_rights_of_a_waiting_command_are_those_of_its_effect_or_of_its_arrival() {
    for (rights, state, moved) in [
        (RightsOfWaiting::WhenItTakesEffect, "BadInput", 0),
        (RightsOfWaiting::WhenItArrives, "Completed", 1),
    ] {
        let cluster = Cluster::by_role();
        cluster.engine.assume(Assumptions { rights, ..Assumptions::default() });
        let app = Principal::application("app", "contoso.com");
        cluster.run(".create table S (a:long)");
        cluster.run(".create table D (a:long)");
        cluster.run(".ingest inline into table S <| 1");
        cluster.run(".add database db admins ('aadapp=app;contoso.com')");
        let begun = cluster.try_as(&app, ".move async extents all from table S to table D").unwrap();
        cluster.run(".drop database db admins ('aadapp=app;contoso.com')");
        cluster.work_off();
        assert_eq!((states(&cluster, &operation(&begun)), cluster.count("D")), (vec![json!(state)], moved));
    }
}

#[test]
fn a_move_needs_no_range_of_creation_or_both_ends_of_it() {
    let all = ".move extents all from table S to table D";
    let range = "extentCreatedOnFrom=datetime(2000-01-01), extentCreatedOnTo=datetime(2100-01-01)";
    let cluster = assuming(|_| {});
    cluster.run(all);
    let cluster = assuming(|assumptions| assumptions.created_range = CreatedRange::Required);
    assert!(cluster.refused(all).detail.contains("extentCreatedOnFrom"));
    cluster.run(&format!("{all} with ({range})"));
    assert_eq!(cluster.count("D"), 1);
}

#[test]
fn a_blob_becomes_visible_at_once_or_in_two_steps() {
    for (blobs_visible, extents, seen_before) in
        [(BlobsVisible::AtOnce, 1, 0), (BlobsVisible::InTwoSteps, 2, 2)]
    {
        let cluster = assuming(|assumptions| assumptions.blobs_visible = blobs_visible);
        cluster.run(".clear table S data");
        cluster.engine.remember();
        cluster.ingest_text("S", &none(), "1\n2\n3\n").unwrap();
        let before = cluster.engine.history.behind(1).unwrap();
        assert_eq!(before.database("db").unwrap().table("S").unwrap().row_count(), seen_before);
        assert_eq!((cluster.extents("S").len(), cluster.content("S")), (extents, json!([[1], [2], [3]])));
    }
}

#[test]
fn an_ingestion_makes_one_extent_or_several_that_appear_together() {
    for (count, rows, expected) in [(1, 5, 1), (3, 5, 3), (3, 2, 2), (0, 5, 1)] {
        let cluster = assuming(|assumptions| assumptions.extents_per_ingestion = count);
        cluster.run(".clear table S data");
        cluster.engine.remember();
        let text: String = (0..rows).map(|n| format!("{n}\n")).collect();
        cluster.ingest_text("S", &json!({"tags": "[\"t\"]"}), text).unwrap();
        let shown = cluster.run(".show table S extents where tags has 't'");
        assert_eq!((shown.rows, cluster.count("S")), (expected, rows));
        let before = cluster.engine.history.behind(1).unwrap();
        assert_eq!(before.database("db").unwrap().table("S").unwrap().row_count(), 0);
        assert_eq!(cluster.content("S"), Json::Array((0..rows).map(|n| json!([n])).collect()));
    }
}

#[test]
fn a_ragged_record_fails_its_source_or_is_read_as_far_as_it_goes() {
    let ragged = |cluster: &Cluster| {
        cluster.run(".create table R (a:long, b:long)");
        cluster.ingest_text("R", &none(), "1,2\n3\n4,5,6\n").map_err(|failure| failure.code)
    };
    assert_eq!(ragged(&assuming(|_| {})), Err("Stream_WrongNumberOfFields"));
    let cluster = assuming(|assumptions| assumptions.ragged_records = RaggedRecords::BestEffort);
    assert_eq!(ragged(&cluster), Ok(3));
    assert_eq!(cluster.content("R"), json!([[1, 2], [3, null], [4, 5]]));
}

#[test]
fn a_gzip_blob_of_several_members_is_read_whole_or_its_first_member() {
    for (gzip_members, rows) in [(GzipMembers::All, 2), (GzipMembers::FirstOnly, 1)] {
        let cluster = assuming(|assumptions| assumptions.gzip_members = gzip_members);
        cluster.put("http://h/c/two.csv.gz", [gzip("7\n"), gzip("8\n")].concat());
        cluster.ingest("D", &none(), &["http://h/c/two.csv.gz"]).unwrap();
        assert_eq!(cluster.count("D"), rows);
    }
}

#[test]
fn what_only_connectors_know_is_understood_or_refused() {
    let commands = [
        ".create table H (a:long) with (hidden=true)",
        ".show tables with (IncludeHiddenTables=true)",
        ".show table S extents with (extentsShowFilteringRuntimePolicy='{\"MaximumResultsCount\":1}')",
        ".show principal access with (principal='aadapp=a;t', accesstype='ingest', database='db', table='S')",
    ];
    let known = assuming(|_| {});
    let unknown = assuming(|assumptions| assumptions.undocumented = Undocumented::Refused);
    for command in commands {
        known.run(command);
        assert_eq!(unknown.refused(command).status, 400, "{command}");
    }
}

#[test]
fn show_operations_has_the_documented_columns_and_maybe_more() {
    let count = |cluster: &Cluster| column_names(&cluster.run(".show operations")).len();
    assert_eq!(count(&assuming(|_| {})), 13);
    let cluster = assuming(|assumptions| assumptions.operation_columns = OperationColumns::Documented);
    let names =
        ["OperationId", "Operation", "NodeId", "StartedOn", "LastUpdatedOn", "Duration", "State", "Status"];
    assert_eq!(column_names(&cluster.run(".show operations")), names);
}

#[test]
fn weak_reads_are_those_of_everybody_or_of_those_who_ask_for_them() {
    for (weak_reads, strong) in [(WeakReads::Forced, 0), (WeakReads::WhenAsked, 1)] {
        let cluster = assuming(|assumptions| {
            assumptions.weak_reads = weak_reads;
            assumptions.reads_lag = MINUTE;
        });
        cluster.clock.advance(MINUTE);
        cluster.run(".ingest inline into table D <| 7");
        let count = |consistency: &str| {
            let mut properties = RequestProperties::default();
            properties.options.insert("queryconsistency".into(), json!(consistency));
            let context = cluster.context(&cluster.caller);
            json_rows(&cluster.engine.query(&context, "db", "D | count", &properties).unwrap()[0])
        };
        assert_eq!(count("strongconsistency"), json!([[strong]]));
        assert_eq!(count("weakconsistency_by_query"), json!([[0]]));
    }
}

#[test]
fn direct_ingestion_takes_a_managed_identity_or_refuses_it_and_queued_ingestion_takes_it() {
    let url = "http://h/c/b.csv;managed_identity=system";
    let direct = format!(".ingest into table D ('{url}')");
    let refuses = |assumptions: &mut Assumptions| {
        assumptions.direct_managed_identity = DirectManagedIdentity::Refused;
    };
    let (allowing, refusing) = (assuming(|_| {}), assuming(refuses));
    allowing.put(url, "1");
    refusing.put(url, "1");
    allowing.run(&direct);
    assert_eq!(refusing.refused(&direct).code, "BadRequest_InvalidManagedIdentity");
    refusing.ingest("D", &none(), &[url]).unwrap();
    assert_eq!((allowing.count("D"), refusing.count("D")), (1, 1));
}

#[test]
fn a_managed_identity_needs_a_policy_of_cluster_or_database_that_allows_it_native_ingestion() {
    let url = "http://h/c/b.csv;managed_identity=system";
    for (command, code) in [
        (None, Some("BadRequest_InvalidManagedIdentity")),
        (Some(("database db", "NativeIngestion")), None),
        (Some(("cluster", "ExternalTable, All")), None),
        (Some(("database db", "ExternalTable")), Some("BadRequest_InvalidManagedIdentity")),
    ] {
        let cluster = Cluster::by_role();
        cluster.run(".create table D (a:long)");
        cluster.put(url, "1");
        if let Some((entity, usages)) = command {
            let policy = json!([{"ObjectId": "system", "AllowedUsages": usages}]);
            cluster.run(&format!(".alter-merge {entity} policy managed_identity '{policy}'"));
        }
        let outcome = cluster.ingest("D", &none(), &[url]).unwrap();
        let found = match &outcome.sources[0] {
            SourceOutcome::Failed(failure) => Some(failure.code),
            SourceOutcome::Ingested { .. } => None,
        };
        assert_eq!(found, code, "{command:?}");
    }
}

#[test]
fn every_switch_stands_in_the_list_of_guesses() {
    let list = include_str!("../../../docs/model.md");
    let fields = serde_json::to_value(Assumptions::default()).unwrap();
    for field in fields.as_object().unwrap().keys() {
        assert!(list.contains(&format!("`{field}`")), "docs/model.md does not tell of `{field}`");
    }
}
