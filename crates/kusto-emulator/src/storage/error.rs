//! What storage answers when it refuses: the codes of the Azure Storage REST API.
//!
//! Source: `MicrosoftDocs/azure-docs rest/api/storageservices` pages "Common REST API error codes", "Blob Storage error
//! codes", "Queue Storage error codes", "Table Storage error codes".

use std::io;

use super::sas::Service;

/// A refused storage request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct StorageError {
    pub(crate) status: u16,
    /// The value of `x-ms-error-code`.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// `AuthenticationErrorDetail`, which says what exactly is wrong with a signature. Never holds one.
    pub(crate) detail: Option<String>,
}

/// Short for what storage calls return.
pub(crate) type StorageResult<T> = Result<T, StorageError>;

impl StorageError {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: None }
    }

    /// 403: who signed this is not known, or the time has passed.
    pub(crate) fn authentication_failed(detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::new(
                403,
                "AuthenticationFailed",
                "Server failed to authenticate the request. Make sure the value of Authorization header is formed \
                 correctly including the signature.",
            )
        }
    }

    pub(crate) fn permission_mismatch() -> Self {
        Self::new(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        )
    }

    pub(crate) fn no_authentication() -> Self {
        Self::new(
            401,
            "NoAuthenticationInformation",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        )
    }

    pub(crate) fn resource_type_mismatch() -> Self {
        Self::new(
            403,
            "AuthorizationResourceTypeMismatch",
            "This request is not authorized to perform this operation using this resource type.",
        )
    }

    /// 404 for a container, queue or table.
    pub(crate) fn resource_not_found(service: Service) -> Self {
        match service {
            Service::Blob => Self::new(404, "ContainerNotFound", "The specified container does not exist."),
            Service::Queue => Self::new(404, "QueueNotFound", "The specified queue does not exist."),
            Service::Table => Self::new(404, "TableNotFound", "The table specified does not exist."),
        }
    }

    /// 409 for a container, queue or table.
    pub(crate) fn resource_exists(service: Service) -> Self {
        match service {
            Service::Blob => {
                Self::new(409, "ContainerAlreadyExists", "The specified container already exists.")
            }
            Service::Queue => Self::new(409, "QueueAlreadyExists", "The specified queue already exists."),
            Service::Table => Self::new(409, "TableAlreadyExists", "The table specified already exists."),
        }
    }

    pub(crate) fn blob_not_found() -> Self {
        Self::new(404, "BlobNotFound", "The specified blob does not exist.")
    }

    pub(crate) fn condition_not_met() -> Self {
        Self::new(
            412,
            "ConditionNotMet",
            "The condition specified using HTTP conditional header(s) is not met.",
        )
    }

    pub(crate) fn message_not_found() -> Self {
        Self::new(404, "MessageNotFound", "The specified message does not exist.")
    }

    pub(crate) fn entity_not_found() -> Self {
        Self::new(404, "ResourceNotFound", "The specified resource does not exist.")
    }

    pub(crate) fn too_large(limit: u64) -> Self {
        Self::new(
            413,
            "RequestBodyTooLarge",
            format!(
                "The request body is too large and exceeds the maximum permissible limit of {limit} bytes."
            ),
        )
    }

    pub(crate) fn missing_header(name: &str) -> Self {
        Self::new(
            400,
            "MissingRequiredHeader",
            format!("An HTTP header that's mandatory for this request is not specified: {name}."),
        )
    }

    pub(crate) fn invalid_header(name: &str) -> Self {
        Self::new(
            400,
            "InvalidHeaderValue",
            format!("The value for one of the HTTP headers is not in the correct format: {name}."),
        )
    }

    pub(crate) fn invalid_query(name: &str) -> Self {
        Self::new(
            400,
            "InvalidQueryParameterValue",
            format!("Value for one of the query parameters specified in the request URI is invalid: {name}."),
        )
    }

    pub(crate) fn invalid_xml() -> Self {
        Self::new(400, "InvalidXmlDocument", "XML specified is not syntactically valid.")
    }

    pub(crate) fn invalid_input(what: impl Into<String>) -> Self {
        Self::new(400, "InvalidInput", what)
    }

    pub(crate) fn unsupported_header(name: &str) -> Self {
        Self::new(
            400,
            "UnsupportedHeader",
            format!("The emulator does not do what the header {name} asks for."),
        )
    }

    pub(crate) fn unsupported(what: &str) -> Self {
        Self::new(
            400,
            "UnsupportedOperation",
            format!(
                "This emulator has no storage operation {what}; see the list in the documentation of its storage."
            ),
        )
    }
}

impl From<io::Error> for StorageError {
    /// The emulator's own disk: 500, worth a retry.
    fn from(error: io::Error) -> Self {
        Self::new(500, "InternalError", format!("The emulator could not use its data directory: {error}."))
    }
}
