//! Queue storage over HTTP.
//!
//! Source: Azure Storage REST API, "Operations on messages".

use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::front::Front;
use super::storage::{Asked, Operation, UNSUPPORTED, empty, http_date, op, set, small_body};
use super::{RequestBody, xml};
use crate::faults::Delivery;
use crate::storage::xml as parse_xml;
use crate::storage::{Level, MAX_MESSAGE_BYTES, Message, StorageError, StorageResult};

/// A message's text may be escaped, which makes it longer, but not without bound.
const MAX_DOCUMENT_BYTES: u64 = 8 * MAX_MESSAGE_BYTES as u64;

/// Deliveries of one message that a fault rule may ask for.
const MAX_COPIES: u32 = 100;

const WEEK: i64 = 7 * 24 * 3600;

/// What is asked of a queue's messages.
pub(super) fn operation(asked: &Asked) -> Operation {
    use Level::Object;
    let one = asked.item.strip_prefix("messages/").is_some_and(|id| !id.is_empty());
    match (asked.method.as_str(), asked.item.as_str()) {
        ("POST", "messages") => op("PutMessage", Object, "a", "a"),
        ("GET", "messages") if asked.query.get("peekonly") == Some("true") => {
            op("PeekMessages", Object, "r", "r")
        }
        ("GET", "messages") => op("GetMessages", Object, "p", "p"),
        ("DELETE", "messages") => op("ClearMessages", Object, "p", "d"),
        ("PUT", _) if one => op("UpdateMessage", Object, "u", "u"),
        ("DELETE", _) if one => op("DeleteMessage", Object, "p", "p"),
        _ => UNSUPPORTED,
    }
}

pub(super) async fn answer(
    front: &Front,
    operation: &str,
    asked: &Asked,
    (body, delivery): (&mut RequestBody, Delivery),
) -> StorageResult<Response<Body>> {
    let (storage, place) = (&front.storage, &asked.place);
    match operation {
        "PutMessage" => put(front, asked, body, delivery).await,
        "PeekMessages" => {
            let messages = storage.peek_messages(place, count(asked)?)?;
            Ok(list(StatusCode::OK, messages.iter().map(|message| entry(message, Shown::Peeked))))
        }
        "GetMessages" => {
            let hidden = seconds(asked.number("visibilitytimeout", 30, 1..=WEEK)?);
            let messages = storage.get_messages(place, count(asked)?, hidden)?;
            Ok(list(StatusCode::OK, messages.iter().map(|message| entry(message, Shown::Got))))
        }
        "ClearMessages" => storage.clear_messages(place).map(|()| empty(StatusCode::NO_CONTENT)),
        "DeleteMessage" => {
            storage.delete_message(place, message_id(asked), pop_receipt(asked)?)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => update(front, asked, body).await,
    }
}

async fn put(
    front: &Front,
    asked: &Asked,
    body: &mut RequestBody,
    delivery: Delivery,
) -> StorageResult<Response<Body>> {
    let text = message_text(body).await?.ok_or_else(StorageError::invalid_xml)?;
    let time_to_live = match asked.number("messagettl", WEEK, -1..=i64::MAX)? {
        -1 => Duration::MAX,
        0 => return Err(StorageError::invalid_query("messagettl")),
        given => seconds(given),
    };
    let hidden = seconds(asked.number("visibilitytimeout", 0, 0..=WEEK)?);
    let lost = delivery.times == 0;
    let hidden = if lost { seconds(WEEK) } else { hidden.saturating_add(delivery.first) };
    let message = front.storage.put_message(&asked.place, text.clone(), hidden, time_to_live)?;
    if lost {
        front.storage.delete_message(&asked.place, &message.id, &message.pop_receipt)?;
    }
    for copy in 1..delivery.times.min(MAX_COPIES) {
        let hidden = hidden.saturating_add(delivery.apart.saturating_mul(copy));
        front.storage.put_message(&asked.place, text.clone(), hidden, time_to_live)?;
    }
    Ok(list(StatusCode::CREATED, [entry(&message, Shown::Put)]))
}

async fn update(front: &Front, asked: &Asked, body: &mut RequestBody) -> StorageResult<Response<Body>> {
    let text = message_text(body).await?;
    if asked.query.get("visibilitytimeout").is_none() {
        return Err(StorageError::new(
            400,
            "MissingRequiredQueryParameter",
            "A query parameter that's mandatory for this request is not specified: visibilitytimeout.",
        ));
    }
    let hidden = seconds(asked.number("visibilitytimeout", 0, 0..=WEEK)?);
    let message =
        front.storage.update_message(&asked.place, message_id(asked), pop_receipt(asked)?, text, hidden)?;
    let mut response = empty(StatusCode::NO_CONTENT);
    set(&mut response, "x-ms-popreceipt", &message.pop_receipt);
    set(&mut response, "x-ms-time-next-visible", &http_date(message.visible));
    Ok(response)
}

/// `None` for a request without a body.
async fn message_text(body: &mut RequestBody) -> StorageResult<Option<String>> {
    let document = small_body(body, MAX_DOCUMENT_BYTES).await?;
    if document.is_empty() {
        return Ok(None);
    }
    let text = parse_xml::message_text(&document)?;
    if text.len() > MAX_MESSAGE_BYTES {
        return Err(StorageError::too_large(MAX_MESSAGE_BYTES as u64));
    }
    Ok(Some(text))
}

fn message_id(asked: &Asked) -> &str {
    asked.item.strip_prefix("messages/").unwrap_or_default()
}

fn pop_receipt(asked: &Asked) -> StorageResult<&str> {
    asked.query.get("popreceipt").ok_or_else(|| StorageError::invalid_query("popreceipt"))
}

fn count(asked: &Asked) -> StorageResult<usize> {
    Ok(usize::try_from(asked.number("numofmessages", 1, 1..=32)?).unwrap_or(1))
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.unsigned_abs())
}

/// Which parts of a message an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Put,
    Got,
    Peeked,
}

fn entry(message: &Message, shown: Shown) -> String {
    let mut fields = vec![
        ("MessageId", message.id.clone()),
        ("InsertionTime", http_date(message.inserted)),
        ("ExpirationTime", http_date(message.expires)),
    ];
    if shown != Shown::Peeked {
        fields.push(("PopReceipt", message.pop_receipt.clone()));
        fields.push(("TimeNextVisible", http_date(message.visible)));
    }
    if shown != Shown::Put {
        fields.push(("DequeueCount", message.dequeued.to_string()));
        fields.push(("MessageText", message.text.clone()));
    }
    let fields: String = fields.iter().map(|(name, text)| xml::element(name, text)).collect();
    format!("<QueueMessage>{fields}</QueueMessage>")
}

fn list(status: StatusCode, entries: impl IntoIterator<Item = String>) -> Response<Body> {
    let entries: String = entries.into_iter().collect();
    xml::response(status, &format!("<QueueMessagesList>{entries}</QueueMessagesList>"))
}
