//! Encode and gzip by themselves, on this thread, over chunks of the size that the sink makes.

use std::hint::black_box;
use std::time::Duration;

use pipelines::generator::Storm;
use timely_kusto::{Codec, Encoder, Format, Gzip, SerdeEncoder, WriteOptions};

use crate::report::Stage;
use crate::rows::{Generated, Narrow, RowKind};
use crate::{Error, Result, meter};

/// Records that are encoded again and again: more than the nearest caches hold, and no more than come out of them in
/// a dataflow, which hands over rows as they are made.
const SAMPLE: u64 = 16_384;

/// One measurement.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    rows: u64,
    bytes: u64,
    cpu: Duration,
}

/// The stages, measured in rounds.
#[derive(Debug)]
pub(crate) struct Stages {
    rows: u64,
    chunk_bytes: usize,
    codec: Gzip,
    storms: Vec<Storm>,
    narrow: Vec<Narrow>,
    buffers: Buffers,
    csv: Vec<Reading>,
    json: Vec<Reading>,
    gzip: Vec<Reading>,
    both: Vec<Reading>,
    narrow_csv: Vec<Reading>,
    narrow_gzip: Vec<Reading>,
    narrow_both: Vec<Reading>,
}

/// Memory that is there before anything is measured, as in a sink that is going.
#[derive(Debug, Default)]
struct Buffers {
    chunk: Vec<u8>,
    compressed: Vec<u8>,
}

impl Stages {
    /// Stages for a sink with these options; each is measured on `rows` rows a round.
    pub(crate) fn new(rows: u64, write: &WriteOptions, workers: usize) -> Result<Self> {
        let codec = Gzip::new(write.compression_level()).map_err(|error| Error::stage("gzip")(&error))?;
        let mut stages = Stages {
            rows,
            chunk_bytes: write.chunk_bytes(workers),
            codec,
            storms: sample(rows),
            narrow: sample(rows),
            buffers: Buffers::default(),
            csv: Vec::new(),
            json: Vec::new(),
            gzip: Vec::new(),
            both: Vec::new(),
            narrow_csv: Vec::new(),
            narrow_gzip: Vec::new(),
            narrow_both: Vec::new(),
        };
        stages.both(RowKind::Storms)?; // fills the caches and grows the buffers
        Ok(stages)
    }

    /// Measures all once.
    pub(crate) fn round(&mut self) -> Result<()> {
        let reading = self.encode(RowKind::Storms, Format::Csv)?;
        self.csv.push(reading);
        let reading = self.encode(RowKind::Storms, Format::Json)?;
        self.json.push(reading);
        let reading = self.gzip(RowKind::Storms)?;
        self.gzip.push(reading);
        let reading = self.both(RowKind::Storms)?;
        self.both.push(reading);
        let reading = self.encode(RowKind::Narrow, Format::Csv)?;
        self.narrow_csv.push(reading);
        let reading = self.gzip(RowKind::Narrow)?;
        self.narrow_gzip.push(reading);
        let reading = self.both(RowKind::Narrow)?;
        self.narrow_both.push(reading);
        Ok(())
    }

    /// The medians.
    pub(crate) fn stages(&self) -> Vec<Stage> {
        vec![
            stage("encode csv", RowKind::Storms, &self.csv),
            stage("encode json", RowKind::Storms, &self.json),
            stage("gzip csv", RowKind::Storms, &self.gzip),
            stage("encode and gzip csv", RowKind::Storms, &self.both),
            stage("encode csv", RowKind::Narrow, &self.narrow_csv),
            stage("gzip csv", RowKind::Narrow, &self.narrow_gzip),
            stage("encode and gzip csv", RowKind::Narrow, &self.narrow_both),
        ]
    }

    fn encode(&mut self, kind: RowKind, format: Format) -> Result<Reading> {
        self.chunks(kind, format, |chunk| {
            black_box(chunk);
            Ok(())
        })
    }

    fn both(&mut self, kind: RowKind) -> Result<Reading> {
        let codec = Gzip::new(self.codec.level()).map_err(|error| Error::stage("gzip")(&error))?;
        let mut out = std::mem::take(&mut self.buffers.compressed);
        let reading = self.chunks(kind, Format::Csv, |chunk| compress(&codec, chunk, &mut out));
        self.buffers.compressed = out;
        reading
    }

    /// Compresses chunks that were encoded before.
    fn gzip(&mut self, kind: RowKind) -> Result<Reading> {
        let mut texts = Vec::new();
        let encoded = self.chunks(kind, Format::Csv, |chunk| {
            texts.push(chunk.to_vec());
            Ok(())
        })?;
        let started = meter::thread_cpu();
        for text in &texts {
            compress(&self.codec, text, &mut self.buffers.compressed)?;
        }
        Ok(Reading { cpu: meter::thread_cpu() - started, ..encoded })
    }

    fn chunks(
        &mut self,
        kind: RowKind,
        format: Format,
        each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Reading> {
        let chunk = &mut self.buffers.chunk;
        match kind {
            RowKind::Storms => chunks(&self.storms, self.rows, format, chunk, self.chunk_bytes, each),
            RowKind::Narrow => chunks(&self.narrow, self.rows, format, chunk, self.chunk_bytes, each),
        }
    }
}

fn sample<R: Generated>(rows: u64) -> Vec<R> {
    (0..rows.min(SAMPLE)).map(R::generate).collect()
}

/// Encodes `rows` rows into chunks of `chunk_bytes`, and hands each to `each` within the measured time.
fn chunks<R: Generated>(
    records: &[R],
    rows: u64,
    format: Format,
    chunk: &mut Vec<u8>,
    chunk_bytes: usize,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Reading> {
    let mut encoder = SerdeEncoder::new(format);
    let mut bytes = 0;
    chunk.clear();
    let started = meter::thread_cpu();
    for (_, record) in (0..rows).zip(records.iter().cycle()) {
        encoder.encode(record, chunk).map_err(|error| Error::stage("encode")(&error))?;
        if chunk.len() >= chunk_bytes {
            bytes += chunk.len() as u64;
            each(chunk)?;
            chunk.clear();
        }
    }
    bytes += chunk.len() as u64;
    each(chunk)?;
    Ok(Reading { rows, bytes, cpu: meter::thread_cpu() - started })
}

fn compress(codec: &Gzip, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    codec.compress(text, out).map_err(|error| Error::stage("gzip")(&error))?;
    black_box(out);
    Ok(())
}

/// The median of the readings.
fn stage(name: &'static str, kind: RowKind, readings: &[Reading]) -> Stage {
    let mut readings = readings.to_vec();
    readings.sort_by_key(|reading| reading.cpu);
    let Some(Reading { rows, bytes, cpu }) = readings.get(readings.len() / 2).copied() else {
        return Stage { name, kind, ..Stage::default() };
    };
    let (least, most) = (readings[0].cpu.as_secs_f64(), readings[readings.len() - 1].cpu.as_secs_f64());
    let cpu = cpu.as_secs_f64().max(f64::MIN_POSITIVE);
    Stage {
        name,
        kind,
        rows_per_second: rows as f64 / cpu,
        mb_per_second: bytes as f64 / cpu / 1e6,
        cpu_seconds_per_gb: cpu / (bytes as f64 / 1e9),
        bytes_per_row: bytes as f64 / rows as f64,
        spread: (most - least) / cpu,
    }
}
