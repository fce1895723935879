//! The hash here and the hash of a cluster.

mod agreement;
mod definition;
mod misfits;
mod page;
mod sensitivity;
mod support;
