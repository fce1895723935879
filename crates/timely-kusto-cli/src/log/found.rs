//! The worker directories under a path, with what is in them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use epoch_log::fs::{FileSystem, RealFileSystem};
use epoch_log::inspect::{self, Inspected};
use epoch_log::{DirectoryId, Error, Footer, Lineage, Log};

use crate::exit::Stop;

/// A worker's directory.
pub(super) struct Directory {
    pub(super) lineage: Lineage,
    pub(super) id: DirectoryId,
    pub(super) path: PathBuf,
    /// Sealed files by their epochs.
    pub(super) files: Vec<File>,
    /// Files that are not sealed: being written, or left by a crash. Nobody was promised anything of them.
    pub(super) open: usize,
    /// What is wrong with the directory itself.
    wrong: Vec<String>,
}

/// A sealed file.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// What it says about itself, or what is wrong with it.
    pub(super) footer: Result<Footer, String>,
}

impl Directory {
    pub(super) fn footers(&self) -> impl Iterator<Item = &Footer> {
        self.files.iter().filter_map(|file| file.footer.as_ref().ok())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Everything that is wrong in it.
    pub(super) fn damage(&self) -> impl Iterator<Item = String> {
        let of_files = self.files.iter().filter_map(|file| file.footer.as_ref().err());
        of_files.chain(&self.wrong).cloned()
    }
}

type Look = fn(&Arc<dyn FileSystem>, &Path) -> Result<Footer, Error>;

/// All worker directories under `dir`, looked at with `look`.
pub(super) fn directories(dir: &Path, look: Look) -> Result<Vec<Directory>, Stop> {
    let unknown = |error| Stop::bad_configuration(format!("{}: {error}", dir.display()));
    let dir = dir.canonicalize().map_err(unknown)?;
    if !dir.is_dir() {
        return Err(Stop::bad_configuration(format!("{} is no directory", dir.display())));
    }
    let mut found = Vec::new();
    for (log, lineage) in logs(&dir)? {
        for id in log.directories().map_err(stop)? {
            let path = log.path_of(&id);
            if path.starts_with(&dir) {
                found.extend(directory(lineage.clone(), id, path, look)?);
            }
        }
    }
    Ok(found)
}

/// The logs that `dir` is in, or that are in it.
fn logs(dir: &Path) -> Result<Vec<(Log, Lineage)>, Stop> {
    let within = dir.ancestors().take(3).find_map(|path| {
        let lineage = Lineage::new(path.file_name()?.to_str()?).ok()?;
        Some((Log::new(path.parent()?, lineage.clone()), lineage))
    });
    if let Some(log) = within {
        return Ok(vec![log]);
    }
    let lineages = std::fs::read_dir(dir).map_err(Stop::failed)?.filter_map(|entry| {
        let entry = entry.ok().filter(|entry| entry.path().is_dir())?;
        Lineage::new(entry.file_name().to_str()?).ok()
    });
    let mut lineages: Vec<_> = lineages.collect();
    lineages.sort();
    Ok(lineages.into_iter().map(|lineage| (Log::new(dir, lineage.clone()), lineage)).collect())
}

/// What is in one directory; nothing if it was removed meanwhile.
fn directory(
    lineage: Lineage,
    id: DirectoryId,
    path: PathBuf,
    look: Look,
) -> Result<Option<Directory>, Stop> {
    let fs: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
    let inspected = match inspect::directory(&fs, &path, look) {
        Err(error) if is_gone(&error) => return Ok(None),
        inspected => inspected.map_err(stop)?,
    };
    let mut directory =
        Directory { lineage, id, open: open_files(&path), path, files: Vec::new(), wrong: Vec::new() };
    for Inspected { path, outcome } in inspected {
        let bytes = std::fs::metadata(&path).map_or(0, |it| it.len());
        match outcome {
            Err(error) if is_gone(&error) => {}
            Err(error @ Error::Io { .. }) => return Err(stop(error)),
            Err(error) => directory.files.push(File { path, bytes, footer: Err(error.to_string()) }),
            Ok(footer) => {
                directory.wrong.extend(misplaced(&directory, &footer, &path));
                directory.files.push(File { path, bytes, footer: Ok(footer) });
            }
        }
    }
    let joins = joins(&directory);
    directory.wrong.extend(joins);
    Ok(Some(directory))
}

fn open_files(path: &Path) -> usize {
    let names = std::fs::read_dir(path).into_iter().flatten().flatten();
    names.filter(|entry| entry.path().extension().is_some_and(|it| it == "open")).count()
}

/// A file that says that it is another one.
fn misplaced(directory: &Directory, footer: &Footer, path: &Path) -> Option<String> {
    let DirectoryId { start, worker } = &directory.id;
    let fits = footer.is_of(&directory.lineage)
        && footer.generation == start.generation
        && footer.nonce == start.nonce.as_str()
        && footer.worker == *worker
        && path.file_stem().is_some_and(|stem| stem.to_str() == Some(&footer.to.to_string()));
    let Footer { lineage, generation, nonce, worker, to, .. } = footer;
    let says = || format!("{lineage}/g{generation}-{nonce}/w{worker}/{to}.epochs");
    (!fits).then(|| format!("{} does not belong there: it was written as {}", path.display(), says()))
}

/// Gaps, epochs in two files, and files that disagree about the number of workers.
fn joins(directory: &Directory) -> Vec<String> {
    let footers: Vec<&Footer> = directory.footers().collect();
    let path = directory.path.display();
    let mut wrong = Vec::new();
    for pair in footers.windows(2) {
        let [before, after] = [pair[0], pair[1]];
        if after.from < before.to {
            wrong.push(format!("{path}: epochs {} to {} are in two files", after.from, before.to));
        }
        if after.from > before.to && directory.files.iter().all(|file| file.footer.is_ok()) {
            wrong.push(format!("{path}: no file covers epochs {} to {}", before.to, after.from));
        }
        if after.workers != before.workers {
            let (one, other) = (before.workers, after.workers);
            wrong.push(format!("{path}: files speak of {one} workers and of {other}"));
        }
    }
    wrong
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

fn stop(error: Error) -> Stop {
    match error.remedy() {
        epoch_log::Remedy::Person => Stop::needs_person(error),
        _ => Stop::failed(error),
    }
}
