use super::grouped;

#[test]
fn thousands_stand_apart() {
    assert_eq!(
        [0.0, 999.4, 1_000.0, 1_234_567.0].map(grouped),
        ["0", "999", "1,000", "1,234,567"].map(str::to_owned)
    );
}
