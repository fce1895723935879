//! TLS for clients that insist on it: a certificate made at start, by an authority of this emulator's own.
//!
//! ```text
//!  authority (key and certificate; kept in the data directory) ──signs──► certificate of 127.0.0.1, ::1, localhost
//!       │                                                                  (made anew at every start, never written)
//!       └── ca.pem: what a client is told to trust
//! ```
//! 1. The authority's key never leaves memory, unless there is a data directory: it is then kept there, readable by its owner
//!    only, so that clients go on trusting an emulator that is started again.
//! 2. It can sign for names of this machine only through this code; it is nobody's business to trust it beyond tests.
//! 3. Certificates hold from 2020 to 2049: a clock that a test has moved does not end them.
//!
//! HTTP/1.1 only, as without TLS.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use uuid::Uuid;

use crate::files;

/// What serves TLS, and the file with the certificate to trust.
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) ca_file: CaFile,
}

/// The certificate that clients are to trust; one that is not kept goes with this.
#[derive(Debug)]
pub(crate) struct CaFile {
    pub(crate) path: PathBuf,
    kept: bool,
}

impl Drop for CaFile {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Tls {
    /// Makes a certificate for `address` and the names of this machine.
    pub(crate) fn open(directory: Option<&Path>, address: IpAddr) -> io::Result<Self> {
        let (authority, ca_file) = match directory {
            Some(directory) => kept_authority(&directory.join("tls"))?,
            None => passing_authority()?,
        };
        Ok(Tls { acceptor: acceptor(&authority, address)?, ca_file })
    }
}

/// The authority of a data directory, made at the first start.
fn kept_authority(directory: &Path) -> io::Result<(Issuer<'static, KeyPair>, CaFile)> {
    files::create_private_dir(directory)?;
    let (key_file, path) = (directory.join("ca.key"), directory.join("ca.pem"));
    let ca_file = CaFile { path: path.clone(), kept: true };
    if key_file.exists() && path.exists() {
        let key = KeyPair::from_pem(&fs::read_to_string(key_file)?).map_err(io::Error::other)?;
        return Ok((Issuer::new(authority(), key), ca_file));
    }
    let key = KeyPair::generate().map_err(io::Error::other)?;
    files::replace(&key_file, key.serialize_pem().as_bytes())?;
    files::replace(&path, certificate(&key)?.as_bytes())?;
    Ok((Issuer::new(authority(), key), ca_file))
}

/// An authority for one start; its certificate is a file among the system's temporary ones.
fn passing_authority() -> io::Result<(Issuer<'static, KeyPair>, CaFile)> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let path = std::env::temp_dir().join(format!("kusto-emulator-{}-ca.pem", Uuid::new_v4()));
    let mut file = files::private().write(true).create_new(true).open(&path)?;
    let ca_file = CaFile { path, kept: false };
    io::Write::write_all(&mut file, certificate(&key)?.as_bytes())?;
    Ok((Issuer::new(authority(), key), ca_file))
}

fn certificate(key: &KeyPair) -> io::Result<String> {
    Ok(authority().self_signed(key).map_err(io::Error::other)?.pem())
}

fn authority() -> CertificateParams {
    let mut authority = named("kusto-emulator, for tests on this machine");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2049, 12, 31);
    parameters
}

fn acceptor(authority: &Issuer<'static, KeyPair>, address: IpAddr) -> io::Result<TlsAcceptor> {
    let names = ["localhost", "127.0.0.1", "::1", &address.to_string()].map(str::to_owned);
    let mut server = named("localhost");
    server.subject_alt_names = CertificateParams::new(names).map_err(io::Error::other)?.subject_alt_names;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = server.signed_by(&key, authority).map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
