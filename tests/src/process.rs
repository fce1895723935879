//! Processes that do not outlive their test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub use rustix::process::{Pid, Signal};

use crate::until;

/// A running process; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// How a process ended, and what it said.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
}

impl Process {
    /// Starts a command whose output goes to the files `<output>.out` and `<output>.err`.
    pub fn start(command: &mut Command, output: &Path) -> Self {
        let (stdout, stderr) = (output.with_extension("out"), output.with_extension("err"));
        let file = |path| Stdio::from(File::create(path).unwrap());
        command.stdin(Stdio::null()).stdout(file(&stdout)).stderr(file(&stderr));
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process { child, stdout, stderr }
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Outcome {
        let id = self.child.id();
        let status = until(&format!("the end of process {id}"), || self.child.try_wait().unwrap());
        Outcome { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The processes that it has started and that run.
    pub fn children(&self) -> Vec<Pid> {
        let parent = format!("PPid:\t{}\n", self.child.id());
        let numbers = std::fs::read_dir("/proc").unwrap();
        let numbers = numbers.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let is_child = |number: &i32| {
            let status = std::fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
            status.contains(&parent) && !status.contains("State:\tZ")
        };
        numbers.filter(is_child).filter_map(Pid::from_raw).collect()
    }

    /// Ends it by SIGKILL.
    ///
    /// # Panics
    /// When it has ended by itself.
    pub fn kill(mut self) {
        assert!(self.runs(), "it ended before it was killed: {}{}", self.stdout(), self.stderr());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it wrote on stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stdout).unwrap()).into_owned()
    }

    /// What it wrote on stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// The same outcome, if the exit code is this one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The one JSON value that stands on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is no JSON: {error}\n{}\n{}", self.stdout, self.stderr))
    }

    /// A number of the report.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        let report = self.json();
        report[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {report}"))
    }

    /// A failure for a person: this exit code, an error of at most a screen on stderr that holds all these texts, and
    /// neither panic nor backtrace.
    #[track_caller]
    pub fn refused(&self, code: i32, texts: &[&str]) {
        let Outcome { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "stdout:\n{stdout}\nstderr:\n{stderr}");
        for text in texts {
            assert!(stderr.contains(text), "{text:?} is missing in:\n{stderr}");
        }
        assert!(stderr.lines().count() <= 24 && stderr.len() <= 24 * 100, "more than a screen:\n{stderr}");
        assert!(stderr.lines().any(|line| line.starts_with("error: ")), "no error in:\n{stderr}");
        for noise in ["panicked", "RUST_BACKTRACE", "stack backtrace", "Err(", "Error {", "Some("] {
            assert!(!stderr.contains(noise), "{noise:?} in:\n{stderr}");
        }
    }
}
