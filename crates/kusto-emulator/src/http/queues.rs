//! Queues as such over HTTP.
//!
//! Source: Azure Storage REST API, "Operations on queues".

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::RequestBody;
use super::about::{given_policies, metadata, policies, show_metadata};
use super::front::Front;
use super::storage::{Asked, Operation, UNSUPPORTED, empty, op, set};
use crate::storage::{About, Conditions, Level, Service, StorageResult};

/// What is asked of a queue.
pub(super) fn operation(asked: &Asked) -> Operation {
    use Level::Container;
    match (asked.method.as_str(), asked.query.get("comp")) {
        ("PUT", None) => op("CreateQueue", Container, "", "cw"),
        ("DELETE", None) => op("DeleteQueue", Container, "", "d"),
        ("GET" | "HEAD", Some("metadata")) => op("GetQueueMetadata", Container, "r", "r"),
        ("PUT", Some("metadata")) => op("SetQueueMetadata", Container, "", "w"),
        ("GET" | "HEAD", Some("acl")) => op("GetQueueAcl", Container, "", ""),
        ("PUT", Some("acl")) => op("SetQueueAcl", Container, "", ""),
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
    let unconditional = Conditions::default();
    match operation {
        "CreateQueue" => {
            let new = storage.create_new(place, Service::Queue, metadata(&asked.headers)?)?;
            Ok(empty(if new { StatusCode::CREATED } else { StatusCode::NO_CONTENT }))
        }
        "DeleteQueue" => {
            storage.delete(place, Service::Queue, &unconditional)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "SetQueueMetadata" => {
            let metadata = metadata(&asked.headers)?;
            let change = |about: &mut About| about.metadata = metadata;
            storage.describe(place, Service::Queue, &unconditional, change)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "SetQueueAcl" => {
            let policies = given_policies(body).await?;
            let change = |about: &mut About| about.policies = policies;
            storage.describe(place, Service::Queue, &unconditional, change)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "GetQueueAcl" => Ok(policies(&storage.about(place, Service::Queue)?)),
        _ => {
            let about = storage.about(place, Service::Queue)?;
            let mut response = empty(StatusCode::OK);
            show_metadata(&mut response, &about.metadata);
            let count = storage.message_count(place)?.to_string();
            set(&mut response, "x-ms-approximate-messages-count", &count);
            Ok(response)
        }
    }
}
