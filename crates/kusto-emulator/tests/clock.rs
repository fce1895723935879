//! Both clocks keep the promises of the clock.
#![allow(clippy::unwrap_used, missing_docs)]

use kusto_emulator::clock::{Clock, ManualClock, SystemClock, conformance};
use kusto_emulator::seed::Seed;

#[tokio::test]
async fn the_system_clock_keeps_the_promises() {
    conformance::all(&SystemClock, async |_, step| tokio::time::sleep(step).await).await;
}

#[tokio::test]
async fn the_manual_clock_keeps_the_promises() {
    conformance::all(&ManualClock::default(), async |clock, step| clock.advance(step)).await;
}

#[tokio::test]
async fn a_manual_clock_can_be_set_back_and_its_clones_follow() {
    let clock = ManualClock::default();
    let clone = clock.clone();
    let start = clock.now();
    clock.advance(std::time::Duration::from_secs(60));
    clone.set(start);
    assert_eq!(clock.now(), start);
}

#[test]
fn equal_seeds_give_equal_streams_and_other_purposes_other_ones() {
    let draw = |seed: u64, purpose| Seed::new(seed).stream(purpose).id();
    assert_eq!(draw(7, "keys"), draw(7, "keys"));
    assert_ne!(draw(7, "keys"), draw(7, "ids"));
    assert_ne!(draw(7, "keys"), draw(8, "keys"));
}
