//! A blob as a stream of text: decompressed by the suffix of its name, measured, and held to the limits.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::{GzDecoder, MultiGzDecoder};

use super::super::batch::{IngestFailure, IngestionProperties, without_secret};
use super::zip::Zip;
use crate::assumptions::GzipMembers;

/// The longest record. Source: `MicrosoftDocs/dataexplorer-docs data-explorer/error-codes.md`.
pub(super) const MAX_RECORD_BYTES: u64 = 64 << 20;
/// The most text in one blob. Source: `.../ingest-data-overview.md`.
const MAX_SOURCE_BYTES: u64 = 6 << 30;
const BUFFER_BYTES: usize = 64 << 10;

/// The text of a source.
pub(super) struct Input {
    reader: BufReader<Measured>,
    counters: Arc<Counters>,
    location: String,
}

/// Bytes that went by.
#[derive(Debug, Default)]
struct Counters {
    total: AtomicU64,
    record: AtomicU64,
}

struct Measured {
    inner: Box<dyn Read + Send>,
    counters: Arc<Counters>,
}

/// Opens a blob's bytes under the rules of its name.
pub(super) fn open(
    blob: Box<dyn Read + Send>,
    url: &str,
    properties: &IngestionProperties,
    members: GzipMembers,
) -> Result<Input, IngestFailure> {
    let location = without_secret(url);
    let lower = location.to_ascii_lowercase();
    let gzip = lower.ends_with(".gz") && !properties.treat_gz_as_uncompressed;
    let inner: Box<dyn Read + Send> = if gzip {
        match members {
            GzipMembers::All => Box::new(MultiGzDecoder::new(blob)),
            GzipMembers::FirstOnly => Box::new(GzDecoder::new(blob)),
        }
    } else if lower.ends_with(".zip") {
        Box::new(Zip::new(blob))
    } else {
        blob
    };
    let counters = Arc::new(Counters::default());
    let measured = Measured { inner, counters: Arc::clone(&counters) };
    let mut input = Input {
        reader: BufReader::with_capacity(BUFFER_BYTES, measured),
        counters,
        location: location.to_owned(),
    };
    input.skip_byte_order_mark()?;
    Ok(input)
}

impl Input {
    /// The blob's address, without its secret.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// Bytes of text so far.
    pub(super) fn total(&self) -> u64 {
        self.counters.total.load(Ordering::Relaxed)
    }

    /// Tells that a record was read whole: the limit on its length starts anew.
    pub(super) fn record_done(&self) {
        self.counters.record.store(0, Ordering::Relaxed);
    }

    /// What makes of a failed read a failed source.
    pub(super) fn failure(&self, error: &io::Error) -> IngestFailure {
        let location = &self.location;
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Limit>()) {
            Some(Limit::Record) => IngestFailure::permanent(
                "Stream_InputStreamTooLarge",
                format!("a record of '{location}' is longer than {} MB", MAX_RECORD_BYTES >> 20),
            ),
            Some(Limit::Source) => IngestFailure::permanent(
                "BadRequest_FileTooLarge",
                format!("'{location}' holds more than {} GB", MAX_SOURCE_BYTES >> 30),
            ),
            None if is_damage(error) => IngestFailure::permanent(
                "BadRequest_InvalidBlob",
                format!("'{location}' cannot be decompressed: {error}"),
            ),
            None => IngestFailure::transient(
                "Download_UnknownError",
                format!("'{location}' could not be read to its end: {error}"),
            ),
        }
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), IngestFailure> {
        let filled = self.reader.fill_buf();
        let marked = match filled {
            Ok(buffer) => buffer.starts_with(b"\xef\xbb\xbf"),
            Err(error) => return Err(self.failure(&error)),
        };
        if marked {
            self.reader.consume(3);
        }
        Ok(())
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}

/// Which limit a source passed.
#[derive(Debug, thiserror::Error)]
enum Limit {
    #[error("the record is too long")]
    Record,
    #[error("the source is too long")]
    Source,
}

impl Read for Measured {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let add = |counter: &AtomicU64| counter.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        if add(&self.counters.total) > MAX_SOURCE_BYTES {
            return Err(io::Error::other(Limit::Source));
        }
        if add(&self.counters.record) > MAX_RECORD_BYTES + BUFFER_BYTES as u64 {
            return Err(io::Error::other(Limit::Record));
        }
        Ok(count)
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
    )
}
