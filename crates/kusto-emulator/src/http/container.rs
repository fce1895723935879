//! Containers over HTTP.
//!
//! Source: Azure Storage REST API, "Operations on containers". No container is public, and none has a lease.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::about::{
    given_policies, includes, list, metadata, metadata_element, name_element, part, policies, show_metadata,
    show_version,
};
use super::blob::conditions;
use super::front::Front;
use super::storage::{Asked, Operation, UNSUPPORTED, empty, http_date, op, set};
use super::{RequestBody, xml};
use crate::storage::{About, Blob, Level, Listed, Service, StorageError, StorageResult};

/// What is asked of a container.
pub(super) fn operation(asked: &Asked) -> Operation {
    use Level::Container;
    if asked.query.get("restype") != Some("container") {
        return UNSUPPORTED;
    }
    match (asked.method.as_str(), asked.query.get("comp")) {
        ("PUT", None) => op("CreateContainer", Container, "", "cw"),
        ("DELETE", None) => op("DeleteContainer", Container, "", "d"),
        ("GET" | "HEAD", None) => op("GetContainerProperties", Container, "", "r"),
        ("GET" | "HEAD", Some("metadata")) => op("GetContainerMetadata", Container, "", "r"),
        ("PUT", Some("metadata")) => op("SetContainerMetadata", Container, "", "w"),
        // Policies are the account owner's: no SAS reaches them.
        ("GET" | "HEAD", Some("acl")) => op("GetContainerAcl", Container, "", ""),
        ("PUT", Some("acl")) => op("SetContainerAcl", Container, "", ""),
        ("GET", Some("list")) => op("ListBlobs", Container, "l", "l"),
        _ => UNSUPPORTED,
    }
}

pub(super) async fn answer(
    front: &Front,
    operation: &str,
    asked: &Asked,
    body: &mut RequestBody,
) -> StorageResult<Response<Body>> {
    let (storage, place) = (&front.storage, &asked.place);
    if asked.headers.contains_key("x-ms-lease-id") {
        return Err(StorageError::unsupported_header("x-ms-lease-id"));
    }
    match operation {
        "CreateContainer" => {
            not_public(asked)?;
            storage.create_new(place, Service::Blob, metadata(&asked.headers)?)?;
            described(StatusCode::CREATED, &storage.about(place, Service::Blob)?)
        }
        "DeleteContainer" => {
            storage.delete(place, Service::Blob, &conditions(asked)?)?;
            Ok(empty(StatusCode::ACCEPTED))
        }
        "SetContainerMetadata" => {
            let metadata = metadata(&asked.headers)?;
            let change = |about: &mut About| about.metadata = metadata;
            let about = storage.describe(place, Service::Blob, &conditions(asked)?, change)?;
            described(StatusCode::OK, &about)
        }
        "SetContainerAcl" => {
            not_public(asked)?;
            let policies = given_policies(body).await?;
            let change = |about: &mut About| about.policies = policies;
            let about = storage.describe(place, Service::Blob, &conditions(asked)?, change)?;
            described(StatusCode::OK, &about)
        }
        "GetContainerAcl" => {
            let about = storage.about(place, Service::Blob)?;
            let mut response = policies(&about);
            show_version(&mut response, &about);
            Ok(response)
        }
        "ListBlobs" => blobs(front, asked),
        _ => properties(&storage.about(place, Service::Blob)?),
    }
}

/// Nobody reads here without a signature.
fn not_public(asked: &Asked) -> StorageResult<()> {
    match asked.header("x-ms-blob-public-access") {
        None => Ok(()),
        Some(_) => Err(StorageError::new(
            409,
            "PublicAccessNotPermitted",
            "Public access is not permitted on this storage account.",
        )),
    }
}

fn described(status: StatusCode, about: &About) -> StorageResult<Response<Body>> {
    let mut response = empty(status);
    show_version(&mut response, about);
    Ok(response)
}

fn properties(about: &About) -> StorageResult<Response<Body>> {
    let mut response = empty(StatusCode::OK);
    show_version(&mut response, about);
    show_metadata(&mut response, &about.metadata);
    set(&mut response, "x-ms-lease-status", "unlocked");
    set(&mut response, "x-ms-lease-state", "available");
    set(&mut response, "x-ms-has-immutability-policy", "false");
    set(&mut response, "x-ms-has-legal-hold", "false");
    Ok(response)
}

fn blobs(front: &Front, asked: &Asked) -> StorageResult<Response<Body>> {
    let (part, _) = part(asked)?;
    let delimiter = asked.query.get("delimiter").unwrap_or_default();
    let uncommitted = includes(asked, "uncommittedblobs");
    let page = front.storage.list_blobs(&asked.place, &part, delimiter, uncommitted)?;
    let with_metadata = includes(asked, "metadata");
    let entries: String = page.items.iter().map(|listed| entry(listed, with_metadata)).collect();
    let more = if delimiter.is_empty() { String::new() } else { xml::element("Delimiter", delimiter) };
    list(asked, &front.blob_base, &more, &format!("<Blobs>{entries}</Blobs>"), page.next.as_deref())
}

fn entry(listed: &Listed, with_metadata: bool) -> String {
    match listed {
        Listed::Prefix(prefix) => format!("<BlobPrefix>{}</BlobPrefix>", name_element(prefix)),
        Listed::Uncommitted(name) => format!(
            "<Blob>{}<Properties><Content-Length>0</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>",
            name_element(name)
        ),
        Listed::Blob(name, blob) => {
            let metadata =
                if with_metadata { metadata_element(&blob.properties.metadata) } else { String::new() };
            format!("<Blob>{}{}{metadata}</Blob>", name_element(name), blob_properties(blob))
        }
    }
}

fn blob_properties(blob: &Blob) -> String {
    let stored = &blob.properties.headers;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let kind = stored.content_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
    let fields = [
        ("Creation-Time", http_date(blob.created)),
        ("Last-Modified", http_date(blob.modified)),
        ("Etag", blob.etag.trim_matches('"').to_owned()),
        ("Content-Length", blob.body.length().to_string()),
        ("Content-Type", kind),
        ("Content-Encoding", text(&stored.content_encoding)),
        ("Content-Language", text(&stored.content_language)),
        ("Content-MD5", text(&stored.content_md5)),
        ("Cache-Control", text(&stored.cache_control)),
        ("Content-Disposition", text(&stored.content_disposition)),
        ("BlobType", "BlockBlob".to_owned()),
        ("LeaseStatus", "unlocked".to_owned()),
        ("LeaseState", "available".to_owned()),
        ("ServerEncrypted", "true".to_owned()),
    ];
    let fields: String = fields.iter().map(|(name, text)| xml::element(name, text)).collect();
    format!("<Properties>{fields}</Properties>")
}
