//! Extent tags: free ones, and the two with a meaning.
//!
//! `drop-by:` groups extents that are dropped together; `ingest-by:` marks what `ingestIfNotExists` looks for. Source:
//! `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/extent-tags.md`.

use super::catalog::Table;

const INGEST_BY: &str = "ingest-by:";

/// The tags in order, each once.
pub(crate) fn distinct(tags: &[String]) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::with_capacity(tags.len());
    for tag in tags {
        if !distinct.contains(tag) {
            distinct.push(tag.clone());
        }
    }
    distinct
}

/// The `drop-by:` tags: extents are merged only with those that have the same set.
pub(crate) fn drop_by(tags: &[String]) -> std::collections::BTreeSet<&str> {
    tags.iter().map(String::as_str).filter(|tag| tag.starts_with("drop-by:")).collect()
}

/// The first of `values` that the table already has as `ingest-by:` tag.
pub(crate) fn already_ingested<'a>(table: &Table, values: &'a [String]) -> Option<&'a str> {
    let present = |value: &&String| {
        let bare = value.strip_prefix(INGEST_BY).unwrap_or(value);
        table
            .extents
            .iter()
            .flat_map(|extent| &extent.tags)
            .any(|tag| tag.strip_prefix(INGEST_BY) == Some(bare))
    };
    values.iter().find(present).map(String::as_str)
}

/// A condition on the tags of an extent, as in `where tags has 'x'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TagFilter {
    /// Equality instead of a case-insensitive substring.
    pub(crate) whole: bool,
    /// The condition is turned round.
    pub(crate) negated: bool,
    /// What is looked for.
    pub(crate) text: String,
}

impl TagFilter {
    /// Whether an extent with these tags passes.
    pub(crate) fn passes(&self, tags: &[String]) -> bool {
        let found = if self.whole {
            tags.contains(&self.text)
        } else {
            let wanted = self.text.to_lowercase();
            tags.iter().any(|tag| tag.to_lowercase().contains(&wanted))
        };
        found != self.negated
    }
}
