//! From the names of fields to names of columns.
//!
//! A column can have almost any name if it is quoted in every query (`['Cost Total $']`). Nobody wants that, so a table
//! that is created gets names that need no quotes:
//!
//! 1. Letters and digits stay (of any script), and so does `_`. Everything else separates words and is left out.
//! 2. The first letter of each word but the first is written in upper case: `Cost Total $` becomes `CostTotal`,
//!    `Speed IAS in knots` becomes `SpeedIASInKnots`; `iata` stays.
//! 3. A name that would begin with a digit gets `_` before it. Underscores at both ends are cut to one, because names
//!    that begin or end with two are reserved (`data-explorer/kusto/query/schema-entities/entity-names.md`).
//! 4. Nothing left: `Column` and the number of the field, counted from 1.
//! 5. A name that was given before gets `_2`, `_3` and so on.
//!
//! A field finds its column in a table that exists by the first of these that gives one which no field before has: the
//! same name; the name made by these rules; the same letters and digits in any case, whatever stands between them.

use std::collections::HashMap;

/// The longest name of a column.
const MAX_CHARS: usize = 1024;

/// The names of the columns for these fields, by the rules of this module.
pub fn column_names<S: AsRef<str>>(fields: &[S]) -> Vec<String> {
    let mut given = HashMap::new();
    let plain = fields.iter().enumerate().map(|(index, field)| column_name(field.as_ref(), index));
    plain.map(|name| numbered(name, &mut given)).collect()
}

/// The name of the column for the field at `index`, were it the only one.
pub(crate) fn column_name(field: &str, index: usize) -> String {
    let mut name = String::new();
    for word in field.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
        match (name.is_empty(), word.chars().next()) {
            (false, Some(first)) => {
                name.extend(first.to_uppercase());
                name.push_str(&word[first.len_utf8()..]);
            }
            _ => name.push_str(word),
        }
    }
    let name: String = single_ends(&name).chars().take(MAX_CHARS - 8).collect();
    match name.chars().next() {
        None => format!("Column{}", index + 1),
        Some(first) if first.is_numeric() => format!("_{name}"),
        Some(_) if name == "_" => format!("Column{}", index + 1),
        Some(_) => name,
    }
}

/// Cuts underscores at both ends to one.
fn single_ends(name: &str) -> String {
    let inner = name.trim_matches('_');
    let before = if name.starts_with('_') { "_" } else { "" };
    let after = if name.ends_with('_') && !inner.is_empty() { "_" } else { "" };
    format!("{before}{inner}{after}")
}

/// `given`: every name that was given, and the number that the next one like it is tried with.
fn numbered(name: String, given: &mut HashMap<String, usize>) -> String {
    let Some(next) = given.get(&name) else {
        given.insert(name.clone(), 2);
        return name;
    };
    let free = |number: &usize| !given.contains_key(&format!("{name}_{number}"));
    let number = (*next..).find(free).unwrap_or(usize::MAX);
    let candidate = format!("{name}_{number}");
    given.insert(candidate.clone(), 2);
    given.insert(name, number + 1);
    candidate
}

/// What two names have in common that differ in case and punctuation only.
pub(crate) fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
