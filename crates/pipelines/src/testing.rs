//! What tests of sources need: the conformance suite, a wrapper that injects faults, and damaged input.

pub mod conformance;
mod faulty;

pub use faulty::{Fault, FaultySource};
pub use kusto_client::testing::fuzz;
