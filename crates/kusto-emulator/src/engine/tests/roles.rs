use super::*;

const APP: &str = "aadapp=app;contoso.com";

fn app() -> Principal {
    Principal::application("app", "contoso.com")
}

fn with(roles: &[&str]) -> Cluster {
    let cluster = Cluster::by_role();
    cluster.run(".create table T (a:long)");
    for role in roles {
        cluster.run(&format!(".add database db {role} ('{APP}')"));
    }
    cluster
}

/// Whether the app may do it.
fn may(cluster: &Cluster, command: &str) -> bool {
    match cluster.try_as(&app(), command) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!((error.status, error.code), (403, "Forbidden"), "{command}: {error}");
            false
        }
    }
}

#[test]
fn a_missing_role_is_a_403_that_names_principal_role_and_entity() {
    let error = with(&["viewers"]).try_as(&app(), ".drop table T").unwrap_err();
    assert_eq!((error.status, error.permanent), (403, true));
    for part in [APP, "Table Admin", "'T'", "'db'"] {
        assert!(error.detail.contains(part), "{error}");
    }
}

#[test]
fn a_database_user_creates_tables_and_is_admin_of_those_only() {
    let cluster = with(&["users"]);
    assert!(may(&cluster, ".create table Mine (a:long)"));
    assert!(may(&cluster, ".create-merge table Mine (b:long)"));
    assert!(may(&cluster, ".ingest inline into table Mine <| 1"));
    assert!(may(&cluster, ".drop table Mine"));
    assert!(!may(&cluster, ".drop table T"));
    assert!(!may(&cluster, ".create-merge table T (b:long)"));
    assert!(!may(&cluster, ".ingest inline into table T <| 1"));
}

#[test]
fn an_ingestor_ingests_and_cannot_look() {
    let cluster = with(&["ingestors"]);
    assert!(may(&cluster, ".ingest inline into table T <| 1"));
    assert!(may(
        &cluster,
        r#".create table T ingestion csv mapping "M" '[{"Column":"a","Properties":{"Ordinal":"0"}}]'"#
    ));
    assert!(!may(&cluster, ".show tables"));
    assert!(!may(&cluster, ".clear table T data"));
    let query = cluster.engine.query(&cluster.context(&app()), "db", "T", &RequestProperties::default());
    assert_eq!(query.unwrap_err().status, 403);
}

#[test]
fn viewers_and_monitors_look_and_change_nothing() {
    for role in ["viewers", "monitors"] {
        let cluster = with(&[role]);
        for command in
            [".show tables", ".show table T extents", ".show table T cslschema", ".show table T policy merge"]
        {
            assert!(may(&cluster, command), "{role}: {command}");
        }
        for command in [".create table X (a:long)", ".ingest inline into table T <| 1", ".clear table T data"]
        {
            assert!(!may(&cluster, command), "{role}: {command}");
        }
    }
}

#[test]
fn a_monitor_cannot_query() {
    let cluster = with(&["monitors"]);
    let query = cluster.engine.query(&cluster.context(&app()), "db", "T", &RequestProperties::default());
    assert_eq!(query.unwrap_err().status, 403);
}

#[test]
fn a_move_needs_table_admin_on_source_and_destination() {
    let cluster = with(&["users"]);
    assert!(may(&cluster, ".create table S (a:long)"));
    assert!(!may(&cluster, ".move extents all from table S to table T"));
    cluster.run(&format!(".add table T admins ('{APP}')"));
    assert!(may(&cluster, ".move extents all from table S to table T"));
}

#[test]
fn dropping_extents_without_a_table_needs_database_admin() {
    let cluster = with(&["users"]);
    cluster.run(&format!(".add table T admins ('{APP}')"));
    cluster.run(".ingest inline into table T <| 1");
    let id = cluster.extents("T")[0];
    assert!(!may(&cluster, &format!(".drop extents ({id})")));
    assert!(may(&cluster, &format!(".drop extents ({id}) from T")));
}

#[test]
fn a_table_role_is_given_only_to_principals_with_a_database_role() {
    let cluster = with(&[]);
    let error = cluster.refused(&format!(".add table T ingestors ('{APP}')"));
    assert!(error.detail.contains(APP) && error.detail.contains(".add database"), "{error}");
}

#[test]
fn a_role_taken_away_takes_effect_at_once() {
    let cluster = with(&["ingestors"]);
    assert!(cluster.engine.check_ingestion(&app(), "db", "T").is_ok());
    cluster.run(&format!(".drop database db ingestors ('{APP}')"));
    assert_eq!(cluster.engine.check_ingestion(&app(), "db", "T").unwrap_err().code, "Forbidden");
}

#[test]
fn set_replaces_the_holders_of_one_role_and_none_clears_it() {
    let cluster = with(&["viewers", "users"]);
    let set = cluster.run(".set database db viewers ('aaduser=a@b.c', 'aadgroup=g;t') 'why'");
    let roles = column(&set, "Role");
    assert_eq!(roles, [json!("Database db User"), json!("Database db Viewer"), json!("Database db Viewer")]);
    assert_eq!(column(&set, "PrincipalFQN")[1..], [json!("aaduser=a@b.c"), json!("aadgroup=g;t")]);
    assert_eq!(cluster.run(".set database db viewers none skip-results").rows, 0);
    assert_eq!(cluster.run(".show database db principals").rows, 1);
}

#[test]
fn principals_are_compared_without_case_and_a_name_without_tenant_fits_any() {
    let cluster = Cluster::by_role();
    cluster.run(".add database db users ('AADAPP=APP')");
    assert!(may(&cluster, ".show tables"));
}

#[test]
fn one_sees_ones_own_roles_on_table_database_and_cluster() {
    let cluster = with(&["users", "ingestors"]);
    cluster.run(&format!(".add table T admins ('{APP}')"));
    let own = |command| column(&cluster.try_as(&app(), command).unwrap(), "Role");
    assert_eq!(own(".show table T principal roles"), ["Database User", "Database Ingestor", "Table Admin"]);
    assert_eq!(own(".show database db principal roles"), ["Database User", "Database Ingestor"]);
    assert_eq!(own(".show principal roles"), ["Database User", "Database Ingestor", "Table Admin"]);
    assert_eq!(column(&cluster.run(".show principal roles"), "Role")[0], json!("AllDatabasesAdmin"));
}

#[test]
fn without_sign_in_everybody_is_admin_of_all_databases() {
    let cluster = Cluster::new();
    cluster.try_as(&app(), ".create table T (a:long)").unwrap();
    cluster.try_as(&Principal::parse("aaduser=someone").unwrap(), ".drop table T").unwrap();
}

#[test]
fn basing_a_table_on_another_needs_database_admin_although_creating_one_does_not() {
    let cluster = with(&["users"]);
    assert!(may(&cluster, ".create table Mine (a:long)"));
    assert!(!may(&cluster, ".create table Copy based-on Mine"));
    cluster.run(&format!(".add database db admins ('{APP}')"));
    assert!(may(&cluster, ".create table Copy based-on Mine"));
}

#[test]
fn the_managed_identity_policy_needs_an_admin_of_all_databases() {
    let cluster = with(&["admins"]);
    let policy = r#"[{"ObjectId":"system","AllowedUsages":"NativeIngestion"}]"#;
    let command = format!(".alter database db policy managed_identity '{policy}'");
    assert!(!may(&cluster, &command));
    cluster.run(&command);
    assert!(may(&cluster, ".show database db policy managed_identity"));
}

#[test]
fn roles_that_a_principal_loses_everywhere_are_gone_from_cluster_databases_and_tables() {
    let cluster = with(&["users"]);
    cluster.run(&format!(".add table T admins ('{APP}')"));
    assert!(may(&cluster, ".clear table T data"));
    cluster.engine.forget_principal(&app());
    assert!(!may(&cluster, ".show tables"));
    assert_eq!(cluster.run(".show table T principals").rows, 1, "others keep theirs");
}

#[test]
fn the_roles_of_the_cluster_are_not_changed_by_commands() {
    let cluster = Cluster::by_role();
    let refused = cluster.refused(".add cluster admins ('aadapp=app;contoso.com')");
    assert!(refused.detail.contains("portal"), "{refused}");
    assert_eq!(cluster.run(".show cluster principal roles").rows, 1);
}

#[test]
fn every_role_of_a_database_is_added_dropped_and_shown() {
    for role in ["admins", "users", "viewers", "unrestrictedviewers", "ingestors", "monitors"] {
        let cluster = Cluster::by_role();
        let shown = cluster.run(&format!(".add database db {role} ('aadapp=a;t', 'aaduser=b@c.d') 'why'"));
        assert_eq!((shown.rows, &column(&shown, "Notes")[0]), (2, &json!("why")), "{role}");
        let own =
            cluster.try_as(&Principal::application("a", "t"), ".show database db principal roles").unwrap();
        let title = column(&own, "Role")[0].as_str().unwrap().to_lowercase();
        assert_eq!(format!("{}s", title.strip_prefix("database ").unwrap()), role);
        assert_eq!(cluster.run(&format!(".drop database db {role} ('aadapp=a;t')")).rows, 1);
        assert_eq!(cluster.run(&format!(".set database db {role} none")).rows, 0);
    }
    for role in ["users", "viewers", "monitors"] {
        let cluster = Cluster::by_role();
        cluster.run(".create table T (a:long)");
        assert_eq!(cluster.refused(&format!(".add table T {role} ('aadapp=a;t')")).status, 400, "{role}");
    }
}

#[test]
fn principal_access_tells_in_its_fourth_column_whether_somebody_may_ingest() {
    let cluster = Cluster::by_role();
    cluster.run(".create table T (a:long)");
    let asks = ".show principal access with (principal='aadapp=app;contoso.com', accesstype='ingest', \
                database='db', table='T')";
    assert_eq!(json_rows(&cluster.run(asks))[0][3], json!(false));
    cluster.run(".add database db viewers ('aadapp=app;contoso.com')");
    cluster.run(".add table T ingestors ('aadapp=app;contoso.com')");
    assert_eq!(json_rows(&cluster.try_as(&app(), asks).unwrap())[0][3], json!(true), "about oneself");
    let other = Principal::application("other", "contoso.com");
    assert_eq!(cluster.try_as(&other, asks).unwrap_err().status, 403);
}
