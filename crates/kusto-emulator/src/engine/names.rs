//! Entity names: which are allowed, and how they are compared.
//!
//! Names have 1 to 1,024 characters out of letters, digits, `_`, `.`, `-` and space. Names of databases are compared
//! without regard to case, all others exactly. Source: `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/query/schema-entities/entity-names.md`.

use super::error::{EngineError, EngineResult};

/// The longest entity name, in characters.
pub(crate) const MAX_NAME_CHARACTERS: usize = 1024;

/// Refuses a name that the service does not take for a new entity of `kind` (`Table`, `Column`, ...).
///
/// # Errors
/// 400 with the name and the rule.
pub(crate) fn validate(kind: &str, name: &str) -> EngineResult<()> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME_CHARACTERS {
        return Err(EngineError::bad_request(format!(
            "{kind} name has {length} characters; it must have 1 to {MAX_NAME_CHARACTERS}."
        )));
    }
    if let Some(odd) = name.chars().find(|c| !is_name_character(*c)) {
        return Err(EngineError::bad_request(format!(
            "{kind} name '{name}' holds the character {odd:?}; allowed are letters, digits, '_', '.', '-' and space."
        )));
    }
    if name.starts_with("__") || name.ends_with("__") {
        return Err(EngineError::bad_request(format!(
            "{kind} name '{name}' starts or ends with '__', which is reserved for the service."
        )));
    }
    Ok(())
}

/// The form under which a database is looked up.
pub(crate) fn database_key(name: &str) -> String {
    name.to_lowercase()
}

/// A name as it stands in a command: bare where that is possible, `['...']` elsewhere.
pub(crate) fn quoted(name: &str) -> String {
    let bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if bare { name.to_owned() } else { format!("['{name}']") }
}

fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ' ')
}
