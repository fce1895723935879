//! Signing in: who asks, where tokens come from, and that they go to trusted hosts only.
//!
//! ```text
//! bearer(url) ─► trust check ─► scope of the host ─► token cache ─► credential ─► Entra, managed identity, az, callback
//!                   │ refused      (metadata, cached)    (refreshed ahead of expiry, one at a time)
//!                   └► error before anything is fetched
//! ```
//! 1. A token is fetched for no host that is not trusted, and sent over nothing but TLS or loopback.
//! 2. However many ask, one token is fetched at a time; it is replaced ahead of its end, behind those who use it.
//! 3. A token that the service refuses (401) is replaced once, and the request repeated once.
//! 4. The life of a token is counted in seconds from its arrival, not on a clock that somebody may set.
//! 5. Where to sign in and for what is the cluster's word (sovereign clouds); options can name another login endpoint.

mod advice;
mod certificate;
mod credential;
mod metadata;
mod tokens;

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};

pub use certificate::Certificate;
pub(crate) use tokens::Tokens;

use crate::{Error, ErrorKind, Result};

/// A token as a callback of the caller's returns it.
#[derive(Clone, Debug)]
pub struct Token {
    pub(crate) secret: SecretString,
    pub(crate) expires: Option<SystemTime>,
}

impl Token {
    /// A token whose expiry is not known: it is asked for again every five minutes.
    pub fn new(secret: impl Into<SecretString>) -> Self {
        Token { secret: secret.into(), expires: None }
    }

    /// Says when the token expires; a new one is asked for well before.
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expires = Some(time);
        self
    }

    /// Says how long the token is good for, from now on.
    pub fn expires_in(self, life: Duration) -> Self {
        self.expires_at(SystemTime::now() + life)
    }
}

type ProviderResult = std::result::Result<Token, Box<dyn StdError + Send + Sync>>;

/// A callback of the caller's, given the scope.
pub(crate) type Provider = Arc<dyn Fn(String) -> BoxFuture<'static, ProviderResult> + Send + Sync>;

/// How to sign in.
#[derive(Clone)]
pub(crate) enum Auth {
    None,
    Token(SecretString),
    Provider(Provider),
    Application(Application),
    ManagedIdentity(Identity),
    Workload(Workload),
    AzureCli { tenant: Option<String> },
}

/// An Entra application.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) id: String,
    pub(crate) proof: Proof,
    pub(crate) tenant: String,
}

/// By what an application shows that it is the one.
#[derive(Clone)]
pub(crate) enum Proof {
    Key(SecretString),
    Certificate(Certificate),
}

/// A federated identity of a pod. What is absent is in the environment that the cluster's webhook sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workload {
    pub(crate) client_id: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
}

/// Which of the managed identities of a machine.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    System,
    ClientId(String),
    ObjectId(String),
    ResourceId(String),
}

impl Identity {
    /// By a client id; `system`, in any case, means the system-assigned identity, as in the Flink and Kafka connectors
    /// (`Azure/flink-connector-kusto connector-core/src/main/java/com/microsoft/azure/flink`,
    /// `managedIdentityAppId`).
    pub(crate) fn by_client_id(id: String) -> Self {
        match id.trim().eq_ignore_ascii_case("system") {
            true => Identity::System,
            false => Identity::ClientId(id),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auth::Application(application) => {
                write!(f, "application {} in {}", application.id, application.tenant)
            }
            Auth::ManagedIdentity(Identity::System) => f.write_str("system-assigned managed identity"),
            Auth::ManagedIdentity(Identity::ClientId(id)) => {
                write!(f, "managed identity with client id {id}")
            }
            Auth::ManagedIdentity(Identity::ObjectId(id)) => {
                write!(f, "managed identity with object id {id}")
            }
            Auth::ManagedIdentity(Identity::ResourceId(id)) => write!(f, "managed identity {id}"),
            Auth::Workload(workload) => match &workload.client_id {
                Some(id) => write!(f, "workload identity {id}"),
                None => f.write_str("workload identity of the environment"),
            },
            Auth::AzureCli { tenant: Some(tenant) } => write!(f, "Azure command line, tenant {tenant}"),
            Auth::AzureCli { tenant: None } => f.write_str("Azure command line"),
            other => f.write_str(other.name()),
        }
    }
}

impl Auth {
    /// The name of the builder's method.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Auth::None => "no_auth",
            Auth::Token(_) => "token",
            Auth::Provider(_) => "token_provider",
            Auth::Application(Application { proof: Proof::Key(_), .. }) => "application",
            Auth::Application(_) => "application_certificate",
            Auth::ManagedIdentity(Identity::System) => "managed_identity",
            Auth::ManagedIdentity(Identity::ClientId(_)) => "managed_identity_client_id",
            Auth::ManagedIdentity(Identity::ObjectId(_)) => "managed_identity_object_id",
            Auth::ManagedIdentity(Identity::ResourceId(_)) => "managed_identity_resource_id",
            Auth::Workload(_) => "workload_identity",
            Auth::AzureCli { .. } => "azure_cli",
        }
    }

    /// The principal as commands name it, where that can be told.
    pub(crate) fn principal(&self) -> Option<String> {
        match self {
            Auth::Application(application) => {
                Some(format!("aadapp={};{}", application.id, application.tenant))
            }
            Auth::ManagedIdentity(Identity::ClientId(id) | Identity::ObjectId(id)) => {
                Some(format!("aadapp={id}"))
            }
            Auth::Workload(Workload { client_id: Some(id), tenant, .. }) => Some(match tenant {
                Some(tenant) => format!("aadapp={id};{tenant}"),
                None => format!("aadapp={id}"),
            }),
            _ => None,
        }
    }

    /// Refuses what cannot work, before anything is sent.
    pub(crate) fn check(&self) -> Result<()> {
        let filled = |part: &str, value: &str| match value.trim() {
            "" => Err(self.invalid(format!("the {part} is empty"))),
            _ => Ok(()),
        };
        match self {
            Auth::None | Auth::Provider(_) => Ok(()),
            Auth::AzureCli { tenant } => tenant.as_deref().map_or(Ok(()), |tenant| self.check_tenant(tenant)),
            Auth::Workload(Workload { client_id, tenant, .. }) => {
                filled("client_id", client_id.as_deref().unwrap_or("of the environment"))?;
                tenant.as_deref().map_or(Ok(()), |tenant| self.check_tenant(tenant))
            }
            Auth::Token(token) => {
                filled("token", token.expose_secret())?;
                self.check_token(token)
            }
            Auth::Application(application) => {
                filled("app_id", &application.id)?;
                match &application.proof {
                    Proof::Key(key) => filled("app_key", key.expose_secret())?,
                    Proof::Certificate(certificate) => {
                        certificate.check().map_err(|message| self.invalid(message))?;
                    }
                }
                self.check_tenant(&application.tenant)
            }
            Auth::ManagedIdentity(Identity::System) => Ok(()),
            Auth::ManagedIdentity(
                Identity::ClientId(id) | Identity::ObjectId(id) | Identity::ResourceId(id),
            ) => filled("id", id),
        }
    }

    /// A token becomes a header: it must not break out of its line.
    fn check_token(&self, token: &SecretString) -> Result<()> {
        match token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(()),
            false => {
                Err(self.invalid("the token holds white space or characters that no token has".to_owned()))
            }
        }
    }

    /// A tenant becomes a part of a URL.
    fn check_tenant(&self, tenant: &str) -> Result<()> {
        let good =
            !tenant.is_empty() && tenant.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
        match good {
            true => Ok(()),
            false => Err(self.invalid(format!(
                "`{tenant}` is no tenant; give its id (a GUID) or its domain, such as contoso.onmicrosoft.com"
            ))),
        }
    }

    fn invalid(&self, message: String) -> Error {
        Error::new(ErrorKind::InvalidOption, "use the option", self.name(), message)
    }
}
