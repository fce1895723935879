//! Throughput of each stage and of the whole, and what bounds it: the command `timely-kusto bench`, and
//! `cargo bench -p timely-kusto-benches`.
//!
//! ```text
//!  this process: encode, gzip, both                        CPU time of the thread
//!       │ starts, for each run
//!       ├──► send:     generator ─► dataflow ─► SinkV2 ──┐ CPU time and peak memory of that process
//!       └──► emulator: accept-only, with latency ◄───────┘ counts what arrived
//! ```
//!
//! 1. Every end-to-end run has two processes of its own, so that its CPU time is the sink's and the generator's alone,
//!    and its peak memory is not that of an earlier run.
//! 2. The generator's CPU time is measured in the same process just before, by the same dataflow without the sink, and
//!    taken off. Rows are generated, not kept: a sample in memory would count as the sink's memory, and records that are
//!    handed over again and again would spare the sink the cache misses of real ones.
//! 3. The emulator says in the end what it counted; a run whose rows did not all arrive is an error, not a figure.
//! 4. Stages are measured between the runs, so that a machine that gets slower gets slower for both.
//!
//! Rates are in CPU time unless they say otherwise: on a busy machine they change little.
//!
//! [`measure_ahead`] does the same for the write-ahead mode, beside SinkV2; [`resilience`] measures faults and idleness.

mod ahead;
mod bars;
mod bound;
mod error;
mod feed;
mod helper;
mod measure;
mod meter;
mod options;
mod pace;
mod report;
mod resilience;
mod rows;
mod send;
mod stages;
mod text;

pub use ahead::{
    AheadOptions, AheadReport, AheadRun, Commands, CommandsAt, EpochsAt, Recovered, Round, Steady, Visible,
    Written, measure_ahead,
};
pub use bars::Bar;
pub use bound::{Bound, Limit};
pub use error::{Error, Result};
pub use helper::{Helpers, Manners, Task, perform};
pub use measure::measure;
pub use options::Options;
pub use report::{EndToEnd, Machine, Report, Stage};
pub use resilience::{Idle, Latency, Paced, Resilience, ResilienceOptions, resilience};
pub use rows::RowKind;
pub use send::Sent;
