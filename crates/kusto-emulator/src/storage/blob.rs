//! Blobs as the storage keeps them: committed ones, and blocks that no list has named yet.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::about::{About, Metadata};
use super::body::{Bodies, Body, Segment};
use super::error::{StorageError, StorageResult};

/// A container's content.
#[derive(Debug, Default)]
pub(crate) struct Container {
    pub(crate) about: About,
    pub(crate) blobs: BTreeMap<String, Blob>,
    /// Blocks that were put but not committed, by blob.
    pub(crate) uncommitted: BTreeMap<String, Vec<Block>>,
}

/// What a client says about a blob, and gets back with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Properties {
    #[serde(flatten)]
    pub(crate) headers: ContentHeaders,
    pub(crate) metadata: Metadata,
}

/// Headers that a client stores with a blob. The MD5 is the client's word: the emulator does not work it out unasked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ContentHeaders {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) cache_control: Option<String>,
    /// In base64.
    pub(crate) content_md5: Option<String>,
}

/// A committed blob.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) body: Body,
    pub(crate) properties: Properties,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) created: Timestamp,
    /// Its blocks by id, if it was made of any: one per segment of the body.
    pub(crate) block_ids: Vec<String>,
}

/// A block by its id, as the client sent it (base64).
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) id: String,
    pub(crate) segment: Segment,
}

/// A segment in the journal: its file, and its length.
pub(crate) type SegmentRecord = (String, u64);

/// A committed blob in the journal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BlobRecord {
    segments: Vec<SegmentRecord>,
    properties: Properties,
    etag: String,
    modified: Timestamp,
    #[serde(default)]
    created: Timestamp,
    block_ids: Vec<String>,
}

/// What conditional headers compare.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version<'a> {
    pub(crate) etag: &'a str,
    pub(crate) modified: Timestamp,
}

impl Blob {
    /// For conditional headers.
    pub(crate) fn version(&self) -> Version<'_> {
        Version { etag: &self.etag, modified: self.modified }
    }

    pub(crate) fn record(&self) -> BlobRecord {
        BlobRecord {
            segments: self.body.segments.iter().map(segment_record).collect(),
            properties: self.properties.clone(),
            etag: self.etag.clone(),
            modified: self.modified,
            created: self.created,
            block_ids: self.block_ids.clone(),
        }
    }

    pub(crate) fn restore(record: &BlobRecord, bodies: &Bodies) -> Self {
        let reopen = |(name, length): &SegmentRecord| bodies.reopen(name, *length);
        Self {
            body: Body { segments: record.segments.iter().map(reopen).collect() },
            properties: record.properties.clone(),
            etag: record.etag.clone(),
            modified: record.modified,
            created: record.created,
            block_ids: record.block_ids.clone(),
        }
    }
}

pub(crate) fn segment_record(segment: &Segment) -> SegmentRecord {
    (segment.file_name().unwrap_or_default(), segment.length)
}

/// Where a block list looks for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockSource {
    Committed,
    Uncommitted,
    /// Uncommitted, else committed.
    Latest,
}

impl Container {
    /// The blocks that a Put Block List names, in its order.
    ///
    /// # Errors
    /// `InvalidBlockList` if one of them is not there.
    pub(crate) fn select(&self, blob: &str, list: &[(BlockSource, String)]) -> StorageResult<Vec<Block>> {
        let uncommitted = |id: &str| self.uncommitted.get(blob)?.iter().find(|block| block.id == id).cloned();
        let committed = |id: &str| {
            let blob = self.blobs.get(blob)?;
            let index = blob.block_ids.iter().position(|known| known == id)?;
            Some(Block { id: id.to_owned(), segment: blob.body.segments.get(index)?.clone() })
        };
        let find = |(source, id): &(BlockSource, String)| match source {
            BlockSource::Committed => committed(id),
            BlockSource::Uncommitted => uncommitted(id),
            BlockSource::Latest => uncommitted(id).or_else(|| committed(id)),
        };
        let missing = || StorageError::new(400, "InvalidBlockList", "The specified block list is invalid.");
        list.iter().map(|item| find(item).ok_or_else(missing)).collect()
    }

    /// Puts a blob in place. What it replaces, and blocks that it does not name, are let go.
    pub(crate) fn commit(&mut self, name: &str, blob: Blob) {
        let kept: Vec<_> = blob.body.segments.iter().filter_map(Segment::file_name).collect();
        let let_go = |segment: &Segment| {
            if segment.file_name().is_some_and(|name| !kept.contains(&name)) {
                segment.doom();
            }
        };
        if let Some(old) = self.blobs.insert(name.to_owned(), blob) {
            old.body.segments.iter().for_each(let_go);
        }
        for block in self.uncommitted.remove(name).unwrap_or_default() {
            let_go(&block.segment);
        }
    }

    /// Adds a block; one of the same id is replaced.
    pub(crate) fn stage(&mut self, name: &str, block: Block) {
        let blocks = self.uncommitted.entry(name.to_owned()).or_default();
        match blocks.iter_mut().find(|known| known.id == block.id) {
            Some(known) => std::mem::replace(known, block).segment.doom(),
            None => blocks.push(block),
        }
    }

    /// The container goes, and with it all bytes.
    pub(crate) fn let_go(&self) {
        let committed = self.blobs.values().flat_map(|blob| &blob.body.segments);
        let staged = self.uncommitted.values().flatten().map(|block| &block.segment);
        committed.chain(staged).for_each(Segment::doom);
    }

    /// Removes a blob; false if there is none.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let blob = self.blobs.remove(name);
        blob.iter().flat_map(|blob| &blob.body.segments).for_each(Segment::doom);
        blob.is_some()
    }
}

/// The conditional headers of a request.
///
/// Source: Azure Storage REST API, "Specifying conditional headers for Blob service operations".
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// For a request that writes over what is there, or makes it.
    ///
    /// # Errors
    /// 409 `BlobAlreadyExists` for `If-None-Match: *`; else as [`Conditions::check_change`].
    pub(crate) fn check_write(&self, current: Option<Version<'_>>) -> StorageResult<()> {
        if current.is_some() && self.if_none_match.as_deref() == Some("*") {
            return Err(StorageError::new(409, "BlobAlreadyExists", "The specified blob already exists."));
        }
        self.check_change(current)
    }

    /// For any other request that changes something. An ETag goes before a time.
    ///
    /// # Errors
    /// 412 `ConditionNotMet`; 400 `MultipleConditionHeadersNotSupported`.
    pub(crate) fn check_change(&self, current: Option<Version<'_>>) -> StorageResult<()> {
        let (same, other) = (self.if_match.is_some(), self.if_none_match.is_some());
        let (older, newer) = (self.if_unmodified_since.is_some(), self.if_modified_since.is_some());
        if (same || older) && (other || newer) {
            let message = "Multiple condition headers are not supported.";
            return Err(StorageError::new(400, "MultipleConditionHeadersNotSupported", message));
        }
        let holds = match (current, &self.if_match, &self.if_none_match) {
            (current, Some(wanted), _) => current.is_some_and(|current| names(wanted, current.etag)),
            (Some(current), _, Some(unwanted)) => unwanted == "*" || !names(unwanted, current.etag),
            (Some(current), ..) => !self.is_newer(current) && !self.is_older(current),
            (None, ..) => true,
        };
        if holds { Ok(()) } else { Err(StorageError::condition_not_met()) }
    }

    /// For a request that reads.
    ///
    /// # Errors
    /// 412 or 304, both with the code `ConditionNotMet`; 400 `UnsatisfiableCondition` for `If-None-Match: *`.
    pub(crate) fn check_read(&self, current: Version<'_>) -> StorageResult<()> {
        if self.if_none_match.as_deref() == Some("*") {
            let message = "The request includes an unsatisfiable condition for this operation.";
            return Err(StorageError::new(400, "UnsatisfiableCondition", message));
        }
        let other = self.if_match.as_ref().is_some_and(|wanted| !names(wanted, current.etag));
        if other || self.is_newer(current) {
            return Err(StorageError::condition_not_met());
        }
        let changed = self.if_none_match.as_ref().map(|known| !names(known, current.etag));
        let newer = self.if_modified_since.map(|_| !self.is_older(current));
        // Either is enough to send the blob.
        let wanted = [changed, newer].into_iter().flatten().reduce(|one, other| one || other).unwrap_or(true);
        if wanted { Ok(()) } else { Err(StorageError { status: 304, ..StorageError::condition_not_met() }) }
    }

    /// It was changed after `If-Unmodified-Since`.
    fn is_newer(&self, current: Version<'_>) -> bool {
        self.if_unmodified_since.is_some_and(|since| seconds(current) > since)
    }

    /// It was not changed after `If-Modified-Since`.
    fn is_older(&self, current: Version<'_>) -> bool {
        self.if_modified_since.is_some_and(|since| seconds(current) <= since)
    }
}

/// Headers carry whole seconds.
fn seconds(version: Version<'_>) -> Timestamp {
    Timestamp::from_second(version.modified.as_second()).unwrap_or(version.modified)
}

fn names(wanted: &str, etag: &str) -> bool {
    wanted == "*" || wanted.split(',').any(|one| one.trim().trim_matches('"') == etag.trim_matches('"'))
}

/// Which bytes a request wants: from, and how many.
pub(crate) fn range(header: Option<&str>, length: u64) -> StorageResult<Option<(u64, u64)>> {
    let Some((from, to)) =
        header.and_then(|text| text.strip_prefix("bytes=")).and_then(|text| text.split_once('-'))
    else {
        return Ok(None);
    };
    let (from, to) = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) => (from, to),
        (Ok(from), Err(_)) if to.is_empty() => (from, u64::MAX),
        // A suffix range is not a form that Blob Storage knows: the header is ignored.
        _ => return Ok(None),
    };
    if from >= length || to < from {
        return Err(StorageError::new(
            416,
            "InvalidRange",
            "The range specified is invalid for the current size of the resource.",
        ));
    }
    Ok(Some((from, to.min(length - 1) - from + 1)))
}
