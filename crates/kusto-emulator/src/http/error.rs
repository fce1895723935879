//! Errors of the cluster's own endpoints: the service's "OneApi" JSON with the headers that go with it.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{RequestIds, json_response};
use crate::clock::seven_digits;
use crate::engine::EngineError;

/// The error body of `response-v2.md`, section "OneApi errors".
pub(super) fn one_api(error: &EngineError, ids: &RequestIds, now: Timestamp) -> Json {
    let activity = ids.activity.to_string();
    let mut body = json!({
        "code": error.code,
        "message": error.message,
        "@type": error.exception,
        "@message": error.detail,
        "@context": {
            "timestamp": seven_digits(now),
            "serviceAlias": "EMULATOR",
            "machineName": "KEngine000000",
            "processName": "kusto-emulator",
            "processId": std::process::id(),
            "clientRequestId": ids.client,
            "activityId": activity,
            "subActivityId": activity,
            "activityType": "DN.FE.ExecuteRequest",
            "parentActivityId": activity,
            "activityStack": "",
        },
        "@permanent": error.permanent,
    });
    if let Some(inner) = &error.inner {
        body["innererror"] = json!({
            "code": inner.code,
            "message": inner.message,
            "@type": inner.exception,
            "@message": inner.message,
            "@permanent": error.permanent,
        });
    }
    json!({ "error": body })
}

/// The error as an answer.
pub(super) fn answer(error: &EngineError, ids: &RequestIds, now: Timestamp) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, one_api(error, ids, now).to_string());
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// 404 for a path that the cluster does not have.
pub(super) fn unknown_path(path: &str) -> EngineError {
    EngineError {
        status: 404,
        code: "NotFound",
        message: "The requested resource was not found.",
        detail: format!("There is no endpoint '{path}'."),
        ..EngineError::bad_request("")
    }
}

/// 401 for a request without a usable token.
pub(super) fn unauthorized(why: &str) -> EngineError {
    EngineError {
        status: 401,
        code: "Unauthorized",
        message: "The request is not signed in.",
        exception: "Kusto.Data.Exceptions.KustoUnauthorizedRequestException",
        detail: why.to_owned(),
        ..EngineError::bad_request("")
    }
}

/// 413 for a body above the limit.
pub(super) fn too_large(limit: usize) -> EngineError {
    EngineError {
        status: 413,
        code: "PayloadTooLarge",
        message: "The request is too large.",
        exception: "Kusto.Data.Exceptions.KustoRequestPayloadTooLargeException",
        detail: format!("The request's body is larger than {limit} bytes."),
        ..EngineError::bad_request("")
    }
}
