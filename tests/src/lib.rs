//! End-to-end tests: real processes, other people's clients.
