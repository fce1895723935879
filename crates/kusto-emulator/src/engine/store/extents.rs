//! The rows of extents: in memory once they were used, in a file each when the engine has a data directory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use super::super::catalog::State;
use super::super::extent::{Extent, ExtentColumns};
use super::{StoreError, files, rows};
use crate::data::Schema;

/// The rows of an extent, shared by all its versions (an extent that was moved or retagged is a new version).
#[derive(Debug, Default)]
pub(crate) struct ExtentData {
    columns: OnceLock<ExtentColumns>,
    /// Set once the catalog no longer names the file: it goes with the last reader.
    doomed: OnceLock<PathBuf>,
}

impl Drop for ExtentData {
    fn drop(&mut self) {
        if let Some(path) = self.doomed.get() {
            // What cannot be removed now is an orphan at the next start.
            drop(std::fs::remove_file(path));
        }
    }
}

/// Reads and writes the files of extents.
#[derive(Debug)]
pub(crate) struct ExtentStore {
    directory: Option<PathBuf>,
}

impl ExtentStore {
    pub(super) fn in_memory() -> Self {
        Self { directory: None }
    }

    pub(super) fn open(data: &Path) -> Result<Self, StoreError> {
        let directory = data.join("extents");
        files::create_directory(&directory)?;
        Ok(Self { directory: Some(directory) })
    }

    /// Keeps the rows of a new extent under the name `file`.
    ///
    /// # Errors
    /// If they could not be written; nothing is left then.
    pub(crate) fn put(
        &self,
        file: Uuid,
        schema: &Schema,
        columns: ExtentColumns,
    ) -> Result<Arc<ExtentData>, StoreError> {
        let data = ExtentData::default();
        if let Some(path) = self.path(file)
            && let Err(error) = rows::write(&path, schema, &columns)
        {
            drop(std::fs::remove_file(&path));
            return Err(error);
        }
        data.columns.get_or_init(|| columns);
        Ok(Arc::new(data))
    }

    /// The rows of an extent, from memory or from its file.
    ///
    /// # Errors
    /// If the file is missing or damaged.
    pub(crate) fn columns<'a>(&self, extent: &'a Extent) -> Result<&'a ExtentColumns, StoreError> {
        if let Some(columns) = extent.data.columns.get() {
            return Ok(columns);
        }
        let path = self.path(extent.file).unwrap_or_default();
        let columns = rows::read(&path)?;
        if columns.iter().any(|column| column.len() as u64 != extent.rows) {
            return Err(StoreError::damaged(
                &path,
                format!("it does not have {} rows in each column", extent.rows),
            ));
        }
        Ok(extent.data.columns.get_or_init(|| columns))
    }

    /// Lets the file go with its last reader.
    pub(crate) fn doom(&self, extent: &Extent) {
        if let Some(path) = self.path(extent.file) {
            extent.data.doomed.get_or_init(|| path);
        }
    }

    /// Removes files that no extent names: of ingestions that were never acknowledged, and of extents that are gone.
    pub(super) fn remove_orphans(&self, state: &State) -> Result<(), StoreError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let named: HashSet<_> = state.extents().filter_map(|extent| self.path(extent.file)).collect();
        let entries =
            std::fs::read_dir(directory).map_err(|source| StoreError::io("list", directory, source))?;
        for entry in entries {
            let path = entry.map_err(|source| StoreError::io("list", directory, source))?.path();
            if path.extension().is_some_and(|suffix| suffix == "jsonl") && !named.contains(&path) {
                std::fs::remove_file(&path).map_err(|source| StoreError::io("remove", &path, source))?;
            }
        }
        Ok(())
    }

    fn path(&self, file: Uuid) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(format!("{file}.jsonl")))
    }
}
