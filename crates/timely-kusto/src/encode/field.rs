//! One field of a row: scalars as text, everything nested as JSON.

use serde::ser::{Serialize, Serializer};
use std::fmt;

use super::dynamic::{Dynamic, RAW_VALUE};
use super::{EncodeError, LongValues, csv};
use crate::options::Format;

/// Writes one field of a row to `out`.
///
/// Numbers that are none (`NaN`, infinities) are text in both formats, as the service spells them in its results.
/// Bytes are base64 text. An enum's variant without data is its name.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    pub(crate) format: Format,
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) scratch: &'a mut Vec<u8>,
    pub(crate) long: &'a mut LongValues,
    /// Position in the row.
    pub(crate) position: usize,
}

impl<'a> Field<'a> {
    #[inline]
    fn text(self, text: &str) -> Result<(), EncodeError> {
        self.long.note(text.len(), self.position);
        match self.format {
            Format::Csv => csv::write_string(self.out, text),
            Format::Json => serde_json::to_writer(self.out, text)?,
        }
        Ok(())
    }

    #[inline]
    fn null(self) -> Result<(), EncodeError> {
        if self.format == Format::Json {
            self.out.extend_from_slice(b"null");
        }
        Ok(())
    }

    fn dynamic(self, open: u8, close: u8) -> Dynamic<'a> {
        Dynamic::begin(self, open, close)
    }
}

/// The error of an enum's variant that has data.
#[cold]
pub(crate) fn variant_with_data(enumeration: &str, variant: &str) -> EncodeError {
    EncodeError::new(
        format!("{enumeration}::{variant} is a variant with data, which no column type holds"),
        "derive it with #[serde(untagged)] or #[serde(tag = \"..\")], or write its text",
    )
}

/// Writes integers of one type.
macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(#[inline]
        fn $method(self, value: $type) -> Result<(), EncodeError> {
            csv::write_integer(self.out, value);
            Ok(())
        })*
    };
}

impl<'a> Serializer for Field<'a> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Dynamic<'a>;
    type SerializeTuple = Dynamic<'a>;
    type SerializeTupleStruct = Dynamic<'a>;
    type SerializeTupleVariant = serde::ser::Impossible<(), EncodeError>;
    type SerializeMap = Dynamic<'a>;
    type SerializeStruct = Dynamic<'a>;
    type SerializeStructVariant = serde::ser::Impossible<(), EncodeError>;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128
    );

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), EncodeError> {
        csv::write_bool(self.out, value);
        Ok(())
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), EncodeError> {
        match (self.format, csv::non_finite(value.into())) {
            (Format::Json, Some(name)) => self.text(name),
            _ => {
                csv::write_real_f32(self.out, value);
                Ok(())
            }
        }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), EncodeError> {
        match (self.format, csv::non_finite(value)) {
            (Format::Json, Some(name)) => self.text(name),
            _ => {
                csv::write_real(self.out, value);
                Ok(())
            }
        }
    }

    fn serialize_char(self, value: char) -> Result<(), EncodeError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), EncodeError> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        let start = self.out.len();
        match self.format {
            Format::Csv => csv::write_base64(self.out, value),
            Format::Json if value.is_empty() => self.out.extend_from_slice(b"\"\""),
            Format::Json => {
                self.out.push(b'"');
                csv::write_base64(self.out, value);
                self.out.push(b'"');
            }
        }
        self.long.note(self.out.len() - start, self.position);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), EncodeError> {
        self.null()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        self.null()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), EncodeError> {
        self.null()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.text(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        _value: &T,
    ) -> Result<(), EncodeError> {
        Err(variant_with_data(name, variant))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Dynamic<'a>, EncodeError> {
        Ok(self.dynamic(b'[', b']'))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Dynamic<'a>, EncodeError> {
        Ok(self.dynamic(b'[', b']'))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Dynamic<'a>, EncodeError> {
        Ok(self.dynamic(b'[', b']'))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, EncodeError> {
        Err(variant_with_data(name, variant))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Dynamic<'a>, EncodeError> {
        Ok(self.dynamic(b'{', b'}'))
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Dynamic<'a>, EncodeError> {
        if name == RAW_VALUE {
            return Ok(Dynamic::begin_raw(self));
        }
        Ok(self.dynamic(b'{', b'}'))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, EncodeError> {
        Err(variant_with_data(name, variant))
    }

    /// Types that display themselves (timestamps, ids) go into the row without a string between.
    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        let failed = |_| EncodeError::new("its text could not be made", "");
        let start = self.out.len();
        match self.format {
            Format::Csv => csv::write_display(self.out, self.scratch, &value).map_err(failed)?,
            Format::Json => {
                fmt::Write::write_fmt(&mut JsonText::open(self.out), format_args!("{value}"))
                    .map_err(failed)?;
                self.out.push(b'"');
            }
        }
        self.long.note(self.out.len() - start, self.position);
        Ok(())
    }
}

/// Lets `write!` append to a JSON string that is open.
struct JsonText<'a>(&'a mut Vec<u8>);

impl<'a> JsonText<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'"');
        JsonText(out)
    }
}

impl fmt::Write for JsonText<'_> {
    /// Each piece is written as a JSON string whose quotes are taken away.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.0.len();
        serde_json::to_writer(&mut *self.0, text).map_err(|_| fmt::Error)?;
        self.0.remove(start);
        self.0.pop();
        Ok(())
    }
}
