//! The loop of one worker: steps the dataflow, ticks, tells of stops and failures, shows progress.

use std::time::{Duration, Instant};

use timely::worker::Worker;

use super::assemble::Parts;
use super::message::Control;
use super::shared::{Shared, SinkNow};

/// Epochs that may be undelivered before the next one waits: each keeps a position per partition in memory.
const MAX_OPEN_EPOCHS: u64 = 1024;

/// How long a worker that tells of a failure waits for its own message to come back. Then it was sent to all.
const TELLING: Duration = Duration::from_secs(2);

/// Runs the dataflow to its end.
pub(super) fn drive(worker: &mut Worker, parts: Parts, shared: &Shared) {
    let local = worker.index() % shared.options.topology.workers;
    let mut driver = Driver {
        ticking: worker.index() == 0,
        showing: local == 0,
        telling_stop: local == 0,
        stopping_since: None,
        next_tick: Instant::now() + shared.options.checkpoint_interval,
        shown: (0, Instant::now()),
        epoch: parts.epoch,
        parts,
        shared,
    };
    while !driver.parts.clock.done() {
        driver.give_up();
        if driver.failed() {
            return driver.abort(worker);
        }
        driver.tick();
        driver.tell();
        let wait = driver.show();
        worker.step_or_park(wait);
    }
    let Driver { parts, .. } = driver;
    drop(parts.control);
    while worker.installed_dataflows().contains(&parts.dataflow) {
        worker.step_or_park(None);
    }
    if let Some(writer) = parts.writer {
        writer.finish();
    }
}

/// After the panic of one worker: whether another one of the process tells the other processes of it.
pub(super) fn others_tell(shared: &Shared) -> bool {
    let until = Instant::now() + TELLING;
    while shared.options.topology.workers > 1 && Instant::now() < until {
        if shared.times_heard() > 0 {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

/// Drops all dataflows of a worker: after a failure none of them will be complete.
pub(super) fn drop_all(worker: &mut Worker) {
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

struct Driver<'a> {
    ticking: bool,
    showing: bool,
    telling_stop: bool,
    /// Since when this process has been stopping, where it was asked.
    stopping_since: Option<Instant>,
    next_tick: Instant,
    shown: (u64, Instant),
    epoch: u64,
    parts: Parts,
    shared: &'a Shared,
}

impl Driver<'_> {
    /// Ends a stop that has waited long enough, if the sink loses nothing by it.
    fn give_up(&self) {
        let due = |since: Instant| since.elapsed() >= self.shared.options.stop_timeout;
        if self.stopping_since.is_some_and(due)
            && let Some(error) = self.parts.gauge.get().and_then(|gauge| gauge.give_up())
        {
            self.shared.fail(error);
        }
    }

    fn failed(&self) -> bool {
        if let Some(error) = self.parts.gauge.get().and_then(|gauge| gauge.error()) {
            self.shared.fail(error);
        }
        self.shared.has_failed()
    }

    fn say(&mut self, message: Control) {
        self.parts.control.send(message);
        self.parts.control.flush();
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if !self.ticking || now < self.next_tick {
            return;
        }
        self.next_tick = now + self.shared.options.checkpoint_interval;
        let open_since = self.parts.clock.with_frontier(|frontier| frontier.first().copied());
        if open_since.is_some_and(|oldest| self.epoch.saturating_sub(oldest) < MAX_OPEN_EPOCHS) {
            self.epoch += 1;
            self.say(Control::Epoch(self.epoch));
        }
    }

    /// Tells all workers what this process has heard.
    fn tell(&mut self) {
        if self.telling_stop && self.shared.stop.is_requested() {
            self.telling_stop = false;
            self.stopping_since = Some(Instant::now());
            self.say(Control::Stop);
        }
        if self.ticking
            && let Some(positions) = self.shared.take_kept()
        {
            self.say(Control::Kept(positions));
        }
    }

    /// Shows progress when it is time; how long the worker may sleep.
    fn show(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.shown.1);
        let interval = self.shared.options.progress_interval;
        if self.showing && since >= interval {
            let gauge = self.parts.gauge.get();
            let (held, full) = gauge.map_or((0, false), |gauge| (gauge.held_bytes(), gauge.is_full()));
            let waits = gauge.and_then(|gauge| gauge.waiting_for());
            let sink = SinkNow { stats: (self.parts.stats)(), held_bytes: held, full, waits };
            let delivered = self.shared.show(sink, (self.shown.0, since));
            self.shown = (delivered, now);
        }
        let until_shown = (self.shown.1 + interval).saturating_duration_since(now);
        let until_tick = self.next_tick.saturating_duration_since(now);
        match (self.showing, self.ticking) {
            (true, true) => Some(until_shown.min(until_tick)),
            (true, false) => Some(until_shown),
            (false, true) => Some(until_tick),
            (false, false) => None,
        }
    }

    /// Ends this worker after a failure. The first worker of a process tells the other processes.
    fn abort(mut self, worker: &mut Worker) {
        if let Some(told) = self.shared.failure_to_tell() {
            self.say(Control::Fail(told));
            let heard = self.shared.times_heard();
            let until = Instant::now() + TELLING;
            while self.shared.times_heard() == heard && Instant::now() < until {
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
        }
        drop(self.parts.control);
        drop_all(worker);
        if let Some(writer) = self.parts.writer {
            writer.finish();
        }
    }
}
