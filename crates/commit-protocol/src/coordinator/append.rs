//! Rows: appended, and read back when the answer is lost.

use std::sync::Arc;

use super::{Coordinator, Doubt, Next, Phase};
use crate::action::{Action, AppendPermit};
use crate::error::Stop;
use crate::facts::{Patience, Reply};
use crate::ledger::{Head, Ledger, LedgerError};
use crate::rows::{Claim, Row, Start};
use crate::rules::Rule;

/// Which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Appended {
    Claim,
    Start,
    Intent,
}

impl Coordinator {
    fn row(&self, what: Appended) -> Result<Row, Stop> {
        let by = self.me()?;
        Ok(match (what, &self.current) {
            (Appended::Claim, _) => Row::Claim(Claim { by }),
            (Appended::Intent, Some(intent)) => Row::Intent(Arc::clone(intent)),
            (Appended::Start | Appended::Intent, _) => {
                let head = self.head.as_ref().map(|head| head.id);
                Row::Start(Start { by, head, sums_over: self.setup.sums_over.clone() })
            }
        })
    }

    pub(super) fn append(&mut self, what: Appended) -> Next {
        let permit = AppendPermit { lineage: self.setup.lineage, row: self.row(what)? };
        Ok((Phase::Appending(what), Action::Append(permit)))
    }

    pub(super) fn appended(&mut self, what: Appended, reply: Reply) -> Next {
        match (reply, what) {
            #[cfg(any(test, feature = "testing"))]
            (Reply::Done, Appended::Claim) if !self.rules.on(Rule::RenameBeforeClaim) => self.rename_late(),
            // The head must come from a read that shows the claim: an answer is not enough.
            (Reply::Done, Appended::Claim) => Ok((Phase::Reading { what, lost: false }, Action::ReadRows)),
            (Reply::Done, Appended::Start) => self.start_row_is_there(),
            (Reply::Done, Appended::Intent) => self.intent_is_there(),
            (reply, what) => self.unsettled("appending a row to kt_epochs", reply, Doubt::Row(what)),
        }
    }

    /// A read that should show the row.
    pub(super) fn read(&mut self, what: Appended, lost: bool, ledger: &Ledger, patience: Patience) -> Next {
        let row = self.row(what)?;
        let shown = match ledger.shows(&row) {
            Ok(shown) => shown || what == Appended::Claim && !self.rules.on(Rule::Claim),
            Err(conflict) => return self.stop_after_look(Stop::Ledger(conflict)),
        };
        match (shown, what) {
            (_, Appended::Claim) if ledger.newer_than(row.key().start).is_some() => self.overtaken(ledger),
            (true, Appended::Claim) => self.take_head(ledger, patience),
            (true, Appended::Start) => self.start_row_is_there(),
            (true, Appended::Intent) => self.intent_is_there(),
            (false, _) if lost => self.append(what),
            (false, _) => self.read_again(patience, row.key().to_string()),
        }
    }

    /// There are rows of a newer start (its claim hides the own one, as a read returns the newest only). They were appended
    /// after it renamed the table: the names will show that this start is fenced, or that the own rename took effect late,
    /// or that somebody made the table anew.
    fn overtaken(&self, ledger: &Ledger) -> Next {
        let own = self.me()?;
        let newest = ledger.newer_than(own).unwrap_or(own);
        self.stop_after_look(match newest.generation == own.generation {
            true => Stop::LateRename { own, other: newest },
            false => Stop::Ledger(LedgerError::NewerStart { own, newest }),
        })
    }

    fn read_again(&self, patience: Patience, row: String) -> Next {
        match patience {
            Patience::Left => Ok((Phase::Reading { what: Appended::Claim, lost: false }, Action::ReadRows)),
            Patience::Over => self.stop_after_look(Stop::NotVisible { row }),
        }
    }

    /// The head comes from the same read that shows the claim: what it does not show was not there before the rename.
    fn take_head(&mut self, ledger: &Ledger, patience: Patience) -> Next {
        let head = match ledger.head_by(self.rules) {
            Ok(Head::NotYetVisible(id)) => return self.read_again(patience, id.to_string()),
            Ok(Head::Intent(head)) => Some(head),
            Ok(Head::None) => None,
            Err(contradiction) => return self.stop_after_look(Stop::Ledger(contradiction)),
        };
        let id = head.as_ref().map(|head| head.id);
        self.person = id.and_then(|id| ledger.resolution(id)).cloned();
        self.head = head;
        match self.rules.on(Rule::StartRows) {
            true => self.append(Appended::Start),
            false => self.start_row_is_there(),
        }
    }

    fn start_row_is_there(&mut self) -> Next {
        self.started = true;
        self.roll_forward()
    }
}
