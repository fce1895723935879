//! What `secrets.rs` shows of SinkV2, for the write-ahead mode: besides outputs and logs nothing secret is in an epoch file, in
//! the rest of the state directory, or in a row, a tag or a text that the pipeline leaves in the service. What it keeps on the
//! disk is its owner's alone.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use kusto_emulator::{Emulator, Endpoint, Fault, FaultRule, Grant};
use timely::dataflow::operators::vec::Input;
use timely_kusto::{RowsWrittenAhead, WriteAhead, WriteAheadOptions, WriteAheadSink, WriteOptions};
use timely_kusto_tests::{Config, Place, Tap, until};
use tracing_subscriber::filter::LevelFilter;

use crate::secrets::{
    KINDS, Made, TENANT, cluster, config, connection_of_environment, disasters, in_play, nothing_is_shown_of,
    panics_as, start, trouble,
};

const ROWS: u64 = 20;

/// Tables to write to, one for each pipeline.
const TABLES: usize = 24;

/// Pipelines of one way of staging, at most.
const RUNS: usize = 12;

/// A cluster to which all kinds of principals may write ahead, each into any table.
fn cluster_of_admins() -> Made {
    let made = cluster();
    let handle = made.emulator.handle();
    let epochs = "Lineage:string, Kind:string, Generation:long, Nonce:string, Seq:long, Part:int, Parts:int, Body:string, \
                  Digest:string, Check:string";
    handle.command("Samples", &format!(".create table kt_epochs ({epochs})")).unwrap();
    let mut grants = vec![Grant::table("Samples", "kt_epochs", "ingestors")];
    for number in 0..TABLES {
        handle.command("Samples", &format!(".create table T{number} (name: string, n: long)")).unwrap();
        grants.push(Grant::table("Samples", format!("T{number}"), "admins"));
    }
    for id in ["app-1", "app-2", "app-3"] {
        handle.grant(&format!("aadapp={id};{TENANT}"), &grants).unwrap();
    }
    handle.grant(&handle.system_identity(), &grants).unwrap();
    made
}

/// What goes wrong in this mode alone, and passes.
fn more_trouble(emulator: &Emulator) {
    for (operation, fault) in [
        (".rename tables", Fault::LoseAnswer),
        (".append kt_epochs", Fault::FailAfter { status: 500 }),
        (".move extents", Fault::Garble),
        (".show table kt_stage", Fault::Truncate { bytes: 9 }),
        (".ingest into", Fault::Quote { status: 500 }),
    ] {
        let rule = FaultRule::new(Endpoint::Management, fault).operation(operation).times(1);
        emulator.handle().add_fault(rule);
    }
}

/// The ways in which chunks come into the staging table, as they are set, and what goes wrong there and does not pass. A
/// command that pulls a blob has its signature in it, and the service may quote the command.
fn ways() -> [(&'static str, Vec<FaultRule>); 2] {
    let [forbidden, refused, _, _, revoked, _] = disasters();
    let quoted =
        |status| FaultRule::new(Endpoint::Management, Fault::Quote { status }).operation(".ingest into");
    [("queued", disasters().into()), ("direct", vec![forbidden, refused, revoked, quoted(400), quoted(500)])]
}

fn written_ahead(tap: &Tap, auth: &str, number: usize, staging: &str) -> Config {
    let config = config(tap, auth, &format!("state-{number}")).sink("mode = \"write-ahead\"");
    config.table(&format!("T{number}")).sink(&format!("staging = \"{staging}\""))
}

/// Everything that the pipelines left in the service, as text in a file beside the outputs: rows, tags, descriptions.
fn keep_what_the_service_has(place: &Place, emulator: &Emulator) {
    let mut text = String::new();
    let handle = emulator.handle();
    for table in handle.command("Samples", ".show tables details").unwrap() {
        let name = table[0].as_str().unwrap();
        let rows = handle.query("Samples", name).unwrap();
        let extents = handle.command("Samples", &format!(".show table {name} extents")).unwrap();
        writeln!(text, "{table}\n{rows:?}\n{extents:?}").unwrap();
    }
    for kept in ["kt_epochs", "kt_stage_", "kt_anchor_", "intent", "kt:"] {
        assert!(text.contains(kept), "{kept} is missing in {text}");
    }
    place.write("service.txt", text);
}

/// That every file and directory below is its owner's alone; how many epoch files there are.
fn are_private(dir: &Path) -> usize {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir), 0o700, "{}", dir.display());
    let mut epochs = 0;
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => epochs += are_private(&path),
            false => {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                epochs += usize::from(path.extension().is_some_and(|it| it == "epochs"));
            }
        }
    }
    epochs
}

#[test]
fn no_secret_is_in_epoch_files_state_or_rows_of_the_service_whatever_goes_wrong() {
    let place = Place::new();
    let rows: String = (0..ROWS).map(|n| format!("row {n},{n}\n")).collect();
    place.write("rows.csv", format!("name,n\n{rows}"));
    let made = cluster_of_admins();
    place.write("app.pem", &made.pem);
    place.write("pod-token", &made.pod);
    let tap = Tap::before(made.emulator.cluster_url());
    let handle = made.emulator.handle();
    // Those that present something of their own, or get a token here.
    let kinds = &KINDS[..5];
    let mut began = Vec::new();
    for (way, (staging, disasters)) in ways().into_iter().enumerate() {
        let mut numbers = way * RUNS..(way + 1) * RUNS;
        for auth in kinds {
            let number = numbers.next().unwrap();
            began.push(number);
            trouble(&made.emulator);
            more_trouble(&made.emulator);
            let outcome = start(&place, &written_ahead(&tap, auth, number, staging), &made, "").wait();
            assert!(outcome.stderr.contains("TRACE"), "nothing was logged: {}", outcome.stderr);
            assert_eq!(outcome.expect(0).number("rows_delivered"), ROWS, "{auth}");
            handle.clear_faults();
        }
        for (disaster, auth) in disasters.into_iter().zip(kinds[..4].iter().cycle()) {
            let number = numbers.next().unwrap();
            began.push(number);
            let hits = handle.add_fault(disaster);
            let mut process = start(&place, &written_ahead(&tap, auth, number, staging), &made, "");
            // What may pass is waited for, without an end.
            until("trouble", || (hits.count() >= 3 || !process.runs()).then_some(()));
            match process.runs() {
                true => drop(process), // by SIGKILL
                false => assert_ne!(process.wait().code, Some(0)),
            }
            assert!(hits.count() > 0, "{staging}: nothing went wrong");
            handle.clear_faults();
        }
    }
    let states = began.iter().map(|number| place.path().join(format!("state-{number}")));
    let epoch_files: usize = states.filter(|state| state.exists()).map(|state| are_private(&state)).sum();
    assert!(epoch_files > 0, "no epoch file was left to look through");
    keep_what_the_service_has(&place, &made.emulator);
    nothing_is_shown_of(&place, &made, &tap, 3 * began.len() + epoch_files);
}

#[test]
fn no_secret_is_in_what_a_process_prints_or_keeps_whose_worker_panics_while_it_writes_ahead() {
    let place = Place::new();
    let made = cluster_of_admins();
    let tap = Tap::before(made.emulator.cluster_url());
    for (number, kind) in ["certificate", "workload-identity", "application"].into_iter().enumerate() {
        panics_as(&place, &made, &tap, kind, "secrets_written_ahead::writes_ahead_until_a_worker_panics");
        assert!(in_play(&tap)["bearer tokens"].len() > number, "{kind} did not sign in");
        are_private(&place.path().join(format!("state-{kind}")));
    }
    keep_what_the_service_has(&place, &made.emulator);
    nothing_is_shown_of(&place, &made, &tap, 6);
}

/// A program of somebody who embeds the sink, which logs everything.
#[test]
#[ignore = "run by no_secret_is_in_what_a_process_prints_or_keeps_whose_worker_panics_while_it_writes_ahead"]
fn writes_ahead_until_a_worker_panics() {
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).init();
    let kind = std::env::var("E2E_KIND").unwrap();
    let connection = connection_of_environment();
    let table = match kind.as_str() {
        "certificate" => "T1",
        "workload-identity" => "T2",
        _ => "T3",
    };
    let write = WriteOptions::builder().database("Samples").table(table);
    let write = write.poll_interval(Duration::from_millis(10)).build().unwrap();
    let options = WriteAheadOptions::new(&kind, format!("state-{kind}"));
    let ahead = WriteAhead::connect(&connection, &write, options.clone()).unwrap();
    timely::execute_directly(move |worker| {
        let sink = WriteAheadSink::open(worker, &ahead).unwrap();
        let (mut rows, mut positions, handle) = worker.dataflow::<u64, _, _>(|scope| {
            let (rows, stream) = scope.new_input();
            let (positions, position_stream) = scope.new_input::<(String, Vec<u8>)>();
            let (_clocks, handle) = stream.write_ahead_sink(&sink, position_stream);
            (rows, positions, handle)
        });
        let mut epoch = sink.resume().first_epoch;
        while handle.stats().rows_delivered < 3 && handle.error().is_none() {
            rows.advance_to(epoch);
            positions.advance_to(epoch);
            rows.send((format!("row {epoch}"), 1_i64));
            positions.send(("p".to_owned(), epoch.to_string().into_bytes()));
            epoch += 1;
            worker.step_or_park(Some(Duration::from_millis(10)));
        }
        panic!("the worker gives up: {connection:?} {options:?} {handle:?} {sink:?} {ahead:?}");
    });
}
