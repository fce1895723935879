//! `timely-kusto emulator`.

use std::sync::Arc;

use kusto_emulator::{Emulator, Grant};

use crate::args::EmulatorArguments;
use crate::exit::{Exit, Stop};
use crate::runtime::runtime;
use crate::signals;

/// Runs a local cluster until a signal comes.
pub(crate) fn emulator(arguments: &EmulatorArguments) -> Result<Exit, Stop> {
    let runtime = runtime()?;
    let emulator = Arc::new(start(arguments)?);
    let handle = emulator.handle().clone();
    let signalled = signals::watch(&runtime, "stopping", move || handle.stop())?;
    announce(&emulator, arguments);
    emulator.wait();
    Ok(signalled.get().map_or(Exit::Done, Exit::Signalled))
}

fn start(arguments: &EmulatorArguments) -> Result<Emulator, Stop> {
    let mut builder = Emulator::builder()
        .port(arguments.port)
        .accept_only(arguments.accept_only)
        .tls(arguments.tls)
        .sign_in(arguments.sign_in || !arguments.application.is_empty());
    builder = arguments.database.iter().fold(builder, |builder, name| builder.database(name));
    builder = arguments.storage.iter().fold(builder, |builder, account| builder.storage(account));
    if let Some([blob, queue, table]) = arguments.storage_ports {
        builder = builder.storage_ports(blob, queue, table);
    }
    if let Some(directory) = &arguments.data {
        builder = builder.data_dir(directory);
    }
    if let Some(latency) = arguments.latency {
        builder = builder.latency(latency);
    }
    if let Some(time) = arguments.batching_time {
        builder = builder.batching_time(time);
    }
    let emulator = builder.start().map_err(Stop::failed)?;
    for application in &arguments.application {
        let (id, key) = application.split_once(':').unwrap_or((application, ""));
        emulator.handle().add_app(id, key, &[Grant::AllDatabasesAdmin]).map_err(Stop::bad_configuration)?;
    }
    Ok(emulator)
}

fn announce(emulator: &Emulator, arguments: &EmulatorArguments) {
    if arguments.json {
        let mut urls = serde_json::json!(emulator.urls());
        urls["storage"] = emulator.storage_connection_strings().into();
        println!("{urls}");
        return;
    }
    println!("cluster and ingestion: {}", emulator.cluster_url());
    if arguments.sign_in || !arguments.application.is_empty() {
        println!("sign-in: {}", emulator.urls().authority);
    }
    let urls = emulator.urls();
    println!("blobs: {}, queues: {}, tables: {}", urls.blob, urls.queue, urls.table);
    if let Some(file) = emulator.ca_file() {
        println!("certificate to trust: {}", file.display());
    }
    match &arguments.data {
        Some(directory) => println!("data: {}", directory.display()),
        None => println!("data: in memory"),
    }
    println!("Ctrl-C stops it");
}
