//! What a run asked of the cluster's engine, by the cluster's own list of requests.
//!
//! A run's commands are those behind the opening intent of its start, the first after the last look at the tables' columns.
//! Then come a listing (a sweep of what older starts left), three commands for each commit (listing, intent, move), and at the end the intent that
//! settles the last commit with the look that it counts. Every 64th commit sweeps again: two more. Where nothing is
//! committed for half a minute, there is a look whether another start has taken over.

use kusto_emulator::{Endpoint, Handle};
use serde::{Deserialize, Serialize};

/// Commands and queries of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// Moves of extents: as many as there were commits with rows.
    pub moves: u64,
    /// Rows appended to `kt_epochs`.
    pub intents: u64,
    /// Listings of the staging table.
    pub listings: u64,
    /// Drops of extents that nobody claims.
    pub drops: u64,
    /// Looks at the tables of the pipeline.
    pub looks: u64,
    /// All others.
    pub others: u64,
}

impl Commands {
    /// The first listing and the last intent, which belong to no commit.
    const AROUND: u64 = 2;

    /// Of the last run against this cluster; nothing when it has forgotten the beginning.
    pub(crate) fn of_last_run(handle: &Handle) -> Option<Self> {
        let asked = |endpoint| matches!(endpoint, Endpoint::Management | Endpoint::Query);
        let requests = handle.requests();
        let requests: Vec<_> = requests.iter().filter(|request| asked(request.endpoint)).collect();
        let aligned = requests.iter().rposition(|request| request.operation.contains(" schema as json"))?;
        let is_intent = |text: &str| text.starts_with(".append kt_epochs");
        let opened =
            aligned + requests[aligned..].iter().position(|request| is_intent(&request.operation))?;
        let mut commands = Commands::default();
        for request in &requests[opened + 1..] {
            let text = request.operation.as_str();
            if text.starts_with(".get ") {
                continue; // the addresses of storage and a token, from data management, once an hour
            }
            *commands.kind(text) += 1;
        }
        Some(commands)
    }

    fn kind(&mut self, text: &str) -> &mut u64 {
        match text {
            _ if text.starts_with(".move extents") => &mut self.moves,
            _ if text.starts_with(".append kt_epochs") => &mut self.intents,
            _ if text.starts_with(".show table kt_stage_") && text.contains(" extents") => &mut self.listings,
            _ if text.starts_with(".drop extents") => &mut self.drops,
            _ if text.starts_with(".show tables") => &mut self.looks,
            _ => &mut self.others,
        }
    }

    /// Those of a commit, on average: without those that a run has however long it is, and without looks, which time
    /// brings.
    pub fn per_commit(&self) -> f64 {
        let all = self.moves + self.intents + self.listings + self.drops + self.others;
        all.saturating_sub(Self::AROUND) as f64 / self.moves as f64
    }
}
