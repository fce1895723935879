//! List Blobs: the names of a container in order, part by part, names with a common beginning as one if asked.

use std::ops::Bound;

use super::blob::{Blob, Container};
use super::error::StorageResult;
use super::resources::{Page, Part};
use super::{Place, Storage};

/// One entry of a list.
#[derive(Debug)]
pub(crate) enum Listed {
    /// A committed blob.
    Blob(String, Box<Blob>),
    /// A name that has blocks, but no blob yet.
    Uncommitted(String),
    /// All names that begin like this and go on behind the delimiter.
    Prefix(String),
}

impl Storage {
    /// A part of a container's list. `delimiter` is empty for a flat one; with `uncommitted` names without a blob count.
    ///
    /// # Errors
    /// 404 `ContainerNotFound`.
    pub(crate) fn list_blobs(
        &self,
        place: &Place,
        part: &Part,
        delimiter: &str,
        uncommitted: bool,
    ) -> StorageResult<Page<Listed>> {
        let mut state = self.lock();
        let container = state.container(place)?;
        let mut page = Page { items: Vec::new(), next: None };
        let first = part.from.as_str().max(&part.prefix).to_owned();
        let mut from = Bound::Included(first);
        while let Some(name) = next_name(container, &from, uncommitted) {
            if !name.starts_with(&part.prefix) {
                break;
            }
            if page.items.len() == part.most {
                page.next = Some(name.to_owned());
                break;
            }
            let rest = &name[part.prefix.len()..];
            let cut = if delimiter.is_empty() { None } else { rest.find(delimiter) };
            let (listed, after) = match cut {
                Some(at) => {
                    let shared = &name[..part.prefix.len() + at + delimiter.len()];
                    (Listed::Prefix(shared.to_owned()), behind(shared))
                }
                None => {
                    let listed = match container.blobs.get(name) {
                        Some(blob) => Listed::Blob(name.to_owned(), Box::new(blob.clone())),
                        None => Listed::Uncommitted(name.to_owned()),
                    };
                    (listed, Some(Bound::Excluded(name.to_owned())))
                }
            };
            page.items.push(listed);
            match after {
                Some(after) => from = after,
                None => break,
            }
        }
        Ok(page)
    }
}

fn next_name<'a>(container: &'a Container, from: &Bound<String>, uncommitted: bool) -> Option<&'a str> {
    let range = (from.as_ref(), Bound::Unbounded);
    let committed = container.blobs.range::<String, _>(range).next().map(|(name, _)| name.as_str());
    let staged = container.uncommitted.range::<String, _>(range).next().map(|(name, _)| name.as_str());
    if uncommitted { committed.into_iter().chain(staged).min() } else { committed }
}

/// The first name that does not begin with `prefix`, behind all that do; `None` if there can be none.
fn behind(prefix: &str) -> Option<Bound<String>> {
    let mut end: Vec<char> = prefix.chars().collect();
    while let Some(last) = end.pop() {
        // Surrogates are no characters: the one behind U+D7FF is U+E000.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            end.push(next);
            return Some(Bound::Included(end.into_iter().collect()));
        }
    }
    None
}
