//! Everything that storage holds, and its changes as records of the journal.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::about::About;
use super::blob::{Blob, BlobRecord, Block, Container, Properties, SegmentRecord, segment_record};
use super::body::Bodies;
use super::error::{StorageError, StorageResult};
use super::journal::Journal;
use super::queue::{Message, Queue};
use super::sas::Service;
use super::table::{Entity, Key, Table};

/// A container, queue or table of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) account: String,
    pub(crate) resource: String,
}

impl Place {
    pub(crate) fn new(account: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { account: account.into(), resource: resource.into() }
    }
}

/// One change.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Record {
    Resource {
        place: Place,
        service: Service,
        #[serde(default)]
        about: About,
    },
    ResourceGone {
        place: Place,
        service: Service,
    },
    Blob {
        place: Place,
        name: String,
        blob: BlobRecord,
    },
    BlobAbout {
        place: Place,
        name: String,
        properties: Properties,
        etag: String,
        modified: Timestamp,
    },
    BlobGone {
        place: Place,
        name: String,
    },
    Block {
        place: Place,
        name: String,
        id: String,
        segment: SegmentRecord,
    },
    Message {
        place: Place,
        message: Message,
    },
    MessageGone {
        place: Place,
        id: String,
    },
    Entity {
        place: Place,
        key: Key,
        entity: Entity,
    },
    EntityGone {
        place: Place,
        key: Key,
    },
}

/// What cannot be read from a record: the bytes, where they are in memory.
#[derive(Debug)]
pub(crate) enum Bytes {
    Blob(Box<Blob>),
    Block(Block),
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) containers: BTreeMap<Place, Container>,
    pub(crate) queues: BTreeMap<Place, Queue>,
    pub(crate) tables: BTreeMap<Place, Table>,
    journal: Journal,
}

impl State {
    /// What an earlier start left in `journal` and `directory`.
    pub(crate) fn open(journal: &Path, directory: &Path, limit: u64) -> io::Result<(Self, Bodies)> {
        let (journal, records) = Journal::open::<Record>(journal)?;
        let mut state = Self { journal, ..Self::default() };
        let bodies = Bodies::files(directory, next_number(directory)?, limit);
        for record in records {
            let bytes = restore(&record, &bodies);
            state.apply(record, bytes);
        }
        state.remove_orphans(directory)?;
        state.compact()?;
        Ok((state, bodies))
    }

    /// Writes a change down, then makes it. `bytes` go with records of blobs and blocks.
    ///
    /// # Errors
    /// If the journal cannot be written; then nothing has changed.
    pub(crate) fn commit(&mut self, record: Record, bytes: Option<Bytes>) -> StorageResult<()> {
        self.journal.append(&record)?;
        self.apply(record, bytes);
        if self.journal.is_overgrown(self.live()) {
            self.compact()?;
        }
        Ok(())
    }

    fn apply(&mut self, record: Record, bytes: Option<Bytes>) {
        match (record, bytes) {
            (Record::Resource { place, service, about }, _) => match service {
                Service::Blob => self.containers.entry(place).or_default().about = about,
                Service::Queue => self.queues.entry(place).or_default().about = about,
                Service::Table => self.tables.entry(place).or_default().about = about,
            },
            (Record::ResourceGone { place, service }, _) => match service {
                Service::Blob => self.containers.remove(&place).iter().for_each(Container::let_go),
                Service::Queue => drop(self.queues.remove(&place)),
                Service::Table => drop(self.tables.remove(&place)),
            },
            (Record::BlobAbout { place, name, properties, etag, modified }, _) => {
                let container = self.containers.entry(place).or_default();
                if let Some(blob) = container.blobs.get_mut(&name) {
                    (blob.properties, blob.etag, blob.modified) = (properties, etag, modified);
                }
            }
            (Record::Blob { place, name, .. }, Some(Bytes::Blob(blob))) => {
                self.containers.entry(place).or_default().commit(&name, *blob);
            }
            (Record::Block { place, name, .. }, Some(Bytes::Block(block))) => {
                self.containers.entry(place).or_default().stage(&name, block);
            }
            (Record::Blob { .. } | Record::Block { .. }, _) => {}
            (Record::BlobGone { place, name }, _) => {
                self.containers.entry(place).or_default().remove(&name);
            }
            (Record::Message { place, message }, _) => self.queues.entry(place).or_default().put(message),
            (Record::MessageGone { place, id }, _) => self.queues.entry(place).or_default().remove(&id),
            (Record::Entity { place, key, entity }, _) => {
                self.tables.entry(place).or_default().entities.insert(key, entity);
            }
            (Record::EntityGone { place, key }, _) => {
                self.tables.entry(place).or_default().entities.remove(&key);
            }
        }
    }

    pub(crate) fn service(&self, place: &Place) -> Option<Service> {
        if self.containers.contains_key(place) {
            Some(Service::Blob)
        } else if self.queues.contains_key(place) {
            Some(Service::Queue)
        } else {
            self.tables.contains_key(place).then_some(Service::Table)
        }
    }

    /// What is known of a container, queue or table; `None` if there is none.
    pub(crate) fn about(&self, place: &Place, service: Service) -> Option<&About> {
        match service {
            Service::Blob => self.containers.get(place).map(|container| &container.about),
            Service::Queue => self.queues.get(place).map(|queue| &queue.about),
            Service::Table => self.tables.get(place).map(|table| &table.about),
        }
    }

    /// The names of an account's containers, queues or tables from `from` on, in order.
    pub(crate) fn names<'a>(
        &'a self,
        service: Service,
        account: &'a str,
        from: &str,
    ) -> Box<dyn Iterator<Item = (&'a str, &'a About)> + 'a> {
        let start = Place::new(account, from);
        let own = move |place: &Place| place.account == account;
        match service {
            Service::Blob => {
                let all = self.containers.range(start..).take_while(move |(place, _)| own(place));
                Box::new(all.map(|(place, container)| (place.resource.as_str(), &container.about)))
            }
            Service::Queue => {
                let all = self.queues.range(start..).take_while(move |(place, _)| own(place));
                Box::new(all.map(|(place, queue)| (place.resource.as_str(), &queue.about)))
            }
            Service::Table => {
                let all = self.tables.range(start..).take_while(move |(place, _)| own(place));
                Box::new(all.map(|(place, table)| (place.resource.as_str(), &table.about)))
            }
        }
    }

    /// # Errors
    /// 404 `ContainerNotFound`.
    pub(crate) fn container(&mut self, place: &Place) -> StorageResult<&mut Container> {
        self.containers.get_mut(place).ok_or_else(|| StorageError::resource_not_found(Service::Blob))
    }

    /// # Errors
    /// 404 `QueueNotFound`.
    pub(crate) fn queue(&mut self, place: &Place) -> StorageResult<&mut Queue> {
        self.queues.get_mut(place).ok_or_else(|| StorageError::resource_not_found(Service::Queue))
    }

    /// # Errors
    /// 404 `TableNotFound`.
    pub(crate) fn table(&mut self, place: &Place) -> StorageResult<&mut Table> {
        self.tables.get_mut(place).ok_or_else(|| StorageError::resource_not_found(Service::Table))
    }

    fn live(&self) -> usize {
        let blobs = |container: &Container| container.blobs.len() + container.uncommitted.len();
        let resources = self.containers.len() + self.queues.len() + self.tables.len();
        resources
            + self.containers.values().map(blobs).sum::<usize>()
            + self.queues.values().map(Queue::len).sum::<usize>()
            + self.tables.values().map(|table| table.entities.len()).sum::<usize>()
    }

    fn compact(&mut self) -> io::Result<()> {
        if !self.journal.is_kept() {
            return Ok(());
        }
        let mut journal = std::mem::take(&mut self.journal);
        let written = journal.rewrite(self.records());
        self.journal = journal;
        written
    }

    fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let containers = self.containers.iter().map(|(place, c)| (place, Service::Blob, &c.about));
        let queues = self.queues.iter().map(|(place, queue)| (place, Service::Queue, &queue.about));
        let tables = self.tables.iter().map(|(place, table)| (place, Service::Table, &table.about));
        let resources = containers.chain(queues).chain(tables).map(|(place, service, about)| {
            Record::Resource { place: place.clone(), service, about: about.clone() }
        });
        let blobs = self.containers.iter().flat_map(|(place, container)| {
            let record = |(name, blob): (&String, &Blob)| Record::Blob {
                place: place.clone(),
                name: name.clone(),
                blob: blob.record(),
            };
            container.blobs.iter().map(record)
        });
        let messages = self.queues.iter().flat_map(|(place, queue)| {
            queue.all().map(|message| Record::Message { place: place.clone(), message: message.clone() })
        });
        let entities = self.tables.iter().flat_map(|(place, table)| {
            let record = |(key, entity): (&Key, &Entity)| Record::Entity {
                place: place.clone(),
                key: key.clone(),
                entity: entity.clone(),
            };
            table.entities.iter().map(record)
        });
        resources.chain(blobs).chain(self.block_records()).chain(messages).chain(entities)
    }

    fn block_records(&self) -> impl Iterator<Item = Record> + '_ {
        let of_blob = |place: &Place, name: &String, blocks: &Vec<Block>| {
            let record = |block: &Block| Record::Block {
                place: place.clone(),
                name: name.clone(),
                id: block.id.clone(),
                segment: segment_record(&block.segment),
            };
            blocks.iter().map(record).collect::<Vec<_>>()
        };
        self.containers.iter().flat_map(move |(place, container)| {
            container.uncommitted.iter().flat_map(move |(name, blocks)| of_blob(place, name, blocks))
        })
    }

    /// Removes files that no record names: of uploads that a kill cut off.
    fn remove_orphans(&self, directory: &Path) -> io::Result<()> {
        let committed =
            self.containers.values().flat_map(|c| c.blobs.values()).flat_map(|blob| &blob.body.segments);
        let staged =
            self.containers.values().flat_map(|c| c.uncommitted.values()).flatten().map(|b| &b.segment);
        let known: HashSet<_> = committed.chain(staged).filter_map(super::body::Segment::file_name).collect();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if !known.contains(&*entry.file_name().to_string_lossy()) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn restore(record: &Record, bodies: &Bodies) -> Option<Bytes> {
    match record {
        Record::Blob { blob, .. } => Some(Bytes::Blob(Box::new(Blob::restore(blob, bodies)))),
        Record::Block { id, segment: (name, length), .. } => {
            Some(Bytes::Block(Block { id: id.clone(), segment: bodies.reopen(name, *length) }))
        }
        _ => None,
    }
}

/// The number behind the highest file name in use.
fn next_number(directory: &Path) -> io::Result<u64> {
    let mut next = 0;
    for entry in std::fs::read_dir(directory)? {
        let number = u64::from_str_radix(&entry?.file_name().to_string_lossy(), 16);
        next = next.max(number.map_or(0, |number| number + 1));
    }
    Ok(next)
}
