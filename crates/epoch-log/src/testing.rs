//! A disk in memory that behaves as badly as disks may. Public, because whatever is built on the log is tested on it.
//!
//! [`SimulatedDisk`] keeps two states: what programs see, and what would be there after a power cut. A
//! [`sync_data`](crate::fs::File::sync_data) copies the bytes of one file from the first to the second, a
//! [`sync_directory`](crate::fs::FileSystem::sync_directory) the names of one directory. At a power cut
//! ([`SimulatedDisk::restart`]) what was not synced survives or not, as [`Survival`] says: any subset of the 512-byte
//! sectors written, any subset of the names changed, without regard to their order.
//!
//! Faults are [`Rule`]s: on which call, what happens ([`Fault`]). One seed decides everything random, so that a run is
//! repeated by its seed.

mod chance;
mod disk;
mod faults;
mod files;
mod names;
mod system;

pub use chance::Chance;
pub use disk::{SimulatedDisk, Survival};
pub use faults::{Call, Fault, Gate, Op, Rule};
