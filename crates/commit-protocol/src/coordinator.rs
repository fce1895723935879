//! The coordinator: worker 0's decisions in their order, one action at a time.
//!
//! ```text
//! fence ─▶ claim ─▶ head ─▶ start row ─▶ roll forward ─▶ adopt ─▶ open ─▶ ( wait ─▶ commit )* ─▶ close
//!   names,   append, from the   append      look S, T,     logs,    empty     news    verify, intent,
//!   rename   read    same read              move           commit…  intent            move
//! ```
//!
//! A failure of any request leads to a look at the names first ([`Phase::Doubt`]), then to the look that settles this
//! request, then to a decision, which may be the same request again (invariant 13).
//!
//! One file per stage: [`fence`] (names, rename), [`append`] (rows and reading them back), [`roll`] (looks and moves),
//! [`adoption`], [`commit`] (bound, verify, intent), [`sweep`]. This file dispatches facts and holds the state.

mod adoption;
mod append;
mod commit;
mod fence;
mod roll;
mod sweep;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::action::Action;
use crate::error::Stop;
use crate::facts::{Fact, Refusal, Reply};
use crate::ids::{Epoch, ExtentId, Generation, Lineage, Nonce, StartId};
use crate::names::StagingName;
use crate::plan::Work;
use crate::rows::{Frontier, Intent, Logs, Resolution};
use crate::rules::Rules;

use append::Appended;
use fence::Fencing;

/// What a start is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Setup {
    /// Whose start.
    pub lineage: Lineage,
    /// Drawn at random for this start.
    pub nonce: Nonce,
    /// Workers of all processes together.
    pub workers: u32,
    /// Whether sources can go back to the positions of the last commit. If not, they were acknowledged at D, and a
    /// missing log stops the start.
    pub sources_replay: bool,
    /// Whether any process found local logs of this lineage.
    pub local_logs: bool,
    /// What sums over rows are over, if chunks of this start have such; kept in its start row.
    pub sums_over: Option<String>,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Most chunks of one commit; an epoch with more is still one commit. Default 1,000: their ids make a command of
    /// 40 kB and an intent row of 200 kB, below one part.
    pub chunks_per_commit: usize,
    /// How often a chunk is staged before the start stops and names it. Default 10: with the deadline of a status
    /// between them that is hours.
    pub attempts_per_chunk: u32,
    /// Demand that a chunk is one extent: for clusters where one blob may become visible in parts. Default no.
    pub one_extent_per_chunk: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { chunks_per_commit: 1000, attempts_per_chunk: 10, one_extent_per_chunk: false }
    }
}

/// What a commit is for; it decides what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Purpose {
    /// Finishes what the start before left.
    Roll,
    /// Brings in adopted epochs up to this bound.
    Adopt(Epoch),
    /// Opens the run without rows.
    Open,
    /// An ordinary commit.
    Run,
    /// Settles the last one at the end.
    Close,
}

/// What is waited for.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
enum Phase {
    /// Names, to find the staging table or to learn what a rename did.
    FenceNames(Option<Fencing>),
    /// Names, before a rename (or the first tables) that was refused for good ends this start.
    FenceRefused(Option<Fencing>, Box<Stop>),
    /// The first tables are being made; whether that failed before.
    Creating,
    /// The rename.
    Renaming(Fencing),
    /// A row.
    Appending(Appended),
    /// A read that shows it; `lost` if the append had no answer.
    Reading { what: Appended, lost: bool },
    /// Names, before anything is concluded from a failure.
    Doubt(Doubt),
    /// The first look: into S.
    LookStaging,
    /// The second look: into T.
    LookTarget(BTreeSet<ExtentId>),
    /// The looks in the wrong order, to show what the rule is for.
    #[cfg(any(test, feature = "testing"))]
    TargetFirst(Option<BTreeSet<crate::tag::Tag>>),
    /// A move.
    Moving,
    /// The logs of all processes.
    Logs,
    /// Directories.
    Preparing(Option<Box<crate::adopt::Adopted>>),
    /// Chunks with their least attempts.
    Staging(Vec<crate::facts::StagedChunk>),
    /// A listing that shows all chunks below the bound whole.
    Verifying(Epoch),
    /// News.
    Idle,
    /// Nothing: it stopped or closed.
    Ended,
}

/// What follows once the names show the own name.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
enum Doubt {
    /// Read whether the row is there.
    Row(Appended),
    /// Look what became of the move, or look again.
    Move,
    /// List again what a listing could not find.
    Verify(Epoch),
    /// The directories again.
    Prepare(Option<Box<crate::adopt::Adopted>>),
    /// The intent without rows counts.
    Empty,
    /// It is not a zombie's guess: stop.
    Stop(Box<Stop>),
}

type Next = Result<(Phase, Action), Stop>;

/// Decides about one start, from its first look at the names to the end of its run.
///
/// ```text
/// let (mut coordinator, mut action) = Coordinator::start(setup);
/// loop { action = coordinator.decide(do_it(action).await)?; }
/// ```
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Coordinator {
    setup: Arc<Setup>,
    own: Option<StagingName>,
    phase: Phase,
    /// The last intent of the valid chain.
    head: Option<Arc<Intent>>,
    /// What holds after it.
    at: Frontier,
    /// What a person decided about the head that was found; about no later intent.
    person: Option<Resolution>,
    /// The own start row is known to be there.
    started: bool,
    /// The intent in the making.
    current: Option<Arc<Intent>>,
    purpose: Purpose,
    work: Work,
    rules: Rules,
}

impl Coordinator {
    /// Begins a start.
    pub fn start(setup: Setup) -> (Coordinator, Action) {
        Coordinator::start_by(Arc::new(setup), Rules::ALL)
    }

    /// Begins a start that lacks some of its rules, to show in a test what they are for.
    #[cfg(feature = "testing")]
    pub fn start_with(setup: Setup, rules: Rules) -> (Coordinator, Action) {
        Coordinator::start_by(Arc::new(setup), rules)
    }

    pub(crate) fn start_by(setup: Arc<Setup>, rules: Rules) -> (Coordinator, Action) {
        let coordinator = Coordinator {
            setup,
            own: None,
            phase: Phase::FenceNames(None),
            head: None,
            at: Frontier::default(),
            person: None,
            started: false,
            current: None,
            purpose: Purpose::Roll,
            work: Work::default(),
            rules,
        };
        (coordinator, Action::ListNames)
    }

    /// Takes the answer to the last action and says what to do next. After an error there is nothing more to do: every
    /// later answer is [`Stop::Misuse`].
    pub fn decide(&mut self, fact: Fact) -> Result<Action, Stop> {
        let phase = std::mem::replace(&mut self.phase, Phase::Ended);
        let (phase, action) = self.dispatch(phase, fact)?;
        self.phase = phase;
        Ok(action)
    }

    fn dispatch(&mut self, phase: Phase, fact: Fact) -> Next {
        match (phase, fact) {
            (Phase::FenceNames(fencing), Fact::Names(names)) => self.fence_names(fencing, &names),
            (Phase::FenceRefused(fencing, stop), Fact::Names(names)) => {
                self.refused_names(fencing, *stop, &names)
            }
            (Phase::Creating, Fact::Replied(reply)) => self.created(reply),
            (Phase::Renaming(fencing), Fact::Replied(reply)) => self.renamed(fencing, reply),
            (Phase::Appending(what), Fact::Replied(reply)) => self.appended(what, reply),
            (Phase::Reading { what, lost }, Fact::Rows { ledger, patience }) => match ledger {
                Ok(ledger) => self.read(what, lost, &ledger, patience),
                Err(damage) => self.stop_after_look(Stop::Ledger(damage.into())),
            },
            (Phase::Doubt(doubt), Fact::Names(names)) => {
                self.hold_name(&names)?;
                self.settle(doubt)
            }
            (Phase::LookStaging, Fact::Staging { listing, .. }) => self.looked_into_staging(listing),
            (Phase::LookTarget(staged), Fact::Target(tags)) => self.looked_into_target(&staged, &tags),
            #[cfg(any(test, feature = "testing"))]
            (Phase::TargetFirst(None), Fact::Target(tags)) => {
                Ok((Phase::TargetFirst(Some(tags)), Action::ListStaging(self.name()?)))
            }
            #[cfg(any(test, feature = "testing"))]
            (Phase::TargetFirst(Some(tags)), Fact::Staging { listing, .. }) => {
                self.looked_wrongly(&tags, listing)
            }
            (Phase::Moving, Fact::Moved(moved)) => self.moved(&moved),
            (Phase::Moving, Fact::Replied(reply)) => self.not_moved(reply),
            (Phase::Logs, Fact::Logs { lists, target }) => self.adopt(&lists, &target),
            (Phase::Preparing(adopted), Fact::Replied(reply)) => self.prepared(adopted, reply),
            (Phase::Staging(asked), Fact::Staged(chunks)) => self.staged(&asked, &chunks),
            (Phase::Verifying(bound), Fact::Staging { listing, patience }) => {
                self.verify(bound, listing, patience)
            }
            (Phase::Idle, Fact::News(news)) => self.news(news),
            (Phase::Idle, Fact::Close) => self.close(),
            (phase, fact) => Err(Stop::Misuse { fact: fact.name(), asked: phase.asked() }),
        }
    }

    /// The own name is there; what was in doubt is decided by the look that belongs to it.
    fn settle(&mut self, doubt: Doubt) -> Next {
        match doubt {
            Doubt::Row(what) => Ok((Phase::Reading { what, lost: true }, Action::ReadRows)),
            Doubt::Move => self.look(),
            Doubt::Verify(bound) => Ok((Phase::Verifying(bound), Action::ListStaging(self.name()?))),
            Doubt::Prepare(adopted) => self.prepare(adopted),
            Doubt::Empty => self.committed(),
            Doubt::Stop(stop) => Err(*stop),
        }
    }

    fn doubt(&self, doubt: Doubt) -> Next {
        Ok((Phase::Doubt(doubt), Action::ListNames))
    }

    /// What a reply other than "done" leads to: a look at the names, and then `doubt` or a stop.
    fn unsettled(&self, request: &'static str, reply: Reply, doubt: Doubt) -> Next {
        match reply {
            Reply::Refused(refusal) => match lasting(request, refusal) {
                Some(stop) => self.stop_after_look(stop),
                None => self.doubt(doubt),
            },
            Reply::Done | Reply::Lost => self.doubt(doubt),
        }
    }

    fn name(&self) -> Result<StagingName, Stop> {
        self.own.ok_or(Stop::Misuse { fact: "nothing", asked: "the fence" })
    }

    fn me(&self) -> Result<StartId, Stop> {
        self.name().map(|name| name.start)
    }

    fn own_logs(&self) -> Result<Logs, Stop> {
        Ok(Logs { start: self.me()?, workers: self.setup.workers })
    }

    /// The generation of this start, once its rename is known to have taken effect.
    pub fn generation(&self) -> Option<Generation> {
        self.own.map(|name| name.start.generation)
    }

    /// The name of the staging table of this start, under which everything is staged.
    pub fn staging(&self) -> Option<StagingName> {
        self.own
    }

    /// Where this start stands: what its head covers, and from where sources would go on.
    pub fn standing(&self) -> &Frontier {
        &self.at
    }

    /// The last intent of the valid chain, as far as this start knows.
    pub fn head(&self) -> Option<&Intent> {
        self.head.as_deref()
    }
}

/// Whether a refusal is final for this start.
fn lasting(request: &'static str, refusal: Refusal) -> Option<Stop> {
    match refusal {
        Refusal::Rights { role, message } => Some(Stop::Rights { request, role, message }),
        Refusal::Other { message, patience: crate::facts::Patience::Over } => {
            Some(Stop::Refused { request, message })
        }
        Refusal::NoSuchTable | Refusal::Other { .. } => None,
    }
}

impl Phase {
    /// What is waited for, for messages.
    fn asked(&self) -> &'static str {
        match self {
            Phase::FenceNames(_) | Phase::FenceRefused(..) | Phase::Doubt(_) => "Names",
            Phase::Creating | Phase::Renaming(_) | Phase::Appending(_) | Phase::Preparing(_) => "Replied",
            Phase::Reading { .. } => "Rows",
            Phase::LookStaging | Phase::Verifying(_) => "Staging",
            Phase::LookTarget(_) => "Target",
            #[cfg(any(test, feature = "testing"))]
            Phase::TargetFirst(_) => "Target, then Staging",
            Phase::Moving => "Moved or Replied",
            Phase::Logs => "Logs",
            Phase::Staging(_) => "Staged",
            Phase::Idle => "News or Close",
            Phase::Ended => "nothing, it has ended",
        }
    }
}
