//! Puts a blob into a container, by the official storage library.

use std::collections::HashMap;
use std::num::NonZero;
use std::time::Duration;

use azure_core::http::{RequestContent, RetryOptions};
use azure_storage_blob::models::{BlobClientGetPropertiesResultHeaders, BlockBlobClientUploadOptions};
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobContainerClientOptions};

use super::resources::Storage;
use crate::http::{Attempt, Http};
use crate::transport::{self, Lent};
use crate::{Blob, Effect, Error, ErrorKind, Result, UploadedBlob};

/// The largest body that goes in one request; the usual chunk compresses to a third of this. Larger ones go in blocks,
/// so that a broken connection does not cost everything.
const SINGLE_PUT: u64 = 32 << 20;
const BLOCK: u64 = 8 << 20;
/// Blocks under way at once: enough to fill a line with 50 ms of delay, little enough to share it.
const PARALLEL: NonZero<usize> = NonZero::new(4).expect("four is not zero");

/// Stores `blob`; one that is there already with the same length is taken for the same
/// ([promise 1](crate::Service)).
pub(crate) async fn put(
    http: &Http,
    container: &Storage,
    blob: &Blob,
    timeout: Duration,
) -> Result<UploadedBlob> {
    let attempt = Attempt {
        operation: "upload a blob",
        target: format!("{}/{}", container.address, blob.name),
        effect: Effect::Unknown,
        timeout: transport::deadline(timeout, blob.body.len() as u64),
    };
    let client = client(http, container, blob, &attempt)?;
    let upload = async {
        match client.upload(RequestContent::from(blob.body.clone().into()), Some(options(blob))).await {
            Ok(_) => Ok(()),
            Err(error) => match transport::translate(&error, &attempt, &container.address) {
                error if error.kind() == ErrorKind::Conflict => {
                    same(&client, blob, (&attempt, container), error).await
                }
                error => Err(error),
            },
        }
    };
    within(&attempt, upload).await?;
    Ok(UploadedBlob {
        container: container.address.to_string(),
        name: blob.name.clone(),
        raw_bytes: blob.raw_bytes,
        signature: container.signature.clone(),
    })
}

/// Runs storage work until its deadline.
pub(super) async fn within<T>(attempt: &Attempt, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(attempt.timeout, work).await {
        Ok(result) => result,
        Err(_) => {
            let message = format!("not finished within {:?}", attempt.timeout);
            Err(Error::new(ErrorKind::Timeout, attempt.operation, &attempt.target, message)
                .with_effect(attempt.effect))
        }
    }
}

fn client(http: &Http, container: &Storage, blob: &Blob, attempt: &Attempt) -> Result<BlobClient> {
    let client_options = Lent::new(http.clone(), attempt.timeout).for_storage().options(RetryOptions::none());
    let options = BlobContainerClientOptions { client_options, ..Default::default() };
    let client = BlobContainerClient::new(container.signed(), None, Some(options)).map_err(|error| {
        transport::translate(&error, attempt, &container.address).with_effect(Effect::None)
    })?;
    Ok(client.blob_client(&blob.name))
}

fn options(blob: &Blob) -> BlockBlobClientUploadOptions<'static> {
    let bytes = blob.body.len() as u64;
    let whole = if bytes <= SINGLE_PUT { bytes.max(1) } else { BLOCK };
    let metadata = [("rows", blob.rows), ("rawbytes", blob.raw_bytes)];
    BlockBlobClientUploadOptions {
        blob_content_type: Some("application/octet-stream".to_owned()),
        metadata: Some(HashMap::from(metadata.map(|(name, value)| (name.to_owned(), value.to_string())))),
        parallel: Some(PARALLEL),
        partition_size: NonZero::new(whole),
        ..Default::default()
    }
    .if_not_exists()
}

/// A blob of this name is there: an earlier attempt of ours if it is as long, somebody else's if not. A look that fails in
/// passing says neither.
async fn same(
    client: &BlobClient,
    blob: &Blob,
    (attempt, container): (&Attempt, &Storage),
    conflict: Error,
) -> Result<()> {
    let stored = match client.get_properties(None).await {
        Ok(properties) => properties.content_length().ok().flatten(),
        Err(error) => {
            let error = transport::translate(&error, attempt, &container.address);
            return Err(if error.is_transient() { error } else { conflict });
        }
    };
    match stored {
        Some(length) if length == blob.body.len() as u64 => Ok(()),
        Some(length) => Err(conflict.with_advice(format!(
            "The blob that is there has {length} bytes, this one has {}: the name was used for other content.",
            blob.body.len()
        ))),
        None => Err(conflict),
    }
}
