//! How a run is getting on: one line that changes on a terminal, a plain line now and then otherwise. On stderr.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use pipelines::Progress;

/// Shows progress until dropped.
#[derive(Debug)]
pub(crate) enum Display {
    Terminal(ProgressBar),
    Lines(Mutex<Instant>),
}

impl Display {
    /// The time between two lines where no terminal shows them.
    const EVERY: Duration = Duration::from_secs(10);

    pub(crate) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Display::Lines(Mutex::new(Instant::now()));
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Display::Terminal(bar)
    }

    pub(crate) fn show(&self, progress: &Progress) {
        match self {
            Display::Terminal(bar) => {
                bar.set_message(line(progress));
                bar.tick();
            }
            Display::Lines(last) => {
                let Ok(mut last) = last.lock() else { return };
                if last.elapsed() >= Self::EVERY {
                    *last = Instant::now();
                    eprintln!("{}", line(progress));
                }
            }
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Display::Terminal(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn line(progress: &Progress) -> String {
    format!(
        "{} rows delivered, {}/s, epoch {}, {} on their way ({}), waiting for {}",
        HumanCount(progress.rows_delivered),
        HumanCount(progress.rate as u64),
        progress.epoch,
        HumanCount(progress.backlog_rows),
        HumanBytes(progress.held_bytes as u64),
        progress.waiting_for,
    )
}
