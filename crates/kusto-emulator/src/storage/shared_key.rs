//! Requests signed with the account's key: header `Authorization: SharedKey account:signature` or `SharedKeyLite`.
//!
//! The signature is an HMAC-SHA256 over the method, some headers and the path with its query. Blob and queue storage sign
//! more than table storage, and the lite forms less. Source: Azure Storage REST API, "Authorize with Shared Key".
//!
//! The same text is made to sign requests to other storage ([`authorization`]) and to check those that come here
//! ([`check`]); the path is the one that was sent, so that account, path and encoding need no interpretation.

use std::fmt::Write as _;

use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use jiff::Timestamp;

use super::access::{Claim, Target};
use super::error::{StorageError, StorageResult};
use super::query::Query;
use super::sas::{Service, mac};

/// How far a request's date may be from now: 15 minutes, as in the service.
const MAX_SKEW_SECONDS: i64 = 15 * 60;

/// From this version on an empty body has no length in the signed text.
const EMPTY_LENGTH_SINCE: &str = "2015-02-21";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Full,
    Lite,
}

/// Checks the header `Authorization` of a request.
///
/// # Errors
/// 403 `AuthenticationFailed` with the reason, 400 `InvalidAuthenticationInfo` for another scheme or form.
pub(super) fn check(claim: &Claim<'_>, key: &[u8], now: Timestamp) -> StorageResult<()> {
    let given = text(claim.headers, "authorization");
    let malformed = |why: &str| {
        let message = "Authentication information is not given in the correct format. Check the value of Authorization header.";
        StorageError {
            detail: Some(why.to_owned()),
            ..StorageError::new(400, "InvalidAuthenticationInfo", message)
        }
    };
    let (scheme, credential) = given.split_once(' ').ok_or_else(|| malformed("There is no scheme."))?;
    let scheme = match scheme {
        "SharedKey" => Scheme::Full,
        "SharedKeyLite" => Scheme::Lite,
        _ => {
            return Err(malformed(
                "The emulator's storage knows SharedKey and SharedKeyLite; tokens are not taken.",
            ));
        }
    };
    let (account, signature) = credential
        .trim()
        .split_once(':')
        .ok_or_else(|| malformed("It is not of the form account:signature."))?;
    if account != claim.target.account {
        return Err(malformed("The account is another than the one in the address."));
    }
    check_date(claim.headers, now)?;
    let signed =
        Signed { method: claim.method, path: claim.path, query: claim.query, headers: claim.headers };
    let text = signed.text(scheme, claim.target);
    let decoded = STANDARD.decode(signature).unwrap_or_default();
    mac(key, &text).verify_slice(&decoded).map_err(|_| {
        StorageError::authentication_failed(format!(
            "The MAC signature found in the HTTP request is not the same as any computed signature. Server used \
             following string to sign: '{text}'."
        ))
    })
}

/// The value of `Authorization` for a request to other storage, whose headers are complete.
pub(super) fn authorization(
    target: Target<'_>,
    key: &[u8],
    method: &Method,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
) -> String {
    let text = Signed { method, path, query, headers }.text(Scheme::Full, target);
    let signature = STANDARD.encode(mac(key, &text).finalize().into_bytes());
    format!("SharedKey {}:{signature}", target.account)
}

fn check_date(headers: &HeaderMap, now: Timestamp) -> StorageResult<()> {
    let given = date(headers);
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(given);
    let Ok(date) = parsed else {
        return Err(StorageError::authentication_failed(format!(
            "The Date header '{given}' is missing or not valid."
        )));
    };
    if (date.as_second() - now.as_second()).abs() > MAX_SKEW_SECONDS {
        return Err(StorageError::authentication_failed(format!(
            "Request date header too old: '{given}'. The emulator's clock says {now:.0}."
        )));
    }
    Ok(())
}

/// The date that a request was signed with.
fn date(headers: &HeaderMap) -> &str {
    match text(headers, "x-ms-date") {
        "" => text(headers, "date"),
        given => given,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What is signed.
struct Signed<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a Query,
    headers: &'a HeaderMap,
}

impl Signed<'_> {
    fn text(&self, scheme: Scheme, target: Target<'_>) -> String {
        let header = |name: &str| text(self.headers, name);
        let (method, md5, kind) = (self.method.as_str(), header("content-md5"), header("content-type"));
        let date = date(self.headers);
        let resource = self.resource(scheme, target);
        match (target.service, scheme) {
            (Service::Table, Scheme::Lite) => format!("{date}\n{resource}"),
            (Service::Table, Scheme::Full) => format!("{method}\n{md5}\n{kind}\n{date}\n{resource}"),
            (_, Scheme::Lite) => {
                let date = if header("x-ms-date").is_empty() { date } else { "" };
                format!("{method}\n{md5}\n{kind}\n{date}\n{}{resource}", self.own_headers())
            }
            (_, Scheme::Full) => {
                let date = if header("x-ms-date").is_empty() { date } else { "" };
                let length = match header("content-length") {
                    "0" if header("x-ms-version") >= EMPTY_LENGTH_SINCE => "",
                    length => length,
                };
                let mut fields = vec![
                    method,
                    header("content-encoding"),
                    header("content-language"),
                    length,
                    md5,
                    kind,
                    date,
                ];
                let conditions =
                    ["if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"];
                fields.extend(conditions.map(header));
                format!("{}\n{}{resource}", fields.join("\n"), self.own_headers())
            }
        }
    }

    /// All `x-ms-` headers, sorted, one a line.
    fn own_headers(&self) -> String {
        let mut own: Vec<(&str, String)> = Vec::new();
        for name in self.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("x-ms-")) {
            let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            own.push((name, values.map(str::trim).collect::<Vec<_>>().join(",")));
        }
        own.sort();
        own.into_iter().fold(String::new(), |mut all, (name, value)| {
            let _ = writeln!(all, "{name}:{value}");
            all
        })
    }

    /// The path behind the account's name, with the query: all of it, or only `comp`.
    fn resource(&self, scheme: Scheme, target: Target<'_>) -> String {
        let mut resource = format!("/{}{}", target.account, self.path);
        if target.service == Service::Table || scheme == Scheme::Lite {
            if let Some(comp) = self.query.get("comp") {
                let _ = write!(resource, "?comp={comp}");
            }
            return resource;
        }
        for (name, values) in self.query.sorted() {
            let _ = write!(resource, "\n{name}:{}", values.join(","));
        }
        resource
    }
}

#[cfg(test)]
mod tests;
