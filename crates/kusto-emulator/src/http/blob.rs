//! Blob storage over HTTP.
//!
//! Source: Azure Storage REST API, "Operations on blobs": Put Blob, Put Block, Put Block List, Get Block List, Get Blob,
//! Get Blob Properties, Delete Blob; "Specifying conditional headers for Blob service operations".

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use md5::{Digest, Md5};

use super::RequestBody;
use super::front::Front;
use super::storage::{Asked, body_error, empty, http_date, set, small_body};
use super::xml;
use crate::storage::{
    Blob, Conditions, Permissions, Properties, Segment, Service, StorageError, StorageResult, Target, Upload,
    Written, range,
};

/// The largest body of Put Blob and Put Block, in bytes: 5,000 MiB and 4,000 MiB in the service; one limit here.
const MAX_PUT_BYTES: u64 = 5000 * 1024 * 1024;

/// The largest block list document: 50,000 entries.
const MAX_LIST_BYTES: u64 = 8 * 1024 * 1024;

/// Metadata of a blob: 8 KiB.
const MAX_METADATA_BYTES: usize = 8 * 1024;

/// The longest name of a blob, in characters.
const MAX_NAME: usize = 1024;

/// The name of what is asked, as the REST API calls it.
pub(super) fn operation(asked: &Asked) -> &'static str {
    match (asked.method.as_str(), asked.query.get("comp"), asked.query.get("restype")) {
        _ if asked.item.is_empty() => "Unsupported",
        ("PUT", None, None) => "PutBlob",
        ("PUT", Some("block"), None) => "PutBlock",
        ("PUT", Some("blocklist"), None) => "PutBlockList",
        ("GET", Some("blocklist"), None) => "GetBlockList",
        ("GET", None, None) => "GetBlob",
        ("HEAD", None, None) => "GetBlobProperties",
        ("DELETE", None, None) => "DeleteBlob",
        _ => "Unsupported",
    }
}

pub(super) async fn answer(
    front: &Front,
    operation: &str,
    asked: &Asked,
    body: &mut RequestBody,
) -> StorageResult<Response<Body>> {
    if operation == "Unsupported" {
        let what = format!("{} of a blob or container with these parameters", asked.method);
        return Err(StorageError::unsupported(&what));
    }
    let target = Target {
        service: Service::Blob,
        account: &asked.place.account,
        resource: &asked.place.resource,
        item: Some(&asked.item),
        keys: None,
    };
    let permissions = front.storage.authorise(target, &asked.query)?;
    if asked.item.chars().count() > MAX_NAME {
        return Err(StorageError::new(
            400,
            "InvalidUri",
            "The requested URI does not represent any resource on the server.",
        ));
    }
    match operation {
        "PutBlob" => put(front, asked, body, &permissions).await,
        "PutBlock" => put_block(front, asked, body, &permissions).await,
        "PutBlockList" => put_block_list(front, asked, body, &permissions).await,
        "GetBlockList" => get_block_list(front, asked, &permissions),
        "DeleteBlob" => delete(front, asked, &permissions),
        _ => get(front, asked, &permissions),
    }
}

async fn put(
    front: &Front,
    asked: &Asked,
    body: &mut RequestBody,
    permissions: &Permissions,
) -> StorageResult<Response<Body>> {
    match asked.header("x-ms-blob-type") {
        Some("BlockBlob") => {}
        Some(other) => return Err(StorageError::unsupported(&format!("Put Blob for a {other}"))),
        None => return Err(StorageError::missing_header("x-ms-blob-type")),
    }
    let upload = upload(asked, permissions)?;
    front.storage.check_write(&asked.place, &asked.item, &upload)?;
    let segment = receive(front, asked, body).await?;
    let length = segment.length;
    let written = front.storage.put_blob(&asked.place, &asked.item, segment, upload)?;
    front.data_management.uploaded(length);
    Ok(created(&written))
}

async fn put_block(
    front: &Front,
    asked: &Asked,
    body: &mut RequestBody,
    permissions: &Permissions,
) -> StorageResult<Response<Body>> {
    permissions.require("wc")?;
    let id = asked.query.get("blockid").ok_or_else(|| StorageError::invalid_query("blockid"))?;
    if !STANDARD.decode(id).is_ok_and(|decoded| decoded.len() <= 64) {
        return Err(StorageError::invalid_query("blockid"));
    }
    let segment = receive(front, asked, body).await?;
    let length = segment.length;
    front.storage.put_block(&asked.place, &asked.item, id, segment)?;
    front.data_management.uploaded(length);
    Ok(empty(StatusCode::CREATED))
}

async fn put_block_list(
    front: &Front,
    asked: &Asked,
    body: &mut RequestBody,
    permissions: &Permissions,
) -> StorageResult<Response<Body>> {
    let upload = upload(asked, permissions)?;
    let list = xml::block_list(&small_body(body, MAX_LIST_BYTES).await?)?;
    let written = front.storage.put_block_list(&asked.place, &asked.item, &list, upload)?;
    Ok(created(&written))
}

/// Moves a body from the network to where bodies are kept, piece by piece.
async fn receive(front: &Front, asked: &Asked, body: &mut RequestBody) -> StorageResult<Segment> {
    let declared = asked.header("content-length").and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_PUT_BYTES) {
        return Err(StorageError::too_large(MAX_PUT_BYTES));
    }
    let mut digest = asked.header("content-md5").map(|given| (given, Md5::new()));
    let mut writer = front.storage.start_body()?;
    let mut length = 0;
    while let Some(piece) = body.next().await.map_err(|error| body_error(error, MAX_PUT_BYTES))? {
        length += piece.len() as u64;
        if length > MAX_PUT_BYTES {
            return Err(StorageError::too_large(MAX_PUT_BYTES));
        }
        if let Some((_, digest)) = &mut digest {
            digest.update(&piece);
        }
        writer.write(piece).await?;
    }
    if let Some((given, digest)) = digest
        && given != STANDARD.encode(digest.finalize())
    {
        let message = "The MD5 value specified in the request did not match with the MD5 value calculated by the server.";
        return Err(StorageError::new(400, "Md5Mismatch", message));
    }
    Ok(writer.finish().await?)
}

fn get_block_list(front: &Front, asked: &Asked, permissions: &Permissions) -> StorageResult<Response<Body>> {
    permissions.require("r")?;
    let wanted = asked.query.get("blocklisttype").unwrap_or("committed").to_ascii_lowercase();
    if !matches!(wanted.as_str(), "committed" | "uncommitted" | "all") {
        return Err(StorageError::invalid_query("blocklisttype"));
    }
    let blocks = front.storage.blocks(&asked.place, &asked.item)?;
    let mut document = String::from("<BlockList>");
    for (kind, blocks) in ["CommittedBlocks", "UncommittedBlocks"].iter().zip(blocks) {
        if wanted != "all" && !kind.to_ascii_lowercase().starts_with(&wanted) {
            continue;
        }
        let entry = |(id, size): &(String, u64)| {
            format!("<Block>{}{}</Block>", xml::element("Name", id), xml::element("Size", &size.to_string()))
        };
        let entries: String = blocks.iter().map(entry).collect();
        document.push_str(&format!("<{kind}>{entries}</{kind}>"));
    }
    document.push_str("</BlockList>");
    Ok(xml::response(StatusCode::OK, &document))
}

fn get(front: &Front, asked: &Asked, permissions: &Permissions) -> StorageResult<Response<Body>> {
    permissions.require("r")?;
    let blob = front.storage.blob(&asked.place, &asked.item)?;
    conditions(asked)?.check_read(&blob)?;
    let length = blob.body.length();
    let wanted = range(asked.header("x-ms-range").or(asked.header("range")), length)?;
    let (from, count) = wanted.unwrap_or((0, length));
    let mut response = empty(if wanted.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
    describe(&mut response, &blob);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    if wanted.is_some() {
        set(&mut response, "content-range", &format!("bytes {from}-{}/{length}", from + count - 1));
    }
    if asked.method != Method::HEAD {
        *response.body_mut() = Body::from_stream(blob.body.stream(from, count));
    }
    Ok(response)
}

fn delete(front: &Front, asked: &Asked, permissions: &Permissions) -> StorageResult<Response<Body>> {
    permissions.require("d")?;
    front.storage.delete_blob(&asked.place, &asked.item, &conditions(asked)?)?;
    let mut response = empty(StatusCode::ACCEPTED);
    set(&mut response, "x-ms-delete-type-permanent", "true");
    Ok(response)
}

fn upload(asked: &Asked, permissions: &Permissions) -> StorageResult<Upload> {
    permissions.require("wc")?;
    let mut properties = Properties {
        content_type: asked
            .header("x-ms-blob-content-type")
            .or(asked.header("content-type"))
            .map(str::to_owned),
        content_encoding: asked
            .header("x-ms-blob-content-encoding")
            .or(asked.header("content-encoding"))
            .map(str::to_owned),
        ..Properties::default()
    };
    if asked.query.get("comp") == Some("blocklist") {
        // There, Content-Type and Content-Encoding describe the list.
        properties.content_type = asked.header("x-ms-blob-content-type").map(str::to_owned);
        properties.content_encoding = asked.header("x-ms-blob-content-encoding").map(str::to_owned);
    }
    let mut size = 0;
    for (name, value) in &asked.headers {
        if let Some(name) = name.as_str().strip_prefix("x-ms-meta-") {
            let value = value.to_str().map_err(|_| StorageError::invalid_header("x-ms-meta"))?;
            size += name.len() + value.len();
            properties.metadata.insert(name.to_owned(), value.to_owned());
        }
    }
    if size > MAX_METADATA_BYTES {
        let message = "The metadata specified exceeds the maximum size permitted (8 KiB).";
        return Err(StorageError::new(400, "MetadataTooLarge", message));
    }
    Ok(Upload { properties, conditions: conditions(asked)?, create_only: !permissions.has('w') })
}

fn conditions(asked: &Asked) -> StorageResult<Conditions> {
    let moment = |name: &str| -> StorageResult<Option<Timestamp>> {
        let Some(text) = asked.header(name) else { return Ok(None) };
        let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
        parsed.map(Some).map_err(|_| StorageError::invalid_header(name))
    };
    Ok(Conditions {
        if_match: asked.header("if-match").map(str::to_owned),
        if_none_match: asked.header("if-none-match").map(str::to_owned),
        if_modified_since: moment("if-modified-since")?,
        if_unmodified_since: moment("if-unmodified-since")?,
    })
}

fn created(written: &Written) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, "etag", &written.etag);
    set(&mut response, "last-modified", &http_date(written.modified));
    set(&mut response, "x-ms-request-server-encrypted", "true");
    response
}

fn describe(response: &mut Response<Body>, blob: &Blob) {
    set(response, "etag", &blob.etag);
    set(response, "last-modified", &http_date(blob.modified));
    set(response, "x-ms-blob-type", "BlockBlob");
    set(response, "accept-ranges", "bytes");
    set(
        response,
        "content-type",
        blob.properties.content_type.as_deref().unwrap_or("application/octet-stream"),
    );
    if let Some(encoding) = &blob.properties.content_encoding {
        set(response, "content-encoding", encoding);
    }
    for (name, value) in &blob.properties.metadata {
        set(response, &format!("x-ms-meta-{name}"), value);
    }
}
