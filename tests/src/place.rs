//! A directory for a test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use crate::{Config, Outcome, Process, command};

/// A directory of a test's own, and the commands that run in it.
#[derive(Debug)]
pub struct Place {
    dir: TempDir,
    started: AtomicUsize,
}

impl Default for Place {
    fn default() -> Self {
        Place { dir: tempfile::tempdir().unwrap(), started: AtomicUsize::new(0) }
    }
}

impl Place {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes a file that is compressed by gzip.
    pub fn write_gzip(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(content.as_ref()).unwrap();
        self.write(name, gzip.finish().unwrap())
    }

    /// Starts a command in the directory.
    pub fn start(&self, command: &mut Command) -> Process {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let output = self.path().join(format!("process-{number}"));
        Process::start(command.current_dir(self.path()), &output)
    }

    /// Starts `timely-kusto` with these arguments.
    pub fn start_command(&self, arguments: &[&str]) -> Process {
        self.start(command().args(arguments))
    }

    /// Runs `timely-kusto` with these arguments to its end.
    pub fn command(&self, arguments: &[&str]) -> Outcome {
        self.start_command(arguments).wait()
    }

    /// Starts `timely-kusto run` on this configuration, with a JSON report.
    pub fn start_run(&self, config: &Config, arguments: &[&str]) -> Process {
        let file = self.write_config(config);
        self.start(command().args(["run", "--report", "json"]).arg(file).args(arguments))
    }

    /// Runs `timely-kusto run` on this configuration to its end.
    pub fn run(&self, config: &Config, arguments: &[&str]) -> Outcome {
        self.start_run(config, arguments).wait()
    }

    /// Writes the pipeline's file.
    pub fn write_config(&self, config: &Config) -> PathBuf {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        self.write(&format!("pipeline-{number}.toml"), config.to_string())
    }
}
