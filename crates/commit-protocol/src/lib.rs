//! The decisions of exactly once: facts in, decision and next action out.
//!
//! Nothing here reads, writes, waits, logs or knows the time. A driver performs an [`Action`], answers with a [`Fact`],
//! and gets the next action; it orders nothing itself. So every interleaving can be tried, and is (see *How it is
//! proved*).
//!
//! **What it promises.** If the driver performs what the permits allow and answers with what it saw, then each row that
//! sources hand over is in the target once: whichever processes are killed, answers lost, requests delayed or repeated,
//! and however many starts of the same pipeline run at once. Where the facts do not allow a decision, it stops with an
//! error that says what a person has to find out ([`Stop`]).
//!
//! ```text
//!        Fact                                   Action (with a permit)
//!   ┌───────────────▶ Coordinator::decide ───────────────┐
//!   │                                                    ▼
//!   │   start:  names ▸ rename ▸ claim ▸ read ▸ start row ▸ look S ▸ look T ▸ move ▸ logs ▸ … ▸ opening intent
//!   │   run:    news  ▸ list S ▸ intent ▸ move ▸ acknowledge            (three commands per commit)
//!   └──────────────────────── driver ◀───────────────────┘
//! ```
//!
//! | Question | Where |
//! |---|---|
//! | who holds the staging table S | [`Names::standing`] |
//! | what do the rows of `kt_epochs` say; which are void | [`Ledger`] |
//! | how are rows written and read | [`AppendPermit::raw`], [`Resolution::raw`], [`read_rows`] |
//! | what became of an intent | [`roll_forward`] |
//! | what is taken over from older logs | [`adopt()`] |
//! | which epochs may be committed now | [`next_bound`] |
//! | is a chunk staged whole, once | [`verify()`] |
//! | what may be dropped from S | [`classify`], [`Coordinator::sweep`] |
//! | what may be acknowledged at the seal | [`Durable`] |
//! | all of it in order | [`Coordinator`] |
//!
//! # Invariants
//! The numbers are cited by the tests; what is not here is kept by the log and by the operators.
//! 1. C ≤ S ≤ D ≤ input frontier: a commit takes nothing that some worker has not staged.
//! 2. A source is acknowledged up to the positions of a committed intent; up to D, the frontier of *all* workers, if it
//!    cannot replay.
//! 3. Nothing enters T but ids named in an intent of the valid chain.
//! 4. An intent is appended only after each of its chunks was verified in a listing: one attempt, row count equal. A
//!    superseded attempt is never accepted, even if it arrives whole.
//! 5. Valid intents form one chain: seq + 1, parent = predecessor, the cover goes on where the predecessor's ended (or
//!    began, if a person decided that it is to be staged again).
//! 6. At most one intent of the chain is unsettled, and only the head.
//! 7. An intent of the valid chain is rolled forward by every later generation, never withdrawn (but by a person).
//! 8. `kt_epochs` is read after the rename, and counts from a read that shows the own claim; intents come after the own
//!    start row.
//! 9. Every request names the own table, so that it dies with the name.
//! 10. Rows outside the valid chain never change a decision, however late they arrive.
//! 11. A run opens, and seals, after its predecessor is settled and its own opening intent committed.
//! 12. Rows moved by a commit = rows in its intent, also per epoch.
//! 13. An operation with unknown effect is followed by a look at the names, then by the look that settles it; what comes
//!     next, the same operation included, is decided from that. S is looked at before T.
//! 14. Missing evidence stops; it never counts as committed.
//! 15. What is committed depends on no order in which workers report.
//! 19. No decision depends on a clock: deadlines are facts ([`Patience`]), rows go by generation and seq.
//! 20. A commit is bounded ([`Limits`]); an epoch is never divided.
//! 21. A sweep drops only what no valid intent claims and whose generation is over, whose attempt is superseded, or whose
//!     chunk is committed through other extents; before the own start row is known it drops nothing.
//! 23. A log that somebody holds is waited for.
//!
//! # Crash points
//! "Crash": the whole cluster stops there, or is replaced while its requests are still in flight.
//!
//! | # | Durable so far | Not yet | Recovery |
//! |---|---|---|---|
//! | 1 | bodies in an open file | seal | sources replay from the positions adopted |
//! | 2 | seal on some workers | on all | adopted up to the lowest bound; the rest replays |
//! | 3 | seal on all | upload | adopt, or replay from the head |
//! | 4 | blob uploaded or queued | extents in S | staged again; late extents are swept |
//! | 5 | chunks in S | intent | as 4 |
//! | 6 | intent sent | its answer | there at the takeover → 7; not there → void, even if it lands later |
//! | 7 | intent | move | all ids in S → move |
//! | 8 | move in flight at the takeover | | the new owner moves the same ids; whoever comes second looks |
//! | 9 | move | answer | not in S, tag in T → committed |
//! | 10 | answer | acknowledgement | as 9; sources replay from the intent's positions |
//! | 11 | part of the unlinks | the rest | files below the cover are void |
//! | 12 | rename | claim, start row | the next start renames again; head unchanged |
//! | 13 | start row | opening intent | same head, same logs |
//! | 14 | roll-forward move | answer | as 9 |
//! | 15 | adopted chunks staged | adoption intent | adopted again: the head's logs still name the old start |
//! | 16 | adoption or opening intent | move, removal of logs | 7 or 9; old files are below the cover, or void |
//! | 17 | a new attempt | the old one completes late | one is claimed, the other swept |
//! | 18 | half a sweep | the rest | swept by the next start |
//!
//! # What it assumes of the service
//! No old name resolves after a rename took effect. Listings of names, S and T are strongly consistent; reads of
//! `kt_epochs` need not be, as long as they show a prefix of the rows by time. A move is atomic where all its ids are
//! there. All parts of a row appear at once. If one blob may become visible in parts, set
//! [`Limits::one_extent_per_chunk`].
//!
//! # Where exploring and writing it changed the design
//! - **A newer claim hides the own one.** A read returns the newest claim only. A start that was overtaken between its
//!   rename and its read would wait for its claim for ever. A newer claim in the answer therefore leads to a look at the
//!   names, which ends it as fenced. If they show the own name, either the own rename took effect late, after the other
//!   one's ([`Stop::LateRename`]: nothing of two starts that share a generation may count further, and the next one has a
//!   higher), or the staging table was dropped and made anew with too low a generation.
//! - **Logs carry their number of workers** ([`Logs`]). Footers say it too, but not when a directory is empty or gone;
//!   and "all its logs are here" must be decided then, too.
//! - **An intent says where it begins** (`from`), so that a chain can be checked from two rows, and after a person's
//!   decision.
//! - **"Stage again" carries the state before the intent** ([`Decision::Restage`]): cover, logs, positions of its parent.
//!   The reads of a start do not reach the parent. It is followed only if none of the intent's extents is in S and none
//!   of its tags in T; evidence counts more than a person. A decision counts for its own intent and for no later one.
//! - **A log of a worker that its start did not have stops the start.** Taken along, it would lower the bound of the
//!   adoption below what was acknowledged.
//! - **News of one run only.** A description with another generation's tag is a defect of the driver, not garbage.
//!
//! # How it is proved
//! The explorer in the tests drives the real [`Coordinator`] through all interleavings of small worlds, and a fresh start
//! is tried from every state; each rule switched off is found out. Small worlds are exhausted. Large ones are searched
//! breadth first up to a bound, and walked at random to their end. See `src/explore.rs`. The feature `testing` has the same
//! switches for rules, for tests with real requests: `tests/write_ahead/interleavings` of the crate `timely-kusto`.
//! ```text
//! cargo test -p commit-protocol --lib -- --nocapture                          seconds; prints states, depth, states/s
//! KT_EXPLORE=2000000 cargo test -p commit-protocol --lib configurations -- --nocapture --test-threads=1
//! KT_EXPLORE=deep    …                                                        20 million states per configuration
//! KT_EXPLORE=1 cargo test -p commit-protocol --lib bites                      searches what is otherwise replayed
//! KT_WALKS=100000 cargo test -p commit-protocol --lib walks -- --nocapture    more walks
//! KT_SEED=7 cargo test -p commit-protocol --lib walks                         replays one walk
//! KT_SEED=7 cargo test -p commit-protocol --lib rows                          replays one seed of the parser's fuzz
//! ```
//! It visits about 100,000 states a second on one free core and needs about half a GB for each million of them: `deep`
//! takes some four minutes and 10 GB for each of the configurations that are not exhausted before, one after the other.
//! The largest of the searches for rules left out takes 7 million states and 3 GB.
//!
//! Not modelled there: chunks of several extents, blobs visible in halves, more than two workers, changes of the worker
//! count, rows in parts, damaged files.

mod action;
mod adopt;
mod coordinator;
mod durable;
mod error;
mod evidence;
mod facts;
mod ids;
mod ledger;
mod names;
mod plan;
mod positions;
mod rows;
mod rules;
mod sweep;
mod tag;
mod verify;

pub use action::{
    AcknowledgePermit, Action, AppendPermit, CreatePermit, MovePermit, OpenPermit, PreparePermit,
    RenamePermit, StagePermit, SweepPermit,
};
pub use adopt::{
    Adopted, Adoption, Column, HeldLog, LogDirectory, LogError, LogFile, LogLists, LoggedChunk, adopt,
};
pub use coordinator::{Coordinator, Limits, Setup};
pub use durable::Durable;
pub use error::{Ambiguous, MissingChunk, MissingLogs, Stop};
pub use evidence::{RollForward, roll_forward, still_staged, to_look_for};
pub use facts::{Extent, Fact, Listing, MovedExtent, News, Patience, Refusal, Reply, StagedChunk};
pub use ids::{Attempt, Epoch, ExtentId, Generation, Lineage, Nonce, ParseIdError, Seq, StartId, Worker};
pub use ledger::{Head, Ledger, LedgerError};
pub use names::{AnchorName, InitNames, Names, StagingName, Standing};
pub use plan::next_bound;
pub use positions::{ConflictingPositions, PositionChange, Positions};
pub use rows::{
    Claim, ClaimedChunk, Decision, FORMAT, Frontier, Intent, IntentId, Logs, PART_BYTES, RawRow, Resolution,
    Row, RowError, RowKey, RowKind, RowSum, Start, read_rows,
};
#[cfg(feature = "testing")]
pub use rules::{Rule, Rules};
pub use sweep::{Dropped, Fate, Kept, SweepFacts, classify};
pub use tag::{ChunkId, Tag};
pub use verify::{Verified, verify};

#[cfg(test)]
mod explore;
