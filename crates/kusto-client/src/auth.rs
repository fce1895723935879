//! Signing in: who asks, where tokens come from, and that they go to trusted hosts only.
//!
//! ```text
//! bearer(url) ─► trust check ─► scope of the host ─► token cache ─► credential ─► Entra, managed identity, az, callback
//!                   │ refused      (metadata, cached)    (refreshed ahead of expiry, one at a time)
//!                   └► error before anything is fetched
//! ```

mod credential;
mod metadata;
mod tokens;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};

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
    AzureCli,
}

/// An Entra application.
#[derive(Clone)]
pub(crate) struct Application {
    pub(crate) id: String,
    pub(crate) key: SecretString,
    pub(crate) tenant: String,
}

/// Which of the managed identities of a machine.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    System,
    ClientId(String),
    ObjectId(String),
    ResourceId(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auth::Application(application) => {
                write!(f, "application {} in {}", application.id, application.tenant)
            }
            Auth::ManagedIdentity(identity) => write!(f, "managed identity {identity:?}"),
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
            Auth::Application(_) => "application",
            Auth::ManagedIdentity(Identity::System) => "managed_identity",
            Auth::ManagedIdentity(Identity::ClientId(_)) => "managed_identity_client_id",
            Auth::ManagedIdentity(Identity::ObjectId(_)) => "managed_identity_object_id",
            Auth::ManagedIdentity(Identity::ResourceId(_)) => "managed_identity_resource_id",
            Auth::AzureCli => "azure_cli",
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
            Auth::None | Auth::Provider(_) | Auth::AzureCli => Ok(()),
            Auth::Token(token) => {
                filled("token", token.expose_secret())?;
                self.check_token(token)
            }
            Auth::Application(application) => {
                filled("app_id", &application.id)?;
                filled("app_key", application.key.expose_secret())?;
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
