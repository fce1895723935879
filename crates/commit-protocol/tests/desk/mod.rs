//! A service in a few lines: it does at once what a permit allows, and remembers in which order.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};

use commit_protocol::*;

/// What the coordinator's world holds.
pub(crate) struct Desk {
    pub(crate) coordinator: Coordinator,
    pub(crate) setup: Setup,
    pub(crate) name: StagingName,
    pub(crate) raw: Vec<RawRow>,
    /// Rows that no permit of this desk wrote.
    pub(crate) late: Vec<Row>,
    pub(crate) staging: BTreeMap<ExtentId, Extent>,
    pub(crate) target: Vec<Extent>,
    pub(crate) directories: Vec<LogDirectory>,
    pub(crate) columns: Vec<Column>,
    /// What was done, in order.
    pub(crate) log: Vec<String>,
    next_id: u128,
}

pub(crate) fn lineage() -> Lineage {
    Lineage::of("pipe", "Db", "T")
}

pub(crate) fn setup(nonce: u64) -> Setup {
    Setup {
        lineage: lineage(),
        nonce: Nonce(nonce),
        workers: 2,
        sources_replay: true,
        local_logs: false,
        sums_over: None,
        limits: Limits::default(),
    }
}

pub(crate) fn start_id(generation: u64, nonce: u64) -> StartId {
    StartId { generation: Generation(generation), nonce: Nonce(nonce) }
}

pub(crate) fn change(epoch: u64, partition: &str, position: &str) -> PositionChange {
    PositionChange { epoch: Epoch(epoch), partition: partition.to_owned(), position: position.into() }
}

impl Desk {
    /// A desk before the first start.
    pub(crate) fn new() -> (Desk, Action) {
        Desk::with(setup(1))
    }

    pub(crate) fn with(setup: Setup) -> (Desk, Action) {
        let (coordinator, action) = Coordinator::start(setup.clone());
        let desk = Desk {
            coordinator,
            setup,
            name: StagingName { lineage: lineage(), start: start_id(0, 0) },
            raw: Vec::new(),
            late: Vec::new(),
            staging: BTreeMap::new(),
            target: Vec::new(),
            directories: Vec::new(),
            columns: Vec::new(),
            log: Vec::new(),
            next_id: 1,
        };
        (desk, action)
    }

    /// The next start on the same service, with another nonce.
    pub(crate) fn restart(&mut self, nonce: u64) -> Action {
        let setup = Setup { nonce: Nonce(nonce), ..self.setup.clone() };
        let (coordinator, action) = Coordinator::start(setup);
        self.coordinator = coordinator;
        action
    }

    pub(crate) fn names(&self) -> Names {
        Names { staging: vec![self.name], anchor: true }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::of(self.rows()).relevant()
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = read_rows(lineage(), &self.raw).unwrap();
        rows.extend(self.late.clone());
        rows
    }

    pub(crate) fn intents(&self) -> Vec<Intent> {
        let intent = |row| if let Row::Intent(intent) = row { Some(Intent::clone(&intent)) } else { None };
        self.rows().into_iter().filter_map(intent).collect()
    }

    /// An extent lands in S.
    pub(crate) fn lands(&mut self, tag: Tag, rows: u64) -> ExtentId {
        let id = ExtentId(self.next_id);
        self.next_id += 1;
        self.staging.insert(id, Extent { id, rows, tags: vec![tag] });
        id
    }

    /// A chunk of the own run, staged whole.
    pub(crate) fn staged(&mut self, worker: u32, epoch: u64, rows: u64) -> StagedChunk {
        let tag = self.tag(worker, epoch, 0);
        self.lands(tag, rows);
        StagedChunk { tag, rows, sum: None }
    }

    pub(crate) fn tag(&self, worker: u32, epoch: u64, attempt: u32) -> Tag {
        let generation = self.coordinator.generation().unwrap();
        let chunk = ChunkId { epoch: Epoch(epoch), log: generation, worker: Worker(worker), index: 0 };
        Tag { lineage: lineage(), generation, chunk, attempt: Attempt(attempt) }
    }

    pub(crate) fn listing(&self) -> Fact {
        let listing = Listing::Extents(self.staging.values().cloned().collect());
        Fact::Staging { listing, patience: Patience::Left }
    }

    /// Does what an action says and answers without faults. `None` where the run waits for news.
    pub(crate) fn perform(&mut self, action: &Action) -> Option<Fact> {
        let (said, fact) = match action {
            Action::ListNames => ("names".to_owned(), Fact::Names(self.names())),
            Action::Create(permit) => {
                self.name = permit.staging();
                ("create".to_owned(), Fact::Replied(Reply::Done))
            }
            Action::Rename(permit) => {
                assert_eq!(permit.from(), self.name);
                self.name = permit.to();
                ("rename".to_owned(), Fact::Replied(Reply::Done))
            }
            Action::Append(permit) => {
                self.raw.extend(permit.raw());
                (permit.row().key().kind.name().to_owned(), Fact::Replied(Reply::Done))
            }
            Action::ReadRows => {
                ("read".to_owned(), Fact::Rows { ledger: Ok(self.ledger()), patience: Patience::Left })
            }
            Action::ListStaging(name) => {
                assert_eq!(*name, self.name);
                ("list S".to_owned(), self.listing())
            }
            Action::ListTarget(tags) => {
                let there: BTreeSet<Tag> =
                    self.target.iter().flat_map(|extent| extent.tags.clone()).collect();
                let found = tags.iter().copied().filter(|tag| there.contains(tag)).collect();
                ("list T".to_owned(), Fact::Target(found))
            }
            Action::Move(permit) => {
                assert_eq!(permit.from(), self.name);
                let moved = permit.extents().iter().map(|id| self.moves(*id)).collect();
                ("move".to_owned(), Fact::Moved(moved))
            }
            Action::ListLogs => {
                let lists = LogLists { directories: self.directories.clone(), held: Vec::new() };
                ("logs".to_owned(), Fact::Logs { lists, target: self.columns.clone() })
            }
            Action::Prepare(_) => ("prepare".to_owned(), Fact::Replied(Reply::Done)),
            Action::Stage(permit) => {
                let chunks = permit.chunks().to_vec();
                for chunk in &chunks {
                    self.lands(chunk.tag, chunk.rows);
                }
                ("stage".to_owned(), Fact::Staged(chunks))
            }
            Action::Open(_) | Action::Committed(_) | Action::Wait | Action::Closed => return None,
        };
        self.log.push(said);
        Some(fact)
    }

    fn moves(&mut self, id: ExtentId) -> MovedExtent {
        let extent = self.staging.remove(&id);
        let moved = extent.is_some();
        self.target.extend(extent);
        MovedExtent { original: id, moved }
    }

    /// Goes on without faults until the run waits, or ends.
    pub(crate) fn run(&mut self, mut action: Action) -> Result<Action, Stop> {
        while let Some(fact) = self.perform(&action) {
            action = self.coordinator.decide(fact)?;
        }
        Ok(action)
    }

    /// Goes on until an action of this name is the next one, without doing it.
    pub(crate) fn until(&mut self, mut action: Action, name: &str) -> Action {
        while !format!("{action:?}").starts_with(name) {
            let fact = self.perform(&action).unwrap_or_else(|| panic!("{name} never came, but {action:?}"));
            action = self.coordinator.decide(fact).unwrap();
        }
        action
    }

    pub(crate) fn tell(&mut self, fact: Fact) -> Result<Action, Stop> {
        self.coordinator.decide(fact)
    }

    /// News: everything below a bound is staged.
    pub(crate) fn news(
        &mut self,
        below: u64,
        chunks: Vec<StagedChunk>,
        positions: Vec<PositionChange>,
    ) -> Result<Action, Stop> {
        self.tell(Fact::News(News { staged_below: Epoch(below), chunks, positions }))
    }
}
