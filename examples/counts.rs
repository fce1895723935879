//! Counts per state as a change stream, stopped in the middle and started again.
//!
//! The counts of wildlife strikes per state change with every month. The table holds the changes, each once; a stored function shows
//! the counts. The second run reads the input from its beginning, which rebuilds what the first one knew, and says so:
//! `drop_replayed`. What the table has already is not written again.
//!
//! `cargo run -p timely-kusto-examples --example counts`

use std::error::Error;

use differential_dataflow::input::Input;
use serde::Serialize;
use timely::dataflow::operators::probe::Probe;
use timely::dataflow::operators::vec::ToStream;
use timely_kusto::{
    CollectionWrittenAhead, ConnectionOptions, Reader, WriteAhead, WriteAheadOptions, WriteAheadSink,
    WriteOptions,
};
use timely_kusto_examples::Cluster;

const STRIKES: &str = include_str!("data/birdstrikes.csv");

/// A state, and how many strikes it has seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
struct Count {
    state: String,
    strikes: i64,
}

/// A strike: the month, counted from January 1990, and the state.
type Strike = (u64, String);

fn main() -> Result<(), Box<dyn Error>> {
    let cluster =
        Cluster::with(".create table Counts (state: string, strikes: long, _kt_time: long, _kt_diff: long)")?;
    let state = tempfile::tempdir()?;
    let strikes = strikes();
    let months = strikes.iter().map(|(month, _)| *month + 1).max().unwrap_or_default();
    let open = || -> Result<WriteAhead, Box<dyn Error>> {
        let connection = ConnectionOptions::builder().cluster_url(cluster.url()).no_auth().build()?;
        let write = WriteOptions::builder().database("Samples").table("Counts").build()?;
        let options = WriteAheadOptions::new("counts", state.path()).drop_replayed(true);
        Ok(WriteAhead::connect(&connection, &write, options)?)
    };
    open()?.init_reader(&Reader::change_stream())?;

    let half = months / 2;
    let first = run(open()?, &strikes, months, Some(half))?;
    println!("the first run began with month {first} and went away once month {half} was in the table");
    let second = run(open()?, &strikes, months, None)?;
    assert!(second > half, "what is committed is not written again");
    println!("the second run read everything again and wrote what was not in the table");

    let twice =
        cluster.ask("Counts | summarize n = count() by state, strikes, _kt_time | where n > 1 | count")?;
    println!("changes that are there twice: {}", twice.rows[0][0]);
    for row in cluster.ask("Counts_now() | top 5 by strikes desc | project state, strikes, _kt_count")?.rows {
        println!("{}: {} ({} of it)", row[0].as_str().unwrap_or_default(), row[1], row[2]);
    }
    let sum = cluster.ask("Counts_now() | summarize sum(strikes * _kt_count), count()")?.rows.remove(0);
    println!("{} strikes in {} states, of {} in the file", sum[0], sum[1], strikes.len());
    Ok(())
}

/// Feeds the strikes month by month; with `vanish_behind`, goes away as by a crash once that month is committed. Returns the first
/// month that counted.
fn run(
    ahead: WriteAhead,
    strikes: &[Strike],
    months: u64,
    vanish_behind: Option<u64>,
) -> Result<u64, Box<dyn Error>> {
    let strikes = strikes.to_vec();
    let first = timely::execute_directly(move |worker| {
        let sink = WriteAheadSink::open(worker, &ahead)?;
        let first_month = sink.resume().first_epoch;
        let (mut input, committed, handle) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, states) = scope.new_collection::<String, isize>();
            let counts = states
                .map(|state| (state, ()))
                .reduce(|_state, seen, count| count.push((seen[0].1 as i64, 1)));
            let counts = counts.map(|(state, strikes)| Count { state, strikes });
            let no_positions = Vec::new().to_stream(scope); // the input is read from its beginning
            let (clocks, handle) = counts.write_ahead_changes(&sink, no_positions, |month| *month);
            (input, clocks.committed.probe().0, handle)
        });
        let fed = vanish_behind.map_or(months, |month| month + 10);
        for month in 0..fed.min(months) {
            let of_month = strikes.iter().filter(|(at, _)| *at == month);
            of_month.for_each(|(_, state)| input.insert(state.clone()));
            input.advance_to(month + 1);
            input.flush();
            worker.step();
        }
        let Some(month) = vanish_behind else {
            input.close();
            handle.drive(worker)?;
            return Ok(first_month);
        };
        while committed.less_equal(&month) && handle.error().is_none() {
            worker.step_or_park(Some(std::time::Duration::from_millis(20)));
        }
        for dataflow in worker.installed_dataflows() {
            worker.drop_dataflow(dataflow); // what is under way is left to the next start
        }
        handle.error().map_or(Ok(first_month), Err)
    });
    first.map_err(Into::into)
}

/// The strikes of the file that have a month and a state.
fn strikes() -> Vec<Strike> {
    let mut strikes: Vec<Strike> = STRIKES.lines().skip(1).filter_map(strike).collect();
    strikes.sort();
    strikes
}

/// `.., 1990-01-08, .., Louisiana, ..`: no field before these is quoted.
fn strike(line: &str) -> Option<Strike> {
    let fields: Vec<&str> = line.split(',').take(6).collect();
    let [_, _, _, date, _, state] = fields[..] else { return None };
    let (year, rest) = date.split_once('-')?;
    let month: u64 = rest.split('-').next()?.parse().ok()?;
    let months = (year.parse::<u64>().ok()?.checked_sub(1990)?) * 12 + month - 1;
    (!state.is_empty()).then(|| (months, state.to_owned()))
}
