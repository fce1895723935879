//! WriteAheadSink: rows of a dataflow into a Kusto table, exactly once, epoch by epoch.
//!
//! ```text
//!          ┌──────────────── every worker ─────────────────┐   ┌─ worker 0 ─┐
//! rows ──▶ LOG ── files ──▶ STAGE ── descriptions ──────────▶  COMMIT ──▶ C ──▶ TRIM (every worker)
//! positions ┘ │ D: sealed     │ S: by status                    │ ▲           unlinks, counts
//!             ▼               ▼                                  ▼ │
//!        epoch files      blobs, S                            driver ◀──▶ coordinator (decides)
//!        (scribe thread)  (tasks)                                │
//!                                                                ▼
//!                                                        kt_epochs, .move extents S → T
//! ```
//! A row goes straight: encoded, compressed, into an epoch file on the local disk, from there into the staging table S, and
//! by one atomic move, with all others of its epoch, into the target. Encoding, chunks, compression, upload, queue and
//! status are those of [`SinkV2`](crate::SinkV2). What is committed, and what a start takes over, is decided by the crate
//! `commit-protocol` from facts; durability is the matter of `epoch-log`.
//!
//! # What it promises
//! Whatever is killed, and whenever, and however many starts of one pipeline run at once: the table has each row once that
//! the sources hand over, provided that they go on at the positions that [`WriteAheadSink::resume`] returns, with the
//! epoch that it returns. The rows of an epoch become visible at once. Where facts do not allow a decision, the sink stops
//! with an error that says what a person has to find out. The numbered invariants stand in the documentation of those two
//! crates; those that are kept here:
//!
//! - **1** C ≤ S ≤ D ≤ input frontier: each operator holds a capability for what it has not handed on.
//! - **2** Sources are acknowledged behind C, whose positions are in a committed intent. Behind C is safe for any source; one
//!   that cannot replay may be acknowledged behind D, the frontier of all workers ([`Clocks::durable`]), if that was declared
//!   ([`WriteAheadOptions::sources_replay`]). A start that lacks its logs then stops and names them.
//! - **9** Every request names the table of the own start, so that it dies with the name.
//! - **11** Nothing is sealed before the opening intent is committed: operators exist only after the start is over.
//! - **17** After a failed write the process ends; after a full disk it goes on.
//! - **19** Deadlines are facts to the coordinator; none decides what is committed.
//! - **20** Memory, bytes of epoch files, sealed epochs, chunks being staged have limits: [`WriteAheadHandle::is_full`].
//! - **22** Nothing that waits for a commit holds up D: log, stage and commit are operators of their own.
//!
//! # A start
//! [`WriteAheadSink::open`] is called on every worker before anything else. Workers talk by a small dataflow of its own
//! (`bus.rs`); worker 0's driver looks at the rights, fences older starts, finishes what they left, adopts their epoch
//! files, and opens the run; then `open` returns on all workers alike, or fails on all alike.
//!
//! # Where things are
//! | File | What |
//! |---|---|
//! | `sink.rs` | [`WriteAhead`], the process's part; [`WriteAheadSink`], a worker's |
//! | `bus.rs`, `message.rs`, `agent.rs` | how workers talk, what they say, what each does |
//! | `driver.rs`, `driver/` | performs actions, answers with facts: requests, all workers' parts, the run, pauses |
//! | `service/` | commands and queries: rights, tables, `kt_epochs`, extents |
//! | `log.rs`, `scribe.rs` | LOG, and the thread that writes its files |
//! | `stage.rs`, `staging.rs`, `shelf.rs` | STAGE, a chunk's attempts, where bodies are |
//! | `early.rs` | uploads of bodies whose epoch is still open |
//! | `epoch_chunks.rs` | how many chunks an epoch has, and how large they get |
//! | `commit.rs`, `trim.rs` | COMMIT, and what follows C on every worker |
//! | `pressure.rs`, `standing.rs` | limits, and what the sink waits for in words; how far it is, for who watches |
//! | `operator.rs`, `handle.rs` | what users call and hold |
//! | `init.rs` | the first tables, without a run |
//! | `collections/` | differential collections: what rows they are, and what reads them |
//! | `survey.rs`, `audit.rs`, `contents.rs` | what stands in the service, for people; rows promised beside rows in the table, by number and by hash |
//! | `resolve.rs` | a person's decision about an intent that left no evidence |
//! | `failpoint.rs` | places to die at, for tests |
//! | `guards.rs` | rules that a test leaves out, to show what each is for |
//!
//! # Where it leaves the design
//! - A queue post with unknown outcome is repeated under its tag after a look at its status, as in SinkV2. If both are
//!   ingested, the listing shows too many rows and the chunk is staged anew, under another tag.
//! - Staging waits out an outage of the service for as long as it takes, since the rows are on disk. The number of attempts
//!   is bounded where the listing contradicts the status.
//! - A rename that took effect late, when another start had taken the table, ends the late start with exit code 1, so that a
//!   supervisor starts it again with a generation of its own: it holds the table, and the other start ends as fenced.
//! - An epoch has at most [`WriteAheadOptions::CHUNKS_PER_EPOCH`] chunks, since its intent and its move are one command each:
//!   they get larger as it comes near.
//! - A stop may end before the last commit ([`WriteAheadHandle::give_up`]): what is sealed is left to the next start.
//! - Rows whose fields have no names (tuples) are logged with the columns that the target has at the start, in their order.
//!   JSON rows without names are logged without columns: a later start cannot tell whether they still fit.
//! - Rows of collections carry their epoch as `_kt_time`, not the time: nothing finer becomes visible.
//! - Chunks are closed by size or by the end of their epoch; `batch_interval` is not used.
//! - The staging table gets the target's columns and their encoding policies at every start, not only before an adoption.
//! - Epochs without rows or positions are committed at most once a second.

mod agent;
mod audit;
mod bus;
mod collections;
mod commit;
mod contents;
mod driver;
mod early;
mod epoch_chunks;
mod error;
pub(crate) mod failpoint;
mod guards;
mod handle;
mod init;
mod log;
mod message;
mod names;
mod operator;
mod options;
mod pressure;
mod process;
mod resolve;
mod scribe;
mod service;
mod shelf;
mod sink;
mod stage;
mod staging;
mod standing;
mod survey;
mod trim;

pub use audit::{Audit, EpochAudit, EpochState, LoggedRows, SumAudit};
pub use collections::{CollectionWrittenAhead, Reader, ReaderMade};
pub use error::WriteAheadError;
/// Places where a process dies on request.
pub mod failpoints {
    pub use super::failpoint::{COMMITTING, START_STEPS, STARTING, STEPS, places};
}
pub use handle::{WriteAheadHandle, WriteAheadLimits};
pub use init::Initialized;
pub use log::PositionAt;
pub use operator::{Clocks, EncodedRowsWrittenAhead, RowsWrittenAhead};
pub use options::{Deadlines, Staging, WriteAheadOptions};
pub use pressure::Pause;
pub use resolve::{Undecided, Verdict};
pub use sink::{Resume, WriteAhead, WriteAheadSink};
pub use standing::WriteAheadState;
