//! One process at a time in a state directory.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::state_error;
use crate::error::{Error, ErrorKind, Result};

/// Held as long as it lives; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let path = dir.join("lock");
        let failed = |error| state_error("lock", &path, error);
        let open =
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(dir, &mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let named = file.set_len(0).and_then(|()| write!(file, "process {}", std::process::id()));
        named.map_err(failed)?;
        Ok(StateLock { _file: file })
    }
}

fn held(dir: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut holder));
    let holder = match (read, holder.trim()) {
        (Ok(_), named) if !named.is_empty() => named,
        _ => "another process",
    };
    let text = format!("{holder} runs in the state directory {} already", dir.display());
    Error::new(ErrorKind::State, text)
        .with_advice("wait for it to end or stop it; two pipelines need a state directory each")
}
