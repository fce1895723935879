use super::*;

#[test]
fn creating_a_table_that_exists_succeeds_and_changes_nothing_even_with_another_schema() {
    let cluster = Cluster::new();
    let created = cluster.run(".create table T (a:string, ['b c']:long) with (docstring='d', folder='f')");
    assert_eq!(column_names(&created), ["TableName", "Schema", "DatabaseName", "Folder", "DocString"]);
    let again = cluster.run(".create table T (x:real)");
    assert_eq!(json_rows(&again), json_rows(&created));
    let shown = cluster.run(".show table T cslschema");
    assert_eq!(json_rows(&shown), json!([["T", "a:string,['b c']:long", "db", "f", "d"]]));
}

#[test]
fn the_schema_as_json_lists_ordered_columns_with_both_type_names() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:string, d:datetime)");
    let shown = cluster.run(".show table T schema as json");
    let schema: Json = serde_json::from_str(column(&shown, "Schema")[0].as_str().unwrap()).unwrap();
    assert_eq!(
        schema,
        json!({"Name": "T", "OrderedColumns": [
            {"Name": "a", "Type": "System.String", "CslType": "string"},
            {"Name": "d", "Type": "System.DateTime", "CslType": "datetime"}]})
    );
}

#[test]
fn create_merge_adds_missing_columns_at_the_end_and_refuses_another_type() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:string, b:long)");
    cluster.run(".ingest inline into table T <| x,1");
    let merged = cluster.run(".create-merge table T (c:real, a:string)");
    assert!(column(&merged, "Schema")[0].as_str().unwrap().contains(r#""Name":"c""#));
    assert_eq!(cluster.content("T"), json!([["x", 1, null]]));
    let error = cluster.refused(".create-merge table T (a:long)");
    assert!(error.detail.contains("column 'a'") && error.detail.contains("string"), "{error}");
}

#[test]
fn a_column_that_was_dropped_and_added_again_is_empty() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:string, b:long)");
    cluster.run(".ingest inline into table T <| x,1");
    cluster.run(".alter table T (a:string)");
    cluster.run(".alter-merge table T (b:long)");
    assert_eq!(cluster.content("T"), json!([["x", null]]));
}

#[test]
fn dropping_a_table_answers_with_the_tables_that_remain() {
    let cluster = Cluster::new();
    cluster.run(".create table A (a:long)");
    cluster.run(".create table B (a:long)");
    assert_eq!(json_rows(&cluster.run(".drop table A")), json!([["B", "db"]]));
    assert_eq!(cluster.refused(".drop table A").code, "BadRequest_EntityNotFound");
    cluster.run(".drop table A ifexists");
    assert_eq!(cluster.tables(), ["B"]);
}

#[test]
fn renaming_tables_is_one_transaction_that_can_swap() {
    let cluster = Cluster::new();
    cluster.run(".create table A (a:long)");
    cluster.run(".create table B (b:string)");
    cluster.run(".ingest inline into table A <| 1");
    cluster.run(".rename tables A=B, B=A");
    assert_eq!((cluster.count("A"), cluster.count("B")), (0, 1));
    let error = cluster.refused(".rename tables X=A, Y=Missing");
    assert!(error.detail.contains("Missing"), "{error}");
    assert_eq!(cluster.tables(), ["A", "B"]);
}

#[test]
fn renaming_onto_a_table_that_stays_fails_and_ifexists_passes_over_what_is_missing() {
    let cluster = Cluster::new();
    cluster.run(".create table A (a:long)");
    cluster.run(".create table B (a:long)");
    assert_eq!(cluster.refused(".rename table A to B").code, "BadRequest_EntityAlreadyExists");
    cluster.run(".rename tables C=A, D=Missing ifexists");
    assert_eq!(cluster.tables(), ["B", "C"]);
}

#[test]
fn table_names_are_case_sensitive_and_database_names_are_not() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    assert_eq!(cluster.refused(".show table t cslschema").status, 400);
    let context = cluster.context(&cluster.caller);
    let shown =
        cluster.engine.execute(&context, "DB", ".show tables", &RequestProperties::default()).unwrap();
    assert_eq!(json_rows(&shown), json!([["T", "db", "", ""]]));
}

#[test]
fn entity_names_have_1_to_1024_letters_digits_and_four_signs_and_no_double_underscore_at_the_ends() {
    let cluster = Cluster::new();
    cluster.run(".create table ['a-b.c d_1'] (a:long)");
    for bad in ["['a/b']", "['']", "__x", "x__", &format!("['{}']", "n".repeat(1025))] {
        assert_eq!(cluster.refused(&format!(".create table {bad} (a:long)")).status, 400, "{bad}");
    }
    assert_eq!(cluster.tables(), ["a-b.c d_1"]);
}

#[test]
fn a_schema_without_columns_or_with_one_twice_is_refused() {
    let cluster = Cluster::new();
    for schema in ["()", "(a:long, a:long)", "(a:colour)", "(a)"] {
        assert_eq!(cluster.refused(&format!(".create table T {schema}")).status, 400, "{schema}");
    }
}

#[test]
fn clearing_a_table_takes_its_data_and_leaves_the_table() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    cluster.run(".ingest inline into table T <| 1");
    cluster.run(".clear table T data");
    assert_eq!(cluster.count("T"), 0);
}

#[test]
fn show_tables_leaves_out_hidden_ones_unless_asked() {
    let cluster = Cluster::new();
    cluster.run(".create table A (a:long)");
    cluster.run(".create table H (a:long) with (hidden=true)");
    assert_eq!(column(&cluster.run(".show tables"), "TableName"), [json!("A")]);
    assert_eq!(cluster.run(".show tables with (IncludeHiddenTables=true)").rows, 2);
    assert_eq!(column(&cluster.run(".show tables (A)"), "TableName"), [json!("A")]);
}

#[test]
fn show_database_schema_lists_database_tables_and_columns() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    let shown = cluster.run(".show database db schema");
    assert_eq!(column(&shown, "ColumnType"), [json!(""), json!(""), json!("System.Int64")]);
    let text = column(&cluster.run(".show database db schema as json"), "DatabaseSchema")[0].clone();
    let schema: Json = serde_json::from_str(text.as_str().unwrap()).unwrap();
    assert_eq!(schema["Databases"]["db"]["Tables"]["T"]["OrderedColumns"][0]["CslType"], "long");
    assert_eq!(column(&cluster.run(".show databases"), "IsCurrent"), [json!(true)]);
}

#[test]
fn show_table_details_counts_extents_and_rows() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    cluster.run(".ingest inline into table T <|\n1\n2");
    let shown = cluster.run(".show table T details");
    assert_eq!(column(&shown, "TotalExtents"), [json!(1)]);
    assert_eq!(column(&shown, "TotalRowCount"), [json!(2)]);
    assert_eq!(column(&shown, "RetentionPolicy"), [json!("null")]);
}

#[test]
fn a_table_based_on_another_has_its_columns_description_and_policies_but_neither_rows_nor_roles() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long) with (docstring='d', folder='f')");
    cluster.run(".ingest inline into table T <| 1");
    cluster.run(r#".alter table T policy merge '{"AllowMerge":false}'"#);
    cluster.run(".add database db users ('aadapp=app;contoso.com')");
    cluster.run(".add table T ingestors ('aadapp=app;contoso.com')");
    cluster.run(".create table U based-on T with (folder='g')");
    assert_eq!(json_rows(&cluster.run(".show table U cslschema")), json!([["U", "a:long", "db", "g", "d"]]));
    let policy = |table: &str| column(&cluster.run(&format!(".show table {table} policy merge")), "Policy");
    assert_eq!(policy("U"), policy("T"));
    assert_eq!((cluster.count("U"), cluster.run(".show table U principals").rows), (0, 1));
    assert_eq!(cluster.refused(".create table U based-on T").code, "BadRequest_EntityAlreadyExists");
    cluster.run(".create table U based-on T ifnotexists");
}

#[test]
fn several_tables_are_created_at_once_and_those_that_exist_stay_as_they_are() {
    let cluster = Cluster::new();
    cluster.run(".create table B (x:string)");
    let created =
        cluster.run(".create tables A (a:long), B (b:long), C (c:real) with (docstring='d', folder='f')");
    assert_eq!(column(&created, "TableName"), ["A", "B", "C"]);
    assert_eq!(column(&cluster.run(".show table B cslschema"), "Schema"), ["x:string"]);
    assert_eq!(column(&cluster.run(".show tables"), "DocString"), ["d", "", "d"]);
    let merged = cluster.run(".create-merge tables A (z:long), D (d:long)");
    assert_eq!(column(&merged, "TableName"), ["A", "D"]);
    assert_eq!(column(&cluster.run(".show table A cslschema"), "Schema"), ["a:long,z:long"]);
    assert!(cluster.refused(".create tables E (a:long), E (b:long)").detail.contains("twice"));
    assert_eq!(cluster.refused(".create tables E (a:long), __F (b:long)").status, 400);
    assert_eq!(cluster.tables(), ["A", "B", "C", "D"], "all or none");
}
