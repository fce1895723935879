//! One chunk's way into the staging table, attempt by attempt (off the worker threads).
//!
//! The rows are safe on disk, so an outage is waited out: what may pass is tried again for as long as it takes. An attempt
//! whose outcome is unknown is given up for the next one, under a new tag: what arrives late under the old one is never
//! committed. What the service refuses for good stops the sink with the chunk's name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use commit_protocol::{Attempt, StagedChunk, StagingName, Tag};
use kusto_client::{Backoff, Effect, ErrorKind};

use super::message::Message;
use super::pressure::STAGING;
use super::process::Process;
use super::shelf::Place;
use super::{WriteAheadError, failpoint};
use crate::SinkError;
use crate::delivery::stage::mapping_of;
use crate::delivery::{Packed, Staging, Uploaded};

/// What an attempt that failed leads to.
enum Next {
    /// Again, under the same tag: it surely left nothing.
    Again,
    /// A new attempt.
    NewAttempt,
    /// The table is not known: this start was fenced, or ingestion has not learnt the name yet.
    NoTable,
    /// Nothing more.
    Stop(WriteAheadError),
}

impl Process {
    /// Stages a chunk. Returns the attempt that was reported as ingested.
    pub(super) async fn stage_chunk(
        self: &Arc<Self>,
        place: Place,
        mut tag: Tag,
        into: StagingName,
    ) -> Result<StagedChunk, WriteAheadError> {
        let _one = self.staging.acquire().await.map_err(|_| WriteAheadError::Ended)?;
        let backoff = self.courier.options.retry().backoff;
        let (mut failures, mut unknown_since) = (0, None);
        loop {
            let error = match self.attempt(&place, tag, into).await {
                Ok(()) => {
                    failpoint::reach("after staged");
                    self.pressure.moving(STAGING);
                    return Ok(StagedChunk { tag, rows: place.rows, sum: place.sum });
                }
                Err(error) => error,
            };
            let retry_after = retry_after(&error);
            self.courier.troubles.of_staging(&error);
            match next(error, tag, self.options.stages_directly()) {
                Next::Stop(error) => return Err(error),
                Next::Again => {}
                Next::NewAttempt => tag = following(tag),
                Next::NoTable => {
                    let since = *unknown_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.options.waits().name_learned {
                        return Err(unknown_table(tag, into));
                    }
                    self.post(Message::Suspect);
                    tag = following(tag);
                }
            }
            self.courier.counters.retried();
            self.pause(&backoff, &mut failures, retry_after).await?;
        }
    }

    async fn pause(
        &self,
        backoff: &Backoff,
        failures: &mut u32,
        retry_after: Option<Duration>,
    ) -> Result<(), WriteAheadError> {
        tokio::time::sleep(backoff.pause(*failures, rand::random(), retry_after)).await;
        *failures += 1;
        if self.is_over() { Err(WriteAheadError::Ended) } else { Ok(()) }
    }

    async fn attempt(self: &Arc<Self>, place: &Place, tag: Tag, into: StagingName) -> Result<(), SinkError> {
        let staging = {
            // Not kept open: a thousand chunks may wait for their turn or their status, and descriptors are few.
            let body = place.file.body(place.index).map_err(WriteAheadError::from)?;
            Staging {
                table: into.to_string(),
                tag: tag.to_string(),
                format: body.layout().format.clone(),
                mapping: mapping_of(body.layout(), &into.to_string())?,
                direct: self.options.stages_directly(),
            }
        };
        let uploaded = match self.early.take(tag.chunk).await {
            Some(uploaded) => Ok(uploaded),
            None => self.upload_sealed(place, &staging.format).await,
        };
        let staged = match uploaded {
            Ok(uploaded) => self.courier.stage(uploaded, &staging, place.rows).await,
            Err(error) => Err(error),
        };
        staged.inspect_err(|error| {
            if !matches!(error, SinkError::Stopped) {
                self.pressure.stalled(STAGING, error);
            }
        })
    }

    /// Reads a body and uploads it.
    async fn upload_sealed(&self, place: &Place, format: &str) -> Result<Uploaded, SinkError> {
        // Held while the body is open or in memory.
        let _turn = self.uploads.acquire().await.map_err(|_| SinkError::Stopped)?;
        let body = place.file.body(place.index).map_err(WriteAheadError::from)?;
        let _room = self.room_for_body(body.length()).await?;
        let (rows, raw_bytes) = (body.chunk().rows, body.chunk().raw_bytes);
        let mut memory = self.budget.reserve();
        memory.resize(usize::try_from(body.length()).unwrap_or(usize::MAX));
        let read = tokio::task::spawn_blocking(move || read_body(&body)).await;
        let body = read.map_err(|broken| SinkError::Broken(format!("reading a chunk: {broken}")))??;
        self.courier.upload_body(format, Packed { body, rows, raw_bytes, memory }).await
    }
}

fn read_body(body: &epoch_log::Body) -> Result<Bytes, WriteAheadError> {
    let mut bytes = vec![0; usize::try_from(body.length()).unwrap_or(usize::MAX)];
    body.read_at(&mut bytes, 0)?;
    Ok(bytes.into())
}

fn following(tag: Tag) -> Tag {
    Tag { attempt: Attempt(tag.attempt.0.saturating_add(1)), ..tag }
}

fn next(error: SinkError, tag: Tag, direct: bool) -> Next {
    match error {
        SinkError::Stopped => Next::Stop(WriteAheadError::Ended),
        SinkError::WriteAhead(error) => Next::Stop(*error),
        SinkError::Unconfirmed { .. } => Next::NewAttempt,
        // Whatever made it unreadable, it may have taken effect.
        SinkError::Service { source, .. } if direct && source.kind() == ErrorKind::Protocol => {
            Next::NewAttempt
        }
        SinkError::Service { source, .. } => match (source.is_transient(), source.effect()) {
            (true, Effect::None) => Next::Again,
            (true, Effect::Unknown) => Next::NewAttempt,
            // An upload took effect, its answer was lost, and the look at the blob failed, too: the next one has a new name.
            (false, _) if source.kind() == ErrorKind::Conflict => Next::Again,
            // A command names the table itself; that it is gone is why most of them fail in this way.
            (false, _) if source.kind() == ErrorKind::NotFound && direct => Next::NoTable,
            // The blob is gone, or the status row: stage it anew.
            (false, _) if source.kind() == ErrorKind::NotFound => Next::NewAttempt,
            (false, _) => Next::Stop(WriteAheadError::Service { doing: format!("staging {tag}"), source }),
        },
        // The rows may be in the staging table, under a tag that is not committed once there is another attempt.
        SinkError::StatusUnread { source, .. } if is_readable_later(&source) => Next::NewAttempt,
        SinkError::StatusUnread { source, .. } => {
            Next::Stop(WriteAheadError::Service { doing: format!("reading the status of {tag}"), source })
        }
        SinkError::Ingestion { ref status, .. } => match status.error_code.as_deref() {
            Some(code) if code.contains("TableNotExist") || code.contains("EntityNotFound") => Next::NoTable,
            // The blob was read by a message that came twice, whose first ingestion deleted it.
            Some(code) if code.contains("SourceNotFound") => Next::NewAttempt,
            _ if may_pass(status) => Next::NewAttempt,
            _ => Next::Stop(refused(tag, &error)),
        },
        error => Next::Stop(refused(tag, &error)),
    }
}

/// Whether a status that could not be read says nothing about the next attempt's.
fn is_readable_later(error: &kusto_client::Error) -> bool {
    error.is_transient() || matches!(error.kind(), ErrorKind::Protocol | ErrorKind::NotFound)
}

/// How long the service asked to be left alone.
fn retry_after(error: &SinkError) -> Option<Duration> {
    match error {
        SinkError::Service { source, .. } | SinkError::StatusUnread { source, .. } => source.retry_after(),
        _ => None,
    }
}

fn may_pass(status: &kusto_client::IngestionStatus) -> bool {
    use kusto_client::FailureStatus::{Exhausted, Transient};
    matches!(status.failure, Transient | Exhausted)
}

fn refused(tag: Tag, error: &SinkError) -> WriteAheadError {
    WriteAheadError::Staging { chunk: tag.to_string(), reason: error.to_string() }
}

fn unknown_table(tag: Tag, into: StagingName) -> WriteAheadError {
    let reason = format!(
        "ingestion does not know the table {into}, which is there: its caches are older than the deadline. Start again \
         later"
    );
    WriteAheadError::Staging { chunk: tag.to_string(), reason }
}
