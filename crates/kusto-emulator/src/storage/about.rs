//! What is known of a container, queue or table besides its content: metadata, stored access policies, its version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::blob::Version;
use super::error::{StorageError, StorageResult};
use super::sas::Service;

/// Most stored access policies of a resource: the limit of Azure Storage.
pub(crate) const MAX_POLICIES: usize = 5;

/// Names in lower case, without `x-ms-meta-`.
pub(crate) type Metadata = BTreeMap<String, String>;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    pub(crate) metadata: Metadata,
    pub(crate) policies: Vec<Policy>,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
}

/// A stored access policy; times and permissions as texts, as they were given. Empty means that the SAS says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) start: String,
    pub(crate) expiry: String,
    pub(crate) permission: String,
}

impl Default for About {
    fn default() -> Self {
        Self {
            metadata: Metadata::new(),
            policies: Vec::new(),
            etag: String::new(),
            modified: Timestamp::UNIX_EPOCH,
        }
    }
}

impl About {
    /// For conditional headers.
    pub(crate) fn version(&self) -> Version<'_> {
        Version { etag: &self.etag, modified: self.modified }
    }
}

/// Whether a container, queue or table may have this name.
///
/// Sources: Azure Storage REST API, "Naming and referencing containers, blobs, and metadata", "Naming queues and
/// metadata", "Understanding the Table service data model".
///
/// # Errors
/// 400 `OutOfRangeInput` for a name of another length than 3 to 63, 400 `InvalidResourceName` for other characters.
pub(crate) fn check_name(service: Service, name: &str) -> StorageResult<()> {
    if !(3..=63).contains(&name.chars().count()) {
        let message = "The specified resource name length is not within the permissible limits.";
        return Err(StorageError::new(400, "OutOfRangeInput", message));
    }
    let fine = match service {
        Service::Blob | Service::Queue => {
            name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                && !name.starts_with('-')
                && !name.ends_with('-')
                && !name.contains("--")
        }
        Service::Table => {
            name.chars().all(|c| c.is_ascii_alphanumeric())
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.eq_ignore_ascii_case("tables")
        }
    };
    let message = "The specified resource name contains invalid characters.";
    if fine { Ok(()) } else { Err(StorageError::new(400, "InvalidResourceName", message)) }
}
