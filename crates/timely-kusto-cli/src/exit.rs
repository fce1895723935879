//! How the command ends.

use std::fmt;
use std::process::ExitCode;

use timely_kusto::SinkError;

/// The ways to end, each with its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is delivered.
    Done,
    /// Something failed; nothing is claimed that is not so.
    Failed,
    /// The same while it was being stopped, perhaps by a signal to another process: what a supervised run tells its supervisor,
    /// which does not start it again, and ends as [`Failed`](Self::Failed).
    FailedStopping,
    /// The same where the other processes did not come: what a supervised run tells its supervisor, which ends as
    /// [`Failed`](Self::Failed), or well where the run before was complete.
    FailedAlone,
    /// Configuration or arguments cannot work.
    BadConfiguration,
    /// A newer start of the same pipeline has taken over.
    Fenced,
    /// A person has to look and decide before it can go on: a record makes no row, the source changed, what is kept is
    /// damaged, or what became of a commit cannot be told.
    NeedsPerson,
    /// Stopped by a signal, after finishing what was in hand; or, in the write-ahead mode, after the time for that.
    Signalled(Signal),
}

/// A signal that asks to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> i32 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::FailedStopping => 75,
            Exit::FailedAlone => 76,
            Exit::BadConfiguration => 2,
            Exit::Fenced => 3,
            Exit::NeedsPerson => 4,
            Exit::Signalled(Signal::Interrupt) => 130,
            Exit::Signalled(Signal::Terminate) => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(u8::try_from(exit.code()).unwrap_or(1))
    }
}

/// An error on its way out, with the exit code that it means.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) exit: Exit,
    message: String,
}

impl Stop {
    /// Something failed.
    pub(crate) fn failed(error: impl fmt::Display) -> Self {
        Stop { exit: Exit::Failed, message: error.to_string() }
    }

    /// The configuration or an argument cannot work.
    pub(crate) fn bad_configuration(error: impl fmt::Display) -> Self {
        Stop { exit: Exit::BadConfiguration, message: error.to_string() }
    }

    /// A person has to decide or to mend something first.
    pub(crate) fn needs_person(error: impl fmt::Display) -> Self {
        Stop { exit: Exit::NeedsPerson, message: error.to_string() }
    }
}

/// What a person has to mend first is bad configuration; what is damaged needs a person.
impl From<pipelines::Error> for Stop {
    fn from(error: pipelines::Error) -> Self {
        let exit = match error.kind() {
            kind if kind.is_configuration() => Exit::BadConfiguration,
            kind if kind.needs_person() => Exit::NeedsPerson,
            pipelines::ErrorKind::Fenced => Exit::Fenced,
            pipelines::ErrorKind::Apart => Exit::FailedAlone,
            // Asked by a signal, here or of another process.
            pipelines::ErrorKind::Unfinished => Exit::Signalled(Signal::Terminate),
            _ => Exit::Failed,
        };
        Stop { exit, message: error.to_string() }
    }
}

/// The sink says itself which of the ways it is.
impl From<SinkError> for Stop {
    fn from(error: SinkError) -> Self {
        let exit = match error.exit_code() {
            2 => Exit::BadConfiguration,
            3 => Exit::Fenced,
            4 => Exit::NeedsPerson,
            _ => Exit::Failed,
        };
        Stop { exit, message: error.to_string() }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
