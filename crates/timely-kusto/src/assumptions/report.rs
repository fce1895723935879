//! Answers, for people and for programs.

use std::fmt;

use serde::Serialize;

/// What an answer means for the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The promise holds.
    Holds,
    /// The promise holds, and something is slower or dearer than it could be.
    Costs,
    /// Nothing was found out.
    Unanswered,
    /// The promise does not hold on this cluster.
    Breaks,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Holds => "holds",
            Verdict::Costs => "costs",
            Verdict::Unanswered => "UNANSWERED",
            Verdict::Breaks => "BREAKS",
        })
    }
}

/// The answer to one question.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The question's name, such as `move-of-what-is-gone`.
    pub name: &'static str,
    /// The question.
    pub asks: &'static str,
    /// What the answer means for the promise, in a word.
    pub verdict: Verdict,
    /// What the cluster did.
    pub found: String,
    /// What that means for the write-ahead mode, or for SinkV2.
    pub means: &'static str,
    /// What was seen: counts, times, the service's words.
    pub evidence: Vec<String>,
    /// How long it took to find out.
    pub seconds: f64,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10}  {}", self.verdict, self.asks)?;
        writeln!(f, "{:<10}  {}", "", self.found)?;
        for line in &self.evidence {
            writeln!(f, "{:<10}    - {line}", "")?;
        }
        writeln!(f, "{:<10}  {}", "", self.means)
    }
}

/// All answers of a cluster.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The database that was asked in.
    pub database: String,
    /// One answer a question, in order.
    pub answers: Vec<Answer>,
    /// Tables that could not be dropped, and have to be by hand.
    pub left_behind: Vec<String>,
}

impl Report {
    /// The worst of the verdicts.
    pub fn verdict(&self) -> Verdict {
        self.answers.iter().map(|answer| answer.verdict).max().unwrap_or(Verdict::Unanswered)
    }

    /// The answer to the question `name`.
    pub fn answer(&self, name: &str) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.name == name)
    }

    /// The command that drops what was left behind.
    pub fn clean_up_command(&self) -> Option<String> {
        let names = self.left_behind.join(", ");
        (!names.is_empty()).then(|| format!(".drop tables ({names}) ifexists"))
    }
}

/// The closing lines: how many answers of each kind, and what to do.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |verdict| self.answers.iter().filter(|answer| answer.verdict == verdict).count();
        writeln!(
            f,
            "{} questions: {} hold, {} cost, {} break, {} unanswered",
            self.answers.len(),
            count(Verdict::Holds),
            count(Verdict::Costs),
            count(Verdict::Breaks),
            count(Verdict::Unanswered),
        )?;
        f.write_str(match self.verdict() {
            Verdict::Holds | Verdict::Costs => "What exactly once leans on holds on this cluster.\n",
            Verdict::Unanswered => "Ask again before you rely on exactly once.\n",
            Verdict::Breaks => "Do not rely on exactly once on this cluster; please report the answers.\n",
        })?;
        match self.clean_up_command() {
            Some(command) => {
                writeln!(f, "Tables could not be dropped; run in {}: {command}", self.database)
            }
            None => Ok(()),
        }
    }
}
