//! A configuration file as sections of keys that know their line.
//!
//! Every key has to be taken by somebody: [`Section::finish`] turns what is left over into an error that names the
//! line and the nearest key there is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a configuration file, and where.
#[derive(Debug)]
pub(crate) struct ConfigError {
    file: PathBuf,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// The same without its line, for a text that was made from the file.
    pub(crate) fn without_line(self) -> Self {
        ConfigError { line: None, ..self }
    }

    /// The file itself cannot be read.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        ConfigError { file: file.to_owned(), line: None, message: format!("cannot be read: {error}") }
    }

    /// Something is wrong with what the file says as a whole.
    pub(super) fn of_whole(file: &Path, message: impl fmt::Display) -> Self {
        ConfigError { file: file.to_owned(), line: None, message: message.to_string() }
    }
}

type Result<T> = std::result::Result<T, ConfigError>;

/// Where errors say they are.
#[derive(Debug)]
struct Place {
    file: PathBuf,
    /// Offsets at which lines begin.
    lines: Vec<usize>,
}

impl Place {
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }
}

/// A value and the line it stands on.
#[derive(Debug)]
pub(crate) struct Entry {
    line: usize,
    value: Value,
}

/// A value of the file. Numbers stay text: whoever takes one knows its type.
#[derive(Debug)]
enum Value {
    Text(String),
    Number(String),
    Flag(bool),
    List(Vec<Entry>),
    Table(BTreeMap<String, Entry>),
}

/// A table of the file whose keys are being taken.
#[derive(Debug)]
pub(crate) struct Section {
    place: Rc<Place>,
    /// `[sink]`, or `auth` within another.
    name: String,
    line: Option<usize>,
    entries: BTreeMap<String, Entry>,
    known: Vec<String>,
}

/// Reads the text of `file` into its top section.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Section> {
    let starts = text.match_indices('\n').map(|(at, _)| at + 1);
    let place = Rc::new(Place { file: file.to_owned(), lines: std::iter::once(0).chain(starts).collect() });
    let table = DeTable::parse(text).map_err(|error| ConfigError {
        file: file.to_owned(),
        line: error.span().map(|span| place.line(span.start)),
        message: error.message().to_owned(),
    })?;
    let entries = entries(&place, table.into_inner())?;
    Ok(Section { place, name: String::new(), line: None, entries, known: Vec::new() })
}

fn entries(place: &Place, table: DeTable<'_>) -> Result<BTreeMap<String, Entry>> {
    table
        .into_iter()
        .map(|(key, value)| {
            let line = place.line(key.span().start);
            Ok((key.into_inner().into_owned(), Entry { line, value: convert(place, value)? }))
        })
        .collect()
}

fn convert(place: &Place, value: Spanned<DeValue<'_>>) -> Result<Value> {
    let line = place.line(value.span().start);
    Ok(match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => Value::Number(number.to_string()),
        DeValue::Float(number) => Value::Number(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => {
            let item = |item| Ok(Entry { line, value: convert(place, item)? });
            Value::List(items.into_iter().map(item).collect::<Result<_>>()?)
        }
        DeValue::Table(table) => Value::Table(entries(place, table)?),
    })
}

impl Section {
    /// Takes the table `name`, if the file has it.
    pub(crate) fn table(&mut self, name: &str) -> Result<Option<Section>> {
        let Some(entry) = self.take(name) else { return Ok(None) };
        let full = if self.name.is_empty() { format!("[{name}]") } else { format!("{} {name}", self.name) };
        match entry.value {
            Value::Table(entries) => {
                let place = Rc::clone(&self.place);
                Ok(Some(Section { place, name: full, line: Some(entry.line), entries, known: Vec::new() }))
            }
            _ => Err(self.error_at(entry.line, format!("`{name}` must be a table"))),
        }
    }

    /// Takes the table `name`.
    pub(crate) fn required_table(&mut self, name: &str) -> Result<Section> {
        self.table(name)?.ok_or_else(|| self.error(format!("the section [{name}] is missing")))
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        match entry.value {
            Value::Text(text) => Ok(Some(text)),
            _ => Err(self.error_at(entry.line, format!("`{key}` must be a text in quotes"))),
        }
    }

    /// Takes a text that must be there.
    pub(crate) fn required_text(&mut self, key: &str) -> Result<String> {
        let text = self.text(key)?;
        text.ok_or_else(|| self.error(format!("`{key}` is missing")))
    }

    /// Takes one text or a list of texts.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<String>> {
        let Some(entry) = self.take(key) else { return Ok(Vec::new()) };
        let wrong =
            || self.error_at(entry.line, format!("`{key}` must be a text in quotes, or a list of them"));
        match entry.value {
            Value::Text(text) => Ok(vec![text]),
            Value::List(items) => items
                .into_iter()
                .map(|item| match item.value {
                    Value::Text(text) => Ok(text),
                    _ => Err(wrong()),
                })
                .collect(),
            _ => Err(wrong()),
        }
    }

    /// Takes `true` or `false`.
    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        match entry.value {
            Value::Flag(flag) => Ok(Some(flag)),
            _ => Err(self.error_at(entry.line, format!("`{key}` must be true or false"))),
        }
    }

    /// Takes a whole number.
    pub(crate) fn number(&mut self, key: &str) -> Result<Option<u64>> {
        self.parsed(key, |text| {
            text.replace('_', "").parse().map_err(|_| "must be a whole number, 0 or more".to_owned())
        })
    }

    /// Takes a text or number that `parse` understands; its error says what is allowed.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> std::result::Result<T, String>,
    ) -> Result<Option<T>> {
        let Some(entry) = self.take(key) else { return Ok(None) };
        let text = match &entry.value {
            Value::Text(text) | Value::Number(text) => text,
            _ => return Err(self.error_at(entry.line, format!("`{key}` must be a text or a number"))),
        };
        match parse(text) {
            Ok(value) => Ok(Some(value)),
            Err(message) => Err(self.error_at(entry.line, format!("`{key}` = {text:?}: {message}"))),
        }
    }

    /// Takes every key that is left as a setting in text form, with its line.
    pub(crate) fn rest(&mut self) -> Result<Vec<(String, String, usize)>> {
        let entries = std::mem::take(&mut self.entries);
        entries
            .into_iter()
            .map(|(key, entry)| match setting(&entry.value) {
                Some(text) => Ok((key, text, entry.line)),
                None => Err(self.error_at(entry.line, format!("`{key}` cannot be a table"))),
            })
            .collect()
    }

    /// Says whether `key` is there, without taking it.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Says whether `key` is there as a text, without taking it.
    pub(crate) fn is_text(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|entry| matches!(entry.value, Value::Text(_)))
    }

    /// Ends the taking: a key that is left over is an error.
    pub(crate) fn finish(self) -> Result<()> {
        let Some((key, entry)) = self.entries.iter().next() else { return Ok(()) };
        let place = if self.name.is_empty() { "the file".to_owned() } else { self.name.clone() };
        let known = self.known.iter().map(String::as_str);
        Err(self.error_at(entry.line, format!("{place} has no key `{key}`{}", nearest(key, known))))
    }

    /// An error at this section.
    pub(crate) fn error(&self, message: impl Into<String>) -> ConfigError {
        let message = message.into();
        let message = if self.name.is_empty() { message } else { format!("{}: {message}", self.name) };
        ConfigError { file: self.place.file.clone(), line: self.line, message }
    }

    /// An error at `line`.
    pub(crate) fn error_at(&self, line: usize, message: impl Into<String>) -> ConfigError {
        ConfigError { file: self.place.file.clone(), line: Some(line), message: message.into() }
    }

    fn take(&mut self, key: &str) -> Option<Entry> {
        self.known.push(key.to_owned());
        self.entries.remove(key)
    }
}

/// A scalar as its text, a list as JSON.
fn setting(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) | Value::Number(text) => Some(text.clone()),
        Value::Flag(flag) => Some(flag.to_string()),
        Value::List(items) => {
            let items = items.iter().map(|item| setting(&item.value)).collect::<Option<Vec<_>>>()?;
            serde_json::to_string(&items).ok()
        }
        Value::Table(_) => None,
    }
}

/// `, did you mean ...?` with the key that looks most like `key`, or the list of them all.
pub(crate) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let likeness = |name: &str| strsim::jaro_winkler(key, name);
    let best = known.clone().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best {
        Some(best) if likeness(best) > 0.8 => format!("; did you mean `{best}`?"),
        _ => {
            let names: Vec<_> = known.map(|name| format!("`{name}`")).collect();
            format!("; it may have {}", names.join(", "))
        }
    }
}
