//! Rows as the service reads them, by rule, by error, and against other people's readers.

mod csv_fields;
mod errors;
mod json_rows;
mod random_rows;
mod shapes;

use serde::Serialize;

use super::{EncodeError, Encoder, SerdeEncoder};
use crate::options::Format;

/// The row of one record by a fresh encoder, as text.
fn row<T: Serialize>(format: Format, record: &T) -> Result<String, EncodeError> {
    let mut out = b"before".to_vec();
    let result = SerdeEncoder::new(format).encode(record, &mut out);
    assert!(out.starts_with(b"before"));
    if let Err(error) = result {
        assert_eq!(out, b"before", "an error leaves the buffer as it was");
        return Err(error);
    }
    assert_eq!(result, Ok(1));
    Ok(String::from_utf8(out.split_off(6)).unwrap())
}

fn csv<T: Serialize>(record: &T) -> String {
    row(Format::Csv, record).unwrap()
}

fn json<T: Serialize>(record: &T) -> String {
    row(Format::Json, record).unwrap()
}
