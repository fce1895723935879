//! Real processes, from a file to the rows that the cluster answers.
#![allow(clippy::unwrap_used, missing_docs)]

mod adversarial;
mod bad_input;
mod command;
mod delivery;
mod documents;
mod first_failures;
mod restarts;
mod retries;
mod secrets;
mod sign_in;
mod supervised;
