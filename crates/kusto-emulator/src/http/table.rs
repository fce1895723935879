//! Table storage over HTTP, in JSON.
//!
//! Source: Azure Storage REST API, "Operations on entities" and "Payload format for Table service operations".

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::front::Front;
use super::storage::{Asked, Operation, UNSUPPORTED, empty, op, set, small_body};
use super::{RequestBody, json_response};
use crate::clock::seven_digits;
use crate::storage::{
    Change, Entity, Expect, Filter, Key, Level, MAX_ENTITY_BYTES, Right, StorageError, StorageResult, Wanted,
    is_moment,
};

/// The longest name of a property, in characters; and of what stands behind it for its type.
const MAX_PROPERTY_NAME: usize = 255;
const TYPE_SUFFIX: usize = "@odata.type".len();

/// Entities and tables in one answer: the limit of Table Storage.
const MAX_TOP: usize = 1000;

/// What is asked of entities.
pub(super) fn operation(asked: &Asked) -> Operation {
    use Level::Object;
    let any = asked.headers.contains_key("if-match");
    match (asked.method.as_str(), asked.item.as_str()) {
        ("POST", "" | "()") => op("InsertEntity", Object, "a", "a"),
        ("GET", "" | "()") => op("QueryEntities", Object, "r", "r"),
        (_, "" | "()") => UNSUPPORTED,
        ("GET", _) => op("GetEntity", Object, "r", "r"),
        ("DELETE", _) => op("DeleteEntity", Object, "d", "d"),
        ("MERGE" | "PATCH", _) if any => op("MergeEntity", Object, "u", "u"),
        ("MERGE" | "PATCH", _) => op("InsertOrMergeEntity", Object, "u", "u"),
        ("PUT", _) if any => op("UpdateEntity", Object, "u", "u"),
        ("PUT", _) => op("InsertOrReplaceEntity", Object, "u", "u"),
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
    match operation {
        "InsertEntity" => insert(front, asked, body, right).await,
        "QueryEntities" => query(front, asked, right),
        _ => {
            let key = key(&asked.item)?;
            right.range.require(&key.0, &key.1)?;
            match operation {
                "GetEntity" => get(front, asked, &key),
                "DeleteEntity" => delete(front, asked, &key),
                _ => update(front, operation, asked, body, key, right).await,
            }
        }
    }
}

async fn insert(
    front: &Front,
    asked: &Asked,
    body: &mut RequestBody,
    right: &Right,
) -> StorageResult<Response<Body>> {
    let (key, properties) = entity(body, None).await?;
    right.range.require(&key.0, &key.1)?;
    let entity =
        front.storage.change_entity(&asked.place, &key, properties, Change::Insert, &Expect::Whatever)?;
    let mut response = if no_content(asked) {
        nothing_shown()
    } else {
        shown(front, asked, &key, &entity, StatusCode::CREATED)
    };
    set(&mut response, "etag", &entity.etag());
    Ok(response)
}

/// Whether a client does not want to see what it has made.
pub(super) fn no_content(asked: &Asked) -> bool {
    asked.header("prefer").is_some_and(|prefer| prefer.contains("return-no-content"))
}

/// The answer to such a client.
pub(super) fn nothing_shown() -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    set(&mut response, "preference-applied", "return-no-content");
    response
}

fn query(front: &Front, asked: &Asked, right: &Right) -> StorageResult<Response<Body>> {
    let wanted = Wanted {
        filter: asked.query.filled("$filter").map(Filter::parse).transpose()?,
        from: continuation(asked)?,
        most: top(asked)?,
        range: right.range.clone(),
    };
    let found = front.storage.query_entities(&asked.place, &wanted)?;
    let level = level(asked);
    let selected = selected(asked);
    let value: Vec<_> = found
        .entities
        .iter()
        .map(|(key, entity)| Value::Object(properties(key, entity, level, selected.as_deref())))
        .collect();
    let mut document = Map::new();
    if level != "nometadata" {
        document.insert("odata.metadata".to_owned(), json!(metadata_url(front, asked)));
    }
    document.insert("value".to_owned(), Value::Array(value));
    let mut response = in_level(StatusCode::OK, level, Value::Object(document));
    if let Some((partition, row)) = found.next {
        set(&mut response, "x-ms-continuation-nextpartitionkey", &URL_SAFE_NO_PAD.encode(partition));
        set(&mut response, "x-ms-continuation-nextrowkey", &URL_SAFE_NO_PAD.encode(row));
    }
    Ok(response)
}

/// Where an earlier answer told the client to go on.
fn continuation(asked: &Asked) -> StorageResult<Option<Key>> {
    let decode = |name: &str| -> StorageResult<Option<String>> {
        let Some(given) = asked.query.filled(name) else { return Ok(None) };
        let decoded = URL_SAFE_NO_PAD.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        decoded.map(Some).ok_or_else(|| StorageError::invalid_query(name))
    };
    let row = decode("nextrowkey")?.unwrap_or_default();
    Ok(decode("nextpartitionkey")?.map(|partition| (partition, row)))
}

/// `$top`: entities in one answer, 1,000 at most.
pub(super) fn top(asked: &Asked) -> StorageResult<usize> {
    let given = asked.query.number("$top");
    match given {
        None => Ok(MAX_TOP),
        Some(Ok(most)) if most > 0 => Ok(usize::try_from(most).map_or(MAX_TOP, |most| most.min(MAX_TOP))),
        Some(_) => Err(StorageError::invalid_input("$top is not a whole number above 0.")),
    }
}

/// `$select`; `None` for all properties.
fn selected(asked: &Asked) -> Option<Vec<&str>> {
    let given = asked.query.filled("$select").filter(|given| given.trim() != "*")?;
    Some(given.split(',').map(str::trim).collect())
}

fn get(front: &Front, asked: &Asked, key: &Key) -> StorageResult<Response<Body>> {
    let entity = front.storage.entity(&asked.place, key)?;
    let mut response = shown(front, asked, key, &entity, StatusCode::OK);
    set(&mut response, "etag", &entity.etag());
    Ok(response)
}

async fn update(
    front: &Front,
    operation: &str,
    asked: &Asked,
    body: &mut RequestBody,
    key: Key,
    right: &Right,
) -> StorageResult<Response<Body>> {
    if operation.starts_with("InsertOr") {
        right.require("a")?;
    }
    let (key, properties) = entity(body, Some(key)).await?;
    let change = if operation.contains("Merge") { Change::Merge } else { Change::Replace };
    let entity = front.storage.change_entity(&asked.place, &key, properties, change, &expect(asked))?;
    let mut response = empty(StatusCode::NO_CONTENT);
    set(&mut response, "etag", &entity.etag());
    Ok(response)
}

fn delete(front: &Front, asked: &Asked, key: &Key) -> StorageResult<Response<Body>> {
    let expect = match expect(asked) {
        Expect::Whatever => return Err(StorageError::missing_header("If-Match")),
        expect => expect,
    };
    front.storage.delete_entity(&asked.place, key, &expect)?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn expect(asked: &Asked) -> Expect {
    match asked.header("if-match") {
        None => Expect::Whatever,
        Some("*") => Expect::Something,
        Some(etag) => Expect::Etag(etag.to_owned()),
    }
}

/// The body's properties without keys and time; `key` from the address stands where there is one.
async fn entity(body: &mut RequestBody, key: Option<Key>) -> StorageResult<(Key, Map<String, Value>)> {
    let bytes = small_body(body, MAX_ENTITY_BYTES).await?;
    let Ok(Value::Object(mut properties)) = serde_json::from_slice(&bytes) else {
        return Err(StorageError::invalid_input("The entity is not a JSON object."));
    };
    let mut part = |name: &str| match properties.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let in_body = part("PartitionKey").zip(part("RowKey"));
    let missing = || {
        StorageError::new(
            400,
            "PropertiesNeedValue",
            "The values are not specified for all properties in the entity.",
        )
    };
    let key = key.or(in_body).ok_or_else(missing)?;
    check_key("PartitionKey", &key.0)?;
    check_key("RowKey", &key.1)?;
    if properties.len() > 2 * 252 {
        return Err(StorageError::new(
            400,
            "TooManyProperties",
            "The entity contains more properties than allowed (252).",
        ));
    }
    let own =
        |name: &String| name == "Timestamp" || name.starts_with("Timestamp@") || name.starts_with("odata.");
    properties.retain(|name, value| !own(name) && !value.is_null());
    properties.iter().try_for_each(|(name, value)| check_property(name, value, &properties))?;
    Ok((key, properties))
}

/// A property is a plain value, of the type that stands beside it.
fn check_property(name: &str, value: &Value, all: &Map<String, Value>) -> StorageResult<()> {
    let text = value.as_str();
    let fine = match all.get(&format!("{name}@odata.type")).and_then(Value::as_str) {
        None => !value.is_array() && !value.is_object(),
        Some("Edm.String") => text.is_some(),
        Some("Edm.Boolean") => value.is_boolean(),
        Some("Edm.Int32") => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        Some("Edm.Int64") => text.is_some_and(|text| text.parse::<i64>().is_ok()),
        Some("Edm.Double") => value.is_number() || matches!(text, Some("NaN" | "Infinity" | "-Infinity")),
        Some("Edm.DateTime") => text.is_some_and(is_moment),
        Some("Edm.Guid") => text.is_some_and(|text| text.parse::<uuid::Uuid>().is_ok()),
        Some("Edm.Binary") => text.is_some_and(|text| STANDARD.decode(text).is_ok()),
        Some(_) => false,
    };
    if name.chars().count() > MAX_PROPERTY_NAME + TYPE_SUFFIX {
        return Err(StorageError::new(
            400,
            "PropertyNameTooLong",
            "The property name exceeds the maximum allowed length.",
        ));
    }
    if fine {
        return Ok(());
    }
    Err(StorageError::invalid_input(format!("The value of the property '{name}' is not of its type.")))
}

/// Keys hold none of the signs that mean something in an address, and no controls; 1 KiB at most.
///
/// Source: Azure Storage REST API, "Understanding the Table service data model".
fn check_key(name: &str, value: &str) -> StorageResult<()> {
    let odd = |c: char| matches!(c, '/' | '\\' | '#' | '?') || c.is_control();
    if value.contains(odd) || value.len() > 1024 {
        let message = format!("The '{name}' parameter of value '{value}' is out of range.");
        return Err(StorageError::new(400, "OutOfRangeInput", message));
    }
    Ok(())
}

/// Reads `(PartitionKey='..',RowKey='..')`, in either order; a quote in a key is doubled.
fn key(text: &str) -> StorageResult<Key> {
    let invalid =
        || StorageError::invalid_input("The key predicate of the entity's address is not understood.");
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).ok_or_else(invalid)?;
    let (mut partition, mut row, mut rest) = (None, None, inner);
    while !rest.is_empty() {
        let (name, value) = rest.split_once("='").ok_or_else(invalid)?;
        let (value, behind) = quoted(value).ok_or_else(invalid)?;
        match name.trim() {
            "PartitionKey" => partition = Some(value),
            "RowKey" => row = Some(value),
            _ => return Err(invalid()),
        }
        rest = behind.trim_start_matches([',', ' ']);
    }
    partition.zip(row).ok_or_else(invalid)
}

/// A text up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('\'')?;
        value.push_str(part);
        match behind.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, behind)),
        }
    }
}

/// How much about its data an answer says: none, minimal or full.
pub(super) fn level(asked: &Asked) -> &'static str {
    let accept = asked.header("accept").unwrap_or_default();
    let level = ["nometadata", "fullmetadata"].into_iter().find(|level| accept.contains(level));
    level.unwrap_or("minimalmetadata")
}

fn metadata_url(front: &Front, asked: &Asked) -> String {
    format!("{}/{}/$metadata#{}", front.table_base, asked.place.account, asked.place.resource)
}

/// An entity as an answer.
fn shown(front: &Front, asked: &Asked, key: &Key, entity: &Entity, status: StatusCode) -> Response<Body> {
    let level = level(asked);
    let mut document = Map::new();
    if level != "nometadata" {
        let context = format!("{}/@Element", metadata_url(front, asked));
        document.insert("odata.metadata".to_owned(), json!(context));
    }
    document.extend(properties(key, entity, level, selected(asked).as_deref()));
    in_level(status, level, Value::Object(document))
}

/// An entity's properties, keys and time included; all or those that were selected.
fn properties(key: &Key, entity: &Entity, level: &str, selected: Option<&[&str]>) -> Map<String, Value> {
    let wanted = |name: &str| selected.is_none_or(|selected| selected.contains(&name));
    let mut shown = Map::new();
    if level != "nometadata" {
        shown.insert("odata.etag".to_owned(), json!(entity.etag()));
    }
    let own = [
        ("PartitionKey", key.0.clone()),
        ("RowKey", key.1.clone()),
        ("Timestamp", seven_digits(entity.modified)),
    ];
    for (name, value) in own.into_iter().filter(|(name, _)| wanted(name)) {
        if name == "Timestamp" && level == "fullmetadata" {
            shown.insert("Timestamp@odata.type".to_owned(), json!("Edm.DateTime"));
        }
        shown.insert(name.to_owned(), json!(value));
    }
    for (name, value) in &entity.properties {
        let (property, is_type) = match name.strip_suffix("@odata.type") {
            Some(property) => (property, true),
            None => (name.as_str(), false),
        };
        if wanted(property) && !(is_type && level == "nometadata") {
            shown.insert(name.clone(), value.clone());
        }
    }
    shown
}

/// A document with the content type of its level.
pub(super) fn in_level(status: StatusCode, level: &str, document: Value) -> Response<Body> {
    let mut response = json_response(status, document.to_string());
    let kind = format!("application/json;odata={level};streaming=true;charset=utf-8");
    set(&mut response, "content-type", &kind);
    response
}

/// An error as table storage says it.
pub(super) fn refused(error: &StorageError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let message = match &error.detail {
        Some(detail) => format!("{}\n{detail}", error.message),
        None => error.message.clone(),
    };
    let body = json!({"odata.error": {"code": error.code, "message": {"lang": "en-US", "value": message}}});
    let mut response = json_response(status, body.to_string());
    set(&mut response, "x-ms-error-code", error.code);
    response
}
