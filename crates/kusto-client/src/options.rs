//! Where the cluster is, who asks, and how long anything may take.

mod builder;
mod connection_string;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use builder::ConnectionOptionsBuilder;

use crate::auth::Auth;
use crate::rest::Role;
use crate::trust::Trust;

/// How to reach a cluster. Cheap to clone; prints no secret. Made by [`ConnectionOptions::builder`].
///
/// ```
/// use kusto_client::ConnectionOptions;
/// # fn main() -> kusto_client::Result<()> {
/// let connection = ConnectionOptions::builder()
///     .cluster_url("https://mycluster.westeurope.kusto.windows.net")
///     .managed_identity()
///     .build()?;
/// assert_eq!(connection.ingestion_url(), "https://ingest-mycluster.westeurope.kusto.windows.net/");
/// # Ok(())
/// # }
/// ```
///
/// Proxies of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case) hold for every host,
/// storage and sign-in included; loopback and the metadata address of virtual machines (169.254.169.254) are reached
/// directly. TLS trusts the system's roots, or those of `SSL_CERT_FILE`: for a proxy that opens TLS, put its root there.
#[derive(Clone)]
pub struct ConnectionOptions(pub(crate) Arc<Settings>);

pub(crate) struct Settings {
    pub(crate) cluster: Url,
    pub(crate) ingestion: Url,
    /// The database that is meant where none is named.
    pub(crate) database: Option<String>,
    pub(crate) auth: Auth,
    pub(crate) application: String,
    pub(crate) user: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) trust: Trust,
    /// Where to sign in, instead of what the cluster says.
    pub(crate) authority: Option<Url>,
}

/// Deadlines, each for one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) query: Duration,
    pub(crate) command: Duration,
    pub(crate) storage: Duration,
    pub(crate) sign_in: Duration,
}

impl ConnectionOptions {
    /// Begins to describe a connection.
    pub fn builder() -> ConnectionOptionsBuilder {
        ConnectionOptionsBuilder::default()
    }

    /// Reads a Kusto connection string that says everything:
    /// [`ConnectionOptionsBuilder::connection_string`] and nothing else.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption) that names the keyword, and
    /// [`ErrorKind::UntrustedHost`](crate::ErrorKind::UntrustedHost).
    pub fn from_connection_string(text: impl AsRef<str>) -> crate::Result<Self> {
        Self::builder().connection_string(text).build()
    }

    /// The options as a Kusto connection string, with `****` in place of a secret. Sign-ins that no connection string
    /// can carry (managed and workload identities, callbacks) are written as `AAD Federated Security=True` alone.
    pub fn connection_string(&self) -> String {
        connection_string::describe(&self.0)
    }

    /// The database that is meant where none is named.
    pub fn database(&self) -> Option<&str> {
        self.0.database.as_deref()
    }

    /// Address of the engine, with a slash at its end.
    pub fn cluster_url(&self) -> &str {
        self.0.cluster.as_str()
    }

    /// Address of data management, with a slash at its end.
    pub fn ingestion_url(&self) -> &str {
        self.0.ingestion.as_str()
    }

    /// The principal that asks, in the form in which commands name it (`aadapp=<application id>;<tenant>`), where the
    /// options tell (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/reference-security-principals.md`).
    pub fn principal(&self) -> Option<String> {
        self.0.auth.principal()
    }

    /// Says that `role` is missing, and the commands that grant it to the principal that asks, with a blank where the
    /// principal is not known.
    pub fn advice(&self, role: &Role, database: &str) -> String {
        role.advice(database, self.principal().as_deref().unwrap_or(Role::SOMEBODY))
    }

    /// Whether requests carry a token.
    pub fn signs_in(&self) -> bool {
        !matches!(self.0.auth, Auth::None)
    }
}

impl fmt::Debug for ConnectionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { cluster, ingestion, auth, application, timeouts, authority, .. } = &*self.0;
        f.debug_struct("ConnectionOptions")
            .field("cluster_url", &cluster.as_str())
            .field("ingestion_url", &ingestion.as_str())
            .field("auth", auth)
            .field("application", application)
            .field("authority", &authority.as_ref().map(Url::as_str))
            .field("timeouts", timeouts)
            .finish()
    }
}

#[cfg(test)]
mod tests;
