//! Two emulators with equal seeds and clocks, asked the same, say the same: ids, faults, batches, merges, reports.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use kusto_emulator::seed::Seed;
use kusto_emulator::{Endpoint, Fault, FaultRule};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use support::{Cluster, DATABASE};

const STEPS: usize = 80;

/// What the emulator said to a random sequence of requests; its port is left out.
async fn trace(script: u64, seed: u64) -> Vec<String> {
    let mut rng = StdRng::seed_from_u64(script);
    let cluster = Cluster::start_with(|options| options.seed(Seed::new(seed)));
    let handle = cluster.emulator.handle();
    let busy = Fault::Fail { status: 503, retry_after: None };
    handle.add_fault(FaultRule::new(Endpoint::Ingestion, busy).probability(0.3));
    handle.add_fault(FaultRule::new(Endpoint::Management, busy).operation(".append").probability(0.3));
    handle.add_fault(FaultRule::new(Endpoint::Ingestion, Fault::FailAfter { status: 500 }).probability(0.2));
    handle.command(DATABASE, ".create table S (n: long, s: string)").unwrap();
    let mut said = Vec::new();
    for step in 0..STEPS {
        said.push(match rng.random_range(0..8) {
            0 | 1 => {
                let blob = cluster.upload(&format!("{step}.csv"), format!("{step},x\n")).await;
                // Its id is made of what it is called, which must not have the port in it.
                let (mut message, row) = cluster.message(&format!("blob {step}")).await;
                message["BlobPath"] = json!(blob);
                message["FlushImmediately"] = json!(rng.random_bool(0.5));
                cluster.queue(&message).await;
                handle.settle().await;
                cluster.status(&row).await.to_string()
            }
            2 => cluster.command(&format!(".append S <| print {step}, 'y'")).await.text,
            3 => cluster.command(".move extents all from table S to table T").await.text,
            4 => cluster.command(".move async extents all from table T to table S").await.text,
            5 => {
                cluster.pass(Duration::from_secs(rng.random_range(1..4000))).await;
                cluster.command(".show operations").await.text
            }
            6 => cluster.command(".show database Samples extents").await.text,
            _ => cluster.command(".get ingestion resources").await.text,
        });
        handle.settle().await;
    }
    said.push(
        cluster
            .query("union S, T | order by n asc | project n, extent_id(), ingestion_time()")
            .await
            .to_string(),
    );
    said.push(format!("{:?}", handle.requests()));
    said.push(format!("{:?}", handle.statistics()));
    said.iter().map(|text| text.replace(cluster.emulator.cluster_url(), "")).collect()
}

#[tokio::test]
async fn equal_seeds_clocks_and_requests_give_equal_answers_ids_faults_and_reports_included() {
    let script =
        std::env::var("KT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("KT_SEED={script}");
    let (first, second) = (trace(script, 7).await, trace(script, 7).await);
    for (step, (one, other)) in first.iter().zip(&second).enumerate() {
        assert_eq!(one, other, "step {step}");
    }
    assert_ne!(first.last(), None);
    assert_ne!(first, trace(script, 8).await, "another seed has other ids");
}
