//! How the cluster reads blobs: by the address in a queue message or command, with the right that stands in it.
//!
//! | behind the address | means |
//! |---|---|
//! | `?<SAS>` | checked like a client's, when the blob is read |
//! | `;managed_identity=system`, `;managed_identity=<id>` | the cluster's own identity, which owns this storage |
//! | `;<account key>` | the account's key in base64 |
//!
//! Source: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/connection-strings/storage-connection-strings.md`.
//! Only this emulator's storage is read: any loopback host and port, since both may be others after a restart.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

use super::{
    Blob, Conditions, Level, Needs, Origin, Place, Query, Right, Service, Storage, StorageError, Target,
};
use crate::engine::{BlobReader, IngestFailure};

/// Where the cluster comes from when it reads a blob.
const CLUSTER: Origin = Origin { peer: IpAddr::V4(Ipv4Addr::LOCALHOST), secure: true };

/// Any right to the blob; what it allows is asked when it is used.
const ANY: Needs = Needs { level: Level::Object, sas: "racwdl", account_sas: "racwdl" };

/// A blob named by an address, and what the address may do with it.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) place: Place,
    pub(crate) name: String,
    right: Right,
}

impl Storage {
    /// Reads an address and checks its right.
    ///
    /// # Errors
    /// `BadRequest_InvalidBlob` for what is no address of this storage, `Download_Forbidden` for a right that is not
    /// there (any more), `Download_SourceNotFound` for an unknown account.
    pub(crate) fn locate(&self, address: &str) -> Result<Located, IngestFailure> {
        let (url, secret) = match address.split_once(';') {
            Some((url, secret)) if !url.contains('?') => (url, Some(secret)),
            _ => (address, None),
        };
        let parsed = Url::parse(url).ok().filter(is_loopback).ok_or_else(|| not_here(url))?;
        let (place, name) = split_path(parsed.path()).ok_or_else(|| not_here(url))?;
        let account = self.account(&place.account).ok_or_else(|| missing(url))?;
        let target = Target {
            service: Service::Blob,
            account: &place.account,
            resource: &place.resource,
            item: Some(&name),
        };
        let right = match secret {
            Some(secret) if secret.starts_with("managed_identity=") => Right::all(),
            Some(secret) if STANDARD.decode(secret).is_ok_and(|key| key == account.key) => Right::all(),
            Some(_) => {
                return Err(forbidden(url, "the storage key or identity behind ';' is not known here"));
            }
            None => self
                .authorise_sas(target, &Query::parse(parsed.query().unwrap_or_default()), CLUSTER, ANY)
                .map_err(|error| forbidden(url, error.detail.as_deref().unwrap_or(&error.message)))?,
        };
        Ok(Located { place, name, right })
    }

    /// The blob at an address, to be read.
    ///
    /// # Errors
    /// As [`Storage::locate`], and `Download_SourceNotFound`.
    pub(crate) fn source(&self, address: &str) -> Result<Blob, IngestFailure> {
        let located = self.locate(address)?;
        located.right.require("r").map_err(|error| forbidden(address, &error.message))?;
        self.blob(&located.place, &located.name).map_err(|error| match error.status {
            404 => missing(address),
            _ => IngestFailure::transient("Download_UnknownError", error.to_string()),
        })
    }

    /// Deletes the blob at an address, if the address allows it.
    pub(crate) fn delete_source(&self, address: &str) -> Result<(), StorageError> {
        let located = self.locate(address).map_err(|_| StorageError::permission_mismatch())?;
        located.right.require("d")?;
        self.delete_blob(&located.place, &located.name, &Conditions::default())
    }
}

impl BlobReader for Storage {
    fn open(&self, url: &str) -> Result<Box<dyn Read + Send>, IngestFailure> {
        Ok(Box::new(self.source(url)?.body.reader()))
    }
}

/// Whether a host is this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// `/account/container/blob`, decoded; slashes in the blob's name may be encoded or not.
pub(crate) fn split_path(path: &str) -> Option<(Place, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let mut parts = path.strip_prefix('/')?.splitn(3, '/');
    let place = Place::new(decode(parts.next()?)?, decode(parts.next()?)?);
    Some((place, decode(parts.next()?)?))
}

fn shown(address: &str) -> &str {
    &address[..address.find(['?', ';']).unwrap_or(address.len())]
}

pub(super) fn not_here(url: &str) -> IngestFailure {
    let message = format!("'{}' is no blob of this emulator's storage, and it reads no other", shown(url));
    IngestFailure::permanent("BadRequest_InvalidBlob", message)
}

pub(super) fn missing(url: &str) -> IngestFailure {
    IngestFailure::permanent("Download_SourceNotFound", format!("blob '{}' was not found", shown(url)))
}

pub(super) fn forbidden(url: &str, why: &str) -> IngestFailure {
    IngestFailure::permanent("Download_Forbidden", format!("blob '{}' may not be read: {why}", shown(url)))
}
