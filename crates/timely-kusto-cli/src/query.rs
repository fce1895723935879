//! `timely-kusto query`.

use std::path::PathBuf;

use kusto_client::ConnectionOptions;

use crate::args::QueryArguments;
use crate::cluster::{Connected, connect, remote};
use crate::exit::{Exit, Stop};
use crate::runtime::runtime;
use crate::{config, print, run};

/// Asks the cluster and prints the answer.
pub(crate) fn query(arguments: &QueryArguments) -> Result<Exit, Stop> {
    let runtime = runtime()?;
    let (connected, database) = target(&arguments.config, &arguments.cluster, &arguments.database)?;
    let tables = run::answer(&runtime, &*connected.service, &database, &arguments.text)?;
    if arguments.json {
        println!("{}", serde_json::Value::from_iter(tables.iter().map(print::json)));
    } else {
        tables.iter().for_each(|table| print!("{}", print::table(table)));
    }
    Ok(Exit::Done)
}

/// The cluster and database that the arguments name: those of a pipeline's file, or a URL and a name.
pub(crate) fn target(
    config: &Option<PathBuf>,
    cluster: &Option<String>,
    database: &Option<String>,
) -> Result<(Connected, String), Stop> {
    let named = database.clone();
    if let Some(file) = config {
        let configuration = config::read(file).map_err(Stop::bad_configuration)?;
        let options = configuration.pipeline;
        let database = named.unwrap_or_else(|| options.sink.write.database().to_owned());
        return Ok((connect(configuration.cluster, &options.job.state, &database)?, database));
    }
    let url = cluster.as_deref().unwrap_or_default();
    let options = ConnectionOptions::builder().cluster_url(url).no_auth().build();
    Ok((remote(options.map_err(Stop::bad_configuration)?)?, named.unwrap_or_default()))
}
