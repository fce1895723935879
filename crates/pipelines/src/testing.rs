//! What tests of sources need: the conformance suite, and a wrapper that injects faults.

pub mod conformance;
mod faulty;

pub use faulty::{Fault, FaultySource};
