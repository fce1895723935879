//! The error of a record that makes no row.

use std::error::Error;
use std::fmt;

use crate::row_hash::Misfit;

/// A record that cannot be written as a row: which field, why, and what to do.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodeError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    field: String,
    reason: String,
    advice: &'static str,
}

impl EncodeError {
    pub(crate) fn new(reason: impl Into<String>, advice: &'static str) -> Self {
        EncodeError(Box::new(Inner { field: String::new(), reason: reason.into(), advice }))
    }

    /// Puts `field` in front of the path.
    pub(crate) fn in_field(mut self, field: &str) -> Self {
        let path = &mut self.0.field;
        if !path.is_empty() {
            path.insert(0, '.');
        }
        path.insert_str(0, field);
        self
    }

    /// The path of the field (`address.street`, or its position in a tuple), if it is one field that is to blame.
    pub fn field(&self) -> Option<&str> {
        Some(self.0.field.as_str()).filter(|field| !field.is_empty())
    }

    /// Why it cannot be written.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field() {
            Some(field) => write!(f, "cannot write field {field} of a row: {}", self.0.reason)?,
            None => write!(f, "cannot write a row: {}", self.0.reason)?,
        }
        if !self.0.advice.is_empty() {
            write!(f, "; {}", self.0.advice)?;
        }
        Ok(())
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncodeError").field(&self.to_string()).finish()
    }
}

impl Error for EncodeError {}

/// What a `Serialize` implementation reports by itself.
impl serde::ser::Error for EncodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        EncodeError::new(message.to_string(), "")
    }
}

/// A row that was written and has no hash.
impl From<Misfit> for EncodeError {
    fn from(misfit: Misfit) -> Self {
        let Misfit { column, found, why, .. } = misfit;
        let advice = "correct the value, or leave the column out of hash_columns";
        match column {
            Some((name, kind)) => {
                let reason = format!("{found} may not be stored as the {kind} that is meant: {why}");
                EncodeError::new(reason, advice).in_field(&name)
            }
            None => EncodeError::new(format!("{found} has no hash: {why}"), advice),
        }
    }
}

impl From<serde_json::Error> for EncodeError {
    fn from(error: serde_json::Error) -> Self {
        EncodeError::new(error.to_string(), "")
    }
}
