//! The write-ahead sink in dataflows of several workers, against a local cluster in this process.
#![allow(clippy::unwrap_used, missing_docs)]

mod between;
mod clocks;
mod collections;
mod direct;
mod disk;
mod early;
mod ends;
mod epochs;
mod faults;
mod hashes;
mod interleavings;
mod limits;
mod runs;
mod service;
mod sources;
mod starts;
mod support;
mod switches;
mod tuples;
