//! Places where the process dies on request, for the crash tests: right before or right after each durable step.
//!
//! `TIMELY_KUSTO_CRASH_AT="after move"` kills the process when it comes to that place, `"after move#3"` at the third time.
//! Without the variable a place costs one comparison, and places stand at durable steps only.
//!
//! All places are named here and nowhere else: the crash matrix and `timely-kusto chaos` draw from these lists, and a place
//! that a list lacks fails whichever test comes to it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The variable that names the place.
pub(crate) const VARIABLE: &str = "TIMELY_KUSTO_CRASH_AT";

/// Actions of the coordinator that a start performs, and a commit does not. There is a place before and one after each.
pub const STARTING: [&str; 11] = [
    "names",
    "create",
    "rename",
    "claim",
    "read",
    "start-row",
    "logs",
    "stage",
    "prepare",
    "open",
    "list-target",
];

/// Actions of the coordinator in each commit, and so in a start that adopts. There is a place before and one after each.
pub const COMMITTING: [&str; 4] = ["intent", "list-staging", "move", "committed"];

/// Places of every process, to which a run comes again and again: around an append to an open epoch file and around a seal,
/// on a chunk's way into the staging table, and where epoch files below the bound are removed.
pub const STEPS: [&str; 9] = [
    "before append",
    "after append",
    "before seal",
    "after seal",
    "after early upload",
    "after upload",
    "after queue",
    "after staged",
    "after unlink",
];

/// Places of a start beside the coordinator's actions, all in the first process where the state directory is shared: the
/// first tables stand under names that do not count yet, staged extents that nobody claims are dropped, the directory of
/// one worker of an older start is removed.
pub const START_STEPS: [&str; 5] =
    ["after epochs made", "after tables made", "before sweep", "after sweep", "after discard"];

/// Every place.
pub fn places() -> impl Iterator<Item = String> {
    let actions = STARTING.into_iter().chain(COMMITTING);
    let around = actions.flat_map(|action| [format!("before {action}"), format!("after {action}")]);
    START_STEPS.into_iter().chain(STEPS).map(str::to_owned).chain(around)
}

struct Armed {
    place: String,
    left: AtomicU64,
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    ARMED
        .get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let (place, times) = text.split_once('#').unwrap_or((&text, "1"));
            let left = AtomicU64::new(times.parse().unwrap_or(1));
            Some(Armed { place: place.to_owned(), left })
        })
        .as_ref()
}

/// Ends the process here, at once and without cleaning up, if it was asked to.
///
/// # Panics
/// In a debug build, at a place that no list names: no test would come to it.
pub(crate) fn reach(place: &str) {
    debug_assert!(places().any(|listed| listed == place), "{place:?} is in no list of failpoints");
    if let Some(armed) = armed()
        && armed.place == place
        && armed.left.fetch_sub(1, SeqCst) == 1
    {
        std::process::abort();
    }
}
