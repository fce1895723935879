//! Faults on demand: rules that match requests and spoil them.
//!
//! ```
//! use kusto_emulator::{Endpoint, Fault, FaultRule};
//! // The second and third blob upload are refused with 503; nothing is stored.
//! let busy = FaultRule::new(Endpoint::Blob, Fault::Fail { status: 503, retry_after: None })
//!     .operation("PutBlob").skip(1).times(2);
//! // The answer to the first commit is lost, after the commit took effect.
//! let lost = FaultRule::new(Endpoint::Management, Fault::LoseAnswer).operation(".move extents").times(1);
//! ```
//!
//! A rule sees each request that it matches once, in the order of arrival: the first `skip` pass, the next `times` are
//! hit (each with `probability`, drawn from the emulator's seed), the rest pass. Rules are asked in the order they were
//! added; delays add up, and the first other fault that hits is the one that happens. Whether something took effect is
//! part of each fault's definition, since that is what a client has to reason about:
//!
//! | fault | effect | the client sees |
//! |---|---|---|
//! | `Fail`, `Throttle` | none | an error in the form of the endpoint |
//! | `Quote` | none | an error whose message has the whole command or query in it |
//! | `Refuse` | none | the connection closes without an answer |
//! | `LoseAnswer` | yes | the connection closes without an answer |
//! | `FailAfter` | yes | an error in the form of the endpoint |
//! | `Truncate` | yes | the head and the first bytes of the answer, then the connection closes |
//! | `Lengthen` | yes | the answer, and behind it so many blanks more |
//! | `Garble` | none | 200 and a page in HTML, as something between client and service answers |
//! | `Delay` | as without it | the same, later on the emulator's clock |
//! | `Hold` | when it is released, or never | the answer, when there is one |
//! | `HoldUnanswered` | when it is released, or never | the connection closes without an answer, at once |
//! | `Merge` | yes, after the database's extents were merged | what that leads to |
//! | `Half` | half the rows of an ingestion are visible, then it fails | as after `FailAfter` |
//! | `Stale` | reads an older state; what it changes, it changes now | the old rows |
//! | `RevokeTokens` | none | 401; a new token helps |
//! | `RevokeRoles` | none unless it needs no role | 403 from now on |
//! | `LoseMessage`, `RepeatMessage`, `DelayMessage` | the queue message comes never, several times, late | success |
//!
//! Where a fault makes no sense (`Half` of a query, `LoseMessage` of a download), the request passes untouched.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::assumptions::{optional_seconds, seconds};
use crate::holds::{Died, Hold, HoldPoint, Holds};
use crate::requests::{Endpoint, Request};
use crate::seed::Chance;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fault {
    /// Answered with this status before anything happens.
    Fail {
        /// An HTTP error status.
        status: u16,
        /// Sent as `Retry-After`, in whole seconds. Of an ingestion: when it is tried again.
        #[serde(default, with = "optional_seconds")]
        retry_after: Option<Duration>,
    },
    /// Refused for load before anything happens: 429 by the cluster, 503 `ServerBusy` by storage.
    Throttle {
        /// Sent as `Retry-After`, in whole seconds. Of an ingestion: when it is tried again.
        #[serde(default, with = "optional_seconds")]
        retry_after: Option<Duration>,
    },
    /// The connection is closed before anything happens.
    Refuse,
    /// Answered with this status before anything happens, with a message that quotes the whole text of the request, whatever
    /// secrets are in it. For queries and commands; others fail as by `Fail`.
    Quote {
        /// An HTTP error status.
        status: u16,
    },
    /// The request takes effect, and the connection is closed instead of an answer.
    LoseAnswer,
    /// The request takes effect, and the answer says that it failed.
    FailAfter {
        /// An HTTP error status.
        status: u16,
    },
    /// The request takes effect, and the answer's body ends after this many bytes.
    Truncate {
        /// Bytes of the body that are sent.
        bytes: usize,
    },
    /// The request takes effect, and the answer's body, whose length is not said, goes on with this many blanks.
    Lengthen {
        /// Bytes behind the body.
        bytes: u64,
    },
    /// Nothing happens, and the answer says 200 with a page in HTML: what a gateway or a login page of a network does.
    Garble,
    /// The request waits this long on the emulator's clock before anything happens.
    Delay(#[serde(with = "seconds")] Duration),
    /// The request stops at this point of its way until it is released ([`crate::Handle::release`]). For commands and
    /// ingestions; others pass.
    Hold(HoldPoint),
    /// The same, and the connection is closed as soon as the request has come there: the client goes on without an answer,
    /// and the request takes effect when it is released. For commands and ingestions.
    HoldUnanswered(HoldPoint),
    /// Right before the request takes effect, the extents of every table of its database are merged as far as policies
    /// allow: ids that a listing named are gone. For commands and ingestions.
    Merge,
    /// Half of the rows become visible, then the ingestion fails with this status: 5xx is tried again. For ingestions.
    Half {
        /// An HTTP error status.
        status: u16,
    },
    /// The request reads the state of this many transactions ago, as far back as the rule is old. For queries and
    /// commands.
    Stale {
        /// Transactions, each the effect of one command or ingestion.
        behind: u64,
    },
    /// The caller's tokens are worthless from now on, this request's included.
    RevokeTokens,
    /// The caller has no role any more, from this request on.
    RevokeRoles,
    /// A queue message is accepted and never arrives. For `PutMessage`.
    LoseMessage,
    /// A queue message arrives, and so many more times, each this much later than the one before. For `PutMessage`.
    RepeatMessage {
        /// How many copies come beside the first.
        copies: u32,
        /// On the emulator's clock.
        #[serde(with = "seconds")]
        apart: Duration,
    },
    /// A queue message arrives this much later. For `PutMessage`.
    DelayMessage(#[serde(with = "seconds")] Duration),
}

/// What a fault does to the inside of a request, and what the request tells of its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mischief {
    /// How long the answer takes after the effect.
    pub(crate) takes: Takes,
    /// Somebody wants to hold it.
    pub(crate) hold: Option<Arc<Hold>>,
    /// How many transactions ago it reads.
    pub(crate) stale: u64,
    /// Extents are merged right before it takes effect.
    pub(crate) merge: bool,
    /// Only half of it is ingested.
    pub(crate) half: bool,
    /// What becomes of a queue message.
    pub(crate) message: Delivery,
}

/// When a queue message arrives: so many times, the first after `first`, the others `apart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) times: u32,
    pub(crate) first: Duration,
    pub(crate) apart: Duration,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { times: 1, first: Duration::ZERO, apart: Duration::ZERO }
    }
}

/// A time on the emulator's clock that grows while a request is worked on; in nanoseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Takes(Arc<AtomicU64>);

impl Takes {
    pub(crate) fn add(&self, more: Duration) {
        self.0.fetch_add(u64::try_from(more.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Mischief {
    /// Waits here if the request is to be held here.
    pub(crate) fn reach(&self, point: HoldPoint) -> Result<(), Died> {
        self.hold.as_ref().map_or(Ok(()), |hold| hold.reach(point))
    }

    /// Whether an ingestion becomes visible in two parts.
    pub(crate) fn in_halves(&self) -> bool {
        self.half || self.hold.as_ref().is_some_and(|hold| hold.is_at(HoldPoint::Halfway))
    }
}

/// Which requests are hit, and with what.
///
/// As JSON, only `endpoint` and `fault` are needed: `{"endpoint":"Management","operation":".move extents","times":1,
/// "fault":{"Hold":"Resolved"}}`; durations are seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    endpoint: Endpoint,
    #[serde(default)]
    operation: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    skip: u64,
    #[serde(default = "without_end")]
    times: u64,
    #[serde(default = "always")]
    probability: f64,
    fault: Fault,
}

fn without_end() -> u64 {
    u64::MAX
}

fn always() -> f64 {
    1.0
}

impl FaultRule {
    /// Whether older states must be remembered for it.
    pub(crate) fn looks_back(&self) -> bool {
        matches!(self.fault, Fault::Stale { .. })
    }

    /// Hits every request to `endpoint`.
    pub fn new(endpoint: Endpoint, fault: Fault) -> Self {
        Self {
            endpoint,
            operation: None,
            scope: None,
            table: None,
            principal: None,
            skip: 0,
            times: u64::MAX,
            probability: 1.0,
            fault,
        }
    }

    /// Only requests whose operation (command or query text, or name) starts with this, in any case.
    #[must_use]
    pub fn operation(mut self, prefix: impl Into<String>) -> Self {
        self.operation = Some(prefix.into());
        self
    }

    /// Only requests whose scope (database, or `account/container`) contains this, in any case.
    #[must_use]
    pub fn scope(mut self, part: impl Into<String>) -> Self {
        self.scope = Some(part.into());
        self
    }

    /// Only commands and queries whose text has this name as a word of its own, and ingestions into that table.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// Only requests of principals whose name contains this, in any case.
    #[must_use]
    pub fn principal(mut self, part: impl Into<String>) -> Self {
        self.principal = Some(part.into());
        self
    }

    /// Lets the first `count` matching requests pass.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Hits at most `count` of the requests after those; without it, all.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    /// Hits each of them with this probability, 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        let lower = |text: &str| text.to_lowercase();
        let starts = |prefix: &String| lower(request.operation.trim_start()).starts_with(&lower(prefix));
        self.endpoint == request.endpoint
            && self.operation.as_ref().is_none_or(starts)
            && self.scope.as_ref().is_none_or(|part| lower(&request.scope).contains(&lower(part)))
            && self.table.as_ref().is_none_or(|name| names_table(request, name))
            && self.principal.as_ref().is_none_or(|part| lower(&request.principal).contains(&lower(part)))
    }
}

/// Whether a request names a table: in its text as a word, or as the end of its scope.
fn names_table(request: &Request, name: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    let scope = request.scope.rsplit_once('/').map(|(_, table)| table);
    let text = &request.operation;
    let stands_alone = |(start, _): (usize, &str)| {
        let (before, after) = (&text[..start], &text[start + name.len()..]);
        !before.ends_with(|c: char| of_name(c) && c != '.') && !after.starts_with(of_name)
    };
    scope == Some(name) || (!name.is_empty() && text.match_indices(name).any(stands_alone))
}

#[derive(Debug)]
struct Active {
    rule: FaultRule,
    seen: AtomicU64,
    hits: Arc<AtomicU64>,
}

impl Active {
    /// Whether this request is one that the rule wants to hit.
    fn wants(&self, request: &Request, chance: &Chance) -> bool {
        if !self.rule.matches(request) {
            return false;
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed);
        let in_turn = number >= self.rule.skip && number - self.rule.skip < self.rule.times;
        in_turn && (self.rule.probability >= 1.0 || chance.happens(self.rule.probability))
    }
}

/// Counts the requests that a rule has hit.
#[derive(Debug, Clone)]
pub struct FaultHits(Arc<AtomicU64>);

impl FaultHits {
    /// How many so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: RwLock<Vec<Active>>,
    chance: Chance,
    holds: Arc<Holds>,
}

impl Faults {
    pub(crate) fn new(chance: Chance) -> Self {
        Self { rules: RwLock::default(), chance, holds: Arc::default() }
    }

    pub(crate) fn add(&self, rule: FaultRule) -> FaultHits {
        let hits = Arc::<AtomicU64>::default();
        let active = Active { rule, seen: AtomicU64::new(0), hits: Arc::clone(&hits) };
        self.rules.write().unwrap_or_else(PoisonError::into_inner).push(active);
        FaultHits(hits)
    }

    /// The rules in force, each with the number of requests that it has hit.
    pub(crate) fn all(&self) -> Vec<(FaultRule, u64)> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.iter().map(|active| (active.rule.clone(), active.hits.load(Ordering::Relaxed))).collect()
    }

    /// The requests that are held.
    pub(crate) fn holds(&self) -> &Arc<Holds> {
        &self.holds
    }

    /// What a fault does to the inside of `request`; nothing if it does something to the outside.
    pub(crate) fn mischief(&self, fault: Option<Fault>, request: &Request) -> Mischief {
        let mut mischief = Mischief::default();
        match fault {
            Some(Fault::Hold(point) | Fault::HoldUnanswered(point)) => {
                mischief.hold = self.holds.order(point, request)
            }
            Some(Fault::Merge) => mischief.merge = true,
            Some(Fault::Half { .. }) => mischief.half = true,
            Some(Fault::Stale { behind }) => mischief.stale = behind,
            Some(Fault::LoseMessage) => mischief.message.times = 0,
            Some(Fault::RepeatMessage { copies, apart }) => {
                mischief.message = Delivery { times: copies.saturating_add(1), apart, ..Delivery::default() };
            }
            Some(Fault::DelayMessage(first)) => mischief.message.first = first,
            _ => {}
        }
        mischief
    }

    pub(crate) fn clear(&self) {
        self.rules.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How long a request has to wait, and what then happens to it.
    pub(crate) fn decide(&self, request: &Request) -> (Duration, Option<Fault>) {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let (mut delay, mut decided) = (Duration::ZERO, None);
        for active in rules.iter().filter(|active| active.wants(request, &self.chance)) {
            match active.rule.fault {
                Fault::Delay(more) => delay = delay.saturating_add(more),
                other if decided.is_none() => decided = Some(other),
                _ => continue,
            }
            active.hits.fetch_add(1, Ordering::Relaxed);
        }
        (delay, decided)
    }
}
