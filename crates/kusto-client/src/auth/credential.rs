//! Asks for one token, by whatever way the options say.
//!
//! Application keys, managed identities and the Azure command line go through `azure_identity`. A credential is made
//! for each request: ours is the cache, so that a refused token can really be replaced (theirs would hand it out
//! again).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions};
use azure_identity::{
    AzureCliCredential, ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::metadata::Cloud;
use super::{Application, Auth, Identity, Token};
use crate::http::{Attempt, Http};
use crate::redact::redact;
use crate::transport::{self, Lent};
use crate::{Effect, Error, ErrorKind, Result, endpoint};

/// Gets a token for `cloud.scope`.
pub(crate) async fn fetch(
    auth: &Auth,
    cloud: &Cloud,
    authority: Option<&Url>,
    http: &Http,
    timeout: Duration,
) -> Result<Token> {
    let login = authority.unwrap_or(&cloud.login).clone();
    let attempt =
        Attempt { operation: "sign in", target: format!("{auth:?}"), effect: Effect::None, timeout };
    let asking = async {
        match auth {
            Auth::Provider(provider) => provider(cloud.scope.clone()).await.map_err(|error| {
                Error::new(ErrorKind::SignIn, "sign in", "token callback", redact(&error.to_string()))
                    .with_advice("The callback that was given as token_provider failed; mend what it says.")
            }),
            Auth::Token(token) => Ok(Token::new(token.clone())),
            Auth::None => Err(Error::new(ErrorKind::SignIn, "sign in", "no_auth", "no sign-in was chosen")),
            Auth::Application(_) | Auth::ManagedIdentity(_) | Auth::AzureCli => {
                let credential = credential(auth, &login, authority, http, timeout);
                let asked = async { credential?.get_token(&[&cloud.scope], None).await };
                asked.await.map(token).map_err(|error| explain(&error, auth, &attempt, &login))
            }
        }
    };
    match tokio::time::timeout(timeout, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            attempt.operation,
            attempt.target,
            format!("no token within {timeout:?}"),
        )),
    }
}

fn token(token: azure_core::credentials::AccessToken) -> Token {
    let expires = SystemTime::from(token.expires_on);
    Token::new(SecretString::from(token.token.secret())).expires_at(expires)
}

fn credential(
    auth: &Auth,
    login: &Url,
    authority: Option<&Url>,
    http: &Http,
    timeout: Duration,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let lent = Lent::new(http.clone(), timeout);
    match auth {
        Auth::Application(application) => by_key(application, login, lent),
        Auth::ManagedIdentity(identity) => {
            let local = authority.filter(|url| endpoint::is_loopback(url)).cloned();
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: assigned(identity),
                client_options: lent.redirected(local).options(patience()),
            };
            Ok(ManagedIdentityCredential::new(Some(options))?)
        }
        _ => Ok(AzureCliCredential::new(None)?),
    }
}

/// The library insists on https; for a login endpoint on loopback it is told so, and the transport knows better.
fn by_key(
    application: &Application,
    login: &Url,
    lent: Lent,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let local = endpoint::is_loopback(login).then(|| login.clone());
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = match &local {
        Some(_) => "https://localhost".to_owned(),
        None => login.origin().ascii_serialization(),
    };
    let client_options = ClientOptions {
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        ..lent.redirected(local).options(patience())
    };
    let key = Secret::new(application.key.expose_secret().to_owned());
    let options = ClientSecretCredentialOptions { client_options };
    Ok(ClientSecretCredential::new(&application.tenant, application.id.clone(), key, Some(options))?)
}

/// Sign-in has no effect that could happen twice, so the library may repeat it a little.
fn patience() -> RetryOptions {
    RetryOptions::exponential(ExponentialRetryOptions { max_retries: 3, ..Default::default() })
}

fn assigned(identity: &Identity) -> Option<UserAssignedId> {
    match identity {
        Identity::System => None,
        Identity::ClientId(id) => Some(UserAssignedId::ClientId(id.clone())),
        Identity::ObjectId(id) => Some(UserAssignedId::ObjectId(id.clone())),
        Identity::ResourceId(id) => Some(UserAssignedId::ResourceId(id.clone())),
    }
}

/// Says what refused the sign-in, and what a person can do about the likeliest reasons
/// (codes: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).
fn explain(error: &azure_core::Error, auth: &Auth, attempt: &Attempt, login: &Url) -> Error {
    use azure_core::error::ErrorKind as Azure;
    let inner = innermost(error);
    let said = hide_key(&redact(&error.to_string()), auth);
    if matches!(inner.kind(), Azure::Connection) {
        return transport::translate(inner, attempt, login);
    }
    let kind = match inner.kind() {
        Azure::HttpResponse { status, .. } if u16::from(*status) == 429 => ErrorKind::Throttled,
        Azure::HttpResponse { status, .. } if u16::from(*status) >= 500 => ErrorKind::Service,
        Azure::Io => ErrorKind::Interrupted,
        _ if is_garbled(error) => ErrorKind::Protocol,
        _ => ErrorKind::SignIn,
    };
    let short = said.lines().next().unwrap_or_default().to_owned();
    let error = Error::new(kind, attempt.operation, &attempt.target, short.clone());
    match advice(&short, auth) {
        Some(advice) => error.with_advice(advice),
        None => error,
    }
}

/// The library wraps its errors; the innermost of its own kind says what happened on the wire.
fn innermost(error: &azure_core::Error) -> &azure_core::Error {
    let mut inner = error;
    while let Some(next) = inner.get_ref().and_then(|source| source.downcast_ref::<azure_core::Error>()) {
        inner = next;
    }
    inner
}

/// Whether the answer was no JSON: something else than the sign-in service answered.
fn is_garbled(error: &azure_core::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<serde_json::Error>() {
            return true;
        }
        next = error.source();
    }
    false
}

fn hide_key(text: &str, auth: &Auth) -> String {
    match auth {
        Auth::Application(application) => text.replace(application.key.expose_secret(), "[hidden]"),
        _ => text.to_owned(),
    }
}

fn advice(said: &str, auth: &Auth) -> Option<&'static str> {
    const ENTRA: &[(&str, &str)] = &[
        ("AADSTS7000215", "The application key is wrong. Give the secret's value, not its id."),
        ("AADSTS7000222", "The application key has expired. Make a new one for the application in Entra."),
        ("AADSTS700016", "The tenant does not know this application. Check application id and tenant."),
        ("AADSTS90002", "There is no such tenant. Check the tenant id."),
        ("AADSTS900023", "There is no such tenant. Check the tenant id."),
        ("AADSTS500011", "The tenant does not know Azure Data Explorer; check the tenant id and the cloud."),
        ("AADSTS700024", "The times of this machine and of the sign-in service differ. Set the clock."),
    ];
    if let Some((_, advice)) = ENTRA.iter().find(|(code, _)| said.contains(code)) {
        return Some(advice);
    }
    match auth {
        Auth::AzureCli => Some("Run `az login` and check with `az account show`."),
        Auth::ManagedIdentity(_) => Some(
            "Check that the machine has this identity; a user-assigned one needs its client, object or resource id.",
        ),
        _ => None,
    }
}
