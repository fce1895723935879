//! json (an object per line) and multijson (objects, or one array of objects).

use std::fmt;
use std::io::BufRead;

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Value as Json};

use super::super::batch::IngestFailure;
use super::super::mapping::{JsonPath, Transform};
use super::columns::{Columns, MAX_VALUE_BYTES, push_json, push_text};
use super::lines::each_line;
use super::plan::{Plan, Slot};
use super::source::Input;
use crate::data::{ColumnBuilder, UNIX_EPOCH, Value};

/// An object per line. A malformed line is skipped without an error, as the service does.
///
/// # Errors
/// `BadRequest_NoRecordsOrWrongFormat` if no line of a source that has some is an object; or a failed read.
pub(super) fn read_lines(plan: &Plan, input: &mut Input, columns: &mut Columns) -> Result<(), IngestFailure> {
    let mut malformed = 0_u64;
    let mut skip = plan.ignore_first_record;
    each_line(input, |line, number| {
        if line.trim_ascii().is_empty() || std::mem::take(&mut skip) {
            return Ok(());
        }
        match serde_json::from_slice(line) {
            Ok(record @ Json::Object(_)) => {
                push_record(plan, &record, number, line.len() > MAX_VALUE_BYTES, columns)
            }
            _ => malformed += 1,
        }
        Ok(())
    })?;
    if columns.rows() == 0 && malformed > 0 {
        return Err(IngestFailure::permanent(
            "BadRequest_NoRecordsOrWrongFormat",
            format!("'{}': none of its {malformed} lines is a JSON object", input.location()),
        ));
    }
    Ok(())
}

/// Objects one after another, or one array of them.
///
/// # Errors
/// `BadRequest_InvalidBlob` if anything in the source is no JSON object; or a failed read.
pub(super) fn read_multi(plan: &Plan, input: &mut Input, columns: &mut Columns) -> Result<(), IngestFailure> {
    let is_array = first_byte(input)? == Some(b'[');
    let mut records = Records { plan, columns, skip: plan.ignore_first_record, number: 0 };
    let read = if is_array { records.array(input) } else { records.stream(input) };
    read.map_err(|error| match error.io_error_kind() {
        Some(_) => input.failure(&std::io::Error::from(error)),
        None => IngestFailure::permanent(
            "BadRequest_InvalidBlob",
            format!("'{}' is no sequence of JSON objects: {error}", input.location()),
        ),
    })
}

/// The first byte that is no blank.
fn first_byte(input: &mut Input) -> Result<Option<u8>, IngestFailure> {
    loop {
        let found = match input.fill_buf() {
            Ok([]) => return Ok(None),
            Ok(buffer) => buffer
                .iter()
                .position(|byte| !byte.is_ascii_whitespace())
                .map(|at| (at, buffer[at]))
                .ok_or(buffer.len()),
            Err(error) => return Err(input.failure(&error)),
        };
        match found {
            Ok((blanks, byte)) => {
                input.consume(blanks);
                return Ok(Some(byte));
            }
            Err(blanks) => input.consume(blanks),
        }
    }
}

struct Records<'a> {
    plan: &'a Plan,
    columns: &'a mut Columns,
    skip: bool,
    number: u64,
}

impl Records<'_> {
    fn stream(&mut self, input: &mut Input) -> Result<(), serde_json::Error> {
        let mut stream = Deserializer::from_reader(&mut *input).into_iter::<Json>();
        let mut from = 0;
        while let Some(record) = stream.next() {
            let record = record?;
            let length = stream.byte_offset() - from;
            from = stream.byte_offset();
            self.push(&record, length > MAX_VALUE_BYTES).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }

    fn array(&mut self, input: &mut Input) -> Result<(), serde_json::Error> {
        let mut deserializer = Deserializer::from_reader(input);
        deserializer.deserialize_seq(self)?;
        deserializer.end()
    }

    /// Array elements do not tell their length, so that their values are always measured.
    fn push(&mut self, record: &Json, long: bool) -> Result<(), String> {
        self.number += 1;
        if !record.is_object() {
            return Err(format!("record {} is no object", self.number));
        }
        if !std::mem::take(&mut self.skip) {
            push_record(self.plan, record, self.number, long, self.columns);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for &mut Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(record) = array.next_element::<Json>()? {
            self.push(&record, true).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

fn push_record(plan: &Plan, record: &Json, number: u64, long: bool, columns: &mut Columns) {
    columns.row(|i, builder| match &plan.slots[i] {
        Slot::Key(key) => push_found(builder, record.get(key), long, plan.longest[i]),
        Slot::Path(path, None) => push_found(builder, path.find(record), long, plan.longest[i]),
        Slot::Path(path, Some(transform)) => {
            push_transformed(builder, plan, record, path, *transform, (long, plan.longest[i]))
        }
        Slot::Constant(text) => push_text(builder, text, plan.longest[i]),
        Slot::LineNumber => push_text(builder, &number.to_string(), plan.longest[i]),
        Slot::Field(_) | Slot::Missing => builder.push_null(),
    });
}

fn push_found(builder: &mut ColumnBuilder, found: Option<&Json>, long: bool, longest: usize) {
    match found {
        Some(json) => push_json(builder, json, long, longest),
        None => builder.push_null(),
    }
}

fn push_transformed(
    builder: &mut ColumnBuilder,
    plan: &Plan,
    record: &Json,
    path: &JsonPath,
    transform: Transform,
    (long, longest): (bool, usize),
) {
    match transform {
        Transform::UnixTime { nanoseconds } => {
            match path.find(record).and_then(|json| unix_time(json, nanoseconds)) {
                Some(ticks) => builder.push_value(&Value::DateTime(ticks)),
                None => builder.push_null(),
            }
        }
        Transform::PropertyBagArrayToDictionary => {
            push_found(builder, path.find(record).and_then(dictionary).as_ref(), long, longest);
        }
        Transform::DropMappedFields => {
            push_found(builder, path.find(&without_mapped(plan, record, path)), long, longest)
        }
    }
}

/// Ticks of a Unix time in some unit, if it lies in the years 1 to 9999.
fn unix_time(json: &Json, nanoseconds: i64) -> Option<i64> {
    let ticks = match json {
        Json::String(text) => scaled(text.trim().parse().ok()?, nanoseconds)?,
        Json::Number(number) => match number.as_i64() {
            Some(whole) => scaled(whole, nanoseconds)?,
            None => (number.as_f64()? * nanoseconds as f64 / 100.0) as i64,
        },
        _ => return None,
    };
    let ticks = ticks.checked_add(UNIX_EPOCH)?;
    (0..=crate::data::MAX_DATETIME).contains(&ticks).then_some(ticks)
}

fn scaled(count: i64, nanoseconds: i64) -> Option<i64> {
    i64::try_from(i128::from(count) * i128::from(nanoseconds) / 100).ok()
}

/// `[{"Key":k,"Value":v}, ...]` as `{k:v, ...}`; names of the two fields in any case.
fn dictionary(json: &Json) -> Option<Json> {
    let field = |item: &Json, wanted: &str| {
        let object = item.as_object()?;
        object.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone())
    };
    let pairs = json.as_array()?.iter().filter_map(|item| {
        let key = field(item, "key")?;
        Some((key.as_str().map_or_else(|| key.to_string(), str::to_owned), field(item, "value")?))
    });
    Some(Json::Object(pairs.collect::<Map<_, _>>()))
}

/// The record without what the other columns take.
fn without_mapped(plan: &Plan, record: &Json, own: &JsonPath) -> Json {
    let mut rest = record.clone();
    for slot in &plan.slots {
        match slot {
            Slot::Key(key) => drop(rest.as_object_mut().and_then(|object| object.remove(key))),
            Slot::Path(path, _) if path != own => path.remove(&mut rest),
            _ => {}
        }
    }
    rest
}
