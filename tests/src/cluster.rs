//! Clusters: `timely-kusto emulator` in a process of its own, and what a cluster answers.

use std::path::PathBuf;
use std::sync::OnceLock;

use kusto_client::{Client, ConnectionOptions, ServiceExt, Table};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{Place, Process, Signal, until};

/// A local cluster in a process of its own, with a database `Samples` and its data in a directory.
#[derive(Debug)]
pub struct Cluster {
    process: Process,
    data: PathBuf,
    url: String,
    urls: Value,
}

impl Cluster {
    /// Starts one in `place`, on a port that the system chooses.
    pub fn start(place: &Place) -> Self {
        Self::start_with(place, &[])
    }

    /// Starts one with further arguments.
    pub fn start_with(place: &Place, arguments: &[&str]) -> Self {
        Self::at(place, place.path().join("cluster"), 0, arguments)
    }

    fn at(place: &Place, data: PathBuf, port: u16, more: &[&str]) -> Self {
        let (dir, port) = (data.to_str().unwrap().to_owned(), port.to_string());
        let mut arguments = vec![
            "emulator",
            "--json",
            "--database",
            "Samples",
            "--data",
            &dir,
            "--port",
            &port,
            "--batching-time",
            "50ms",
        ];
        arguments.extend(more);
        let mut process = place.start_command(&arguments);
        let urls: Value = until("the emulator's line", || {
            assert!(process.runs(), "the emulator ended: {}", process.stderr());
            let stdout = process.stdout();
            stdout.ends_with('\n').then(|| serde_json::from_str(&stdout).unwrap())
        });
        Cluster { process, data, url: urls["cluster"].as_str().unwrap().to_owned(), urls }
    }

    /// Kills it by SIGKILL; `while_gone` runs before it is started again, with the same data and on the same port.
    #[must_use]
    pub fn kill_and_restart(self, place: &Place, while_gone: impl FnOnce()) -> Self {
        let (data, url) = (self.data, self.url);
        self.process.kill();
        while_gone();
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        Self::at(place, data, port, &[])
    }

    /// Stops it by a signal; its exit code.
    pub fn stop(mut self, signal: Signal) -> Option<i32> {
        self.process.signal(signal);
        self.process.wait().code
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All that it says about where it is.
    pub fn urls(&self) -> &Value {
        &self.urls
    }

    /// Asks a query or a command in the database `Samples`.
    pub fn ask(&self, text: &str) -> Table {
        ask(&self.url, text)
    }

    /// The number of rows in a table, 0 when there is none.
    pub fn count(&self, table: &str) -> u64 {
        count(&self.url, table)
    }
}

/// Asks a query or a command in the database `Samples` of a cluster that wants no sign-in.
pub fn ask(url: &str, text: &str) -> Table {
    try_ask(url, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The number of rows in a table; 0 when it is not there or the cluster cannot be asked just now.
pub fn count(url: &str, table: &str) -> u64 {
    let answer = try_ask(url, &format!("{table} | count"));
    answer.ok().and_then(|table| table.scalar()?.as_u64()).unwrap_or(0)
}

fn try_ask(url: &str, text: &str) -> kusto_client::Result<Table> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    let client = Client::connect(ConnectionOptions::builder().cluster_url(url).no_auth().build()?)?;
    let mut tables = runtime.block_on(client.execute("Samples", text))?;
    Ok(tables.swap_remove(0))
}
