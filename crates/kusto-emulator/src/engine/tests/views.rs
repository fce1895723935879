//! Materialized views.

use super::*;

fn cluster() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table T (k:string, n:long, t:long)");
    cluster.run(".create table S (k:string, n:long, t:long)");
    cluster
}

fn rows(cluster: &Cluster, query: &str) -> Json {
    let context = cluster.context(&cluster.caller);
    let tables = cluster.engine.query(&context, "db", query, &RequestProperties::default());
    json_rows(&tables.unwrap_or_else(|error| panic!("{query}: {error}"))[0])
}

const SUM: &str = ".create materialized-view Sums on table T { T | summarize n = sum(n) by k }";

#[test]
fn a_view_shows_its_aggregation_of_what_was_ingested_since_it_was_made() {
    let cluster = cluster();
    cluster.run(".ingest inline into table T <| a,100,0");
    cluster.run(SUM);
    cluster.run(".create materialized-view Last on table T { T | summarize arg_max(t, *) by k }");
    cluster.run(".ingest inline into table T <| a,1,1\nb,2,2\na,3,3");
    assert_eq!(rows(&cluster, "Sums | sort by k asc"), json!([["a", 4], ["b", 2]]));
    assert_eq!(rows(&cluster, "Last | sort by k asc | project k, t, n"), json!([["a", 3, 3], ["b", 2, 2]]));
    assert_eq!(rows(&cluster, "materialized_view('Sums') | count"), json!([[2]]));
    assert_eq!(rows(&cluster, "let f = () { Sums | where k == 'a' }; f() | project n"), json!([[4]]));
}

#[test]
fn with_backfill_a_view_begins_with_what_is_there_and_is_made_async() {
    let cluster = cluster();
    cluster.run(".ingest inline into table T <| a,100,0");
    let view = "materialized-view with (backfill=true) Sums on table T { T | summarize n = sum(n) by k }";
    assert!(cluster.refused(&format!(".create {view}")).detail.contains("async"));
    let started = cluster.run(&format!(".create async ifnotexists {view}"));
    assert_eq!(column_names(&started), ["OperationId"]);
    cluster.work_off();
    cluster.run(".ingest inline into table T <| a,1,1");
    assert_eq!(rows(&cluster, "Sums"), json!([["a", 101]]));
}

#[test]
fn a_move_feeds_a_view_with_a_new_ingestion_time_and_is_refused_without() {
    let cluster = cluster();
    cluster.run(SUM);
    cluster.run(".ingest inline into table S <| a,5,1");
    let error = cluster.refused(".move extents all from table S to table T");
    assert!(error.detail.contains("will not process these extents"), "{error}");
    assert_eq!(cluster.count("S"), 1);
    cluster.run(".move extents all from table S to table T with (setNewIngestionTime=true)");
    assert_eq!(rows(&cluster, "Sums"), json!([["a", 5]]));
    cluster.run(".move extents all from table T to table S");
    assert_eq!(rows(&cluster, "Sums"), json!([["a", 5]]), "what the table loses stays in the view");
}

#[test]
fn drops_and_merges_of_the_table_change_nothing_in_the_view() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Cluster::open(Some(directory.path()), Access::Open).unwrap();
    let cluster = open();
    cluster.run(".create table T (k:string, n:long, t:long)");
    cluster.run(SUM);
    for n in 1..=4 {
        cluster.run(&format!(".ingest inline into table T <| a,{n},0"));
    }
    cluster.engine.merge(Some("db"), None).unwrap();
    assert_eq!((cluster.extents("T").len(), rows(&cluster, "Sums")), (1, json!([["a", 10]])));
    cluster.run(".clear table T data");
    assert_eq!(rows(&cluster, "Sums"), json!([["a", 10]]));
    drop(cluster);
    let cluster = open();
    assert_eq!(rows(&cluster, "Sums"), json!([["a", 10]]), "also after a restart");
    assert!(cluster.refused(".drop table T").detail.contains("drop the view first"));
    cluster.run(".drop materialized-view Sums");
    cluster.run(".drop table T");
    drop(cluster);
    assert_eq!(
        std::fs::read_dir(directory.path().join("extents")).unwrap().count(),
        0,
        "its files go with it"
    );
}

#[test]
fn a_view_that_is_none_is_refused() {
    let cluster = cluster();
    for wrong in [
        "T | where n > 0",
        "S | summarize sum(n) by k",
        "T | summarize sum(n) by k | where sum_n > 0",
        "T | summarize sum(n) / count() by k",
        "T | sort by n | summarize sum(n) by k",
        "T | summarize n = sum(n) by k | summarize sum(n) by k",
        "let x = 1; T | summarize sum(n) by k",
        "T | summarize sum(missing) by k",
    ] {
        let command = format!(".create materialized-view V on table T {{ {wrong} }}");
        assert_eq!(cluster.refused(&command).status, 400, "{wrong}");
    }
    cluster.run(SUM);
    assert_eq!(cluster.refused(SUM).code, "BadRequest_EntityAlreadyExists");
    cluster.run(&SUM.replace(".create ", ".create ifnotexists "));
    assert_eq!(cluster.refused(".create table Sums (a:long)").code, "BadRequest_EntityAlreadyExists");
    let shown = cluster.run(".show materialized-views | project Name, SourceTable, Query, IsHealthy");
    assert_eq!(json_rows(&shown), json!([["Sums", "T", "T | summarize n = sum(n) by k", true]]));
}

#[test]
fn views_are_made_by_database_admins() {
    let cluster = Cluster::by_role();
    cluster.run(".create table T (k:string, n:long, t:long)");
    cluster.run(".add database db users ('aadapp=app;contoso.com')");
    let app = Principal::application("app", "contoso.com");
    let error = cluster.try_as(&app, SUM).unwrap_err();
    assert!(error.status == 403 && error.detail.contains("Database Admin"), "{error}");
    cluster.run(SUM);
    let error = cluster.try_as(&app, ".drop materialized-view Sums").unwrap_err();
    assert!(error.detail.contains("MaterializedView Admin"), "{error}");
    cluster.run(".add materialized-view Sums admins ('aadapp=app;contoso.com')");
    cluster.try_as(&app, ".drop materialized-view Sums").unwrap();
}
