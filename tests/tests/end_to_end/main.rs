//! Real processes, from a file to the rows that the cluster answers.
#![allow(clippy::unwrap_used, missing_docs)]

mod adversarial;
mod bad_input;
mod command;
mod delivery;
mod documents;
mod first_failures;
mod first_failures_ahead;
mod restarts;
mod retries;
mod secrets;
mod secrets_written_ahead;
mod sign_in;
mod supervised;
