//! The vocabulary's promises.
