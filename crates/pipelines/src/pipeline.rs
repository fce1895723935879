//! A pipeline as its options describe it, from looking at the table to the report.
//!
//! ```text
//! PipelineOptions ─► prepare: sample the source, read or create the table, bind fields to columns ─► Pipeline ─► run
//! ```

use std::sync::Arc;
use std::time::Duration;

use kusto_client::Service;
use timely_kusto::{ColumnName, Format, Reader, SinkError, SinkV2, WriteAhead, WriteOptions};

use crate::convert::{BlockConverter, BoundColumn, Columns};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{FileOptions, FileSource};
use crate::generator::{COLUMNS, Storm, StormSource};
use crate::options::{PipelineOptions, SinkMode, SourceOptions};
use crate::runner::{
    EncodedSinkV2, EncodedWriteAhead, Job, Monitor, Progress, Report, RunOptions, StopHandle, Topology,
    Unchanged, run as run_job,
};
use crate::sample::{Sample, SourceField};
use crate::schema::{Prepared, TableSchema};
use crate::source::Source;
use crate::state::{self, Identity};
use crate::types::ColumnType;

/// The column that `epoch_column` and `hash_columns` ask for.
const EPOCH_COLUMN: &str = "_kt_epoch";

/// A pipeline whose source, table and columns are known to fit.
#[derive(Debug)]
pub struct Pipeline {
    options: PipelineOptions,
    cluster: String,
    source: Bound,
    prepared: Prepared,
    columns: Vec<BoundColumn>,
    /// For the other processes to come, and to say a word.
    waits: (Duration, Duration),
    monitor: Monitor,
}

#[derive(Debug)]
enum Bound {
    File(FileSource),
    Generator(StormSource),
}

impl Pipeline {
    /// Looks at the source and the table, creates the table if it is missing and `create` says so, and binds the
    /// fields of the one to the columns of the other. Every process of a cluster does so for itself.
    ///
    /// `cluster` names the cluster in the state directory: its URL, without anything secret.
    ///
    /// # Errors
    /// [`ErrorKind::Options`] and [`ErrorKind::Schema`] for what a person has to mend, such as a path without a file where no
    /// pipeline has run in the state directory yet; [`ErrorKind::Source`] and [`ErrorKind::Record`] when the source cannot be
    /// sampled, [`ErrorKind::Sink`] when the service refuses.
    pub async fn prepare(options: PipelineOptions, service: &dyn Service, cluster: &str) -> Result<Self> {
        options.validate()?;
        let (source, sample) = match &options.source {
            SourceOptions::File(file) => {
                let source = FileSource::new(file.clone())?;
                if !state::is_used(&options.job.state) {
                    source.find()?;
                }
                let sample = Sample::of(&source)?;
                (Bound::File(source), sample)
            }
            SourceOptions::Generator(generator) => {
                (Bound::Generator(StormSource::new(generator.clone())?), storms())
            }
        };
        let (write, create) = (&options.sink.write, options.sink.create);
        let (database, table) = (write.database(), write.table());
        let mut fields = sample.fields.clone();
        if options.sink.epoch_column || !options.sink.hash_columns.is_empty() {
            fields.push(SourceField { name: EPOCH_COLUMN.to_owned(), inferred: ColumnType::Long });
        }
        let prepared = TableSchema::prepare(service, database, table, &fields, create).await?;
        let columns = prepared.schema.bind(&sample)?;
        if options.sink.mode == SinkMode::WriteAhead {
            fits_options(&options, &prepared.schema)?;
        }
        if let Some(reader) = &options.sink.reader {
            fits_reader(reader, &prepared.schema, &columns)?;
        }
        if let Bound::Generator(_) = source {
            fits_storms(&prepared.schema, &columns)?;
        }
        let RunOptions { join_timeout, peer_timeout, .. } = RunOptions::default();
        let (cluster, waits) = (cluster.to_owned(), (join_timeout, peer_timeout));
        Ok(Pipeline { options, cluster, source, prepared, columns, waits, monitor: Monitor::new() })
    }

    /// Sets how long the other processes of a cluster are waited for, and how long one may be silent: see
    /// [`RunOptions::join_timeout`] and [`RunOptions::peer_timeout`], whose defaults hold without.
    #[must_use]
    pub fn waits(mut self, join_timeout: Duration, peer_timeout: Duration) -> Self {
        self.waits = (join_timeout, peer_timeout);
        self
    }

    /// Has the run read by this monitor.
    #[must_use]
    pub fn watched_by(mut self, monitor: &Monitor) -> Self {
        self.monitor = monitor.clone();
        self
    }

    /// The command that created the table, if it was missing.
    pub fn created(&self) -> Option<&str> {
        self.prepared.created.as_deref()
    }

    /// Which field goes to which column, in the order of the source.
    pub fn columns(&self) -> &[BoundColumn] {
        &self.columns
    }

    /// The pipeline that positions belong to.
    pub fn identity(&self) -> Identity {
        let write = &self.options.sink.write;
        let source = match &self.source {
            Bound::File(source) => source.identity(),
            Bound::Generator(source) => source.identity(),
        };
        Identity {
            pipeline: self.options.job.name.clone(),
            cluster: self.cluster.clone(),
            database: write.database().to_owned(),
            table: write.table().to_owned(),
            source,
            format: format_name(write).to_owned(),
        }
    }

    /// Runs it until its source ends, it is stopped, or something fails; see [`run`](crate::run).
    ///
    /// # Errors
    /// The first error of any worker of any process.
    pub fn run(
        self,
        service: Arc<dyn Service>,
        topology: Topology,
        stop: &StopHandle,
        observe: impl Fn(&Progress) + Send + Sync + 'static,
    ) -> Result<Report> {
        let state = (self.options.job.state.clone(), self.identity());
        let run_options = RunOptions {
            topology,
            checkpoint_interval: self.options.job.checkpoint_interval,
            stop_timeout: self.options.job.stop_timeout,
            rate: self.options.rate,
            join_timeout: self.waits.0,
            peer_timeout: self.waits.1,
            monitor: self.monitor,
            ..RunOptions::default()
        };
        match (self.source, self.options.sink.mode) {
            (Bound::Generator(source), SinkMode::SinkV2) => {
                let sink = sink_v2(service, &self.options)?;
                let job = Job { source, stage: Unchanged::<Storm>::default, sink, state };
                run_job(job, &run_options, stop, observe)
            }
            (Bound::Generator(source), SinkMode::WriteAhead) => {
                let sink = write_ahead(service, &self.options, source.can_replay())?;
                let job = Job { source, stage: Unchanged::<Storm>::default, sink, state };
                run_job(job, &run_options, stop, observe)
            }
            (Bound::File(source), mode) => {
                let columns: Vec<ColumnName> =
                    self.columns.iter().map(|column| ColumnName::from(column.column.clone())).collect();
                let max_value_bytes = self.options.sink.max_value_bytes;
                let bound = Arc::new(Columns { columns: self.columns, max_value_bytes });
                let stage = block_stage(source.options(), &source, bound, &self.options.sink.write)?;
                match mode {
                    SinkMode::SinkV2 => {
                        let sink = EncodedSinkV2 { sink: sink_v2(service, &self.options)?, columns };
                        run_job(Job { source, stage, sink, state }, &run_options, stop, observe)
                    }
                    SinkMode::WriteAhead => {
                        let ahead = write_ahead(service, &self.options, source.can_replay())?;
                        let sink = EncodedWriteAhead { ahead, columns };
                        run_job(Job { source, stage, sink, state }, &run_options, stop, observe)
                    }
                }
            }
        }
    }
}

fn sink_v2(service: Arc<dyn Service>, options: &PipelineOptions) -> Result<SinkV2> {
    SinkV2::with_service(service, options.sink.write.clone()).map_err(not_made)
}

fn write_ahead(
    service: Arc<dyn Service>,
    options: &PipelineOptions,
    sources_replay: bool,
) -> Result<WriteAhead> {
    let ahead = options.write_ahead().sources_replay(sources_replay);
    WriteAhead::with_service(service, options.sink.write.clone(), ahead).map_err(not_made)
}

fn not_made(error: SinkError) -> Error {
    let kind = if error.exit_code() == 2 { ErrorKind::Options } else { ErrorKind::Sink };
    Error::new(kind, format!("the sink could not be made: {error}")).with_source(error)
}

fn block_stage(
    options: &FileOptions,
    source: &FileSource,
    columns: Arc<Columns>,
    write: &WriteOptions,
) -> Result<impl Fn() -> BlockConverter + Send + Sync + 'static> {
    let files: Arc<[String]> = source.partitions()?.into();
    let (source_format, format) = (options.format, write.format());
    Ok(move || BlockConverter::new(Arc::clone(&files), source_format, Arc::clone(&columns), format))
}

fn format_name(write: &WriteOptions) -> &'static str {
    match write.format() {
        Format::Json => "json",
        _ => "csv",
    }
}

/// The fields of a storm event, which need no sample.
fn storms() -> Sample {
    let fields = COLUMNS.iter().map(|(name, kind)| SourceField {
        name: (*name).to_owned(),
        inferred: ColumnType::from_name(kind).unwrap_or(ColumnType::String),
    });
    Sample { fields: fields.collect(), named: true, rows: 0 }
}

/// Columns as the sink knows them.
fn named<'c>(columns: impl Iterator<Item = (&'c str, ColumnType)>) -> Vec<(String, String)> {
    columns.map(|(name, kind)| (name.to_owned(), kind.name().to_owned())).collect()
}

fn of_table(schema: &TableSchema) -> (String, Vec<(String, String)>) {
    let columns = schema.columns.iter().map(|column| (column.name.as_str(), column.column_type));
    (format!("{}.{}", schema.database, schema.table), named(columns))
}

/// The table must have the columns that the options demand.
fn fits_options(options: &PipelineOptions, schema: &TableSchema) -> Result<()> {
    let (table, columns) = of_table(schema);
    let fits = options.write_ahead().check_columns(&table, &columns);
    fits.map_err(|error| Error::new(ErrorKind::Schema, error.to_string()).with_source(error))
}

/// The table must hold what the reader reads, and the source must have it.
fn fits_reader(reader: &Reader, schema: &TableSchema, bound: &[BoundColumn]) -> Result<()> {
    let (table, of_table) = of_table(schema);
    let of_source = named(bound.iter().map(|column| (column.column.as_str(), column.column_type)));
    let fits = reader.check(&table, &of_table).and_then(|()| reader.check("the source", &of_source));
    fits.map_err(|error| Error::new(ErrorKind::Schema, error.to_string()).with_source(error))
}

/// The generator's rows are written with the names and types that they have, so the table must have just these.
fn fits_storms(schema: &TableSchema, columns: &[BoundColumn]) -> Result<()> {
    let differs = columns.iter().zip(COLUMNS).find(|(column, (name, kind))| {
        let takes = column.column_type.name() == *kind || column.column_type == ColumnType::String;
        column.column != *name || !takes
    });
    let Some((column, (name, kind))) = differs else { return Ok(()) };
    let text = format!(
        "the generator writes {name}: {kind}, and {}.{} has {}: {}",
        schema.database, schema.table, column.column, column.column_type
    );
    Err(Error::new(ErrorKind::Schema, text).with_advice("write to a table of its own, with `create = true`"))
}
