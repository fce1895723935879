//! Sources with positions, schema inference and the runner that binds them to the sink.
//!
//! ```text
//! Source ─► source operators ─► convert ─► sink ─► clock
//!             │ positions ───────────────────────► keeper: <state>/positions, behind the clock
//! ```
//!
//! - [`source`]: the seam between a pipeline and what it reads, and its promises.
//! - [`mod@file`], [`generator`]: the sources there are.
//! - [`types`], [`infer`], [`names`], [`schema`]: which columns a source's fields belong to, and what they must be.
//! - [`convert`]: checked rows from a file's blocks.
//! - [`run`]: everything together, on workers, processes and through restarts.

pub mod convert;
mod csv;
mod error;
pub mod file;
#[cfg(test)]
mod fuzz;
pub mod generator;
pub mod infer;
mod json;
pub mod names;
pub mod options;
mod pipeline;
mod runner;
pub mod sample;
pub mod schema;
pub mod source;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod types;

pub use error::{Error, ErrorKind, Result};
pub use options::PipelineOptions;
pub use pipeline::Pipeline;
pub use runner::{
    EncodedSinkV2, EncodedWriteAhead, Gauge, Job, Milestone, Monitor, PipelineSink, Progress, Reading,
    Report, RetriedFor, RunOptions, SinkReading, Stage, StopHandle, Times, Topology, Unchanged, run,
    tell_others,
};
