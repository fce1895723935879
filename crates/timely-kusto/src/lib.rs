//! A sink for timely and differential dataflows into Azure Data Explorer (Kusto).
//!
//! ```text
//! source ─► your dataflow ─► encode ─► chunk ─► compress ─► upload ─► queue ─► confirm ─► clock
//! ```
//!
//! [`SinkV2`] writes rows by queued ingestion, at least once, with the rights of an ingestor. Its operator
//! ([`RowsToKusto`] for any `serde::Serialize`, [`EncodedRowsToKusto`] for rows that are encoded already,
//! [`InsertOnlyToKusto`] for differential collections) returns a *clock*, a stream whose frontier passes a time once all
//! rows up to it are delivered, and a [`SinkHandle`], which has the error if there is one.
//!
//! How to connect is said by [`ConnectionOptions`], how to write by [`WriteOptions`]. How fields become text is the
//! matter of [`encode`] and [`types`], how chunks are compressed that of [`codec`].

pub mod assumptions;
mod budget;
mod chunk;
pub mod codec;
mod delivery;
pub mod encode;
mod error;
mod failure;
mod mapping;
mod options;
mod row_hash;
mod rows;
mod sink_v2;
mod stats;
pub mod types;
mod write_ahead;

pub use codec::{Codec, CodecError, Gzip};
pub use delivery::trouble::RetryCause;
pub use encode::{ColumnName, EncodeError, Encoder, LongValues, RawEncoder, SerdeEncoder};
pub use error::{Result, SinkError};
pub use mapping::{MAX_INLINE_BYTES, MappingError, inline_mapping};
pub use options::{
    Delivery, Format, OPTIONS, OptionError, OptionInfo, Retry, WriteOptions, WriteOptionsBuilder,
    format_bytes, format_duration, parse_bytes, parse_duration,
};
pub use rows::EncodedRows;

pub use kusto_client::ConnectionOptions;
pub use sink_v2::{
    Clock, EncodedRowsToKusto, InsertOnlyToKusto, RowsToKusto, SinkHandle, SinkV2, Undelivered,
};
pub use stats::SinkStats;
#[doc(hidden)] // names of places, for whoever kills processes at them
pub use write_ahead::failpoints;
pub use write_ahead::{
    Audit, Clocks, CollectionWrittenAhead, Deadlines, EncodedRowsWrittenAhead, EpochAudit, EpochState,
    Initialized, LoggedRows, Pause, PositionAt, Reader, ReaderMade, Resume, RowsWrittenAhead, Staging,
    SumAudit, Undecided, Verdict, WriteAhead, WriteAheadError, WriteAheadHandle, WriteAheadLimits,
    WriteAheadOptions, WriteAheadSink, WriteAheadState,
};
