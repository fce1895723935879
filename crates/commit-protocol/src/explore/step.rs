//! One step of the world, and its words.

use std::fmt;

use super::extents::Staged;

/// What happens. Starts are numbered from 0 in the order in which they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Begins { start: usize, host: u8 },
    Resolves { start: usize, what: What },
    TakesEffect { start: usize, what: What, again: bool },
    NoEffect { start: usize, what: What },
    AnswerLost { start: usize },
    IngestionResolves { staged: Staged },
    Lands { staged: Staged, again_later: bool },
    Names { start: usize },
    Reads { start: usize, seen: usize, of: usize },
    ReadsWithout { start: usize },
    ReadsNewerClaim { start: usize },
    LooksIntoStaging { start: usize, patient: bool },
    LooksIntoTarget { start: usize },
    ListsLogs { start: usize },
    Killed { start: usize },
    Removes { start: usize, worker: usize },
    Seals { start: usize, worker: usize, epoch: usize, upto: u8 },
    Commits { start: usize, bound: usize },
    PostsAgain { start: usize, worker: usize, epoch: usize },
    Closes { start: usize },
    Sweeps { start: usize },
    DiskLost { host: u8, worker: usize },
    DroppedByHand,
    DecidedByHand { seq: u64 },
}

/// Which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Create,
    Rename(usize),
    Claim,
    StartRow,
    Intent(u64),
    Move,
    Drop,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Create => write!(f, "making of the first tables"),
            What::Rename(super::world::INIT) => write!(f, "rename of init's name"),
            What::Rename(from) => write!(f, "rename of start {from}'s name"),
            What::Claim => write!(f, "claim row"),
            What::StartRow => write!(f, "start row"),
            What::Intent(seq) => write!(f, "intent row {seq}"),
            What::Move => write!(f, "move"),
            What::Drop => write!(f, "drop"),
        }
    }
}

fn chunk(staged: &Staged) -> String {
    let Staged { start, worker, epoch, attempt, delivery } = staged;
    let copy = if *delivery == 1 { ", second delivery" } else { "" };
    format!("epoch {epoch} of worker {worker}, staged by start {start} (attempt {attempt}{copy})")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Begins { start, host: 0 } => write!(f, "start {start} begins"),
            Step::Begins { start, host } => write!(f, "start {start} begins on hosts {host}"),
            Step::Resolves { start, what } => write!(f, "the {what} of start {start} resolves its table"),
            Step::TakesEffect { start, what, again: false } => {
                write!(f, "the {what} of start {start} takes effect")
            }
            Step::TakesEffect { start, what, again: true } => {
                write!(f, "the {what} of start {start} lands again")
            }
            Step::NoEffect { start, what } => write!(f, "the {what} of start {start} is refused"),
            Step::AnswerLost { start } => write!(f, "start {start} loses an answer"),
            Step::IngestionResolves { staged } => {
                write!(f, "the message for {} resolves its table", chunk(staged))
            }
            Step::Lands { staged, again_later: false } => write!(f, "{} lands", chunk(staged)),
            Step::Lands { staged, again_later: true } => {
                write!(f, "{} lands, and will be delivered again", chunk(staged))
            }
            Step::Names { start } => write!(f, "start {start} looks at the names"),
            Step::Reads { start, seen, of } => write!(f, "start {start} reads {seen} of {of} rows"),
            Step::ReadsWithout { start } => write!(f, "start {start} reads and does not see its row yet"),
            Step::ReadsNewerClaim { start } => {
                write!(f, "start {start} reads and sees the claim of a newer start")
            }
            Step::LooksIntoStaging { start, patient: true } => write!(f, "start {start} looks into S"),
            Step::LooksIntoStaging { start, patient: false } => {
                write!(f, "start {start} looks into S and is out of patience")
            }
            Step::LooksIntoTarget { start } => write!(f, "start {start} looks into T"),
            Step::ListsLogs { start } => write!(f, "start {start} lists the logs"),
            Step::Killed { start } => write!(f, "the processes of start {start} end, their logs are free"),
            Step::Removes { start, worker } => {
                write!(f, "worker {worker} of start {start} removes older logs")
            }
            Step::Seals { start, worker, epoch, upto } => {
                write!(f, "worker {worker} of start {start} seals epoch {epoch} up to offset {upto}")
            }
            Step::Commits { start, bound } => {
                write!(f, "start {start} learns that all below {bound} is staged")
            }
            Step::PostsAgain { start, worker, epoch } => {
                write!(f, "worker {worker} of start {start} posts epoch {epoch} again")
            }
            Step::Closes { start } => write!(f, "start {start} closes"),
            Step::Sweeps { start } => write!(f, "start {start} sends a sweep"),
            Step::DiskLost { host, worker } => {
                write!(f, "the disk of worker {worker} on hosts {host} is lost")
            }
            Step::DecidedByHand { seq } => {
                write!(f, "a person records that intent {seq} is to be staged again")
            }
            Step::DroppedByHand => write!(f, "a person drops claimed extents from S"),
        }
    }
}
