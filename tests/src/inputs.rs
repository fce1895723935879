//! Input that several tests use.

use std::net::TcpListener;
use std::path::PathBuf;

use pipelines::generator::{COLUMNS, storm};

use crate::{Place, Rows, cell};

/// The first rows that the generator makes up, as the table is to hold them.
pub fn storms(rows: u64) -> Rows {
    let row = |index| {
        let storm = serde_json::to_value(storm(1, index)).unwrap();
        COLUMNS.iter().map(|(name, kind)| cell(&storm[*name], kind)).collect()
    };
    (0..rows).map(row).collect()
}

/// A file of hosts for so many processes, with ports that the system had free a moment ago.
pub fn free_hosts(place: &Place, count: usize) -> PathBuf {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let hosts: String = listeners.iter().map(|l| format!("{}\n", l.local_addr().unwrap())).collect();
    place.write("hosts", hosts)
}
