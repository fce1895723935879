//! Client assertions: what an application presents in place of a key.
//!
//! Two kinds. One is signed by the private key of a certificate that is registered for the application ("Microsoft
//! identity platform application authentication certificate credentials"). The other is the token of somebody whom the
//! application trusts, a federated credential ("Workload identity federation"); here that somebody is the emulator
//! itself, in the place of a Kubernetes cluster.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use serde::Deserialize;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use webpki::EndEntityCert;
use webpki::aws_lc_rs::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256_LEGACY_KEY};

use super::{Refusal, refusal};

/// How far the clocks of client and directory may differ.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Whom an application trusts to speak for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A certificate, in DER.
    Certificate(Vec<u8>),
    /// The pod or workload of this name.
    Federated(String),
}

impl Credential {
    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        match self {
            Credential::Certificate(der) => Some(der.clone()),
            Credential::Federated(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    x5t: Option<String>,
    #[serde(rename = "x5t#S256")]
    x5t_sha256: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    sub: String,
    nbf: i64,
    exp: i64,
}

/// What an assertion must say.
pub(super) struct Expected<'a> {
    pub(super) app_id: &'a str,
    /// The address of the token endpoint.
    pub(super) endpoint: &'a str,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// Whether the assertion says that it is a federated token rather than one signed with a certificate.
pub(super) fn is_federated(assertion: &str) -> bool {
    header(assertion).is_some_and(|header| header.alg == "HS256")
}

fn header(assertion: &str) -> Option<Header> {
    let (header, _) = assertion.split_once('.')?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

/// Checks an assertion that is signed with one of `certificates`.
pub(super) fn verify(
    assertion: &str,
    certificates: &[Vec<u8>],
    expected: &Expected<'_>,
) -> Result<(), Refusal> {
    let claims = signed_claims(assertion, certificates, expected)?;
    let tolerance = i64::try_from(TOLERANCE.as_secs()).unwrap_or(i64::MAX);
    if claims.nbf > expected.now + tolerance || claims.exp + tolerance < expected.now {
        let message = format!(
            "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry \
             time of assertion {}.",
            expected.now, claims.nbf, claims.exp
        );
        return Err(refusal(401, "invalid_client", 700_024, message));
    }
    if claims.aud != expected.endpoint {
        let message =
            format!("Client assertion audience claim does not match Realm issuer: '{}'.", claims.aud);
        return Err(refusal(401, "invalid_client", 700_023, message));
    }
    if claims.iss != expected.app_id || claims.sub != expected.app_id {
        let message =
            "Client assertion application identifier doesn't match 'client_id' parameter.".to_owned();
        return Err(refusal(401, "invalid_client", 700_021, message));
    }
    Ok(())
}

fn signed_claims(
    assertion: &str,
    certificates: &[Vec<u8>],
    expected: &Expected<'_>,
) -> Result<Claims, Refusal> {
    let malformed =
        || refusal(401, "invalid_client", 50_027, "JWT token is invalid or malformed.".to_owned());
    let header = header(assertion).ok_or_else(malformed)?;
    let (text, signature) = assertion.rsplit_once('.').ok_or_else(malformed)?;
    let (_, claims) = text.split_once('.').ok_or_else(malformed)?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
    let Some(certificate) = certificates.iter().find(|der| header.names(der)) else {
        let app = expected.app_id;
        let message = format!(
            "The certificate with identifier used to sign the client assertion is not registered on application '{app}'."
        );
        return Err(refusal(401, "invalid_client", 700_027, message));
    };
    let algorithm = header.algorithm().ok_or_else(malformed)?;
    let der = CertificateDer::from(certificate.as_slice());
    let certificate = EndEntityCert::try_from(&der).map_err(|_| malformed())?;
    certificate.verify_signature(algorithm, text.as_bytes(), &decoded(signature)?).map_err(|_| {
        let message = "Client assertion contains an invalid signature.".to_owned();
        refusal(401, "invalid_client", 700_027, message)
    })?;
    serde_json::from_slice(&decoded(claims)?).map_err(|_| malformed())
}

impl Header {
    /// Whether the fingerprint is that of this certificate.
    fn names(&self, der: &[u8]) -> bool {
        let is = |fingerprint: &Option<String>, digest: &[u8]| {
            fingerprint
                .as_deref()
                .is_some_and(|text| text.trim_end_matches('=') == URL_SAFE_NO_PAD.encode(digest))
        };
        is(&self.x5t_sha256, &Sha256::digest(der)) || is(&self.x5t, &Sha1::digest(der))
    }

    fn algorithm(&self) -> Option<&'static dyn SignatureVerificationAlgorithm> {
        match self.alg.as_str() {
            "RS256" => Some(RSA_PKCS1_2048_8192_SHA256),
            "PS256" => Some(RSA_PSS_2048_8192_SHA256_LEGACY_KEY),
            _ => None,
        }
    }
}
