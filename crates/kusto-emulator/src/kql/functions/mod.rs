//! The scalar functions that work on single values. Those that are typed by their arguments or run over whole columns
//! (conversions, `bin`, `iff`, `coalesce`, null tests) are bound in `bind_call.rs` instead.
//!
//! Semantics: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/<function>-function.md`.

mod arrays;
mod bits;
mod calendar;
mod codes;
mod json;
mod math;
mod parts;
mod shapes;
mod text;
mod time;

pub(super) use codes::can_hash;

use super::eval::Env;
use crate::data::{ColumnType, Value};

/// What an argument must be; the binder converts where the conversion loses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Param {
    Any,
    /// `string`, or `dynamic` as text.
    Text,
    /// Any type, as its text.
    AsText,
    Long,
    Real,
    DateTime,
    TimeSpan,
    Dynamic,
}

/// A function of values.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    /// The arguments; the last one repeats when `rest` says so.
    pub(super) params: &'static [Param],
    /// How many of them must be there.
    pub(super) least: usize,
    /// Whether the last one may come any number of times.
    pub(super) rest: bool,
    pub(super) result: ColumnType,
    pub(super) body: fn(&[Value], &Env) -> Value,
    /// The same for a function of one text that gives a text: appends it, without a value in between.
    pub(super) direct: Option<fn(&str, &mut String)>,
}

/// A function with all of its arguments required.
const fn exact(
    name: &'static str,
    params: &'static [Param],
    result: ColumnType,
    body: fn(&[Value], &Env) -> Value,
) -> Function {
    Function { name, params, least: params.len(), rest: false, result, body, direct: None }
}

/// A function of which only the first `least` arguments are required.
const fn optional(
    name: &'static str,
    params: &'static [Param],
    least: usize,
    result: ColumnType,
    body: fn(&[Value], &Env) -> Value,
) -> Function {
    Function { name, params, least, rest: false, result, body, direct: None }
}

/// A function whose last argument repeats.
const fn repeating(
    name: &'static str,
    params: &'static [Param],
    result: ColumnType,
    body: fn(&[Value], &Env) -> Value,
) -> Function {
    Function { name, params, least: params.len(), rest: true, result, body, direct: None }
}

/// A function of one text.
const fn of_text(
    name: &'static str,
    direct: fn(&str, &mut String),
    body: fn(&[Value], &Env) -> Value,
) -> Function {
    Function { direct: Some(direct), ..exact(name, &[Param::AsText], ColumnType::String, body) }
}

/// What a function of one text appends, as a value.
fn text_by(arguments: &[Value], direct: fn(&str, &mut String)) -> Value {
    let mut out = String::new();
    direct(text_at(arguments, 0), &mut out);
    Value::string(out)
}

/// The function called `name` (function names are case-sensitive).
pub(super) fn find(name: &str) -> Option<&'static Function> {
    let name = current(name);
    let all = [
        text::FUNCTIONS,
        time::FUNCTIONS,
        json::FUNCTIONS,
        math::FUNCTIONS,
        arrays::FUNCTIONS,
        bits::FUNCTIONS,
        calendar::FUNCTIONS,
        codes::FUNCTIONS,
        parts::FUNCTIONS,
        shapes::FUNCTIONS,
    ];
    all.into_iter().flatten().find(|function| function.name == name)
}

/// The name of a function by an older name of it.
fn current(name: &str) -> &str {
    match name {
        "arraylength" => "array_length",
        "array_strcat" => "strcat_array",
        "datepart" => "datetime_part",
        "weekofyear" => "week_of_year",
        "replace" => "replace_regex",
        "extractall" => "extract_all",
        "extractjson" => "extract_json",
        "parseurlquery" => "parse_urlquery",
        "base64_encodestring" => "base64_encode_tostring",
        "base64_decodestring" => "base64_decode_tostring",
        "pack_dictionary" => "pack",
        other => other,
    }
}

fn text_at(arguments: &[Value], at: usize) -> &str {
    arguments.get(at).and_then(Value::as_str).unwrap_or("")
}

fn long_at(arguments: &[Value], at: usize) -> Option<i64> {
    arguments.get(at).and_then(Value::as_i64)
}

fn or_null<T>(found: Option<T>, wrap: fn(T) -> Value) -> Value {
    found.map_or(Value::Null, wrap)
}
