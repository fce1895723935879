//! Blobs of other storage, by the addresses in messages and commands; the forms are those of `reader.rs`.

use std::io::{self, Read};

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::runtime::Handle;
use url::Url;

use super::{Outside, wait};
use crate::engine::{BlobReader, IngestFailure};
use crate::storage::connection::Connection;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::reader::{forbidden, missing, not_here};
use crate::storage::{Metadata, Service};

impl Outside {
    /// The metadata of the blob at an address.
    ///
    /// # Errors
    /// As [`BlobReader::open`].
    pub(in crate::storage) fn source_metadata(&self, address: &str) -> Result<Metadata, IngestFailure> {
        let (url, key) = self.locate(address)?;
        let answered = self.wait(self.client.blob(Method::HEAD, url, key));
        let response = answered.map_err(|error| failure(address, &error))?;
        let own = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
            let name = name.as_str().strip_prefix("x-ms-meta-")?;
            Some((name.to_owned(), value.to_str().ok()?.to_owned()))
        };
        Ok(response.headers().iter().filter_map(own).collect())
    }

    /// Deletes the blob at an address.
    ///
    /// # Errors
    /// What the storage says.
    pub(in crate::storage) fn delete_source(&self, address: &str) -> StorageResult<()> {
        let (url, key) = self.locate(address).map_err(|_| StorageError::permission_mismatch())?;
        self.wait(self.client.blob(Method::DELETE, url, key)).map(drop)
    }

    /// What an address asks for, and the account whose key is to sign that, unless the address holds a right of its own.
    fn locate(&self, address: &str) -> Result<(Url, Option<&Connection>), IngestFailure> {
        let (url, secret) = match address.split_once(';') {
            Some((url, secret)) if !url.contains('?') => (url, Some(secret)),
            _ => (address, None),
        };
        let known = |account: &&Connection| account.below(Service::Blob, url).is_some();
        let account = self.accounts.iter().find(known).ok_or_else(|| not_here(url))?;
        let parsed = Url::parse(url).map_err(|_| not_here(url))?;
        match secret {
            None => Ok((parsed, None)),
            Some(secret) if secret.starts_with("managed_identity=") => Ok((parsed, Some(account))),
            Some(secret) if STANDARD.decode(secret).is_ok_and(|key| key == account.key) => {
                Ok((parsed, Some(account)))
            }
            Some(_) => Err(forbidden(url, "the storage key or identity behind ';' is not known here")),
        }
    }

    fn download(&self, address: &str) -> Result<Download, IngestFailure> {
        let (url, key) = self.locate(address)?;
        let answered = self.wait(self.client.blob(Method::GET, url, key));
        let response = answered.map_err(|error| failure(address, &error))?;
        Ok(Download { runtime: self.runtime.clone(), response, chunk: Bytes::new() })
    }
}

/// A blob's bytes as they arrive.
struct Download {
    runtime: Handle,
    response: reqwest::Response,
    chunk: Bytes,
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match wait(&self.runtime, self.response.chunk()) {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => return Ok(0),
                // Without the address: a SAS may stand in it.
                Err(error) => return Err(io::Error::other(error.without_url())),
            }
        }
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

/// What a refused download means for an ingestion.
fn failure(address: &str, error: &StorageError) -> IngestFailure {
    match error.status {
        404 => missing(address),
        401 | 403 => forbidden(address, &error.message),
        _ => IngestFailure::transient("Download_UnknownError", error.message.clone()),
    }
}

impl BlobReader for Outside {
    fn open(&self, url: &str) -> Result<Box<dyn Read + Send>, IngestFailure> {
        Ok(Box::new(self.download(url)?))
    }
}
