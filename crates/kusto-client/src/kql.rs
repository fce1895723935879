//! Quoting: names and values that stand in a command or a query.
//!
//! Whatever comes from outside goes through these two functions, so that a table called `a'b]` or a tag with a quote
//! cannot change the meaning of a command. Rules: `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/query/schema-entities/entity-names.md` and `.../query/scalar-data-types/string.md`.

/// A name as it stands in a command: `Storms` stays, `my table` becomes `['my table']`.
///
/// ```
/// assert_eq!(kusto_client::quote_name("Storms_2024"), "Storms_2024");
/// assert_eq!(kusto_client::quote_name("it's here"), r"['it\'s here']");
/// ```
pub fn quote_name(name: &str) -> String {
    if is_plain(name) { name.to_owned() } else { format!("[{}]", quote_string(name)) }
}

/// A string literal: single quotes, with backslash escapes.
///
/// ```
/// assert_eq!(kusto_client::quote_string("it's\n"), r"'it\'s\n'");
/// ```
pub fn quote_string(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('\'');
    for c in value.chars() {
        match c {
            '\'' => quoted.push_str("\\'"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// A name needs no quotes when it is letters, digits and underscores, does not start with a digit, and is no word of
/// the language. The words of a language grow; quoting too much is harmless, so only a safe shape stays bare.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    let starts_well = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    starts_well
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !WORDS.contains(&name.to_ascii_lowercase().as_str())
}

/// Words that a parser may take for something else where a name is expected.
const WORDS: &[&str] = &[
    "and",
    "as",
    "asc",
    "between",
    "bool",
    "by",
    "cluster",
    "consume",
    "contains",
    "count",
    "database",
    "datatable",
    "datetime",
    "declare",
    "decimal",
    "desc",
    "distinct",
    "double",
    "dynamic",
    "evaluate",
    "extend",
    "extents",
    "externaldata",
    "facet",
    "false",
    "find",
    "fork",
    "from",
    "getschema",
    "guid",
    "has",
    "ifexists",
    "in",
    "int",
    "invoke",
    "join",
    "kind",
    "let",
    "like",
    "limit",
    "lookup",
    "long",
    "materialize",
    "matches",
    "not",
    "null",
    "on",
    "or",
    "order",
    "parse",
    "pattern",
    "policy",
    "print",
    "project",
    "range",
    "real",
    "reduce",
    "render",
    "restrict",
    "sample",
    "scan",
    "search",
    "serialize",
    "set",
    "sort",
    "string",
    "summarize",
    "table",
    "tables",
    "take",
    "time",
    "timespan",
    "to",
    "top",
    "toscalar",
    "true",
    "union",
    "uuid",
    "where",
    "with",
];

/// The name of an entity at the start of `text`, as [`quote_name`] or a person writes it: bare, `['..']`, `[".."]`, or
/// verbatim `[@'..']`.
pub(crate) fn entity_name(text: &str) -> Option<String> {
    let text = text.trim_start();
    let name = match text.strip_prefix('[') {
        Some(quoted) => unquoted(quoted.trim_start())?,
        None => text.split(|c: char| c.is_whitespace() || "(|<,;".contains(c)).next()?.to_owned(),
    };
    (!name.is_empty()).then_some(name)
}

/// The value of the string literal at the start of `text`.
fn unquoted(text: &str) -> Option<String> {
    let (text, verbatim) = text.strip_prefix('@').map_or((text, false), |rest| (rest, true));
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (mut value, mut rest) = (String::new(), text[1..].chars());
    loop {
        match rest.next()? {
            c if c == quote && verbatim && rest.as_str().starts_with(quote) => {
                value.push(quote);
                rest.next();
            }
            c if c == quote => return Some(value),
            '\\' if !verbatim => value.push(escaped(&mut rest)?),
            c => value.push(c),
        }
    }
}

/// The character that an escape stands for; `rest` begins behind the backslash.
fn escaped(rest: &mut std::str::Chars<'_>) -> Option<char> {
    match rest.next()? {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => {
            let digits = rest.as_str().get(..4)?;
            *rest = rest.as_str()[4..].chars();
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)
        }
        c => Some(c),
    }
}

/// Whether the text is a management command: its first character that is no white space is a dot
/// (`data-explorer/kusto/management/index.md`).
pub fn is_command(text: &str) -> bool {
    text.trim_start().starts_with('.')
}

/// Whether running the text can change anything: `.show` and `.get` commands and queries cannot.
pub(crate) fn has_effect(text: &str) -> bool {
    is_command(text) && !matches!(first_word(text).as_str(), ".show" | ".get")
}

/// The first word of a command, in lower case: `.create-merge`.
pub(crate) fn first_word(text: &str) -> String {
    text.trim_start()
        .split(|c: char| c.is_whitespace() || c == '(' || c == '|')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_read_back() {
        let names = ["T", "a.b", "it's", "a\\b", "x\ny", "with ]' in it", "\u{7f}", "ünïcode", "table", "1a"];
        for name in names {
            assert_eq!(entity_name(&quote_name(name)).as_deref(), Some(name));
        }
        crate::fuzz::fuzz("entity name", &names, |text| {
            let name = String::from_utf8_lossy(text);
            _ = entity_name(&name);
            if !name.is_empty() {
                assert_eq!(entity_name(&quote_name(&name)).as_deref(), Some(&*name));
            }
        });
    }
}
