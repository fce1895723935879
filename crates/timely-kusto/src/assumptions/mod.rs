//! Questions to a cluster: what exactly once leans on, and nobody has written down.
//!
//! The service is closed source, and some of what the commit rests on is not documented. [`ask`] puts
//! each such question to a real cluster, in tables of its own, and says what the answer means for the promise. The same
//! questions are put to the local cluster in the tests, with each of its switches both ways.
//!
//! ```text
//! ask ──► a question at a time ──► Desk: tables kt_ask_<nonce>_<n>, blobs, looks ──► Answer (verdict, found, means, evidence)
//!      └► at the end, at an error, at a stop: every table of the nonce is dropped
//! ```
//!
//! 1. Nothing is touched but tables whose names hold a nonce of this call; all of them are dropped at the end.
//! 2. A question that could not be asked is [`Verdict::Unanswered`] and never counts as held.
//! 3. What passes by itself (throttling, a lost connection before anything happened) is repeated a few times.
//! 4. Each question ends: by an answer, or when its time is over ([`AskOptions`]).
//!
//! The principal needs Database User (it creates tables, and is then their admin) and the right to ingest into them.

mod contents;
mod desk;
mod direct;
mod ingestion;
mod moves;
mod names;
mod reads;
mod report;

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use kusto_client::{Result, Service};

use self::desk::Desk;
pub use self::report::{Answer, Report, Verdict};

/// How long and how much is tried.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AskOptions {
    /// How long a queued blob may take until its status is final. Default: 10 minutes, twice the time that the service
    /// batches for by default.
    pub ingestion_deadline: Duration,
    /// How long to go on looking at what should change soon, such as an old name. Default: one minute.
    pub grace: Duration,
    /// Rows of the blob that is watched while it becomes visible. Default: 500,000, about 20 MB.
    pub blob_rows: u32,
    /// Extents of the move that is timed. Default: 32.
    pub extents: u32,
    /// The questions to put, by name ([`questions`]); all of them if empty, which is the default.
    pub only: Vec<String>,
}

impl Default for AskOptions {
    fn default() -> Self {
        AskOptions {
            ingestion_deadline: Duration::from_secs(600),
            grace: Duration::from_secs(60),
            blob_rows: 500_000,
            extents: 32,
            only: Vec::new(),
        }
    }
}

/// What was seen, and what it means.
#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    found: String,
    means: &'static str,
    evidence: Vec<String>,
}

impl Finding {
    fn new(verdict: Verdict, found: impl Into<String>, means: &'static str) -> Self {
        Finding { verdict, found: found.into(), means, evidence: Vec::new() }
    }

    fn with_evidence(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }
}

type Ask = for<'a> fn(&'a Desk<'a>) -> BoxFuture<'a, Result<Finding>>;

/// A question: its name, its words, and how it is put.
struct Question {
    name: &'static str,
    asks: &'static str,
    ask: Ask,
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "old-name-in-commands",
        asks: "Does an old name lead anywhere once the rename has returned?",
        ask: |desk| names::old_name(desk).boxed(),
    },
    Question {
        name: "request-on-its-way",
        asks: "What does a request do that resolved a name before the rename?",
        ask: |desk| names::request_on_its_way(desk).boxed(),
    },
    Question {
        name: "names-in-ingestion",
        asks: "How long does queued ingestion need to learn a renamed table?",
        ask: |desk| names::ingestion_learns(desk).boxed(),
    },
    Question {
        name: "one-table-a-name",
        asks: "Are a creation and a rename onto an existing name without effect, and a rename all or nothing?",
        ask: |desk| names::one_table_a_name(desk).boxed(),
    },
    Question {
        name: "moved-evidence",
        asks: "Do tags survive a move, and does its answer list every extent?",
        ask: |desk| moves::evidence(desk).boxed(),
    },
    Question {
        name: "move-of-what-is-gone",
        asks: "What does a move do when a listed extent is gone?",
        ask: |desk| moves::some_gone(desk).boxed(),
    },
    Question {
        name: "move-cost",
        asks: "What does a move of many extents cost, with and without a new ingestion time?",
        ask: |desk| moves::cost(desk).boxed(),
    },
    Question {
        name: "fresh-reads",
        asks: "Do queries and listings show at once what a command has written?",
        ask: |desk| reads::fresh(desk).boxed(),
    },
    Question {
        name: "long-values",
        asks: "Does a string of 512 KiB come back whole?",
        ask: |desk| reads::long_value(desk).boxed(),
    },
    Question {
        name: "row-hash",
        asks: "Are values of each type read and written as the hash of rows expects?",
        ask: |desk| contents::texts(desk).boxed(),
    },
    Question {
        name: "blob-at-once",
        asks: "Does a queued blob become visible at once, and in how many extents?",
        ask: |desk| ingestion::at_once(desk).boxed(),
    },
    Question {
        name: "flush",
        asks: "How long does a flushed blob with a tag take where batches wait for 5 minutes?",
        ask: |desk| ingestion::flush(desk).boxed(),
    },
    Question {
        name: "failed-blob",
        asks: "Does a blob that fails leave rows behind?",
        ask: |desk| ingestion::bad_line(desk).boxed(),
    },
    Question {
        name: "blob-twice",
        asks: "Is a blob that is queued twice ingested twice?",
        ask: |desk| ingestion::twice(desk).boxed(),
    },
    Question {
        name: "gzip-members",
        asks: "Is a gzip blob of several members read to the end?",
        ask: |desk| ingestion::gzip_members(desk).boxed(),
    },
    Question {
        name: "direct-ingestion",
        asks: "Are rows of `.ingest into` there, with their tag, when it answers, and does it tell of errors?",
        ask: |desk| direct::answers(desk).boxed(),
    },
    Question {
        name: "ingest-if-not-exists",
        asks: "Is the check of ingestIfNotExists atomic?",
        ask: |desk| ingestion::if_not_exists(desk).boxed(),
    },
];

/// The questions: name and words.
pub fn questions() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    QUESTIONS.iter().map(|question| (question.name, question.asks))
}

/// Puts every question to the cluster, one after the other, and tells each answer to `progress` as it comes. When
/// `stop` ends first, the rest is left unanswered. In every case the tables are dropped before this returns; those that
/// could not be dropped are named in the report.
///
/// # Errors
/// When the first table cannot be made: no connection, no sign-in, no such database, not the right to create tables.
pub async fn ask(
    service: &dyn Service,
    database: &str,
    options: &AskOptions,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(&Answer),
) -> Result<Report> {
    let desk = Desk::new(service, database, options);
    desk.table("first").await?;
    let mut answers = Vec::with_capacity(QUESTIONS.len());
    let mut stop = pin!(stop);
    let mut stopped = false;
    let wanted = |question: &&Question| {
        options.only.is_empty() || options.only.iter().any(|name| name == question.name)
    };
    for question in QUESTIONS.iter().filter(wanted) {
        let started = Instant::now();
        let finding = if stopped {
            None
        } else {
            match select((question.ask)(&desk), &mut stop).await {
                Either::Left((finding, _)) => Some(finding),
                Either::Right(_) => None,
            }
        };
        stopped = finding.is_none();
        let answer = answer(question, finding, started.elapsed());
        progress(&answer);
        answers.push(answer);
    }
    let left_behind = desk.clean_up().await;
    Ok(Report { database: database.to_owned(), answers, left_behind })
}

fn answer(question: &Question, finding: Option<Result<Finding>>, took: Duration) -> Answer {
    let unanswered = |found| Finding::new(Verdict::Unanswered, found, "Nothing can be said: ask again.");
    let finding = match finding {
        Some(Ok(finding)) => finding,
        Some(Err(error)) => unanswered(format!("it could not be asked: {error}")),
        None => unanswered("stopped before it was answered".to_owned()),
    };
    Answer {
        name: question.name,
        asks: question.asks,
        verdict: finding.verdict,
        found: finding.found,
        means: finding.means,
        evidence: finding.evidence,
        seconds: took.as_secs_f64(),
    }
}
