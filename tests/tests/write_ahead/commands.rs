//! The commands beside `run`: what they show and record is so, and damage is not passed over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kusto_emulator::Emulator;
use serde_json::{Value, json};
use timely_kusto_tests::{Cluster, Config, Outcome, Place, command};

use crate::support::*;

/// Runs a pipeline that dies before its first move: rows are logged, staged and claimed, and none is in the table.
fn interrupted(place: &Place, cluster: &Cluster, name: &str) -> Config {
    let config = pipeline(cluster, name);
    let outcome = start_to_die(place, &config, "before move", "2").wait();
    assert_eq!(outcome.code, None, "{outcome:?}");
    config
}

fn state_of(place: &Place, config: &Config) -> PathBuf {
    place.path().join(&config.state)
}

fn log(place: &Place, look: &str, dir: &Path) -> Outcome {
    place.command(&["log", look, dir.to_str().unwrap(), "--json"])
}

#[test]
fn log_shows_what_a_killed_process_left_and_verify_finds_each_damaged_byte() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = interrupted(&place, &cluster, "Logged");
    let state = state_of(&place, &config);

    let shown = log(&place, "show", &state).expect(0).json();
    let directories = shown["directories"].as_array().unwrap();
    assert_eq!(directories.len(), 2, "one for each worker: {shown}");
    let rows: u64 = directories.iter().map(|it| it["rows"].as_u64().unwrap()).sum();
    assert!(rows > 0 && rows <= ROWS, "{shown}");
    let positions = directories.iter().flat_map(|it| it["files"].as_array().unwrap());
    let positions: usize = positions.map(|it| it["positions"].as_array().unwrap().len()).sum();
    assert!(positions > 0, "{shown}");
    let listed = place.command(&["log", "ls", state.to_str().unwrap()]).expect(0).stdout;
    assert!(listed.contains("0 of 2") && listed.contains("1 of 2"), "{listed}");
    let one = directories[1]["path"].as_str().unwrap();
    let of_worker = log(&place, "ls", one.as_ref()).expect(0).json();
    assert_eq!(of_worker["directories"].as_array().unwrap().len(), 1, "{of_worker}");

    assert_eq!(log(&place, "verify", &state).expect(0).json()["damage"].as_array().unwrap().len(), 0);
    let with_chunks = |it: &&Value| !it["chunks"].as_array().unwrap().is_empty();
    let mut files = directories.iter().flat_map(|it| it["files"].as_array().unwrap());
    let file = PathBuf::from(files.find(with_chunks).unwrap()["path"].as_str().unwrap());
    let whole = std::fs::read(&file).unwrap();
    for at in [40, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&file, damaged).unwrap();
        let outcome = log(&place, "verify", &state).expect(4);
        outcome.refused(4, &[file.file_name().unwrap().to_str().unwrap(), "epoch files are damaged"]);
        assert_eq!(outcome.json()["damage"].as_array().unwrap().len(), 1, "byte {at}");
    }
    std::fs::write(&file, whole).unwrap();
    log(&place, "verify", &state).expect(0);
    std::fs::rename(&file, file.with_file_name("999.epochs")).unwrap();
    log(&place, "verify", &state).refused(4, &["does not belong there"]);
    place.command(&["log", "ls", "nowhere"]).refused(2, &["nowhere"]);
}

#[test]
fn init_makes_the_tables_once_and_run_takes_them() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline(&cluster, "Prepared");
    let file = place.write_config(&config);
    let init = || place.command(&["init", file.to_str().unwrap()]).expect(0).stdout;
    let first = init();
    for made in ["made Samples.Prepared with", "made kt_epochs,", "made kt_stage_", "made kt_anchor_"] {
        assert!(first.contains(made), "{made:?} is missing in {first}");
    }
    let tables = cluster.ask(".show tables | where TableName startswith 'kt_' | count").scalar().cloned();
    let again = init();
    assert!(!again.contains("made ") && again.contains("there kt_stage_"), "{again}");
    let still = cluster.ask(".show tables | where TableName startswith 'kt_' | count").scalar().cloned();
    assert_eq!((tables.clone(), still), (Some(3.into()), tables));
    place.run(&config, &["-w", "2"]).expect(0);
    assert!(init().contains("_1_"), "the staging table has the name that the start gave it");
    holds_each_row_once(&cluster, &config);
}

#[test]
fn init_prints_every_grant_that_is_missing_and_pasting_them_is_enough() {
    let place = Place::new();
    let builder = Emulator::builder().database("Samples").sign_in(true).tenant("contoso.example");
    let emulator = builder.batching_time(Duration::from_millis(50)).start().unwrap();
    emulator.handle().command("Samples", ".create table T (name: string, n: long)").unwrap();
    emulator.handle().add_app("app-1", "k3y", &[]).unwrap();
    place.write("rows.csv", "name,n\na,1\nb,2\n");
    let auth = "auth = { kind = \"application\", app_id = \"app-1\", tenant_id = \"contoso.example\", \
                app_key = { env = \"E2E_KEY\" } }";
    let config = Config::new(emulator.cluster_url()).file("rows.csv").connection(auth);
    let config = config.existing_table().sink("mode = \"write-ahead\"");
    let file = place.write_config(&config);
    let timely_kusto = |word| place.start(command().env("E2E_KEY", "k3y").arg(word).arg(&file)).wait();
    let refused = timely_kusto("init");
    refused.refused(2, &["Table Admin on T", "Database User on Samples"]);
    assert_eq!(emulator.handle().query("Samples", "kt_epochs | count").ok(), None, "nothing was made");
    let commands = refused.stderr.lines().map(str::trim).filter(|line| line.starts_with(".add "));
    for command in commands {
        let command = command.replace("<application id>;<tenant id>", "app-1;contoso.example");
        emulator.handle().command("Samples", &command).unwrap();
    }
    timely_kusto("init").expect(0);
    timely_kusto("run").expect(0);
    assert_eq!(emulator.handle().query("Samples", "T | count").unwrap()[0][0], 2);
}

fn audit(place: &Place, config: &Config) -> Outcome {
    let file = place.write_config(config);
    place.command(&["audit", file.to_str().unwrap(), "--json"])
}

fn states(audit: &Value) -> BTreeSet<&str> {
    audit["epochs"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect()
}

#[test]
fn audit_shows_what_is_claimed_after_a_crash_and_agrees_after_the_next_run() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = interrupted(&place, &cluster, "Audited");
    let between = audit(&place, &config).expect(0).json();
    assert_eq!(states(&between), BTreeSet::from(["claimed"]), "{between}");
    let rows = |audit: &Value, of: &str| audit[of].as_u64().unwrap();
    assert!(rows(&between, "claimed_rows") > 0, "{between}");
    assert!(rows(&between, "staged_rows") >= rows(&between, "claimed_rows"), "{between}");
    assert_eq!((rows(&between, "table_rows"), rows(&between, "promised_rows")), (0, 0), "{between}");

    place.run(&config, &["-w", "3"]).expect(0);
    let after = audit(&place, &config).expect(0).json();
    assert_eq!(states(&after), BTreeSet::from(["agrees"]), "{after}");
    for of in ["promised_rows", "table_rows", "tagged_rows"] {
        assert_eq!(rows(&after, of), ROWS, "{of} in {after}");
    }
    let of_epochs = after["epochs"].as_array().unwrap().iter().map(|it| it["promised"].as_u64().unwrap());
    assert_eq!(of_epochs.sum::<u64>(), ROWS);
    let file = place.write_config(&config);
    let text = place.command(&["audit", file.to_str().unwrap()]).expect(0).stdout;
    assert!(text.contains("agrees") && text.contains("2400 rows, 2400 of them with tags"), "{text}");
}

#[test]
fn audit_agrees_at_any_moment_of_a_run() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline_at(&cluster, "Running", 800);
    let mut process = place.start_run(&config, &["-w", "2"]);
    wait_for_rows(&mut process, &cluster, &config, 0);
    while process.runs() {
        let audit = audit(&place, &config).expect(0).json();
        assert_eq!(audit["agrees"], true, "{audit}");
    }
    process.wait().expect(0);
    assert_eq!(audit(&place, &config).expect(0).number("promised_rows"), ROWS);
}

#[test]
fn audit_finds_rows_that_are_missing_repeated_or_moved_by_hand() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline(&cluster, "Wrong");
    let file = place.write_config(&config);
    place.command(&["audit", file.to_str().unwrap()]).refused(2, &["knows no pipeline e2e"]);
    place.run(&config, &["-w", "2"]).expect(0);
    audit(&place, &config).expect(0);

    let extent =
        cluster.ask(".show table Wrong extents | top 1 by RowCount desc | project ExtentId, RowCount, Tags");
    let cell = |column: usize| extent.rows[0][column].clone();
    let (id, tag) = (cell(0), cell(2));
    let copy = "with (tags='[\"TAG\"]') <| Wrong | take 1".replace("TAG", tag.as_str().unwrap());
    cluster.ask(&format!(".set-or-append Wrong {copy}"));
    let outcome = audit(&place, &config).expect(4);
    outcome.refused(4, &["1 epochs have another number of rows than promised"]);
    cluster.ask(&format!(".drop extents ({}) from Wrong", id.as_str().unwrap()));
    let fewer = audit(&place, &config).expect(4).json();
    assert!(states(&fewer).contains("differs"), "{fewer}");

    let unknown = tag.as_str().unwrap().rsplit_once('/').unwrap().0;
    cluster.ask(&format!(".set-or-append Wrong with (tags='[\"{unknown}/77\"]') <| Wrong | take 3"));
    let moved = audit(&place, &config).expect(4);
    assert_eq!(moved.json()["unclaimed"][0]["rows"], 3, "{moved:?}");
    moved.refused(4, &["tags that no intent names", "/77"]);
}

#[test]
fn audit_compares_epochs_whose_extents_were_merged_together() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline(&cluster, "Merged");
    place.run(&config, &["-w", "2"]).expect(0);
    let epochs = audit(&place, &config).expect(0).json()["epochs"].as_array().unwrap().len();
    let tags = cluster.ask(".show table Merged extents | project Tags");
    let tags = tags.rows.iter().flat_map(|row| row[0].as_str().unwrap().lines().collect::<Vec<_>>());
    let tags: Vec<String> = tags.map(|tag| format!("\"{}\"", tag.trim())).collect();
    cluster.ask(&format!(".set-or-append Whole with (tags='[{}]') <| Merged", tags.join(", ")));
    cluster.ask(".clear table Merged data");
    cluster.ask(".move extents all from table Whole to table Merged");
    let merged = audit(&place, &config).expect(0).json();
    assert_eq!(states(&merged), BTreeSet::from(["agrees"]), "{merged}");
    for epoch in merged["epochs"].as_array().unwrap() {
        assert_eq!((&epoch["shared_by"], &epoch["found"]), (&epochs.into(), &ROWS.into()), "{merged}");
    }
}

#[test]
fn audit_goes_by_totals_where_tags_are_gone() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline(&cluster, "Untagged");
    place.run(&config, &["-w", "1"]).expect(0);
    cluster.ask(".set-or-append Copy <| Untagged");
    cluster.ask(".clear table Untagged data");
    audit(&place, &config)
        .refused(4, &["2400 rows are promised for epochs without tags", "has 0 rows without"]);
    cluster.ask(".set-or-append Untagged <| Copy");
    let copied = audit(&place, &config).expect(0).json();
    assert_eq!(states(&copied), BTreeSet::from(["no-tags"]), "{copied}");
}

#[test]
fn audit_goes_by_the_epoch_that_rows_carry_whatever_became_of_their_extents() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline(&cluster, "Numbered").sink("epoch_column = true");
    place.run(&config, &["-w", "2"]).expect(0);
    cluster.ask(".set-or-append Copy <| Numbered");
    cluster.ask(".clear table Numbered data");
    cluster.ask(".set-or-append Numbered <| Copy");
    let copied = audit(&place, &config).expect(0).json();
    assert_eq!(states(&copied), BTreeSet::from(["agrees"]), "{copied}");
    assert_eq!((&copied["column_rows"], &copied["tagged_rows"]), (&ROWS.into(), &0.into()), "{copied}");
    let epoch = copied["epochs"][0]["epoch"].as_u64().unwrap();
    cluster.ask(&format!(".set-or-replace Numbered <| Copy | where _kt_epoch != {epoch}"));
    audit(&place, &config).refused(4, &["rows are promised for epochs without tags", "has 0 rows without"]);
    cluster.ask(".set-or-replace Numbered <| union Copy, (Copy | take 2 | extend _kt_epoch = 987654321)");
    audit(&place, &config).refused(4, &["2 rows carry an epoch"]);
    let bare = pipeline(&cluster, "Bare").sink("epoch_column = true").existing_table().state("bare");
    cluster.ask(".set Bare <| Copy | take 0 | project-away _kt_epoch");
    place.run(&bare, &[]).refused(2, &["_kt_epoch: long", ".alter-merge table Bare"]);
}

#[test]
fn audit_compares_what_rows_contain_if_they_were_hashed() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = pipeline(&cluster, "Hashed").sink("hash_columns = [\"*\"]");
    place.run(&config, &["-w", "2"]).expect(0);
    let whole = audit(&place, &config).expect(0).json();
    assert_eq!((states(&whole), &whole["not_compared"]), (BTreeSet::from(["agrees"]), &json!([])), "{whole}");
    let sums = whole["epochs"].as_array().unwrap().iter().map(|epoch| &epoch["sum"]);
    assert!(sums.clone().count() > 0 && sums.clone().all(|sum| sum["equal"] == json!(true)), "{whole}");
    let file = place.write_config(&config);
    let shown = place.start(command().arg("audit").arg(&file)).wait().expect(0).stdout;
    let epochs = sums.count();
    assert!(
        shown.contains(&format!("of {epochs} epochs hashed, {epochs} compared, {epochs} equal")),
        "{shown}"
    );

    cluster.ask(".set Copy <| Hashed");
    let columns: Vec<String> =
        cluster.ask("Copy | take 0").columns.into_iter().map(|column| column.name).collect();
    let least = "toscalar(Copy | summarize min(EpisodeId))";
    let changed =
        format!("Copy | extend EpisodeId = iff(EpisodeId == {least}, EpisodeId + 1000000, EpisodeId)");
    cluster.ask(&format!(".set-or-replace Hashed <| {changed} | project {}", columns.join(", ")));
    audit(&place, &config)
        .refused(4, &["epochs have as many rows as promised", "these are not what was written"]);

    let wrong = pipeline(&cluster, "Wrong").sink("hash_columns = [\"Nothing\"]");
    place.run(&wrong, &[]).refused(2, &["cannot be hashed", "no column \"Nothing\""]);
    let other_mode = pipeline(&cluster, "Wrong").sink("mode = \"sink-v2\"").sink("hash_columns = [\"*\"]");
    place.run(&other_mode, &[]).refused(2, &["hash_columns needs mode = \"write-ahead\""]);
}

fn resolve(place: &Place, config: &Config, decision: &[&str]) -> Outcome {
    let file = place.write_config(config);
    place.start(command().arg("resolve").arg(file).args(decision)).wait()
}

fn staging_table(cluster: &Cluster, place: &Place, config: &Config) -> String {
    let audit = audit(place, config).json();
    let name = audit["staging_table"].as_str().unwrap().to_owned();
    assert!(cluster.count(&name) > 0, "{audit}");
    name
}

#[test]
fn a_decision_to_stage_again_is_shown_recorded_once_and_followed() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = interrupted(&place, &cluster, "Restaged");
    resolve(&place, &config, &["--restage"]).refused(2, &["there is nothing to decide"]);
    cluster.ask(&format!(".clear table {} data", staging_table(&cluster, &place, &config)));
    place.run(&config, &["-w", "2"]).refused(4, &["may or may not be in the target", "resolve"]);
    assert_eq!(states(&audit(&place, &config).expect(4).json()), BTreeSet::from(["ambiguous"]));

    let shown = resolve(&place, &config, &[]);
    shown.refused(4, &["nothing is recorded"]);
    assert!(shown.stdout.contains("neither in kt_stage_"), "{shown:?}");
    let recorded = || cluster.ask("kt_epochs | where Kind == 'resolution' | count").scalar().cloned();
    assert_eq!(recorded(), Some(0.into()));
    let done = resolve(&place, &config, &["--restage"]).expect(0).stdout;
    assert!(done.starts_with("intent ") && done.contains("\nrecorded about intent "), "{done}");
    assert_eq!(recorded(), Some(1.into()));
    resolve(&place, &config, &["--committed"]).refused(2, &["there is nothing to decide"]);
    assert_eq!(recorded(), Some(1.into()));

    place.run(&config, &["-w", "3"]).expect(0);
    holds_each_row_once(&cluster, &config);
    let after = audit(&place, &config).expect(0).json();
    assert_eq!(states(&after), BTreeSet::from(["agrees"]), "{after}");
    resolve(&place, &config, &["--committed", "--restage"]).refused(2, &["cannot be used with"]);
}

/// The extents of each chunk that the last intent of a pipeline claims.
fn claimed(cluster: &Cluster, place: &Place, config: &Config) -> Vec<String> {
    let lineage = audit(place, config).json()["lineage"].as_str().unwrap().to_owned();
    let last = cluster.ask(&format!(
        "kt_epochs | where Lineage == '{lineage}' and Kind == 'intent' | top 1 by Seq desc | project Body"
    ));
    let body: Value = serde_json::from_str(last.scalar().unwrap().as_str().unwrap()).unwrap();
    let ids = |chunk: &Value| {
        let ids = chunk["extents"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
        ids.collect::<Vec<_>>().join(", ")
    };
    body["row"]["chunks"].as_array().unwrap().iter().map(ids).collect()
}

#[test]
fn a_decision_that_rows_are_in_the_table_is_followed() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let config = interrupted(&place, &cluster, "Committed");
    let staging = staging_table(&cluster, &place, &config);
    // Somebody moved them by hand and took their tags away.
    let extents = claimed(&cluster, &place, &config).join(", ");
    cluster.ask(&format!(".move extents from table {staging} to table Committed ({extents})"));
    let tags =
        "| mv-expand Tag = split(replace_string(Tags, '\\r', ''), '\\n') to typeof(string) | project Tag";
    let tags = cluster.ask(&format!(".show table Committed extents {tags}"));
    let tags: Vec<String> = tags.rows.iter().map(|row| format!("'{}'", row[0].as_str().unwrap())).collect();
    cluster.ask(&format!(".drop table Committed extent tags ({})", tags.join(", ")));

    let moved = cluster.count("Committed");
    place.run(&config, &["-w", "2"]).refused(4, &["may or may not be in the target"]);
    resolve(&place, &config, &["--committed"]).expect(0);
    place.run(&config, &["-w", "1"]).expect(0);
    assert!(moved > 0, "there was something to decide about");
    holds_each_row_once(&cluster, &config);
    let after = audit(&place, &config).expect(0).json();
    assert!(states(&after).contains("no-tags") && !states(&after).contains("differs"), "{after}");
}

#[test]
fn a_decision_that_evidence_speaks_against_is_refused() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let (config, first) = (0..20)
        .find_map(|number| {
            let config = interrupted(&place, &cluster, &format!("Evident{number}"));
            let chunks = claimed(&cluster, &place, &config);
            (chunks.len() > 1).then(|| (config, chunks[0].clone()))
        })
        .expect("two workers have rows in the first commit, one time in twenty at least");
    let staging = staging_table(&cluster, &place, &config);
    cluster.ask(&format!(".drop extents ({first}) from {staging}"));
    place.run(&config, &["-w", "2"]).refused(4, &["may or may not be in the target"]);
    resolve(&place, &config, &["--restage"]).refused(2, &["would repeat them"]);
    cluster.ask(&format!(".clear table {} data", staging_table(&cluster, &place, &config)));
    resolve(&place, &config, &["--restage"]).expect(0);
    place.run(&config, &["-w", "1"]).expect(0);
    holds_each_row_once(&cluster, &config);
}

#[test]
fn commands_about_write_ahead_pipelines_refuse_others() {
    let place = Place::new();
    let config = Config::new("http://127.0.0.1:9").storms(1);
    let file = place.write_config(&config);
    for command in ["init", "audit", "resolve"] {
        place.command(&[command, file.to_str().unwrap()]).refused(2, &["mode = \"write-ahead\""]);
    }
}

#[test]
fn init_makes_the_reader_of_a_collection_that_the_file_describes_and_run_feeds_it() {
    let place = Place::new();
    let cluster = Cluster::start(&place);
    let changes =
        "state,n,_kt_time,_kt_diff\nTexas,1,0,1\nOhio,1,0,1\nTexas,1,1,-1\nTexas,2,1,1\nOhio,1,2,-1\n";
    place.write("changes.csv", changes);
    let upserts =
        "state,n,_kt_time,_kt_deleted\nTexas,1,0,false\nOhio,1,0,false\nTexas,2,1,false\nOhio,1,2,true\n";
    place.write("upserts.csv", upserts);
    for (input, table, sink, query, expected) in [
        (
            "changes.csv",
            "Changes",
            "collection = \"change-stream\"\nreader = \"Sums\"",
            "Sums() | project state, n, _kt_count",
            json!([["Texas", 2, 1]]),
        ),
        (
            "upserts.csv",
            "Upserts",
            "collection = \"upsert\"\nkey = [\"state\"]",
            "Upserts_now()",
            json!([["Texas", 2]]),
        ),
    ] {
        let config = Config::new(cluster.url()).file(input).table(table).state(table);
        let config = config.sink(&format!("mode = \"write-ahead\"\n{sink}"));
        let file = place.write_config(&config);
        let init = || place.command(&["init", file.to_str().unwrap()]).expect(0).stdout;
        let (first, again) = (init(), init());
        assert!(first.contains("which shows the collection in"), "{first}");
        assert_eq!(
            (first.contains("_now_view"), again.contains("made ")),
            (table == "Upserts", false),
            "{again}"
        );
        place.run(&config, &[]).expect(0);
        assert_eq!(
            Value::from_iter(cluster.ask(query).rows.into_iter().map(Value::from)),
            expected,
            "{table}"
        );
    }
    let config = Config::new(cluster.url()).file("changes.csv").table("Others").state("others");
    let config = config.sink("mode = \"write-ahead\"\ncollection = \"upsert\"\nkey = [\"state\"]");
    place.run(&config, &[]).refused(2, &["_kt_deleted: bool", ".alter-merge table Others"]);
}

#[test]
fn init_names_the_role_that_a_view_takes() {
    let place = Place::new();
    let builder = Emulator::builder().database("Samples").sign_in(true).tenant("contoso.example");
    let emulator = builder.batching_time(Duration::from_millis(50)).start().unwrap();
    let admin = |command: &str| emulator.handle().command("Samples", command).unwrap();
    admin(".create table T (id: long, _kt_time: long, _kt_deleted: bool)");
    emulator.handle().add_app("app-1", "k3y", &[]).unwrap();
    admin(".add database Samples users ('aadapp=app-1;contoso.example')");
    admin(".add table T admins ('aadapp=app-1;contoso.example')");
    place.write("rows.csv", "id,_kt_time,_kt_deleted\n1,0,false\n");
    let auth = "auth = { kind = \"application\", app_id = \"app-1\", tenant_id = \"contoso.example\", \
                app_key = { env = \"E2E_KEY\" } }";
    let config = Config::new(emulator.cluster_url()).file("rows.csv").connection(auth).existing_table();
    let config = config.sink("mode = \"write-ahead\"\ncollection = \"upsert\"\nkey = [\"id\"]");
    let file = place.write_config(&config);
    let init = || place.start(command().env("E2E_KEY", "k3y").arg("init").arg(&file)).wait();
    let grant = ".add database Samples admins ('aadapp=app-1;contoso.example')";
    init().refused(2, &["Database Admin on Samples", grant]);
    admin(grant);
    init().expect(0);
    admin(".drop database Samples admins ('aadapp=app-1;contoso.example')");
    init().expect(0);
    admin(".drop function T_now");
    admin(".create function with (folder='timely-kusto') T_now() { T }");
    init().refused(
        2,
        &["Function Admin on T_now", ".add function T_now admins ('aadapp=app-1;contoso.example')"],
    );
}
