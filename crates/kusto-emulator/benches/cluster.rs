//! What the local cluster costs: its start, its memory, taking blobs without ingesting them, moving extents.
//!
//! `cargo bench -p kusto-emulator --bench cluster` prints what was measured and fails when a bar is missed. The cluster
//! runs in a process of its own, so that its processor time is its own; without `/proc` only clocks are read.
#![allow(missing_docs)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use kusto_emulator::Emulator;
use serde_json::json;

const DATABASE: &str = "Samples";
const SERVE: &str = "KUSTO_EMULATOR_BENCH_SERVE";
const BLOB_BYTES: usize = 8 << 20;
const BLOBS: usize = 256;
const EXTENTS: usize = 200;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Serves until standard input ends.
fn serve() -> Outcome<()> {
    let emulator = Emulator::builder().database(DATABASE).accept_only(true).start()?;
    println!("{}", emulator.cluster_url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.env(SERVE, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
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

    fn command(&mut self, csl: &str) -> Outcome<String> {
        let body = json!({"db": DATABASE, "csl": csl}).to_string();
        self.ask("POST /v1/rest/mgmt HTTP/1.1\r\ncontent-type: application/json\r\n", body.as_bytes())
    }
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
    let answer = connection.command(".get ingestion resources")?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    let rows = answer["Tables"][0]["Rows"].as_array().ok_or("no rows")?;
    let container = rows.iter().find(|row| row[0] == "TempStorage").and_then(|row| row[1].as_str());
    let container =
        container.ok_or("no container")?.split_once(server.address.as_str()).ok_or("another host")?.1;
    let (path, sas) = container.split_once('?').ok_or("no signature")?;
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
        let shown: serde_json::Value =
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
    let server = Server::start()?;
    if let Some(memory) = server.memory() {
        met &= verdict("memory of an idle cluster", format!("{memory:.1} MB"), "50 MB", memory < 50.0);
    }
    met &= accepting(&server)?;
    met &= moving()?;
    if met { Ok(()) } else { Err("a bar was missed".into()) }
}
