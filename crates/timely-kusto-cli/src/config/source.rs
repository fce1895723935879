//! `[source]`: what is read.

use std::path::PathBuf;

use pipelines::file::{FileFormat, FileOptions};
use pipelines::generator::GeneratorOptions;
use pipelines::options::SourceOptions;
use timely_kusto::parse_bytes;

use super::Result;
use super::document::{Section, nearest};

/// A source and how fast it may be read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) options: SourceOptions,
    pub(super) rate: Option<u64>,
}

pub(super) fn source(mut section: Section) -> Result<Source> {
    let kind = section.required_text("kind")?;
    let rate = section.number("rate")?;
    let options = match kind.as_str() {
        "file" => SourceOptions::File(file(section)?),
        "generator" => SourceOptions::Generator(generator(section)?),
        "kafka" => {
            return Err(section.error("kind = \"kafka\" is not there yet; use \"file\" or \"generator\""));
        }
        other => {
            let names = ["file", "generator", "kafka"].into_iter();
            return Err(
                section.error(format!("there is no kind of source {other:?}{}", nearest(other, names)))
            );
        }
    };
    Ok(Source { options, rate })
}

fn file(mut section: Section) -> Result<FileOptions> {
    let paths = section.texts("path")?;
    if paths.is_empty() {
        return Err(section.error("`path` is missing: name a file, or a list of files"));
    }
    let format = match section.text("format")?.as_deref() {
        Some("csv") => FileFormat::Csv,
        Some("json") => FileFormat::Json,
        Some(other) => {
            let names = ["csv", "json"].into_iter();
            return Err(section.error(format!("there is no format {other:?}{}", nearest(other, names))));
        }
        None => format_by_name(&paths).ok_or_else(|| {
            section
                .error("`format` is missing, and the file's name does not tell it: set \"csv\" or \"json\"")
        })?,
    };
    let mut options = FileOptions::new(paths.into_iter().map(PathBuf::from), format);
    if let Some(header) = section.flag("header")? {
        options = options.with_header(header);
    }
    if let Some(bytes) = section.parsed("record_bytes", parse_bytes)? {
        options.record_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    section.finish()?;
    Ok(options)
}

/// The format that all names agree on: `.csv`, `.json`, `.jsonl`, `.ndjson`, also before `.gz`.
fn format_by_name(paths: &[String]) -> Option<FileFormat> {
    let format = |path: &String| {
        let plain = path.strip_suffix(".gz").unwrap_or(path);
        match plain.rsplit_once('.')?.1 {
            "csv" => Some(FileFormat::Csv),
            "json" | "jsonl" | "ndjson" => Some(FileFormat::Json),
            _ => None,
        }
    };
    let first = format(paths.first()?)?;
    paths.iter().all(|path| format(path) == Some(first)).then_some(first)
}

fn generator(mut section: Section) -> Result<GeneratorOptions> {
    let mut options = GeneratorOptions { rows: section.number("rows")?, ..GeneratorOptions::default() };
    if let Some(seed) = section.number("seed")? {
        options.seed = seed;
    }
    if let Some(partitions) = section.number("partitions")? {
        options.partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
    }
    section.finish()?;
    Ok(options)
}
