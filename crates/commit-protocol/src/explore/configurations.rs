//! The configurations: seconds by default, deeper by `KT_EXPLORE=deep`.

use super::*;

#[test]
fn quick() {
    let found = explore(&Config { lost_answers: 1, ..Config::named("two starts") });
    println!("{found}");
    assert!(found.violation.is_none());
}
