use std::time::Duration;

use super::*;

#[test]
fn the_way_of_the_first_delivery_does_not_count() {
    let mut pace = Pace::default();
    let start = Instant::now();
    for second in 3..=12 {
        assert_eq!(pace.rate().is_some(), second > 3 + 5);
        pace.note(start + Duration::from_secs(second), (second - 2) * 100);
        pace.note(start + Duration::from_secs(second), (second - 2) * 100);
    }
    assert_eq!(pace.rate(), Some(100.0));
}
