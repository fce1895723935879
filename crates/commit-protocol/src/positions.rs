//! Where sources go on: per partition, opaque bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::Epoch;

/// Positions of all source partitions at one epoch bound. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Positions(Arc<BTreeMap<String, Vec<u8>>>);

/// A partition reached a position with the rows of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PositionChange {
    /// The epoch whose rows end there.
    pub epoch: Epoch,
    /// The source partition.
    pub partition: String,
    /// Where to go on after that epoch.
    pub position: Vec<u8>,
}

/// Two logs claim different positions of one partition at one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("partition {partition:?} has two positions at epoch {epoch}")]
pub struct ConflictingPositions {
    /// The partition.
    pub partition: String,
    /// The epoch.
    pub epoch: Epoch,
}

impl Positions {
    /// The position of `partition`, if it has one.
    pub fn get(&self, partition: &str) -> Option<&[u8]> {
        self.0.get(partition).map(Vec::as_slice)
    }

    /// All positions, by partition.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(partition, position)| (partition.as_str(), position.as_slice()))
    }

    /// Whether no partition has a position yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These positions after the changes of all epochs below `bound`.
    pub fn advanced<'a>(
        &self,
        changes: impl IntoIterator<Item = &'a PositionChange>,
        bound: Epoch,
    ) -> Result<Positions, ConflictingPositions> {
        let mut last: BTreeMap<&str, &PositionChange> = BTreeMap::new();
        for change in changes.into_iter().filter(|change| change.epoch < bound) {
            match last.get(change.partition.as_str()) {
                Some(known) if known.epoch > change.epoch => {}
                Some(known) if known.epoch == change.epoch && known.position != change.position => {
                    return Err(ConflictingPositions {
                        partition: change.partition.clone(),
                        epoch: change.epoch,
                    });
                }
                _ => drop(last.insert(&change.partition, change)),
            }
        }
        if last.is_empty() {
            return Ok(self.clone());
        }
        let mut all = BTreeMap::clone(&self.0);
        all.extend(
            last.into_iter().map(|(partition, change)| (partition.to_owned(), change.position.clone())),
        );
        Ok(Positions(Arc::new(all)))
    }
}

impl<P: Into<String>, B: Into<Vec<u8>>> FromIterator<(P, B)> for Positions {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(all: I) -> Positions {
        Positions(Arc::new(
            all.into_iter().map(|(partition, position)| (partition.into(), position.into())).collect(),
        ))
    }
}

impl Serialize for Positions {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(partition, position)| (partition, STANDARD.encode(position))))
    }
}

impl<'de> Deserialize<'de> for Positions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Positions, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(from)?;
        let bytes = |(partition, text): (String, String)| {
            STANDARD.decode(text).map(|position| (partition, position)).map_err(serde::de::Error::custom)
        };
        texts
            .into_iter()
            .map(bytes)
            .collect::<Result<BTreeMap<_, _>, _>>()
            .map(|all| Positions(Arc::new(all)))
    }
}
