//! What every [`Clock`] must do, as one suite: `all` runs it against yours.

use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;

use super::{Clock, after};

/// Runs every check. `pass` lets the given time go by on the clock: by waiting, or by moving it.
///
/// # Panics
/// On the first promise that is not kept.
pub async fn all<C: Clock, F: AsyncFn(&C, Duration)>(clock: &C, pass: F) {
    time_does_not_run_backwards(clock, &pass).await;
    a_past_moment_is_not_waited_for(clock).await;
    a_sleeper_wakes_when_its_moment_has_come(clock, &pass).await;
    sleepers_are_independent(clock, &pass).await;
    the_end_of_time_does_not_come(clock, &pass).await;
}

const STEP: Duration = Duration::from_millis(5);

async fn time_does_not_run_backwards<C: Clock, F: AsyncFn(&C, Duration)>(clock: &C, pass: &F) {
    let before = clock.now();
    pass(clock, STEP).await;
    assert!(clock.now() >= after(before, STEP), "time passed, and the clock of {clock:?} did not follow");
}

async fn a_past_moment_is_not_waited_for<C: Clock>(clock: &C) {
    let past = clock.now() - Duration::from_secs(1);
    assert!(clock.sleep_until(past).now_or_never().is_some(), "{clock:?} waits for the past");
    assert!(clock.sleep_until(clock.now()).now_or_never().is_some(), "{clock:?} waits for the present");
}

async fn a_sleeper_wakes_when_its_moment_has_come<C: Clock, F: AsyncFn(&C, Duration)>(clock: &C, pass: &F) {
    let moment = after(clock.now(), STEP);
    let sleeper = tokio::spawn(clock.sleep_until(moment));
    pass(clock, STEP).await;
    sleeper.await.expect("a sleeper does not panic");
    assert!(clock.now() >= moment, "{clock:?} woke a sleeper early");
}

async fn sleepers_are_independent<C: Clock, F: AsyncFn(&C, Duration)>(clock: &C, pass: &F) {
    let far = clock.sleep_until(after(clock.now(), Duration::from_secs(3600)));
    let near = tokio::spawn(clock.sleep_until(after(clock.now(), STEP)));
    drop(clock.sleep_until(after(clock.now(), STEP)));
    pass(clock, STEP * 2).await;
    near.await.expect("a sleeper does not panic");
    assert!(far.now_or_never().is_none(), "{clock:?} woke a sleeper an hour early");
}

async fn the_end_of_time_does_not_come<C: Clock, F: AsyncFn(&C, Duration)>(clock: &C, pass: &F) {
    let never = clock.sleep_until(Timestamp::MAX);
    pass(clock, STEP).await;
    assert!(never.now_or_never().is_none(), "{clock:?} reached the end of time");
}
