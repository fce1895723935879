//! Pipelines in the write-ahead mode, in processes of their own: killed, fenced, on several hosts. Whatever happens, the
//! table holds each row once.
#![allow(clippy::unwrap_used, missing_docs)]

mod commands;
mod crashes;
mod outage;
mod processes;
mod stops;
mod support;
