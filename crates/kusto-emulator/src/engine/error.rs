//! What the engine answers when it cannot do what was asked: the parts of the service's error body.
//!
//! The form is documented in `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/rest/response-v2.md`: a code, a
//! message, the .NET exception's name, whether repeating the same request is pointless (`@permanent`), and for errors in
//! the text of a request an inner error. The HTTP layer adds the context (time, activity, machine).

use std::fmt;

/// A failed request, in the terms of the service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct EngineError {
    /// The HTTP status of the answer.
    pub(crate) status: u16,
    /// `error.code`, such as `General_BadRequest`.
    pub(crate) code: &'static str,
    /// `error.message`: a general sentence.
    pub(crate) message: &'static str,
    /// `error.@type`: the name of the service's exception.
    pub(crate) exception: &'static str,
    /// `error.@message`: what exactly is wrong.
    pub(crate) detail: String,
    /// `error.@permanent`: repeating the request unchanged cannot succeed.
    pub(crate) permanent: bool,
    /// `error.innererror`, where a code of its own is known.
    pub(crate) inner: Option<Box<InnerError>>,
}

/// The `innererror` of an answer: the code of a syntax, semantic or ingestion error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InnerError {
    /// Such as `SEM0100` or `BadRequest_EntityNotFound`.
    pub(crate) code: String,
    /// What is wrong, without a preamble.
    pub(crate) message: String,
    /// The name of the service's exception.
    pub(crate) exception: &'static str,
}

/// Short for what engine calls return.
pub(crate) type EngineResult<T> = Result<T, EngineError>;

const CANNOT_PROCESS: &str = "Request is invalid and cannot be processed";

impl EngineError {
    /// 400, permanent: the request makes sense to the parser but cannot be done.
    pub(crate) fn bad_request(detail: impl fmt::Display) -> Self {
        Self {
            status: 400,
            code: "General_BadRequest",
            message: "Request is invalid and cannot be executed.",
            exception: "Kusto.Data.Exceptions.KustoBadRequestException",
            detail: format!("{CANNOT_PROCESS}: {detail}"),
            permanent: true,
            inner: None,
        }
    }

    /// 400, permanent: the text is not understood. `found` names the place.
    pub(crate) fn syntax(message: impl fmt::Display) -> Self {
        Self::coded("Syntax", "SYN0002", "Kusto.Data.Exceptions.SyntaxException", message)
    }

    /// 400, permanent: the text is understood, but names or types in it do not fit the database.
    pub(crate) fn semantic(code: &str, message: impl fmt::Display) -> Self {
        Self::coded("Semantic", code, "Kusto.Data.Exceptions.SemanticException", message)
    }

    /// 400, permanent: a named entity is not there. `kind` is `Table`, `Database`, ...
    pub(crate) fn not_found(kind: &str, name: &str) -> Self {
        let message = format!("Entity ID '{name}' of kind '{kind}' was not found.");
        Self {
            code: "BadRequest_EntityNotFound",
            exception: "Kusto.Common.Svc.Exceptions.EntityNotFoundException",
            inner: Some(Box::new(InnerError {
                code: "BadRequest_EntityNotFound".into(),
                message: message.clone(),
                exception: "Kusto.Common.Svc.Exceptions.EntityNotFoundException",
            })),
            ..Self::bad_request(message)
        }
    }

    /// 400, permanent: the name is taken.
    pub(crate) fn already_exists(kind: &str, name: &str) -> Self {
        Self {
            code: "BadRequest_EntityAlreadyExists",
            exception: "Kusto.Common.Svc.Exceptions.EntityAlreadyExistsException",
            ..Self::bad_request(format!("{kind} '{name}' already exists."))
        }
    }

    /// 403, permanent: the principal lacks a role.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self {
            status: 403,
            code: "Forbidden",
            message: "Caller is not authorized to perform this action.",
            exception: "Kusto.Data.Exceptions.KustoUnauthorizedRequestException",
            detail: detail.into(),
            permanent: true,
            inner: None,
        }
    }

    /// 429, transient: too much at a time.
    pub(crate) fn throttled(detail: impl Into<String>) -> Self {
        Self {
            status: 429,
            code: "General_ThrottledRequest",
            exception: "Kusto.Data.Exceptions.KustoRequestThrottledException",
            detail: detail.into(),
            ..Self::internal("")
        }
    }

    /// 520, transient: the engine itself failed, for instance on its own disk.
    pub(crate) fn internal(detail: impl fmt::Display) -> Self {
        Self {
            status: 520,
            code: "General_InternalServerError",
            message: "An unexpected error occurred. The request may succeed when it is repeated.",
            exception: "Kusto.DataNode.Exceptions.KustoServiceException",
            detail: detail.to_string(),
            permanent: false,
            inner: None,
        }
    }

    fn coded(kind: &str, code: &str, exception: &'static str, message: impl fmt::Display) -> Self {
        Self {
            inner: Some(Box::new(InnerError {
                code: code.to_owned(),
                message: message.to_string(),
                exception,
            })),
            ..Self::bad_request(format!("{kind} error: {code}: {message}"))
        }
    }
}

impl From<crate::holds::Died> for EngineError {
    fn from(died: crate::holds::Died) -> Self {
        Self::internal(died)
    }
}

impl From<crate::kql::KqlError> for EngineError {
    fn from(error: crate::kql::KqlError) -> Self {
        use crate::kql::ErrorKind;
        match error.kind {
            ErrorKind::Syntax => {
                Self::coded("Syntax", error.code, "Kusto.Data.Exceptions.SyntaxException", error.message)
            }
            ErrorKind::Semantic | ErrorKind::NotSupported => Self::semantic(error.code, error.message),
            ErrorKind::Limit => Self {
                code: "LimitsExceeded",
                message: "Request is too large or ran into a limit.",
                exception: "Kusto.Data.Exceptions.KustoServicePartialQueryFailureLimitsExceededException",
                detail: error.message.clone(),
                inner: Some(Box::new(InnerError {
                    code: error.code.to_owned(),
                    message: error.message,
                    exception: "Kusto.DataNode.Exceptions.LimitsExceededException",
                })),
                ..Self::bad_request("")
            },
            ErrorKind::Execution if error.code == crate::kql::TIMED_OUT => Self {
                status: 504,
                code: crate::kql::TIMED_OUT,
                message: "Request has timed out.",
                exception: "Kusto.Data.Exceptions.KustoServiceTimeoutException",
                detail: error.message,
                permanent: false,
                inner: None,
            },
            ErrorKind::Execution => Self::internal(error.message),
        }
    }
}
