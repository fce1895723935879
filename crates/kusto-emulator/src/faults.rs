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
//! | `Refuse` | none | the connection closes without an answer |
//! | `LoseAnswer` | yes | the connection closes without an answer |
//! | `FailAfter` | yes | an error in the form of the endpoint |
//! | `Truncate` | yes | the head and the first bytes of the answer, then the connection closes |
//! | `Delay` | as without it | the same, later on the emulator's clock |

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::requests::{Endpoint, Request};
use crate::seed::Chance;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Answered with this status before anything happens.
    Fail {
        /// An HTTP error status.
        status: u16,
        /// Sent as `Retry-After`, in whole seconds.
        retry_after: Option<Duration>,
    },
    /// Refused for load before anything happens: 429 by the cluster, 503 `ServerBusy` by storage.
    Throttle {
        /// Sent as `Retry-After`, in whole seconds.
        retry_after: Option<Duration>,
    },
    /// The connection is closed before anything happens.
    Refuse,
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
    /// The request waits this long on the emulator's clock before anything happens.
    Delay(Duration),
}

/// Which requests are hit, and with what.
#[derive(Debug, Clone)]
pub struct FaultRule {
    endpoint: Endpoint,
    operation: Option<String>,
    scope: Option<String>,
    principal: Option<String>,
    skip: u64,
    times: u64,
    probability: f64,
    fault: Fault,
}

impl FaultRule {
    /// Hits every request to `endpoint`.
    pub fn new(endpoint: Endpoint, fault: Fault) -> Self {
        Self {
            endpoint,
            operation: None,
            scope: None,
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
            && self.principal.as_ref().is_none_or(|part| lower(&request.principal).contains(&lower(part)))
    }
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
}

impl Faults {
    pub(crate) fn new(chance: Chance) -> Self {
        Self { rules: RwLock::default(), chance }
    }

    pub(crate) fn add(&self, rule: FaultRule) -> FaultHits {
        let hits = Arc::<AtomicU64>::default();
        let active = Active { rule, seen: AtomicU64::new(0), hits: Arc::clone(&hits) };
        self.rules.write().unwrap_or_else(PoisonError::into_inner).push(active);
        FaultHits(hits)
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
