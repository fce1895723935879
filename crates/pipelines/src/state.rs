//! What a pipeline remembers between two starts: how far each partition is delivered.
//!
//! ```text
//! <state>/            drwx------
//!   lock              held by the process that runs (an advisory lock of the system; its content names the process)
//!   positions         -rw-------  two lines of JSON
//!     {"format":"timely-kusto positions","version":1,"sha256":"..."}       over the second line
//!     {"pipeline":{"name":..,"cluster":..,..},"epoch":42,"positions":{"storms.csv":"01a0.."}}
//!   positions.new     only while the file is written
//! ```
//!
//! 1. A position is written only when everything before it is delivered.
//! 2. The file is replaced as a whole: written beside, synced, renamed, the directory synced. A crash leaves the old
//!    one or the new one.
//! 3. A file that fails its checksum, or of a version that is not known, is an error: never read as "no positions".
//! 4. Positions belong to one pipeline: name, cluster, database, table, source and row format. Another one is an error
//!    that names both.
//! 5. One process at a time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::source::Position;

mod lock;

pub(crate) use lock::StateLock;

const FORMAT: &str = "timely-kusto positions";
const VERSION: u32 = 1;

/// Where an embedded cluster keeps its data, beside what a pipeline does.
const CLUSTER: &str = "cluster";

/// Whether a pipeline has run in this directory before: it has left its lock, positions or epoch files there.
pub(crate) fn is_used(dir: &Path) -> bool {
    let kept = fs::read_dir(dir).into_iter().flatten().flatten();
    kept.map(|entry| entry.file_name()).any(|name| name != CLUSTER)
}

/// Which pipeline positions belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The pipeline's name.
    pub pipeline: String,
    /// The cluster, as the configuration names it, without anything secret.
    pub cluster: String,
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// The source, as it describes itself.
    pub source: String,
    /// The format of the rows that are sent.
    pub format: String,
}

impl Identity {
    fn parts(&self) -> [(&'static str, &str); 6] {
        [
            ("pipeline", &self.pipeline),
            ("cluster", &self.cluster),
            ("database", &self.database),
            ("table", &self.table),
            ("source", &self.source),
            ("row format", &self.format),
        ]
    }
}

/// How far each partition is delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// The next epoch: all before it are delivered.
    pub epoch: u64,
    /// Where each partition goes on. A partition that is not listed starts at its beginning.
    pub partitions: BTreeMap<String, Position>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Body {
    pipeline: Identity,
    epoch: u64,
    positions: BTreeMap<String, String>,
}

/// The state directory of a pipeline that runs.
#[derive(Debug)]
pub struct StateDir {
    dir: PathBuf,
    identity: Identity,
    _lock: StateLock,
}

impl StateDir {
    /// Takes a state directory, which is made if it is missing, for this process alone.
    ///
    /// # Errors
    /// [`ErrorKind::State`] when it cannot be made or another process holds it.
    pub fn open(dir: impl Into<PathBuf>, identity: Identity) -> Result<Self> {
        let dir = dir.into();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|error| state_error("make the state directory", &dir, error))?;
        let lock = StateLock::take(&dir)?;
        Ok(StateDir { dir, identity, _lock: lock })
    }

    fn file(&self) -> PathBuf {
        self.dir.join("positions")
    }

    /// The positions that were kept; none of a pipeline that never delivered anything.
    ///
    /// # Errors
    /// [`ErrorKind::Damaged`] when they fail their checks, [`ErrorKind::OtherPipeline`] when they are of another pipeline,
    /// [`ErrorKind::State`] when they cannot be read.
    pub fn load(&self) -> Result<Positions> {
        let path = self.file();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Positions::default()),
            Err(error) => return Err(state_error("read", &path, error)),
        };
        let body = parse(&text).map_err(|wrong| damaged(&path, &wrong))?;
        self.check_identity(&body.pipeline)?;
        let positions = body.positions.into_iter().map(|(name, hex)| {
            let bytes = from_hex(&hex).ok_or_else(|| damaged(&path, "a position is no hexadecimal text"))?;
            Ok((name, Position::from_bytes(bytes)))
        });
        Ok(Positions { epoch: body.epoch, partitions: positions.collect::<Result<_>>()? })
    }

    fn check_identity(&self, kept: &Identity) -> Result<()> {
        let differs = |((name, kept), (_, now)): (_, (_, _))| (kept != now).then_some((name, kept, now));
        let Some((name, kept, now)) = kept.parts().into_iter().zip(self.identity.parts()).find_map(differs)
        else {
            return Ok(());
        };
        let dir = self.dir.display();
        let text = format!(
            "the positions in {dir} are of another pipeline: their {name} is {kept:?}, and now it is {now:?}"
        );
        Err(Error::new(ErrorKind::OtherPipeline, text).with_advice(
            "give the new pipeline a state directory of its own, or put the configuration back as it was",
        ))
    }

    /// Keeps `positions`, durably.
    ///
    /// # Errors
    /// [`ErrorKind::State`] when they cannot be written; the old ones are then still there.
    pub fn save(&self, positions: &Positions) -> Result<()> {
        let body = Body {
            pipeline: self.identity.clone(),
            epoch: positions.epoch,
            positions: positions
                .partitions
                .iter()
                .map(|(name, at)| (name.clone(), to_hex(at.as_bytes())))
                .collect(),
        };
        let path = self.file();
        replace(&path, &render(&body)).map_err(|error| state_error("keep positions in", &path, error))
    }
}

fn render(body: &Body) -> Vec<u8> {
    let body = serde_json::to_string(body).expect("plain structs become JSON");
    let header = Header { format: FORMAT.into(), version: VERSION, sha256: to_hex(&Sha256::digest(&body)) };
    let header = serde_json::to_string(&header).expect("plain structs become JSON");
    format!("{header}\n{body}\n").into_bytes()
}

fn parse(text: &[u8]) -> Result<Body, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is no text")?;
    let (header, body) = text.split_once('\n').ok_or("it has no second line")?;
    let header: Header = serde_json::from_str(header).map_err(|error| format!("its first line: {error}"))?;
    if header.format != FORMAT {
        return Err("it is no file of positions".into());
    }
    if header.version != VERSION {
        return Err(format!("it has version {}, and this program reads version {VERSION}", header.version));
    }
    let body = body.strip_suffix('\n').ok_or("it ends too early")?;
    if to_hex(&Sha256::digest(body)) != header.sha256 {
        return Err("its checksum does not fit its content".into());
    }
    serde_json::from_str(body).map_err(|error| format!("its second line: {error}"))
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

fn damaged(path: &Path, wrong: &str) -> Error {
    let text = format!("{} is damaged: {wrong}", path.display());
    Error::new(ErrorKind::Damaged, text).with_advice(
        "bring it back from a backup; or find out from the table how far the pipeline came, remove the directory, and \
         start over with what is missing",
    )
}

pub(crate) fn state_error(doing: &str, path: &Path, error: io::Error) -> Error {
    let text = format!("could not {doing} {}: {error}", path.display());
    let failed = Error::new(ErrorKind::State, text);
    let failed = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failed.with_advice("make room and start again: it goes on where the kept positions are")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failed.with_advice("`state` must name a directory that this user may write to")
        }
        _ => failed,
    };
    failed.with_source(error)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}
