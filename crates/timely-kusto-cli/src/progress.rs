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
    Lines(Mutex<Last>),
}

/// The line that was shown last.
#[derive(Debug)]
pub(crate) struct Last {
    at: Instant,
    /// What a start waited for, if it did.
    waited_for: Option<String>,
}

impl Display {
    /// The time between two lines where no terminal shows them.
    const EVERY: Duration = Duration::from_secs(10);
    /// The same before anything is read, when a start comes to wait for something else.
    const AT_THE_START: Duration = Duration::from_secs(1);

    pub(crate) fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Display::Lines(Mutex::new(Last { at: Instant::now(), waited_for: None }));
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
                let begins = progress.epoch == 0 && progress.rows_read == 0;
                let waits_for = begins.then(|| progress.waiting_for.clone());
                let news = begins && last.waited_for != waits_for;
                let pause = if news { Self::AT_THE_START } else { Self::EVERY };
                if last.at.elapsed() >= pause {
                    *last = Last { at: Instant::now(), waited_for: waits_for };
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
    if progress.epoch == 0 && progress.rows_read == 0 {
        return format!("waiting for {}", progress.waiting_for);
    }
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
