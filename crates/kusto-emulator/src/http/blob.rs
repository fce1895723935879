//! Blob storage over HTTP.
//!
//! Source: Azure Storage REST API, "Operations on blobs" and "Operations on block blobs".

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use md5::{Digest, Md5};

use super::RequestBody;
use super::front::Front;
use super::storage::{Asked, Operation, UNSUPPORTED, body_error, empty, http_date, op, set, small_body};
use super::{about, xml};
use crate::storage::xml as parse_xml;
use crate::storage::{
    Blob, Conditions, ContentHeaders, Level, Properties, Right, Segment, StorageError, StorageResult, Upload,
    Written, range,
};

/// The largest body of Put Blob and Put Block, in bytes: 5,000 MiB and 4,000 MiB in the service; one limit here.
const MAX_PUT_BYTES: u64 = 5000 * 1024 * 1024;

/// The largest block list document: 50,000 entries.
const MAX_LIST_BYTES: u64 = 8 * 1024 * 1024;

/// The longest name of a blob, in characters.
const MAX_NAME: usize = 1024;

/// Headers that would change what a request does, in ways that the emulator does not know: none is passed over in silence.
const NOT_DONE: [&str; 13] = [
    "x-ms-access-tier",
    "x-ms-content-crc64",
    "x-ms-copy-source",
    "x-ms-encryption-algorithm",
    "x-ms-encryption-key",
    "x-ms-encryption-scope",
    "x-ms-if-tags",
    "x-ms-immutability-policy-until-date",
    "x-ms-lease-id",
    "x-ms-legal-hold",
    "x-ms-requires-sync",
    "x-ms-structured-body",
    "x-ms-tags",
];

/// What is asked of a blob.
pub(super) fn operation(asked: &Asked) -> Operation {
    use Level::Object;
    match (asked.method.as_str(), asked.query.get("comp"), asked.query.get("restype")) {
        ("PUT", None, None) => op("PutBlob", Object, "wc", "wc"),
        ("PUT", Some("block"), None) => op("PutBlock", Object, "wc", "wc"),
        ("PUT", Some("blocklist"), None) => op("PutBlockList", Object, "wc", "wc"),
        ("PUT", Some("properties"), None) => op("SetBlobProperties", Object, "w", "w"),
        ("PUT", Some("metadata"), None) => op("SetBlobMetadata", Object, "w", "w"),
        ("GET", Some("blocklist"), None) => op("GetBlockList", Object, "r", "r"),
        ("GET" | "HEAD", Some("metadata"), None) => op("GetBlobMetadata", Object, "r", "r"),
        ("GET", None, None) => op("GetBlob", Object, "r", "r"),
        ("HEAD", None, None) => op("GetBlobProperties", Object, "r", "r"),
        ("DELETE", None, None) => op("DeleteBlob", Object, "d", "d"),
        _ => UNSUPPORTED,
    }
}

pub(super) async fn answer(
    front: &Front,
    operation: &str,
    asked: &Asked,
    body: &mut RequestBody,
    right: &Right,
) -> StorageResult<Response<Body>> {
    if asked.item.chars().count() > MAX_NAME {
        return Err(StorageError::new(
            400,
            "InvalidUri",
            "The requested URI does not represent any resource on the server.",
        ));
    }
    if let Some(header) = NOT_DONE.iter().find(|name| asked.headers.contains_key(**name)) {
        return Err(StorageError::unsupported_header(header));
    }
    if let Some(part) = ["snapshot", "versionid"].iter().find(|name| asked.query.filled(name).is_some()) {
        return Err(StorageError::unsupported(&format!("with {part}")));
    }
    match operation {
        "PutBlob" => put(front, asked, body, right).await,
        "PutBlock" => put_block(front, asked, body).await,
        "PutBlockList" => put_block_list(front, asked, body, right).await,
        "SetBlobProperties" => set_properties(front, asked),
        "SetBlobMetadata" => set_metadata(front, asked),
        "GetBlockList" => get_block_list(front, asked),
        "GetBlobMetadata" => get_metadata(front, asked),
        "DeleteBlob" => delete(front, asked),
        _ => get(front, asked, right),
    }
}

async fn put(
    front: &Front,
    asked: &Asked,
    body: &mut RequestBody,
    right: &Right,
) -> StorageResult<Response<Body>> {
    match asked.header("x-ms-blob-type") {
        Some("BlockBlob") => {}
        Some(other) => return Err(StorageError::unsupported(&format!("Put Blob for a {other}"))),
        None => return Err(StorageError::missing_header("x-ms-blob-type")),
    }
    let upload = upload(asked, right)?;
    front.storage.check_write(&asked.place, &asked.item, &upload)?;
    let segment = receive(front, asked, body).await?;
    let length = segment.length;
    let written = front.storage.put_blob(&asked.place, &asked.item, segment, upload)?;
    front.data_management.uploaded(length);
    Ok(created(&written))
}

async fn put_block(front: &Front, asked: &Asked, body: &mut RequestBody) -> StorageResult<Response<Body>> {
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
    right: &Right,
) -> StorageResult<Response<Body>> {
    let upload = upload(asked, right)?;
    let list = parse_xml::block_list(&small_body(body, MAX_LIST_BYTES).await?)?;
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

fn get_block_list(front: &Front, asked: &Asked) -> StorageResult<Response<Body>> {
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

fn get(front: &Front, asked: &Asked, right: &Right) -> StorageResult<Response<Body>> {
    let blob = front.storage.blob(&asked.place, &asked.item)?;
    conditions(asked)?.check_read(blob.version())?;
    let length = blob.body.length();
    // The head of a blob has no parts.
    let header =
        asked.header("x-ms-range").or(asked.header("range")).filter(|_| asked.method != Method::HEAD);
    let wanted = range(header, length)?;
    let (from, count) = wanted.unwrap_or((0, length));
    let mut response = empty(if wanted.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
    describe(&mut response, &blob, wanted.is_some());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    if wanted.is_some() {
        set(&mut response, "content-range", &format!("bytes {from}-{}/{length}", from + count - 1));
    }
    if right.changes_headers {
        change_headers(&mut response, asked);
    }
    if asked.method != Method::HEAD {
        *response.body_mut() = Body::from_stream(blob.body.stream(from, count));
    }
    Ok(response)
}

/// What a service SAS says about the headers of an answer.
fn change_headers(response: &mut Response<Body>, asked: &Asked) {
    let changes = [
        ("rscc", "cache-control"),
        ("rscd", "content-disposition"),
        ("rsce", "content-encoding"),
        ("rscl", "content-language"),
        ("rsct", "content-type"),
    ];
    for (field, header) in changes {
        if let Some(value) = asked.query.filled(field) {
            set(response, header, value);
        }
    }
}

fn get_metadata(front: &Front, asked: &Asked) -> StorageResult<Response<Body>> {
    let blob = front.storage.blob(&asked.place, &asked.item)?;
    conditions(asked)?.check_read(blob.version())?;
    let mut response = empty(StatusCode::OK);
    set(&mut response, "etag", &blob.etag);
    set(&mut response, "last-modified", &http_date(blob.modified));
    about::show_metadata(&mut response, &blob.properties.metadata);
    Ok(response)
}

fn set_metadata(front: &Front, asked: &Asked) -> StorageResult<Response<Body>> {
    let metadata = about::metadata(&asked.headers)?;
    let conditions = conditions(asked)?;
    let change = |properties: &mut Properties| properties.metadata = metadata;
    let written = front.storage.describe_blob(&asked.place, &asked.item, &conditions, change)?;
    Ok(changed(&written))
}

/// Headers that are not given are cleared.
fn set_properties(front: &Front, asked: &Asked) -> StorageResult<Response<Body>> {
    let headers = content_headers(asked);
    let conditions = conditions(asked)?;
    let change = |properties: &mut Properties| properties.headers = headers;
    let written = front.storage.describe_blob(&asked.place, &asked.item, &conditions, change)?;
    Ok(changed(&written))
}

fn delete(front: &Front, asked: &Asked) -> StorageResult<Response<Body>> {
    front.storage.delete_blob(&asked.place, &asked.item, &conditions(asked)?)?;
    let mut response = empty(StatusCode::ACCEPTED);
    set(&mut response, "x-ms-delete-type-permanent", "true");
    Ok(response)
}

fn upload(asked: &Asked, right: &Right) -> StorageResult<Upload> {
    let mut headers = content_headers(asked);
    if asked.query.get("comp").is_none() {
        // Of a whole blob the plain headers count too; of a block list they describe the list.
        let plain = |name: &str| asked.header(name).map(str::to_owned);
        headers.content_type = headers.content_type.or_else(|| plain("content-type"));
        headers.content_encoding = headers.content_encoding.or_else(|| plain("content-encoding"));
        headers.content_language = headers.content_language.or_else(|| plain("content-language"));
        headers.cache_control = headers.cache_control.or_else(|| plain("cache-control"));
        headers.content_md5 = headers.content_md5.or_else(|| plain("content-md5"));
    }
    let properties = Properties { headers, metadata: about::metadata(&asked.headers)? };
    Ok(Upload { properties, conditions: conditions(asked)?, create_only: !right.has('w') })
}

/// The headers `x-ms-blob-content-*`.
fn content_headers(asked: &Asked) -> ContentHeaders {
    let own = |name: &str| asked.header(name).filter(|value| !value.is_empty()).map(str::to_owned);
    ContentHeaders {
        content_type: own("x-ms-blob-content-type"),
        content_encoding: own("x-ms-blob-content-encoding"),
        content_language: own("x-ms-blob-content-language"),
        content_disposition: own("x-ms-blob-content-disposition"),
        cache_control: own("x-ms-blob-cache-control"),
        content_md5: own("x-ms-blob-content-md5"),
    }
}

/// The conditional headers of a request.
pub(super) fn conditions(asked: &Asked) -> StorageResult<Conditions> {
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
    let mut response = changed(written);
    *response.status_mut() = StatusCode::CREATED;
    response
}

fn changed(written: &Written) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    set(&mut response, "etag", &written.etag);
    set(&mut response, "last-modified", &http_date(written.modified));
    set(&mut response, "x-ms-request-server-encrypted", "true");
    response
}

fn describe(response: &mut Response<Body>, blob: &Blob, part: bool) {
    let stored = &blob.properties.headers;
    set(response, "etag", &blob.etag);
    set(response, "last-modified", &http_date(blob.modified));
    set(response, "x-ms-creation-time", &http_date(blob.created));
    set(response, "x-ms-blob-type", "BlockBlob");
    set(response, "x-ms-lease-status", "unlocked");
    set(response, "x-ms-lease-state", "available");
    set(response, "x-ms-server-encrypted", "true");
    set(response, "accept-ranges", "bytes");
    set(response, "content-type", stored.content_type.as_deref().unwrap_or("application/octet-stream"));
    // The MD5 of a part would be another one.
    let md5 = if part { "x-ms-blob-content-md5" } else { "content-md5" };
    let others = [
        ("content-encoding", &stored.content_encoding),
        ("content-language", &stored.content_language),
        ("content-disposition", &stored.content_disposition),
        ("cache-control", &stored.cache_control),
        (md5, &stored.content_md5),
    ];
    for (name, value) in others {
        if let Some(value) = value {
            set(response, name, value);
        }
    }
    about::show_metadata(response, &blob.properties.metadata);
}
