//! The write-ahead sink in dataflows of several workers, against a local cluster in this process.
#![allow(clippy::unwrap_used, missing_docs)]

mod between;
mod clocks;
mod early;
mod faults;
mod limits;
mod runs;
mod starts;
mod support;
