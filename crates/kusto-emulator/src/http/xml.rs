//! The XML of blob and queue storage: a few small documents.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

use crate::storage::{BlockSource, Policy, StorageError, StorageResult};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";

/// Deeper documents are refused; the real ones have three levels.
const MAX_DEPTH: usize = 8;

/// One element with text.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// `<Error>` with its fields.
pub(super) fn error(fields: &[(&str, &str)]) -> String {
    let fields: String = fields.iter().map(|(name, text)| element(name, text)).collect();
    format!("<Error>{fields}</Error>")
}

/// A document as an answer.
pub(super) fn response(status: StatusCode, document: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{DECLARATION}{document}")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// The text elements of a document, in order, each with its name.
fn texts(document: &[u8]) -> StorageResult<Vec<(String, String)>> {
    let invalid = |_| StorageError::invalid_xml();
    let text = std::str::from_utf8(document).map_err(|_| StorageError::invalid_xml())?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut open, mut found): (Vec<String>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    let mut current = String::new();
    loop {
        match reader.read_event().map_err(invalid)? {
            Event::Start(start) => {
                if open.len() == MAX_DEPTH {
                    return Err(StorageError::invalid_xml());
                }
                open.push(start.name().as_ref().to_owned());
                current.clear();
            }
            Event::Empty(start) => found.push((start.name().as_ref().to_owned(), String::new())),
            Event::Text(text) => current.push_str(&text),
            Event::CData(text) => current.push_str(&text),
            Event::GeneralRef(reference) => current.push_str(&resolved(&reference)?),
            Event::End(_) => {
                let name = open.pop().ok_or_else(StorageError::invalid_xml)?;
                found.push((name, std::mem::take(&mut current)));
            }
            Event::Eof if open.is_empty() => return Ok(found),
            Event::Eof => return Err(StorageError::invalid_xml()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::DocType(_) => return Err(StorageError::invalid_xml()),
        }
    }
}

/// `&lt;`, `&#10;` and the like.
fn resolved(reference: &quick_xml::events::BytesRef<'_>) -> StorageResult<String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| StorageError::invalid_xml())? {
        return Ok(character.to_string());
    }
    let known = quick_xml::escape::resolve_predefined_entity(reference);
    known.map(str::to_owned).ok_or_else(StorageError::invalid_xml)
}

/// The text of `<QueueMessage><MessageText>...`.
pub(super) fn message_text(document: &[u8]) -> StorageResult<String> {
    let found = texts(document)?;
    let text = found.into_iter().find(|(name, _)| name == "MessageText").map(|(_, text)| text);
    text.ok_or_else(StorageError::invalid_xml)
}

/// The entries of `<BlockList>`.
pub(super) fn block_list(document: &[u8]) -> StorageResult<Vec<(BlockSource, String)>> {
    let mut list = Vec::new();
    for (name, id) in texts(document)? {
        let source = match name.as_str() {
            "Committed" => BlockSource::Committed,
            "Uncommitted" => BlockSource::Uncommitted,
            "Latest" => BlockSource::Latest,
            "BlockList" => continue,
            _ => return Err(StorageError::invalid_xml()),
        };
        list.push((source, id.trim().to_owned()));
    }
    Ok(list)
}

/// The entries of `<SignedIdentifiers>`.
pub(super) fn policies(document: &[u8]) -> StorageResult<Vec<Policy>> {
    let mut policies = Vec::new();
    let mut policy = Policy::default();
    for (name, text) in texts(document)? {
        let text = text.trim().to_owned();
        match name.as_str() {
            "Id" => policy.id = text,
            "Start" => policy.start = text,
            "Expiry" => policy.expiry = text,
            "Permission" => policy.permission = text,
            "SignedIdentifier" => policies.push(std::mem::take(&mut policy)),
            "AccessPolicy" | "SignedIdentifiers" => {}
            _ => return Err(StorageError::invalid_xml()),
        }
    }
    Ok(policies)
}
