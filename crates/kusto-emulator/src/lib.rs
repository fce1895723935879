//! A local Kusto cluster on loopback: engine, data management, blob, queue and table storage, sign-in.
//!
//! For everybody who tests an ingestion and has no cluster: clients talk to it as to the service, over http, in the
//! service's words; it keeps extents, roles, policies and batches as the service does, on a clock that tests can move.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = kusto_emulator::Emulator::builder().database("Samples").start()?;
//! println!("cluster and ingestion: {}", emulator.cluster_url());
//! // ... use any Kusto client against that address; the emulator stops when it is dropped.
//! # Ok(())
//! # }
//! ```
//!
//! # The house
//! ```text
//!        one port on 127.0.0.1 (and one for each storage service)
//!                      │
//!   http/ ─────────────┼──────────────────────────────────────────────┐  requests.rs: what was asked
//!     │ commands       │ resources, identity token    │ blobs,        │  faults.rs: rules that spoil it
//!     │ queries        │                              │ messages, rows│  holds.rs: those that wait for their release
//!     ▼                ▼                              ▼               ▼
//!   engine/ ◄─────── dm/ ◄──────── messages ─────── storage/      signin/
//!   catalog, roles,  batches, retries, reports      journal, bodies, SAS
//!   kql/ over data/
//! ```
//! [`EmulatorBuilder`] sets it up, [`Emulator`] is the running one, and [`Handle`] reaches into it: the statistics, the
//! requests so far, fault rules ([`FaultRule`]), held requests ([`HeldRequest`]), principals and their roles. Tests in
//! other processes reach it by HTTP below `/emulator/v1/`, on loopback only. What the service's documents leave open is
//! a switch each ([`Assumptions`]). `docs/model.md` of this crate lists what is modelled, guessed, and not there. Time comes from a [`clock::Clock`], chance
//! from a [`seed::Seed`].
//!
//! # What holds
//! 1. It listens on loopback only, unless told otherwise. It speaks http, or https with a certificate made at start.
//! 2. Nothing made up: what it does not understand, it refuses in the service's error form.
//! 3. With a data directory everything acknowledged survives a kill of the process (not a power failure: nothing is
//!    flushed to the device): databases, blobs, queue messages, status rows, keys. Files are private to their owner.
//!    Not kept: applications that were added, tokens that were revoked, fault rules, assumptions.
//! 4. Delivery is at least once, as the service's: a message leaves its queue after its rows are in.
//! 5. Every limit on what a client may send has a number; a client that is silent for a minute in the middle of a request
//!    is cut off.
//!
//! # Where it differs from the service by choice
//! - Engine and data management share one address; `.show version` says `Engine`.
//! - Blobs gather for 1 second, not 5 minutes, unless the table has a batching policy
//!   ([`EmulatorBuilder::batching_time`]).
//! - A status row of a blob that `ingestIfNotExists` skipped says `Skipped`.
//! - Storage: `docs/storage.md` of this crate lists what is there, and how it differs from Azurite. It may also be
//!   outside ([`EmulatorBuilder::storage`]).
//! - Not yet: streaming ingestion, REST queued ingestion.

mod assumptions;
mod builder;
pub mod clock;
mod dm;
mod emulator;
mod error;
pub mod faults;
mod files;
mod handle;
mod holds;
mod http;
mod requests;
mod secrets;
pub mod seed;
mod signin;
mod storage;
mod tls;

mod data;
#[allow(dead_code, unused_imports)]
mod engine;
mod kql;

pub use assumptions::{
    Assumptions, BlobsVisible, CreatedRange, DirectManagedIdentity, FailedSources, GzipMembers,
    IngestIfNotExists, Merges, MissingExtents, OperationColumns, RaggedRecords, RepeatedMessages,
    ResolvedNames, RightsOfWaiting, SkippedStatus, Undocumented, UnknownSize, WeakReads,
};
pub use builder::EmulatorBuilder;
pub use dm::Statistics;
pub use emulator::{Emulator, Urls};
pub use error::EmulatorError;
pub use faults::{Fault, FaultHits, FaultRule};
pub use handle::{Grant, Handle};
pub use holds::{HeldRequest, HoldPoint, MAX_HELD};
pub use requests::{Endpoint, REMEMBERED_REQUESTS, Request};
pub use signin::ManagedIdentity;
