//! Sequences, maps and structs within a row: the JSON text of a `dynamic` value.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer,
};

use super::field::Field;
use super::{EncodeError, csv};
use crate::options::Format;

/// A JSON array or object being written: straight to the row in JSON, to the scratch buffer and then into quotes in CSV.
/// Numbers that are none become `null` in it, as JSON has no word for them.
#[derive(Debug)]
pub(crate) struct Dynamic<'a> {
    field: Field<'a>,
    /// The closing bracket; none for JSON text that is made already.
    close: Option<u8>,
    empty: bool,
    start: usize,
}

impl<'a> Dynamic<'a> {
    pub(crate) fn begin(field: Field<'a>, open: u8, close: u8) -> Self {
        let mut dynamic = Self::begin_raw(field);
        dynamic.close = Some(close);
        dynamic.json().push(open);
        dynamic
    }

    /// JSON text that is made already, a `serde_json::value::RawValue`.
    pub(crate) fn begin_raw(field: Field<'a>) -> Self {
        if field.format == Format::Csv {
            field.scratch.clear();
        }
        let start = field.out.len();
        Dynamic { field, close: None, empty: true, start }
    }

    fn json(&mut self) -> &mut Vec<u8> {
        match self.field.format {
            Format::Csv => self.field.scratch,
            Format::Json => self.field.out,
        }
    }

    fn separate(&mut self) {
        if !self.empty {
            self.json().push(b',');
        }
        self.empty = false;
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.separate();
        Ok(serde_json::to_writer(self.json(), value)?)
    }

    fn entry<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), EncodeError> {
        if self.close.is_none() {
            return Ok(serde_json::to_writer(self.json(), &Raw(value))?);
        }
        self.separate();
        serde_json::to_writer(self.json(), key)?;
        self.json().push(b':');
        serde_json::to_writer(self.json(), value).map_err(|error| EncodeError::from(error).in_field(key))
    }

    fn finish(mut self) -> Result<(), EncodeError> {
        let close = self.close;
        self.json().extend(close);
        let Field { format, out, scratch, long, position } = self.field;
        let bytes = match format {
            Format::Csv => {
                csv::write_bytes_as_text(out, scratch);
                scratch.len()
            }
            Format::Json => out.len() - self.start,
        };
        long.note(bytes, position);
        Ok(())
    }
}

/// The name by which `serde_json` tells itself that a value is JSON text already.
pub(crate) const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Hands JSON text on to `serde_json` the way it expects it.
struct Raw<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Serialize for Raw<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut raw = serializer.serialize_struct(RAW_VALUE, 1)?;
        raw.serialize_field(RAW_VALUE, self.0)?;
        raw.end()
    }
}

/// Appends the key of a map as a JSON string: text as it is, numbers and bools in quotes.
pub(crate) fn write_key<T: Serialize + ?Sized>(out: &mut Vec<u8>, key: &T) -> Result<(), EncodeError> {
    let start = out.len();
    serde_json::to_writer(&mut *out, key)?;
    match out[start] {
        b'"' => Ok(()),
        b'-' | b'0'..=b'9' | b't' | b'f' => {
            out.insert(start, b'"');
            out.push(b'"');
            Ok(())
        }
        _ => Err(EncodeError::new("a map has a key that is no text", "use keys of text, numbers or bools")),
    }
}

impl SerializeSeq for Dynamic<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.element(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl SerializeTuple for Dynamic<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.element(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl SerializeTupleStruct for Dynamic<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.element(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl SerializeMap for Dynamic<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        self.separate();
        write_key(self.json(), key)?;
        self.json().push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        Ok(serde_json::to_writer(self.json(), value)?)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}

impl SerializeStruct for Dynamic<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.entry(key, value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.finish()
    }
}
