//! A real process is killed at random moments: everything that it acknowledged is there at the next start, and the one
//! request that was under way has happened or has not.
//!
//! A run prints its seed; `KT_SEED=<n>` replays its commands (not the moment of the kill), `KT_LONG=<factor>` kills that
//! many times as often.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kusto_emulator::{Emulator, EmulatorBuilder};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use support::{Answer, item, uuid};

const CHILD: &str = "KUSTO_EMULATOR_CHILD_DIRECTORY";
const KILLS: u64 = 4;
const NAMES: [&str; 3] = ["A", "B", "C"];

/// The process that is killed.
#[test]
#[ignore = "run by the test that kills it"]
fn child_that_serves_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let builder: EmulatorBuilder = Emulator::builder().database("Db").data_dir(directory);
    let emulator = builder.batching_time(Duration::ZERO).start().unwrap();
    println!("listening {}", emulator.cluster_url());
    loop {
        std::thread::park();
    }
}

struct Server {
    process: Child,
    url: String,
    http: reqwest::Client,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_serves_until_it_is_killed", "--ignored", "--nocapture"])
            .env(CHILD, directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.split_once("listening ")?.1.to_owned())).unwrap();
        Self { process, url, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Rows of a command's answer; none if it was refused. An error if there is no answer.
    async fn command(&self, csl: &str) -> Result<Option<Value>, reqwest::Error> {
        let body = json!({"db": "Db", "csl": csl});
        let answer = self.http.post(format!("{}/v1/rest/mgmt", self.url)).json(&body).send().await?;
        let ok = answer.status().is_success();
        let answer: Value = answer.json().await?;
        Ok(ok.then(|| answer["Tables"][0]["Rows"].clone()))
    }

    async fn rows(&self, csl: &str) -> Vec<Value> {
        self.command(csl).await.unwrap().unwrap().as_array().unwrap().clone()
    }

    async fn query(&self, csl: &str) -> Vec<Value> {
        let body = json!({"db": "Db", "csl": csl});
        let answer = self.http.post(format!("{}/v1/rest/query", self.url)).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["Tables"][0]["Rows"].as_array().unwrap().clone()
    }

    async fn resource(&self, kind: &str) -> String {
        let rows = self.rows(".get ingestion resources").await;
        rows.iter().find(|row| row[0] == kind).unwrap()[1].as_str().unwrap().to_owned()
    }

    /// Uploads a blob, writes a status row, queues the message: three requests, each of which may be the last.
    async fn queue(&self, number: i64) -> Result<(), reqwest::Error> {
        let blob = item(&self.resource("TempStorage").await, &format!("{number}.csv"));
        let put = self.http.put(&blob).header("x-ms-blob-type", "BlockBlob").body(format!("{number}\n"));
        put.send().await?.error_for_status()?;
        let (table, id) = (self.resource("IngestionsStatusTable").await, uuid(&number.to_string()));
        let row = json!({"PartitionKey": id, "RowKey": id, "Status": "Pending"});
        self.http.post(&table).json(&row).send().await?.error_for_status()?;
        let token = self.rows(".get kusto identity token").await[0][0].clone();
        let message = json!({
            "Id": id, "BlobPath": blob, "RawDataSize": 3, "DatabaseName": "Db", "TableName": "Queued",
            "RetainBlobOnSuccess": false, "FlushImmediately": true, "ReportLevel": 2, "ReportMethod": 1,
            "IngestionStatusInTable": {"TableConnectionString": table, "PartitionKey": id, "RowKey": id},
            "AdditionalProperties": {"authorizationContext": token, "format": "csv"},
        });
        let text = message.to_string().replace('&', "&amp;");
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        let queue = item(&self.resource("SecuredReadyForAggregationQueue").await, "messages");
        self.http.post(&queue).body(body).send().await?.error_for_status()?;
        Ok(())
    }

    async fn status(&self, number: i64) -> Value {
        let (table, id) = (self.resource("IngestionsStatusTable").await, uuid(&number.to_string()));
        let row = support::entity(&table, &id, &id);
        let request = self.http.get(row).header("accept", "application/json;odata=nometadata");
        Answer::of(request.send().await.unwrap()).await.json()["Status"].clone()
    }

    async fn settle(&self) {
        let url = format!("{}/emulator/v1/settle", self.url);
        self.http.post(url).json(&json!({})).send().await.unwrap().error_for_status().unwrap();
    }
}

/// What a table holds: values by tag; and its own batching policy.
type Table = (BTreeMap<String, BTreeSet<i64>>, Option<u64>);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct State {
    tables: BTreeMap<String, Table>,
    viewers: BTreeSet<String>,
}

impl State {
    /// What a start finds.
    async fn of(server: &Server) -> Self {
        let mut state = Self::default();
        for name in NAMES {
            if server.command(&format!(".show table {name}")).await.unwrap().is_none() {
                continue;
            }
            let mut table = Table::default();
            for row in server.query(&format!("{name} | project n, tag = tostring(extent_tags()[0])")).await {
                let tag = row[1].as_str().unwrap().to_owned();
                assert!(
                    table.0.entry(tag).or_default().insert(row[0].as_i64().unwrap()),
                    "a row twice: {row}"
                );
            }
            let policy = &server.rows(&format!(".show table {name} policy ingestionbatching")).await[0][2];
            let policy: Value = serde_json::from_str(policy.as_str().unwrap()).unwrap();
            table.1 = policy["MaximumNumberOfItems"].as_u64();
            state.tables.insert(name.to_owned(), table);
        }
        for row in server.rows(".show database Db principals").await {
            state.viewers.insert(row[3].as_str().unwrap().to_owned());
        }
        state
    }

    /// A random command, and the state behind it if it takes effect.
    fn next(&self, rng: &mut StdRng, number: i64) -> (String, Self) {
        let mut next = self.clone();
        let (a, b) = (NAMES[rng.random_range(0..3)], NAMES[rng.random_range(0..3)]);
        let both = a != b && next.tables.contains_key(a) && next.tables.contains_key(b);
        let command = match rng.random_range(0..9) {
            0 | 1 => {
                next.tables.entry(a.to_owned()).or_default();
                format!(".create table {a} (n:long)")
            }
            2..=4 => {
                let tag = format!("t{}", rng.random_range(0..2));
                if let Some(table) = next.tables.get_mut(a) {
                    table.0.entry(tag.clone()).or_default().insert(number);
                }
                format!(".ingest inline into table {a} with (tags='[\"{tag}\"]') <| {number}")
            }
            5 => {
                if both {
                    let moved = std::mem::take(&mut next.tables.get_mut(a).unwrap().0);
                    let target = &mut next.tables.get_mut(b).unwrap().0;
                    moved.into_iter().for_each(|(tag, rows)| target.entry(tag).or_default().extend(rows));
                }
                format!(".move extents all from table {a} to table {b}")
            }
            6 => {
                if both {
                    let (one, two) = (next.tables.remove(a).unwrap(), next.tables.remove(b).unwrap());
                    next.tables.extend([(a.to_owned(), two), (b.to_owned(), one)]);
                }
                format!(".rename tables {a}={b}, {b}={a}")
            }
            7 => {
                let items = rng.random_range(1..100);
                if let Some(table) = next.tables.get_mut(a) {
                    table.1 = Some(items);
                }
                format!(".alter table {a} policy ingestionbatching '{{\"MaximumNumberOfItems\":{items}}}'")
            }
            _ => {
                let name = format!("app{}", rng.random_range(0..4));
                next.viewers.insert(name.clone());
                format!(".add database Db viewers ('aadapp={name};t')")
            }
        };
        (command, next)
    }
}

#[tokio::test]
async fn everything_acknowledged_survives_sigkill_at_any_moment() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("KT_SEED").unwrap_or_else(rand::random);
    println!("KT_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start(home.path());
    let (mut state, mut queued, mut value) = (State::default(), Vec::new(), 0);
    for kill in 0..KILLS * number("KT_LONG").unwrap_or(1) {
        server.rows(".create table Queued (n:long)").await;
        for _ in 0..rng.random_range(0..20) {
            value += 1;
            if rng.random_bool(0.2) {
                server.queue(value).await.unwrap();
                queued.push(value);
                continue;
            }
            let (command, next) = state.next(&mut rng, value);
            // A command that is refused changes nothing, and neither does it in the model.
            let done = server.command(&command).await.unwrap().is_some();
            assert!(done || next == state, "{command}");
            state = next;
        }
        value += 1;
        let (command, next) = state.next(&mut rng, value);
        println!("kill {kill} during {command}");
        let acknowledged = under_way(&mut server, &command, rng.random_range(0..200)).await;
        server = Server::start(home.path());
        let found = State::of(&server).await;
        assert!(
            found == next || (!acknowledged && found == state),
            "{found:?}\nis neither {state:?}\nnor {next:?}"
        );
        state = found;
        all_queued(&server, &queued).await;
    }
    server.kill();
}

/// Sends a command and kills the server while it works on it; whether an answer came nevertheless.
async fn under_way(server: &mut Server, command: &str, patience: usize) -> bool {
    let request = server.http.post(format!("{}/v1/rest/mgmt", server.url));
    let request = request.json(&json!({"db": "Db", "csl": command})).send();
    let sent = tokio::spawn(async move { request.await.is_ok() });
    for _ in 0..patience {
        tokio::task::yield_now().await;
    }
    server.kill();
    sent.await.unwrap()
}

/// Every message that was accepted is ingested, at least once, and its status row says so.
async fn all_queued(server: &Server, queued: &[i64]) {
    server.settle().await;
    let rows = server.query("Queued | distinct n").await;
    let found: BTreeSet<_> = rows.iter().map(|row| row[0].as_i64().unwrap()).collect();
    assert_eq!(found, queued.iter().copied().collect::<BTreeSet<_>>());
    for number in queued {
        assert_eq!(server.status(*number).await, "Succeeded", "blob {number}");
    }
}
