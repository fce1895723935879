//! Actions that all workers take part in.

use std::collections::BTreeSet;

use commit_protocol::{
    Attempt, Column, Coordinator, Fact, HeldLog, LogDirectory, LogLists, PreparePermit, Reply, StagePermit,
    StartId,
};

use super::{Driver, Heard};
use crate::write_ahead::WriteAheadError;
use crate::write_ahead::message::{Answer, Order};

/// What is asked first, as a kind of request.
const RIGHTS: &str = "looking at the rights";

impl Driver {
    /// Waits until all workers are there; whether any process has logs.
    pub(super) async fn gather(&mut self) -> Result<bool, WriteAheadError> {
        let (mut workers, mut logs) = (BTreeSet::new(), false);
        while workers.len() < self.peers {
            let there = workers.len();
            self.process.pressure.say(format!("the workers: {there} of {} are there", self.peers));
            match self.hear(None).await? {
                Heard::Hello { process, worker, local_logs } => {
                    workers.insert(worker);
                    self.processes.insert(process);
                    logs |= local_logs;
                }
                _ => continue,
            }
        }
        self.process.pressure.say("");
        Ok(logs)
    }

    pub(super) async fn rights(&mut self) -> Result<(), WriteAheadError> {
        let mut attempts = 0;
        loop {
            match self.process.desk.check_rights().await {
                Err(WriteAheadError::Service { source, .. })
                    if source.is_transient() && !self.process.is_over() =>
                {
                    self.process.pressure.stalled(RIGHTS, &source);
                    self.pace.again(attempts, source.retry_after()).await;
                    attempts += 1;
                }
                checked => {
                    self.process.pressure.moving(RIGHTS);
                    return checked;
                }
            }
        }
    }

    /// The next thing that is said; troubles of workers end here.
    pub(super) async fn hear(&mut self, own: Option<StartId>) -> Result<Heard, WriteAheadError> {
        loop {
            match self.heard.recv().await.ok_or(WriteAheadError::Ended)? {
                Heard::Suspect => self.hold_name(own).await?,
                Heard::Trouble { told, look } => {
                    if look {
                        self.hold_name(own).await?;
                    }
                    return Err(told.into());
                }
                other => return Ok(other),
            }
        }
    }

    /// Gives an order and collects the answers of all workers.
    async fn ask(
        &mut self,
        order: Order,
        own: Option<StartId>,
        doing: &str,
    ) -> Result<Vec<Answer>, WriteAheadError> {
        let id = self.order(order);
        let (mut answers, mut from) = (Vec::new(), BTreeSet::new());
        while answers.len() < self.peers {
            if self.processes.len() > 1 {
                let (there, all) = (from.len(), self.processes.len());
                self.process.pressure.say(format!("{doing}: {there} of {all} processes have answered"));
            }
            match self.hear(own).await? {
                Heard::Answer { id: of, process, answer } if of == id => {
                    from.insert(process);
                    match answer {
                        Answer::Failed(told) => {
                            self.hold_name(own).await?;
                            return Err(told.into());
                        }
                        answer => answers.push(answer),
                    }
                }
                Heard::News(news) => self.take_in(news),
                Heard::End => self.ended = true,
                _ => {}
            }
        }
        if self.processes.len() > 1 {
            self.process.pressure.say("");
        }
        Ok(answers)
    }

    /// Lists the logs of all processes.
    pub(super) async fn list_logs(&mut self, coordinator: &Coordinator) -> Result<Fact, WriteAheadError> {
        let own = own(coordinator);
        let target = self.target_columns().await?;
        let (mut directories, mut held): (Vec<LogDirectory>, Vec<HeldLog>) = (Vec::new(), Vec::new());
        for answer in self.ask(Order::ListLogs, own, "listing epoch files").await? {
            if let Answer::Logs { directories: here, held: there } = answer {
                directories.extend(here.into_iter().map(LogDirectory::from));
                held.extend(there.into_iter().map(HeldLog::from));
            }
        }
        // Processes of one host that share a state directory: one of them holds what the other cannot have.
        let ours =
            |log: &HeldLog| directories.iter().any(|dir| (dir.start, dir.worker) == (log.start, log.worker));
        held.retain(|log| !ours(log));
        let counting = coordinator.standing().logs.map(|logs| logs.start);
        match held.iter().find(|log| Some(log.start) == counting) {
            Some(log) => {
                let waits = format!(
                    "waiting for {}, which holds epoch files that count: end it if it is stopped",
                    log.holder
                );
                if self.waits != waits {
                    tracing::warn!("{waits}");
                    self.waits.clone_from(&waits);
                }
                self.process.pressure.say(waits);
            }
            None => self.process.pressure.say(""),
        }
        Ok(Fact::Logs { lists: LogLists { directories, held }, target })
    }

    /// Makes the directories of the run, and gives the staging table the target's columns and their encoding policies.
    pub(super) async fn prepare(
        &mut self,
        coordinator: &Coordinator,
        permit: &PreparePermit,
    ) -> Result<Fact, WriteAheadError> {
        if let Some(staging) = coordinator.staging() {
            // Also where nothing is adopted: the target may have got columns since the last start.
            let aligned = self.process.desk.align(staging).await;
            let left = match self.replied("altering the staging table", aligned).await {
                Ok((columns, left)) => {
                    self.columns = Some(columns);
                    left
                }
                Err(reply) => return Ok(Fact::Replied(reply)),
            };
            if !left.is_empty() && self.process.options.expects_long_values() {
                self.hold_name(own(coordinator)).await?;
                return Err(WriteAheadError::Encoding { columns: left.join(", ") });
            }
        }
        let order = Order::Prepare { start: permit.start() };
        self.ask(order, own(coordinator), "making directories for epoch files").await?;
        Ok(Fact::Replied(Reply::Done))
    }

    /// Stages chunks of sealed files, wherever these are.
    pub(super) async fn stage(&mut self, permit: &StagePermit) -> Result<Fact, WriteAheadError> {
        let (into, asked) = (permit.into_table(), permit.chunks());
        let epochs: BTreeSet<_> = asked.iter().map(|chunk| chunk.tag.chunk.epoch).collect();
        let rows: u64 = asked.iter().map(|chunk| chunk.rows).sum();
        let logs: BTreeSet<_> = asked.iter().map(|chunk| chunk.tag.chunk.log).collect();
        let adopting = logs.iter().any(|log| *log != into.start.generation);
        let doing = match (adopting, logs.first()) {
            (true, Some(log)) => format!("adopting {} epochs of start {log}, {rows} rows", epochs.len()),
            _ => format!("staging {} chunks again, {rows} rows", asked.len()),
        };
        tracing::info!("{doing}");
        let order = Order::Stage { into: into.into(), chunks: asked.to_vec() };
        let mut staged = Vec::new();
        for answer in self.ask(order, Some(into.start), &doing).await? {
            if let Answer::Staged(chunks) = answer {
                staged.extend(chunks);
            }
        }
        // Two processes never hold one log; the later attempt counts all the same.
        staged.sort_by_key(|chunk| (chunk.tag.chunk, std::cmp::Reverse::<Attempt>(chunk.tag.attempt)));
        staged.dedup_by_key(|chunk| chunk.tag.chunk);
        Ok(Fact::Staged(staged))
    }
}

/// The start that the coordinator's name names.
pub(super) fn own(coordinator: &Coordinator) -> Option<StartId> {
    coordinator.staging().map(|name| name.start)
}

/// Columns as they cross process borders.
pub(super) fn pairs(columns: Vec<Column>) -> Vec<(String, String)> {
    columns.into_iter().map(|column| (column.name, column.kind)).collect()
}
