//! The error of an option that cannot work.

use std::error::Error;
use std::fmt;

/// An option that cannot work: which one, what was given, what is allowed, and why.
///
/// ```
/// # use timely_kusto::WriteOptions;
/// let error = WriteOptions::builder().database("Samples").table("T").batch_bytes(0).build().unwrap_err();
/// assert_eq!(error.option(), "batch_bytes");
/// assert!(error.to_string().starts_with("option batch_bytes = 0B cannot work: allowed is 1KiB to 1GiB"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    option: String,
    value: String,
    allowed: String,
    reason: String,
}

impl OptionError {
    pub(crate) fn new(
        option: impl Into<String>,
        value: impl Into<String>,
        allowed: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        OptionError {
            option: option.into(),
            value: value.into(),
            allowed: allowed.into(),
            reason: reason.into(),
        }
    }

    /// The option's name, as the builder and a configuration file spell it.
    pub fn option(&self) -> &str {
        &self.option
    }

    /// The value that was given, as text.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The values that are allowed.
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// Why this one is not.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "option {} = {} cannot work: allowed is {} ({})",
            self.option, self.value, self.allowed, self.reason
        )
    }
}

impl Error for OptionError {}
