//! What is in the staging table: copies, attempts, sweeps.

use super::*;
use std::borrow::Cow;
use std::time::Duration;

use kusto_client::Client;

use crate::service::Between;

fn statuses_unread() -> FaultRule {
    let away = Fault::Fail { status: 503, retry_after: None };
    FaultRule::new(Endpoint::Table, away).operation("GetEntity")
}

fn message_twice() -> FaultRule {
    let twice = Fault::RepeatMessage { copies: 1, apart: Duration::from_millis(50) };
    FaultRule::new(Endpoint::Queue, twice).operation("PutMessage").times(1)
}

/// A message comes twice before its status can be read.
fn twice_before_the_commit(rules: Rules) -> Ending {
    let play = Play::new(rules);
    play.fault(message_twice());
    play.fault(statuses_unread());
    let kept = write().retain_blob_on_success(true);
    let ahead = play.on_with(play.place.state.path(), kept, |options| options);
    let run = thread::spawn(move || codes(&send(&ahead, 1, 30, 30)));
    until("both are in the staging table", || play.has_staging_table() && play.staged_extents() == 2);
    play.place.handle().clear_faults();
    let run = run.join().unwrap();
    play.ends(&[run], 0..30)
}

#[test]
fn a_status_instead_of_a_listing_repeats_rows() {
    twice_before_the_commit(Rules::ALL).is_exact(&[0]);
    twice_before_the_commit(Rules::without(Rule::Listing)).repeats(0..30);
}

impl Play {
    fn has_staging_table(&self) -> bool {
        self.place.command(".show tables | where TableName startswith 'kt_stage_' | count")[0][0] == 1
    }
}

/// Moves everything that is staged, instead of what a commit names.
fn all_instead(command: &str) -> Cow<'_, str> {
    let Some(named) = command.strip_prefix(".move extents from") else { return command.into() };
    let (all, _ids) = named.rsplit_once('(').unwrap();
    format!(".move extents all from{all}").into()
}

/// A copy of a message is ingested after what it brings was committed; then there is another commit, and another start.
fn twice_after_the_commit(by_name: bool) -> Ending {
    let play = Play::new(Rules::ALL);
    play.fault(message_twice());
    let held = FaultRule::new(Endpoint::Ingestion, Fault::Hold(HoldPoint::Resolved));
    play.fault(held.skip(1).times(1));
    let options = WriteAheadOptions::new("numbers", play.place.state.path());
    let kept = write().retain_blob_on_success(true).build().unwrap();
    let ahead = match by_name {
        true => WriteAhead::connect(&play.place.connection(), &kept, options),
        false => {
            let client = Client::connect(play.place.connection()).unwrap();
            let moves_all = Between { instead: all_instead, ..Between::new(client) };
            WriteAhead::with_service(Arc::new(moves_all), kept, options)
        }
    };
    let (ahead, handle) = (ahead.unwrap(), play.place.handle());
    let first = on_workers(1, move |worker| {
        let mut run = Run::open(worker, &ahead)?;
        run.feed(30, 30);
        let last = run.epoch;
        run.step_until(worker, |run| !run.committed.less_than(&last) && !handle.held().is_empty());
        handle.release_all();
        handle.settle_blocking();
        run.feed(60, 60);
        run.finish(worker)
    });
    let second = play.runs_elsewhere(90);
    play.ends(&[codes(&first), second], 0..90)
}

#[test]
fn a_copy_that_comes_after_the_commit_stays_in_the_staging_table() {
    twice_after_the_commit(true).is_exact(&[0, 0]);
    twice_after_the_commit(false).repeats(0..30);
}

fn command(fault: Fault, command: &str) -> FaultRule {
    FaultRule::new(Endpoint::Management, fault).operation(command)
}

/// A sweep leaves the sink without an answer, and takes effect when it is released; a move waits before it looks.
fn late_drop() -> FaultRule {
    command(Fault::HoldUnanswered(HoldPoint::Commit), ".drop extents")
}

fn late_move() -> FaultRule {
    command(Fault::Hold(HoldPoint::Resolved), ".move extents")
}

impl Play {
    fn holds(&self, command: &str) -> bool {
        self.place.handle().held().iter().any(|it| it.operation.starts_with(command))
    }

    /// Takes one row of commands through: what is about to be dropped by a sweep was verified and claimed meanwhile, and the
    /// drop takes effect before the move does. Then the run goes on to its end.
    fn ends_with_the_drop_before_the_move(&self, run: JoinHandle<Vec<Outcome>>, rows: Range<u64>) -> Ending {
        if self.holds(".drop extents") {
            self.release(".drop extents");
        }
        self.place.handle().clear_faults();
        self.release(".move extents");
        self.ends(&[codes(&run.join().unwrap())], rows)
    }
}

/// The sweep of a start that has just opened its run comes late, and finds what its own workers have staged since.
fn late_sweep(rules: Rules) -> Ending {
    let play = Play::new(rules);
    play.fault(listing(Fault::Hold(HoldPoint::Resolved)).times(1));
    play.fault(late_drop());
    play.fault(late_move());
    let ahead = play.on(play.place.state.path());
    let handle = play.place.handle();
    let run = thread::spawn(move || {
        on_workers(1, move |worker| {
            let mut run = Run::open(worker, &ahead)?;
            run.feed(30, 30);
            let last = run.epoch;
            run.step_until(worker, |run| !run.staged.less_than(&last) && !handle.held().is_empty());
            handle.release_all();
            run.finish(worker)
        })
    });
    until("the move is held", || play.holds(".move extents"));
    play.ends_with_the_drop_before_the_move(run, 0..30)
}

#[test]
fn a_sweep_of_a_generation_that_is_not_over_drops_what_is_claimed() {
    late_sweep(Rules::ALL).is_exact(&[0]);
    late_sweep(Rules::without(Rule::GenerationOver)).stops_for_nothing(&[4]);
}

/// Two chunks are staged, the second one several times. After the commit of the first, a sweep drops all attempts at the
/// second but the last; the drop takes effect after the second was claimed.
fn attempts(rules: Rules) -> Ending {
    let play = Arc::new(Play::new(rules));
    play.fault(listing(Fault::Hold(HoldPoint::Resolved)).times(1));
    let impatient = write().retry_timeout(Duration::from_millis(50));
    let ahead = play.on_with(play.place.state.path(), impatient, |options| {
        options.chunks_per_commit(1).commits_per_sweep(1)
    });
    let (here, handle) = (Arc::clone(&play), play.place.handle());
    let run = thread::spawn(move || {
        on_workers(1, move |worker| {
            let mut run = Run::open(worker, &ahead)?;
            run.feed(30, 30);
            let last = run.epoch;
            run.step_until(worker, |run| !run.staged.less_than(&last) && !handle.held().is_empty());
            handle.add_fault(statuses_unread());
            run.feed(60, 60);
            // One chunk, several attempts: all of them whole.
            run.step_until(worker, |_| here.staged_extents() >= 3);
            handle.clear_faults();
            let last = run.epoch;
            run.step_until(worker, |run| !run.staged.less_than(&last));
            handle.add_fault(late_drop());
            handle.add_fault(late_move().skip(1));
            handle.release_all();
            run.finish(worker)
        })
    });
    until("drop and second move are held", || play.holds(".drop extents") && play.holds(".move extents"));
    play.ends_with_the_drop_before_the_move(run, 0..60)
}

#[test]
fn a_superseded_attempt_that_is_accepted_may_be_swept() {
    attempts(Rules::ALL).is_exact(&[0]);
    attempts(Rules::without(Rule::SupersededRefused)).stops_for_nothing(&[4]);
}
