//! What the examples share: a cluster to talk to, and a look at what arrived.

use std::error::Error;

use kusto_client::{Client, ConnectionOptions, ServiceExt, Table};
use kusto_emulator::Emulator;

/// A cluster for an example: the one whose URL is in the environment variable `KUSTO_CLUSTER` (a table made with the
/// example's `create` command must be there, and no sign-in is used), or a local one that ends with this value.
#[derive(Debug)]
pub struct Cluster {
    url: String,
    _local: Option<Emulator>,
}

impl Cluster {
    /// Finds or starts the cluster, with a database `Samples`, and runs the command `create` in it.
    ///
    /// # Errors
    /// When it cannot be started or reached.
    pub fn with(create: &str) -> Result<Self, Box<dyn Error>> {
        let cluster = match std::env::var("KUSTO_CLUSTER") {
            Ok(url) => Cluster { url, _local: None },
            Err(_) => {
                let local = Emulator::builder().database("Samples").start()?;
                Cluster { url: local.cluster_url().to_owned(), _local: Some(local) }
            }
        };
        cluster.ask(create)?;
        Ok(cluster)
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks a query or a command in the database `Samples`; returns its first table.
    ///
    /// # Errors
    /// What the cluster says.
    pub fn ask(&self, text: &str) -> Result<Table, Box<dyn Error>> {
        let client = Client::connect(ConnectionOptions::builder().cluster_url(&self.url).no_auth().build()?)?;
        let runtime = tokio::runtime::Runtime::new()?;
        let mut tables = runtime.block_on(client.execute("Samples", text))?;
        if tables.is_empty() {
            return Err("the cluster answered without a table".into());
        }
        Ok(tables.swap_remove(0))
    }
}
