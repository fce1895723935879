//! A local Kusto cluster on loopback: engine, data management, blob, queue and table storage, sign-in.

pub mod clock;
pub mod seed;

#[allow(dead_code, unused_imports)]
mod data;
#[allow(dead_code, unused_imports)]
mod kql;
#[allow(dead_code, unused_imports)]
mod engine;
