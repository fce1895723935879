//! The explorer: drives the real [`Coordinator`](crate::Coordinator) through all interleavings of small configurations.
//!
//! **The world.** One staging table S with one name, the target T, `kt_epochs` as a list of rows, two workers with one
//! source partition each, epoch files per start and worker on sets of hosts. Several starts of the same pipeline; an older
//! one lives on as long as the schedule likes. One that is never scheduled again has crashed, one that is scheduled late
//! is a zombie.
//!
//! **A request** is sent, resolves its table's name, and takes effect: three moments, with anything between them. Its
//! answer may be lost before or after. Rows may land twice, ingestions may be delivered twice, reads of `kt_epochs` may be
//! as old as the own claim.
//!
//! **Reductions**, none of which removes a behaviour that can be told apart:
//! - Unless `late_names` is set, a request resolves its name when it is sent (a later resolution sees fewer live names).
//! - The next request is sent in the step in which the answer before it arrives: a delay equals a delay of the effect.
//! - What can have no effect any more (a move whose extents are gone, a rename of a name that is gone) is forgotten.
//! - A claim row is kept as its place among the rows; rows that every later read sees are sorted.
//! - Visited states are kept as 64-bit hashes.
//!
//! **Checked** in each state: no row twice, no gap, one generation per epoch; where a run opens: nothing acknowledged is
//! lost and C does not go back; where it ends: every row once. A stop other than "fenced" is a violation unless a lost
//! disk, another host or a person made it so. And after each new state a fresh start without any fault must open a run
//! exactly at what T holds ([`probe`]). Random [`walks`] do the same along single paths, to their end.

mod config;
mod deliver;
mod extents;
mod perform;
mod probe;
mod search;
mod step;
mod steps;
mod story;
mod world;

mod bites;
mod configurations;
mod crash_points;
mod invariants;
mod walks;

use config::Config;
use search::explore;
use step::Step;
