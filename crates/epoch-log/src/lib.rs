//! Epoch files: chunks of rows made durable on local disk, epoch by epoch, until they are committed elsewhere.
//!
//! The log knows bytes, epochs and source positions. It does not know what rows are, where they go, or when they are
//! committed. What it promises is durability, and that damage is never taken for absence.
//!
//! ```text
//!  append ──▶ <to>.open ──seal──▶ <to>.epochs ──▶ body (for upload) ──▶ remove_below
//!  (bodies)     │                   ▲   │
//!               │                   │   └── after a crash: adopt, chain(cover), positions
//!               │                   └────── footer, fdatasync, rename, sync of the directory
//!               └── after a crash: removed, its rows are replayed
//! ```
//! ```text
//! <state>/<lineage>/g<generation>-<nonce>/w<worker>/    one directory per start and worker, mode 0700
//!                                            lock       held by whoever reads or writes the directory
//!                                            <to>.open  bodies, while epochs below <to> are written
//!                                            <to>.epochs  sealed: bodies, footer; mode 0600
//! ```
//! Worker directories are written by [`Writer`] and read back by [`Adopted`]; [`Log`] finds them. The file format is in
//! [`mod@format`], byte by byte.
//!
//! # Invariants
//! The numbers are those of the whole design of exactly-once; tests cite them.
//!
//! - **16** A sealed epoch survives power loss; an unsealed one is never found again. [`Writer::seal`] returns after
//!   the sync of the directory. [`Log::adopt`] syncs it once more before it shows a file, because its predecessor may
//!   have died between rename and sync.
//! - **17** After a failed write or sync an open file is abandoned, never repaired: [`Error::Abandoned`] from then on.
//!   A file whose directory sync failed is withdrawn, since a later sync could lie. Want of space is found out
//!   beforehand ([`fs::File::reserve`]) and is no failed write: [`Error::DiskFull`] leaves everything as it was. That
//!   takes a file system with `fallocate` (ext4, xfs, btrfs, tmpfs have it). On one without it, and where the system
//!   finds no room for a directory entry or an extent map, a full disk is a failed write like any other: the file is
//!   abandoned and the process ends with [`Error::Io`]; when it starts again, unsealed rows are replayed. Nothing is
//!   lost either way.
//! - **18** A file that fails a check is [`Error::Corrupt`], a gap is [`Error::Missing`]; neither is read as "no
//!   rows". Footers are checked when a directory is opened, bodies block by block when they are read.
//! - **23** A directory is read for adoption only under its exclusive lock: the types that read hold it. ([`inspect`]
//!   looks without, for people; nothing that it returns can be adopted.)
//! - **Removal** Only whole files below the bound that the caller names are removed, and open files at adoption, after
//!   everything else in the directory was found in order. Removal is an unlink: it needs no space. It may be cut off
//!   anywhere and done again.
//! - **20** Memory: footers, and one block for each body being read. Files: at most [`MAX_OPEN_FILES`] open. Bytes:
//!   [`Budget`] says when to pause.
//!
//! # Deviations from the drawing board
//! - A seal may write several files, one for each span of epochs that has chunks, instead of merging them into one:
//!   merging would write bodies a second time. Each is synced into its directory before the next, so that what is
//!   found is always without a gap; a death between two of them leaves what the first ones cover, and the seal had
//!   promised nothing yet. Each span costs a sync: where epochs are short, or many end at once, put more of them into a
//!   file ([`WriterOptions::epochs_per_file`]).
//! - A body has a checksum per block rather than one: any range can be checked while it is read for upload.
//!
//! # What this is not
//! No database: nothing is looked up, updated or compacted. No replication: a lost disk is lost. Not for disks that
//! several hosts share: the lock binds one host. Unix only.
//!
//! No cure for a disk that lies in earnest. When a sync of names fails and they cannot be withdrawn, or when the sync
//! at an adoption fails, names may exist in memory only while a second sync claims otherwise, and nobody can tell
//! which: [`Error::Unsettled`] asks for a restart of the machine.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use epoch_log::{Column, Epoch, Generation, Layout, Lineage, Log, NewChunk, Nonce, Start, Worker, WriterOptions};
//!
//! # let state = tempfile::tempdir()?;
//! # let state = state.path();
//! let log = Log::new(state, Lineage::new("0123456789abcdef")?);
//! let start = Start::new(Generation(1), Nonce::new("k3v9")?);
//! let mut writer = log.create(&start, Worker::new(0, 1)?, WriterOptions::from(Epoch(0)))?;
//!
//! let id = Column { name: "id".into(), column_type: "long".into() };
//! let layout = Arc::new(Layout { format: "csv".into(), columns: vec![id] });
//! let chunk = NewChunk { epoch: Epoch(0), rows: 2, raw_bytes: 4, layout, sum: None };
//! writer.append(&chunk, b"a finished blob")?;
//! writer.position(Epoch(0), "storms.csv", *b"4")?;
//! writer.seal(Epoch(1))?;
//! drop(writer); // or the power fails
//!
//! let adopted = log.adopt(&log.directories()?[0])?;
//! let files = adopted.chain(Epoch(0))?;
//! let mut blob = Vec::new();
//! std::io::copy(&mut files[0].body(0)?.reader(), &mut blob)?;
//! assert_eq!(blob, b"a finished blob");
//! assert_eq!(adopted.positions(Epoch(0)..Epoch(1))?["storms.csv"], b"4");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod format;
pub mod fs;
pub mod inspect;
pub mod testing;

mod adopted;
mod body;
mod budget;
mod directory;
mod error;
mod ids;
mod lock;
mod log;
mod open_file;
mod sealed;
mod writer;

pub use adopted::Adopted;
pub use body::{Body, BodyReader};
pub use budget::Budget;
pub use directory::Removed;
pub use error::{Error, Holder, Remedy};
pub use format::{BLOCK_BYTES, Chunk, Column, Footer, Layout, MAX_FOOTER_BYTES, Position, RowSum};
pub use ids::{DirectoryId, Epoch, Generation, Lineage, Nonce, Start, Worker};
pub use log::Log;
pub use sealed::SealedFile;
pub use writer::{MAX_OPEN_FILES, NewChunk, Writer, WriterOptions};
