//! A look at the first rows of a source of files: which fields it has, and what types they seem to be.

use crate::convert::{BoundColumn, Columns, NO_UTF8, Place, Trouble, field_count};
use crate::csv;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{Block, FileFormat, FileSource};
use crate::infer::Candidates;
use crate::json::{self, Members, Unknown};
use crate::source::{Budget, Source};
use crate::types::ColumnType;

/// A field of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceField {
    /// Its name: from the csv header or the json members; `Column1`, `Column2`, ... without a header.
    pub name: String,
    /// The type that its values suggest, by the rules of [`infer`](crate::infer).
    pub inferred: ColumnType,
}

/// What the first rows show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The fields, in order: of the header, or as json members first appear.
    pub fields: Vec<SourceField>,
    /// Whether the fields have names of their own; without, they belong to columns by position.
    pub named: bool,
    /// How many rows were looked at.
    pub rows: u64,
}

impl Sample {
    /// How many rows are looked at, over all files, the first ones first.
    pub const ROWS: u64 = 10_000;

    /// The most fields that a source may have. A table cannot use more, and json objects whose keys are data would
    /// otherwise take memory without bound.
    pub const FIELDS: usize = 10_000;

    /// Looks at the first rows.
    ///
    /// # Errors
    /// When a file cannot be read, a record among the first is malformed, or the headers of two files differ.
    pub fn of(source: &FileSource) -> Result<Self> {
        let mut sampler = Sampler::default();
        for (path, name) in source.options().paths.iter().zip(source.partitions()?) {
            let mut reader = source.open_with_header(path)?;
            let (header, format) = (source.options().header, source.options().format);
            let mut first = header && format == FileFormat::Csv;
            while first || sampler.rows < Self::ROWS {
                let budget =
                    Budget { rows: if first { 1 } else { Self::ROWS - sampler.rows }, ..Budget::DEFAULT };
                let Some(block) = reader.next_block(budget)? else { break };
                if first {
                    let names =
                        header_names(&block).map_err(|trouble| sampler.error(trouble, &name, &block))?;
                    sampler.see_header(names, &name, block.line)?;
                } else {
                    sampler.see(&block, format).map_err(|trouble| sampler.error(trouble, &name, &block))?;
                }
                sampler.check_fields(&name)?;
                first = false;
            }
        }
        Ok(sampler.finish())
    }
}

fn text(block: &Block) -> Result<&str, Trouble> {
    std::str::from_utf8(&block.text).map_err(|error| Trouble::at(error.valid_up_to(), NO_UTF8))
}

fn header_names(block: &Block) -> Result<Vec<String>, Trouble> {
    let mut names = Vec::new();
    each_field(text(block)?, 0, |_, name| names.push(name.to_owned()))?;
    Ok(names)
}

#[derive(Default)]
struct Sampler {
    header: Option<(Vec<String>, String)>,
    members: Members,
    candidates: Vec<Candidates>,
    rows: u64,
}

impl Sampler {
    fn see_header(&mut self, names: Vec<String>, file: &str, line: u64) -> Result<()> {
        match &self.header {
            Some((first, in_file)) if *first != names => {
                let (names, first) = (names.join(","), first.join(","));
                let text =
                    format!("{file}, line {line}: its header is {names}, and that of {in_file} is {first}");
                Err(Error::new(ErrorKind::Record, text).with_advice(
                    "files of one source have one header: mend it, or give the file a pipeline of its own",
                ))
            }
            Some(_) => Ok(()),
            None => {
                self.candidates.resize_with(names.len(), Candidates::default);
                self.header = Some((names, file.to_owned()));
                Ok(())
            }
        }
    }

    fn see(&mut self, block: &Block, format: FileFormat) -> Result<(), Trouble> {
        match format {
            FileFormat::Csv => self.see_csv(text(block)?),
            FileFormat::Json => self.see_json(text(block)?, block.array),
        }
    }

    fn see_csv(&mut self, text: &str) -> Result<(), Trouble> {
        let header = self.header.as_ref().map(|(names, _)| names.len());
        let mut at = 0;
        while let Some(start) = csv::next_record(text, at) {
            let candidates = &mut self.candidates;
            at = each_field(text, start, |index, content| {
                if index == candidates.len() {
                    candidates.push(Candidates::default());
                }
                candidates[index].see_text(content);
            })?;
            if let Some(expected) = header.filter(|expected| *expected < self.candidates.len()) {
                return Err(field_count(text, start, expected));
            }
            self.rows += 1;
        }
        Ok(())
    }

    fn see_json(&mut self, text: &str, array: bool) -> Result<(), Trouble> {
        let mut at = 0;
        while let Some(start) = json::next_object(text, at, array) {
            let object = json::object(&text[start..], array);
            let found = self.members.find(object, Unknown::Learn);
            found.map_err(|error| Trouble::json(start, object, &error))?;
            self.candidates.resize_with(self.members.names().len(), Candidates::default);
            for (index, candidates) in self.candidates.iter_mut().enumerate() {
                if let Some((from, to)) = self.members.place(index) {
                    candidates.see_json(&object[from..to]);
                }
            }
            at = start + object.len();
            self.rows += 1;
        }
        Ok(())
    }

    fn check_fields(&self, file: &str) -> Result<()> {
        let (most, found) = (Sample::FIELDS, self.candidates.len());
        if found <= most {
            return Ok(());
        }
        let text = format!("{file}: its first rows have {found} fields, and a source may have {most}");
        Err(Error::new(ErrorKind::Record, text).with_advice(
            "keys that are data (dates, identifiers) belong into one object within the row, as a column of type dynamic",
        ))
    }

    /// The error for what is wrong in a block of `file`, in the words of the conversion.
    fn error(&self, trouble: Trouble, file: &str, block: &Block) -> Error {
        let names = self.header.as_ref().map_or(&[][..], |(names, _)| names);
        let column = |name: &String| BoundColumn {
            field: name.clone(),
            column: name.clone(),
            column_type: ColumnType::String,
        };
        trouble.into_error(&Place::in_file(file, block), &Columns::new(names.iter().map(column).collect()))
    }

    fn finish(self) -> Sample {
        let json = !self.members.names().is_empty();
        let named = json || self.header.is_some();
        let names = match self.header {
            Some((names, _)) => names,
            None if json => self.members.names().to_vec(),
            None => (1..=self.candidates.len()).map(|number| format!("Column{number}")).collect(),
        };
        let types = self.candidates.iter().map(Candidates::decide);
        let fields = names.into_iter().zip(types).map(|(name, inferred)| SourceField { name, inferred });
        Sample { fields: fields.collect(), named, rows: self.rows }
    }
}

fn each_field(text: &str, start: usize, mut see: impl FnMut(usize, &str)) -> Result<usize, Trouble> {
    let (mut at, mut scratch) = (start, String::new());
    for index in 0.. {
        let field = csv::field(text, at).map_err(|bad| Trouble::in_field(bad.at, bad.wrong, index))?;
        see(index, csv::content(&field, &mut scratch));
        at = field.next;
        if field.last {
            break;
        }
    }
    Ok(at)
}
