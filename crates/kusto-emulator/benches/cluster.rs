//! What the local cluster costs: its start, its memory, taking blobs without ingesting them, ingesting them, moving
//! extents.
//!
//! `cargo bench -p kusto-emulator --bench cluster` prints what was measured and fails when a bar is missed. The cluster
//! runs in a process of its own, so that its processor time is its own; without `/proc` only clocks are read.
#![allow(missing_docs)]

mod storms;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use kusto_emulator::Emulator;
use serde_json::{Value, json};

const DATABASE: &str = "Samples";
const SERVE: &str = "KUSTO_EMULATOR_BENCH_SERVE";
const BLOB_BYTES: usize = 8 << 20;
const BLOBS: usize = 256;
const EXTENTS: usize = 200;
const STORM_ROWS: u64 = 200_000;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Serves until standard input ends.
fn serve() -> Outcome<()> {
    let accept_only = std::env::var_os(SERVE).is_some_and(|mode| mode == "accept-only");
    let emulator = Emulator::builder().database(DATABASE).accept_only(accept_only).start()?;
    println!("{}", emulator.cluster_url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(mode: &str) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.env(SERVE, mode).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("http://").ok_or("no address")?.to_owned();
        Ok(Self { process, address })
    }

    /// Resident megabytes.
    fn memory(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
    }

    /// Seconds of processor time.
    fn processor(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One connection, by hand: the client costs next to nothing.
struct Connection(TcpStream);

impl Connection {
    fn open(address: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    fn ask(&mut self, head: &str, body: &[u8]) -> Outcome<String> {
        let head = format!("{head}host: x\r\ncontent-length: {}\r\n\r\n", body.len());
        self.0.write_all(head.as_bytes())?;
        self.0.write_all(body)?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        loop {
            let count = self.0.read(&mut buffer)?;
            if count == 0 {
                return Err("the connection ended".into());
            }
            answer.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if rest.len() >= length.unwrap_or(0) {
                let status = head.split(' ').nth(1).unwrap_or_default();
                return if status.starts_with('2') {
                    Ok(rest.to_owned())
                } else {
                    Err(text.into_owned().into())
                };
            }
        }
    }

    /// The value in some row and column of a command's answer.
    fn value(&mut self, csl: &str, which: impl Fn(&Value) -> bool, column: usize) -> Outcome<String> {
        let answer: Value = serde_json::from_str(&self.command(csl)?)?;
        let rows = answer["Tables"][0]["Rows"].as_array().ok_or("no rows")?;
        let found = rows.iter().find(|row| which(row)).and_then(|row| row[column].as_str());
        Ok(found.ok_or("no such row")?.to_owned())
    }

    fn resource(&mut self, kind: &str) -> Outcome<(String, String)> {
        let url = self.value(".get ingestion resources", |row| row[0] == kind, 1)?;
        divided(&url).ok_or_else(|| format!("{url} is no address").into())
    }

    fn command(&mut self, csl: &str) -> Outcome<String> {
        let body = json!({"db": DATABASE, "csl": csl}).to_string();
        self.ask("POST /v1/rest/mgmt HTTP/1.1\r\ncontent-type: application/json\r\n", body.as_bytes())
    }
}

/// The path and the signature of an ingestion resource.
fn divided(url: &str) -> Option<(String, String)> {
    let (_, path) = url.strip_prefix("http://")?.split_once('/')?;
    let (path, sas) = path.split_once('?')?;
    Some((format!("/{path}"), sas.to_owned()))
}

fn verdict(name: &str, found: String, bar: &str, met: bool) -> bool {
    println!("{name:<44} {found:>14}   bar {bar:<12} {}", if met { "met" } else { "MISSED" });
    met
}

fn start_time() -> Outcome<bool> {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        let emulator = Emulator::builder().database(DATABASE).start()?;
        best = best.min(start.elapsed().as_secs_f64() * 1000.0);
        drop(emulator);
    }
    Ok(verdict("start until it takes requests", format!("{best:.1} ms"), "100 ms", best < 100.0))
}

fn accepting(server: &Server) -> Outcome<bool> {
    let mut connection = Connection::open(&server.address)?;
    let (path, sas) = connection.resource("TempStorage")?;
    let body = vec![b'x'; BLOB_BYTES];
    let (start, before) = (Instant::now(), server.processor());
    for number in 0..BLOBS {
        let head = format!("PUT {path}/{number}.csv?{sas} HTTP/1.1\r\nx-ms-blob-type: BlockBlob\r\n");
        connection.ask(&head, &body)?;
    }
    let clock = start.elapsed().as_secs_f64();
    let processor =
        server.processor().zip(before).map_or(clock, |(after, before)| (after - before).max(0.01));
    let gigabytes = (BLOBS * BLOB_BYTES) as f64 / 1e9;
    println!(
        "  {gigabytes:.1} GB over one connection: {clock:.2} s, {processor:.2} s of the cluster's processor"
    );
    let rate = gigabytes / processor;
    Ok(verdict("blob bytes that one core accepts", format!("{rate:.2} GB/s"), "1 GB/s", rate >= 1.0))
}

/// Rows of a queued blob that become visible in a second of one core: upload, batch, parse, extent, status.
fn ingesting() -> Outcome<bool> {
    let server = Server::start("ingest")?;
    let mut connection = Connection::open(&server.address)?;
    connection.command(&format!(".create table Storms {}", storms::COLUMNS))?;
    let (path, sas) = connection.resource("TempStorage")?;
    let (queue, queue_sas) = connection.resource("SecuredReadyForAggregationQueue")?;
    let token = connection.value(".get kusto identity token", |_| true, 0)?;
    let text = storms::rows(STORM_ROWS);
    let mut best = 0.0_f64;
    for number in 0..3 {
        let (start, before) = (Instant::now(), server.processor());
        let blob = format!("{path}/{number}.csv?{sas}");
        connection.ask(&format!("PUT {blob} HTTP/1.1\r\nx-ms-blob-type: BlockBlob\r\n"), text.as_bytes())?;
        let message = json!({
            "Id": format!("00000000-0000-4000-8000-00000000000{number}"), "RawDataSize": text.len(),
            "BlobPath": format!("http://{}{blob}", server.address), "DatabaseName": DATABASE, "TableName": "Storms",
            "FlushImmediately": true, "AdditionalProperties": {"authorizationContext": token, "format": "csv"},
        });
        let message = message.to_string().replace('&', "&amp;");
        let body = format!("<QueueMessage><MessageText>{message}</MessageText></QueueMessage>");
        connection.ask(&format!("POST {queue}/messages?{queue_sas} HTTP/1.1\r\n"), body.as_bytes())?;
        connection.ask("POST /emulator/v1/settle HTTP/1.1\r\ncontent-type: application/json\r\n", b"{}")?;
        let clock = start.elapsed().as_secs_f64();
        let processor =
            server.processor().zip(before).map_or(clock, |(after, before)| (after - before).max(0.01));
        println!(
            "  {STORM_ROWS} rows, {} MB: {clock:.3} s, {processor:.3} s of the cluster's processor",
            text.len() >> 20
        );
        best = best.max(STORM_ROWS as f64 / processor);
    }
    let statistics: Value =
        serde_json::from_str(&connection.ask("GET /emulator/v1/statistics HTTP/1.1\r\n", b"")?)?;
    if statistics["rows"] != json!(3 * STORM_ROWS) {
        return Err(format!("not every row was ingested: {statistics}").into());
    }
    Ok(verdict(
        "storm-like rows that one core ingests",
        format!("{best:.0} rows/s"),
        "200000 rows/s",
        best >= 200_000.0,
    ))
}

fn moving() -> Outcome<bool> {
    let emulator = Emulator::builder().database(DATABASE).start()?;
    let address = emulator.cluster_url().strip_prefix("http://").ok_or("no address")?.to_owned();
    let mut connection = Connection::open(&address)?;
    connection.command(".create tables A (n:long, s:string), B (n:long, s:string)")?;
    for n in 0..EXTENTS {
        connection.command(&format!(".ingest inline into table A with (tags='[\"kt:{n}\"]') <| {n},text"))?;
    }
    let mut best = f64::INFINITY;
    for (from, to) in [("A", "B"), ("B", "A"), ("A", "B"), ("B", "A"), ("A", "B")] {
        let shown: Value =
            serde_json::from_str(&connection.command(&format!(".show table {from} extents"))?)?;
        let rows = shown["Tables"][0]["Rows"].as_array().ok_or("no rows")?;
        let ids: Vec<_> = rows.iter().filter_map(|row| row[0].as_str()).collect();
        let command = format!(".move extents from table {from} to table {to} ({})", ids.join(", "));
        let start = Instant::now();
        connection.command(&command)?;
        best = best.min(start.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(verdict(&format!("move of {EXTENTS} listed extents"), format!("{best:.2} ms"), "10 ms", best < 10.0))
}

fn main() -> Outcome<()> {
    if std::env::var_os(SERVE).is_some() {
        return serve();
    }
    let mut met = start_time()?;
    let server = Server::start("accept-only")?;
    if let Some(memory) = server.memory() {
        met &= verdict("memory of an idle cluster", format!("{memory:.1} MB"), "50 MB", memory < 50.0);
    }
    met &= accepting(&server)?;
    drop(server);
    met &= ingesting()?;
    met &= moving()?;
    if met { Ok(()) } else { Err("a bar was missed".into()) }
}
