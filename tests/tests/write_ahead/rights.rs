//! Rights: the least that is enough, what is asked with them, and what happens when one is taken away in the middle of a run.

use std::collections::BTreeSet;
use std::time::Duration;

use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule, Grant, Handle, HoldPoint, RightsOfWaiting};
use pipelines::generator::COLUMNS;
use timely_kusto_tests::{
    Config, Outcome, Place, Process, Rows, assert_same_rows, cell, command, storms, until,
};

const TENANT: &str = "contoso.example";
const APP: &str = "app-1";
const KEY: &str = "k3y-of-the-application";
const ROWS: u64 = 900;

/// A cluster with sign-in, the target, and an application with these rights.
struct Rig {
    place: Place,
    emulator: Emulator,
    principal: String,
    config: Config,
}

fn least_rights() -> [Grant; 2] {
    [Grant::database("Samples", "users"), Grant::table("Samples", "T", "admins")]
}

impl Rig {
    fn new(grants: &[Grant]) -> Self {
        let builder = Emulator::builder().database("Samples").sign_in(true).tenant(TENANT);
        let emulator = builder.batching_time(Duration::from_millis(20)).start().unwrap();
        let columns: Vec<_> = COLUMNS.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
        let create = format!(".create table T ({})", columns.join(", "));
        emulator.handle().command("Samples", &create).unwrap();
        let principal = emulator.handle().add_app(APP, KEY, grants).unwrap();
        let auth = format!(
            "auth = {{ kind = \"application\", app_id = {APP:?}, tenant_id = {TENANT:?}, app_key = {{ env = \"E2E_KEY\" }} }}"
        );
        let mut config = Config::new(emulator.cluster_url()).storms(ROWS).existing_table().connection(&auth);
        config.checkpoint_interval = "100ms".into();
        let config = config.source("partitions = 3").source("rate = 150").sink("mode = \"write-ahead\"");
        Rig { place: Place::new(), config: config.sink("retry_backoff = \"10ms\""), emulator, principal }
    }

    fn handle(&self) -> &Handle {
        self.emulator.handle()
    }

    fn start(&self, workers: &str) -> Process {
        let file = self.place.write_config(&self.config);
        let run = ["run", "--report", "json", "-w", workers];
        self.place.start(command().env("E2E_KEY", KEY).args(run).arg(file))
    }

    /// Starts it again and again, each time with the rights that the last one asked for, until it ends well.
    fn grant_and_run(&self, mut refused: Outcome) -> usize {
        let mut granted = Vec::new();
        while refused.code != Some(0) {
            refused.refused(2, &["the role ", "Somebody who may grant it"]);
            // The last that it says; logs before it may have advice, too.
            let error = refused.stderr.rsplit("error: ").next().unwrap();
            let commands = error.lines().map(str::trim).filter(|line| line.starts_with(".add "));
            let commands: Vec<String> = commands.map(str::to_owned).collect();
            assert!(!commands.is_empty() && !granted.contains(&commands), "granted before: {refused:?}");
            for command in &commands {
                assert!(command.contains(&self.principal), "{command}");
                self.handle().command("Samples", command).unwrap_or_else(|why| panic!("{command}: {why}"));
            }
            granted.push(commands);
            refused = self.start("2").wait();
        }
        granted.len()
    }

    fn rows(&self) -> Rows {
        let rows = self.handle().query("Samples", "T").unwrap();
        let row = |row: serde_json::Value| {
            let cells = row.as_array().unwrap().iter().zip(COLUMNS);
            cells.map(|(value, (_, kind))| cell(value, kind)).collect()
        };
        rows.into_iter().map(row).collect()
    }

    #[track_caller]
    fn holds_each_row_once(&self) {
        assert_same_rows(&self.rows(), &storms(ROWS));
    }

    fn wait_for_rows(&self, process: &mut Process) {
        until("rows in the table", || {
            assert!(process.runs(), "it ended too early: {}", process.stderr());
            (self.handle().query("Samples", "T | count").unwrap()[0][0] != 0).then_some(())
        });
    }
}

/// A role is taken away while rows come in. Whichever it is, the run ends with its name, and nothing is lost.
fn taken_away_mid_run(take: fn(&Rig)) {
    let rig = Rig::new(&least_rights());
    let mut process = rig.start("2");
    rig.wait_for_rows(&mut process);
    take(&rig);
    assert!(rig.grant_and_run(process.wait()) > 0);
    rig.holds_each_row_once();
}

#[test]
fn all_roles_taken_away_mid_run_are_named_one_after_the_other_and_the_next_start_finishes() {
    taken_away_mid_run(|rig| rig.handle().revoke_roles(&rig.principal).unwrap());
}

#[test]
fn table_admin_taken_away_mid_run_is_named_and_the_next_start_finishes() {
    taken_away_mid_run(|rig| {
        let command = format!(".drop table T admins ('{}')", rig.principal);
        rig.handle().command("Samples", &command).unwrap();
    });
}

#[test]
fn the_role_in_the_database_taken_away_mid_run_is_named_and_the_next_start_finishes() {
    taken_away_mid_run(|rig| {
        let command = format!(".drop database Samples users ('{}')", rig.principal);
        rig.handle().command("Samples", &command).unwrap();
    });
}

#[test]
fn a_role_taken_away_right_at_a_request_is_named_whichever_request_it_is() {
    let management =
        |command: &str| FaultRule::new(Endpoint::Management, Fault::RevokeRoles).operation(command);
    let rules = [
        management(".rename tables"),
        management(".append kt_epochs").skip(2),
        management(".show table kt_stage").skip(2),
        management(".move extents"),
        FaultRule::new(Endpoint::Ingestion, Fault::RevokeRoles),
        FaultRule::new(Endpoint::Query, Fault::RevokeRoles).table("kt_epochs"),
    ];
    for rule in rules {
        let rig = Rig::new(&least_rights());
        let hits = rig.handle().add_fault(rule.clone().times(1));
        let refused = rig.start("2").wait();
        assert_eq!(hits.count(), 1, "{rule:?}");
        rig.grant_and_run(refused);
        rig.holds_each_row_once();
    }
}

/// Whether the rights of a request that waits are looked at again is not documented.
#[test]
fn a_move_that_was_under_way_when_the_role_was_taken_away_repeats_and_loses_nothing() {
    for rights in [RightsOfWaiting::WhenItTakesEffect, RightsOfWaiting::WhenItArrives] {
        let rig = Rig::new(&least_rights());
        let mut doubts = rig.handle().assumptions();
        doubts.rights = rights;
        rig.handle().assume(doubts);
        let hold = FaultRule::new(Endpoint::Management, Fault::Hold(HoldPoint::Resolved));
        rig.handle().add_fault(hold.operation(".move extents").times(1));
        let mut process = rig.start("1");
        until("a move that is held", || (!rig.handle().held().is_empty()).then_some(()));
        rig.handle().revoke_roles(&rig.principal).unwrap();
        rig.handle().release_all();
        rig.handle().settle_blocking();
        let moved = !rig.rows().is_empty();
        assert_eq!(moved, rights == RightsOfWaiting::WhenItArrives);
        rig.grant_and_run(process.wait());
        rig.holds_each_row_once();
    }
}

#[test]
fn tokens_that_are_revoked_are_replaced_and_chunks_that_carry_one_are_staged_by_the_next_start() {
    let rig = Rig::new(&least_rights());
    let revoke = |command: &str| {
        let revoked = FaultRule::new(Endpoint::Management, Fault::RevokeTokens);
        rig.handle().add_fault(revoked.operation(command).times(1))
    };
    let hits = [".show tables", ".rename tables", ".append kt_epochs"].map(revoke);
    rig.start("2").wait().expect(0);
    assert!(hits.iter().all(|hits| hits.count() == 1), "{hits:?}");
    rig.holds_each_row_once();

    let rig = Rig::new(&least_rights());
    let revoked = FaultRule::new(Endpoint::Management, Fault::RevokeTokens);
    rig.handle().add_fault(revoked.operation(".move extents").times(1));
    // A message on its way has a token of its own, which may be the one that was revoked.
    let first = rig.start("2").wait();
    assert!(matches!(first.code, Some(0 | 1)), "{first:?}");
    rig.start("1").wait().expect(0);
    rig.holds_each_row_once();
}

#[test]
fn a_key_that_expires_mid_run_ends_it_as_a_matter_of_configuration() {
    let rig = Rig::new(&least_rights());
    let mut process = rig.start("2");
    rig.wait_for_rows(&mut process);
    rig.handle().expire_key(APP);
    rig.handle().revoke_tokens(&rig.principal).unwrap();
    process.wait().refused(1, &["The application key has expired"]);
    rig.handle().add_app(APP, KEY, &[]).unwrap();
    rig.start("1").wait().expect(0);
    rig.holds_each_row_once();
}

#[test]
fn a_kt_epochs_that_somebody_else_made_needs_table_ingestor_there() {
    let rig = Rig::new(&least_rights());
    let columns = "Lineage:string, Kind:string, Generation:long, Nonce:string, Seq:long, Part:int, Parts:int, Body:string, \
                   Digest:string, Check:string";
    rig.handle().command("Samples", &format!(".create table kt_epochs ({columns})")).unwrap();
    let refused = rig.start("1").wait();
    refused.refused(2, &["Table Ingestor on kt_epochs", ".add table kt_epochs ingestors ('aadapp=app-1;"]);
    assert_eq!(rig.handle().query("Samples", "kt_epochs | count").unwrap()[0][0], 0, "nothing was written");
    assert_eq!(rig.grant_and_run(refused), 1);
    rig.holds_each_row_once();
}

#[test]
fn a_pipeline_that_is_taken_over_by_another_principal_needs_table_admin_on_the_staging_table() {
    let rig = Rig::new(&least_rights());
    rig.start("1").wait().expect(0);
    let other = rig.handle().add_app("app-2", KEY, &least_rights()).unwrap();
    let config = rig.config.clone().source("seed = 1");
    let text = config.to_string().replace(APP, "app-2");
    let file = rig.place.write("other.toml", text);
    let run = || rig.place.start(command().env("E2E_KEY", KEY).arg("run").arg(&file)).wait();
    let refused = run();
    refused.refused(2, &["Table Admin on kt_stage_", &other]);
    let mut refused = refused;
    while refused.code == Some(2) {
        let command = refused.stderr.lines().map(str::trim).find(|line| line.starts_with(".add table kt_"));
        rig.handle().command("Samples", command.unwrap()).unwrap();
        refused = run();
    }
    refused.expect(0);
    rig.holds_each_row_once();
}

/// A command without what differs from run to run: names of the pipeline's own tables, ids, values.
fn shape(text: &str) -> String {
    let word = |word: &str| match word {
        word if word.starts_with("kt_stage_") => "STAGE".to_owned(),
        word if word.starts_with("kt_anchor_") => "ANCHOR".to_owned(),
        word if word.starts_with("kt_init_") => format!("INIT_{}", word.rsplit('_').next().unwrap()),
        word => word.to_owned(),
    };
    let text = text.split(['(', '<', '|', '\n', '\'', '@']).next().unwrap();
    let words = text.split_whitespace().map(|part| {
        let (name, comma) = part.strip_suffix(',').map_or((part, ""), |name| (name, ","));
        match name.split_once('.') {
            Some((table, column)) if !table.is_empty() && !column.is_empty() => {
                word(table) + ".COLUMN" + comma
            }
            _ => word(name) + comma,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Everything that is asked of the engine from the first start to the last report, a kill and an adoption in between: none of
/// it needs more than Database User, and Table Admin on the target and on the pipeline's own tables.
#[test]
fn the_least_rights_are_enough_and_these_are_all_the_commands_that_are_asked() {
    let rig = Rig::new(&least_rights());
    let mut process = rig.start("2");
    rig.wait_for_rows(&mut process);
    process.kill();
    rig.start("3").wait().expect(0);
    rig.holds_each_row_once();
    let asked = |endpoint| -> BTreeSet<(String, String)> {
        let of = rig.handle().requests().into_iter().filter(move |request| request.endpoint == endpoint);
        of.filter(|request| request.principal == rig.principal)
            .map(|request| (shape(&request.operation), request.scope))
            .collect()
    };
    let own = |command: &&str| ((*command).to_owned(), "Samples".to_owned());
    let lent = [".get ingestion resources", ".get kusto identity token"];
    let lent = lent.map(|command| (command.to_owned(), "NetDefaultDB".to_owned()));
    let always: BTreeSet<_> = COMMANDS.iter().map(own).chain(lent).collect();
    let may_be: BTreeSet<_> = SOMETIMES.iter().map(own).collect();
    let found = asked(Endpoint::Management);
    let missing: Vec<_> = always.difference(&found).collect();
    let more: Vec<_> = found.iter().filter(|it| !always.contains(*it) && !may_be.contains(*it)).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing: {missing:?}, not known: {more:?}");
    let queries = ["kt_epochs", "set notruncation;"];
    let queries: BTreeSet<_> = queries.iter().map(own).collect();
    assert!(asked(Endpoint::Query).is_subset(&queries), "{:?}", asked(Endpoint::Query));
    for endpoint in [Endpoint::StreamingIngest, Endpoint::Unknown] {
        assert!(asked(endpoint).is_empty(), "{endpoint:?}");
    }
}

const COMMANDS: [&str; 26] = [
    ".show tables",
    ".show table T principal roles",
    ".show table STAGE principal roles",
    ".show table kt_epochs principal roles",
    ".show database Samples principal roles",
    ".show table T schema as json",
    ".show table STAGE schema as json",
    ".show column T.COLUMN policy encoding",
    ".show column STAGE.COLUMN policy encoding",
    ".show table STAGE extents",
    ".create table INIT_epochs",
    ".create table INIT_stage",
    ".create table INIT_anchor",
    ".alter table INIT_epochs policy retention",
    ".alter table INIT_epochs policy streamingingestion",
    ".alter table INIT_stage policy retention",
    ".alter table INIT_stage policy streamingingestion",
    ".alter table INIT_stage policy merge",
    ".alter table INIT_stage policy ingestionbatching",
    ".alter table INIT_anchor policy retention",
    ".alter table INIT_anchor policy streamingingestion",
    ".rename table INIT_epochs to kt_epochs",
    ".rename tables STAGE = INIT_stage, ANCHOR = INIT_anchor",
    ".rename tables STAGE = STAGE",
    ".append kt_epochs",
    ".move extents from table STAGE to table T with",
];

/// Where something was left over, or a move was interrupted.
const SOMETIMES: [&str; 2] = [".show table T extents where tags contains", ".drop extents"];
