//! Sign-in: applications with keys, certificates or federated credentials, managed identities, and the tokens they get.
//!
//! ```text
//!  client id + key or assertion ──► /{tenant}/oauth2/v2.0/token ──┐
//!  managed identity ──► /msi/token (App Service form)├─► token ──► Authorization: Bearer ──► principal
//!                   └─► /metadata/identity/... (IMDS)┘                aadapp=<client id>;<tenant>
//! ```
//!
//! A token is a JSON Web Token signed with HMAC-SHA256 under a secret of this emulator. It holds for one audience until it
//! expires on the emulator's clock, or until it is revoked. Nobody else can check it, and nobody needs to.
//!
//! Sources: the Microsoft identity platform's "OAuth 2.0 client credentials flow" and its error codes, "How to use managed
//! identities for App Service" (REST endpoint reference), "How to use managed identities on a virtual machine".

mod assertion;
mod token;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::Principal;
use crate::seed::Chance;
pub(crate) use assertion::Credential;
use assertion::Expected;
use token::Claims;
pub(crate) use token::TokenError;

/// The resource of Kusto in the public cloud: the audience of every client that reads `auth/metadata`.
pub(crate) const RESOURCE: &str = "https://kusto.kusto.windows.net";

/// The audience of the tokens in queue messages.
const INGESTION_AUDIENCE: &str = "urn:kusto-emulator:ingestion";

/// How long the token in a queue message is good for. Clients keep it for an hour, and messages may wait for a while.
const INGESTION_TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The audience of the tokens that federated credentials are presented with.
const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";

/// An application that may sign in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) id: String,
    /// Its key, if it has one.
    pub(crate) key: Option<String>,
    /// Whether the key has expired.
    pub(crate) expired: bool,
    pub(crate) credentials: Vec<Credential>,
}

/// How an application shows that it is the one.
#[derive(Clone, Copy)]
pub(crate) enum Proof<'a> {
    Key(&'a str),
    /// An assertion that came to this address.
    Assertion(&'a str, &'a str),
}

/// An identity of the machine that clients of the emulator believe to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// What the principal is called: `aadapp=<client id>;<tenant>`.
    pub client_id: String,
    /// How Entra calls it; clients may ask by it.
    pub object_id: String,
    /// Its Azure resource id; clients may ask by it. `None` for the system-assigned identity.
    pub resource_id: Option<String>,
}

/// How a client names the identity that it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdentityName {
    System,
    ClientId(String),
    ObjectId(String),
    ResourceId(String),
}

/// A refusal in the form of the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The OAuth error, such as `invalid_client`.
    pub(crate) error: &'static str,
    /// The number behind `AADSTS`.
    pub(crate) number: u32,
    pub(crate) message: String,
}

/// A token and what its receiver is told about it.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) token: String,
    /// Seconds since 1970.
    pub(crate) expires_on: i64,
    pub(crate) lifetime: Duration,
}

#[derive(Debug, Default)]
struct State {
    apps: Vec<App>,
    identities: Vec<ManagedIdentity>,
    /// Token ids.
    revoked: HashSet<String>,
    /// Token ids that are alive, with their principal: what `revoke` needs to know.
    issued: Vec<(String, String, i64)>,
}

/// The directory and its token service.
pub(crate) struct SignIn {
    tenant: String,
    secret: Vec<u8>,
    /// The value of `X-IDENTITY-HEADER`.
    identity_header: String,
    lifetime: Duration,
    /// Audiences beside [`RESOURCE`]: the cluster's own address.
    audiences: Vec<String>,
    clock: Arc<dyn Clock>,
    ids: Chance,
    state: Mutex<State>,
}

/// What a sign-in service is made of.
pub(crate) struct SignInOptions {
    pub(crate) tenant: String,
    pub(crate) secret: Vec<u8>,
    pub(crate) identity_header: String,
    pub(crate) lifetime: Duration,
    pub(crate) audiences: Vec<String>,
}

impl SignIn {
    pub(crate) fn new(options: SignInOptions, clock: Arc<dyn Clock>, ids: Chance) -> Self {
        Self {
            tenant: options.tenant,
            secret: options.secret,
            identity_header: options.identity_header,
            lifetime: options.lifetime,
            audiences: options.audiences,
            clock,
            ids,
            state: Mutex::default(),
        }
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    pub(crate) fn identity_header(&self) -> &str {
        &self.identity_header
    }

    /// Adds an application or gives it another key.
    pub(crate) fn add_key(&self, id: &str, key: &str) {
        self.change(id, |app| (app.key, app.expired) = (Some(key.to_owned()), false));
    }

    /// Makes the key of an application one of the past.
    pub(crate) fn expire_key(&self, id: &str) {
        self.change(id, |app| app.expired = true);
    }

    /// Adds an application or another credential to it.
    pub(crate) fn add_credential(&self, id: &str, credential: Credential) {
        self.change(id, |app| app.credentials.push(credential));
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut App)) {
        let mut state = self.lock();
        if let Some(app) = state.apps.iter_mut().find(|app| app.id == id) {
            return change(app);
        }
        let mut app = App { id: id.to_owned(), key: None, expired: false, credentials: Vec::new() };
        change(&mut app);
        state.apps.push(app);
    }

    pub(crate) fn add_identity(&self, identity: ManagedIdentity) {
        self.lock().identities.push(identity);
    }

    /// The client credentials flow.
    pub(crate) fn client_credentials(
        &self,
        tenant: &str,
        id: &str,
        proof: Proof<'_>,
        scope: &str,
    ) -> Result<Issued, Refusal> {
        if !tenant.eq_ignore_ascii_case(&self.tenant) {
            let message =
                format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.");
            return Err(refusal(400, "invalid_request", 90_002, message));
        }
        let app = self.lock().apps.iter().find(|app| app.id.eq_ignore_ascii_case(id)).cloned();
        let Some(app) = app else {
            let message =
                format!("Application with identifier '{id}' was not found in the directory '{tenant}'.");
            return Err(refusal(400, "unauthorized_client", 700_016, message));
        };
        match proof {
            Proof::Key(key) => check_key(&app, key)?,
            Proof::Assertion(text, endpoint) => self.check_assertion(&app, text, endpoint)?,
        }
        let Some(resource) = scope.strip_suffix("/.default") else {
            let message =
                format!("The provided value for scope '{scope}' is not valid: it must end in '/.default'.");
            return Err(refusal(400, "invalid_scope", 1_002_012, message));
        };
        self.known_audience(resource)?;
        Ok(self.issue(&self.principal(&app.id), resource, self.lifetime))
    }

    fn check_assertion(&self, app: &App, text: &str, endpoint: &str) -> Result<(), Refusal> {
        if assertion::is_federated(text) {
            return self.check_federated(app, text);
        }
        let certificates: Vec<_> = app.credentials.iter().filter_map(Credential::certificate).collect();
        let expected = Expected { app_id: &app.id, endpoint, now: self.clock.now().as_second() };
        assertion::verify(text, &certificates, &expected)
    }

    fn check_federated(&self, app: &App, text: &str) -> Result<(), Refusal> {
        let claims = token::verify(text, &self.secret).ok().filter(|claims| claims.aud == EXCHANGE_AUDIENCE);
        let Some(claims) = claims else {
            let message =
                "No matching federated identity record found for presented assertion issuer.".to_owned();
            return Err(refusal(401, "invalid_client", 700_211, message));
        };
        if claims.exp <= self.clock.now().as_second() {
            let message = "Assertion is not within its valid time range.".to_owned();
            return Err(refusal(401, "invalid_client", 500_133, message));
        }
        if !app.credentials.contains(&Credential::Federated(claims.sub.clone())) {
            let message = format!(
                "No matching federated identity record found for presented assertion subject '{}'.",
                claims.sub
            );
            return Err(refusal(401, "invalid_client", 700_213, message));
        }
        Ok(())
    }

    /// The token of a workload, as a Kubernetes cluster projects it into a pod.
    pub(crate) fn workload_token(&self, subject: &str) -> String {
        self.sign(subject.to_owned(), EXCHANGE_AUDIENCE, self.lifetime).0
    }

    /// A managed identity's token, with the client id of the identity.
    pub(crate) fn identity_token(
        &self,
        name: &IdentityName,
        resource: &str,
    ) -> Result<(Issued, String), Refusal> {
        let matches = |identity: &&ManagedIdentity| match name {
            IdentityName::System => identity.resource_id.is_none(),
            IdentityName::ClientId(id) => identity.client_id.eq_ignore_ascii_case(id),
            IdentityName::ObjectId(id) => identity.object_id.eq_ignore_ascii_case(id),
            IdentityName::ResourceId(id) => {
                identity.resource_id.as_ref().is_some_and(|r| r.eq_ignore_ascii_case(id))
            }
        };
        let identity = self.lock().identities.iter().find(matches).cloned();
        let identity =
            identity.ok_or_else(|| refusal(400, "invalid_request", 0, "Identity not found".to_owned()))?;
        self.known_audience(resource)?;
        let issued = self.issue(&self.principal(&identity.client_id), resource, self.lifetime);
        Ok((issued, identity.client_id))
    }

    /// The principal of the system-assigned identity, which is there from the start.
    pub(crate) fn system_identity(&self) -> Principal {
        let state = self.lock();
        let system = state.identities.iter().find(|identity| identity.resource_id.is_none());
        self.principal(system.map_or("", |identity| &identity.client_id))
    }

    fn known_audience(&self, resource: &str) -> Result<(), Refusal> {
        if self.accepts(resource) {
            return Ok(());
        }
        let message = format!(
            "The resource principal named {resource} was not found in the tenant named {}.",
            self.tenant
        );
        Err(refusal(400, "invalid_resource", 500_011, message))
    }

    fn accepts(&self, audience: &str) -> bool {
        let audience = audience.trim_end_matches('/');
        audience == RESOURCE
            || audience == "https://api.kusto.windows.net"
            || self.audiences.iter().any(|known| known.trim_end_matches('/') == audience)
    }

    /// Who presents this token to the cluster.
    pub(crate) fn verify(&self, token: &str) -> Result<Principal, TokenError> {
        self.verify_for(token, |audience| self.accepts(audience))
    }

    /// The opaque text that says in a queue message who sent it.
    pub(crate) fn ingestion_token(&self, principal: &Principal) -> String {
        self.issue(principal, INGESTION_AUDIENCE, INGESTION_TOKEN_LIFETIME).token
    }

    /// Who sent a queue message.
    pub(crate) fn verify_ingestion(&self, token: &str) -> Result<Principal, TokenError> {
        self.verify_for(token, |audience| audience == INGESTION_AUDIENCE)
    }

    fn verify_for(&self, token: &str, accepts: impl FnOnce(&str) -> bool) -> Result<Principal, TokenError> {
        let claims = token::verify(token, &self.secret)?;
        if claims.exp <= self.clock.now().as_second() {
            return Err(TokenError::Expired);
        }
        if !accepts(&claims.aud) {
            return Err(TokenError::WrongAudience(claims.aud));
        }
        if self.lock().revoked.contains(&claims.jti) {
            return Err(TokenError::Revoked);
        }
        Principal::parse(&claims.sub).map_err(|_| TokenError::Malformed)
    }

    /// Makes every token worthless that `principal` has got so far.
    pub(crate) fn revoke(&self, principal: &Principal) {
        let name = principal.fqn();
        let mut state = self.lock();
        let ids: Vec<_> =
            state.issued.iter().filter(|(_, owner, _)| *owner == name).map(|(id, ..)| id.clone()).collect();
        state.revoked.extend(ids);
    }

    /// `aadapp=<id>;<tenant>`.
    pub(crate) fn principal(&self, id: &str) -> Principal {
        Principal::application(id, self.tenant.as_str())
    }

    /// Signs a token and tells its claims.
    fn sign(&self, subject: String, audience: &str, lifetime: Duration) -> (String, Claims) {
        let now = self.clock.now().as_second();
        let claims = Claims {
            aud: audience.trim_end_matches('/').to_owned(),
            sub: subject,
            tid: self.tenant.clone(),
            iat: now,
            exp: now.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
            jti: self.ids.id().to_string(),
        };
        (token::sign(&claims, &self.secret), claims)
    }

    fn issue(&self, principal: &Principal, audience: &str, lifetime: Duration) -> Issued {
        let (token, claims) = self.sign(principal.fqn(), audience, lifetime);
        let (now, expires_on) = (claims.iat, claims.exp);
        let mut state = self.lock();
        let State { issued, revoked, .. } = &mut *state;
        if issued.len() >= 1024 && issued.len().is_power_of_two() {
            issued.retain(|(_, _, expires)| *expires > now);
            revoked.retain(|id| issued.iter().any(|(alive, ..)| alive == id));
        }
        issued.push((claims.jti, claims.sub, expires_on));
        Issued { token, expires_on, lifetime }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_key(app: &App, key: &str) -> Result<(), Refusal> {
    let id = &app.id;
    if app.key.as_deref() != Some(key) {
        let message = format!("Invalid client secret provided for app '{id}'.");
        return Err(refusal(401, "invalid_client", 7_000_215, message));
    }
    if app.expired {
        let message = format!("The provided client secret keys for app '{id}' are expired.");
        return Err(refusal(401, "invalid_client", 7_000_222, message));
    }
    Ok(())
}

fn refusal(status: u16, error: &'static str, number: u32, message: String) -> Refusal {
    Refusal { status, error, number, message }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("id", &self.id).finish_non_exhaustive()
    }
}
