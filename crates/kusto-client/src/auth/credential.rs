//! Asks for one token, by whatever way the options say.
//!
//! Application keys and certificates, managed and workload identities and the Azure command line go through
//! `azure_identity`, over our transport. A credential is made for each request: ours is the cache, so that a refused
//! token can really be replaced (theirs would hand it out again), and a renewed certificate or pod token is read anew.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::certificate::{Assertion, Certificate};
use super::metadata::Cloud;
use super::{Application, Auth, Identity, Proof, Token, Workload, advice};
use crate::clock::Observed;
use crate::http::{Attempt, Http};
use crate::redact::redact;
use crate::transport::Lent;
use crate::{Effect, Error, ErrorKind, Result, endpoint};

/// Gets a token for `cloud.scope`.
pub(crate) async fn fetch(
    auth: &Auth,
    cloud: &Cloud,
    authority: Option<&Url>,
    http: &Http,
    timeout: Duration,
) -> Result<Token> {
    let login = authority.unwrap_or(&cloud.login);
    let way = Way { login, authority, http, timeout, clock: Observed::default() };
    let attempt = Attempt { operation: "sign in", target: way.target(auth), effect: Effect::None, timeout };
    let asking = async {
        match auth {
            Auth::Provider(provider) => provider(cloud.scope.clone()).await.map_err(|error| {
                Error::new(ErrorKind::SignIn, "sign in", "token callback", redact(&error.to_string()))
                    .with_advice("The callback that was given as token_provider failed; mend what it says.")
            }),
            Auth::Token(token) => Ok(Token::new(token.clone())),
            Auth::None => Err(Error::new(ErrorKind::SignIn, "sign in", "no_auth", "no sign-in was chosen")),
            _ => {
                let asked = async { way.credential(auth)?.get_token(&[&cloud.scope], None).await };
                let explain = |error| advice::explain(&error, auth, &attempt, login, way.clock.skew());
                asked.await.map(|token| way.token(auth, &token)).map_err(explain)
            }
        }
    };
    match tokio::time::timeout(timeout, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(advice::too_late(auth, &attempt)),
    }
}

/// How the token service is reached.
struct Way<'a> {
    login: &'a Url,
    /// The login endpoint that the options name in place of the cluster's.
    authority: Option<&'a Url>,
    http: &'a Http,
    timeout: Duration,
    /// What its answers tell about the time.
    clock: Observed,
}

impl Way<'_> {
    /// Who signs in, and where.
    fn target(&self, auth: &Auth) -> String {
        match auth {
            Auth::Application(_) | Auth::Workload(_) => {
                format!("{auth:?} at {}", endpoint::host_and_port(self.login))
            }
            _ => format!("{auth:?}"),
        }
    }

    fn credential(&self, auth: &Auth) -> azure_core::Result<Arc<dyn TokenCredential>> {
        match auth {
            Auth::Application(application) => match &application.proof {
                Proof::Key(key) => self.by_key(application, key),
                Proof::Certificate(certificate) => self.by_certificate(application, certificate),
            },
            Auth::ManagedIdentity(identity) => self.by_managed_identity(identity),
            Auth::Workload(workload) => self.by_workload_identity(workload),
            Auth::AzureCli { tenant } => {
                let options = AzureCliCredentialOptions { tenant_id: tenant.clone(), ..Default::default() };
                Ok(AzureCliCredential::new(Some(options))?)
            }
            Auth::None | Auth::Token(_) | Auth::Provider(_) => Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Credential,
                "this sign-in asks nobody for a token",
            )),
        }
    }

    fn by_key(
        &self,
        application: &Application,
        key: &SecretString,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let key = Secret::new(key.expose_secret().to_owned());
        let options = ClientSecretCredentialOptions { client_options: self.entra() };
        Ok(ClientSecretCredential::new(&application.tenant, application.id.clone(), key, Some(options))?)
    }

    fn by_certificate(
        &self,
        application: &Application,
        certificate: &Certificate,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let Application { id, tenant, .. } = application;
        let origin = self.login.origin().ascii_serialization();
        let assertion = Assertion {
            certificate: certificate.clone(),
            app_id: id.clone(),
            token_endpoint: format!("{origin}/{tenant}/oauth2/v2.0/token"),
        };
        let options = ClientAssertionCredentialOptions { client_options: self.entra() };
        Ok(ClientAssertionCredential::new(tenant.clone(), id.clone(), assertion, Some(options))?)
    }

    fn by_workload_identity(&self, workload: &Workload) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let credential_options = ClientAssertionCredentialOptions { client_options: self.entra() };
        let options = WorkloadIdentityCredentialOptions {
            credential_options,
            client_id: workload.client_id.clone(),
            tenant_id: workload.tenant.clone(),
            token_file_path: workload.token_file.clone(),
        };
        Ok(WorkloadIdentityCredential::new(Some(options))?)
    }

    fn by_managed_identity(&self, identity: &Identity) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let local = self.authority.filter(|url| endpoint::is_loopback(url)).cloned();
        let mut lent = self.lent().redirected(local);
        let user_assigned_id = match identity {
            Identity::System => None,
            Identity::ClientId(id) => Some(UserAssignedId::ClientId(id.clone())),
            Identity::ObjectId(id) => Some(UserAssignedId::ObjectId(id.clone())),
            // The library knows no resource ids in App Service, since it would send them under the name that virtual
            // machines use (Azure/azure-sdk-for-rust#2407). It is given a client id, and ours puts the name right.
            Identity::ResourceId(id) if in_app_service() => {
                lent = lent.renamed("client_id", "mi_res_id");
                Some(UserAssignedId::ClientId(id.clone()))
            }
            Identity::ResourceId(id) => Some(UserAssignedId::ResourceId(id.clone())),
        };
        let client_options = lent.options(patience());
        let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
        Ok(ManagedIdentityCredential::new(Some(options))?)
    }

    fn lent(&self) -> Lent {
        Lent::new(self.http.clone(), self.timeout).observed(self.clock.clone())
    }

    /// Options for a credential that asks Entra. The library insists on https; for a login endpoint on loopback it is
    /// told so, and the transport knows better.
    fn entra(&self) -> ClientOptions {
        let local = endpoint::is_loopback(self.login).then(|| self.login.clone());
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = match &local {
            Some(_) => "https://localhost".to_owned(),
            None => self.login.origin().ascii_serialization(),
        };
        ClientOptions {
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            ..self.lent().redirected(local).options(patience())
        }
    }

    /// A managed identity's token ends at a date of the endpoint's clock; the others' ends are counted from now.
    fn token(&self, auth: &Auth, token: &AccessToken) -> Token {
        let mut expires = SystemTime::from(token.expires_on);
        if let (Auth::ManagedIdentity(_), Some(skew)) = (auth, self.clock.skew()) {
            expires = skew.ours(expires);
        }
        Token::new(SecretString::from(token.token.secret())).expires_at(expires)
    }
}

/// Whether the library will take this for App Service, Functions or Container Apps.
fn in_app_service() -> bool {
    ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"].iter().all(|name| std::env::var_os(name).is_some())
}

/// Sign-in has no effect that could happen twice, so the library may repeat it a little.
fn patience() -> RetryOptions {
    RetryOptions::exponential(ExponentialRetryOptions { max_retries: 3, ..Default::default() })
}

#[cfg(test)]
mod tests {
    use azure_core::time::OffsetDateTime;
    use jiff::Timestamp;

    use super::*;
    use crate::options::ConnectionOptions;

    const HOUR: Duration = Duration::from_secs(3600);

    /// How long a token lives here that has ten minutes left by the clock of an endpoint which answered at `date`.
    fn life(auth: &Auth, date: SystemTime, ends: SystemTime) -> Duration {
        let options =
            ConnectionOptions::builder().cluster_url("http://127.0.0.1:1").no_auth().build().unwrap();
        let (http, login) = (Http::new(&options.0.timeouts).unwrap(), options.0.cluster.clone());
        let clock = Observed::default();
        let way = Way { login: &login, authority: None, http: &http, timeout: HOUR, clock: clock.clone() };
        let date = Timestamp::try_from(date).unwrap();
        clock.note(Some(
            &jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap(),
        ));
        let token = AccessToken::new("t".to_owned(), OffsetDateTime::from(ends));
        way.token(auth, &token).expires.unwrap().duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// Ten minutes, give or take what a `Date` leaves out and what a busy machine takes.
    fn about_ten_minutes(life: Duration) -> bool {
        (Duration::from_secs(480)..Duration::from_secs(610)).contains(&life)
    }

    #[test]
    fn a_managed_identitys_token_ends_on_the_clock_of_its_endpoint() {
        let identity = Auth::ManagedIdentity(Identity::System);
        let (now, ten) = (SystemTime::now(), Duration::from_secs(600));
        for theirs in [now, now + HOUR, now - HOUR] {
            let life = life(&identity, theirs, theirs + ten);
            assert!(about_ten_minutes(life), "{life:?}");
        }
    }

    #[test]
    fn other_tokens_end_as_many_seconds_from_now_as_was_told() {
        let life =
            life(&Auth::AzureCli { tenant: None }, SystemTime::now() + HOUR, SystemTime::now() + HOUR / 6);
        assert!(about_ten_minutes(life), "{life:?}");
    }
}
