//! The builder of [`ConnectionOptions`], and every check on what it is given.

use std::error::Error as StdError;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use secrecy::SecretString;
use url::Url;

use super::connection_string::ConnectionString;
use super::{ConnectionOptions, Settings, Timeouts};
use crate::auth::{Application, Auth, Certificate, Identity, Proof, Token, Workload};
use crate::trust::Trust;
use crate::{Error, ErrorKind, Result, endpoint};

/// Collects [`ConnectionOptions`]; [`build`](Self::build) checks them together.
#[derive(Clone, Default)]
#[must_use]
pub struct ConnectionOptionsBuilder {
    cluster: Option<String>,
    ingestion: Option<String>,
    database: Option<String>,
    auth: Vec<Auth>,
    /// The sign-in that holds where none is chosen.
    fallback: Option<Auth>,
    /// What was wrong with a connection string.
    failed: Option<Error>,
    application: Option<String>,
    user: Option<String>,
    connect_timeout: Option<Duration>,
    query_timeout: Option<Duration>,
    command_timeout: Option<Duration>,
    storage_timeout: Option<Duration>,
    sign_in_timeout: Option<Duration>,
    trusted: Vec<String>,
    authority: Option<String>,
}

impl fmt::Debug for ConnectionOptionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |text: &Option<String>| text.as_deref().map(|text| crate::without_query(text).to_owned());
        f.debug_struct("ConnectionOptionsBuilder")
            .field("cluster_url", &url(&self.cluster))
            .field("ingestion_url", &url(&self.ingestion))
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// Addresses and names.
impl ConnectionOptionsBuilder {
    /// Address of the engine: `https://<cluster>.<region>.kusto.windows.net`. Required.
    pub fn cluster_url(mut self, url: impl Into<String>) -> Self {
        self.cluster = Some(url.into());
        self
    }

    /// Address of data management, where it cannot be derived: by default `ingest-` is put before the host of the
    /// cluster; loopback and IP addresses stay as they are.
    pub fn ingestion_url(mut self, url: impl Into<String>) -> Self {
        self.ingestion = Some(url.into());
        self
    }

    /// What a Kusto connection string says: address, database, sign-in, names for tracing. Its rules, and where it
    /// differs from other clients, are in `docs/pipelines.md`; what cannot be understood is an error of
    /// [`build`](Self::build) that names the keyword. `Fed=true` without credentials means who is signed in to the
    /// Azure command line, unless another sign-in is chosen beside it.
    ///
    /// ```
    /// # use kusto_client::ConnectionOptions;
    /// # fn main() -> kusto_client::Result<()> {
    /// let text = "https://c.westeurope.kusto.windows.net/Samples;Fed=true;AppClientId=a;AppKey=secret;Authority Id=t";
    /// let connection = ConnectionOptions::builder().connection_string(text).build()?;
    /// assert_eq!(connection.database(), Some("Samples"));
    /// assert!(connection.connection_string().contains("Application Key=****"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn connection_string(self, text: impl AsRef<str>) -> Self {
        let before = self.clone();
        match ConnectionString::parse(text.as_ref()).and_then(|string| string.apply(self)) {
            Ok(builder) => builder,
            Err(error) => {
                ConnectionOptionsBuilder { failed: before.failed.clone().or(Some(error)), ..before }
            }
        }
    }

    /// The database that is meant where none is named, as a connection string's Initial Catalog.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = Some(name.into());
        self
    }

    /// The name under which requests appear in `.show queries` and `.show commands`; `timely-kusto` by default.
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application = Some(name.into());
        self
    }

    /// The user name under which requests are traced; `[none]` by default.
    pub fn user_name(mut self, name: impl Into<String>) -> Self {
        self.user = Some(name.into());
        self
    }

    /// A host that may be given a token although it is not known to belong to Kusto, such as a gateway of your own;
    /// with a dot in front (`.corp.example`) every host below it. Without a sign-in, a host that may be spoken to over
    /// http, such as a local cluster in a container. May be called several times.
    pub fn trusted_host(mut self, host: impl Into<String>) -> Self {
        self.trusted.push(host.into());
        self
    }
}

/// Sign-in: exactly one of these.
impl ConnectionOptionsBuilder {
    /// Sends no token. For a local cluster.
    pub fn no_auth(self) -> Self {
        self.auth(Auth::None)
    }

    /// Sends no token, unless another sign-in is chosen, by a connection string for example.
    pub fn or_no_auth(mut self) -> Self {
        self.fallback.get_or_insert(Auth::None);
        self
    }

    /// An Entra application with a key (client secret).
    pub fn application(
        self,
        app_id: impl Into<String>,
        app_key: impl Into<SecretString>,
        tenant: impl Into<String>,
    ) -> Self {
        let proof = Proof::Key(app_key.into());
        self.auth(Auth::Application(Application { id: app_id.into(), proof, tenant: tenant.into() }))
    }

    /// An Entra application with a certificate.
    pub fn application_certificate(
        self,
        app_id: impl Into<String>,
        certificate: Certificate,
        tenant: impl Into<String>,
    ) -> Self {
        let proof = Proof::Certificate(certificate);
        self.auth(Auth::Application(Application { id: app_id.into(), proof, tenant: tenant.into() }))
    }

    /// A token that you have. It is used until the service refuses it; nothing can refresh it.
    pub fn token(self, token: impl Into<SecretString>) -> Self {
        self.auth(Auth::Token(token.into()))
    }

    /// Asks `provider` for a token whenever a new one is needed: ahead of the expiry it names, every five minutes when
    /// it names none, and once after the service refused one. It is given the scope (`https://.../.default`).
    pub fn token_provider<F, Fut, E>(self, provider: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Token, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let provide = move |scope| -> BoxFuture<'static, _> {
            let token = provider(scope);
            async move { token.await.map_err(Into::into) }.boxed()
        };
        self.auth(Auth::Provider(Arc::new(provide)))
    }

    /// As [`token_provider`](Self::token_provider), for a function that blocks; it runs on a thread of its own.
    pub fn blocking_token_provider<F, E>(self, provider: F) -> Self
    where
        F: Fn(&str) -> Result<Token, E> + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let provider = Arc::new(move |scope: &str| provider(scope).map_err(Into::into));
        self.token_provider(move |scope| {
            let provider = Arc::clone(&provider);
            async move {
                match tokio::task::spawn_blocking(move || provider(&scope)).await {
                    Ok(token) => token,
                    Err(panic) => Err(panic.into()),
                }
            }
        })
    }

    /// The system-assigned managed identity of the machine.
    pub fn managed_identity(self) -> Self {
        self.auth(Auth::ManagedIdentity(Identity::System))
    }

    /// A user-assigned managed identity by its client id; `system` means the system-assigned one, as in the Flink and
    /// Kafka connectors.
    pub fn managed_identity_client_id(self, id: impl Into<String>) -> Self {
        self.auth(Auth::ManagedIdentity(Identity::by_client_id(id.into())))
    }

    /// A user-assigned managed identity by its object (principal) id.
    pub fn managed_identity_object_id(self, id: impl Into<String>) -> Self {
        self.auth(Auth::ManagedIdentity(Identity::ObjectId(id.into())))
    }

    /// A user-assigned managed identity by its Azure resource id (`/subscriptions/...`).
    pub fn managed_identity_resource_id(self, id: impl Into<String>) -> Self {
        self.auth(Auth::ManagedIdentity(Identity::ResourceId(id.into())))
    }

    /// The federated identity of a Kubernetes pod, from the environment that the workload identity webhook sets:
    /// `AZURE_CLIENT_ID`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`. The file is read anew at each sign-in.
    pub fn workload_identity(self) -> Self {
        self.auth(Auth::Workload(Workload::default()))
    }

    /// As [`workload_identity`](Self::workload_identity), with what is given here in place of the environment's.
    pub fn workload_identity_of(
        self,
        client_id: Option<String>,
        tenant: Option<String>,
        token_file: Option<PathBuf>,
    ) -> Self {
        self.auth(Auth::Workload(Workload { client_id, tenant, token_file }))
    }

    /// Who is signed in to the Azure command line (`az login`).
    pub fn azure_cli(self) -> Self {
        self.auth(Auth::AzureCli { tenant: None })
    }

    /// Who is signed in to the Azure command line, in another tenant than its default one.
    pub fn azure_cli_in_tenant(self, tenant: impl Into<String>) -> Self {
        self.auth(Auth::AzureCli { tenant: Some(tenant.into()) })
    }

    /// Where to sign in, instead of the login endpoint that the cluster's metadata names. An address on loopback also
    /// stands in for the managed identity endpoint of virtual machines: so every sign-in can be tested locally.
    pub fn authority(mut self, url: impl Into<String>) -> Self {
        self.authority = Some(url.into());
        self
    }

    pub(super) fn auth(mut self, auth: Auth) -> Self {
        self.auth.push(auth);
        self
    }

    pub(super) fn auth_unless_chosen(mut self, auth: Auth) -> Self {
        self.fallback = Some(auth);
        self
    }
}

/// Deadlines of one attempt.
impl ConnectionOptionsBuilder {
    /// For making a connection; 20 s by default, 100 ms to 5 min. What the Azure SDK takes, too.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// For a query to run; 4 min by default (the service's own default), 1 s to 1 h. The service is told
    /// (`servertimeout`), and the client gives up half a minute later.
    pub fn query_timeout(mut self, timeout: Duration) -> Self {
        self.query_timeout = Some(timeout);
        self
    }

    /// For a command to run; 10 min by default (the service's own default), 1 s to 1 h; as for queries.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = Some(timeout);
        self
    }

    /// For a storage request, beside one second per 256 KiB of its body; 60 s by default, 1 s to 1 h.
    pub fn storage_timeout(mut self, timeout: Duration) -> Self {
        self.storage_timeout = Some(timeout);
        self
    }

    /// For getting a token; 60 s by default, 1 s to 10 min.
    pub fn sign_in_timeout(mut self, timeout: Duration) -> Self {
        self.sign_in_timeout = Some(timeout);
        self
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

impl ConnectionOptionsBuilder {
    /// Checks everything and makes the options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] or [`ErrorKind::UntrustedHost`], naming option, value and what is allowed.
    pub fn build(self) -> Result<ConnectionOptions> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let timeouts = self.timeouts()?;
        let cluster = self.cluster()?;
        let ingestion = match &self.ingestion {
            Some(text) => endpoint::parse("ingestion_url", text)?,
            None => endpoint::ingestion_of(&cluster),
        };
        let auth = one_of(self.auth, self.fallback)?;
        auth.check()?;
        let trust = Trust::with(self.trusted);
        for host in [&cluster, &ingestion] {
            match auth {
                Auth::None => trust.check_clear_text(host)?,
                _ => trust.check(host)?,
            }
        }
        Ok(ConnectionOptions(Arc::new(Settings {
            cluster,
            ingestion,
            database: self.database.filter(|name| !name.is_empty()),
            auth,
            application: self.application.unwrap_or_else(|| "timely-kusto".to_owned()),
            user: self.user.unwrap_or_else(|| "[none]".to_owned()),
            timeouts,
            trust,
            authority: self.authority.as_deref().map(authority).transpose()?,
        })))
    }

    fn cluster(&self) -> Result<Url> {
        let Some(text) = &self.cluster else {
            let example = "it is required: https://<cluster>.<region>.kusto.windows.net";
            return Err(invalid("cluster_url", example));
        };
        let url = endpoint::parse("cluster_url", text)?;
        if endpoint::is_ingestion(&url) {
            return Err(invalid(
                "cluster_url",
                format!(
                    "`{url}` is the address of data management, which answers no queries; give the engine's, {}",
                    endpoint::cluster_of(&url)
                ),
            ));
        }
        Ok(url)
    }

    fn timeouts(&self) -> Result<Timeouts> {
        let minutes = |minutes| SECOND * 60 * minutes;
        let hundred_ms = Duration::from_millis(100);
        Ok(Timeouts {
            connect: within("connect_timeout", self.connect_timeout, SECOND * 20, hundred_ms..=minutes(5))?,
            query: within("query_timeout", self.query_timeout, minutes(4), SECOND..=HOUR)?,
            command: within("command_timeout", self.command_timeout, minutes(10), SECOND..=HOUR)?,
            storage: within("storage_timeout", self.storage_timeout, minutes(1), SECOND..=HOUR)?,
            sign_in: within("sign_in_timeout", self.sign_in_timeout, minutes(1), SECOND..=minutes(10))?,
        })
    }
}

fn invalid(option: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOption, "use the option", option, message)
}

fn within(
    option: &str,
    value: Option<Duration>,
    default: Duration,
    range: RangeInclusive<Duration>,
) -> Result<Duration> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(invalid(
        option,
        format!("{value:?} is out of range; allowed are {:?} to {:?}", range.start(), range.end()),
    ))
}

const METHODS: &str = "no_auth, application, application_certificate, token, token_provider, managed_identity, \
                       workload_identity, azure_cli";

fn one_of(mut auth: Vec<Auth>, fallback: Option<Auth>) -> Result<Auth> {
    if auth.is_empty() {
        auth.extend(fallback);
    }
    match <[Auth; 1]>::try_from(auth) {
        Ok([auth]) => Ok(auth),
        Err(none) if none.is_empty() => {
            Err(invalid("sign-in", format!("none was chosen; choose one of {METHODS}")))
        }
        Err(several) => {
            let names: Vec<_> = several.iter().map(Auth::name).collect();
            Err(invalid("sign-in", format!("{} were chosen; choose exactly one", names.join(" and "))))
        }
    }
}

/// Where to sign in: https, or loopback.
fn authority(text: &str) -> Result<Url> {
    let url = endpoint::parse("authority", text)?;
    if url.scheme() != "https" && !endpoint::is_loopback(&url) {
        let message =
            format!("`{url}` would see the application's key in clear text; allowed are https, or loopback");
        return Err(invalid("authority", message));
    }
    Ok(url)
}
