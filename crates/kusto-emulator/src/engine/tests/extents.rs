use super::*;

fn staged() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table S (a:long)");
    cluster.run(".create table D (a:long, b:string)");
    cluster.run(r#".ingest inline into table S with (tags='["drop-by:x","free"]') <| 1"#);
    cluster.run(r#".ingest inline into table S with (tags='["Drop"]') <| 2"#);
    cluster
}

#[test]
fn a_move_gives_new_ids_keeps_tags_and_ingestion_time_and_reads_missing_columns_as_null() {
    let cluster = staged();
    let before = cluster.extents("S");
    let ingested = cluster.engine.now();
    cluster.clock.advance(std::time::Duration::from_secs(60));
    let moved = cluster.run(".move extents all from table S to table D");
    assert_eq!(column(&moved, "OriginalExtentId").len(), 2);
    let after = cluster.extents("D");
    assert_eq!(
        column(&moved, "ResultExtentId"),
        after.iter().map(|id| json!(id.to_string())).collect::<Vec<_>>()
    );
    assert!(after.iter().all(|id| !before.contains(id)));
    assert_eq!(cluster.content("D"), json!([[1, null], [2, null]]));
    let state = cluster.engine.snapshot();
    let table = state.database("db").unwrap().table("D").unwrap();
    assert_eq!(table.extents[0].tags, ["drop-by:x", "free"]);
    assert_eq!(table.extents[0].ingested, ingested);
}

#[test]
fn set_new_ingestion_time_gives_moved_rows_the_time_of_the_move() {
    let cluster = staged();
    cluster.clock.advance(std::time::Duration::from_secs(60));
    cluster.run(".move extents all from table S to table D with (setNewIngestionTime=true)");
    let state = cluster.engine.snapshot();
    assert_eq!(state.database("db").unwrap().table("D").unwrap().extents[0].ingested, cluster.engine.now());
}

#[test]
fn a_move_of_listed_extents_moves_all_or_none() {
    let cluster = staged();
    let ids = cluster.extents("S");
    let gone = Uuid::from_u128(5);
    let error = cluster.refused(&format!(".move extents from table S to table D ({}, {gone})", ids[0]));
    assert!(error.detail.contains(&gone.to_string()), "{error}");
    assert_eq!((cluster.count("S"), cluster.count("D")), (2, 0));
    cluster.run(&format!(".move extents from table S to table D ({})", ids[1]));
    assert_eq!(cluster.content("D"), json!([[2, null]]));
}

#[test]
fn a_move_needs_every_source_column_in_the_destination_with_the_same_type() {
    let cluster = staged();
    cluster.run(".create table Other (a:string)");
    let error = cluster.refused(".move extents all from table S to table Other");
    assert!(error.detail.contains("column 'a'"), "{error}");
    assert_eq!(cluster.count("S"), 2);
}

#[test]
fn a_move_by_query_takes_the_extents_that_a_show_command_yields() {
    let cluster = staged();
    cluster.run(".move extents to table D <| .show table S extents where tags has 'drop-by:x'");
    assert_eq!(cluster.content("D"), json!([[1, null]]));
    assert_eq!(cluster.content("S"), json!([[2]]));
}

#[test]
fn has_is_equality_and_contains_is_a_substring_in_any_case() {
    let cluster = staged();
    let count = |filter: &str| cluster.run(&format!(".show table S extents where tags {filter}")).rows;
    assert_eq!(count("has 'drop-by:x'"), 1);
    assert_eq!(count("has 'drop'"), 0);
    assert_eq!(count("contains 'drop'"), 2);
    assert_eq!(count("!has 'free'"), 1);
    assert_eq!(count("!contains 'DROP'"), 0);
    assert_eq!(count("contains 'drop' and tags has 'free'"), 1);
}

#[test]
fn show_extents_has_the_documented_columns_and_divides_tags_by_line_ends() {
    let cluster = staged();
    let id = cluster.extents("S")[0];
    let shown = cluster.run(&format!(".show tables (S, D) extents ({id})"));
    let documented = "ExtentId,DatabaseName,TableName,MaxCreatedOn,OriginalSize,ExtentSize,CompressedSize,IndexSize,\
                      Blocks,Segments,ExtentContainerId,RowCount,MinCreatedOn,Tags,Kind,DeletedRowCount";
    assert_eq!(column_names(&shown).join(","), documented);
    assert_eq!(column(&shown, "Tags"), [json!("drop-by:x\r\nfree")]);
    assert_eq!(column(&shown, "RowCount"), [json!(1)]);
    assert_eq!(cluster.run(".show database db extents").rows, 2);
}

#[test]
fn dropped_extents_are_reported_and_whatif_drops_nothing() {
    let cluster = staged();
    let pretended = cluster.run(".drop extents whatif <| .show table S extents where tags has 'free'");
    assert_eq!(column_names(&pretended), ["ExtentId", "TableName", "CreatedOn"]);
    assert_eq!(cluster.count("S"), 2);
    cluster.run(".drop extents <| .show table S extents where tags has 'free'");
    assert_eq!(cluster.content("S"), json!([[2]]));
    let left = cluster.extents("S")[0];
    cluster.run(&format!(".drop extents ({left}) from S"));
    assert_eq!(cluster.count("S"), 0);
    assert_eq!(cluster.refused(&format!(".drop extents ({left}) from S")).status, 400);
}

#[test]
fn an_extent_created_outside_the_given_range_is_not_moved() {
    let cluster = staged();
    cluster.run(".move extents all from table S to table D with (extentCreatedOnFrom=datetime(2030-01-01))");
    assert_eq!((cluster.count("S"), cluster.count("D")), (2, 0));
}

#[test]
fn a_replacement_drops_and_moves_in_one_transaction_and_an_empty_drop_is_fine() {
    let cluster = staged();
    let replace = ".replace extents in table D <| { .show table D extents where tags has 'drop-by:x' }, \
                   { .show table S extents where tags has 'drop-by:x' }";
    let first = cluster.run(replace);
    assert_eq!(first.rows, 1);
    assert_eq!(cluster.content("D"), json!([[1, null]]));
    cluster.run(r#".ingest inline into table S with (tags='["drop-by:x"]') <| 3"#);
    let second = cluster.run(replace);
    assert_eq!(column(&second, "ResultExtentId")[0], json!(""));
    assert_eq!(cluster.content("D"), json!([[3, null]]));
    assert_eq!(cluster.content("S"), json!([[2]]));
}

#[test]
fn a_replacement_fails_whole_if_what_it_drops_is_not_in_the_table() {
    let cluster = staged();
    let error = cluster.refused(
        ".replace extents in table D <| { .show table S extents where tags has 'Drop' }, \
         { .show table S extents where tags has 'drop-by:x' }",
    );
    assert_eq!(error.code, "BadRequest_EntityNotFound");
    assert_eq!((cluster.count("S"), cluster.count("D")), (2, 0));
}

#[test]
fn extents_are_dropped_by_age_size_and_number_the_oldest_first() {
    let aged = || {
        let cluster = Cluster::new();
        for table in ["A", "B"] {
            cluster.run(&format!(".create table {table} (a:long)"));
        }
        for (day, table) in ["A", "B", "A", "B"].into_iter().enumerate() {
            cluster.run(&format!(".ingest inline into table {table} <| {day}"));
            cluster.clock.advance(std::time::Duration::from_secs(86_400));
        }
        cluster
    };
    let left = |command: &str| {
        let cluster = aged();
        let dropped = cluster.run(command).rows;
        (dropped, cluster.content("A"), cluster.content("B"))
    };
    assert_eq!(left(".drop extents older 3 days from A"), (1, json!([[2]]), json!([[1], [3]])));
    assert_eq!(left(".drop extents older 49 hours from all tables"), (2, json!([[2]]), json!([[3]])));
    assert_eq!(left(".drop extents from tables (A, B) limit 3"), (3, json!([]), json!([[3]])));
    assert_eq!(
        left(".drop extents from all tables trim by datasize 2 bytes"),
        (2, json!([[2]]), json!([[3]]))
    );
    assert_eq!(left(".drop extents from A"), (2, json!([]), json!([[1], [3]])));
    assert_eq!(left(".drop-pretend extents older 1 days from all tables").1, json!([[0], [2]]));
}

#[test]
fn show_extents_returns_no_more_than_its_filtering_policy_allows() {
    let cluster = staged();
    let shown = |most: &str| {
        let policy = format!("'{{\"MaximumResultsCount\":{most}}}'");
        cluster.try_run(&format!(".show table S extents with(extentsShowFilteringRuntimePolicy={policy})"))
    };
    assert_eq!(shown("1").unwrap().rows, 1);
    assert_eq!(shown("9").unwrap().rows, 2);
    assert_eq!(shown("\"x\"").unwrap_err().status, 400);
}

#[test]
fn hot_extents_are_those_within_the_span_of_the_caching_policy() {
    let cluster = staged();
    cluster.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    cluster.run(".ingest inline into table S <| 3");
    assert_eq!(cluster.run(".show table S extents hot").rows, 3);
    cluster.run(".alter table S policy caching hot = 1d");
    assert_eq!(cluster.run(".show table S extents hot").rows, 1);
}

#[test]
fn show_cluster_extents_lists_those_of_all_databases_for_who_may_see_the_cluster() {
    let cluster = Cluster::by_role();
    cluster.engine.create_database("other").unwrap();
    cluster.run(".create table T (a:long)");
    cluster.run(".ingest inline into table T with (tags='[\"t\"]') <| 1");
    let context = cluster.context(&cluster.caller);
    for command in [".create table U (a:long)", ".ingest inline into table U <| 1"] {
        cluster.engine.execute(&context, "other", command, &RequestProperties::default()).unwrap();
    }
    let shown = cluster.run(".show cluster extents");
    assert_eq!(column(&shown, "DatabaseName"), ["db", "other"]);
    assert_eq!(cluster.run(".show cluster extents where tags has 't' | project TableName").rows, 1);
    cluster.run(".add database db admins ('aadapp=app;t')");
    let app = Principal::application("app", "t");
    assert_eq!(cluster.try_as(&app, ".show cluster extents").unwrap_err().status, 403);
}
