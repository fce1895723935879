//! Rows that go in by every way that a client has.

use serde_json::{Value, json};
use timely_kusto_tests::{Place, Rows, cell};

const COLUMNS: [(&str, &str); 6] = [
    ("id", "long"),
    ("name", "string"),
    ("at", "datetime"),
    ("x", "real"),
    ("ok", "bool"),
    ("more", "dynamic"),
];

/// The rows as objects: quotes, commas, line ends, letters beyond ASCII, and every JSON type.
fn objects() -> Value {
    json!([
        {"id": 1, "name": "plain", "at": "2020-01-02T03:04:05.0000000Z", "x": 1.5, "ok": true, "more": {"a": 1}},
        {"id": 2, "name": "comma, and \"quotes\"", "at": "1999-12-31T23:59:59.9999999Z", "x": -0.25, "ok": false, "more": [1]},
        {"id": 3, "name": "Zürich ☃", "at": "0001-01-01T00:00:00.0000000Z", "x": 1e300, "ok": true, "more": 7},
        {"id": 4, "name": "two\nlines", "at": "2020-02-29T00:00:00.0000000Z", "x": 0.1, "ok": false, "more": "text"},
    ])
}

/// The rows as the table is to hold them.
pub(crate) fn rows() -> Rows {
    let of = |row: &Value| COLUMNS.iter().map(|(name, kind)| cell(&row[*name], kind)).collect();
    objects().as_array().unwrap().iter().map(of).collect()
}

/// Writes them as `rows.csv`, with a header, and as `rows.json`, one array.
pub(crate) fn write(place: &Place) {
    place.write("rows.json", objects().to_string());
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(COLUMNS.map(|(name, _)| name)).unwrap();
    for row in objects().as_array().unwrap() {
        let field = |(name, kind): &(&str, &str)| match &row[*name] {
            Value::String(text) if *kind != "dynamic" => text.clone(),
            other => other.to_string(),
        };
        csv.write_record(COLUMNS.iter().map(field)).unwrap();
    }
    place.write("rows.csv", csv.into_inner().unwrap());
}
