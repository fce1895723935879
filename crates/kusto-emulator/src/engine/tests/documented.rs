//! Statements of the service's documents that have no other place: who may do what, how scalars are spelled, what the
//! documents tell to build on replacements and tags.

use super::*;
use std::time::Duration;

/// What a principal may be: a role in the database, or one on the table `T` beside the role of a viewer.
const ROLES: [&str; 8] = [
    "admins",
    "users",
    "viewers",
    "unrestrictedviewers",
    "ingestors",
    "monitors",
    "table admins",
    "table ingestors",
];

fn app() -> Principal {
    Principal::application("app", "contoso.com")
}

/// Tables `T` and `U`, and an application with a role.
fn with(role: &str) -> Cluster {
    let cluster = Cluster::by_role();
    cluster.run(".create tables T (a:long), U (a:long)");
    cluster.run(".ingest inline into table T with (tags='[\"t\"]') <| 1");
    match role.strip_prefix("table ") {
        None => drop(cluster.run(&format!(".add database db {role} ('{}')", app()))),
        Some(role) => {
            cluster.run(&format!(".add database db viewers ('{}')", app()));
            cluster.run(&format!(".add table T {role} ('{}')", app()));
        }
    }
    cluster
}

#[test]
fn each_command_needs_the_role_that_its_page_names_and_no_other_role_will_do() {
    let look = &["admins", "users", "viewers", "monitors", "table admins", "table ingestors"][..];
    let read = &["admins", "users", "viewers", "table admins", "table ingestors"][..];
    let administer = &["admins", "table admins"][..];
    let ingest = &["admins", "ingestors", "table admins", "table ingestors"][..];
    for (command, allowed) in [
        (".create table New (a:long)", &["admins", "users"][..]),
        (".create tables New (a:long), Newer (a:long)", &["admins", "users"]),
        (".create-merge table New (a:long)", &["admins", "users"]),
        (".create table New based-on T", &["admins"]),
        (".drop table T", administer),
        (".rename table T to T2", administer),
        (".clear table T data", administer),
        (".alter table T (a:long, b:long)", administer),
        (".alter table T docstring 'x'", administer),
        (".alter-merge table T policy ingestionbatching '{\"MaximumNumberOfItems\":5}'", administer),
        (".alter-merge table T policy retention softdelete = 1d", administer),
        (".alter table T policy merge '{\"AllowMerge\":false}'", administer),
        (".alter table T policy streamingingestion enable", administer),
        (".alter table T policy auto_delete '{\"ExpiryDate\":\"2030-01-01\"}'", administer),
        (".alter column T.a policy encoding type='Identifier'", administer),
        (".alter database db policy merge '{\"AllowMerge\":false}'", &["admins"]),
        (".alter database db policy managed_identity '[]'", &[]),
        (".alter cluster policy caching hot = 1d", &[]),
        (".move extents all from table T to table U", &["admins"]),
        (".drop extents from T", administer),
        (".drop extents <| .show table T extents", &["admins"]),
        (".alter table T extent tags ('x') <| .show table T extents where tags has 't'", administer),
        (".drop table T extent tags ('t')", administer),
        (".show table T extents", look),
        (".show database db extents", look),
        (".show cluster extents", &[]),
        (".show table T cslschema", look),
        (".show tables", look),
        (".show table T policy merge", look),
        (".ingest inline into table T <| 2", ingest),
        (".append T <| print a = 3", &["admins", "table admins", "table ingestors"]),
        (".append T with (extend_schema=true) <| print a = 3, b = 4", administer),
        (".set-or-append New <| print a = 3", &["admins", "users"]),
        (".set-or-replace T <| print a = 3", administer),
        (
            ".create table T ingestion csv mapping 'M' '[{\"Column\":\"a\",\"Properties\":{\"Ordinal\":0}}]'",
            ingest,
        ),
        (
            ".create database db ingestion csv mapping 'M' '[{\"Column\":\"a\",\"Properties\":{\"Ordinal\":0}}]'",
            &["admins", "ingestors"],
        ),
        (".show table T principals", administer),
        (".add table T ingestors ('aadapp=app;contoso.com')", administer),
        (".show database db principals", &["admins"]),
        (".add database db users ('aadapp=other;t')", &["admins"]),
    ] {
        for role in ROLES {
            let outcome = with(role).try_as(&app(), command);
            match &outcome {
                Ok(_) => assert!(allowed.contains(&role), "{role} may {command}"),
                Err(error) => {
                    assert!(!allowed.contains(&role), "{role} may not {command}: {error}");
                    assert_eq!((error.status, error.permanent), (403, true), "{role} {command}: {error}");
                }
            }
        }
    }
    for role in ROLES {
        let cluster = with(role);
        let asked =
            cluster.engine.query(&cluster.context(&app()), "db", "T | count", &RequestProperties::default());
        assert_eq!(asked.is_ok(), read.contains(&role), "{role} queries");
    }
}

#[test]
fn operations_and_failures_are_shown_to_their_owner_and_to_admins_of_the_database() {
    let cluster = with("users");
    cluster.run(".set-or-append Other <| print a = 1");
    cluster.try_as(&app(), ".set-or-append Mine <| print a = 1").unwrap();
    cluster.try_as(&app(), ".ingest into table Mine ('http://h/c/gone.csv')").unwrap_err();
    let all = cluster.run(".show operations").rows;
    let own = cluster.try_as(&app(), ".show operations").unwrap().rows;
    assert!(own >= 2 && own < all, "{own} of {all}");
    let stranger = Principal::application("stranger", "t");
    cluster.run(".add database db viewers ('aadapp=stranger;t')");
    for (who, rows) in [(&app(), 1), (&cluster.caller, 1), (&stranger, 0)] {
        assert_eq!(cluster.try_as(who, ".show ingestion failures").unwrap().rows, rows, "{who}");
    }
}

#[test]
fn ingestion_failures_tell_what_failed_where_and_why_and_are_kept_for_two_weeks() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    for name in ["one", "two"] {
        cluster.put(&format!("http://h/c/{name}.csv?sig=secret"), "1\n2,3\n");
        cluster.refused(&format!(
            ".ingest into table T (h'http://h/c/{name}.csv?sig=secret') with (format='csv')"
        ));
    }
    let shown = cluster.run(".show ingestion failures");
    for (name, value) in [
        ("Database", json!("db")),
        ("Table", json!("T")),
        ("IngestionSourcePath", json!("http://h/c/one.csv")),
        ("FailureKind", json!("Permanent")),
        ("OperationKind", json!("DataIngestPull")),
        ("OriginatesFromUpdatePolicy", json!(false)),
        ("ErrorCode", json!("Stream_WrongNumberOfFields")),
        ("NumberOfSources", json!(1)),
        ("ShouldRetry", json!(false)),
        ("Principal", json!(cluster.caller.fqn())),
    ] {
        assert_eq!(column(&shown, name)[0], value, "{name}");
    }
    assert!(column(&shown, "Details")[0].as_str().unwrap().contains("line 2"));
    assert!(!json_rows(&shown).to_string().contains("secret"));
    let id = column(&shown, "OperationId")[1].as_str().unwrap().to_owned();
    let one = cluster.run(&format!(".show ingestion failures with (OperationId='{id}')"));
    assert_eq!(column(&one, "IngestionSourcePath"), [json!("http://h/c/two.csv")]);
    cluster.clock.advance(Duration::from_secs(14 * 86_400));
    assert_eq!(cluster.run(".show ingestion failures").rows, 0);
}

#[test]
fn scalars_are_read_in_their_documented_spellings_and_anything_else_is_null() {
    for (ty, accepted, odd) in [
        (
            "bool",
            &[("true", json!(true)), ("FALSE", json!(false)), ("1", json!(true)), ("0", json!(false))][..],
            "yes",
        ),
        ("int", &[("-7", json!(-7)), ("+7", json!(7))], "2147483648"),
        ("long", &[("9223372036854775807", json!(i64::MAX))], "9223372036854775808"),
        (
            "real",
            &[("1.5", json!(1.5)), ("1e5", json!(1e5)), ("-2.5E-3", json!(-0.0025)), ("NaN", json!("NaN"))],
            "1,5",
        ),
        ("decimal", &[("1.0", json!("1.0")), ("-0.001", json!("-0.001"))], "one"),
        (
            "datetime",
            &[
                ("2014-05-25T08:20:03.1234567Z", json!("2014-05-25T08:20:03.1234567Z")),
                ("2014-05-25 08:20:03", json!("2014-05-25T08:20:03.0000000Z")),
                ("2014-11-08 15:55", json!("2014-11-08T15:55:00.0000000Z")),
                ("2014-11-08", json!("2014-11-08T00:00:00.0000000Z")),
            ],
            "2014-13-01",
        ),
        (
            "timespan",
            &[("1.02:03:04.5", json!("1.02:03:04.5000000")), ("-00:00:01", json!("-00:00:01"))],
            "soon",
        ),
        (
            "guid",
            &[("74be27de-1e4e-49d9-b579-fe0b331d3642", json!("74be27de-1e4e-49d9-b579-fe0b331d3642"))],
            "74be27de",
        ),
        ("dynamic", &[("[1]", json!([1])), ("17", json!(17)), ("text", json!("text"))], "null"),
    ] {
        let cluster = Cluster::new();
        cluster.run(&format!(".create table T (v:{ty})"));
        let texts = accepted.iter().map(|(text, _)| *text).chain([odd]);
        let lines: String = texts.map(|text| format!("\"{text}\"\n")).collect();
        cluster.ingest_text("T", &none(), lines).unwrap();
        let expected = accepted.iter().map(|(_, value)| json!([value])).chain([json!([null])]).collect();
        assert_eq!(cluster.content("T"), Json::Array(expected), "{ty}");
    }
}

#[test]
fn the_documented_way_to_load_a_batch_once_replaces_what_carries_its_tag_only_if_there_is_something_to_move()
{
    let cluster = Cluster::new();
    cluster.run(".create tables S (a:long), D (a:long)");
    let load = |values: &str| {
        cluster.run(&format!(".ingest inline into table S with (tags='[\"drop-by:b1\"]') <| {values}"));
    };
    let replace = || {
        cluster.run(
            ".replace extents in table D <| \
             { .show table D extents where tags has 'drop-by:b1' | where toscalar(print 1) == 1 }, \
             { .show table S extents where tags has 'drop-by:b1' }",
        )
    };
    load("1");
    assert_eq!(column(&replace(), "ResultExtentId").len(), 1);
    load("2");
    let replaced = replace();
    assert_eq!(
        column(&replaced, "ResultExtentId").iter().filter(|id| **id == json!("")).count(),
        1,
        "dropped"
    );
    assert_eq!((cluster.content("D"), cluster.count("S")), (json!([[2]]), 0));
    let marked = cluster.run(".show table D extents where tags has 'drop-by:b1'");
    assert_eq!(marked.rows, 1, "the tag is the mark of the commit");
}

#[test]
fn extents_whose_united_tags_have_more_than_a_million_characters_are_not_merged() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    for n in 0..2 {
        let tag = format!("{n}{}", "x".repeat(600_000));
        cluster.ingest_text("T", &json!({"tags": [tag]}), "1").unwrap();
    }
    assert_eq!(cluster.engine.merge(None, None).unwrap(), 0);
    cluster.run(".create table U (a:long)");
    for n in 0..2 {
        cluster.ingest_text("U", &json!({"tags": [format!("{n}")]}), "1").unwrap();
    }
    assert_eq!(cluster.engine.merge(None, None).unwrap(), 1);
}

#[test]
fn ingesting_nothing_answers_with_the_zero_id_and_direct_ingestion_has_its_documented_columns() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    cluster.put("http://h/c/header.csv", "a\n");
    let into = ".ingest into table T ('http://h/c/header.csv') with (format='csv', ignoreFirstRecord=true)";
    let pulled = cluster.run(into);
    assert_eq!(column_names(&pulled), ["ExtentId", "ItemLoaded", "Duration", "HasErrors", "OperationId"]);
    let zero = json!("00000000-0000-0000-0000-000000000000");
    assert_eq!(column(&pulled, "ExtentId")[0], zero);
    assert_eq!(column(&cluster.run(".ingest inline into table T <|"), "ExtentId"), [zero]);
    let set = cluster.run(".set-or-append T <| print a = 1");
    let names = ["ExtentId", "OriginalSize", "ExtentSize", "CompressedSize", "IndexSize", "RowCount"];
    assert_eq!(column_names(&set), names);
}

#[test]
fn names_may_be_quoted_and_texts_be_written_in_every_documented_way() {
    let cluster = Cluster::new();
    cluster.run(".create table ['my table-1'] (['a b']:long)");
    cluster.run(".create table [\"other one\"] (a:long)");
    assert_eq!(cluster.tables(), ["my table-1", "other one"]);
    for text in ["'it\\'s'", "\"it's\"", "@'it''s'", "@\"it's\"", "h'it\\'s'", "```it's```"] {
        cluster.run(&format!(".alter table ['my table-1'] docstring {text}"));
        let shown = cluster.run(".show tables | where TableName == 'my table-1'");
        assert_eq!(column(&shown, "DocString"), [json!("it's")], "{text}");
    }
}

#[test]
fn one_ingestion_has_one_mapping_by_name_or_inline_and_not_both() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    let mapping = "[{\"Column\":\"a\",\"Properties\":{\"Ordinal\":\"0\"}}]";
    let both = json!({"ingestionMapping": mapping, "ingestionMappingReference": "M"});
    assert_eq!(cluster.ingest_text("T", &both, "1").unwrap_err().code, "BadRequest_DuplicateMapping");
    let flat = json!({"ingestionMapping": "[{\"column\":\"a\",\"ordinal\":1}]"});
    cluster.ingest_text("T", &flat, "1,2").unwrap();
    assert_eq!(cluster.content("T"), json!([[2]]));
}

#[test]
fn recoverability_and_schema_commands_answer_as_documented() {
    let cluster = Cluster::new();
    let created = cluster.run(".create table T (a:long, s:string) with (docstring='d', folder='f')");
    let names = ["TableName", "Schema", "DatabaseName", "Folder", "DocString"];
    assert_eq!(column_names(&created), names);
    assert_eq!(column_names(&cluster.run(".show table T schema as json")), names);
    assert_eq!(column_names(&cluster.run(".show table T cslschema")), names);
    cluster.run(".alter-merge table T policy retention softdelete = 1d recoverability = disabled");
    let shown = cluster.run(".show table T policy retention");
    assert_eq!(column_names(&shown), ["PolicyName", "EntityName", "Policy", "ChildEntities", "EntityType"]);
    let policy: Json = serde_json::from_str(column(&shown, "Policy")[0].as_str().unwrap()).unwrap();
    assert_eq!(
        (&policy["SoftDeletePeriod"], &policy["Recoverability"]),
        (&json!("1.00:00:00"), &json!("Disabled"))
    );
}
