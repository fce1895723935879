//! How an emulator is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::assumptions::Assumptions;
use crate::clock::{Clock, SystemClock};
use crate::emulator::Emulator;
use crate::error::EmulatorError;
use crate::seed::Seed;

/// Options of an emulator; [`crate::Emulator::builder`] makes one.
#[derive(Debug, Clone)]
#[must_use = "nothing runs before start()"]
pub struct EmulatorBuilder {
    pub(crate) databases: Vec<String>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) allow_remote: bool,
    pub(crate) tls: bool,
    pub(crate) sign_in: bool,
    pub(crate) tenant: String,
    pub(crate) token_lifetime: Duration,
    pub(crate) accept_only: bool,
    pub(crate) max_connections: usize,
    pub(crate) client_patience: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: Seed,
    pub(crate) latency: Duration,
    pub(crate) storage_accounts: usize,
    pub(crate) storage_limit: Option<u64>,
    pub(crate) storage_ports: [u16; 3],
    /// Connection strings: never shown.
    pub(crate) outside: Vec<Hidden>,
    pub(crate) sas_lifetime: Duration,
    pub(crate) batching_time: Duration,
    pub(crate) threads: usize,
    pub(crate) assumptions: Assumptions,
}

impl Default for EmulatorBuilder {
    fn default() -> Self {
        Self {
            databases: Vec::new(),
            data_dir: None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            allow_remote: false,
            tls: false,
            sign_in: false,
            tenant: "6babcaad-604b-40ac-a9d7-9fd97c0b779f".to_owned(),
            token_lifetime: Duration::from_secs(3600),
            accept_only: false,
            max_connections: 4096,
            client_patience: Duration::from_secs(60),
            clock: Arc::new(SystemClock),
            seed: Seed::from_entropy(),
            latency: Duration::ZERO,
            storage_accounts: 2,
            storage_limit: None,
            storage_ports: [0; 3],
            outside: Vec::new(),
            sas_lifetime: Duration::from_secs(24 * 3600),
            batching_time: Duration::from_secs(1),
            threads: 2,
            assumptions: Assumptions::default(),
        }
    }
}

impl EmulatorBuilder {
    /// Creates a database of this name if there is none; may be called for several. Without any, there is
    /// `NetDefaultDB`.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.databases.push(name.into());
        self
    }

    /// Keeps everything in this directory, which is created if need be; one emulator at a time. Without it everything
    /// is in memory and gone at the end.
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(directory.into());
        self
    }

    /// The TCP port; 0 (default) lets the system choose. Clients keep addresses with the port in them for an hour or
    /// more, so an emulator that is started again under running clients wants the same one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The address to listen on; default 127.0.0.1. Others than loopback need [`EmulatorBuilder::allow_remote`].
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// Listens on addresses that others can reach. Without [`EmulatorBuilder::tls`] keys, tokens and rows are then on the
    /// network in the clear.
    pub fn allow_remote(mut self, allow: bool) -> Self {
        self.allow_remote = allow;
        self
    }

    /// Whether it speaks https, with a certificate made at start; default false. Clients are told to trust the file that
    /// [`Emulator::ca_file`] names. With a data directory it is the same at every start.
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Whether requests need a token and principals need roles. Without it (default) everybody is AllDatabasesAdmin.
    pub fn sign_in(mut self, required: bool) -> Self {
        self.sign_in = required;
        self
    }

    /// The id of the directory (tenant) that signs in.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// How long tokens are valid; default 1 hour.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// For benchmarks: checks signatures and headers, counts the bytes of blobs and drops them, and ingests every message at
    /// once, as an extent of its own that has tags and a number of rows, and null in every column. Rows are counted by the
    /// blob's metadata `rows`, raw bytes by `rawbytes`. Commands and queries work as ever.
    pub fn accept_only(mut self, accept_only: bool) -> Self {
        self.accept_only = accept_only;
        self
    }

    /// Connections at a time, 1 to 65536; more wait in the listener's queue until one ends. Default 4096: more than any
    /// test opens, and a process may usually have more files open than that.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count;
        self
    }

    /// How long a client may be silent in the middle of a request's head or body, or between two requests of a
    /// connection, before it is cut off; measured by the system's clock, since it guards real sockets. Default 1 minute.
    pub fn client_patience(mut self, patience: Duration) -> Self {
        self.client_patience = patience;
        self
    }

    /// The clock; default the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The seed of all ids, keys and faults; default one from the operating system. With a data directory the keys of the
    /// first start stay.
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// Time on the clock that every request waits before it is looked at; default none.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// How many storage accounts there are, 1 to 16; default 2.
    pub fn storage_accounts(mut self, count: usize) -> Self {
        self.storage_accounts = count;
        self
    }

    /// The most bytes of blobs that are held at a time; default 2 GiB in memory, unlimited with a data directory. An
    /// upload beyond it fails with 500.
    pub fn storage_limit(mut self, bytes: u64) -> Self {
        self.storage_limit = Some(bytes);
        self
    }

    /// The TCP ports of blob, queue and table storage for other people's storage clients; 0 (default) lets the system
    /// choose. Addresses that the cluster gives to clients for ingestion are on its own port
    /// ([`EmulatorBuilder::port`]).
    pub fn storage_ports(mut self, blob: u16, queue: u16, table: u16) -> Self {
        self.storage_ports = [blob, queue, table];
        self
    }

    /// Uses an account of other storage instead of this emulator's own: Azurite, or Azure's; may be called for several.
    /// Containers, queues and a table are made there, clients get addresses there, signed with the account's key, and data
    /// management reads that storage's queues and blobs and writes its status rows.
    ///
    /// What only this emulator's own storage can do does not happen then: fault rules, statistics and the request log know
    /// nothing of blobs, messages and rows. Other storage lives by the real time: keep the system's clock with it.
    pub fn storage(mut self, connection_string: impl Into<String>) -> Self {
        self.outside.push(Hidden(connection_string.into()));
        self
    }

    /// How long the SAS in ingestion resources are valid; default 24 hours.
    pub fn sas_lifetime(mut self, lifetime: Duration) -> Self {
        self.sas_lifetime = lifetime;
        self
    }

    /// How long blobs gather before they are ingested, for tables without a batching policy in force. The service's default is 5 minutes; here it is 1 second, so that nobody waits
    /// for a demonstration. 500 items and 1 GB seal a batch as in the service.
    pub fn batching_time(mut self, time: Duration) -> Self {
        self.batching_time = time;
        self
    }

    /// Answers to what is not documented about the service; default [`Assumptions::default`].
    pub fn assumptions(mut self, assumptions: Assumptions) -> Self {
        self.assumptions = assumptions;
        self
    }

    /// Threads that serve requests; default 2. Queries and ingestions run on further ones.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Starts it. Returns when it takes requests; works from synchronous and asynchronous code alike.
    ///
    /// # Errors
    /// If an option is out of range, the address cannot be used, or the data directory is in use, damaged or unwritable.
    pub fn start(self) -> Result<Emulator, EmulatorError> {
        Emulator::start(self)
    }

    /// # Errors
    /// Naming option, value and range.
    pub(crate) fn validate(&self) -> Result<SocketAddr, EmulatorError> {
        let invalid = |option, value: String, allowed| Err(EmulatorError::Option { option, value, allowed });
        if !self.address.is_loopback() && !self.allow_remote {
            return Err(EmulatorError::NotLoopback(self.address));
        }
        if !(1..=16).contains(&self.storage_accounts) {
            return invalid("storage_accounts", self.storage_accounts.to_string(), "1 to 16");
        }
        if !(1..=65536).contains(&self.max_connections) {
            return invalid("max_connections", self.max_connections.to_string(), "1 to 65536");
        }
        if !(1..=64).contains(&self.threads) {
            return invalid("threads", self.threads.to_string(), "1 to 64");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if self.tenant.is_empty() || !self.tenant.chars().all(plain) {
            return invalid("tenant", self.tenant.clone(), "letters, digits, '-' and '.'");
        }
        Ok(SocketAddr::new(self.address, self.port))
    }
}

/// A text that is not shown.
#[derive(Clone)]
pub(crate) struct Hidden(pub(crate) String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}
