//! Talks to a Kusto cluster (Azure Data Explorer, Fabric Eventhouse): sign-in, commands, queries, queued ingestion
//! and its status. Knows no dataflow and no log.
//!
//! ```text
//!                 ┌───────────────────────── Client ─────────────────────────┐
//! ConnectionOptions ─► tokens ─► engine: commands (v1), queries (v2)          │
//!                 │       └────► data management: resources, identity token   │
//!                 │                   └─► blobs, queues, status table (SAS)   │
//!                 └──────────── implements [`Service`], the seam ────────────┘
//! ```
//!
//! What a sink needs of a cluster is the small trait [`Service`]. [`Client`] is the real one; `testing` has one in
//! memory and one that injects faults; all pass the suite in `conformance`.

mod auth;
mod cache;
mod client;
mod clock;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod endpoint;
mod error;
mod failure;
#[cfg(test)]
mod fuzz;
mod http;
mod ingest;
mod kql;
mod options;
mod proxy;
mod redact;
mod rest;
pub mod service;
mod table;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transport;
mod trust;

pub use auth::{Certificate, Token};
pub use client::{Client, ServiceExt};
pub use error::{Effect, Error, ErrorKind};
pub use ingest::ingest_command;
pub use kql::{is_command, quote_name, quote_string};
pub use options::{ConnectionOptions, ConnectionOptionsBuilder};
pub use rest::Role;
pub use service::{
    Backoff, Blob, FailureStatus, Ingestion, IngestionMapping, IngestionState, IngestionStatus, Report,
    Result, Service, Ticket, UploadedBlob,
};
pub use table::{Column, Table};

/// A URL without its query, where signatures live: what may stand in a log or an error.
pub fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(address, _)| address)
}
