//! The report for people.

use std::fmt::{self, Display, Formatter};

use crate::bars::Bar;
use crate::report::{EndToEnd, Machine, Report, Stage};
use crate::rows::RowKind;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        writeln!(
            f,
            "{:<34}{:>12}{:>8}{:>10}{:>8}",
            "a stage, by CPU time", "rows/s", "MB/s", "s/GB", "spread"
        )?;
        self.stages.iter().try_for_each(|stage| write!(f, "{stage}"))?;
        write!(
            f,
            "\n{:<34}{:>12}{:>8}{:>10}",
            "end to end, by the sink's CPU time", "rows/s", "MB/s", "s/GB"
        )?;
        writeln!(f, "{:>14}{:>10}{:>9}", "wall: rows/s", "seconds", "peak MB")?;
        self.end_to_end.iter().try_for_each(|run| write!(f, "{run}"))?;
        writeln!(f, "\nbound by {}\n", self.bound.words)?;
        self.bars.iter().try_for_each(|bar| write!(f, "{bar}"))
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores", self.cores)?;
        if let Some(processor) = &self.processor {
            write!(f, ", {processor}")?;
        }
        if let Some(load) = self.load_average.filter(|load| *load > self.cores as f64) {
            write!(f, "; load average {load:.1}: the machine has other work, wall times mean little")?;
        }
        if !self.release_build {
            write!(f, "\nbuilt without optimisation: the figures mean nothing")?;
        }
        Ok(())
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = format!("{}, {:.0} bytes a row", self.name, self.bytes_per_row);
        let rows = grouped(self.rows_per_second);
        writeln!(
            f,
            "{name:<34}{rows:>12}{:>8.0}{:>10.2}{:>7.0}%",
            self.mb_per_second,
            self.cpu_seconds_per_gb,
            100.0 * self.spread
        )
    }
}

impl Display for EndToEnd {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            RowKind::Storms => "storms",
            RowKind::Narrow => "narrow rows",
        };
        let mut name = format!("{} {what}", grouped(self.sent.rows as f64));
        if self.latency_ms > 0 {
            name.push_str(&format!(", +{} ms/request", self.latency_ms));
        }
        write!(
            f,
            "{name:<34}{:>12}{:>8.0}{:>10.2}",
            grouped(self.rows_per_cpu_second),
            self.mb_per_cpu_second,
            self.cpu_seconds_per_gb
        )?;
        let memory = self
            .sent
            .peak_memory_bytes
            .map_or_else(|| "?".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1e6));
        writeln!(f, "{:>14}{:>10.1}{memory:>9}", grouped(self.rows_per_second), self.sent.seconds)
    }
}

impl Display for Bar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let judged = match self.passed {
            Some(true) => "pass",
            Some(false) => "FAIL",
            None => "  ? ",
        };
        let digits = if self.unit == "x" { 1 } else { 0 };
        let (value, bar, unit) = (self.value, self.bar, self.unit);
        let side = if self.at_most { "below" } else { "at least" };
        write!(f, "{judged}  {}: {value:.digits$} {unit} ({side} {bar:.digits$} {unit})", self.name)?;
        if !self.note.is_empty() {
            write!(f, "; {}", self.note)?;
        }
        writeln!(f)
    }
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
