use super::*;

fn table() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long, s:string)");
    cluster.run(r#".ingest inline into table T with (tags='["drop-by:x"]') <| 1,one"#);
    cluster.run(".ingest inline into table T <|\n2,two\n3,three");
    cluster
}

fn query_with(cluster: &Cluster, text: &str, properties: &RequestProperties) -> EngineResult<Json> {
    let tables = cluster.engine.query(&cluster.context(&cluster.caller), "DB", text, properties)?;
    assert_eq!(tables.len(), 1);
    Ok(json_rows(&tables[0]))
}

fn query(cluster: &Cluster, text: &str) -> Json {
    query_with(cluster, text, &RequestProperties::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_query_sees_all_extents_of_its_tables() {
    let cluster = table();
    assert_eq!(query(&cluster, "T | count"), json!([[3]]));
    assert_eq!(query(&cluster, "T | where a > 1 | project s | sort by s asc"), json!([["three"], ["two"]]));
    cluster.run(".alter-merge table T (c:real)");
    assert_eq!(query(&cluster, "T | where isnull(c) | count"), json!([[3]]));
}

#[test]
fn a_query_with_an_unknown_table_is_a_permanent_semantic_error() {
    let error = query_with(&table(), "Nope | count", &RequestProperties::default()).unwrap_err();
    assert_eq!((error.status, error.permanent, error.code), (400, true, "General_BadRequest"));
    let inner = error.inner.unwrap();
    assert_eq!(inner.code, "SEM0100");
    assert!(
        inner.message.contains("Nope") && error.detail.contains("Semantic error: SEM0100"),
        "{}",
        error.detail
    );
}

#[test]
fn results_of_show_commands_are_piped_into_query_operators() {
    let cluster = table();
    assert_eq!(json_rows(&cluster.run(".show tables | count")), json!([[1]]));
    let shown = cluster.run(".show table T extents | where Tags has 'drop-by:x' | project RowCount");
    assert_eq!(json_rows(&shown), json!([[1]]));
    assert_eq!(cluster.refused(".show tables | frobnicate").status, 400);
}

#[test]
fn set_creates_append_appends_and_each_refuses_the_other_case() {
    let cluster = table();
    let set = cluster.run(".set U <| T | where a < 3");
    let columns = ["ExtentId", "OriginalSize", "ExtentSize", "CompressedSize", "IndexSize", "RowCount"];
    assert_eq!(column_names(&set), columns);
    assert_eq!(column(&set, "RowCount"), [json!(2)]);
    assert_eq!(cluster.refused(".set U <| T").code, "BadRequest_EntityAlreadyExists");
    assert_eq!(cluster.refused(".append Missing <| T").code, "BadRequest_EntityNotFound");
    cluster.run(".append U <| print x = 7, y = 'seven'");
    assert_eq!(cluster.content("U"), json!([[1, "one"], [2, "two"], [7, "seven"]]));
}

#[test]
fn results_are_matched_to_columns_by_position_and_type() {
    let cluster = table();
    cluster.run(".set-or-append T <| print other = 9");
    assert_eq!(cluster.count("T"), 4);
    let error = cluster.refused(".append T <| print s = 'x'");
    assert!(error.detail.contains("string") && error.detail.contains("'a'"), "{error}");
    assert_eq!(cluster.refused(".append T <| print 1, 'x', 2").status, 400);
    cluster.run(".append T with (extend_schema=true) <| print 1, 'x', extra = 2.5");
    assert_eq!(query(&cluster, "T | where extra == 2.5 | count"), json!([[1]]));
}

#[test]
fn set_or_replace_replaces_all_data_in_one_step_and_can_read_the_table_itself() {
    let cluster = table();
    cluster.run(".set-or-replace T <| T | where a == 2");
    assert_eq!(cluster.content("T"), json!([[2, "two"]]));
    cluster.run(".set-or-replace New with (tags='[\"k\"]', docstring='d') <| T");
    assert_eq!(column(&cluster.run(".show table New extents"), "Tags"), [json!("k")]);
}

#[test]
fn set_or_append_fails_when_the_ingest_by_tag_is_there() {
    let cluster = table();
    let command = ".set-or-append T with (tags='[\"ingest-by:k\"]', ingestIfNotExists='[\"k\"]') <| print 5";
    cluster.run(command);
    assert!(cluster.refused(command).detail.contains("ingest-by:k"));
    assert_eq!(cluster.count("T"), 4);
}

#[test]
fn extents_are_moved_by_a_query_that_yields_their_ids() {
    let cluster = table();
    cluster.run(".create table D (a:long, s:string)");
    cluster.run(".move extents to table D <| .show table T extents | where RowCount == 2");
    assert_eq!(cluster.content("D"), json!([[2, "two"], [3, "three"]]));
}

#[test]
fn result_limits_of_the_request_hold_and_notruncation_lifts_only_those_that_are_not_set() {
    let cluster = table();
    let with = |options: Json| RequestProperties {
        options: options.as_object().unwrap().clone(),
        parameters: Map::new(),
    };
    let error = query_with(&cluster, "T", &with(json!({"truncationmaxrecords": 2}))).unwrap_err();
    assert_eq!(error.code, "LimitsExceeded");
    let both = with(json!({"truncationmaxrecords": 2, "notruncation": true}));
    assert_eq!(query_with(&cluster, "T", &both).unwrap_err().code, "LimitsExceeded");
    let lower = with(json!({"truncationmaxrecords": 5}));
    let error = query_with(&cluster, "set truncationmaxrecords=2; set truncationmaxrecords=9; T", &lower)
        .unwrap_err();
    assert!(error.detail.contains("limit 2"), "{error}");
    let many = "range n from 1 to 600000 step 1";
    assert_eq!(query_with(&cluster, many, &with(json!({}))).unwrap_err().code, "LimitsExceeded");
    let lifted = query_with(&cluster, many, &with(json!({"notruncation": true}))).unwrap();
    assert_eq!(lifted.as_array().unwrap().len(), 600_000);
}

#[test]
fn query_parameters_come_from_the_request() {
    let cluster = table();
    let mut properties = RequestProperties::default();
    properties.parameters.insert("wanted".into(), json!("two"));
    let text = "declare query_parameters(wanted:string); T | where s == wanted | project a";
    assert_eq!(query_with(&cluster, text, &properties).unwrap(), json!([[2]]));
}

#[test]
fn a_query_never_sees_a_move_or_a_swap_half_done() {
    let cluster = table();
    cluster.run(".create table D (a:long, s:string)");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while looks < 20 || !stop.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(query(&cluster, "union T, D | count"), json!([[3]]));
                looks += 1;
            }
        });
        for _ in 0..50 {
            cluster.run(".move extents all from table T to table D");
            cluster.run(".rename tables T=D, D=T");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap();
    });
}

#[test]
fn rows_tell_their_ingestion_time_unless_the_policy_is_off() {
    let cluster = table();
    let count = || query(&cluster, "T | where isnotnull(ingestion_time()) | count");
    assert_eq!(count(), json!([[3]]));
    cluster.run(".alter table T policy ingestiontime false");
    assert_eq!(count(), json!([[0]]));
}
