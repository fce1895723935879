//! The report for people.

use std::fmt::{self, Display, Formatter};

use super::Written;
use super::bars::spread;
use super::report::AheadReport;
use crate::send::Sent;
use crate::text::grouped;

impl Display for AheadReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        if !self.on_disk {
            writeln!(f, "epoch files are in memory: a sync costs nothing here")?;
        }
        self.rounds(f)?;
        self.commands(f)?;
        self.visible(f)?;
        self.recovery(f)?;
        self.memory(f)?;
        writeln!(f)?;
        self.bars.iter().try_for_each(|bar| write!(f, "{bar}"))
    }
}

impl AheadReport {
    fn rounds(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:<34}{:>14}{:>14}", "in turn, the same rows", "rows/CPU s", "wall: rows/s")?;
        writeln!(f, "{:>10}{:>9}{:>9}", "seconds", "peak MB", "start s")?;
        for round in &self.rounds {
            let rate = |sent: &Sent| sent.rows as f64 / sent.seconds;
            line(f, "SinkV2", &round.sink_v2, rate(&round.sink_v2))?;
            writeln!(f)?;
            let slow = format!("write-ahead, +{:?}/command", self.command_delay);
            for (name, run) in [("write-ahead", &round.write_ahead), (&slow, &round.slow)] {
                line(f, name, &run.sent, run.rows_per_second())?;
                writeln!(f, "{:>9.2}", run.open_seconds)?;
            }
        }
        let (median, least, most) = spread(self.rounds.iter().map(|round| 100.0 * round.ratio()).collect());
        writeln!(f, "rows per CPU second beside SinkV2: {median:.1} % ({least:.1} to {most:.1} %)")
    }

    fn commands(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:<24}{:>8}{:>10}{:>9}", "rows of an epoch", "commits", "listings", "intents")?;
        writeln!(f, "{:>7}{:>7}{:>8}{:>12}", "moves", "looks", "others", "per commit")?;
        for run in &self.commands {
            let (c, size) = (&run.commands, grouped(run.rows_per_epoch as f64));
            write!(f, "{size:<24}{:>8}{:>10}{:>9}{:>7}", c.moves, c.listings, c.intents, c.moves)?;
            writeln!(f, "{:>7}{:>8}{:>12}", c.looks, c.others + c.drops, c.per_commit())?;
        }
        Ok(())
    }

    fn visible(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let v = &self.visible;
        writeln!(
            f,
            "\nfrom row to visible ({} rows): median {:.0} ms, p99 {:.0} ms, mean {:.0} ms",
            grouped(v.rows as f64),
            v.median_ms,
            v.p99_ms,
            v.mean_ms
        )?;
        writeln!(
            f,
            "  of that on average: epoch {:.0}, seal {:.0}, staging {:.0} (upload {:.0}, queue {:.0}, status {:.0}), the \
             commit before {:.0}, listing {:.0}, intent {:.0}, move {:.0}",
            v.epoch_ms,
            v.seal_ms,
            v.stage_ms,
            v.upload_ms,
            v.queue_ms,
            v.status_ms,
            v.wait_ms,
            v.listing_ms,
            v.intent_ms,
            v.move_ms
        )
    }

    fn recovery(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:<34}{:>8}{:>14}", "a start that finds a log of", "MB", "open after s")?;
        writeln!(f, "{:>22}{:>9}", "first new row after s", "peak MB")?;
        for start in &self.recovery {
            let rows = format!("{} rows", grouped(start.rows as f64));
            write!(f, "{rows:<34}{:>8.0}{:>14.2}", start.log_bytes as f64 / 1e6, start.open_seconds)?;
            let first = start.first_row_seconds.map_or_else(|| "?".to_owned(), |s| format!("{s:.2}"));
            writeln!(f, "{first:>22}{:>9}", megabytes(start.peak_memory_bytes))?;
        }
        Ok(())
    }

    fn memory(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:<34}{:>12}{:>10}", "memory and disk", "rows", "seconds")?;
        writeln!(f, "{:>9}{:>16}{:>10}", "peak MB", "peak log MB", "limit MB")?;
        let mut line = |name: &str, run: &Written| {
            let (log, limit) = (run.peak_log_bytes as f64 / 1e6, run.log_limit_bytes as f64 / 1e6);
            let (rows, peak) = (grouped(run.sent.rows as f64), megabytes(run.sent.peak_memory_bytes));
            writeln!(f, "{name:<34}{rows:>12}{:>10.1}{peak:>9}{log:>16.1}{limit:>10.0}", run.sent.seconds)
        };
        self.by_rows.iter().try_for_each(|run| line("more and more rows", run))?;
        self.by_epochs
            .iter()
            .try_for_each(|run| line(&format!("{} epochs", grouped(run.epochs as f64)), &run.written))?;
        line("slow commands, a small limit", &self.small_log)
    }
}

fn line(f: &mut Formatter<'_>, name: &str, sent: &Sent, rate: f64) -> fmt::Result {
    let cpu = grouped(sent.rows_per_cpu_second());
    write!(f, "{name:<34}{cpu:>14}{:>14}", grouped(rate))?;
    write!(f, "{:>10.1}{:>9}", sent.seconds, megabytes(sent.peak_memory_bytes))
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "?".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6))
}
