//! SinkV2 from outside: dataflows over a cluster in memory. Numbers in comments are the invariants of `src/sink_v2/mod.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

mod batching;
mod clock;
mod differential;
mod failure;
mod faults;
mod memory;
mod support;
