//! `run --metrics ADDR`: what the run is at, for Prometheus.
//!
//! ```text
//! GET /metrics ──► Collector ──► Monitor (pipelines) ──► counters of the runner and the sink
//!                     │ table.rs: names, units, help, values; docs/metrics.md is made of it
//! ```
//! Nothing is counted for it: each request reads what the run counts anyway.

mod server;
mod table;

use std::time::{SystemTime, UNIX_EPOCH};

use pipelines::{Monitor, Reading};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

pub(crate) use server::{Address, serve};
use table::{Kind, METRICS, Sample};

/// What does not change during a run.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) pipeline: String,
    pub(crate) database: String,
    pub(crate) table: String,
    pub(crate) mode: &'static str,
    pub(crate) process: usize,
    pub(crate) processes: usize,
    pub(crate) workers: usize,
    /// How often a supervisor started it again.
    pub(crate) restarts: u32,
    pub(crate) since: SystemTime,
}

/// What a value is taken from.
#[derive(Debug)]
struct Seen<'a> {
    about: &'a About,
    /// Before the workers are started: all zeros.
    reading: &'a Reading,
    now: SystemTime,
}

#[derive(Debug)]
struct RunCollector {
    about: About,
    monitor: Monitor,
}

/// All metrics of a run, as text.
fn registry(about: About, monitor: Monitor) -> Registry {
    let mut registry = Registry::with_prefix(table::PREFIX);
    registry.register_collector(Box::new(RunCollector { about, monitor }));
    registry
}

impl Collector for RunCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let reading = self.monitor.read().unwrap_or_default();
        let seen = Seen { about: &self.about, reading: &reading, now: SystemTime::now() };
        for metric in METRICS {
            let samples = (metric.samples)(&seen);
            if samples.is_empty() {
                continue; // not in this mode, or not known to this process
            }
            let unit = metric.unit.map(table::Unit::of_prometheus);
            let kind = metric.kind;
            let mut encoder =
                encoder.encode_descriptor(metric.name, metric.help, unit.as_ref(), kind.into())?;
            if let [Sample { labels, value }] = &samples[..]
                && labels.is_empty()
            {
                encode_value(kind, *value, encoder)?;
                continue;
            }
            for Sample { labels, value } in &samples {
                encode_value(kind, *value, encoder.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

fn encode_value(kind: Kind, value: f64, encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
    match kind {
        Kind::Counter => ConstCounter::new(value).encode(encoder),
        Kind::Gauge => ConstGauge::new(value).encode(encoder),
    }
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        }
    }
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests;
