//! The directories of a walk: its own, and gone afterwards.
//!
//! ```text
//! timely-kusto-chaos-XXXXXX/round-1/cluster        what the local cluster keeps
//!                                  /disks/2/0      on the disk of process 2 its state; a rival's is 2/1
//!                                  /step-12-*      pipeline files, hosts, output
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::walk::MOST_PROCESSES;

/// Megabytes of each disk, where it can be made full: many times what a pipeline needs whose rows are
/// committed ten times a second, and memory only as far as it is used.
const DISK_MEGABYTES: usize = 32;

/// The directory of a walk.
#[derive(Debug)]
pub(super) struct Place {
    directory: TempDir,
}

/// The directories of one round. Dropping it unmounts its disks.
#[derive(Debug)]
pub(super) struct Site {
    path: PathBuf,
    /// One for each process, or none where this is not allowed.
    mounted: Vec<PathBuf>,
}

impl Place {
    pub(super) fn new() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("timely-kusto-chaos-").tempdir()?;
        Ok(Place { directory })
    }

    /// The directories of a round.
    pub(super) fn site(&self, round: u64) -> io::Result<Site> {
        let path = self.directory.path().join(format!("round-{round}"));
        let mut site = Site { path, mounted: Vec::new() };
        let disks: Vec<_> = (0..MOST_PROCESSES).map(|process| site.whole_disk(process)).collect();
        disks.iter().try_for_each(fs::create_dir_all)?;
        site.mounted.extend(disks.iter().take_while(|disk| mount(disk)).cloned());
        if site.mounted.len() < disks.len() {
            site.unmount();
        }
        Ok(site)
    }

    /// Keeps everything; where it is.
    pub(super) fn keep(self) -> PathBuf {
        self.directory.keep()
    }
}

impl Site {
    /// Whether its disks can be made full.
    pub(super) fn can_be_full(&self) -> bool {
        !self.mounted.is_empty()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn whole_disk(&self, process: usize) -> PathBuf {
        self.path.join("disks").join(process.to_string())
    }

    /// What a process of a start has on its disk.
    pub(super) fn disk(&self, start: usize, process: usize) -> PathBuf {
        self.whole_disk(process).join(start.to_string())
    }

    /// What is on a disk is lost; whether there was something.
    pub(super) fn lose(&self, disk: &Path) -> io::Result<bool> {
        match fs::remove_dir_all(disk) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    /// Fills the disk of a process to its last byte.
    pub(super) fn fill(&self, process: usize) -> io::Result<()> {
        let mut filler = File::create(filler(&self.whole_disk(process)))?;
        loop {
            match filler.write_all(&[0; 1 << 12]) {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                written => written?,
            }
        }
    }

    /// Gives the room back, on all disks.
    pub(super) fn empty(&self) -> io::Result<()> {
        self.mounted.iter().try_for_each(|disk| match fs::remove_file(filler(disk)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
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
        if self.mounted.is_empty() {
            return Ok(());
        }
        let (disks, kept) = (self.path.join("disks"), self.path.join("kept"));
        self.empty()?;
        let copied = Command::new("cp").arg("-a").arg(&disks).arg(&kept).status()?;
        self.unmount();
        if copied.success() {
            // Empty ones, unless one could not be unmounted.
            (0..MOST_PROCESSES).try_for_each(|process| fs::remove_dir(self.whole_disk(process)))?;
            fs::remove_dir(&disks)?;
            fs::rename(kept, disks)?;
        }
        Ok(())
    }

    fn unmount(&mut self) {
        for disk in self.mounted.drain(..) {
            let unmounted = Command::new("umount").arg(&disk).status();
            if !unmounted.is_ok_and(|status| status.success()) {
                eprintln!("{} could not be unmounted: umount it, then remove it", disk.display());
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn filler(disk: &Path) -> PathBuf {
    disk.join("filler")
}

/// Mounts a small disk of memory; whether that is allowed here.
fn mount(at: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", &format!("size={DISK_MEGABYTES}m,mode=700"), "tmpfs"]).arg(at);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
