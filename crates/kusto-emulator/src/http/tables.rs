//! Tables as such over HTTP: the collection `Tables`, and stored access policies.
//!
//! Source: Azure Storage REST API, "Operations on tables".

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::RequestBody;
use super::about::{given_policies, policies};
use super::front::Front;
use super::storage::{Asked, Operation, UNSUPPORTED, empty, op, set, small_body};
use super::table::{in_level, level, no_content, nothing_shown, top};
use crate::storage::{
    About, Conditions, Entity, Filter, Level, Metadata, Part, Place, Service, StorageError, StorageResult,
};

/// The largest document that names a table.
const MAX_BYTES: u64 = 64 * 1024;

/// Whether a request is about tables and not about entities.
pub(super) fn is_about(asked: &Asked) -> bool {
    asked.place.resource == "Tables"
        || asked.query.get("comp").is_some()
        || asked.place.resource.starts_with('$')
}

/// What is asked of tables.
pub(super) fn operation(asked: &Asked) -> Operation {
    use Level::Container;
    let all = asked.place.resource == "Tables";
    match (asked.method.as_str(), asked.item.as_str(), asked.query.get("comp")) {
        ("GET", "" | "()", None) if all => op("QueryTables", Container, "", "l"),
        ("POST", "" | "()", None) if all => op("CreateTable", Container, "", "cw"),
        ("DELETE", _, None) if all => op("DeleteTable", Container, "", "d"),
        ("GET" | "HEAD", "", Some("acl")) => op("GetTableAcl", Container, "", ""),
        ("PUT", "", Some("acl")) => op("SetTableAcl", Container, "", ""),
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
    match operation {
        "QueryTables" => list(front, asked),
        "CreateTable" => create(front, asked, body).await,
        "DeleteTable" => {
            let table = storage.table_by_any_case(Place::new(&place.account, quoted_name(&asked.item)?));
            storage.delete(&table, Service::Table, &Conditions::default())?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "SetTableAcl" => {
            let policies = given_policies(body).await?;
            let change = |about: &mut About| about.policies = policies;
            storage.describe(place, Service::Table, &Conditions::default(), change)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Ok(policies(&storage.about(place, Service::Table)?)),
    }
}

async fn create(front: &Front, asked: &Asked, body: &mut RequestBody) -> StorageResult<Response<Body>> {
    let document: Value = serde_json::from_slice(&small_body(body, MAX_BYTES).await?).unwrap_or_default();
    let name = document["TableName"].as_str();
    let name = name.ok_or_else(|| StorageError::invalid_input("The document has no TableName."))?;
    front.storage.create_new(&Place::new(&asked.place.account, name), Service::Table, Metadata::new())?;
    if no_content(asked) {
        return Ok(nothing_shown());
    }
    let level = level(asked);
    let mut document = entry(front, asked, level, name);
    if level != "nometadata" {
        let context = format!("{}/{}/$metadata#Tables/@Element", front.table_base, asked.place.account);
        document.insert("odata.metadata".to_owned(), json!(context));
    }
    Ok(in_level(StatusCode::CREATED, level, Value::Object(document)))
}

/// A filter of tables knows one property, `TableName`.
fn list(front: &Front, asked: &Asked) -> StorageResult<Response<Body>> {
    let filter = asked.query.filled("$filter").map(Filter::parse).transpose()?;
    let from = asked.query.get("nexttablename").unwrap_or_default().to_owned();
    let all = Part { prefix: String::new(), from, most: usize::MAX };
    let names = front.storage.list(Service::Table, &asked.place.account, &all).items;
    let wanted =
        |name: &String| filter.as_ref().is_none_or(|filter| filter.accepts(&key(), &as_entity(name)));
    let mut names = names.into_iter().map(|(name, _)| name).filter(wanted);
    let level = level(asked);
    let value: Vec<_> = names
        .by_ref()
        .take(top(asked)?)
        .map(|name| Value::Object(entry(front, asked, level, &name)))
        .collect();
    let mut document = Map::new();
    if level != "nometadata" {
        let context = format!("{}/{}/$metadata#Tables", front.table_base, asked.place.account);
        document.insert("odata.metadata".to_owned(), json!(context));
    }
    document.insert("value".to_owned(), Value::Array(value));
    let mut response = in_level(StatusCode::OK, level, Value::Object(document));
    if let Some(next) = names.next() {
        set(&mut response, "x-ms-continuation-nexttablename", &next);
    }
    Ok(response)
}

fn key() -> (String, String) {
    (String::new(), String::new())
}

fn as_entity(name: &str) -> Entity {
    let properties = [("TableName".to_owned(), json!(name))].into_iter().collect();
    Entity { properties, modified: jiff::Timestamp::UNIX_EPOCH }
}

fn entry(front: &Front, asked: &Asked, level: &str, name: &str) -> Map<String, Value> {
    let mut entry = Map::new();
    if level == "fullmetadata" {
        let account = &asked.place.account;
        let id = format!("Tables('{name}')");
        entry.insert("odata.type".to_owned(), json!(format!("{account}.Tables")));
        entry.insert("odata.id".to_owned(), json!(format!("{}/{account}/{id}", front.table_base)));
        entry.insert("odata.editLink".to_owned(), json!(id));
    }
    entry.insert("TableName".to_owned(), json!(name));
    entry
}

/// The name in `('name')`.
fn quoted_name(item: &str) -> StorageResult<&str> {
    let inner = item.strip_prefix("('").and_then(|rest| rest.strip_suffix("')"));
    inner.ok_or_else(|| StorageError::invalid_input("The table's name in the address is not understood."))
}
