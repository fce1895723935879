//! End-to-end tests: real processes of the command `timely-kusto`, held against what went in.
//!
//! Here is what the tests share; the tests themselves are in `tests/end_to_end` and, against other people's clients, in
//! `tests/outside`.
//!
//! ```text
//!  Place (a directory of its own)
//!    ├─ Config ──► pipeline file ──► Process: timely-kusto run ──┐
//!    └─ Cluster ─► Process: timely-kusto emulator ◄──────────────┘
//!                      ▲
//!                      └── ask ──► Rows, compared with the rows of the input
//! ```
//!
//! - Processes are killed when their value is dropped; their output goes to files, so that no pipe can fill up.
//! - Nothing sleeps to be in step: [`until`] waits for a condition, with a deadline that only a hang meets.
//! - Ports are those that the system gives.

#![allow(clippy::unwrap_used)] // A helper that cannot go on is a test that failed.

mod answering;
mod azurite;
mod binary;
mod cluster;
mod config;
mod inputs;
mod metrics;
mod outside;
mod place;
mod process;
mod recorder;
mod rows;
mod tap;
mod wait;

pub use answering::Answering;
pub use azurite::Azurite;
pub use binary::{command, example, repository, target_dir};
pub use cluster::{Cluster, ask, count};
pub use config::Config;
pub use inputs::{free_hosts, storms};
pub use metrics::Metrics;
pub use outside::{Outside, files_of};
pub use place::Place;
pub use process::{Outcome, Pid, Process, Signal};
pub use recorder::{Recorded, Recorder};
pub use rows::{Rows, assert_same_rows, canonical, cell, csv_rows, rows_of};
pub use tap::Tap;
pub use wait::until;
