//! Other people's software against the local cluster and beside ours: what it does, the two have to agree on.
//!
//! `scripts/setup-outside` sets it up. Without it these tests are skipped, and say so.
#![allow(clippy::unwrap_used, missing_docs)]

mod files;
mod golden;
mod inputs;
mod java;
mod node;
mod python;
mod setup;
mod storage;
mod tls;
