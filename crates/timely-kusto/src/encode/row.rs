//! One row: which fields a record has, and in what order.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer,
};

use super::columns::Columns;
use super::dynamic::write_key;
use super::field::{Field, variant_with_data};
use super::tail::{Added, Tail};
use super::{EncodeError, LongValues, MAX_ROW_BYTES};
use crate::options::Format;

/// Writes a record as one row at the end of `out`.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) format: Format,
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) scratch: &'a mut Vec<u8>,
    pub(crate) columns: &'a mut Columns,
    pub(crate) long: &'a mut LongValues,
    /// Fields that the sink adds behind those of the record.
    pub(crate) tail: Tail<'a>,
    /// One more behind these: the epoch.
    pub(crate) epoch: Option<&'a Added>,
}

/// A row with fields under way.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    row: Row<'a>,
    start: usize,
    /// Fields seen.
    count: usize,
    /// Whether nothing was written yet.
    empty: bool,
}

impl<'a> Row<'a> {
    /// The fields that the sink adds.
    #[inline]
    fn added(&self) -> impl Iterator<Item = &'a Added> + use<'a> {
        self.tail.iter().chain(self.epoch)
    }

    fn begin(self) -> Fields<'a> {
        let start = self.out.len();
        if self.format == Format::Json {
            self.out.push(b'{');
        }
        Fields { row: self, start, count: 0, empty: true }
    }

    /// A record without field names: CSV only.
    fn begin_positional(self) -> Result<Fields<'a>, EncodeError> {
        if self.format == Format::Json {
            return Err(no_object());
        }
        Ok(self.begin())
    }

    /// A record that is one value: CSV only, one column.
    fn single<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        let mut fields = self.begin_positional()?;
        fields.positional(value)?;
        fields.end_positional()
    }
}

#[cold]
fn no_object() -> EncodeError {
    EncodeError::new(
        "a JSON row is an object, and the record has no field names",
        "use a struct, a map, or the format csv",
    )
}

#[cold]
fn no_row(what: &str) -> EncodeError {
    EncodeError::new(format!("the record is {what}"), "a record is a struct, a tuple, or (in JSON) a map")
}

impl Fields<'_> {
    #[inline]
    fn separate(&mut self) {
        if !self.empty {
            self.row.out.push(b',');
        }
        self.empty = false;
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, position: usize, value: &T) -> Result<(), EncodeError> {
        let Row { format, out, scratch, long, .. } = &mut self.row;
        value.serialize(Field { format: *format, out, scratch, long, position })
    }

    #[inline]
    fn named<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), EncodeError> {
        self.separate();
        let position = match self.row.format {
            Format::Csv => {
                self.row.columns.next_named(self.count, name)?;
                self.count
            }
            Format::Json => {
                let position = self.row.columns.find_named(self.count, name)?;
                self.row.out.extend_from_slice(self.row.columns.json_key(position));
                position
            }
        };
        self.count += 1;
        self.value(position, value).map_err(|error| error.in_field(name))
    }

    /// A field that the record leaves out (`skip_serializing_if`): null in CSV, absent in JSON.
    fn left_out(&mut self, name: &'static str) -> Result<(), EncodeError> {
        match self.row.format {
            Format::Csv => {
                self.separate();
                self.row.columns.next_named(self.count, name)?;
            }
            Format::Json => {
                self.row.columns.find_named(self.count, name)?;
            }
        }
        self.count += 1;
        Ok(())
    }

    #[inline]
    fn positional<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.separate();
        let position = self.count;
        self.count += 1;
        self.value(position, value).map_err(|error| error.in_field(&position.to_string()))
    }

    #[inline]
    fn end_named(mut self) -> Result<(), EncodeError> {
        for (name, value) in self.row.added() {
            self.named(name, value)?;
        }
        match self.row.format {
            Format::Csv => self.row.columns.end_named(self.count)?,
            Format::Json => self.row.columns.end_some_named(),
        }
        self.close()
    }

    #[inline]
    fn end_positional(mut self) -> Result<(), EncodeError> {
        for (_, value) in self.row.added() {
            self.positional(value)?;
        }
        self.row.columns.end_positional(self.count)?;
        self.close()
    }

    #[inline]
    fn close(&mut self) -> Result<(), EncodeError> {
        if self.count == 0 {
            return Err(no_row("without fields"));
        }
        let out = &mut *self.row.out;
        if self.row.format == Format::Json {
            out.push(b'}');
        } else if out.len() == self.start {
            // One column that is null: an empty line would be taken for no row at all.
            out.extend_from_slice(b"\"\"");
        }
        out.push(b'\n');
        if out.len() - self.start > MAX_ROW_BYTES {
            return Err(too_long(out.len() - self.start));
        }
        Ok(())
    }
}

#[cold]
fn too_long(bytes: usize) -> EncodeError {
    EncodeError::new(
        format!("it has {bytes} bytes, and the service refuses a blob with a row above {MAX_ROW_BYTES}"),
        "divide the record",
    )
}

/// Records of one value.
macro_rules! singles {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), EncodeError> {
            self.single(&value)
        })*
    };
}

impl<'a> Serializer for Row<'a> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Fields<'a>;
    type SerializeTuple = Fields<'a>;
    type SerializeTupleStruct = Fields<'a>;
    type SerializeTupleVariant = serde::ser::Impossible<(), EncodeError>;
    type SerializeMap = Fields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = serde::ser::Impossible<(), EncodeError>;

    singles!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_str: &str
    );

    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        self.single(serde_bytes::Bytes::new(value))
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        Err(no_row("None"))
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        Err(no_row("()"))
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), EncodeError> {
        Err(no_row(name).in_field(name))
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.single(variant)
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

    fn serialize_seq(self, _len: Option<usize>) -> Result<Fields<'a>, EncodeError> {
        self.begin_positional()
    }

    fn serialize_tuple(self, _len: usize) -> Result<Fields<'a>, EncodeError> {
        self.begin_positional()
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Fields<'a>, EncodeError> {
        self.begin_positional()
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

    fn serialize_map(self, _len: Option<usize>) -> Result<Fields<'a>, EncodeError> {
        if self.format == Format::Csv {
            return Err(EncodeError::new(
                "the record is a map (or a struct with a flattened part), whose fields have no order",
                "use the format json, or a struct with all its fields",
            ));
        }
        Ok(self.begin())
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Fields<'a>, EncodeError> {
        self.columns.begin_named()?;
        Ok(self.begin())
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
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.named(key, value)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), EncodeError> {
        self.left_out(key)
    }

    #[inline]
    fn end(self) -> Result<(), EncodeError> {
        self.end_named()
    }
}

impl SerializeMap for Fields<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        self.separate();
        let out = &mut *self.row.out;
        let start = out.len();
        write_key(out, key)?;
        if !self.row.columns.accepts_key(&out[start..]) {
            let name = String::from_utf8_lossy(&out[start + 1..out.len() - 1]).into_owned();
            return Err(EncodeError::new("it is none of the columns that were given", "").in_field(&name));
        }
        out.push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let position = self.count;
        self.count += 1;
        self.value(position, value).map_err(|error| error.in_field(&position.to_string()))
    }

    fn end(mut self) -> Result<(), EncodeError> {
        for (name, value) in self.row.added() {
            self.serialize_key(name)?;
            self.serialize_value(value)?;
        }
        self.close()
    }
}

impl SerializeSeq for Fields<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.positional(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.end_positional()
    }
}

impl SerializeTuple for Fields<'_> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.positional(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.end_positional()
    }
}

impl SerializeTupleStruct for Fields<'_> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.positional(value)
    }

    fn end(self) -> Result<(), EncodeError> {
        self.end_positional()
    }
}
