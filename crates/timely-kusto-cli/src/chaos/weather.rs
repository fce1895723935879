//! What the local cluster does to requests: moods drawn from the seed, made of the cluster's own faults and open questions.
//!
//! Left out is what `docs/exactly-once.md` assumes not to happen: an old name that still resolves after its rename, old
//! listings, a queued blob that becomes visible in parts. A rename that is held on its way is let out only where the
//! cluster looks at its names again: where it follows the table, a late one makes a start end with exit code 4, as documented.

use std::time::Duration;

use kusto_emulator::{
    Assumptions, CreatedRange, Endpoint, Fault, FaultRule, GzipMembers, HoldPoint, Merges, MissingExtents,
    OperationColumns, RepeatedMessages, ResolvedNames, Undocumented, UnknownSize, WeakReads,
};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde::Serialize;

/// A mood of the service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Weather {
    pub(super) spells: Vec<Spell>,
    pub(super) assumptions: Assumptions,
}

/// One kind of fault, and which requests it hits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Spell {
    /// What it is called in the report.
    pub(super) name: &'static str,
    endpoint: Endpoint,
    operation: Option<&'static str>,
    fault: Fault,
    /// Of a hundred requests.
    percent: u32,
    times: Option<u64>,
}

/// What stays as it is for a whole round, since requests on their way outlive a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Doubts {
    pub(super) names_are_looked_at_again: bool,
}

impl Doubts {
    /// The doubts of a round.
    pub(super) fn draw(chance: &mut StdRng) -> Self {
        Doubts { names_are_looked_at_again: chance.random() }
    }
}

impl Weather {
    /// No faults; the open questions as assumed.
    pub(super) fn fair(doubts: &Doubts) -> Self {
        let mut assumptions = Assumptions::default();
        if doubts.names_are_looked_at_again {
            assumptions.resolved_names = ResolvedNames::CheckedAgain;
        }
        Weather { spells: Vec::new(), assumptions }
    }

    pub(super) fn draw(chance: &mut StdRng, doubts: &Doubts) -> Self {
        let mut weather = Weather::fair(doubts);
        for _ in 0..chance.random_range(1..=4) {
            weather.spells.extend(Spell::draw(chance, doubts));
        }
        if chance.random_bool(0.5) {
            doubt(chance, &mut weather.assumptions);
        }
        weather
    }

    /// Whether no request is spoilt; what is open may still be answered in another way.
    pub(super) fn is_fair(&self) -> bool {
        self.spells.is_empty()
    }

    /// In a word or two for each spell.
    pub(super) fn words(&self) -> String {
        let names: Vec<_> = self.spells.iter().map(Spell::words).collect();
        if names.is_empty() { "fair".to_owned() } else { names.join(", ") }
    }
}

/// Other answers to open questions, all of which the promise is to survive.
fn doubt(chance: &mut StdRng, assumptions: &mut Assumptions) {
    let mut either = |likely: f64| chance.random_bool(likely);
    if either(0.3) {
        assumptions.ingestion_learns_names_after = Duration::from_millis(200);
    }
    if either(0.3) {
        assumptions.created_range = CreatedRange::Required;
    }
    if either(0.3) {
        assumptions.move_takes = Duration::from_millis(2);
        assumptions.new_ingestion_time_takes = Duration::from_millis(1);
    }
    if either(0.3) {
        assumptions.repeated_messages = RepeatedMessages::IngestedOnce;
    }
    if either(0.3) {
        assumptions.extents_per_ingestion = 2;
    }
    if either(0.3) {
        (assumptions.reads_lag, assumptions.weak_reads) = (Duration::from_secs(1), WeakReads::WhenAsked);
    }
    if either(0.3) {
        assumptions.batching_learned_after = Duration::from_millis(300);
    }
    if either(0.2) {
        assumptions.gzip_members = GzipMembers::FirstOnly;
        assumptions.unknown_size = UnknownSize::Estimated;
        assumptions.merges = Merges::OnDemand;
    }
    if either(0.2) {
        assumptions.undocumented = Undocumented::Refused;
        assumptions.operation_columns = OperationColumns::Documented;
    }
    assumptions.missing_extents = *[
        MissingExtents::Refused,
        MissingExtents::NothingMoves,
        MissingExtents::OthersMove,
        MissingExtents::RowsSayFailed,
    ]
    .choose(chance)
    .unwrap_or(&MissingExtents::Refused);
}

/// What reaches the cluster, by where and what; what decides is there more than once.
const REQUESTS: [(Endpoint, Option<&str>); 16] = [
    (Endpoint::Management, None),
    (Endpoint::Management, Some(".move extents")),
    (Endpoint::Management, Some(".move extents")),
    (Endpoint::Management, Some(".append")),
    (Endpoint::Management, Some(".append")),
    (Endpoint::Management, Some(".rename")),
    (Endpoint::Management, Some(".show table")),
    (Endpoint::Management, Some(".show tables")),
    (Endpoint::Management, Some(".alter")),
    (Endpoint::Management, Some(".create")),
    (Endpoint::Management, Some(".drop")),
    (Endpoint::Query, None),
    (Endpoint::Blob, None),
    (Endpoint::Queue, None),
    (Endpoint::Table, None),
    (Endpoint::Ingestion, None),
];

impl Spell {
    /// One spell, if what was drawn makes sense in this round.
    fn draw(chance: &mut StdRng, doubts: &Doubts) -> Option<Self> {
        let later = Duration::from_millis(chance.random_range(5..400));
        match chance.random_range(0..16) {
            0..9 => Spell::of_any(chance, later),
            9..12 => Spell::held(chance, doubts),
            12 => Some(Spell::merged(chance)),
            13 => Some(Spell::of_query(chance)),
            14 => Some(Spell::of_queue("message delayed", Fault::DelayMessage(later), 50)),
            _ if chance.random_bool(0.2) => Some(Spell::of_queue("message lost", Fault::LoseMessage, 10)),
            _ => {
                let repeat = Fault::RepeatMessage { copies: chance.random_range(1..3), apart: later };
                Some(Spell::of_queue("message repeated", repeat, 50))
            }
        }
    }

    /// What any request can suffer; of an ingestion, that it fails before or after its effect, or is late.
    fn of_any(chance: &mut StdRng, later: Duration) -> Option<Self> {
        let (endpoint, operation) = *REQUESTS.choose(chance)?;
        let status = *[500, 502, 503, 504].choose(chance)?;
        let kinds = if endpoint == Endpoint::Ingestion { 0..4 } else { 0..9 };
        let (name, fault) = match chance.random_range(kinds) {
            0 => ("failed", Fault::Fail { status, retry_after: None }),
            1 => ("throttled", Fault::Throttle { retry_after: None }),
            2 => ("failed after its effect", Fault::FailAfter { status }),
            3 => ("delayed", Fault::Delay(later)),
            4 => ("refused", Fault::Refuse),
            5 => ("answer cut", Fault::Truncate { bytes: chance.random_range(0..60) }),
            6 => ("answer garbled", Fault::Garble),
            _ => ("answer lost", Fault::LoseAnswer),
        };
        let percent = *[5, 15, 40, 100].choose(chance)?;
        let times = (percent == 100).then(|| chance.random_range(1..4));
        Some(Spell { name, endpoint, operation, fault, percent, times })
    }

    /// Extents of all tables are merged right before a command, so that ids that were listed are gone.
    fn merged(chance: &mut StdRng) -> Self {
        let (endpoint, operation) = (Endpoint::Management, Some(".move extents"));
        let operation = operation.filter(|_| chance.random_bool(0.5));
        Spell { name: "merged before", endpoint, operation, fault: Fault::Merge, percent: 40, times: None }
    }

    /// A request that stops on its way, and goes on much later, or never.
    fn held(chance: &mut StdRng, doubts: &Doubts) -> Option<Self> {
        let operation = *[".move extents", ".append", ".rename", ".drop", "Ingest"].choose(chance)?;
        if operation == ".rename" && !doubts.names_are_looked_at_again {
            return None;
        }
        let endpoint = if operation == "Ingest" { Endpoint::Ingestion } else { Endpoint::Management };
        let point = if chance.random() { HoldPoint::Resolved } else { HoldPoint::Commit };
        let times = Some(chance.random_range(1..3));
        let percent = *[30, 100].choose(chance)?;
        Some(Spell {
            name: "held",
            endpoint,
            operation: Some(operation),
            fault: Fault::Hold(point),
            percent,
            times,
        })
    }

    /// Reads of `kt_epochs`, the only table that is queried, that show an older state.
    fn of_query(chance: &mut StdRng) -> Self {
        let fault = Fault::Stale { behind: chance.random_range(1..4) };
        Spell {
            name: "stale read",
            endpoint: Endpoint::Query,
            operation: None,
            fault,
            percent: 20,
            times: None,
        }
    }

    fn of_queue(name: &'static str, fault: Fault, percent: u32) -> Self {
        let operation = Some("PutMessage");
        Spell { name, endpoint: Endpoint::Queue, operation, fault, percent, times: None }
    }

    /// The rule for the cluster.
    pub(super) fn rule(&self) -> FaultRule {
        let mut rule = FaultRule::new(self.endpoint, self.fault).probability(f64::from(self.percent) / 100.0);
        if let Some(operation) = self.operation {
            rule = rule.operation(operation);
        }
        self.times.map_or(rule.clone(), |times| rule.times(times))
    }

    fn words(&self) -> String {
        let at =
            self.operation.map_or_else(|| format!("{:?}", self.endpoint).to_lowercase(), str::to_lowercase);
        format!("{at} {}", self.name)
    }
}
