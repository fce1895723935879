//! The XML that blob and queue storage are sent, and the one that other storage answers: a few small documents.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::about::Policy;
use super::blob::BlockSource;
use super::error::{StorageError, StorageResult};
use super::queue::Message;

/// Deeper documents are refused; the real ones have three levels.
const MAX_DEPTH: usize = 8;

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
pub(crate) fn message_text(document: &[u8]) -> StorageResult<String> {
    let found = texts(document)?;
    let text = found.into_iter().find(|(name, _)| name == "MessageText").map(|(_, text)| text);
    text.ok_or_else(StorageError::invalid_xml)
}

/// The entries of `<BlockList>`.
pub(crate) fn block_list(document: &[u8]) -> StorageResult<Vec<(BlockSource, String)>> {
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
pub(crate) fn policies(document: &[u8]) -> StorageResult<Vec<Policy>> {
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

/// The entries of `<QueueMessagesList>`, as Get Messages answers.
pub(super) fn messages(document: &[u8]) -> StorageResult<Vec<Message>> {
    let mut messages = Vec::new();
    let mut fields: [String; 5] = Default::default();
    for (name, text) in texts(document)? {
        let [id, body, receipt, inserted, dequeued] = &mut fields;
        match name.as_str() {
            "MessageId" => *id = text,
            "MessageText" => *body = text,
            "PopReceipt" => *receipt = text,
            "InsertionTime" => *inserted = text,
            "DequeueCount" => *dequeued = text,
            "QueueMessage" => {
                let [id, text, pop_receipt, inserted, dequeued] = std::mem::take(&mut fields);
                let inserted = DateTimeParser::new().parse_timestamp(&inserted);
                messages.push(Message {
                    id,
                    text,
                    // What the time is of that storage matters only for how long retries go on.
                    inserted: inserted.unwrap_or_else(|_| Timestamp::now()),
                    expires: Timestamp::MAX,
                    visible: Timestamp::MAX,
                    pop_receipt,
                    dequeued: dequeued.trim().parse().unwrap_or(1),
                });
            }
            _ => {}
        }
    }
    Ok(messages)
}

#[cfg(test)]
mod tests;
