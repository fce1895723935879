//! What is asked of an account's service as a whole: its list, its properties.
//!
//! Source: Azure Storage REST API, "List Containers", "List Queues", "Get Account Information" and "Get Blob Service
//! Properties". Properties cannot be set: there is no logging, no analytics, no CORS and no soft delete to switch on.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::about::{includes, list, metadata_element, name_element, part};
use super::front::Front;
use super::storage::{Asked, Operation, UNSUPPORTED, empty, http_date, op, set};
use super::xml;
use crate::storage::{About, Level, Service, StorageResult};

/// What is asked of a whole account.
pub(super) fn operation(service: Service, asked: &Asked) -> Operation {
    use Level::Service as Whole;
    let (comp, kind) = (asked.query.get("comp"), asked.query.get("restype"));
    match (asked.method.as_str(), comp, kind, service) {
        ("GET", Some("list"), None, Service::Blob) => op("ListContainers", Whole, "", "l"),
        ("GET", Some("list"), None, Service::Queue) => op("ListQueues", Whole, "", "l"),
        ("GET", Some("properties"), Some("service"), Service::Blob) => {
            op("GetBlobServiceProperties", Whole, "", "r")
        }
        ("GET", Some("properties"), Some("service"), Service::Queue) => {
            op("GetQueueServiceProperties", Whole, "", "r")
        }
        ("GET", Some("properties"), Some("service"), Service::Table) => {
            op("GetTableServiceProperties", Whole, "", "r")
        }
        ("GET" | "HEAD", Some("properties"), Some("account"), Service::Blob) => {
            op("GetAccountInformation", Whole, "", "racwdlup")
        }
        _ => UNSUPPORTED,
    }
}

pub(super) fn answer(
    front: &Front,
    operation: &str,
    service: Service,
    asked: &Asked,
) -> StorageResult<Response<Body>> {
    match operation {
        "ListContainers" | "ListQueues" => names(front, service, asked),
        "GetAccountInformation" => {
            let mut response = empty(StatusCode::OK);
            set(&mut response, "x-ms-sku-name", "Standard_LRS");
            set(&mut response, "x-ms-account-kind", "StorageV2");
            set(&mut response, "x-ms-is-hns-enabled", "false");
            Ok(response)
        }
        _ => Ok(xml::response(StatusCode::OK, PROPERTIES)),
    }
}

/// Nothing is logged, measured or shared.
const PROPERTIES: &str = "<StorageServiceProperties><Logging><Version>1.0</Version><Delete>false</Delete>\
    <Read>false</Read><Write>false</Write><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>\
    <HourMetrics><Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy><Enabled>false</Enabled>\
    </RetentionPolicy></HourMetrics><MinuteMetrics><Version>1.0</Version><Enabled>false</Enabled>\
    <RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></MinuteMetrics><Cors/></StorageServiceProperties>";

fn names(front: &Front, service: Service, asked: &Asked) -> StorageResult<Response<Body>> {
    let (part, _) = part(asked)?;
    let page = front.storage.list(service, &asked.place.account, &part);
    let with_metadata = includes(asked, "metadata");
    let entry = |(name, about): &(String, About)| {
        let metadata = if with_metadata { metadata_element(&about.metadata) } else { String::new() };
        match service {
            Service::Blob => {
                format!("<Container>{}{}{metadata}</Container>", name_element(name), container(about))
            }
            Service::Queue | Service::Table => format!("<Queue>{}{metadata}</Queue>", name_element(name)),
        }
    };
    let entries: String = page.items.iter().map(entry).collect();
    let (around, base) = match service {
        Service::Blob => ("Containers", &front.blob_base),
        Service::Queue | Service::Table => ("Queues", &front.queue_base),
    };
    list(asked, base, "", &format!("<{around}>{entries}</{around}>"), page.next.as_deref())
}

fn container(about: &About) -> String {
    let fields = [
        ("Last-Modified", http_date(about.modified).as_str().to_owned()),
        ("Etag", about.etag.trim_matches('"').to_owned()),
        ("LeaseStatus", "unlocked".to_owned()),
        ("LeaseState", "available".to_owned()),
        ("HasImmutabilityPolicy", "false".to_owned()),
        ("HasLegalHold", "false".to_owned()),
    ];
    let fields: String = fields.iter().map(|(name, text)| xml::element(name, text)).collect();
    format!("<Properties>{fields}</Properties>")
}
