use super::*;

fn tagged() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    cluster.run(r#".ingest inline into table T with (tags='["drop-by:x","free"]') <| 1"#);
    cluster.run(r#".ingest inline into table T with (tags='["other"]') <| 2"#);
    cluster
}

fn tags(cluster: &Cluster) -> Vec<Json> {
    column(&cluster.run(".show table T extents"), "Tags")
}

#[test]
fn alter_sets_the_tags_of_the_extents_that_the_query_yields_and_gives_them_new_ids() {
    for command in [
        ".alter extent tags ('a','b') <| .show table T extents where tags has 'free'",
        ".alter table T extent tags ('a','b') <| .show table T extents where tags has 'free'",
    ] {
        let cluster = tagged();
        let before = cluster.extents("T");
        let altered = cluster.run(command);
        let documented = ["OriginalExtentId", "ResultExtentId", "ResultExtentTags", "Details"];
        assert_eq!(column_names(&altered), documented);
        assert_eq!(column(&altered, "OriginalExtentId"), [json!(before[0].to_string())]);
        assert_eq!(column(&altered, "ResultExtentTags"), [json!("a\r\nb")]);
        assert_eq!(tags(&cluster), [json!("other"), json!("a\r\nb")]);
        assert!(!cluster.extents("T").contains(&before[0]));
        assert_eq!(cluster.content("T"), json!([[2], [1]]));
    }
}

#[test]
fn alter_merge_adds_tags_to_those_that_are_there() {
    let cluster = tagged();
    cluster.run(
        ".alter-merge table T extent tags ('free','new') <| .show table T extents where tags has 'free'",
    );
    assert_eq!(tags(&cluster)[1], json!("drop-by:x\r\nfree\r\nnew"));
}

#[test]
fn drop_takes_tags_from_every_extent_that_has_one_of_them() {
    for command in [
        ".drop extent tags from table T ('free', 'nowhere')",
        ".drop table T extent tags ('free', 'nowhere')",
        ".drop extent tags <| .show table T extents where tags has 'free' | extend Tags = 'free'",
        ".drop table T extent tags <| .show table T extents where tags has 'free' | extend Tags = 'free'",
    ] {
        let cluster = tagged();
        let before = cluster.extents("T");
        assert_eq!(cluster.run(command).rows, 1, "{command}");
        assert_eq!(tags(&cluster), [json!("other"), json!("drop-by:x")], "{command}");
        assert_eq!(cluster.extents("T")[0], before[1], "an extent without the tag stays as it is");
    }
}

#[test]
fn changes_of_tags_concern_one_table_and_need_its_admin() {
    let cluster = tagged();
    cluster.run(".create table U (a:long)");
    cluster.run(".ingest inline into table U <| 3");
    let error = cluster.refused(".alter extent tags ('a') <| .show database db extents");
    assert!(error.detail.contains("same table"), "{error}");
    let cluster = Cluster::by_role();
    cluster.run(".create table T (a:long)");
    cluster.run(".ingest inline into table T <| 1");
    cluster.run(".add database db viewers ('aadapp=app;contoso.com')");
    let app = Principal::application("app", "contoso.com");
    let refused = cluster.try_as(&app, ".alter extent tags ('a') <| .show table T extents").unwrap_err();
    assert_eq!(refused.status, 403);
}

#[test]
fn a_change_of_tags_may_run_async_and_is_bound_to_a_range_of_creation() {
    let cluster = tagged();
    let command = ".alter async table T extent tags ('a') with (extentCreatedOnFrom=datetime(2030-01-01)) \
                   <| .show table T extents";
    let id = column(&cluster.run(command), "OperationId")[0].as_str().unwrap().to_owned();
    cluster.work_off();
    assert_eq!(cluster.run(&format!(".show operation {id} details")).rows, 0);
    assert_eq!(tags(&cluster), [json!("drop-by:x\r\nfree"), json!("other")]);
}
