//! Each switch both ways.

use super::*;
use std::time::Duration;

use crate::{FailedSources, MissingExtents};

const MINUTE: Duration = Duration::from_secs(60);

/// Tables `S` (two extents, each with a row) and `D`.
fn staged(assumptions: Assumptions) -> Cluster {
    let cluster = Cluster::new();
    cluster.engine.assume(assumptions);
    cluster.run(".create table S (a:long)");
    cluster.run(".create table D (a:long)");
    cluster.run(".ingest inline into table S <| 1");
    cluster.run(".ingest inline into table S with (tags='[\"drop-by:x\"]') <| 2");
    cluster
}

fn move_with_one_gone(missing: MissingExtents) -> (Cluster, EngineResult<ResultTable>) {
    let cluster = staged(Assumptions { missing_extents: missing, ..Assumptions::default() });
    let id = cluster.extents("S")[0];
    let gone = Uuid::from_u128(5);
    let moved = cluster.try_run(&format!(".move extents from table S to table D ({id}, {gone})"));
    (cluster, moved)
}

#[test]
fn a_move_whose_listed_extents_are_gone_may_fail_do_nothing_move_the_others_or_say_failed() {
    let (cluster, moved) = move_with_one_gone(MissingExtents::Refused);
    assert_eq!((moved.unwrap_err().code, cluster.count("D")), ("BadRequest_EntityNotFound", 0));
    let (cluster, moved) = move_with_one_gone(MissingExtents::NothingMoves);
    assert_eq!((moved.unwrap().rows, cluster.count("D")), (0, 0));
    let (cluster, moved) = move_with_one_gone(MissingExtents::OthersMove);
    assert_eq!((moved.unwrap().rows, cluster.count("D")), (1, 1));
    let (cluster, moved) = move_with_one_gone(MissingExtents::RowsSayFailed);
    let moved = moved.unwrap();
    assert_eq!(column(&moved, "ResultExtentId"), [json!("Failed"), json!("Failed")]);
    assert!(column(&moved, "Details").iter().all(|text| text.as_str().unwrap().contains("gone")));
    assert_eq!((cluster.count("S"), cluster.count("D")), (2, 0));
}

#[test]
fn a_replacement_is_never_done_by_half_whatever_moves_do() {
    let cluster =
        staged(Assumptions { missing_extents: MissingExtents::OthersMove, ..Assumptions::default() });
    cluster.run(".ingest inline into table D <| 9");
    let gone = Uuid::from_u128(5);
    let replace = format!(
        ".replace extents in table D <| {{ .show table D extents }}, \
         {{ print ExtentId = guid({gone}), TableName = 'S' }}"
    );
    assert_eq!(cluster.refused(&replace).code, "BadRequest_EntityNotFound");
    assert_eq!(cluster.content("D"), json!([[9]]));
}

#[test]
fn an_old_name_leads_nowhere_after_a_rename_or_to_the_table_for_a_while() {
    let cluster = staged(Assumptions::default());
    cluster.run(".rename table S to S2");
    assert_eq!(
        cluster.refused(".move extents all from table S to table D").code,
        "BadRequest_EntityNotFound"
    );
    let cluster = staged(Assumptions { old_names_last: MINUTE, ..Assumptions::default() });
    cluster.run(".rename table S to S2");
    cluster.run(".append S <| print a = 3");
    assert_eq!(cluster.run(".move extents all from table S to table D").rows, 3);
    cluster.run(".create table S (a:long)");
    assert_eq!(cluster.run(".show table S extents").rows, 0, "a table that has the name now comes first");
    cluster.run(".drop table S");
    cluster.clock.advance(MINUTE);
    assert_eq!(cluster.refused(".append S <| print a = 4").code, "BadRequest_EntityNotFound");
}

#[test]
fn queued_ingestion_knows_a_renamed_table_at_once_or_late_and_commands_always_at_once() {
    let late = Assumptions { ingestion_learns_names_after: MINUTE, ..Assumptions::default() };
    for (assumptions, new, old) in [
        (Assumptions::default(), Ok(1), Err("BadRequest_TableNotExist")),
        (late, Err("BadRequest_TableNotExist"), Ok(1)),
    ] {
        let cluster = staged(assumptions);
        cluster.clock.advance(2 * MINUTE);
        cluster.run(".rename table S to S2");
        let ingest = |name: &str| cluster.ingest_text(name, &none(), "7").map_err(|failure| failure.code);
        assert_eq!((ingest("S2"), ingest("S")), (new, old));
        cluster.run(".ingest inline into table S2 <| 8");
        assert_eq!(cluster.count("S2"), 4);
        cluster.clock.advance(2 * MINUTE);
        assert_eq!((ingest("S2"), ingest("S")), (Ok(1), Err("BadRequest_TableNotExist")));
    }
}

#[test]
fn data_management_knows_a_batching_policy_at_once_or_late_or_when_it_is_refreshed() {
    let cluster = staged(Assumptions { batching_learned_after: MINUTE, ..Assumptions::default() });
    let items = || cluster.engine.batching_policy("db", "S").map(|policy| policy.items);
    let alter = |items: u64| {
        cluster.clock.advance(2 * MINUTE);
        let policy = format!(r#"{{"MaximumNumberOfItems":{items}}}"#);
        cluster.run(&format!(".alter table S policy ingestionbatching '{policy}'"));
    };
    alter(7);
    assert_eq!(items(), None);
    cluster.clock.advance(MINUTE);
    assert_eq!(items(), Some(7));
    alter(8);
    assert_eq!(items(), Some(7));
    cluster.engine.refresh_batching();
    assert_eq!(items(), Some(8));
    cluster.engine.assume(Assumptions::default());
    alter(9);
    assert_eq!(items(), Some(9));
}

#[test]
fn reads_show_the_present_or_lag_behind_and_what_they_lead_to_is_decided_on_the_present() {
    let cluster = staged(Assumptions { reads_lag: MINUTE, ..Assumptions::default() });
    let context = cluster.context(&cluster.caller);
    let read = || {
        let answer = cluster.engine.query(&context, "db", "S | count", &RequestProperties::default());
        json_rows(&answer.unwrap()[0])[0][0].clone()
    };
    cluster.clock.advance(MINUTE);
    assert_eq!(read(), json!(2));
    cluster.run(".move extents all from table S to table D");
    assert_eq!((read(), cluster.run(".show table S extents").rows), (json!(2), 2), "both are old");
    assert_eq!(cluster.count("S"), 0);
    let moved = cluster.refused(".move extents to table D <| .show table S extents");
    assert_eq!(moved.code, "BadRequest_EntityNotFound");
    cluster.clock.advance(MINUTE);
    assert_eq!(read(), json!(0));
}

#[test]
fn a_source_that_fails_leaves_the_others_of_its_command_or_voids_them() {
    for (failed_sources, left) in [(FailedSources::LeaveTheOthers, 3), (FailedSources::VoidTheCommand, 2)] {
        let cluster = staged(Assumptions { failed_sources, ..Assumptions::default() });
        cluster.put("http://h/c/good.csv", "3");
        cluster.put("http://h/c/bad.csv", "4,\"open");
        let ingested = cluster.try_run(".ingest into table S ('http://h/c/good.csv', 'http://h/c/bad.csv')");
        match failed_sources {
            FailedSources::LeaveTheOthers => {
                assert_eq!(column(&ingested.unwrap(), "HasErrors"), [json!(true)])
            }
            FailedSources::VoidTheCommand => assert!(ingested.unwrap_err().detail.contains("ClosingQuote")),
        }
        assert_eq!(cluster.count("S"), left);
    }
}

#[test]
fn assumptions_are_read_from_json_where_what_is_left_out_has_its_default() {
    let text = r#"{"missing_extents":"RowsSayFailed","reads_lag":1.5}"#;
    let read: Assumptions = serde_json::from_str(text).unwrap();
    let expected = Assumptions {
        missing_extents: MissingExtents::RowsSayFailed,
        reads_lag: Duration::from_millis(1500),
        ..Assumptions::default()
    };
    assert_eq!(read, expected);
    assert!(serde_json::from_str::<Assumptions>(r#"{"reads_leg":1}"#).is_err());
}
