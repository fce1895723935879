//! Table storage over HTTP, in JSON.
//!
//! Source: Azure Storage REST API, "Operations on entities" and "Payload format for Table service operations".

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::front::Front;
use super::storage::{Asked, empty, set, small_body};
use super::{RequestBody, json_response};
use crate::clock::seven_digits;
use crate::storage::{
    Change, Entity, Expect, Key, MAX_ENTITY_BYTES, Permissions, Service, StorageError, StorageResult, Target,
};

/// The name of what is asked, as the REST API calls it.
pub(super) fn operation(asked: &Asked) -> &'static str {
    let any = asked.headers.contains_key("if-match");
    match (asked.method.as_str(), asked.item.as_str()) {
        ("POST", "" | "()") => "InsertEntity",
        (_, "" | "()") => "Unsupported",
        ("GET", _) => "GetEntity",
        ("DELETE", _) => "DeleteEntity",
        ("MERGE" | "PATCH", _) if any => "MergeEntity",
        ("MERGE" | "PATCH", _) => "InsertOrMergeEntity",
        ("PUT", _) if any => "UpdateEntity",
        ("PUT", _) => "InsertOrReplaceEntity",
        _ => "Unsupported",
    }
}

pub(super) async fn answer(
    front: &Front,
    operation: &str,
    asked: &Asked,
    body: &mut RequestBody,
) -> StorageResult<Response<Body>> {
    match operation {
        "InsertEntity" => insert(front, asked, body).await,
        "Unsupported" => {
            Err(StorageError::unsupported(&format!("{} of a table with this path", asked.method)))
        }
        _ => {
            let key = key(&asked.item)?;
            let permissions = authorise(front, asked, &key)?;
            match operation {
                "GetEntity" => get(front, asked, &key, &permissions),
                "DeleteEntity" => delete(front, asked, &key, &permissions),
                _ => update(front, operation, asked, body, key, &permissions).await,
            }
        }
    }
}

fn authorise(front: &Front, asked: &Asked, key: &Key) -> StorageResult<Permissions> {
    let target = Target {
        service: Service::Table,
        account: &asked.place.account,
        resource: &asked.place.resource,
        item: None,
        keys: Some((&key.0, &key.1)),
    };
    front.storage.authorise(target, &asked.query)
}

async fn insert(front: &Front, asked: &Asked, body: &mut RequestBody) -> StorageResult<Response<Body>> {
    // The keys stand in the body: the signature is checked before the body is believed, and again with the keys.
    authorise(front, asked, &Key::default()).or_else(|error| match error.code {
        "AuthorizationPermissionMismatch" => Ok(Permissions::all()),
        _ => Err(error),
    })?;
    let (key, properties) = entity(body, None).await?;
    authorise(front, asked, &key)?.require("a")?;
    let entity =
        front.storage.change_entity(&asked.place, &key, properties, Change::Insert, &Expect::Whatever)?;
    let no_content = asked.header("prefer").is_some_and(|prefer| prefer.contains("return-no-content"));
    let mut response = if no_content {
        let mut response = empty(StatusCode::NO_CONTENT);
        set(&mut response, "preference-applied", "return-no-content");
        response
    } else {
        shown(front, asked, &key, &entity, StatusCode::CREATED)
    };
    set(&mut response, "etag", &entity.etag());
    Ok(response)
}

fn get(front: &Front, asked: &Asked, key: &Key, permissions: &Permissions) -> StorageResult<Response<Body>> {
    permissions.require("r")?;
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
    permissions: &Permissions,
) -> StorageResult<Response<Body>> {
    permissions.require("u")?;
    if operation.starts_with("InsertOr") {
        permissions.require("a")?;
    }
    let (key, properties) = entity(body, Some(key)).await?;
    let change = if operation.contains("Merge") { Change::Merge } else { Change::Replace };
    let entity = front.storage.change_entity(&asked.place, &key, properties, change, &expect(asked))?;
    let mut response = empty(StatusCode::NO_CONTENT);
    set(&mut response, "etag", &entity.etag());
    Ok(response)
}

fn delete(
    front: &Front,
    asked: &Asked,
    key: &Key,
    permissions: &Permissions,
) -> StorageResult<Response<Body>> {
    permissions.require("d")?;
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
    Ok((key, properties))
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

/// An entity at the level of metadata that `Accept` asks for: none, minimal or full.
fn shown(front: &Front, asked: &Asked, key: &Key, entity: &Entity, status: StatusCode) -> Response<Body> {
    let accept = asked.header("accept").unwrap_or_default();
    let level = ["nometadata", "fullmetadata"].into_iter().find(|level| accept.contains(level));
    let level = level.unwrap_or("minimalmetadata");
    let mut shown = Map::new();
    if level != "nometadata" {
        let place = &asked.place;
        let context = format!("{}/{}/$metadata#{}/@Element", front.base, place.account, place.resource);
        shown.insert("odata.metadata".to_owned(), json!(context));
        shown.insert("odata.etag".to_owned(), json!(entity.etag()));
    }
    shown.insert("PartitionKey".to_owned(), json!(key.0));
    shown.insert("RowKey".to_owned(), json!(key.1));
    shown.insert("Timestamp".to_owned(), json!(seven_digits(entity.modified)));
    let typed = |name: &String| name.ends_with("@odata.type");
    let kept = entity.properties.iter().filter(|(name, _)| level != "nometadata" || !typed(name));
    shown.extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    let mut response = json_response(status, Value::Object(shown).to_string());
    set(
        &mut response,
        "content-type",
        &format!("application/json;odata={level};streaming=true;charset=utf-8"),
    );
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
