//! Writes the rows of a timely dataflow into a Kusto table, and knows when they are there.
//!
//! `cargo run -p timely-kusto-examples --example embed -- -w 2`

use std::error::Error;

use serde::Serialize;
use timely::dataflow::operators::vec::{Map, ToStream};
use timely_kusto::{ConnectionOptions, RowsToKusto, SinkV2, WriteOptions};
use timely_kusto_examples::Cluster;

#[derive(Clone, Serialize)]
struct Reading {
    sensor: String,
    value: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::with(".create table Readings (sensor: string, value: real)")?;
    write(cluster.url())?;
    println!("{} rows in the table", cluster.ask("Readings | count")?.rows[0][0]);
    Ok(())
}

// README: begin
fn write(cluster: &str) -> Result<(), Box<dyn Error>> {
    let connection = ConnectionOptions::builder().cluster_url(cluster).no_auth().build()?;
    let write = WriteOptions::builder().database("Samples").table("Readings").build()?;
    let sink = SinkV2::connect(&connection, &write)?;
    let workers = timely::execute_from_args(std::env::args(), move |worker| {
        let handle = worker.dataflow::<u64, _, _>(|scope| {
            let readings = (0..1000)
                .to_stream(scope)
                .map(|n| Reading { sensor: format!("s{}", n % 7), value: n.into() });
            let (_clock, handle) = readings.sink_v2(&sink); // the clock's frontier passes a time once its rows are there
            handle
        });
        handle.drive(worker) // steps until every row is delivered, or the sink fails
    })?;
    workers.join().into_iter().try_for_each(|outcome| outcome?.map(drop).map_err(Into::into))
}
// README: end
