//! A look at the first rows of a source of files: which fields it has, and what types they seem to be.

use crate::csv;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{FileFormat, FileSource};
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
                let text = std::str::from_utf8(&block.text);
                let text = text.map_err(|_| malformed(&name, block.line, "the text is not UTF-8"))?;
                let result = match (first, format) {
                    (true, _) => sampler.see_header(text, &name),
                    (false, FileFormat::Csv) => sampler.see_csv(text),
                    (false, FileFormat::Json) => sampler.see_json(text, block.array),
                };
                result.map_err(|wrong| malformed(&name, block.line, &wrong))?;
                first = false;
            }
        }
        Ok(sampler.finish())
    }
}

fn malformed(file: &str, line: u64, wrong: &str) -> Error {
    Error::new(ErrorKind::Record, format!("{file}, in the rows from line {line} on: {wrong}"))
        .with_advice("mend the file, or check `format` and `header` of the source")
}

#[derive(Default)]
struct Sampler {
    header: Option<(Vec<String>, String)>,
    members: Members,
    candidates: Vec<Candidates>,
    rows: u64,
}

impl Sampler {
    fn see_header(&mut self, text: &str, file: &str) -> Result<(), String> {
        let mut names = Vec::new();
        each_field(text, 0, |name| names.push(name.to_owned()))?;
        match &self.header {
            Some((first, in_file)) if *first != names => Err(format!(
                "its header is {}, and that of {in_file} is {}",
                names.join(","),
                first.join(",")
            )),
            Some(_) => Ok(()),
            None => {
                self.candidates.resize_with(names.len(), Candidates::default);
                self.header = Some((names, file.to_owned()));
                Ok(())
            }
        }
    }

    fn see_csv(&mut self, text: &str) -> Result<(), String> {
        let mut at = 0;
        while let Some(start) = csv::next_record(text, at) {
            let mut index = 0;
            let candidates = &mut self.candidates;
            at = each_field(text, start, |content| {
                if index == candidates.len() {
                    candidates.push(Candidates::default());
                }
                candidates[index].see_text(content);
                index += 1;
            })?;
            self.rows += 1;
        }
        match &self.header {
            Some((names, _)) if names.len() < self.candidates.len() => {
                Err(format!("a record has {} fields, the header has {}", self.candidates.len(), names.len()))
            }
            _ => Ok(()),
        }
    }

    fn see_json(&mut self, text: &str, array: bool) -> Result<(), String> {
        let mut at = 0;
        while let Some(start) = json::next_object(text, at) {
            let object = json::object(&text[start..], array);
            self.members.find(object, Unknown::Learn).map_err(|error| error.to_string())?;
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

fn each_field(text: &str, start: usize, mut see: impl FnMut(&str)) -> Result<usize, String> {
    let (mut at, mut scratch) = (start, String::new());
    loop {
        let field = csv::field(text, at).map_err(|bad| bad.wrong.to_owned())?;
        see(csv::content(&field, &mut scratch));
        at = field.next;
        if field.last {
            return Ok(at);
        }
    }
}
