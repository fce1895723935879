//! Proving an application by a certificate: a short statement, signed with the certificate's private key.
//!
//! ```text
//! PEM ─► private key (RSA) ──signs──► assertion: header {PS256, x5t#S256, x5c?} . claims {aud, iss, sub, jti, nbf, exp}
//!    └─► certificate (leaf, and its chain) ─► fingerprint in the header
//! ```
//! The form is that of the identity platform's "Microsoft identity platform application authentication certificate
//! credentials" (<https://learn.microsoft.com/entra/identity-platform/certificate-credentials>). The assertion goes out
//! by `azure_identity`'s `ClientAssertionCredential`. Its own certificate credential is not used: it needs OpenSSL,
//! reads PKCS#12 only, and sends a chain only by an environment variable. The signature comes from aws-lc, which TLS
//! brings along anyway.
//!
//! 1. The key must fit a certificate of the same PEM; that one is the leaf, wherever it stands.
//! 2. A file is read anew at each sign-in, so that a certificate renewed in place needs no restart.
//! 3. Nothing of the key gets into an error or a log.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::pem::{PemObject, SectionKind};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

/// How long an assertion is good for: it is used at once. The identity platform takes up to ten minutes.
const LIFE: Duration = Duration::from_secs(300);
/// The largest PEM that is read: a chain of a dozen certificates has a third of it.
const LONGEST: u64 = 256 << 10;

/// A certificate with its private key, by which an application signs in instead of a key (client secret).
///
/// PEM with an RSA private key (`PRIVATE KEY` or `RSA PRIVATE KEY`, not encrypted) and the certificate, and after it the
/// chain if that is to be sent. A PKCS#12 file (`.pfx`) becomes one by `openssl pkcs12 -in app.pfx -nodes -out app.pem`.
#[derive(Clone)]
pub struct Certificate {
    source: Source,
    thumbprint: Option<String>,
    send_chain: bool,
}

#[derive(Clone)]
enum Source {
    Pem(SecretString),
    File(PathBuf),
}

impl Certificate {
    /// Takes the PEM itself.
    pub fn from_pem(pem: impl Into<SecretString>) -> Self {
        Certificate { source: Source::Pem(pem.into()), thumbprint: None, send_chain: false }
    }

    /// Reads the PEM from a file, anew at each sign-in: a certificate that is renewed in place needs no restart.
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        Certificate { source: Source::File(path.into()), thumbprint: None, send_chain: false }
    }

    /// Names the certificate where the PEM holds the private key alone: its SHA-1 or SHA-256 fingerprint in hexadecimal.
    pub fn thumbprint(mut self, fingerprint: impl Into<String>) -> Self {
        self.thumbprint = Some(fingerprint.into());
        self
    }

    /// Sends the certificate and its chain along (`x5c`), for applications that trust a subject name and issuer instead
    /// of one certificate. Off by default.
    pub fn send_chain(mut self, send: bool) -> Self {
        self.send_chain = send;
        self
    }

    /// Whether the chain is sent.
    pub(crate) fn sends_chain(&self) -> bool {
        self.send_chain
    }

    /// Looks whether it could sign. The message says what is wrong, on what.
    pub(super) fn check(&self) -> Result<(), String> {
        self.signer().map(drop)
    }

    fn signer(&self) -> Result<Signer, String> {
        let pem = match &self.source {
            Source::Pem(pem) => pem.clone(),
            Source::File(path) => read(path)?,
        };
        let parts = Parts::read(pem.expose_secret())?;
        let header = match (&parts.leaf, &self.thumbprint) {
            (Some(_), _) => parts.header(self.send_chain),
            (None, Some(thumbprint)) => header_of(thumbprint)?,
            (None, None) => {
                return Err(
                    "the PEM holds a private key and no certificate; add the certificate to it".to_owned()
                );
            }
        };
        Ok(Signer { key: parts.key, header })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Pem(_) => f.write_str("Certificate(PEM)"),
            Source::File(path) => write!(f, "Certificate({})", path.display()),
        }
    }
}

fn read(path: &std::path::Path) -> Result<SecretString, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > LONGEST {
        return Err(format!("{} has {length} bytes; no certificate has more than {LONGEST}", path.display()));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        format!(
            "{0} is no PEM; make one of a PKCS#12 file by: openssl pkcs12 -in {0} -nodes -out certificate.pem",
            path.display()
        )
    })?;
    Ok(SecretString::from(text))
}

/// What a PEM holds.
struct Parts {
    key: RsaKeyPair,
    /// The certificate of the key.
    leaf: Option<Vec<u8>>,
    /// The others, in the order of the PEM.
    chain: Vec<Vec<u8>>,
}

impl Parts {
    fn read(pem: &str) -> Result<Self, String> {
        let (mut key, mut certificates) = (None, Vec::new());
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
            match section.map_err(|_| "the PEM is damaged".to_owned())? {
                (SectionKind::PrivateKey, der) => key = Some(RsaKeyPair::from_pkcs8(&der)),
                (SectionKind::RsaPrivateKey, der) => key = Some(RsaKeyPair::from_der(&der)),
                (SectionKind::EcPrivateKey, _) => return Err(NOT_RSA.to_owned()),
                (SectionKind::Certificate, der) => certificates.push(der),
                _ => {}
            }
        }
        let key = match key {
            Some(key) => key.map_err(|_| NOT_RSA.to_owned())?,
            None if pem.contains("ENCRYPTED PRIVATE KEY") => return Err(ENCRYPTED.to_owned()),
            None => return Err("there is no private key in the PEM".to_owned()),
        };
        let leaf = take_leaf(&key, &mut certificates)?;
        Ok(Parts { key, leaf, chain: certificates })
    }

    fn header(&self, send_chain: bool) -> serde_json::Value {
        let leaf = self.leaf.as_deref().unwrap_or_default();
        let fingerprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, leaf));
        let mut header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": fingerprint});
        if send_chain {
            let chain = std::iter::once(leaf).chain(self.chain.iter().map(Vec::as_slice));
            header["x5c"] = chain.map(|der| STANDARD.encode(der)).collect();
        }
        header
    }
}

const NOT_RSA: &str =
    "the private key is no RSA key of 2048 bits or more in PKCS#8 or PKCS#1; Entra takes no other";
const ENCRYPTED: &str =
    "the private key is encrypted; take the password off by: openssl rsa -in certificate.pem -out key.pem";

/// The certificate that holds the key's public half: its encoding stands in it letter for letter.
fn take_leaf(key: &RsaKeyPair, certificates: &mut Vec<Vec<u8>>) -> Result<Option<Vec<u8>>, String> {
    if certificates.is_empty() {
        return Ok(None);
    }
    let public = key.public_key().as_ref();
    let fits = |der: &Vec<u8>| der.windows(public.len()).any(|window| window == public);
    match certificates.iter().position(fits) {
        Some(at) => Ok(Some(certificates.remove(at))),
        None => Err("the private key belongs to none of the certificates in the PEM".to_owned()),
    }
}

/// The header where only a fingerprint is known.
fn header_of(thumbprint: &str) -> Result<serde_json::Value, String> {
    let digits: String = thumbprint.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let byte =
        |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    match bytes {
        Some(bytes) if bytes.len() == 32 => {
            Ok(json!({"alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(bytes)}))
        }
        Some(bytes) if bytes.len() == 20 => {
            Ok(json!({"alg": "RS256", "typ": "JWT", "x5t": URL_SAFE_NO_PAD.encode(bytes)}))
        }
        _ => Err("the thumbprint is no SHA-1 or SHA-256 fingerprint: 40 or 64 hexadecimal digits".to_owned()),
    }
}

struct Signer {
    key: RsaKeyPair,
    header: serde_json::Value,
}

impl Signer {
    fn sign(&self, claims: &serde_json::Value) -> Result<String, String> {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&self.header), part(claims));
        let padding = if self.header["alg"] == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(padding, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| "the private key cannot sign".to_owned())?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Makes the assertion for one sign-in, when `azure_identity` asks for it.
#[derive(Debug)]
pub(super) struct Assertion {
    pub(super) certificate: Certificate,
    pub(super) app_id: String,
    /// The address that the assertion is for.
    pub(super) token_endpoint: String,
}

impl Assertion {
    fn make(&self) -> azure_core::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = json!({
            "aud": self.token_endpoint,
            "iss": self.app_id,
            "sub": self.app_id,
            "jti": Uuid::new_v4().to_string(),
            "nbf": now.as_secs(),
            "iat": now.as_secs(),
            "exp": (now + LIFE).as_secs(),
        });
        let signed = self.certificate.signer().and_then(|signer| signer.sign(&claims));
        signed.map_err(|message| {
            azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, message)
        })
    }
}

/// Written out by hand what `#[async_trait]` would make of it.
impl ClientAssertion for Assertion {
    fn secret<'a, 'b, 'c>(
        &'a self,
        _: Option<ClientMethodOptions<'b>>,
    ) -> Pin<Box<dyn Future<Output = azure_core::Result<String>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async { self.make() })
    }
}

#[cfg(test)]
mod tests;
