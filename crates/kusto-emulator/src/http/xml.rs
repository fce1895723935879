//! The XML that blob and queue storage answer; what they are sent is read in `storage/xml.rs`.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use quick_xml::escape::escape;

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";

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
