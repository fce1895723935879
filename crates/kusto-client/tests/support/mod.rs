//! What the tests against clusters share.
#![allow(dead_code)]

use std::process::Output;

use bytes::Bytes;
use kusto_client::{Blob, Ingestion, Report};
use uuid::Uuid;

/// A blob of one row.
pub fn blob(body: impl Into<Bytes>) -> Blob {
    let body = body.into();
    Blob { name: format!("{}.csv", Uuid::new_v4()), rows: 1, raw_bytes: body.len() as u64, body }
}

/// An ingestion of CSV into `table` with a report.
pub fn ingestion_into(table: &str) -> Ingestion {
    Ingestion {
        source_id: Uuid::new_v4(),
        database: "db".into(),
        table: table.into(),
        format: "csv".into(),
        mapping: None,
        ignore_first_record: false,
        additional_tags: vec![],
        ingest_by_tags: vec![],
        drop_by_tags: vec![],
        ingest_if_not_exists: vec![],
        creation_time: None,
        flush_immediately: false,
        retain_blob_on_success: true,
        report: Report::Table,
    }
}

/// Runs an ignored test of this file with more in its environment, which belongs to a whole process.
pub async fn in_a_process_of_its_own(test: &'static str, variables: Vec<(&'static str, String)>) -> Output {
    let run = move || {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture"]);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.envs(variables).output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// All that a process printed.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
