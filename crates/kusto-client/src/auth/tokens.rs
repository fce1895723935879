//! Tokens for hosts: checked, cached, refreshed ahead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::metadata::{self, Cloud};
use super::{Auth, Token, credential};
use crate::cache::{Cached, Fresh};
use crate::http::Http;
use crate::options::ConnectionOptions;
use crate::{Error, ErrorKind, Result};

/// How long sign-in metadata is believed. It changes when a cluster moves to another cloud: never, in practice.
const METADATA_LIFE: Duration = Duration::from_secs(24 * 3600);
/// The life of a token that does not say.
const UNKNOWN_LIFE: Duration = Duration::from_secs(300);
/// A token is replaced when this much of its life is left, or a fifth, whichever is less.
const AHEAD: Duration = Duration::from_secs(300);
/// A token is not used in its last seconds: it could expire on the way.
const MARGIN: Duration = Duration::from_secs(10);

/// The tokens of one client.
#[derive(Debug)]
pub(crate) struct Tokens {
    options: ConnectionOptions,
    http: Http,
    /// What each host says about signing in.
    clouds: Mutex<HashMap<String, Arc<Cached<Cloud>>>>,
    /// One token per scope: engine and data management share theirs.
    tokens: Mutex<HashMap<String, Arc<Cached<SecretString>>>>,
}

/// A token in use.
#[derive(Debug)]
pub(crate) struct Bearer {
    secret: Arc<SecretString>,
    cache: Option<(Arc<Cached<SecretString>>, u64)>,
}

impl Bearer {
    /// The value of the `Authorization` header.
    pub(crate) fn header(&self) -> Result<reqwest::header::HeaderValue> {
        let text = format!("Bearer {}", self.secret.expose_secret());
        let mut value = reqwest::header::HeaderValue::from_str(&text).map_err(|_| {
            Error::new(
                ErrorKind::SignIn,
                "use a token",
                "token callback",
                "the token has characters no token has",
            )
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Throws the token away, since the service refused it. Says whether a fresh one can be had.
    pub(crate) fn refuse(&self) -> bool {
        let Some((cache, stamp)) = &self.cache else { return false };
        cache.refuse(*stamp);
        true
    }
}

impl Tokens {
    pub(crate) fn new(options: ConnectionOptions, http: Http) -> Self {
        Tokens { options, http, clouds: Mutex::default(), tokens: Mutex::default() }
    }

    /// The token for requests to `host`; none when the options say so.
    ///
    /// # Errors
    /// [`ErrorKind::UntrustedHost`] before anything is fetched for a host that may not have one.
    pub(crate) async fn bearer(&self, host: &Url) -> Result<Option<Bearer>> {
        let settings = &self.options.0;
        if matches!(settings.auth, Auth::None) {
            return Ok(None);
        }
        settings.trust.check(host)?;
        if let Auth::Token(token) = &settings.auth {
            return Ok(Some(Bearer { secret: Arc::new(token.clone()), cache: None }));
        }
        let cloud = self.cloud(host).await?;
        let cache = entry(&self.tokens, &cloud.scope, "token");
        let held = cache.get(|| self.fetch(cloud)).await?;
        Ok(Some(Bearer { secret: held.value, cache: Some((cache, held.stamp)) }))
    }

    async fn cloud(&self, host: &Url) -> Result<Arc<Cloud>> {
        let cache = entry(&self.clouds, &host.origin().ascii_serialization(), "sign-in metadata");
        let (http, host, timeout) = (self.http.clone(), host.clone(), self.options.0.timeouts.sign_in);
        let fetch = || async move {
            let value = metadata::fetch(&http, &host, timeout).await?;
            let now = Instant::now();
            Ok(Fresh { value, refresh_at: now + METADATA_LIFE, discard_at: now + 2 * METADATA_LIFE })
        };
        Ok(cache.get(fetch).await?.value)
    }

    fn fetch(&self, cloud: Arc<Cloud>) -> impl Future<Output = Result<Fresh<SecretString>>> + Send + 'static {
        let (http, options) = (self.http.clone(), self.options.clone());
        async move {
            let settings = &options.0;
            let timeout = settings.timeouts.sign_in;
            let token =
                credential::fetch(&settings.auth, &cloud, settings.authority.as_ref(), &http, timeout)
                    .await?;
            tracing::debug!(auth = ?settings.auth, scope = cloud.scope, "got a token");
            Ok(dated(token, SystemTime::now(), Instant::now()))
        }
    }
}

/// Says when a token is to be replaced and when it is not used any more. From here on its life is counted on a clock that
/// nobody sets. One that is over as it comes tells of a wrong clock rather than of a bad token: the service will say.
fn dated(token: Token, time: SystemTime, now: Instant) -> Fresh<SecretString> {
    let known = token.expires.map(|expires| expires.duration_since(time).unwrap_or_default());
    let life = known.filter(|life| !life.is_zero()).unwrap_or(UNKNOWN_LIFE);
    if known.is_some_and(|life| life.is_zero()) {
        tracing::warn!("a token came that has expired by this machine's clock; is the clock right?");
    }
    let refresh_at = now + life.saturating_sub(AHEAD.min(life / 5));
    let discard_at = now + life.saturating_sub(MARGIN.min(life / 10));
    Fresh { value: token.secret, refresh_at, discard_at }
}

type Caches<T> = Mutex<HashMap<String, Arc<Cached<T>>>>;

fn entry<T: Send + Sync + 'static>(caches: &Caches<T>, key: &str, what: &'static str) -> Arc<Cached<T>> {
    let mut caches = caches.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(caches.entry(key.to_owned()).or_insert_with(|| Cached::new(what)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_replaced_ahead_of_its_expiry_and_not_used_at_its_end() {
        let (time, now) = (SystemTime::now(), Instant::now());
        let fresh = |seconds| {
            let expires = time + Duration::from_secs(seconds);
            let fresh = dated(Token::new("t").expires_at(expires), time, now);
            ((fresh.refresh_at - now).as_secs(), (fresh.discard_at - now).as_secs())
        };
        assert_eq!(fresh(3600), (3300, 3590));
        assert_eq!(fresh(100), (80, 90));
        assert_eq!(fresh(0), (240, 290), "the clock is wrong, not the token");
        let unknown = dated(Token::new("t"), time, now);
        assert_eq!(unknown.refresh_at - now, Duration::from_secs(240));
    }

    /// Tokens by a callback that counts, each good for an hour. Where to sign in is known already.
    async fn counting() -> (Tokens, Arc<std::sync::atomic::AtomicUsize>) {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let provider = move |_| {
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            let token = Token::new(format!("token-{number}")).expires_in(Duration::from_secs(3600));
            async move { Ok::<_, std::convert::Infallible>(token) }
        };
        let builder = ConnectionOptions::builder().cluster_url("http://127.0.0.1:1");
        let options = builder.token_provider(provider).build().unwrap();
        let tokens = Tokens::new(options.clone(), Http::new(&options.0.timeouts).unwrap());
        let cloud = Cloud { login: host(), scope: "s/.default".into() };
        let forever = Instant::now() + Duration::from_secs(1 << 30);
        let known = Fresh { value: cloud, refresh_at: forever, discard_at: forever };
        let clouds = entry(&tokens.clouds, &host().origin().ascii_serialization(), "sign-in metadata");
        clouds.get(|| async { Ok(known) }).await.unwrap();
        (tokens, calls)
    }

    fn host() -> Url {
        Url::parse("http://127.0.0.1:1").unwrap()
    }

    async fn used(tokens: &Tokens) -> String {
        let bearer = tokens.bearer(&host()).await.unwrap().unwrap();
        bearer.secret.expose_secret().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_refreshed_behind_its_users_ahead_of_its_end() {
        let (tokens, calls) = counting().await;
        let count = || calls.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(used(&tokens).await, "token-1");
        tokio::time::advance(Duration::from_secs(3200)).await;
        assert_eq!((used(&tokens).await.as_str(), count()), ("token-1", 1), "nothing is due yet");
        tokio::time::advance(Duration::from_secs(150)).await;
        let asked = futures::future::join_all((0..8).map(|_| used(&tokens))).await;
        assert!(asked.iter().all(|token| token == "token-1"), "nobody waits: {asked:?}");
        while count() < 2 {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert_eq!((used(&tokens).await.as_str(), count()), ("token-2", 2), "one request for all eight");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_was_not_needed_for_long_is_not_used_past_its_end() {
        let (tokens, _) = counting().await;
        assert_eq!(used(&tokens).await, "token-1");
        tokio::time::advance(Duration::from_secs(3595)).await;
        assert_eq!(used(&tokens).await, "token-2");
    }
}
