//! How fast rows are encoded beside how fast they are compressed, in CPU time of one thread (Linux):
//! `cargo run --release -p timely-kusto --example encode_speed -- [ROWS]`.
//!
//! The bar: encoding storm events as CSV takes no more than a third of the time that gzip level 1 takes for the bytes.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use serde::Serialize;
use timely_kusto::{Codec, Encoder, Format, Gzip, SerdeEncoder};

#[allow(dead_code, unreachable_pub)]
#[path = "../../pipelines/src/generator/storm.rs"]
mod storm;

/// Rows encoded before the buffer is handed on: what a chunk holds, so that caches see what they will see.
const CHUNK: usize = 8 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let rows = std::env::args().nth(1).map_or(Ok(200_000), |text| text.replace('_', "").parse::<u64>())?;
    let started = cpu_time()?;
    let storms: Vec<_> = (0..rows).map(|index| storm::storm(1, index)).collect();
    println!("generate: {:.2} M rows/s", rows as f64 / (cpu_time()? - started).as_secs_f64() / 1e6);

    let (csv, text) = encode(Format::Csv, &storms)?;
    let (json, json_text) = encode(Format::Json, &storms)?;
    let (gzip, ratio) = compress(&text)?;
    println!(
        "csv {} bytes a row, json {} bytes a row",
        text.len() as u64 / rows,
        json_text.len() as u64 / rows
    );
    println!("encode csv:  {csv:7.0} MB/s, {:.2} M rows/s", csv / (text.len() as f64 / rows as f64));
    println!("encode json: {json:7.0} MB/s, {:.2} M rows/s", json / (json_text.len() as f64 / rows as f64));
    println!("gzip level 1:{gzip:7.0} MB/s, ratio {ratio:.2}");
    println!("csv encode is {:.2} times gzip (bar: 3)", csv / gzip);
    Ok(())
}

/// Megabytes per second of the best of five rounds, and the text.
fn encode<T: Serialize>(format: Format, records: &[T]) -> Result<(f64, Vec<u8>), Box<dyn Error>> {
    let mut text = Vec::new();
    let mut best = Duration::MAX;
    let mut encoder = SerdeEncoder::new(format);
    let mut chunk = Vec::with_capacity(CHUNK);
    for round in 0..5 {
        let started = cpu_time()?;
        for record in records {
            encoder.encode(record, &mut chunk)?;
            if chunk.len() > CHUNK - 4096 {
                black_box(&chunk);
                text.extend_from_slice(if round == 0 { &chunk } else { &[] });
                chunk.clear();
            }
        }
        if round == 0 {
            text.extend_from_slice(&chunk);
        } else {
            best = best.min(cpu_time()? - started);
        }
        chunk.clear();
    }
    Ok((text.len() as f64 / best.as_secs_f64() / 1e6, text))
}

/// Megabytes per second of the best of three rounds, and how many times smaller it gets.
fn compress(text: &[u8]) -> Result<(f64, f64), Box<dyn Error>> {
    let gzip = Gzip::new(1)?;
    let mut best = Duration::MAX;
    let mut out = Vec::new();
    for _ in 0..3 {
        out.clear();
        let started = cpu_time()?;
        gzip.compress(text, &mut out)?;
        best = best.min(cpu_time()? - started);
    }
    Ok((text.len() as f64 / best.as_secs_f64() / 1e6, text.len() as f64 / out.len() as f64))
}

/// CPU time of this thread, so that a busy machine changes little.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(nanos))
}
