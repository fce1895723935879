//! The order of the measurements.

use std::time::Duration;

use crate::bars::bars;
use crate::bound::Bound;
use crate::helper::{Helpers, Manners};
use crate::options::write_options;
use crate::report::{EndToEnd, Machine, Report};
use crate::rows::RowKind;
use crate::send::Send;
use crate::stages::Stages;
use crate::{Error, Options, Result, meter};

/// Measures everything. `progress` is told what is done next.
///
/// # Errors
/// When an option is out of range, a helper cannot be started, the sink fails, or rows did not arrive.
pub fn measure(options: &Options, helpers: &Helpers, progress: impl Fn(&str)) -> Result<Report> {
    options.validate()?;
    let write = write_options("T", &options.settings)?;
    let machine = machine();
    progress("encode and gzip");
    let mut stages = Stages::new(options.rows.min(Options::STAGE_ROWS), &write, options.workers)?;
    let mut end_to_end = Vec::new();
    for run in runs(options) {
        stages.round()?;
        progress(&run.text());
        end_to_end.push(run.make(options, helpers)?);
    }
    stages.round()?;
    let stages = stages.stages();
    let bound = Bound::of(&machine, &stages, &end_to_end, &write);
    let bars = bars(&stages, &end_to_end);
    Ok(Report { machine, stages, end_to_end, bound, bars })
}

pub(crate) fn machine() -> Machine {
    Machine {
        processor: meter::processor(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        load_average: meter::load_average(),
        release_build: !cfg!(debug_assertions),
    }
}

/// An end-to-end run to make.
#[derive(Clone, Copy, Debug)]
struct Run {
    kind: RowKind,
    rows: u64,
    latency: Duration,
}

/// The runs in their order. The one without latency comes before and after those with: how much the two differ is the
/// noise.
fn runs(options: &Options) -> Vec<Run> {
    let storms = |rows, latency| Run { kind: RowKind::Storms, rows, latency };
    let plain = storms(options.rows, Duration::ZERO);
    let mut runs = vec![storms(options.rows / 100, Duration::ZERO), plain];
    runs.extend(options.latencies.iter().map(|latency| storms(options.rows, *latency)));
    runs.push(plain);
    runs.push(Run { kind: RowKind::Narrow, ..plain });
    runs
}

impl Run {
    fn text(&self) -> String {
        let Run { kind, rows, latency } = self;
        let kind = match kind {
            RowKind::Storms => "storm events",
            RowKind::Narrow => "narrow rows",
        };
        format!("{rows} {kind} end to end, requests slowed by {latency:?}")
    }

    fn make(self, options: &Options, helpers: &Helpers) -> Result<EndToEnd> {
        let Run { kind, rows, latency } = self;
        let (cluster, url) = helpers.cluster(Manners { latency, ..Manners::default() })?;
        let Options { workers, settings, .. } = options;
        let run = Send { cluster: url, kind, rows, workers: *workers, settings: settings.clone() };
        let sent = helpers.send(run)?;
        let arrived = cluster.end()?.rows;
        if sent.rows != rows || arrived != rows {
            return Err(Error::Lost { sent: sent.rows, arrived });
        }
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        Ok(EndToEnd::new(kind, latency_ms, *workers, sent))
    }
}
