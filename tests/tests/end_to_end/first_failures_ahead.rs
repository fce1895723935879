//! The likeliest failures of the write-ahead mode, for `first_failures.rs`.

use std::path::{Path, PathBuf};

use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule, Grant};
use timely_kusto_tests::{Config, Outcome, Place, command, until};

use crate::bad_input::{TinyDisk, skipped};
use crate::first_failures::{APP, Case, TENANT, as_application, cluster, config, least_rights, open, run};

pub(crate) const CASES: [Case; 12] = [
    ("ahead-no-admin", |place| {
        let emulator = cluster(&least_rights());
        as_application(place, &ahead(&emulator))
    }),
    ("ahead-other-principal", |place| {
        let emulator = cluster(&admin());
        as_application(place, &ahead(&emulator)).unwrap().expect(0);
        let stage = staging_table(&emulator);
        let drop = format!(".drop table {stage} admins ('aadapp={APP};{TENANT}')");
        emulator.handle().command("Samples", &drop).unwrap();
        as_application(place, &ahead(&emulator))
    }),
    ("ahead-firewall", |place| {
        let emulator = open();
        let refused = Fault::Fail { status: 403, retry_after: None };
        emulator.handle().add_fault(FaultRule::new(Endpoint::Blob, refused));
        let refused = run(place, &ahead(&emulator));
        // What the row advises, and what a supervisor then does.
        emulator.handle().clear_faults();
        run(place, &ahead(&emulator)).unwrap().expect(0);
        has_both_rows(&emulator);
        refused
    }),
    ("ahead-table-missing", |place| {
        let emulator = open();
        run(place, &ahead(&emulator).table("Missing"))
    }),
    ("ahead-staging-gone", |place| {
        let emulator = open();
        run(place, &ahead(&emulator)).unwrap().expect(0);
        emulator.handle().command("Samples", &format!(".drop table {}", staging_table(&emulator))).unwrap();
        run(place, &ahead(&emulator))
    }),
    ("ahead-fenced", |place| {
        let emulator = open();
        let slow = Config::new(emulator.cluster_url()).storms(1_000_000).table("Storms").source("rate = 100");
        let slow = slow.sink("mode = \"write-ahead\"");
        let mut first = place.start_run(&slow, &[]);
        let visible =
            || emulator.handle().query("Samples", "Storms | take 1").is_ok_and(|rows| !rows.is_empty());
        until("rows in the table", || {
            assert!(first.runs(), "{}", first.stderr());
            visible().then_some(())
        });
        let _second = place.start_run(&slow.clone().state("elsewhere"), &[]);
        Some(first.wait())
    }),
    ("ahead-ambiguous", |place| {
        let emulator = open();
        interrupted(place, &emulator);
        let clear = format!(".clear table {} data", staging_table(&emulator));
        emulator.handle().command("Samples", &clear).unwrap();
        run(place, &ahead(&emulator))
    }),
    ("ahead-renamed", |place| {
        let emulator = open();
        run(place, &ahead(&emulator)).unwrap().expect(0);
        let renamed = ahead(&emulator).to_string().replace("name = \"e2e\"", "name = \"e2e-2\"");
        let file = place.write("renamed.toml", renamed);
        Some(place.start(command().arg("run").arg(file)).wait())
    }),
    ("ahead-damaged", |place| {
        let emulator = open();
        interrupted(place, &emulator);
        let file = epoch_files(&place.path().join("state")).pop().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let refused = run(place, &ahead(&emulator));
        // What the row advises.
        std::fs::rename(place.path().join("state"), place.path().join("moved-away")).unwrap();
        run(place, &ahead(&emulator)).unwrap().expect(0);
        has_both_rows(&emulator);
        refused
    }),
    ("ahead-schema", |place| {
        let emulator = open();
        dies(place, &emulator, "after seal");
        for command in [".alter table T (name: string)", ".alter-merge table T (n: string)"] {
            emulator.handle().command("Samples", command).unwrap();
        }
        let refused = run(place, &ahead(&emulator));
        for command in [".alter table T (name: string)", ".alter-merge table T (n: long)"] {
            emulator.handle().command("Samples", command).unwrap();
        }
        run(place, &ahead(&emulator)).unwrap().expect(0);
        has_both_rows(&emulator);
        refused
    }),
    ("ahead-hash-columns", |place| {
        let emulator = open();
        emulator.handle().command("Samples", ".alter-merge table T (_kt_epoch: long)").unwrap();
        run(place, &ahead(&emulator).sink("hash_columns = [\"nothing\"]"))
    }),
    ("ahead-disk-full", |place| {
        let emulator = open();
        let state = place.path().join("state");
        let Some(_disk) = TinyDisk::mount(&state) else {
            skipped("a full disk in the write-ahead mode: a tmpfs cannot be mounted here");
            return None;
        };
        let mut process = place.start_run(&ahead(&emulator), &[]);
        until("the line about the disk", || {
            assert!(process.runs(), "{}", process.stderr());
            process.stderr().contains("No space left on device").then_some(())
        });
        let goes_on = Outcome { code: None, stdout: process.stdout(), stderr: process.stderr() };
        process.kill();
        Some(goes_on)
    }),
];

fn ahead(emulator: &Emulator) -> Config {
    config(emulator).sink("mode = \"write-ahead\"")
}

fn admin() -> [Grant; 2] {
    [Grant::database("Samples", "users"), Grant::table("Samples", "T", "admins")]
}

fn staging_table(emulator: &Emulator) -> String {
    let tables = ".show tables | where TableName startswith 'kt_stage_' | project TableName";
    emulator.handle().command("Samples", tables).unwrap()[0][0].as_str().unwrap().to_owned()
}

fn has_both_rows(emulator: &Emulator) {
    let rows = emulator.handle().query("Samples", "T | order by n asc").unwrap();
    assert_eq!(rows, [serde_json::json!(["a", 1]), serde_json::json!(["b", 2])]);
}

/// A run that dies with rows staged and claimed, and none in the table.
fn interrupted(place: &Place, emulator: &Emulator) {
    dies(place, emulator, "before move");
}

fn dies(place: &Place, emulator: &Emulator, at: &str) {
    let file = place.write_config(&ahead(emulator));
    let died = place.start(command().arg("run").arg(file).env("TIMELY_KUSTO_CRASH_AT", at)).wait();
    assert_eq!(died.code, None, "{died:?}");
}

fn epoch_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => found.extend(epoch_files(&path)),
            false => found.extend(path.extension().is_some_and(|it| it == "epochs").then_some(path)),
        }
    }
    found
}
