//! How a source is read: its format, and for each column of the table where its values come from.

use super::super::batch::{IngestFailure, IngestionProperties, without_secret};
use super::super::catalog::{Database, Table};
use super::super::mapping::{ColumnMapping, From, JsonPath, Mapping, MappingKind, Transform};
use super::super::policy::PolicyKind;
use super::columns::{Columns, MAX_VALUE_BYTES};
use super::source::Input;
use super::{delimited, json, lines};
use crate::assumptions::{GzipMembers, RaggedRecords};

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Records of fields, with what divides them.
    Delimited(u8),
    /// A string per line.
    Txt,
    /// The source is one string.
    Raw,
    /// An object per line; malformed lines are skipped.
    JsonLines,
    /// Objects, or one array of objects; a malformed one fails the source.
    MultiJson,
}

impl Format {
    fn from_name(name: &str) -> Result<Self, IngestFailure> {
        Ok(match name {
            "csv" => Self::Delimited(b','),
            "tsv" => Self::Delimited(b'\t'),
            "psv" => Self::Delimited(b'|'),
            "scsv" => Self::Delimited(b';'),
            "sohsv" => Self::Delimited(1),
            "txt" => Self::Txt,
            "raw" => Self::Raw,
            "json" | "singlejson" => Self::JsonLines,
            "multijson" => Self::MultiJson,
            other => {
                return Err(IngestFailure::permanent(
                    "BadRequest_FormatNotSupported",
                    format!(
                        "the local cluster does not read the format '{other}'; it reads csv, tsv, psv, scsv, sohsv, \
                         txt, raw, json and multijson"
                    ),
                ));
            }
        })
    }

    /// The format that properties ask for, else what the blob's name says, else csv.
    fn of(properties: &IngestionProperties, url: &str) -> Result<Self, IngestFailure> {
        if let Some(name) = &properties.format {
            return Self::from_name(name);
        }
        let name = without_secret(url).to_ascii_lowercase();
        let stem = name.trim_end_matches(".gz").trim_end_matches(".zip");
        let suffix = stem.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map_or("csv", |(_, s)| s);
        Ok(Self::from_name(suffix).unwrap_or(Self::Delimited(b',')))
    }

    fn mapping_kind(self) -> MappingKind {
        match self {
            Self::JsonLines | Self::MultiJson => MappingKind::Json,
            _ => MappingKind::Csv,
        }
    }
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing is mapped to the column.
    Missing,
    /// The nth field.
    Field(usize),
    /// The record's field of that name.
    Key(String),
    /// What a path leads to.
    Path(JsonPath, Option<Transform>),
    /// The same text in every row.
    Constant(String),
    /// The number of the record's line.
    LineNumber,
}

/// How to read a source into a table.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) format: Format,
    /// One per column of the table.
    pub(super) slots: Vec<Slot>,
    /// One per column: how many bytes a value may have.
    pub(super) longest: Vec<usize>,
    pub(super) ignore_first_record: bool,
    /// What a record with another number of fields does.
    pub(super) ragged: RaggedRecords,
    /// How much of a gzip blob is read.
    pub(super) gzip_members: GzipMembers,
}

impl Plan {
    pub(super) fn new(
        database: &Database,
        table: &Table,
        properties: &IngestionProperties,
        url: &str,
    ) -> Result<Self, IngestFailure> {
        let format = Format::of(properties, url)?;
        let mapping = find_mapping(database, table, properties, format.mapping_kind())?;
        let slots = match mapping {
            Some(mapping) => mapped(table, &mapping, without_secret(url))?,
            None => identity(table, format.mapping_kind()),
        };
        let (ragged, gzip_members) = (RaggedRecords::default(), GzipMembers::default());
        let ignore_first_record = properties.ignore_first_record;
        let longest =
            table.schema.columns.iter().map(|column| longest(database, table, &column.name)).collect();
        Ok(Self { format, slots, longest, ignore_first_record, ragged, gzip_members })
    }

    pub(super) fn read(&self, input: &mut Input, columns: &mut Columns) -> Result<(), IngestFailure> {
        match self.format {
            Format::Delimited(delimiter) => delimited::read(self, delimiter, input, columns),
            Format::Txt => lines::read_txt(self, input, columns),
            Format::Raw => lines::read_raw(self, input, columns),
            Format::JsonLines => json::read_lines(self, input, columns),
            Format::MultiJson => json::read_multi(self, input, columns),
        }
    }
}

/// How many bytes a value of a column may have: what the encoding policy of the column, the table or the database says.
fn longest(database: &Database, table: &Table, column: &str) -> usize {
    let own = table.policies.get(&PolicyKind::Encoding);
    let policies = [own.and_then(|own| own.get(column)), own, database.policies.get(&PolicyKind::Encoding)];
    let given = policies.into_iter().flatten().find_map(|policy| policy["MaxValueSize"].as_u64());
    given.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(MAX_VALUE_BYTES)
}

/// Delimited formats by position, named ones by name.
fn identity(table: &Table, kind: MappingKind) -> Vec<Slot> {
    let columns = table.schema.columns.iter();
    match kind {
        MappingKind::Csv => (0..columns.len()).map(Slot::Field).collect(),
        MappingKind::Json => columns.map(|column| Slot::Key(column.name.clone())).collect(),
    }
}

fn mapped(table: &Table, mapping: &Mapping, location: &str) -> Result<Vec<Slot>, IngestFailure> {
    let mut slots = vec![Slot::Missing; table.schema.len()];
    for element in &mapping.columns {
        let Some(at) = table.schema.index_of(&element.column) else {
            let message = format!(
                "the ingestion mapping names the column '{}', which table '{}' does not have",
                element.column, table.name
            );
            return Err(IngestFailure::permanent("BadRequest_InvalidMapping", message));
        };
        let own = table.schema.columns[at].ty;
        if let Some(ty) = element.ty.filter(|ty| *ty != own) {
            let message = format!(
                "the ingestion mapping gives column '{}' the type {ty}, but it is {own}",
                element.column
            );
            return Err(IngestFailure::permanent("BadRequest_InconsistentMapping", message));
        }
        slots[at] = slot(element, location);
    }
    Ok(slots)
}

fn slot(element: &ColumnMapping, location: &str) -> Slot {
    match &element.from {
        From::Ordinal(n) => Slot::Field(*n),
        From::Constant(text) => Slot::Constant(text.clone()),
        From::SourceLocation => Slot::Constant(location.to_owned()),
        From::SourceLineNumber => Slot::LineNumber,
        From::Path(path) => match (path.single_key(), element.transform) {
            (Some(key), None) => Slot::Key(key.to_owned()),
            _ => Slot::Path(path.clone(), element.transform),
        },
    }
}

/// The mapping that the properties name or hold; table scope before database scope.
fn find_mapping(
    database: &Database,
    table: &Table,
    properties: &IngestionProperties,
    format_kind: MappingKind,
) -> Result<Option<Mapping>, IngestFailure> {
    let kind = match &properties.mapping_kind {
        None => format_kind,
        Some(word) => MappingKind::from_word(word).filter(|kind| *kind == format_kind).ok_or_else(|| {
            let message = format!("a mapping of kind '{word}' does not go with this format");
            IngestFailure::permanent("BadRequest_InvalidMapping", message)
        })?,
    };
    if let Some(text) = &properties.mapping {
        return Mapping::parse(kind, text).map(Some);
    }
    let Some(name) = &properties.mapping_reference else { return Ok(None) };
    let key = (kind, name.clone());
    let text = table.mappings.get(&key).or_else(|| database.mappings.get(&key)).ok_or_else(|| {
        let message = format!(
            "neither table '{}' nor database '{}' has a {} mapping '{name}'",
            table.name,
            database.name,
            kind.title().to_ascii_lowercase()
        );
        IngestFailure::permanent("BadRequest_MappingReferenceWasNotFound", message)
    })?;
    Mapping::parse(kind, text).map(Some)
}
