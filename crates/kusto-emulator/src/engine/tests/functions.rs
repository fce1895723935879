//! Stored functions.

use super::*;

fn cluster() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long, b:string)");
    cluster.run(".ingest inline into table T <| 1,x\n2,y\n3,x");
    cluster
}

fn rows(cluster: &Cluster, query: &str) -> Json {
    json_rows(&try_query(cluster, query).unwrap_or_else(|error| panic!("{query}: {error}")))
}

fn try_query(cluster: &Cluster, query: &str) -> EngineResult<ResultTable> {
    let context = cluster.context(&cluster.caller);
    Ok(cluster.engine.query(&context, "db", query, &RequestProperties::default())?.remove(0))
}

#[test]
fn a_stored_function_is_called_with_and_without_arguments_and_calls_others() {
    let cluster = cluster();
    cluster.run(".create function with (docstring='of x', folder='f') OfX() { T | where b == 'x' }");
    cluster.run(".create-or-alter function Above(least:long = 2) { let l = least; OfX() | where a >= l }");
    cluster.run(".create function Twice(n:long) { n * 2 }");
    assert_eq!(rows(&cluster, "OfX() | count"), json!([[2]]));
    assert_eq!(rows(&cluster, "Above() | project a"), json!([[3]]));
    assert_eq!(rows(&cluster, "Above(1) | project Twice(a)"), json!([[2], [6]]));
    assert_eq!(rows(&cluster, "let OfX = () { T | take 0 }; OfX() | count"), json!([[0]]), "a let hides it");
    assert_eq!(rows(&cluster, "T | where a in (OfX() | project a) | count"), json!([[2]]));
    let shown = cluster.run(".show function OfX");
    assert_eq!(json_rows(&shown), json!([["OfX", "()", "{ T | where b == 'x' }", "f", "of x"]]));
    assert_eq!(column(&cluster.run(".show functions | project Name"), "Name").len(), 3);
}

#[test]
fn a_function_is_checked_when_it_is_made_unless_told_otherwise() {
    let cluster = cluster();
    for wrong in [
        ".create function F() { Nothing | count }",
        ".create function F() { T | where }",
        ".create function F() { T | where c == 1 }",
        ".create function F( { T }",
    ] {
        assert_eq!(cluster.refused(wrong).status, 400, "{wrong}");
    }
    cluster.run(".create function with (skipvalidation=true) F() { Nothing | count }");
    assert_eq!(try_query(&cluster, "F()").unwrap_err().status, 400);
    cluster.run(".create-or-alter function F() { T | count }");
    assert_eq!(rows(&cluster, "F()"), json!([[3]]));
}

#[test]
fn create_refuses_what_is_there_and_alter_what_is_not() {
    let cluster = cluster();
    assert_eq!(cluster.refused(".alter function F() { T }").code, "BadRequest_EntityNotFound");
    cluster.run(".create function F() { T | count }");
    assert_eq!(cluster.refused(".create function F() { T }").code, "BadRequest_EntityAlreadyExists");
    cluster.run(".create function ifnotexists F() { T }");
    assert_eq!(rows(&cluster, "F()"), json!([[3]]));
    cluster.run(".alter function F() { T | where a == 1 }");
    assert_eq!(rows(&cluster, "F() | project a"), json!([[1]]));
    assert_eq!(json_rows(&cluster.run(".drop function F")), json!([["F"]]));
    assert_eq!(cluster.refused(".drop function F").code, "BadRequest_EntityNotFound");
    cluster.run(".drop functions (F, G) ifexists");
}

#[test]
fn a_function_that_calls_itself_is_refused_and_stops_no_query_that_does_not_call_it() {
    let cluster = cluster();
    cluster.run(".create function with (skipvalidation=true) F() { G() }");
    let error = cluster.refused(".create function G() { F() }");
    assert!(error.detail.contains("calls itself"), "{error}");
    cluster.run(".create function with (skipvalidation=true) G() { F() }");
    assert!(try_query(&cluster, "F()").unwrap_err().detail.contains("calls itself"));
    assert_eq!(rows(&cluster, "T | count"), json!([[3]]));
}

#[test]
fn a_database_user_makes_functions_and_changes_those_that_are_its_own() {
    let cluster = Cluster::by_role();
    cluster.run(".create table T (a:long)");
    let app = Principal::application("app", "contoso.com");
    let of_app = |command: &str| cluster.try_as(&app, command).map_err(|error| error.detail);
    cluster.run(".add database db viewers ('aadapp=app;contoso.com')");
    assert!(of_app(".create-or-alter function F() { T }").unwrap_err().contains("Database User"));
    cluster.run(".add database db users ('aadapp=app;contoso.com')");
    of_app(".create-or-alter function F() { T }").unwrap();
    of_app(".create-or-alter function F() { T | count }").unwrap();
    cluster.run(".create function Other() { T }");
    assert!(
        of_app(".create-or-alter function Other() { T | count }").unwrap_err().contains("Function Admin")
    );
    assert!(of_app(".drop function Other").unwrap_err().contains("Function Admin"));
    of_app(".drop function F").unwrap();
    cluster.run(".add function Other admins ('aadapp=app;contoso.com')");
    of_app(".create-or-alter function Other() { T | count }").unwrap();
    cluster.run(".drop function Other admins ('aadapp=app;contoso.com')");
    assert!(of_app(".alter function Other() { T }").is_err());
    assert_eq!(cluster.refused(".add function Other ingestors ('aadapp=app;contoso.com')").status, 400);
}

#[test]
fn functions_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Cluster::open(Some(directory.path()), Access::Open).unwrap();
    open().run(".create function F() { print 1 }");
    assert_eq!(rows(&open(), "F()"), json!([[1]]));
}
