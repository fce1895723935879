//! json: lines, arrays and objects one after another; inference and conversion.

use serde_json::value::RawValue;
use timely_kusto::Format;

use super::csv_text::{converted, well_formed};
use super::*;
use crate::json::{self, Members, Unknown};
use crate::sample::Sample;

const EXAMPLES: &[&[u8]] = &[
    b"{\"a\":1,\"b\":\"x\"}\n{\"a\":2.5,\"b\":null}\n\n{\"b\":\"2020-01-01\"}",
    b"[\n  {\"a\": [1, {\"b\": \"}\"}]},\n  {\"a\": true}, {\"c\": \"\\u00fc \\\"q\\\" \\ud834\\udd1e\"}\n]\n",
    b"{\n \"a\": 1\n}\n{\n \"a\": {\"x\": [\"{\", \"\\\\\"]}\n}\n",
    b"[]",
    b"[{}]",
    b"\xef\xbb\xbf{\"n\":-0,\"t\":\"00:00:01\",\"g\":\"74be27de-1e4e-49d9-b579-fe0b331d3642\"}\r\n{}\r\n",
    b"{\"a\":1e5,\"a b\":false,\"\":\"\"}",
];

/// Words beside [`JSON`].
const WORDS: &[&str] = &[
    "{}",
    "[]",
    ",,",
    "\\\"",
    "\\udc00",
    "\n",
    " ",
    "\"a\":",
    "{\"a\":1}",
    "{\"a\":1},",
    "\n,\n",
    "\x0c",
    "\"2020-01-01T00:00:00Z\"",
];

fn words() -> Vec<&'static str> {
    [JSON, WORDS].concat()
}

/// The objects in a block.
fn objects(block: &Block) -> Option<Vec<String>> {
    let text = std::str::from_utf8(&block.text).ok()?;
    let (mut found, mut at, mut members) = (Vec::new(), 0, Members::default());
    while let Some(start) = json::next_object(text, at, block.array) {
        let object = json::object(&text[start..], block.array);
        assert!(!object.is_empty(), "no object at {start}");
        members.find(object, Unknown::Learn).ok()?;
        found.push(object.trim_ascii().to_owned());
        at = start + object.len();
    }
    Some(found)
}

/// All objects of the file; none if something is wrong with it.
fn all_objects(source: &FileSource, budget: Budget) -> Option<Vec<String>> {
    let (blocks, result) = blocks(source, budget);
    result.ok()?;
    let objects = blocks.iter().map(objects).collect::<Option<Vec<_>>>()?;
    Some(objects.concat())
}

/// The same by serde_json.
fn by_serde_json(text: &str) -> Result<Vec<String>, serde_json::Error> {
    let own = |raw: Box<RawValue>| raw.get().to_owned();
    if text.trim_ascii().starts_with('[') {
        return Ok(serde_json::from_str::<Vec<Box<RawValue>>>(text)?.into_iter().map(own).collect());
    }
    let values = serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>();
    values.map(|value| value.map(own)).collect()
}

fn splitting_keeps_all(input: &[u8], source: &FileSource, chance: &mut Chance) {
    let all = budgets(chance).map(|budget| all_objects(source, budget));
    assert!(all[0] == all[1] && all[1] == all[2], "{all:?}");
    let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    if let ([Some(objects), ..], Ok(text)) = (all, std::str::from_utf8(text)) {
        assert_eq!(objects, by_serde_json(text).unwrap());
    }
}

fn what_inference_says_is_converted(source: &FileSource, budget: Budget) {
    let Ok(sample) = Sample::of(source) else { return };
    for format in [Format::Csv, Format::Json] {
        match converted(source, &sample, format, budget) {
            Ok(rows) if !sample.fields.is_empty() => well_formed(&rows, &sample, format),
            Ok(_) => {}
            Err(error) => assert!(error.to_string().contains("surrogate"), "{error}"),
        }
    }
}

#[test]
fn damaged_json_has_the_same_objects_in_blocks_of_every_size_and_by_serde_json() {
    let scratch = Scratch::new("f.json");
    fuzz("json", ROUNDS, EXAMPLES, &words(), |input, chance| {
        let source = scratch.source(FileFormat::Json, input);
        within_memory(input.len(), || splitting_keeps_all(input, &source, chance));
    });
}

#[test]
fn damaged_json_that_inference_understands_is_converted() {
    let scratch = Scratch::new("f.json");
    fuzz("json conversion", ROUNDS, EXAMPLES, &words(), |input, chance| {
        let source = scratch.source(FileFormat::Json, input);
        let budget = budgets(chance)[chance.below(3)];
        within_memory(input.len(), || what_inference_says_is_converted(&source, budget));
    });
}

#[test]
fn a_comma_before_the_object_of_a_line_is_refused() {
    let scratch = Scratch::new("f.json");
    for text in ["{\"a\":1}\n,{\"a\":2}\n", "{\"a\":1}\n,\n{\"a\":2}\n"] {
        let source = scratch.source(FileFormat::Json, text.as_bytes());
        assert!(Sample::of(&source).is_err(), "{text}");
        assert_eq!(all_objects(&source, Budget::DEFAULT), None, "{text}");
    }
}

#[test]
fn a_form_feed_is_no_blank_between_objects() {
    let scratch = Scratch::new("f.json");
    for text in ["[]\x0c", "[\x0c\n]", "{\"a\":1}\n\x0c\n", "[{\"a\":1},\x0c{\"a\":2}]", "{\n}\x0c{\n}"] {
        let source = scratch.source(FileFormat::Json, text.as_bytes());
        for bytes in [1, 100] {
            assert_eq!(all_objects(&source, Budget { rows: 1, bytes }), None, "{text:?}");
        }
    }
}

#[test]
fn objects_whose_keys_are_data_are_refused_before_they_fill_the_memory() {
    let scratch = Scratch::new("f.json");
    let text: String = (0..Sample::FIELDS + 500).map(|n| format!("{{\"{n}\":1}}\n")).collect();
    let source = scratch.source(FileFormat::Json, text.as_bytes());
    assert_eq!(Sample::of(&source).unwrap().rows, Sample::ROWS, "one new key per row is within both limits");
    let wide: String = (0..20_000).map(|n| format!("{{\"{n}\":1,\"x{n}\":2,\"y{n}\":3}}\n")).collect();
    let source = scratch.source(FileFormat::Json, wide.as_bytes());
    let error = within_memory(wide.len(), || Sample::of(&source)).unwrap_err().to_string();
    assert!(error.contains("fields, and a source may have 10000"), "{error}");
}
