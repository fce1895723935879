//! The cluster of a pipeline, embedded or remote, ready to be asked.

use std::path::Path;
use std::sync::Arc;

use kusto_client::{Client, ConnectionOptions, Service};
use kusto_emulator::Emulator;

use crate::config::Cluster;
use crate::exit::Stop;

/// A cluster that can be asked; an embedded one ends with it.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) service: Arc<dyn Service>,
    /// What names the cluster in the state directory. An embedded one has another port at each start.
    pub(crate) name: String,
    _embedded: Option<Emulator>,
}

/// Starts or connects to the cluster. An embedded one keeps its data in `<state>/cluster`.
pub(crate) fn connect(cluster: Cluster, state: &Path, database: &str) -> Result<Connected, Stop> {
    match cluster {
        Cluster::Remote(options) => remote(*options),
        Cluster::Embedded => {
            let data = state.join("cluster");
            let emulator = Emulator::builder().database(database).data_dir(&data).start();
            let emulator = emulator.map_err(|error| Stop::failed(format!("embedded cluster: {error}")))?;
            tracing::info!(url = emulator.cluster_url(), data = %data.display(), "embedded cluster is up");
            let options = ConnectionOptions::builder().cluster_url(emulator.cluster_url()).no_auth().build();
            let connected = remote(options.map_err(Stop::failed)?)?;
            Ok(Connected { name: "emulator".to_owned(), _embedded: Some(emulator), ..connected })
        }
    }
}

/// Connects to a cluster by its options.
pub(crate) fn remote(options: ConnectionOptions) -> Result<Connected, Stop> {
    let name = options.cluster_url().to_owned();
    let client = Client::connect(options).map_err(Stop::bad_configuration)?;
    Ok(Connected { service: Arc::new(client), name, _embedded: None })
}
