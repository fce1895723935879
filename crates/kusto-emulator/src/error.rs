//! Why an emulator does not start, or does not do what its owner asked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// An error of [`crate::EmulatorBuilder::start`] or of a [`crate::Handle`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// An option cannot work.
    #[error("emulator option {option} is {value}; it must be {allowed}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Others could reach it.
    #[error(
        "the emulator does not listen on {0}: others would reach it, and without TLS keys and rows would be on the \
         network in the clear; use 127.0.0.1, or allow it with allow_remote(true)"
    )]
    NotLoopback(IpAddr),
    /// The port is taken, or may not be used.
    #[error("cannot listen on {address}: {source}; choose another port, or 0 for any free one")]
    Listen {
        /// Address and port.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Another emulator has the directory.
    #[error("the data directory {} is in use by another emulator; stop it, or use another directory", .0.display())]
    DirectoryInUse(PathBuf),
    /// The directory cannot be used.
    #[error("cannot use the data directory {}: {source}", directory.display())]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Other storage cannot be used.
    #[error(
        "cannot use the storage account '{account}': {reason}; check the connection string and whether it runs"
    )]
    Storage {
        /// Its name, if the connection string says one.
        account: String,
        /// Why, without any secret.
        reason: String,
    },
    /// The engine's part of the directory cannot be used, or a database cannot be made.
    #[error("the engine does not start: {0}")]
    Engine(String),
    /// A command or query was refused.
    #[error("'{text}' was refused: {reason}")]
    Refused {
        /// The command or query.
        text: String,
        /// The service's message.
        reason: String,
    },
    /// No certificate could be made or written.
    #[error("TLS cannot be set up: {0}")]
    Tls(io::Error),
    /// The runtime could not start its threads.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
}
