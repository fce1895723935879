//! Places where the process dies on request, for the crash tests: right before or right after each durable step.
//!
//! `TIMELY_KUSTO_CRASH_AT="after move"` kills the process when it comes to that place, `"after move#3"` at the third time.
//! Without the variable a place costs one comparison, and places stand at durable steps only.
//!
//! | place | where |
//! |---|---|
//! | `before X`, `after X` | around an action of the coordinator; X is `names`, `create`, `rename`, `claim`, `read`, `start-row`, `intent`, `list-staging`, `list-target`, `move`, `logs`, `prepare`, `stage`, `open`, `committed` |
//! | `before append`, `after append` | around writing a body into an open epoch file |
//! | `before seal`, `after seal` | around a seal |
//! | `after early upload`, `after upload`, `after queue`, `after staged` | on a chunk's way into the staging table |
//! | `after unlink` | epoch files below the bound are removed, of one worker |
//! | `after discard` | the directory of one worker of an older start is removed |
//! | `before sweep`, `after sweep` | around dropping staged extents that nobody claims |
//! | `after epochs made`, `after tables made` | the first tables stand under names that do not count yet |

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The variable that names the place.
pub(crate) const VARIABLE: &str = "TIMELY_KUSTO_CRASH_AT";

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
pub(crate) fn reach(place: &str) {
    if let Some(armed) = armed()
        && armed.place == place
        && armed.left.fetch_sub(1, SeqCst) == 1
    {
        std::process::abort();
    }
}
