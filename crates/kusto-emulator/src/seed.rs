//! Chance, all of it from one number: equal seeds and equal requests give equal keys, ids and faults.
//!
//! Each user of chance takes a stream of its own by name ([`Seed::stream`]), so that one more draw here changes nothing
//! there. Keys and tokens come from the seed too. It is drawn from the operating system unless a test sets it: a seed
//! that somebody else knows is no secret.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The number that a run is repeated with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// A fixed seed: a run that can be repeated.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed from the operating system.
    pub fn from_entropy() -> Self {
        Self(rand::random())
    }

    /// The number itself, to print it when a test fails.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The stream of chance for one `purpose`; the same purpose gives the same stream again.
    pub fn stream(self, purpose: &str) -> Chance {
        let mut hash = Sha256::new();
        hash.update(self.0.to_le_bytes());
        hash.update(purpose.as_bytes());
        Chance(Mutex::new(StdRng::from_seed(hash.finalize().into())))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// One stream of chance; shared between threads, drawn in the order of calls.
pub struct Chance(Mutex<StdRng>);

impl Chance {
    /// A new version 4 id.
    pub fn id(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.draw(|rng| rng.fill_bytes(&mut bytes));
        bytes
    }

    /// True in `probability` of all cases; anything outside 0 to 1 is taken as the nearer of the two.
    pub fn happens(&self, probability: f64) -> bool {
        self.draw(|rng| rng.random_bool(probability.clamp(0.0, 1.0)))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance(..)")
    }
}
