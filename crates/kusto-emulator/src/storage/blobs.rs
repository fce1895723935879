//! Blob operations: check under the lock, journal, apply.

use jiff::Timestamp;

use super::blob::{Block, segment_record};
use super::body::{Segment, SegmentWriter};
use super::state::{Bytes, Record};
use super::{Blob, BlockSource, Body, Conditions, Place, Properties, Storage, StorageError, StorageResult};

/// Most blocks of a blob: the limit of Blob Storage.
const MAX_BLOCKS: usize = 50_000;

/// What a write needs to know besides the bytes.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) properties: Properties,
    pub(crate) conditions: Conditions,
    /// The signature allows to create, but not to overwrite.
    pub(crate) create_only: bool,
}

/// The version of a blob that a write made.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
}

impl Storage {
    /// Starts a body.
    ///
    /// # Errors
    /// If the data directory cannot be written.
    pub(crate) fn start_body(&self) -> StorageResult<SegmentWriter> {
        Ok(self.bodies.writer()?)
    }

    /// Whether a write would be refused, before its bytes are read.
    ///
    /// # Errors
    /// As [`Storage::put_blob`].
    pub(crate) fn check_write(&self, place: &Place, name: &str, upload: &Upload) -> StorageResult<()> {
        let mut state = self.lock();
        check(state.container(place)?.blobs.get(name), upload)
    }

    /// Put Blob: the bytes become the blob at once.
    ///
    /// # Errors
    /// 404 `ContainerNotFound`, 409 `BlobAlreadyExists`, 412 `ConditionNotMet`, 403 if it may only create.
    pub(crate) fn put_blob(
        &self,
        place: &Place,
        name: &str,
        segment: Segment,
        upload: Upload,
    ) -> StorageResult<Written> {
        self.commit_blob(place, name, upload, |_| Ok((vec![segment], Vec::new())))
    }

    /// Put Block List: blocks become the blob, in the list's order.
    ///
    /// # Errors
    /// As [`Storage::put_blob`], and 400 `InvalidBlockList`.
    pub(crate) fn put_block_list(
        &self,
        place: &Place,
        name: &str,
        list: &[(BlockSource, String)],
        upload: Upload,
    ) -> StorageResult<Written> {
        if list.len() > MAX_BLOCKS {
            return Err(StorageError::new(
                400,
                "BlockListTooLong",
                "The block list may not contain more than 50,000 blocks.",
            ));
        }
        self.commit_blob(place, name, upload, |container| {
            let blocks = container.select(name, list)?;
            Ok(blocks.into_iter().map(|block| (block.segment, block.id)).unzip())
        })
    }

    fn commit_blob(
        &self,
        place: &Place,
        name: &str,
        upload: Upload,
        content: impl FnOnce(&super::blob::Container) -> StorageResult<(Vec<Segment>, Vec<String>)>,
    ) -> StorageResult<Written> {
        let (etag, modified) = (self.new_etag(), self.clock.now());
        let mut state = self.lock();
        let container = state.container(place)?;
        let made = check(container.blobs.get(name), &upload).and_then(|()| content(container));
        let (segments, block_ids) = made?;
        let blob = Blob {
            body: Body { segments },
            properties: upload.properties,
            etag: etag.clone(),
            modified,
            created: modified,
            block_ids,
        };
        let record = Record::Blob { place: place.clone(), name: name.to_owned(), blob: blob.record() };
        state.commit(record, Some(Bytes::Blob(Box::new(blob))))?;
        Ok(Written { etag, modified })
    }

    /// Put Block.
    ///
    /// # Errors
    /// 404 `ContainerNotFound`, 400 `InvalidBlobOrBlock` for an id of another length, 409 `BlockCountExceedsLimit`.
    pub(crate) fn put_block(
        &self,
        place: &Place,
        name: &str,
        id: &str,
        segment: Segment,
    ) -> StorageResult<()> {
        let mut state = self.lock();
        if let Some(blocks) = state.container(place)?.uncommitted.get(name) {
            if blocks.len() >= 2 * MAX_BLOCKS {
                let message =
                    "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.";
                return Err(StorageError::new(409, "BlockCountExceedsLimit", message));
            }
            if blocks.first().is_some_and(|block| block.id.len() != id.len()) {
                return Err(StorageError::new(
                    400,
                    "InvalidBlobOrBlock",
                    "The specified blob or block content is invalid.",
                ));
            }
        }
        let record = Record::Block {
            place: place.clone(),
            name: name.to_owned(),
            id: id.to_owned(),
            segment: segment_record(&segment),
        };
        state.commit(record, Some(Bytes::Block(Block { id: id.to_owned(), segment })))
    }

    /// A committed blob.
    ///
    /// # Errors
    /// 404 `ContainerNotFound` or `BlobNotFound`.
    pub(crate) fn blob(&self, place: &Place, name: &str) -> StorageResult<Blob> {
        self.lock().container(place)?.blobs.get(name).cloned().ok_or_else(StorageError::blob_not_found)
    }

    /// Ids and lengths of a blob's blocks: committed, uncommitted.
    ///
    /// # Errors
    /// 404 `ContainerNotFound` or `BlobNotFound`.
    pub(crate) fn blocks(&self, place: &Place, name: &str) -> StorageResult<[Vec<(String, u64)>; 2]> {
        let mut state = self.lock();
        let container = state.container(place)?;
        let (blob, staged) = (container.blobs.get(name), container.uncommitted.get(name));
        if blob.is_none() && staged.is_none() {
            return Err(StorageError::blob_not_found());
        }
        let committed = blob.into_iter().flat_map(|blob| {
            blob.block_ids.iter().cloned().zip(blob.body.segments.iter().map(|segment| segment.length))
        });
        let staged = staged.into_iter().flatten().map(|block| (block.id.clone(), block.segment.length));
        Ok([committed.collect(), staged.collect()])
    }

    /// Set Blob Properties, Set Blob Metadata: another description of the same bytes.
    ///
    /// # Errors
    /// 404 `ContainerNotFound` or `BlobNotFound`, 412 `ConditionNotMet`.
    pub(crate) fn describe_blob(
        &self,
        place: &Place,
        name: &str,
        conditions: &Conditions,
        change: impl FnOnce(&mut Properties),
    ) -> StorageResult<Written> {
        let (etag, modified) = (self.new_etag(), self.clock.now());
        let mut state = self.lock();
        let blob = state.container(place)?.blobs.get(name).ok_or_else(StorageError::blob_not_found)?;
        conditions.check_change(Some(blob.version()))?;
        let mut properties = blob.properties.clone();
        change(&mut properties);
        let record = Record::BlobAbout {
            place: place.clone(),
            name: name.to_owned(),
            properties,
            etag: etag.clone(),
            modified,
        };
        state.commit(record, None)?;
        Ok(Written { etag, modified })
    }

    /// Delete Blob.
    ///
    /// # Errors
    /// 404 `ContainerNotFound` or `BlobNotFound`, 412 `ConditionNotMet`.
    pub(crate) fn delete_blob(
        &self,
        place: &Place,
        name: &str,
        conditions: &Conditions,
    ) -> StorageResult<()> {
        let mut state = self.lock();
        let blob = state.container(place)?.blobs.get(name).ok_or_else(StorageError::blob_not_found)?;
        conditions.check_change(Some(blob.version()))?;
        state.commit(Record::BlobGone { place: place.clone(), name: name.to_owned() }, None)
    }
}

fn check(current: Option<&Blob>, upload: &Upload) -> StorageResult<()> {
    upload.conditions.check_write(current.map(Blob::version))?;
    if upload.create_only && current.is_some() {
        return Err(StorageError::permission_mismatch());
    }
    Ok(())
}
