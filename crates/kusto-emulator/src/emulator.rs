//! A running emulator: its parts put together, and their end.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::builder::{EmulatorBuilder, Hidden};
use crate::dm::{DataManagement, DmOptions, Parts, Resources};
use crate::engine::{Access, Engine, EngineOptions, Principal};
use crate::error::EmulatorError;
use crate::faults::Faults;
use crate::handle::Handle;
use crate::http::{self, Front, Shared};
use crate::requests::RequestLog;
use crate::secrets::Secrets;
use crate::signin::{ManagedIdentity, SignIn, SignInOptions};
use crate::storage::{Account, Connection, Depot, Outside, Service, Storage};
use crate::tls::{CaFile, Tls};
use crate::{files, storage};

/// Where the parts of an emulator are: everything a client needs to know but a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Urls {
    /// The engine.
    pub cluster: String,
    /// Data management; the same address, since clients leave loopback addresses unchanged.
    pub ingestion: String,
    /// The directory: `<login endpoint>/<tenant>`.
    pub authority: String,
    /// Where applications get tokens.
    pub token: String,
    /// What goes into the environment variable `IDENTITY_ENDPOINT` of a client with a managed identity.
    pub identity: String,
    /// The directory's id.
    pub tenant: String,
    /// Blob storage of all accounts: an account is at `<blob>/<account>`. With storage outside of the emulator this and
    /// the next two are those of its first account.
    pub blob: String,
    /// Queue storage of all accounts.
    pub queue: String,
    /// Table storage of all accounts.
    pub table: String,
    /// The file with the certificate that clients are to trust, where there is TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// A local cluster; it stops when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    urls: Urls,
    handle: Handle,
    stop: CancellationToken,
    runtime: Option<Runtime>,
    tasks: Vec<JoinHandle<()>>,
    _ca_file: Option<CaFile>,
    _lock: Option<File>,
}

impl Emulator {
    /// An emulator to be set up.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    pub(crate) fn start(options: EmulatorBuilder) -> Result<Self, EmulatorError> {
        let address = options.validate()?;
        let lock = options.data_dir.as_deref().map(lock).transpose()?;
        let accounts = connections(&options)?;
        let (listener, address) = listen(address)?;
        let doors = if accounts.is_empty() { Doors::open(&options, address)? } else { Doors(Vec::new()) };
        let tls = options.tls.then(|| Tls::open(options.data_dir.as_deref(), address.ip())).transpose();
        let (acceptor, ca_file) =
            tls.map_err(EmulatorError::Tls)?.map(|tls| (tls.acceptor, tls.ca_file)).unzip();
        let urls =
            urls(address, &options.tenant, ca_file.as_ref(), |service, scheme| match accounts.first() {
                Some(account) => account.endpoint(service).to_owned(),
                None => doors.base(service, scheme),
            });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads)
            .thread_name("kusto-emulator")
            .enable_all()
            .build()
            .map_err(EmulatorError::Threads)?;
        let outside = outside(accounts, runtime.handle())?;
        let front = build(&options, &urls, outside.clone())?;
        front.engine.known_as(&urls.cluster);
        let stop = CancellationToken::new();
        let limits =
            http::ClientLimits { connections: options.max_connections, patience: options.client_patience };
        let serve = |listener: TcpListener, address, router| {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)
                .map(|listener| {
                    runtime.spawn(http::serve(listener, router, limits, acceptor.clone(), stop.clone()))
                })
                .map_err(|source| EmulatorError::Listen { address, source })
        };
        let data_management = Arc::clone(&front.data_management);
        let mut tasks = vec![
            serve(listener, address, http::router(front.clone()))?,
            runtime.spawn(data_management.run(stop.clone())),
        ];
        for (service, listener, address) in doors.0 {
            tasks.push(serve(listener, address, http::service_router(front.clone(), service))?);
        }
        if let Some(outside) = outside {
            let stop = stop.clone();
            tasks.push(runtime.spawn(async move { outside.keep_hold(stop).await }));
        }
        let handle = Handle::new(front, stop.clone(), runtime.handle().clone());
        Ok(Self { urls, handle, stop, runtime: Some(runtime), tasks, _ca_file: ca_file, _lock: lock })
    }

    /// All addresses.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// The address of the engine, `http://127.0.0.1:<port>` (or https).
    pub fn cluster_url(&self) -> &str {
        &self.urls.cluster
    }

    /// The file with the certificate to trust, in PEM; none without [`EmulatorBuilder::tls`].
    pub fn ca_file(&self) -> Option<&Path> {
        self.urls.ca_file.as_deref()
    }

    /// The address of data management.
    pub fn ingestion_url(&self) -> &str {
        &self.urls.ingestion
    }

    /// The address where applications get tokens.
    pub fn token_url(&self) -> &str {
        &self.urls.token
    }

    /// The connection string of each storage account, for other people's storage clients: with its key, a secret.
    pub fn storage_connection_strings(&self) -> Vec<String> {
        self.handle.storage_connection_strings()
    }

    /// What a test does behind the clients' backs; stays usable (but idle) after the end.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Blocks until somebody calls [`Handle::stop`]. Not for asynchronous code: await [`Handle::stopped`] there.
    ///
    /// # Panics
    /// When called from asynchronous code.
    pub fn wait(&self) {
        if let Some(runtime) = &self.runtime {
            runtime.block_on(self.stop.cancelled());
        }
    }

    /// Stops it: requests under way get a second to finish. Dropping does the same.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.cancel();
        self.handle.end_holds();
        let Some(runtime) = self.runtime.take() else { return };
        let tasks = std::mem::take(&mut self.tasks);
        // On a thread of its own: a runtime cannot be waited for from asynchronous code.
        let ended = std::thread::spawn(move || {
            runtime.block_on(async {
                let all = futures::future::join_all(tasks);
                if tokio::time::timeout(Duration::from_secs(5), all).await.is_err() {
                    tracing::warn!("the emulator stops in the middle of an ingestion");
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        if ended.join().is_err() {
            tracing::error!("the emulator's runtime did not end in order");
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.end();
    }
}

/// Bodies in memory are limited, so that a forgotten emulator does not eat the machine.
const MEMORY_LIMIT: u64 = 2 * 1024 * 1024 * 1024;

/// Puts the parts together.
fn build(
    options: &EmulatorBuilder,
    urls: &Urls,
    outside: Option<Arc<Outside>>,
) -> Result<Front, EmulatorError> {
    let in_directory = |source| EmulatorError::Directory {
        directory: options.data_dir.clone().unwrap_or_else(|| PathBuf::from("(memory)")),
        source,
    };
    let seed = options.seed;
    let directory = options.data_dir.as_deref();
    let secrets =
        Secrets::open(directory, options.storage_accounts, &seed.stream("secrets")).map_err(in_directory)?;
    let ids = |purpose: &str| seed.stream(&format!("{purpose} {}", secrets.starts));
    let storage = Arc::new(open_storage(options, &secrets, ids("storage")).map_err(in_directory)?);
    let (names, depot) = match outside {
        None => {
            let names = storage.accounts().iter().map(|account| account.name.clone()).collect();
            (names, Depot::Inside(Arc::clone(&storage)))
        }
        Some(outside) => (outside.names(), Depot::Outside(outside)),
    };
    let resources = Resources::of(&names);
    resources.create(&depot).map_err(|error| match &depot {
        Depot::Inside(_) => in_directory(io::Error::other(error)),
        Depot::Outside(_) => EmulatorError::Storage { account: names.join("', '"), reason: error.message },
    })?;
    let engine = open_engine(options, &depot)?;
    let sign_in = SignInOptions {
        tenant: options.tenant.clone(),
        secret: secrets.token_key(),
        identity_header: secrets.identity_header.clone(),
        lifetime: options.token_lifetime,
        audiences: vec![urls.cluster.clone()],
    };
    let sign_in = Arc::new(SignIn::new(sign_in, Arc::clone(&options.clock), ids("tokens")));
    sign_in.add_identity(ManagedIdentity {
        client_id: secrets.identity_client_id.clone(),
        object_id: secrets.identity_object_id.clone(),
        resource_id: None,
    });
    let (faults, requests) = (Arc::new(Faults::new(ids("faults"))), Arc::new(RequestLog::default()));
    let parts = Parts {
        depot,
        engine: Arc::clone(&engine),
        sign_in: Arc::clone(&sign_in),
        faults: Arc::clone(&faults),
        requests: Arc::clone(&requests),
        clock: Arc::clone(&options.clock),
    };
    let dm = DmOptions {
        base: urls.cluster.clone(),
        batching_time: options.batching_time,
        accept_only: options.accept_only,
    };
    Ok(Front::new(Shared {
        base: urls.cluster.clone(),
        blob_base: urls.blob.clone(),
        queue_base: urls.queue.clone(),
        table_base: urls.table.clone(),
        clock: Arc::clone(&options.clock),
        engine,
        storage,
        sign_in,
        data_management: Arc::new(DataManagement::new(dm, resources, parts)),
        faults,
        requests,
        sign_in_required: options.sign_in,
        latency: options.latency,
        client_patience: options.client_patience,
        sas_lifetime: options.sas_lifetime,
    }))
}

/// Accounts of other storage, if any were given.
fn connections(options: &EmulatorBuilder) -> Result<Vec<Connection>, EmulatorError> {
    let parse = |text: &Hidden| {
        Connection::parse(&text.0)
            .map_err(|reason| EmulatorError::Storage { account: "(no name)".to_owned(), reason })
    };
    options.outside.iter().map(parse).collect()
}

/// What speaks to these accounts; nothing if there are none.
fn outside(
    accounts: Vec<Connection>,
    runtime: &tokio::runtime::Handle,
) -> Result<Option<Arc<Outside>>, EmulatorError> {
    if accounts.is_empty() {
        return Ok(None);
    }
    let account = accounts.iter().map(|account| account.account.as_str()).collect::<Vec<_>>().join("', '");
    let outside = Outside::new(accounts, runtime.clone());
    outside
        .map(|outside| Some(Arc::new(outside)))
        .map_err(|reason| EmulatorError::Storage { account, reason })
}

fn open_storage(
    options: &EmulatorBuilder,
    secrets: &Secrets,
    ids: crate::seed::Chance,
) -> io::Result<Storage> {
    let account = |number| Account { name: account_name(number), key: secrets.account_key(number) };
    let count = if options.outside.is_empty() { options.storage_accounts } else { 0 };
    let accounts = (0..count).map(account).collect();
    let directory = options.data_dir.as_ref().map(|directory| directory.join("storage"));
    let limit = options.storage_limit.unwrap_or(if directory.is_some() { u64::MAX } else { MEMORY_LIMIT });
    let place = match (&directory, options.accept_only) {
        (_, true) => storage::Keep::Nothing,
        (Some(directory), false) => storage::Keep::In(directory, limit),
        (None, false) => storage::Keep::Memory(limit),
    };
    Storage::open(accounts, place, Arc::clone(&options.clock), ids)
}

fn open_engine(options: &EmulatorBuilder, depot: &Depot) -> Result<Arc<Engine>, EmulatorError> {
    let engine = Engine::new(EngineOptions {
        clock: Arc::clone(&options.clock),
        seed: options.seed,
        data_dir: options.data_dir.as_ref().map(|directory| directory.join("engine")),
        access: if options.sign_in { Access::ByRole } else { Access::Open },
        blobs: depot.blobs(),
        assumptions: options.assumptions,
    })
    .map_err(|error| EmulatorError::Engine(error.to_string()))?;
    let refused = |error: crate::engine::EngineError| EmulatorError::Engine(error.to_string());
    engine.add_cluster_admin(&operator(&options.tenant)).map_err(refused)?;
    let default = ["NetDefaultDB".to_owned()];
    let names = if options.databases.is_empty() { &default[..] } else { &options.databases };
    names.iter().try_for_each(|name| engine.create_database(name)).map_err(refused)?;
    Ok(Arc::new(engine))
}

/// In whose name the emulator's owner acts. Nobody can sign in as it.
pub(crate) fn operator(tenant: &str) -> Principal {
    Principal::application("kusto-emulator-operator", tenant)
}

fn account_name(number: usize) -> String {
    format!("storage{number:02}")
}

/// The ports of the storage services.
struct Doors(Vec<(Service, TcpListener, SocketAddr)>);

impl Doors {
    fn open(options: &EmulatorBuilder, main: SocketAddr) -> Result<Self, EmulatorError> {
        let services = [Service::Blob, Service::Queue, Service::Table].into_iter().zip(options.storage_ports);
        let open = |(service, port)| {
            listen(SocketAddr::new(main.ip(), port)).map(|(listener, address)| (service, listener, address))
        };
        services.map(open).collect::<Result<_, _>>().map(Self)
    }

    fn base(&self, service: Service, scheme: &str) -> String {
        let door = self.0.iter().find(|(known, ..)| *known == service);
        door.map(|(_, _, address)| base(*address, scheme)).unwrap_or_default()
    }
}

fn urls(
    address: SocketAddr,
    tenant: &str,
    ca_file: Option<&CaFile>,
    storage: impl Fn(Service, &str) -> String,
) -> Urls {
    let scheme = if ca_file.is_some() { "https" } else { "http" };
    let cluster = base(address, scheme);
    Urls {
        ingestion: cluster.clone(),
        authority: format!("{cluster}/{tenant}"),
        token: format!("{cluster}/{tenant}/oauth2/v2.0/token"),
        identity: format!("{cluster}/msi/token"),
        tenant: tenant.to_owned(),
        blob: storage(Service::Blob, scheme),
        queue: storage(Service::Queue, scheme),
        table: storage(Service::Table, scheme),
        ca_file: ca_file.map(|file| file.path.clone()),
        cluster,
    }
}

fn base(address: SocketAddr, scheme: &str) -> String {
    // Clients tell a loopback address from a remote one by its name; 0.0.0.0 is none of either.
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { host(address) };
    format!("{scheme}://{host}:{}", address.port())
}

fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

/// A listener, and the port that it got.
fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), EmulatorError> {
    let failed = |source| EmulatorError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// One emulator per directory: two would write into one journal.
fn lock(directory: &Path) -> Result<File, EmulatorError> {
    let failed = |source| EmulatorError::Directory { directory: directory.to_owned(), source };
    files::create_private_dir(directory).map_err(failed)?;
    let file = files::private().write(true).create(true).truncate(false).open(directory.join("lock"));
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(EmulatorError::DirectoryInUse(directory.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
