//! Looking into epoch files without a lock: for people and tools, never for recovery.
//!
//! Sealed files do not change, so what is read is true; a running pipeline may remove a file meanwhile, which shows as
//! an [`Error::Io`] that says "not found". What is returned here cannot be adopted (invariant 23).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::directory::Listing;
use crate::fs::FileSystem;
use crate::ids::FileName;
use crate::{Error, Footer, SealedFile, format};

/// A sealed file in a directory, and what came of looking at it.
#[derive(Debug)]
pub struct Inspected {
    /// Where it is.
    pub path: PathBuf,
    /// What it says about itself, or what is wrong with it.
    pub outcome: Result<Footer, Error>,
}

/// Reads and checks the footer of a file, wherever it stands.
///
/// # Errors
/// [`Error::Corrupt`], [`Error::NewerFormat`], [`Error::Io`].
pub fn show(fs: &Arc<dyn FileSystem>, path: &Path) -> Result<Footer, Error> {
    let file = fs.open(path).map_err(Error::io("open", path))?;
    format::read_footer(&*file, path)
}

/// Reads and checks a whole file, bodies included, with one block of memory.
///
/// # Errors
/// As [`show`]; a body that is damaged is [`Error::Corrupt`] and says where.
pub fn verify(fs: &Arc<dyn FileSystem>, path: &Path) -> Result<Footer, Error> {
    let footer = show(fs, path)?;
    let file = SealedFile::new(Arc::clone(fs), path.to_owned(), footer, 0, None);
    for index in 0..file.chunks().len() {
        file.body(index)?.verify()?;
    }
    Ok(file.footer().clone())
}

/// Looks at every sealed file of a worker's directory, with `look` = [`show`] or [`verify`], and goes on after a
/// damaged one.
///
/// # Errors
/// [`Error::Foreign`] for a name that is none of ours, [`Error::Io`] when the directory cannot be listed.
pub fn directory(
    fs: &Arc<dyn FileSystem>,
    path: &Path,
    look: impl Fn(&Arc<dyn FileSystem>, &Path) -> Result<Footer, Error>,
) -> Result<Vec<Inspected>, Error> {
    let listing = Listing::read(&**fs, path)?;
    let inspect = |to| {
        let path = path.join(FileName::Sealed(to).to_string());
        Inspected { outcome: look(fs, &path), path }
    };
    Ok(listing.sealed.into_iter().map(inspect).collect())
}
