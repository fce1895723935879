//! Guards of the protocol: all of them, always. With the feature `testing` a test can leave one out, and see what it is for.

use commit_protocol::{Action, Coordinator, Setup};
#[cfg(feature = "testing")]
use commit_protocol::{Rule, Rules};

#[cfg(feature = "testing")]
use super::WriteAheadOptions;

/// Commits between two sweeps: what is left over takes space only.
const COMMITS_PER_SWEEP: u64 = 64;

/// What a test may change in how a start decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guards {
    #[cfg(feature = "testing")]
    rules: Rules,
    /// Commits between two sweeps of the staging table.
    pub(super) commits_per_sweep: u64,
}

impl Default for Guards {
    fn default() -> Self {
        Guards {
            #[cfg(feature = "testing")]
            rules: Rules::ALL,
            commits_per_sweep: COMMITS_PER_SWEEP,
        }
    }
}

#[cfg(not(feature = "testing"))]
impl Guards {
    /// Begins a start.
    pub(super) fn start(self, setup: Setup) -> (Coordinator, Action) {
        Coordinator::start(setup)
    }

    /// Whether a start reads all rows of its lineage: never, it takes few.
    pub(super) const fn read_all(self) -> bool {
        false
    }
}

#[cfg(feature = "testing")]
impl Guards {
    pub(super) fn start(self, setup: Setup) -> (Coordinator, Action) {
        Coordinator::start_with(setup, self.rules)
    }

    /// The query for few rows goes by start rows.
    pub(super) const fn read_all(self) -> bool {
        !self.rules.on(Rule::StartRows)
    }
}

#[cfg(feature = "testing")]
impl WriteAheadOptions {
    /// Leaves rules of the protocol out: rows will be lost or repeated. For tests that show what each rule is for.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.guards.rules = rules;
        self
    }

    /// How many commits there are between two sweeps of the staging table, 64 otherwise. For tests.
    pub fn commits_per_sweep(mut self, commits: u64) -> Self {
        self.guards.commits_per_sweep = commits.max(1);
        self
    }
}
