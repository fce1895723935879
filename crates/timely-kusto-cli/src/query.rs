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
    let text = cluster.as_deref().unwrap_or_default();
    let options = ConnectionOptions::builder().connection_string(text).or_no_auth().build();
    let options = options.map_err(Stop::bad_configuration)?;
    let database = named.or_else(|| options.database().map(str::to_owned)).ok_or_else(|| {
        Stop::bad_configuration("no database is named; give --database NAME, or write it behind the address: https://<cluster>/NAME")
    })?;
    Ok((remote(options)?, database))
}
