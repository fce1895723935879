//! Ingestion mappings: which part of a record goes into which column.
//!
//! Forms: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/{mappings,csv-mapping,json-mapping}.md`. Keys are
//! read in any case; the older flat form (`"path"`, `"ordinal"` beside `"column"`, the column called `Name`) is read too.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::batch::IngestFailure;
use crate::data::ColumnType;

/// The formats that mappings are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum MappingKind {
    /// All delimited formats, txt and raw.
    Csv,
    /// json and multijson.
    Json,
}

impl MappingKind {
    /// Reads the word of a command or property, in any case.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The value of the column `Kind`.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Csv => "Csv",
            Self::Json => "Json",
        }
    }
}

/// A mapping: one element per target column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// In the order written.
    pub(crate) columns: Vec<ColumnMapping>,
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnMapping {
    /// The target.
    pub(crate) column: String,
    /// `DataType`, where given.
    pub(crate) ty: Option<ColumnType>,
    /// The part of the record.
    pub(crate) from: From,
    /// What is done to it.
    pub(crate) transform: Option<Transform>,
}

/// A part of a record, or something beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    /// The nth field, from 0.
    Ordinal(usize),
    /// What the path leads to.
    Path(JsonPath),
    /// Always the same text.
    Constant(String),
    /// The blob's address, without its secret.
    SourceLocation,
    /// The number of the record's first line, from 1.
    SourceLineNumber,
}

/// What is done to a value on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transform {
    /// A Unix time becomes a datetime; the number says how many ticks of 100 ns, times ten, a unit has.
    UnixTime {
        /// Nanoseconds of a unit.
        nanoseconds: i64,
    },
    /// `[{"Key":k,"Value":v}]` becomes `{k:v}`.
    PropertyBagArrayToDictionary,
    /// The object without what other columns take.
    DropMappedFields,
}

/// A path into a JSON value: `$`, `$.a.b`, `$['a b']`, `$.a[0]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Mapping {
    /// Reads the JSON text of a mapping.
    ///
    /// # Errors
    /// `BadRequest_InvalidMapping`, naming element and reason.
    pub(crate) fn parse(kind: MappingKind, text: &str) -> Result<Self, IngestFailure> {
        let elements: Vec<Map<String, Json>> = serde_json::from_str(text)
            .map_err(|error| invalid(format!("it is no JSON array of objects: {error}")))?;
        if elements.is_empty() {
            return Err(invalid("it has no elements"));
        }
        let columns: Vec<_> =
            elements.iter().map(|e| Element::new(e).read(kind)).collect::<Result<_, _>>()?;
        for (i, mapped) in columns.iter().enumerate() {
            if columns[..i].iter().any(|earlier| earlier.column == mapped.column) {
                return Err(invalid(format!("column '{}' is mapped twice", mapped.column)));
            }
        }
        Ok(Self { columns })
    }
}

fn invalid(why: impl AsRef<str>) -> IngestFailure {
    IngestFailure::permanent(
        "BadRequest_InvalidMapping",
        format!("the ingestion mapping is invalid: {}", why.as_ref()),
    )
}

/// One element of the array, keys in lower case, properties beside the column's name.
struct Element {
    fields: Map<String, Json>,
}

impl Element {
    fn new(element: &Map<String, Json>) -> Self {
        let lower = |map: &Map<String, Json>| -> Map<String, Json> {
            map.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.clone())).collect()
        };
        let mut fields = lower(element);
        if let Some(Json::Object(properties)) = fields.remove("properties") {
            fields.extend(lower(&properties));
        }
        Self { fields }
    }

    fn text(&self, key: &str) -> Option<String> {
        match self.fields.get(key)? {
            Json::Null => None,
            Json::String(text) if text.is_empty() && key != "constvalue" => None,
            Json::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    fn read(&self, kind: MappingKind) -> Result<ColumnMapping, IngestFailure> {
        let column = self.text("column").or_else(|| self.text("name"));
        let column = column.ok_or_else(|| invalid("an element names no column"))?;
        let ty = self.text("datatype").map(|name| {
            ColumnType::parse(&name)
                .ok_or_else(|| invalid(format!("column '{column}' has the unknown DataType '{name}'")))
        });
        let (from, transform) = match kind {
            MappingKind::Csv => (self.csv_source(&column)?, None),
            MappingKind::Json => self.json_source(&column)?,
        };
        Ok(ColumnMapping { ty: ty.transpose()?, column, from, transform })
    }

    fn csv_source(&self, column: &str) -> Result<From, IngestFailure> {
        let ordinal = self.text("ordinal");
        let beside = match (self.text("constvalue"), self.text("transform")) {
            (Some(constant), None) => Some(From::Constant(constant)),
            (None, Some(name)) if name.eq_ignore_ascii_case("SourceLocation") => Some(From::SourceLocation),
            (None, Some(name)) if name.eq_ignore_ascii_case("None") => None,
            (None, Some(name)) => {
                return Err(invalid(format!("column '{column}': csv has no transformation '{name}'")));
            }
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(invalid(format!("column '{column}' has both ConstValue and Transform")));
            }
        };
        match (ordinal, beside) {
            (None, Some(beside)) => Ok(beside),
            (Some(text), None) => text.trim().parse().map(From::Ordinal).map_err(|_| {
                invalid(format!("column '{column}' has the Ordinal '{text}'; it must be a number from 0"))
            }),
            (Some(_), Some(_)) => {
                Err(invalid(format!("column '{column}' has an Ordinal beside ConstValue or SourceLocation")))
            }
            (None, None) => {
                Err(invalid(format!("column '{column}' has no Ordinal, ConstValue or Transform")))
            }
        }
    }

    fn json_source(&self, column: &str) -> Result<(From, Option<Transform>), IngestFailure> {
        let transform = self.text("transform").unwrap_or_else(|| "None".into()).to_ascii_lowercase();
        let transform = match transform.as_str() {
            "sourcelocation" => return Ok((From::SourceLocation, None)),
            "sourcelinenumber" => return Ok((From::SourceLineNumber, None)),
            "none" => None,
            "propertybagarraytodictionary" => Some(Transform::PropertyBagArrayToDictionary),
            "dropmappedfields" => Some(Transform::DropMappedFields),
            "datetimefromunixseconds" => Some(Transform::UnixTime { nanoseconds: 1_000_000_000 }),
            "datetimefromunixmilliseconds" => Some(Transform::UnixTime { nanoseconds: 1_000_000 }),
            "datetimefromunixmicroseconds" => Some(Transform::UnixTime { nanoseconds: 1_000 }),
            "datetimefromunixnanoseconds" => Some(Transform::UnixTime { nanoseconds: 1 }),
            other => return Err(invalid(format!("column '{column}': json has no transformation '{other}'"))),
        };
        match (self.text("path"), self.text("constvalue")) {
            (Some(path), None) => {
                let parsed = JsonPath::parse(&path);
                let path = parsed
                    .ok_or_else(|| invalid(format!("column '{column}': cannot read the path '{path}'")))?;
                Ok((From::Path(path), transform))
            }
            (None, Some(constant)) => Ok((From::Constant(constant), None)),
            _ => Err(invalid(format!("column '{column}' needs either a Path or a ConstValue"))),
        }
    }
}

impl JsonPath {
    /// Reads a path; a bare name counts as `$.name`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let Some(mut rest) = text.strip_prefix('$') else {
            let bare = !text.is_empty() && !text.contains(['.', '[', ']', '\'', '"']);
            return bare.then(|| Self(vec![Step::Key(text.to_owned())]));
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, behind) = next_step(rest)?;
            steps.push(step);
            rest = behind;
        }
        Some(Self(steps))
    }

    /// What the path leads to.
    pub(crate) fn find<'a>(&self, record: &'a Json) -> Option<&'a Json> {
        self.0.iter().try_fold(record, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    }

    /// Takes away what the path leads to, if it is a field of an object.
    pub(crate) fn remove(&self, record: &mut Json) {
        let Some((Step::Key(last), parents)) = self.0.split_last() else { return };
        let parent = parents.iter().try_fold(record, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(index),
        });
        if let Some(Json::Object(object)) = parent {
            object.remove(last);
        }
    }

    /// The name, if the path is `$.name`.
    pub(crate) fn single_key(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Step::Key(key)] => Some(key),
            _ => None,
        }
    }
}

/// One step and what follows it.
fn next_step(rest: &str) -> Option<(Step, &str)> {
    if let Some(after_dot) = rest.strip_prefix('.') {
        let end = after_dot.find(['.', '[']).unwrap_or(after_dot.len());
        let (key, behind) = after_dot.split_at(end);
        return (!key.is_empty()).then(|| (Step::Key(key.to_owned()), behind));
    }
    let inner = rest.strip_prefix('[')?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (key, behind) = quoted.split_once(quote)?;
            return Some((Step::Key(key.to_owned()), behind.strip_prefix(']')?));
        }
    }
    let (index, behind) = inner.split_once(']')?;
    Some((Step::Index(index.trim().parse().ok()?), behind))
}
