//! Files and directories that only their owner can read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::path::Path;

use super::StoreError;

/// Creates the directory and its parents; what is there stays.
pub(super) fn create_directory(path: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| StoreError::io("create the directory", path, source))
}

/// Opens for reading and writing; creates what is missing.
pub(super) fn open_private(path: &Path) -> Result<File, StoreError> {
    let mut options = private();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(|source| StoreError::io("open", path, source))
}

/// Creates an empty file in place of whatever has the name.
pub(super) fn create_private(path: &Path) -> Result<File, StoreError> {
    let mut options = private();
    options.write(true).create(true).truncate(true);
    options.open(path).map_err(|source| StoreError::io("create", path, source))
}

fn private() -> OpenOptions {
    #[allow(unused_mut)]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The checksum of both kinds of file: CRC-32 as in gzip.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
