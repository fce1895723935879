//! A sink for timely and differential dataflows into Azure Data Explorer (Kusto).

pub mod codec;
pub mod encode;
mod mapping;
mod options;
mod rows;
pub mod types;

pub use codec::{Codec, CodecError, Gzip};
pub use encode::{ColumnName, EncodeError, Encoder, LongValues, RawEncoder, SerdeEncoder};
pub use mapping::{MAX_INLINE_BYTES, MappingError, inline_mapping};
pub use options::{
    Delivery, Format, OPTIONS, OptionError, OptionInfo, Retry, WriteOptions, WriteOptionsBuilder, format_bytes,
    format_duration, parse_bytes, parse_duration,
};
pub use rows::EncodedRows;
