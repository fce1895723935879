//! Writes a differential collection that only grows: the first sighting of each species, however often it is reported.
//!
//! `cargo run -p timely-kusto-examples --example collection`

use std::error::Error;

use differential_dataflow::input::Input;
use serde::Serialize;
use timely_kusto::{ConnectionOptions, InsertOnlyToKusto, SinkV2, WriteOptions};
use timely_kusto_examples::Cluster;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
struct Sighting {
    species: String,
    year: u32,
}

/// Reports by year; a later year reports species again.
const REPORTS: [(u32, &[&str]); 3] =
    [(1990, &["gull", "gull", "crow"]), (1991, &["crow", "owl"]), (1992, &["gull", "heron", "owl"])];

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::with(".create table FirstSightings (species: string, year: int)")?;
    let connection = ConnectionOptions::builder().cluster_url(cluster.url()).no_auth().build()?;
    let write = WriteOptions::builder().database("Samples").table("FirstSightings").build()?;
    let sink = SinkV2::connect(&connection, &write)?;
    let outcome = timely::execute_directly(move |worker| {
        let (mut reports, handle) = worker.dataflow::<u32, _, _>(|scope| {
            let (reports, sightings) = scope.new_collection::<(String, u32), isize>();
            // The least year per species: later reports never change it, so the collection only grows.
            let first = sightings.reduce(|_species, years, first| first.push((*years[0].0, 1)));
            let first = first.map(|(species, year)| Sighting { species, year });
            (reports, first.sink_v2_insert_only(&sink).1)
        });
        for (year, species) in REPORTS {
            reports.advance_to(year);
            species.iter().for_each(|species| reports.insert(((*species).to_owned(), year)));
        }
        reports.close();
        handle.drive(worker)
    });
    outcome?;
    for row in cluster.ask("FirstSightings | sort by year asc, species asc")?.rows {
        println!("{}: {}", row[1], row[0]);
    }
    Ok(())
}
