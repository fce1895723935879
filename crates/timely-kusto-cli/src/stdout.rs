//! Stdout belongs to what the user asked for: reports and answers.

use std::io;
use std::os::fd::OwnedFd;

use rustix::stdio::{dup2_stdout, stderr, stdout};

/// Sends what libraries print on stdout to stderr, until it is dropped: timely tells there how processes find each other.
#[derive(Debug)]
pub(crate) struct Diverted(OwnedFd);

impl Diverted {
    /// Diverts it from now on.
    pub(crate) fn to_stderr() -> io::Result<Self> {
        let kept = rustix::io::dup(stdout())?;
        dup2_stdout(stderr())?;
        Ok(Diverted(kept))
    }
}

impl Drop for Diverted {
    fn drop(&mut self) {
        let _ = io::Write::flush(&mut io::stdout()); // what is still buffered goes where it was meant to
        if let Err(error) = dup2_stdout(&self.0) {
            tracing::error!(%error, "stdout could not be had back");
        }
    }
}
