//! The fence: one start takes the staging table under a name only it knows.

use super::{Coordinator, Doubt, Next, Phase};
use crate::action::{Action, CreatePermit, RenamePermit};
use crate::coordinator::append::Appended;
use crate::error::Stop;
use crate::facts::{Refusal, Reply};
use crate::ids::StartId;
use crate::names::{AnchorName, InitNames, Names, StagingName, Standing};
use crate::rules::Rule;

/// A rename that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fencing {
    from: StagingName,
    to: StagingName,
    /// An answer was lost: one of these renames may have taken effect, or may do so yet.
    lost: bool,
}

impl Coordinator {
    /// The names after a request that was refused for good: it is why this start ends only if nobody has taken the table
    /// meanwhile, and the request did not take effect after all.
    pub(super) fn refused_names(&mut self, before: Option<Fencing>, stop: Stop, names: &Names) -> Next {
        match (before, names.standing()) {
            (None, Standing::Held(_)) => self.fence_names(None, names),
            (Some(fencing), Standing::Held(name)) if name == fencing.to => self.fenced(name),
            (Some(fencing), Standing::Held(name)) if name != fencing.from => {
                Err(Stop::Fenced { own: fencing.to.start, by: name.start })
            }
            _ => Err(stop),
        }
    }

    /// The names, at the beginning or after a rename that failed or is unknown.
    pub(super) fn fence_names(&mut self, before: Option<Fencing>, names: &Names) -> Next {
        let holder = match names.standing() {
            Standing::Held(name) => name,
            Standing::Unknown if before.is_none() => return self.create(),
            _ => return Err(self.no_table(names)),
        };
        match before {
            Some(fencing) if holder == fencing.to => self.fenced(fencing.to),
            // Whoever may have held the table and has lost it does not take over in turn.
            Some(fencing) if fencing.lost && holder != fencing.from => {
                Err(Stop::Fenced { own: fencing.to.start, by: holder.start })
            }
            Some(fencing) => self.rename(holder, fencing.lost),
            None => self.rename(holder, false),
        }
    }

    fn create(&self) -> Next {
        if self.setup.local_logs {
            return Err(Stop::UnknownLineage { lineage: self.setup.lineage.to_string() });
        }
        let names = InitNames { lineage: self.setup.lineage, nonce: self.setup.nonce };
        Ok((Phase::Creating, Action::Create(CreatePermit { names })))
    }

    /// Whoever made the tables, and whatever the answer: the names say who holds the first one.
    pub(super) fn created(&mut self, reply: Reply) -> Next {
        match reply {
            Reply::Refused(refusal @ (Refusal::Rights { .. } | Refusal::Other { .. })) => {
                match super::lasting("making the first tables", refusal) {
                    Some(stop) => Ok((Phase::FenceRefused(None, Box::new(stop)), Action::ListNames)),
                    None => Ok((Phase::FenceNames(None), Action::ListNames)),
                }
            }
            _ => Ok((Phase::FenceNames(None), Action::ListNames)),
        }
    }

    fn rename(&mut self, from: StagingName, lost: bool) -> Next {
        let generation = from.start.generation.next();
        let to = StagingName { start: StartId { generation, nonce: self.setup.nonce }, ..from };
        let fencing = Fencing { from, to, lost };
        #[cfg(any(test, feature = "testing"))]
        if !self.rules.on(Rule::RenameBeforeClaim) && self.own != Some(to) {
            self.own = Some(to);
            return self.append(Appended::Claim);
        }
        Ok((Phase::Renaming(fencing), Action::Rename(RenamePermit { from, to })))
    }

    /// The rename that comes after the claim when that rule is off.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn rename_late(&mut self) -> Next {
        Ok((Phase::FenceNames(None), Action::ListNames))
    }

    pub(super) fn renamed(&mut self, fencing: Fencing, reply: Reply) -> Next {
        let again = |lost| Ok((Phase::FenceNames(Some(Fencing { lost, ..fencing })), Action::ListNames));
        match reply {
            Reply::Done => self.fenced(fencing.to),
            Reply::Lost => again(true),
            Reply::Refused(refusal) => match super::lasting("the rename of the staging table", refusal) {
                Some(stop) => Ok((Phase::FenceRefused(Some(fencing), Box::new(stop)), Action::ListNames)),
                None => again(fencing.lost),
            },
        }
    }

    fn fenced(&mut self, to: StagingName) -> Next {
        self.own = Some(to);
        let claim_is_out = !self.rules.on(Rule::RenameBeforeClaim) || !self.rules.on(Rule::Claim);
        match claim_is_out {
            true => Ok((Phase::Reading { what: Appended::Claim, lost: false }, Action::ReadRows)),
            false => self.append(Appended::Claim),
        }
    }

    /// Fails unless the names show the own name.
    pub(super) fn hold_name(&self, names: &Names) -> Result<(), Stop> {
        let own = self.name()?;
        match names.standing() {
            Standing::Held(name) if name == own || !self.rules.on(Rule::Fence) => Ok(()),
            Standing::Held(name) => Err(Stop::Fenced { own: own.start, by: name.start }),
            _ => Err(self.no_table(names)),
        }
    }

    fn no_table(&self, names: &Names) -> Stop {
        let lineage = self.setup.lineage;
        match names.standing() {
            Standing::Several(all) => Stop::SeveralStaging { names: all.to_vec() },
            Standing::AnchorGone => {
                Stop::AnchorGone { expected: AnchorName(lineage).to_string(), staging: names.staging[0] }
            }
            _ => Stop::StagingGone {
                expected: self.own.map_or(format!("kt_stage_{lineage}_*"), |name| name.to_string()),
            },
        }
    }

    /// A stop that needs a person, reported only if this start still holds the table; otherwise it is fenced and its
    /// view of things is stale.
    pub(super) fn stop_after_look(&self, stop: Stop) -> Next {
        match self.rules.on(Rule::LookBeforeStop) {
            true => self.doubt(Doubt::Stop(Box::new(stop))),
            false => Err(stop),
        }
    }
}
