//! The directories of a walk: its own, and gone afterwards.
//!
//! ```text
//! timely-kusto-chaos-XXXXXX/round-1/cluster        what the local cluster keeps
//!                                  /disks/0-2      the disk of process 2; a rival's begin with 1
//!                                  /step-12-*      pipeline files, hosts, output
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Megabytes of the disks of a round, where they can be made full: many times what a pipeline needs whose rows are
/// committed ten times a second, and memory only as far as it is used.
const DISK_MEGABYTES: usize = 64;

/// The directory of a walk.
#[derive(Debug)]
pub(super) struct Place {
    directory: TempDir,
}

/// The directories of one round. Dropping it unmounts its disks.
#[derive(Debug)]
pub(super) struct Site {
    path: PathBuf,
    mounted: bool,
}

impl Place {
    pub(super) fn new() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("timely-kusto-chaos-").tempdir()?;
        Ok(Place { directory })
    }

    /// The directories of a round.
    pub(super) fn site(&self, round: u64) -> io::Result<Site> {
        let path = self.directory.path().join(format!("round-{round}"));
        fs::create_dir_all(path.join("disks"))?;
        let mounted = mount(&path.join("disks"));
        Ok(Site { path, mounted })
    }

    /// Keeps everything; where it is.
    pub(super) fn keep(self) -> PathBuf {
        self.directory.keep()
    }
}

impl Site {
    /// Whether its disks can be made full.
    pub(super) fn can_be_full(&self) -> bool {
        self.mounted
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The disk of a process.
    pub(super) fn disk(&self, start: usize, process: usize) -> PathBuf {
        self.path.join("disks").join(format!("{start}-{process}"))
    }

    /// A disk is lost; whether there was one.
    pub(super) fn lose(&self, disk: &Path) -> io::Result<bool> {
        match fs::remove_dir_all(disk) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    /// Fills the disks to their last byte.
    pub(super) fn fill(&self) -> io::Result<()> {
        let mut filler = File::create(self.filler())?;
        loop {
            match filler.write_all(&[0; 1 << 12]) {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                written => written?,
            }
        }
    }

    /// Gives the room back.
    pub(super) fn empty(&self) -> io::Result<()> {
        match fs::remove_file(self.filler()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Removes what the processes of a step said and were told.
    pub(super) fn forget(&self, step: &str) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(step) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes everything.
    pub(super) fn remove(mut self) -> io::Result<()> {
        self.unmount();
        fs::remove_dir_all(&self.path)
    }

    /// Unmounts, with what is on the disks in plain directories.
    pub(super) fn keep(mut self) -> io::Result<()> {
        if !self.mounted {
            return Ok(());
        }
        let (disks, kept) = (self.path.join("disks"), self.path.join("kept"));
        self.empty()?;
        let copied = Command::new("cp").arg("-a").arg(&disks).arg(&kept).status()?;
        self.unmount();
        if copied.success() {
            fs::remove_dir(&disks)?;
            fs::rename(kept, disks)?;
        }
        Ok(())
    }

    fn filler(&self) -> PathBuf {
        self.path.join("disks").join("filler")
    }

    fn unmount(&mut self) {
        if std::mem::take(&mut self.mounted) {
            let disks = self.path.join("disks");
            let unmounted = Command::new("umount").arg(&disks).status();
            if !unmounted.is_ok_and(|status| status.success()) {
                eprintln!("{} could not be unmounted: umount it, then remove it", disks.display());
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// Mounts a small disk of memory; whether that is allowed here.
fn mount(at: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", &format!("size={DISK_MEGABYTES}m,mode=700"), "tmpfs"]).arg(at);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
