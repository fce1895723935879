//! Differential collections: what readers see is what differential computes.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::VecCollection;
use differential_dataflow::input::Input;
use kusto_emulator::Emulator;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use timely::dataflow::operators::probe::Probe;
use timely::dataflow::operators::vec::ToStream;
use timely::worker::Worker;
use timely_kusto::{
    CollectionWrittenAhead, Reader, SinkError, WriteAhead, WriteAheadHandle, WriteAheadOptions,
    WriteAheadSink, WriteOptionsBuilder,
};

use crate::support::{DATABASE, Place, on_workers, write};

/// A record: a key, a value, and a text that needs quoting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Entry {
    key: u64,
    value: i64,
    text: String,
}

fn entry(key: u64, value: i64) -> Entry {
    Entry { key, value, text: format!("\"{key}\", {value}\n") }
}

/// What happens to the collection: an epoch's changes.
type Step = Vec<(Entry, isize)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Changes,
    Upserts,
    Insertions,
}

impl Mode {
    const ALL: [Mode; 3] = [Mode::Changes, Mode::Upserts, Mode::Insertions];

    fn columns(self) -> &'static str {
        match self {
            Mode::Changes => ", _kt_time:long, _kt_diff:long",
            Mode::Upserts => ", _kt_time:long, _kt_deleted:bool",
            Mode::Insertions => "",
        }
    }

    fn reader(self) -> Option<Reader> {
        match self {
            Mode::Changes => Some(Reader::change_stream()),
            Mode::Upserts => Some(Reader::upsert(["key"])),
            Mode::Insertions => None,
        }
    }

    /// Records and how many there are, as the reader shows them.
    fn query(self) -> &'static str {
        match self {
            Mode::Changes => "Entries_now() | project key, value, text, _kt_count",
            Mode::Upserts => "Entries_now() | project key, value, text, 1",
            Mode::Insertions => "Entries | summarize count() by key, value, text",
        }
    }
}

/// A cluster with the table of a mode, and a state directory.
struct Scene {
    emulator: Emulator,
    state: TempDir,
    mode: Mode,
}

impl Scene {
    fn new(mode: Mode) -> Self {
        let scene = Scene::with_columns(mode, mode.columns());
        if let Some(reader) = mode.reader() {
            scene.ahead().init_reader(&reader).unwrap();
        }
        scene
    }

    fn with_columns(mode: Mode, columns: &str) -> Self {
        let Place { emulator, state } = Place::new();
        let create = format!(".create table Entries (key:long, value:long, text:string{columns})");
        emulator.handle().command(DATABASE, &create).unwrap();
        Scene { emulator, state, mode }
    }

    fn ahead(&self) -> WriteAhead {
        self.ahead_with(write())
    }

    fn ahead_with(&self, write: WriteOptionsBuilder) -> WriteAhead {
        let options = WriteAheadOptions::new("entries", self.state.path()).drop_replayed(true);
        let connection = Place::connection_to(&self.emulator);
        WriteAhead::connect(&connection, &write.table("Entries").build().unwrap(), options).unwrap()
    }

    fn query(&self, query: &str) -> Vec<serde_json::Value> {
        self.emulator.handle().query(DATABASE, query).unwrap()
    }

    /// What readers see.
    fn read(&self) -> BTreeMap<Entry, i64> {
        let rows = self.query(self.mode.query());
        let one = |row: &serde_json::Value| {
            let [key, value, text, count] = [0, 1, 2, 3].map(|at| row[at].clone());
            let (key, value) = (key.as_u64().unwrap(), value.as_i64().unwrap());
            (Entry { key, value, text: text.as_str().unwrap().to_owned() }, count.as_i64().unwrap())
        };
        let read: BTreeMap<_, _> = rows.iter().map(one).collect();
        assert_eq!(read.len(), rows.len(), "a record is shown once: {rows:?}");
        read
    }
}

/// What the steps add up to.
fn sum(steps: &[Step]) -> BTreeMap<Entry, i64> {
    let mut sum = BTreeMap::new();
    for (entry, n) in steps.iter().flatten() {
        *sum.entry(entry.clone()).or_insert(0) += *n as i64;
    }
    sum.retain(|_, n| *n != 0);
    sum
}

type Outcome = Result<(), Arc<SinkError>>;

/// Feeds the steps from the first on, each an epoch, whatever is in the table already; with `vanish_after`, goes away as by a crash
/// once so many epochs are committed. `epoch_of` says in which epoch a step is.
fn feed(
    scene: &Scene,
    workers: usize,
    steps: &[Step],
    vanish_after: Option<u64>,
    epoch_of: fn(u64) -> u64,
) -> Vec<Outcome> {
    let (ahead, mode, steps) = (scene.ahead(), scene.mode, steps.to_vec());
    on_workers(workers, move |worker| {
        let sink = WriteAheadSink::open(worker, &ahead)?;
        let (mut input, committed, handle) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, entries) = scope.new_collection::<Entry, isize>();
            let positions = Vec::new().to_stream(scope);
            let (clocks, handle) = attach(mode, entries, &sink, positions, epoch_of);
            (input, clocks.committed.probe().0, handle)
        });
        let (index, peers) = (worker.index(), worker.peers());
        for (time, step) in steps.iter().enumerate() {
            let own = step.iter().enumerate().filter(|(at, _)| at % peers == index);
            own.for_each(|(_, (entry, n))| input.update(entry.clone(), *n));
            input.advance_to(time as u64 + 1);
            input.flush();
            worker.step();
        }
        match vanish_after {
            None => {
                input.close();
                handle.drive(worker).map(drop)
            }
            Some(epochs) => {
                let committed = |worker: &mut Worker| {
                    while committed.less_than(&epochs) && handle.error().is_none() {
                        worker.step_or_park(Some(std::time::Duration::from_millis(20)));
                    }
                };
                committed(worker);
                let dataflows = worker.installed_dataflows();
                dataflows.into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
                handle.error().map_or(Ok(()), Err)
            }
        }
    })
}

fn attach<'scope>(
    mode: Mode,
    entries: VecCollection<'scope, u64, Entry, isize>,
    sink: &WriteAheadSink,
    positions: timely::dataflow::StreamVec<'scope, u64, (String, Vec<u8>)>,
    epoch_of: fn(u64) -> u64,
) -> (timely_kusto::Clocks<'scope, u64>, WriteAheadHandle) {
    let epochs = move |time: &u64| epoch_of(*time);
    match mode {
        Mode::Changes => entries.write_ahead_changes(sink, positions, epochs),
        Mode::Upserts => entries.write_ahead_upserts(sink, positions, epochs, |entry| entry.key),
        Mode::Insertions => entries.write_ahead_insert_only(sink, positions, epochs),
    }
}

fn same(time: u64) -> u64 {
    time
}

#[track_caller]
fn well(outcomes: Vec<Outcome>) {
    for outcome in outcomes {
        assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}

/// The only error that the workers came to.
#[track_caller]
fn error(outcomes: Vec<Outcome>) -> String {
    let mut errors: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap_err().to_string()).collect();
    errors.dedup();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

/// Random changes that fit the mode.
fn random_steps(mode: Mode, random: &mut StdRng, steps: usize) -> Vec<Step> {
    let mut held: BTreeMap<u64, Entry> = BTreeMap::new();
    let mut counts: BTreeMap<Entry, isize> = BTreeMap::new();
    let mut step = |random: &mut StdRng| {
        let mut changes = Step::new();
        for _ in 0..random.random_range(0..12) {
            let new = entry(random.random_range(0..8), random.random_range(-2..3));
            match mode {
                Mode::Upserts => {
                    if changes.iter().any(|(known, _): &(Entry, _)| known.key == new.key) {
                        continue;
                    }
                    changes.extend(held.remove(&new.key).map(|old| (old, -1)));
                    if random.random_bool(0.7) {
                        held.insert(new.key, new.clone());
                        changes.push((new, 1));
                    }
                }
                Mode::Changes => {
                    let n = counts.entry(new.clone()).or_default();
                    let change = random.random_range(-(*n as i64)..4) as isize;
                    *n += change;
                    changes.push((new, change));
                }
                Mode::Insertions => changes.push((new, random.random_range(1..4_i64) as isize)),
            }
        }
        changes
    };
    (0..steps).map(|_| step(random)).collect()
}

fn seed() -> u64 {
    let given = std::env::var("COLLECTIONS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| rand::rng().next_u64());
    println!("COLLECTIONS_SEED={seed}");
    seed
}

#[test]
fn the_change_stream_of_an_epoch_is_its_net_changes_and_the_reader_counts_what_is_there() {
    let scene = Scene::new(Mode::Changes);
    let steps = [
        vec![(entry(1, 1), 2), (entry(2, 2), 1), (entry(3, 3), 1), (entry(3, 3), -1)],
        vec![(entry(2, 2), -1), (entry(1, 1), 1)],
        vec![(entry(2, 2), 1), (entry(1, 1), -1)],
    ];
    well(feed(&scene, 1, &steps, None, same));
    let rows = scene.query("Entries | order by _kt_time asc, key asc | project _kt_time, key, _kt_diff");
    let expected = [[0, 1, 2], [0, 2, 1], [1, 1, 1], [1, 2, -1], [2, 1, -1], [2, 2, 1]];
    assert_eq!(serde_json::Value::from(rows), serde_json::json!(expected));
    assert_eq!(scene.read(), BTreeMap::from([(entry(1, 1), 2), (entry(2, 2), 1)]));
}

#[test]
fn upserts_of_an_epoch_are_the_last_records_of_the_keys_that_changed_and_the_reader_leaves_deleted_keys_out()
{
    let scene = Scene::new(Mode::Upserts);
    let steps = [
        vec![(entry(1, 1), 1), (entry(2, 2), 1)],
        vec![(entry(1, 1), -1), (entry(1, 5), 1), (entry(3, 3), 1)],
        vec![(entry(2, 2), -1)],
        vec![(entry(3, 3), -1), (entry(3, 3), 1)],
    ];
    well(feed(&scene, 1, &steps, None, same));
    let rows =
        scene.query("Entries | order by _kt_time asc, key asc | project _kt_time, key, value, _kt_deleted");
    let expected = serde_json::json!([
        [0, 1, 1, false],
        [0, 2, 2, false],
        [1, 1, 5, false],
        [1, 3, 3, false],
        [2, 2, 2, true]
    ]);
    assert_eq!(serde_json::Value::from(rows), expected);
    assert_eq!(scene.read(), BTreeMap::from([(entry(1, 5), 1), (entry(3, 3), 1)]));
}

#[test]
fn a_difference_of_n_is_n_rows_where_rows_are_only_inserted() {
    let scene = Scene::new(Mode::Insertions);
    well(feed(&scene, 2, &[vec![(entry(1, 1), 3), (entry(2, 2), 1)], vec![(entry(1, 1), 2)]], None, same));
    assert_eq!(scene.read(), BTreeMap::from([(entry(1, 1), 5), (entry(2, 2), 1)]));
}

#[test]
fn times_of_one_epoch_are_consolidated_and_their_rows_carry_the_epoch() {
    let halves: fn(u64) -> u64 = |time| time / 2;
    let steps = [
        vec![(entry(1, 1), 1)],
        vec![(entry(1, 1), -1), (entry(1, 2), 1)],
        vec![(entry(1, 2), -1)],
        vec![(entry(1, 3), 1)],
    ];
    for mode in [Mode::Changes, Mode::Upserts] {
        let scene = Scene::new(mode);
        well(feed(&scene, 2, &steps, None, halves));
        let rows = scene.query("Entries | order by _kt_time asc, value asc | project _kt_time, value");
        let expected = match mode {
            Mode::Changes => serde_json::json!([[0, 2], [1, 2], [1, 3]]),
            _ => serde_json::json!([[0, 2], [1, 3]]),
        };
        assert_eq!(serde_json::Value::from(rows), expected, "{mode:?}");
        assert_eq!(scene.read(), sum(&steps), "{mode:?}");
    }
    let scene = Scene::new(Mode::Insertions);
    let there_and_back = [vec![(entry(1, 1), 1)], vec![(entry(1, 1), -1), (entry(2, 2), 1)]];
    well(feed(&scene, 2, &there_and_back, None, halves));
    assert_eq!(scene.read(), BTreeMap::from([(entry(2, 2), 1)]));
}

#[test]
fn after_crashes_and_replays_with_other_workers_readers_see_the_collection_in_each_mode() {
    let mut random = StdRng::seed_from_u64(seed());
    for mode in Mode::ALL {
        let steps = random_steps(mode, &mut random, 24);
        let scene = Scene::new(mode);
        for (workers, fed, until) in [(2, 10, 4), (3, 16, 12), (1, 20, 16)] {
            well(feed(&scene, workers, &steps[..fed], Some(until), same));
        }
        well(feed(&scene, 3, &steps, None, same));
        assert_eq!(scene.read(), sum(&steps), "{mode:?}");
        if mode == Mode::Changes {
            let net = "Entries | summarize n = count() by _kt_time, key, value, text | where n > 1 | count";
            assert_eq!(scene.query(net)[0][0], 0, "each change is there once");
        }
    }
}

#[test]
fn random_collections_are_read_as_they_are_with_one_to_three_workers() {
    let mut random = StdRng::seed_from_u64(seed());
    for mode in Mode::ALL {
        for workers in 1..=3 {
            let steps = random_steps(mode, &mut random, 10);
            let scene = Scene::new(mode);
            well(feed(&scene, workers, &steps, None, |time| time / 3));
            assert_eq!(scene.read(), sum(&steps), "{mode:?} with {workers} workers");
        }
    }
}

#[test]
fn two_records_of_one_key_at_one_time_stop_the_sink_with_the_key_and_lose_nothing_of_before() {
    for workers in [1, 3] {
        let scene = Scene::new(Mode::Upserts);
        let steps = [vec![(entry(1, 1), 1)], vec![(entry(42, 1), 1), (entry(42, 2), 1), (entry(7, 7), 1)]];
        let told = error(feed(&scene, workers, &steps, None, same));
        assert!(told.contains("key 42") && told.contains("at time 1"), "{told}");
        assert!(told.contains("value: 1") && told.contains("value: 2"), "{told}");
        let mended = [steps[0].clone(), vec![(entry(42, 2), 1), (entry(7, 7), 1)]];
        well(feed(&scene, workers, &mended, None, same));
        assert_eq!(scene.read(), sum(&mended));
    }
}

#[test]
fn a_second_record_of_a_key_stops_the_sink_also_at_a_later_time_and_after_a_replay() {
    let (first, second) = (vec![(entry(42, 1), 1)], vec![(entry(42, 2), 1)]);
    let scene = Scene::new(Mode::Upserts);
    let told = error(feed(&scene, 1, &[first.clone(), second.clone()], None, same));
    assert!(told.contains("key 42") && told.contains("does not lose it"), "{told}");
    let scene = Scene::new(Mode::Upserts);
    well(feed(&scene, 2, std::slice::from_ref(&first), None, same));
    let told = error(feed(&scene, 2, &[first.clone(), second], None, same));
    assert!(told.contains("key 42"), "{told}");
    let told = error(feed(&scene, 1, &[first, vec![(entry(42, 9), -1)]], None, same));
    assert!(told.contains("not the one that it has"), "{told}");
}

#[test]
fn a_retraction_where_rows_are_only_inserted_stops_the_sink_with_the_record() {
    let scene = Scene::new(Mode::Insertions);
    let steps = [vec![(entry(7, 1), 2)], vec![(entry(7, 1), -1)]];
    let told = error(feed(&scene, 2, &steps, None, same));
    assert!(told.contains("retracts") && told.contains("key: 7"), "{told}");
    well(feed(&scene, 1, &[steps[0].clone(), vec![(entry(8, 1), 1)]], None, same));
    assert_eq!(scene.read(), BTreeMap::from([(entry(7, 1), 2), (entry(8, 1), 1)]));
}

#[test]
fn a_table_without_the_columns_stops_the_sink_with_the_command_that_adds_them() {
    for (mode, columns, named) in [
        (Mode::Changes, ", _kt_time:long", ".alter-merge table Entries (_kt_diff: long)"),
        (Mode::Upserts, ", _kt_time:long, _kt_deleted:long", "as long"),
    ] {
        let scene = Scene::with_columns(mode, columns);
        let told = error(feed(&scene, 2, &[vec![(entry(1, 1), 1)]], None, same));
        assert!(told.contains(named), "{told}");
        let told = scene.ahead().init_reader(&mode.reader().unwrap()).unwrap_err();
        assert!(told.to_string().contains(named) && told.exit_code() == 2, "{told}");
        assert_eq!(scene.query("Entries | count")[0][0], 0);
    }
}

#[test]
fn records_without_field_names_go_by_order_if_the_table_ends_with_the_columns_of_the_sink() {
    for (columns, fits) in
        [("a:long, _kt_time:long, _kt_diff:long", true), ("_kt_time:long, a:long, _kt_diff:long", false)]
    {
        let scene = Scene::with_columns(Mode::Changes, "");
        scene.emulator.handle().command(DATABASE, ".drop table Entries").unwrap();
        scene.emulator.handle().command(DATABASE, &format!(".create table Entries ({columns})")).unwrap();
        let ahead = scene.ahead();
        let outcome = on_workers(1, move |worker| {
            let sink = WriteAheadSink::open(worker, &ahead)?;
            let (mut input, handle) = worker.dataflow::<u64, _, _>(|scope| {
                let (input, numbers) = scope.new_collection::<u64, isize>();
                let positions = Vec::new().to_stream(scope);
                (input, numbers.write_ahead_changes(&sink, positions, |time| *time).1)
            });
            input.update(5, 3);
            input.close();
            handle.drive(worker).map(drop)
        });
        if fits {
            well(outcome);
            assert_eq!(scene.query("Entries | project a, _kt_diff")[0], serde_json::json!([5, 3]));
        } else {
            assert!(error(outcome).contains("_kt_time and _kt_diff"));
        }
    }
}

#[test]
fn a_reader_is_made_again_as_often_as_one_likes_and_never_over_what_is_somebody_elses() {
    let scene = Scene::new(Mode::Upserts);
    let again = scene.ahead().init_reader(&Reader::upsert(["key"])).unwrap();
    assert_eq!((again.function.as_str(), again.view.as_deref()), ("Entries_now", Some("Entries_now_view")));
    assert!(!again.made_view);
    let other_key = scene.ahead().init_reader(&Reader::upsert(["value"])).unwrap_err().to_string();
    assert!(other_key.contains(".drop materialized-view Entries_now_view"), "{other_key}");
    scene.emulator.handle().command(DATABASE, ".create function Mine() { Entries }").unwrap();
    let mine = scene.ahead().init_reader(&Reader::upsert(["key"]).function("Mine").materialized(false));
    assert!(mine.unwrap_err().to_string().contains("another name"));
}

#[test]
fn a_view_that_is_made_late_begins_with_all_that_the_table_has() {
    let steps = [vec![(entry(1, 1), 1)], vec![(entry(1, 1), -1), (entry(1, 2), 1)]];
    for (mode, reader) in [
        (Mode::Upserts, Reader::upsert(["key"])),
        (Mode::Changes, Reader::change_stream().materialized(true)),
    ] {
        let scene = Scene::with_columns(mode, mode.columns());
        well(feed(&scene, 1, &steps[..1], None, same));
        assert!(scene.ahead().init_reader(&reader).unwrap().made_view);
        well(feed(&scene, 1, &steps, None, same));
        assert_eq!(scene.read(), sum(&steps), "{mode:?}");
    }
}

#[test]
fn changes_of_an_open_epoch_make_the_sink_full_until_the_epoch_ends() {
    const LIMIT: usize = 1 << 20;
    for mode in Mode::ALL {
        let scene = Scene::new(mode);
        let ahead = scene.ahead_with(write().memory(LIMIT));
        let fed = on_workers(1, move |worker| {
            let sink = WriteAheadSink::open(worker, &ahead)?;
            let (mut input, handle) = worker.dataflow::<u64, _, _>(|scope| {
                let (input, entries) = scope.new_collection::<Entry, isize>();
                let positions = Vec::new().to_stream(scope);
                (input, attach(mode, entries, &sink, positions, same).1)
            });
            let mut key = 0;
            while !handle.is_full() && handle.error().is_none() {
                assert!(key < 20_000, "{:?}: the sink takes all there is", handle.limits());
                for _ in 0..100 {
                    input.insert(Entry { key, value: 0, text: "x".repeat(1000) });
                    key += 1;
                }
                input.flush();
                worker.step();
            }
            let limits = handle.limits();
            assert!(limits.memory.0 >= LIMIT && limits.paused_for.is_some(), "{limits:?}");
            input.advance_to(1);
            input.flush();
            while handle.is_full() && handle.error().is_none() {
                worker.step_or_park(Some(std::time::Duration::from_millis(20)));
            }
            input.close();
            handle.drive(worker).map(|_| key)
        });
        let fed = fed.into_iter().next().unwrap().unwrap_or_else(|error: Arc<SinkError>| panic!("{error}"));
        // A thousand bytes of text each, and the places beside them: no more than the memory holds.
        assert!((300..=1100).contains(&fed), "{mode:?}: {fed} records fill a mebibyte");
        assert_eq!(scene.query("Entries | count")[0][0], fed);
    }
}
