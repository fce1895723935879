//! Every metric: its name, unit, help, and where its values come from.

use std::time::Duration;

use super::{Seen, unix_seconds};

/// What all names begin with.
pub(super) const PREFIX: &str = "timely_kusto";

/// One metric.
pub(super) struct Metric {
    /// Without prefix, unit and `_total`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Option<Unit>,
    /// One line, without a full stop, which the text form adds.
    pub(super) help: &'static str,
    /// Names of labels, for the documentation.
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation is made by a test"))]
    pub(super) labels: &'static [&'static str],
    /// What it applies to, for the documentation.
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation is made by a test"))]
    pub(super) scope: Scope,
    /// None where it does not apply.
    pub(super) samples: fn(&Seen) -> Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Seconds,
}

/// Where a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Always,
    WriteAhead,
    /// In the write-ahead mode, on process 0, which commits.
    Committer,
}

/// One value.
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: f64,
}

impl Unit {
    pub(super) fn of_prometheus(self) -> prometheus_client::registry::Unit {
        match self {
            Unit::Bytes => prometheus_client::registry::Unit::Bytes,
            Unit::Seconds => prometheus_client::registry::Unit::Seconds,
        }
    }
}

impl Metric {
    /// The name as Prometheus has it.
    #[cfg(test)]
    pub(super) fn full_name(&self) -> String {
        let unit = match self.unit {
            Some(Unit::Bytes) => "_bytes",
            Some(Unit::Seconds) => "_seconds",
            None => "",
        };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{PREFIX}_{}{unit}{total}", self.name)
    }
}

fn one(value: f64) -> Vec<Sample> {
    vec![Sample { labels: Vec::new(), value }]
}

fn of(value: u64) -> Vec<Sample> {
    one(value as f64)
}

fn some(value: Option<u64>) -> Vec<Sample> {
    value.map_or_else(Vec::new, of)
}

fn labelled(name: &'static str, value: &str, is: f64) -> Sample {
    Sample { labels: vec![(name, value.to_owned())], value: is }
}

fn ahead(seen: &Seen, value: impl Fn(&timely_kusto::WriteAheadState) -> u64) -> Vec<Sample> {
    some(seen.reading.sink.ahead.as_ref().map(value))
}

/// What worker 0 alone knows.
fn committer(seen: &Seen, value: impl Fn(&timely_kusto::WriteAheadState) -> u64) -> Vec<Sample> {
    if seen.about.process == 0 { ahead(seen, value) } else { Vec::new() }
}

fn bound(seen: &Seen, bound: impl Fn(&timely_kusto::WriteAheadState) -> Option<u64>) -> Vec<Sample> {
    some(seen.reading.sink.ahead.as_ref().and_then(bound))
}

macro_rules! metrics {
    ($($scope:ident $kind:ident $name:literal $unit:expr, $labels:expr, $help:literal, $samples:expr;)*) => {
        &[$(Metric {
            name: $name, kind: Kind::$kind, unit: $unit, help: $help, labels: &$labels, scope: Scope::$scope,
            samples: $samples,
        }),*]
    };
}

const BYTES: Option<Unit> = Some(Unit::Bytes);
const SECONDS: Option<Unit> = Some(Unit::Seconds);

/// In the order in which they are documented and served.
pub(super) const METRICS: &[Metric] = metrics! {
    Always Gauge "build_info" None, ["version"], "1; what runs", |_| {
        vec![labelled("version", env!("CARGO_PKG_VERSION"), 1.0)]
    };
    Always Gauge "pipeline_info" None, ["pipeline", "database", "table", "mode", "process", "processes", "workers"],
        "1; which pipeline, and where in it this process is", |seen| {
        let about = seen.about;
        let labels = [
            ("pipeline", about.pipeline.clone()),
            ("database", about.database.clone()),
            ("table", about.table.clone()),
            ("mode", about.mode.to_owned()),
            ("process", about.process.to_string()),
            ("processes", about.processes.to_string()),
            ("workers", about.workers.to_string()),
        ];
        vec![Sample { labels: labels.into(), value: 1.0 }]
    };
    Always Gauge "start_time" SECONDS, [], "When this run was started, since 1970", |seen| {
        one(unix_seconds(seen.about.since))
    };
    Always Gauge "restarts" None, [], "How often --restart-on-failure started the run again before this time", |seen| {
        of(seen.about.restarts.into())
    };
    Always Gauge "running" None, [], "1 once all processes have come together, 0 before and at the end", |seen| {
        of(seen.reading.running.into())
    };
    Always Counter "rows_read" None, [], "Rows read and converted", |seen| of(seen.reading.report.rows_read);
    Always Counter "rows_delivered" None, [],
        "Rows delivered as the mode promises: confirmed by the service, or committed", |seen| {
        of(seen.reading.report.rows_delivered)
    };
    Always Counter "rows_skipped" None, [], "Rows that the service skipped on request, by ingest_if_not_exists", |seen| {
        of(seen.reading.report.rows_skipped)
    };
    Always Counter "rows_dropped" None, [], "Rows given up under delivery = none", |seen| {
        of(seen.reading.report.rows_dropped)
    };
    Always Counter "rows_dead_lettered" None, [], "Rows put aside with their reason", |seen| {
        of(seen.reading.report.rows_dead_lettered)
    };
    Always Gauge "rows_undelivered" None, [], "Rows read and not yet delivered", |seen| {
        let report = &seen.reading.report;
        let settled = report.rows_delivered + report.rows_skipped + report.rows_dropped;
        of(report.rows_read.saturating_sub(settled))
    };
    Always Counter "long_values" None, [], "Values above 1 MB, which the service may cut or drop", |seen| {
        of(seen.reading.sink.long_values)
    };
    Always Counter "row" BYTES, [], "Rows before compression", |seen| of(seen.reading.report.raw_bytes);
    Always Counter "compressed" BYTES, [], "Rows after compression", |seen| of(seen.reading.report.compressed_bytes);
    Always Counter "blobs" None, [], "Blobs uploaded", |seen| of(seen.reading.report.blobs);
    Always Counter "retries" None, ["operation", "cause"],
        "Attempts that followed a failure, by what was done and why it failed; at most 32 causes, then `other causes`", |seen| {
        let causes = seen.reading.report.retry_causes.iter();
        causes.map(|it| Sample {
            labels: vec![("operation", it.operation.to_owned()), ("cause", it.cause.clone())],
            value: it.retries as f64,
        }).collect()
    };
    Always Counter "spent" SECONDS, ["stage"],
        "Time spent, summed over workers and requests; held is workers held at twice the memory limit", |seen| {
        let times = seen.reading.report.times;
        let stages = [
            ("reading", times.reading),
            ("converting", times.converting),
            ("encoding", times.encoding),
            ("compressing", times.compressing),
            ("uploading", times.uploading),
            ("queueing", times.queueing),
            ("confirming", times.confirming),
            ("held", times.held),
        ];
        stages.map(|(stage, seconds)| labelled("stage", stage, seconds)).into()
    };
    Always Gauge "memory" BYTES, [], "Memory that rows take", |seen| of(seen.reading.sink.memory.0);
    Always Gauge "memory_limit" BYTES, [], "Memory at which sources pause", |seen| of(seen.reading.sink.memory.1);
    Always Gauge "uploads" None, [], "Uploads under way", |seen| of(seen.reading.sink.uploads.0);
    Always Gauge "uploads_limit" None, [], "The most uploads at a time", |seen| of(seen.reading.sink.uploads.1);
    Always Gauge "stalled_since" SECONDS, [],
        "Since when the service does not do what it is asked, since 1970; 0 when it does", |seen| {
        let since = seen.reading.sink.stalled_for.map(|stalled: Duration| seen.now - stalled);
        one(since.map_or(0.0, unix_seconds))
    };
    Always Gauge "epoch" None, [], "The epoch that is being read", |seen| of(seen.reading.epoch);
    WriteAhead Gauge "start" None, [], "The number of this start of the pipeline; a newer one fences it", |seen| {
        bound(seen, |it| it.start)
    };
    WriteAhead Gauge "sealed_epoch" None, [], "Epochs below are in epoch files of all workers of this process", |seen| {
        bound(seen, |it| it.sealed_below)
    };
    Committer Gauge "staged_epoch" None, [], "Epochs below are in the staging table, from all processes", |seen| {
        bound(seen, |it| it.staged_below)
    };
    WriteAhead Gauge "committed_epoch" None, [], "Epochs below are in the table", |seen| {
        bound(seen, |it| it.committed_below)
    };
    WriteAhead Gauge "open_epochs" None, [],
        "Epochs with rows that wait for their commit, of the worker that has most", |seen| {
        ahead(seen, |it| it.limits.open_epochs.0)
    };
    WriteAhead Gauge "open_epochs_limit" None, [], "Open epochs at which sources pause", |seen| {
        ahead(seen, |it| it.limits.open_epochs.1)
    };
    WriteAhead Gauge "log" BYTES, [], "Epoch files of this process", |seen| ahead(seen, |it| it.limits.log_bytes.0);
    WriteAhead Gauge "log_limit" BYTES, [], "Epoch files at which sources pause", |seen| {
        ahead(seen, |it| it.limits.log_bytes.1)
    };
    WriteAhead Gauge "paused" None, ["reason"], "1 for the limit at which sources are held, else 0", |seen| {
        let Some(state) = &seen.reading.sink.ahead else { return Vec::new() };
        let is = |pause| f64::from(u8::from(state.limits.paused_by == Some(pause)));
        timely_kusto::Pause::ALL.map(|pause| labelled("reason", pause.name(), is(pause))).into()
    };
    WriteAhead Gauge "staging_chunks" None, [], "Chunks on their way into the staging table", |seen| {
        ahead(seen, |it| it.staging_chunks)
    };
    Committer Counter "commits" None, [], "Commits of this start", |seen| committer(seen, |it| it.commits);
    Committer Counter "committed_extents" None, [], "Extents moved by them", |seen| {
        committer(seen, |it| it.committed_extents)
    };
    Committer Gauge "last_commit_extents" None, [], "Extents moved by the last of them", |seen| {
        committer(seen, |it| it.last_commit_extents)
    };
};
