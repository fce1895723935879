//! The configuration file of a pipeline.
//!
//! ```toml
//! [job]         # name, checkpoint_interval, stop_timeout, state
//! [source]      # kind, and what that kind has; rate
//! [connection]  # cluster, ingestion, auth
//! [sink]        # mode, create, max_value_bytes, log_bytes, staging, epoch_column, hash_columns, collection with key, reader and
//!               # materialized, and every write option under its own name
//! ```
//! What later versions will have (a Kafka source) is refused as not there yet, so that nobody
//! takes silence for consent. Relative paths are relative to the current directory.

mod connection;
mod document;
mod source;

use std::path::{Path, PathBuf};

use pipelines::PipelineOptions;
use pipelines::options::{JobOptions, SinkMode, SinkOptions};
use timely_kusto::{OPTIONS, Reader, Staging, WriteOptions, parse_bytes, parse_duration};

pub(crate) use self::connection::Cluster;
pub(crate) use self::document::ConfigError;
use self::document::{Section, nearest, parse};

type Result<T> = std::result::Result<T, ConfigError>;

/// Everything a configuration file says.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) pipeline: PipelineOptions,
    pub(crate) cluster: Cluster,
}

/// Reads and checks a configuration file.
pub(crate) fn read(file: &Path) -> Result<Configuration> {
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError::unreadable(file, &error))?;
    read_text(file, &text)
}

/// The same of the text of `file`.
pub(crate) fn read_text(file: &Path, text: &str) -> Result<Configuration> {
    let mut document = parse(file, text)?;
    let job = job(document.required_table("job")?)?;
    let source = source::source(document.required_table("source")?)?;
    let cluster = connection::cluster(document.required_table("connection")?)?;
    let sink = sink(document.required_table("sink")?)?;
    document.finish()?;
    one_database(file, &cluster, sink.write.database())?;
    let pipeline = PipelineOptions { job, source: source.options, rate: source.rate, sink };
    pipeline.validate().map_err(|error| ConfigError::of_whole(file, error))?;
    Ok(Configuration { pipeline, cluster })
}

/// A connection string may name a database, too; two different ones cannot both be meant.
fn one_database(file: &Path, cluster: &Cluster, database: &str) -> Result<()> {
    match cluster {
        Cluster::Remote(options) if options.database().is_some_and(|named| named != database) => {
            // No name holds `=`: what follows is a part of the connection string that lacks its semicolon.
            let named = options.database().unwrap_or_default().split('=').next().unwrap_or_default();
            let message =
                format!("`cluster` names the database {named:?}, and [sink] {database:?}; name one");
            Err(ConfigError::of_whole(file, message))
        }
        _ => Ok(()),
    }
}

fn job(mut section: Section) -> Result<JobOptions> {
    let mut job =
        JobOptions::new(section.required_text("name")?, PathBuf::from(section.required_text("state")?));
    if let Some(interval) = section.parsed("checkpoint_interval", parse_duration)? {
        job.checkpoint_interval = interval;
    }
    if let Some(timeout) = section.parsed("stop_timeout", parse_duration)? {
        job.stop_timeout = timeout;
    }
    section.finish()?;
    Ok(job)
}

fn sink(mut section: Section) -> Result<SinkOptions> {
    let mode = match section.text("mode")?.as_deref() {
        None | Some("sink-v2") => SinkMode::SinkV2,
        Some("write-ahead") => SinkMode::WriteAhead,
        Some(other) => {
            let names = ["sink-v2", "write-ahead"].into_iter();
            return Err(section.error(format!("there is no mode {other:?}{}", nearest(other, names))));
        }
    };
    let create = section.flag("create")?.unwrap_or(false);
    let largest_value = section.parsed("max_value_bytes", parse_bytes)?;
    let log_bytes = section.parsed("log_bytes", parse_bytes)?;
    if log_bytes.is_some() && mode != SinkMode::WriteAhead {
        return Err(section.error("log_bytes needs mode = \"write-ahead\": SinkV2 keeps no epoch files"));
    }
    let reader = reader(&mut section, mode)?;
    let staging = staging(&mut section, mode)?;
    let epoch_column = section.flag("epoch_column")?.unwrap_or(false);
    if epoch_column && mode != SinkMode::WriteAhead {
        return Err(section
            .error("epoch_column needs mode = \"write-ahead\": rows of SinkV2 have no epoch that counts"));
    }
    let hash_columns = section.texts("hash_columns")?;
    if !hash_columns.is_empty() && mode != SinkMode::WriteAhead {
        return Err(section.error(
            "hash_columns needs mode = \"write-ahead\": rows of SinkV2 have no epoch to compare them by",
        ));
    }
    let write = write_options(section)?;
    let mut sink = SinkOptions::new(write);
    sink.reader = reader;
    sink.epoch_column = epoch_column;
    sink.hash_columns = hash_columns;
    sink.mode = mode;
    sink.create = create;
    sink.staging = staging;
    sink.log_bytes = log_bytes.unwrap_or(SinkOptions::LOG_BYTES);
    if let Some(bytes) = largest_value {
        sink.max_value_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    Ok(sink)
}

/// What the rows are changes of, where they are: `collection`, and the keys that belong to it.
fn reader(section: &mut Section, mode: SinkMode) -> Result<Option<Reader>> {
    let collection = section.text("collection")?;
    let (key, function) = (section.texts("key")?, section.text("reader")?);
    let materialized = section.flag("materialized")?;
    let mut reader = match collection.as_deref() {
        None if key.is_empty() && function.is_none() && materialized.is_none() => return Ok(None),
        None => {
            let why = "`key`, `reader` and `materialized` need collection = \"change-stream\" or \"upsert\"";
            return Err(section.error(why));
        }
        Some("change-stream") if !key.is_empty() => {
            return Err(
                section.error("a change stream has no `key`: its records are told apart by all columns")
            );
        }
        Some("change-stream") => Reader::change_stream(),
        Some("upsert") if key.is_empty() => {
            return Err(section
                .error("collection = \"upsert\" needs `key`: the columns by which rows replace each other"));
        }
        Some("upsert") => Reader::upsert(key),
        Some(other) => {
            let names = ["change-stream", "upsert"].into_iter();
            return Err(section.error(format!("there is no collection {other:?}{}", nearest(other, names))));
        }
    };
    if mode != SinkMode::WriteAhead {
        return Err(section.error(
            "collection needs mode = \"write-ahead\": rows that are written twice would add up to another collection",
        ));
    }
    if let Some(function) = function {
        reader = reader.function(function);
    }
    if let Some(materialized) = materialized {
        reader = reader.materialized(materialized);
    }
    Ok(Some(reader))
}

fn staging(section: &mut Section, mode: SinkMode) -> Result<Staging> {
    match section.text("staging")?.as_deref() {
        None => Ok(Staging::Queued),
        Some(_) if mode != SinkMode::WriteAhead => {
            Err(section.error("staging needs mode = \"write-ahead\": SinkV2 stages nothing"))
        }
        Some("queued") => Ok(Staging::Queued),
        Some("direct") => Ok(Staging::Direct),
        Some(other) => {
            let names = ["queued", "direct"].into_iter();
            Err(section.error(format!("there is no staging {other:?}{}", nearest(other, names))))
        }
    }
}

/// All that is left of the section are write options, under the names of the builder.
fn write_options(mut section: Section) -> Result<WriteOptions> {
    let mut builder = WriteOptions::builder();
    for (name, text, line) in section.rest()? {
        let known = OPTIONS.iter().map(|option| option.name).chain([
            "mode",
            "create",
            "max_value_bytes",
            "log_bytes",
            "collection",
            "key",
            "reader",
            "materialized",
            "staging",
            "epoch_column",
            "hash_columns",
        ]);
        if !known.clone().any(|known| known == name) {
            return Err(
                section.error_at(line, format!("[sink] has no key `{name}`{}", nearest(&name, known)))
            );
        }
        builder.set(&name, &text).map_err(|error| section.error_at(line, error.to_string()))?;
    }
    builder.build().map_err(|error| section.error(error.to_string()))
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
