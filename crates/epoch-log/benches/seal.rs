//! What a seal costs, beside the same bytes written without the log.
//!
//! `cargo bench -p epoch-log --bench seal -- [--json] [--quick] [--dir DIR]`
//!
//! Log and bare file system take turns in one run, so that a slow moment of the disk strikes both. *Bare* is: create,
//! one write, `fdatasync`, rename, sync of the directory. Put `--dir` on the disk that is to be measured; a disk in
//! memory measures the processor. What is to be kept, and figures: `README.md` beside this file.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use epoch_log::{
    DirectoryId, Epoch, Generation, Layout, Lineage, Log, NewChunk, Nonce, Start, Worker, Writer,
    WriterOptions,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

#[derive(Debug)]
struct Arguments {
    json: bool,
    quick: bool,
    directory: PathBuf,
}

fn arguments() -> Outcome<Arguments> {
    let mut arguments = Arguments { json: false, quick: false, directory: std::env::temp_dir() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => arguments.json = true,
            "--quick" => arguments.quick = true,
            "--dir" => arguments.directory = words.next().ok_or("--dir needs a directory")?.into(),
            "--bench" => {}
            other => return Err(format!("unknown argument {other}: [--json] [--quick] [--dir DIR]").into()),
        }
    }
    Ok(arguments)
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    let scratch = tempfile::tempdir_in(&arguments.directory)?;
    let shrink = if arguments.quick { 10 } else { 1 };
    let mut seals = Vec::new();
    for (bytes, rounds) in [(KIB, 2000), (64 * KIB, 2000), (MIB, 400), (8 * MIB, 100), (64 * MIB, 30)] {
        seals.push(compare(scratch.path(), bytes, (rounds / shrink).max(5))?);
    }
    let opening = open_many(scratch.path(), 10_000 / shrink)?;
    let memory = memory(scratch.path())?;
    if arguments.json {
        print_json(&seals, &opening, &memory);
    } else {
        print_table(&seals, &opening, &memory);
    }
    Ok(())
}

/// Append and seal of one body, and the bare file system with the same bytes.
#[derive(Debug)]
struct Comparison {
    bytes: usize,
    log: Vec<Duration>,
    bare: Vec<Duration>,
}

impl Comparison {
    /// Throughput with the log, as a share of the bare one: over all rounds, and of the medians.
    fn shares(&self) -> (f64, f64) {
        let sum = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64();
        let median = |times: &[Duration]| quantile(times, 0.5).as_secs_f64();
        (sum(&self.bare) / sum(&self.log), median(&self.bare) / median(&self.log))
    }

    fn per_second(&self, times: &[Duration]) -> f64 {
        times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64()
    }
}

fn compare(scratch: &Path, bytes: usize, rounds: usize) -> Outcome<Comparison> {
    let body = body(bytes);
    let log = Log::new(scratch.join("state"), lineage()?);
    let (mut writer, _) = create(&log, bytes as u64)?;
    let bare = scratch.join("bare");
    fs::create_dir_all(&bare)?;
    let warm_up = (rounds / 10).max(3);
    let mut comparison = Comparison { bytes, log: Vec::new(), bare: Vec::new() };
    for round in 0..(warm_up + rounds) as u64 {
        let epoch = Epoch(round);
        let (with_log, without) = if round % 2 == 0 {
            (log_round(&mut writer, epoch, &body)?, bare_round(&bare, round, &body)?)
        } else {
            let without = bare_round(&bare, round, &body)?;
            (log_round(&mut writer, epoch, &body)?, without)
        };
        if round >= warm_up as u64 {
            comparison.log.push(with_log);
            comparison.bare.push(without);
        }
        writer.remove_below(Epoch(round + 1))?;
        fs::remove_file(bare.join(format!("{round}.done")))?;
    }
    Ok(comparison)
}

fn log_round(writer: &mut Writer, epoch: Epoch, body: &[u8]) -> Outcome<Duration> {
    let chunk = NewChunk { epoch, rows: 1, raw_bytes: body.len() as u64, layout: layout(), sum: None };
    let begin = Instant::now();
    writer.append(&chunk, body)?;
    writer.seal(Epoch(epoch.0 + 1))?;
    Ok(begin.elapsed())
}

fn bare_round(directory: &Path, round: u64, body: &[u8]) -> Outcome<Duration> {
    let (open, done) = (directory.join(format!("{round}.open")), directory.join(format!("{round}.done")));
    let begin = Instant::now();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&open)?;
    file.write_all(body)?;
    file.sync_data()?;
    fs::rename(&open, &done)?;
    File::open(directory)?.sync_all()?;
    Ok(begin.elapsed())
}

/// How long it takes to adopt a directory.
#[derive(Debug)]
struct Opening {
    files: usize,
    seconds: f64,
}

fn open_many(scratch: &Path, files: usize) -> Outcome<Opening> {
    let log = Log::new(scratch.join("state"), lineage()?);
    let (mut writer, id) = create(&log, 1_000_000)?;
    let body = body(KIB);
    for epoch in 0..files as u64 {
        writer.append(
            &NewChunk { epoch: Epoch(epoch), rows: 1, raw_bytes: 1, layout: layout(), sum: None },
            &body,
        )?;
        writer.position(Epoch(epoch), "partition", epoch.to_le_bytes())?;
        writer.seal(Epoch(epoch + 1))?;
    }
    drop(writer);
    let begin = Instant::now();
    let adopted = log.adopt(&id)?;
    let found = adopted.chain(Epoch(0))?.len();
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(found, files);
    adopted.discard()?;
    Ok(Opening { files, seconds })
}

/// By how much the process grew at most while it opened a directory and read a body, per size of the body.
#[derive(Debug)]
struct Memory {
    body_bytes: usize,
    grown_bytes: u64,
}

fn memory(scratch: &Path) -> Outcome<Vec<Memory>> {
    let mut measured = Vec::new();
    for body_bytes in [MIB, 8 * MIB, 64 * MIB, 256 * MIB] {
        let log = Log::new(scratch.join("state"), lineage()?);
        let (mut writer, id) = create(&log, 2_000_000 + body_bytes as u64)?;
        log_round(&mut writer, Epoch(0), &body(body_bytes))?;
        drop(writer);
        let Some(before) = reset_peak() else { return Ok(Vec::new()) };
        let adopted = log.adopt(&id)?;
        std::io::copy(&mut adopted.chain(Epoch(0))?[0].body(0)?.reader(), &mut std::io::sink())?;
        let grown_bytes = status("VmHWM").unwrap_or(0).saturating_sub(before);
        measured.push(Memory { body_bytes, grown_bytes });
        adopted.discard()?;
    }
    Ok(measured)
}

/// Forgets the peak of the resident memory so far and says what it is now. Linux only.
fn reset_peak() -> Option<u64> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    status("VmRSS")
}

fn status(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn create(log: &Log, generation: u64) -> Outcome<(Writer, DirectoryId)> {
    let start = Start::new(Generation(generation), Nonce::new("bench")?);
    let writer = log.create(&start, Worker::new(0, 1)?, WriterOptions::from(Epoch(0)))?;
    let id = writer.id().clone();
    Ok((writer, id))
}

fn lineage() -> Outcome<Lineage> {
    Ok(Lineage::new("0123456789abcdef")?)
}

fn layout() -> Arc<Layout> {
    Arc::new(Layout { format: "csv".into(), columns: Vec::new() })
}

/// Bytes that do not compress, as bodies do not.
fn body(bytes: usize) -> Vec<u8> {
    let mut chance = epoch_log::testing::Chance::new(bytes as u64);
    let mut body: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(|_| chance.number().to_le_bytes()).collect();
    body.truncate(bytes);
    body
}

fn quantile(times: &[Duration], q: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn print_table(seals: &[Comparison], opening: &Opening, memory: &[Memory]) {
    println!(
        "append + seal        rounds   seals/s    MB/s    p50 ms    p99 ms   bare p50   share  share of p50"
    );
    for seal in seals {
        let per_second = seal.per_second(&seal.log);
        let (share, of_medians) = seal.shares();
        println!(
            "{:>12} bytes  {:>6}  {:>8.0}  {:>6.0}  {:>8.3}  {:>8.3}  {:>9.3}  {:>5.0}%  {:>11.0}%",
            seal.bytes,
            seal.log.len(),
            per_second,
            per_second * seal.bytes as f64 / 1e6,
            millis(quantile(&seal.log, 0.5)),
            millis(quantile(&seal.log, 0.99)),
            millis(quantile(&seal.bare, 0.5)),
            share * 100.0,
            of_medians * 100.0,
        );
    }
    println!("opening a directory of {} sealed files: {:.3} s", opening.files, opening.seconds);
    for Memory { body_bytes, grown_bytes } in memory {
        println!(
            "opening and reading a body of {body_bytes} bytes: at most {grown_bytes} bytes of memory more"
        );
    }
}

fn print_json(seals: &[Comparison], opening: &Opening, memory: &[Memory]) {
    let seal = |seal: &Comparison| {
        let (share, of_medians) = seal.shares();
        format!(
            r#"{{"bytes":{},"rounds":{},"seals_per_second":{:.1},"p50_ms":{:.4},"p99_ms":{:.4},"bare_per_second":{:.1},"bare_p50_ms":{:.4},"share":{share:.4},"share_of_p50":{of_medians:.4}}}"#,
            seal.bytes,
            seal.log.len(),
            seal.per_second(&seal.log),
            millis(quantile(&seal.log, 0.5)),
            millis(quantile(&seal.log, 0.99)),
            seal.per_second(&seal.bare),
            millis(quantile(&seal.bare, 0.5)),
        )
    };
    let grown = |memory: &Memory| {
        format!(r#"{{"body_bytes":{},"grown_bytes":{}}}"#, memory.body_bytes, memory.grown_bytes)
    };
    println!(
        r#"{{"seal":[{}],"open":{{"files":{},"seconds":{:.4}}},"memory":[{}]}}"#,
        seals.iter().map(seal).collect::<Vec<_>>().join(","),
        opening.files,
        opening.seconds,
        memory.iter().map(grown).collect::<Vec<_>>().join(","),
    );
}
