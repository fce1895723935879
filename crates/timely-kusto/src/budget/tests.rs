//! Which bytes count where.

use super::*;

#[test]
fn bytes_kept_make_the_sink_full_and_do_not_hold_a_worker() {
    let budget = Budget::new(100);
    let (mut rows, mut kept) = (budget.reserve(), budget.keep());
    kept.resize(1000);
    assert!(budget.is_full() && !budget.is_over());
    budget.wait(); // for nothing
    rows.resize(199);
    assert!(!budget.is_over());
    rows.resize(200);
    assert!(budget.is_over());
    drop((rows, kept));
    assert_eq!((budget.used(), budget.peak(), budget.is_full()), (0, 1200, false));
}
