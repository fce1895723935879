//! What a sink asks, with what rights, and what it says when one is missing.

use std::time::Duration;

use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule};

use crate::rig::{
    APP, DATABASE, KEY, ROWS, Rig, TENANT, granting_commands, options, rows, says, send, send_more,
};

/// Everything that SinkV2 asks engine and data management, from its start to its last report: none of it changes
/// anything, and none needs more than Table Ingestor and Database User.
#[test]
fn the_least_rights_are_enough_and_these_are_all_the_commands_that_are_asked() {
    let rig = Rig::new();
    rig.handle.forget_requests();
    rig.send().unwrap();
    rig.has_every_row_once("least rights");
    let asked = |endpoint| {
        let of = rig.handle.requests().into_iter().filter(move |request| request.endpoint == endpoint);
        of.map(|request| (request.operation, request.scope, request.principal)).collect::<Vec<_>>()
    };
    let mut commands = asked(Endpoint::Management);
    commands.sort();
    let by_us =
        |command: &str, database: &str| (command.to_owned(), database.to_owned(), rig.principal.clone());
    assert_eq!(
        commands,
        [
            by_us(".get ingestion resources", "NetDefaultDB"),
            by_us(".get kusto identity token", "NetDefaultDB"),
            by_us(".show table T cslschema", DATABASE),
        ]
    );
    assert_eq!(asked(Endpoint::Query), []);
    assert_eq!(asked(Endpoint::StreamingIngest), []);
    assert_eq!(asked(Endpoint::Unknown), []);
    let mut storage: Vec<_> = [Endpoint::Blob, Endpoint::Queue, Endpoint::Table]
        .into_iter()
        .flat_map(asked)
        .map(|(operation, ..)| operation)
        .collect();
    storage.sort();
    storage.dedup();
    assert_eq!(storage, ["GetEntity", "InsertEntity", "PutBlob", "PutMessage"]);
}

/// Each missing right is named with the command that grants it, and the command does, whatever the names.
#[test]
fn each_missing_right_comes_with_the_command_that_grants_it_for_every_kind_of_name() {
    for (database, table) in [("Samples", "T"), ("my.db", "a.dotted.table"), ("with blank-s", "dash-ed name")]
    {
        let emulator = Emulator::builder().database(database).sign_in(true).tenant(TENANT);
        let emulator = emulator.batching_time(Duration::from_millis(5)).start().unwrap();
        let create = format!(".create table {} (id: long, text: string)", kusto_client::quote_name(table));
        emulator.handle().command(database, &create).unwrap();
        emulator.handle().add_app(APP, KEY, &[]).unwrap();
        let builder = kusto_client::ConnectionOptions::builder().cluster_url(emulator.cluster_url());
        let connection = builder.application(APP, KEY, TENANT).build().unwrap();
        let write = || options().database(database).table(table);
        let mut granted = Vec::new();
        while let Err(error) = send(&connection, write(), rows(0..ROWS)) {
            says(&error, &["role ", "Somebody who may grant"]);
            let commands = granting_commands(&error);
            assert!(!granted.contains(&commands), "granted, and asked for again: {error}");
            for command in &commands {
                assert!(command.contains("aadapp=app-1;contoso.example"), "{command}");
                emulator.handle().command(database, command).unwrap_or_else(|why| panic!("{command}: {why}"));
            }
            granted.push(commands);
        }
        assert!(!granted.is_empty() && granted.len() <= 2, "{granted:?}");
        let count = format!("{} | count", kusto_client::quote_name(table));
        assert_eq!(emulator.handle().query(database, &count).unwrap()[0][0], ROWS);
    }
}

#[test]
fn tokens_that_are_revoked_at_any_command_are_replaced() {
    for command in [".show table", ".get ingestion resources", ".get kusto identity token"] {
        let rig = Rig::new();
        let hits = rig.fault(Endpoint::Management, command, Fault::RevokeTokens, 1);
        rig.send().unwrap();
        assert_eq!(hits.count(), 1, "{command}");
        assert_eq!(rig.requests(Endpoint::SignIn, "Token"), 2, "{command}: one token, and one more");
        rig.has_every_row_once(command);
    }
}

#[test]
fn a_role_that_is_taken_away_mid_run_is_named_with_its_command_and_granted_again_the_run_goes_on() {
    let rig = Rig::new();
    let sink = rig.send().unwrap();
    rig.handle.revoke_roles(&rig.principal).unwrap();
    let error = send_more(&sink, rows(0..ROWS)).unwrap_err();
    says(&error, &["rows were not ingested into Samples.T", "Forbidden", "Table Ingestor"]);
    let commands = granting_commands(&error);
    assert_eq!(
        commands,
        [
            ".add database Samples users ('aadapp=app-1;contoso.example')",
            ".add table T ingestors ('aadapp=app-1;contoso.example')"
        ]
    );
    rig.has_every_row_once("before the role was taken");
    commands.iter().for_each(|command| drop(rig.handle.command(DATABASE, command).unwrap()));
    rig.handle.command(DATABASE, ".clear table T data").unwrap();
    rig.send().unwrap();
    rig.has_every_row_once("after it was given again");
}

#[test]
fn a_role_that_is_taken_away_between_message_and_ingestion_is_named() {
    let rig = Rig::new();
    rig.handle.add_fault(FaultRule::new(Endpoint::Ingestion, Fault::RevokeRoles).times(1));
    let error = rig.send().map(drop).unwrap_err();
    says(&error, &["Table Ingestor", ".add table T ingestors ('aadapp=app-1;contoso.example')"]);
}

#[test]
fn a_role_that_is_missing_for_the_identity_token_names_the_table() {
    let rig = Rig::new();
    let refused = Fault::Fail { status: 403, retry_after: None };
    rig.handle
        .add_fault(FaultRule::new(Endpoint::Management, refused).operation(".get kusto identity token"));
    let error = rig.send().map(drop).unwrap_err();
    says(&error, &["Table Ingestor", ".add table T ingestors ('aadapp=app-1;contoso.example')"]);
}
