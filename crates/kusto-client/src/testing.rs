//! Doubles of a cluster for tests of whatever stands on [`Service`](crate::Service).
//!
//! [`MemoryService`] keeps the promises of the seam in memory: blobs, a queue, status rows, tables whose rows a test
//! reads back. [`Faulty`] wraps any service and breaks what its operations may break, at moments that a test scripts or
//! a seed chooses. Both pass [`conformance`](crate::conformance).
//!
//! ```text
//! test ─► code under test ─► Faulty ─► MemoryService
//!   │                          ▲            ▲
//!   │   fail_next, hold, seed ─┘            │
//!   └── rows, bodies, script_status, lose ──┘
//! ```

mod faulty;
pub mod fuzz;
mod gate;
mod memory;
mod store;

pub use faulty::{Counts, Fault, Faulty, Operation};
pub use memory::{MemoryService, Message};
