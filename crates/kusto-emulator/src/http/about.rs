//! What containers, queues, tables and blobs have in common on the wire: metadata, stored access policies, lists.

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use percent_encoding::utf8_percent_encode;

use super::storage::{Asked, http_date, set, small_body};
use super::{RequestBody, xml};
use crate::storage::xml as parse_xml;
use crate::storage::{
    About, Metadata, Part, Policy, StorageError, StorageResult, UNRESERVED, check_policies,
};

/// Metadata of one thing: 8 KiB.
const MAX_METADATA_BYTES: usize = 8 * 1024;

/// The largest document of stored access policies.
const MAX_POLICIES_BYTES: u64 = 64 * 1024;

/// Names in one part of a list.
const MAX_RESULTS: i64 = 5000;

/// The headers `x-ms-meta-*`.
///
/// # Errors
/// 400 for a name that is no identifier, a value that is no text, or too much of it.
pub(super) fn metadata(headers: &HeaderMap) -> StorageResult<Metadata> {
    let (mut metadata, mut size) = (Metadata::new(), 0);
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("x-ms-meta-") else { continue };
        let value = value.to_str().map_err(|_| StorageError::invalid_header("x-ms-meta"))?;
        if name.is_empty() {
            let message = "The key for one of the metadata key-value pairs is empty.";
            return Err(StorageError::new(400, "EmptyMetadataKey", message));
        }
        let identifier = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !identifier || name.starts_with(|c: char| c.is_ascii_digit()) {
            let message = "The specified metadata is invalid. It includes characters that are not permitted.";
            return Err(StorageError::new(400, "InvalidMetadata", message));
        }
        size += name.len() + value.len();
        metadata.insert(name.to_owned(), value.to_owned());
    }
    if size > MAX_METADATA_BYTES {
        let message = "The metadata specified exceeds the maximum size permitted (8 KiB).";
        return Err(StorageError::new(400, "MetadataTooLarge", message));
    }
    Ok(metadata)
}

/// Metadata as headers of an answer.
pub(super) fn show_metadata(response: &mut Response<Body>, metadata: &Metadata) {
    for (name, value) in metadata {
        set(response, &format!("x-ms-meta-{name}"), value);
    }
}

/// The version of a container, queue or table as headers of an answer.
pub(super) fn show_version(response: &mut Response<Body>, about: &About) {
    set(response, "etag", &about.etag);
    set(response, "last-modified", &http_date(about.modified));
}

/// Stored access policies as a document.
pub(super) fn policies(about: &About) -> Response<Body> {
    let policy = |policy: &Policy| {
        let fields =
            [("Start", &policy.start), ("Expiry", &policy.expiry), ("Permission", &policy.permission)];
        let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
        let fields: String = given.map(|(name, text)| xml::element(name, text)).collect();
        let id = xml::element("Id", &policy.id);
        format!("<SignedIdentifier>{id}<AccessPolicy>{fields}</AccessPolicy></SignedIdentifier>")
    };
    let policies: String = about.policies.iter().map(policy).collect();
    xml::response(StatusCode::OK, &format!("<SignedIdentifiers>{policies}</SignedIdentifiers>"))
}

/// Stored access policies from a request; none for an empty body.
///
/// # Errors
/// 400 for what is no such document.
pub(super) async fn given_policies(body: &mut RequestBody) -> StorageResult<Vec<Policy>> {
    let document = small_body(body, MAX_POLICIES_BYTES).await?;
    let policies = if document.is_empty() { Vec::new() } else { parse_xml::policies(&document)? };
    check_policies(&policies)?;
    Ok(policies)
}

/// Which part of a list is asked for, and the number that the client asked for, if it did.
///
/// # Errors
/// 400 for a number below 1.
pub(super) fn part(asked: &Asked) -> StorageResult<(Part, Option<i64>)> {
    let text = |name: &str| asked.query.get(name).unwrap_or_default().to_owned();
    let given = asked.number("maxresults", MAX_RESULTS, 1..=i64::MAX)?;
    let most = usize::try_from(given.min(MAX_RESULTS)).unwrap_or(1);
    let part = Part { prefix: text("prefix"), from: text("marker"), most };
    Ok((part, asked.query.get("maxresults").map(|_| given)))
}

/// What stands around the entries of every list.
pub(super) fn list(
    asked: &Asked,
    base: &str,
    more: &str,
    entries: &str,
    next: Option<&str>,
) -> StorageResult<Response<Body>> {
    let (part, most) = part(asked)?;
    let optional =
        |name: &str, text: &str| if text.is_empty() { String::new() } else { xml::element(name, text) };
    let endpoint = format!("{base}/{}/", asked.place.account);
    let container = optional_attribute("ContainerName", &asked.place.resource);
    let most = most.map(|most| xml::element("MaxResults", &most.to_string())).unwrap_or_default();
    let document = format!(
        "<EnumerationResults ServiceEndpoint=\"{endpoint}\"{container}>{}{}{most}{more}{entries}{}</EnumerationResults>",
        optional("Prefix", &part.prefix),
        optional("Marker", &part.from),
        xml::element("NextMarker", next.unwrap_or_default()),
    );
    Ok(xml::response(StatusCode::OK, &document))
}

fn optional_attribute(name: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!(" {name}=\"{}\"", quick_xml::escape::escape(value)) }
}

/// `include=metadata,...` of a list.
pub(super) fn includes(asked: &Asked, what: &str) -> bool {
    asked.query.get("include").is_some_and(|given| given.split(',').any(|one| one.trim() == what))
}

/// `<Metadata>` of an entry.
pub(super) fn metadata_element(metadata: &Metadata) -> String {
    let pairs: String = metadata.iter().map(|(name, value)| xml::element(name, value)).collect();
    format!("<Metadata>{pairs}</Metadata>")
}

/// `<Name>`, percent-encoded if XML cannot hold it.
pub(super) fn name_element(name: &str) -> String {
    let plain = |c: char| matches!(c, '\t' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if name.chars().all(plain) {
        return xml::element("Name", name);
    }
    format!("<Name Encoded=\"true\">{}</Name>", utf8_percent_encode(name, UNRESERVED))
}
