//! The write-ahead sink of a pipeline's file, for commands that look at it or prepare it without a run.

use std::path::Path;
use std::sync::Arc;

use pipelines::PipelineOptions;
use pipelines::options::SinkMode;
use timely_kusto::WriteAhead;

use crate::cluster::{Connected, connect};
use crate::config;
use crate::exit::Stop;

/// A pipeline in the write-ahead mode, its cluster, and its sink, of which nothing is opened.
pub(crate) struct Ahead {
    pub(crate) options: PipelineOptions,
    pub(crate) sink: WriteAhead,
    // Last: an embedded cluster ends with it.
    pub(crate) connected: Connected,
}

impl Ahead {
    /// Reads the file and connects. Nothing is asked yet.
    pub(crate) fn read(file: &Path) -> Result<Self, Stop> {
        let configuration = config::read(file).map_err(Stop::bad_configuration)?;
        let options = configuration.pipeline;
        if options.sink.mode != SinkMode::WriteAhead {
            return Err(Stop::bad_configuration(format!(
                "{} does not say mode = \"write-ahead\" in [sink]: other modes keep nothing in the database",
                file.display()
            )));
        }
        let write = options.sink.write.clone();
        let connected = connect(configuration.cluster, &options.job.state, write.database())?;
        let sink = WriteAhead::with_service(Arc::clone(&connected.service), write, options.write_ahead())?;
        Ok(Ahead { options, sink, connected })
    }

    /// `database.table`.
    pub(crate) fn target(&self) -> String {
        let write = &self.options.sink.write;
        format!("{}.{}", write.database(), write.table())
    }
}
