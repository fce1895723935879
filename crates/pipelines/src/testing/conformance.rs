//! Holds a source to the promises of [`source`](crate::source), by number.
//!
//! The caller says how a batch is taken apart into records that can be compared; everything else goes through the
//! seam. A broken promise panics with its number.

// A suite for tests: an error of the source is a failed check.
#![allow(clippy::unwrap_used)]

use std::thread;

use crate::source::{Batch, Budget, Polled, Position, Reader, Source};

/// Checks every promise that can be seen from outside. `records` takes a batch apart, one text per record.
///
/// # Panics
/// At the first promise that is broken, and when the source returns an error.
pub fn check<S: Source>(source: &S, records: impl Fn(&S::Batch) -> Vec<Vec<u8>>) {
    let names = source.partitions().unwrap();
    assert_eq!(names, source.partitions().unwrap(), "promise 1: names are stable");
    assert!(
        names.iter().enumerate().all(|(i, name)| !names[..i].contains(name)),
        "promise 1: names are unique"
    );
    for name in &names {
        resumes_everywhere(source, name, &records);
        keeps_budgets(source, name, &records);
        ends_for_good(source, name);
        acknowledges(source, name, &records);
        refuses_foreign_positions(source, name);
    }
}

/// One reading: the records of each batch, and the position after it.
type Reading = Vec<(Vec<Vec<u8>>, Position)>;

fn read<B: Batch>(reader: &mut Reader<B>, budget: Budget, records: &impl Fn(&B) -> Vec<Vec<u8>>) -> Reading {
    let mut reading = Vec::new();
    while let Some(batch) = next(reader, budget) {
        reading.push((records(&batch), reader.position()));
    }
    reading
}

/// The next batch; waits as long as the reader asks for.
fn next<B>(reader: &mut Reader<B>, budget: Budget) -> Option<B> {
    loop {
        match reader.poll(budget).unwrap() {
            Polled::Batch(batch) => return Some(batch),
            Polled::Pending(wait) => thread::sleep(wait),
            Polled::End => return None,
        }
    }
}

fn flat(reading: &[(Vec<Vec<u8>>, Position)]) -> Vec<Vec<u8>> {
    reading.iter().flat_map(|(records, _)| records.clone()).collect()
}

/// Promises 2 to 4: from every position on, exactly the rest follows, in order.
fn resumes_everywhere<S: Source>(source: &S, name: &str, records: &impl Fn(&S::Batch) -> Vec<Vec<u8>>) {
    let budget = Budget { rows: 3, ..Budget::DEFAULT };
    let mut reader = source.open(name, None).unwrap();
    let start = reader.position();
    assert_eq!(start, reader.position(), "promise 4: the position does not change between polls");
    let reading = read(&mut reader, budget, records);
    if !source.can_replay() {
        return;
    }
    let whole = flat(&reading);
    let again = read(&mut source.open(name, None).unwrap(), Budget::DEFAULT, records);
    assert_eq!(flat(&again), whole, "promise 2: {name} gives the same records again, whatever the budget");
    let mut handed_out = 0;
    let positions =
        std::iter::once((0, &start)).chain(reading.iter().map(|(batch, after)| (batch.len(), after)));
    for (count, position) in positions {
        handed_out += count;
        let kept = Position::from_bytes(position.as_bytes().to_vec());
        let mut resumed = source.open(name, Some(&kept)).unwrap();
        let rest = flat(&read(&mut resumed, Budget { rows: 5, ..Budget::DEFAULT }, records));
        assert_eq!(rest, whole[handed_out..], "promise 3: {name} goes on after {handed_out} records");
    }
}

/// Promise 5, for small and large budgets.
fn keeps_budgets<S: Source>(source: &S, name: &str, records: &impl Fn(&S::Batch) -> Vec<Vec<u8>>) {
    for (rows, bytes) in [(1, usize::MAX), (7, usize::MAX), (u64::MAX, 1), (u64::MAX, 100), (4, 1000)] {
        let budget = Budget { rows, bytes };
        let mut reader = source.open(name, None).unwrap();
        while let Some(batch) = next(&mut reader, budget) {
            let count = records(&batch).len() as u64;
            assert!((1..=rows).contains(&count), "promise 5: {count} records for a budget of {rows}");
            assert!(count == 1 || batch.weight() <= bytes, "promise 5: {} bytes for {bytes}", batch.weight());
            assert!(batch.rows().is_none_or(|rows| rows == count), "a batch counts its records");
        }
    }
}

/// Promise 7.
fn ends_for_good<S: Source>(source: &S, name: &str) {
    let mut reader = source.open(name, None).unwrap();
    while next(&mut reader, Budget::DEFAULT).is_some() {}
    let end = reader.position();
    let ended = |reader: &mut Reader<S::Batch>| matches!(reader.poll(Budget::DEFAULT).unwrap(), Polled::End);
    assert!(ended(&mut reader) && ended(&mut reader), "promise 7: the end is final");
    assert_eq!(reader.position(), end, "promise 7: the end does not move");
    assert!(
        next(&mut source.open(name, Some(&end)).unwrap(), Budget::DEFAULT).is_none(),
        "promise 7: at its end a partition is at its end"
    );
}

/// Promise 8: what is read does not depend on what is acknowledged.
fn acknowledges<S: Source>(source: &S, name: &str, records: &impl Fn(&S::Batch) -> Vec<Vec<u8>>) {
    let budget = Budget { rows: 2, ..Budget::DEFAULT };
    let whole = flat(&read(&mut source.open(name, None).unwrap(), budget, records));
    let mut reader = source.open(name, None).unwrap();
    let mut seen = Vec::new();
    while let Some(batch) = next(&mut reader, budget) {
        seen.extend(records(&batch));
        let position = reader.position();
        reader.acknowledge(&position).unwrap();
        reader.acknowledge(&position).unwrap();
    }
    assert_eq!(seen, whole, "promise 8: acknowledging changes nothing that is read");
}

/// Promise 9.
fn refuses_foreign_positions<S: Source>(source: &S, name: &str) {
    let refused = |bytes: Vec<u8>| source.open(name, Some(&Position::from_bytes(bytes))).is_err();
    assert!(refused(Vec::new()), "promise 9: an empty position");
    assert!(refused(vec![255; 9]), "promise 9: a position of another form");
    let own = source.open(name, None).unwrap().position();
    assert!(refused(own.as_bytes()[..1].to_vec()), "promise 9: a position that was cut off");
    assert!(source.open("no such partition", None).is_err(), "promise 9: a partition that is not there");
}
