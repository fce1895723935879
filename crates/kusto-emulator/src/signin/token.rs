//! Tokens: `header.claims.signature`, as JWTs are written.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// For whom.
    pub(super) aud: String,
    /// About whom: a fully qualified principal.
    pub(super) sub: String,
    pub(super) tid: String,
    pub(super) iat: i64,
    /// Seconds since 1970.
    pub(super) exp: i64,
    /// Its own id.
    pub(super) jti: String,
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// Not of this emulator, or changed on the way.
    #[error("the token is not one of this cluster's sign-in")]
    Malformed,
    #[error("the token has expired")]
    Expired,
    #[error("the token was revoked")]
    Revoked,
    #[error("the token is for the audience '{0}', not for this cluster")]
    WrongAudience(String),
}

pub(super) fn sign(claims: &Claims, secret: &[u8]) -> String {
    let claims = serde_json::to_vec(claims).expect("strings and numbers are JSON");
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(claims));
    let signature = mac(&text, secret).finalize().into_bytes();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(super) fn verify(token: &str, secret: &[u8]) -> Result<Claims, TokenError> {
    let (text, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
    mac(text, secret).verify_slice(&signature).map_err(|_| TokenError::Malformed)?;
    let (_, claims) = text.split_once('.').ok_or(TokenError::Malformed)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&claims).map_err(|_| TokenError::Malformed)
}

fn mac(text: &str, secret: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of every length");
    mac.update(text.as_bytes());
    mac
}
