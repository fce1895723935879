//! What can be wrong with a query, in the service's terms.

use std::fmt;

/// The stage at which a query failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The text is no query. Permanent.
    Syntax,
    /// A name, a type or a number of arguments does not fit. Permanent.
    Semantic,
    /// The query is right but this emulator does not do what it asks. Permanent.
    NotSupported,
    /// A limit on the size of results or on memory was reached while the query ran. The service reports it inside a 200.
    Limit,
    /// The query could not be run to its end.
    Execution,
}

/// Why a query or a part of a command could not be understood or run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KqlError {
    /// The stage.
    pub(crate) kind: ErrorKind,
    /// The service's code: `SYN0002`, `SEM0100`, `E_QUERY_RESULT_SET_TOO_LARGE`, ...
    pub(crate) code: &'static str,
    /// What is wrong, without the code.
    pub(crate) message: String,
    /// The byte of the text at which it was noticed, where that is known.
    pub(crate) at: Option<usize>,
}

impl KqlError {
    /// The text cannot be parsed at byte `at`.
    pub(crate) fn syntax(message: impl Into<String>, at: usize) -> KqlError {
        KqlError { kind: ErrorKind::Syntax, code: "SYN0002", message: message.into(), at: Some(at) }
    }

    /// A rule of names, types or arguments is broken; `code` is the service's.
    pub(crate) fn semantic(code: &'static str, message: impl Into<String>) -> KqlError {
        KqlError { kind: ErrorKind::Semantic, code, message: message.into(), at: None }
    }

    /// A table that does not exist.
    pub(crate) fn no_table(name: &str) -> KqlError {
        let message = format!("'table' operator: Failed to resolve table expression named '{name}'");
        KqlError::semantic("SEM0100", message)
    }

    /// A column or variable that does not exist, met in `operator`.
    pub(crate) fn no_name(operator: &str, name: &str) -> KqlError {
        let message = format!("'{operator}' operator: Failed to resolve scalar expression named '{name}'");
        KqlError::semantic("SEM0100", message)
    }

    /// A function that is not known here.
    pub(crate) fn no_function(name: &str) -> KqlError {
        let message = format!(
            "Unknown function: '{name}'. (The local cluster knows a subset of the service's functions.)"
        );
        KqlError::semantic("SEM0260", message)
    }

    /// Something that the service does and this emulator does not.
    pub(crate) fn unsupported(what: impl fmt::Display) -> KqlError {
        KqlError {
            kind: ErrorKind::NotSupported,
            code: "SEM0001",
            message: format!("the local cluster does not support {what}"),
            at: None,
        }
    }

    /// The result has more rows or bytes than the service would send.
    pub(crate) fn result_too_large(what: &str, limit: usize) -> KqlError {
        KqlError {
            kind: ErrorKind::Limit,
            code: "E_QUERY_RESULT_SET_TOO_LARGE",
            message: format!(
                "Query result set has exceeded the internal {what} limit {limit} (E_QUERY_RESULT_SET_TOO_LARGE)."
            ),
            at: None,
        }
    }

    /// An operator holds more in memory than it may.
    pub(crate) fn runaway(operator: &str, limit: usize) -> KqlError {
        KqlError {
            kind: ErrorKind::Limit,
            code: "E_RUNAWAY_QUERY",
            message: format!(
                "Runaway query (E_RUNAWAY_QUERY): '{operator}' needs more than {limit} bytes of memory."
            ),
            at: None,
        }
    }
}

/// The code of a query that ran for too long.
pub(crate) const TIMED_OUT: &str = "RequestExecutionTimeout";

impl KqlError {
    /// The request took longer than its `servertimeout`.
    pub(crate) fn timed_out(limit: std::time::Duration) -> KqlError {
        KqlError {
            kind: ErrorKind::Execution,
            code: TIMED_OUT,
            message: format!("Request is aborted due to timeout: the query ran for {} s.", limit.as_secs()),
            at: None,
        }
    }
}

impl fmt::Display for KqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KqlError { code, message, .. } = self;
        match self.kind {
            ErrorKind::Syntax => write!(f, "Syntax error: {code}: {message}"),
            ErrorKind::Semantic | ErrorKind::NotSupported => write!(f, "Semantic error: {code}: {message}"),
            ErrorKind::Limit | ErrorKind::Execution => f.write_str(message),
        }
    }
}

impl std::error::Error for KqlError {}
