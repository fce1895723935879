//! Files of the data directory: readable by their owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Options that create files for their owner only.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a directory (and those above it) for its owner only.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Replaces a file at once: a reader sees the old content or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = private().write(true).create(true).truncate(true).open(&fresh)?;
    file.write_all(content)?;
    fs::rename(&fresh, path)
}
