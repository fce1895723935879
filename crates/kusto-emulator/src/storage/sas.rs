//! Shared access signatures: made as Azure makes them, and checked as strictly.
//!
//! A service SAS signs one container, blob, queue or table, an account SAS whole services of an account. Both are an
//! HMAC-SHA256 over a text of fields joined by newlines, under the account's key. Which fields stand in the text depends
//! on the version `sv`. Sources: Azure Storage REST API, "Create a service SAS" and "Create an account SAS".
//!
//! Stored access policies (`si`) and user delegation keys (`skoid`) are not modelled: such a SAS is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::error::{StorageError, StorageResult};
use super::query::Query;

/// The version that the emulator signs with.
pub(crate) const VERSION: &str = "2022-11-02";

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which of the three storage services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Service {
    Blob,
    Queue,
    Table,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Queue => "queue",
            Self::Table => "table",
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Blob => 'b',
            Self::Queue => 'q',
            Self::Table => 't',
        }
    }
}

/// What a request is about to touch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) service: Service,
    pub(crate) account: &'a str,
    /// Container, queue or table.
    pub(crate) resource: &'a str,
    /// Blob.
    pub(crate) item: Option<&'a str>,
    /// The key range of a table that a request touches, if it is known.
    pub(crate) keys: Option<(&'a str, &'a str)>,
}

/// What a valid signature allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permissions(String);

impl Permissions {
    /// Everything: the emulator itself and holders of the account key.
    pub(crate) fn all() -> Self {
        Self("racwdlup".to_owned())
    }

    pub(crate) fn has(&self, permission: char) -> bool {
        self.0.contains(permission)
    }

    /// # Errors
    /// 403 if none of `any` is granted.
    pub(crate) fn require(&self, any: &str) -> StorageResult<()> {
        if any.chars().any(|one| self.has(one)) { Ok(()) } else { Err(StorageError::permission_mismatch()) }
    }
}

/// The query string of a new service SAS for a whole container, queue or table.
pub(crate) fn sign(
    target: Target<'_>,
    key: &[u8],
    permissions: &str,
    start: Timestamp,
    expiry: Timestamp,
) -> String {
    let mut fields = vec![("sv", VERSION.to_owned())];
    match target.service {
        Service::Blob => fields.push(("sr", "c".to_owned())),
        Service::Table => fields.push(("tn", target.resource.to_owned())),
        Service::Queue => {}
    }
    fields.extend([
        ("sp", permissions.to_owned()),
        ("st", format!("{start:.0}")),
        ("se", format!("{expiry:.0}")),
    ]);
    let unsigned = Query::from_pairs(&fields);
    let text = service_text(target, &unsigned);
    fields.push(("sig", STANDARD.encode(mac(key, &text).finalize().into_bytes())));
    let encoded =
        |(name, value): &(&str, String)| format!("{name}={}", utf8_percent_encode(value, UNRESERVED));
    fields.iter().map(encoded).collect::<Vec<_>>().join("&")
}

/// Checks signature, time, protocol and key range; says what the signature allows.
///
/// # Errors
/// 401 without a signature, 403 `AuthenticationFailed` (or a more exact code) if it does not hold here and now.
pub(crate) fn check(
    target: Target<'_>,
    query: &Query,
    key: &[u8],
    now: Timestamp,
) -> StorageResult<Permissions> {
    let Some(signature) = query.get("sig") else { return Err(StorageError::no_authentication()) };
    let version = query.get("sv").unwrap_or_default();
    if version < "2015-04-05" || version.len() != 10 {
        return Err(StorageError::authentication_failed(format!(
            "The signed version sv '{version}' is not supported; the oldest is 2015-04-05."
        )));
    }
    for unknown in ["si", "skoid"] {
        if query.get(unknown).is_some() {
            return Err(StorageError::authentication_failed(format!(
                "The emulator does not know signatures with '{unknown}' (stored access policies and user delegation keys)."
            )));
        }
    }
    check_signature(target, query, key, signature)?;
    check_time(query, now)?;
    if query.get("spr") == Some("https") {
        return Err(StorageError::new(
            403,
            "AuthorizationProtocolMismatch",
            "This request is not authorized to perform this operation using this protocol.",
        ));
    }
    check_scope(target, query)?;
    Ok(Permissions(query.get("sp").unwrap_or_default().to_owned()))
}

fn check_signature(target: Target<'_>, query: &Query, key: &[u8], signature: &str) -> StorageResult<()> {
    let text =
        if query.get("ss").is_some() { account_text(target, query) } else { service_text(target, query) };
    let decoded = STANDARD.decode(signature).unwrap_or_default();
    mac(key, &text).verify_slice(&decoded).map_err(|_| {
        StorageError::authentication_failed(format!(
            "Signature did not match. String to sign used was {text}"
        ))
    })
}

fn check_time(query: &Query, now: Timestamp) -> StorageResult<()> {
    let moment = |name: &str| match query.get(name) {
        None | Some("") => Ok(None),
        Some(text) => parse_moment(text).map(Some).ok_or_else(|| {
            StorageError::authentication_failed(format!(
                "Signed time {name} '{text}' is not a valid ISO 8601 UTC time."
            ))
        }),
    };
    let (start, expiry) = (moment("st")?, moment("se")?);
    let Some(expiry) = expiry else {
        return Err(StorageError::authentication_failed("The signed expiry se is mandatory."));
    };
    if start.is_some_and(|start| now < start) || now >= expiry {
        let start = start.map_or_else(|| "none".to_owned(), |start| start.to_string());
        return Err(StorageError::authentication_failed(format!(
            "Signature not valid in the specified time frame: Start [{start}] - Expiry [{expiry}] - Current [{now}]"
        )));
    }
    Ok(())
}

fn check_scope(target: Target<'_>, query: &Query) -> StorageResult<()> {
    if let Some(services) = query.get("ss") {
        let kinds = query.get("srt").unwrap_or_default();
        return if !services.contains(target.service.letter()) {
            Err(StorageError::new(
                403,
                "AuthorizationServiceMismatch",
                "This request is not authorized to perform this operation using this service.",
            ))
        } else if !kinds.contains('o') {
            Err(StorageError::new(
                403,
                "AuthorizationResourceTypeMismatch",
                "This request is not authorized to perform this operation using this resource type.",
            ))
        } else {
            Ok(())
        };
    }
    let inside = |(partition, row): (&str, &str)| {
        let part = |name: &str| query.get(name).filter(|text| !text.is_empty());
        let from = part("spk").is_none_or(|spk| (partition, row) >= (spk, part("srk").unwrap_or("")));
        let to = part("epk").is_none_or(|epk| {
            partition < epk || (partition == epk && part("erk").is_none_or(|erk| row <= erk))
        });
        from && to
    };
    if target.keys.is_some_and(|keys| !inside(keys)) {
        return Err(StorageError::permission_mismatch());
    }
    Ok(())
}

fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(text.as_bytes());
    mac
}

/// The text that a service SAS signs.
fn service_text(target: Target<'_>, query: &Query) -> String {
    let get = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let version = get("sv");
    let mut fields = vec![get("sp"), get("st"), get("se"), canonical_resource(target, query)];
    fields.extend(["si", "sip", "spr", "sv"].map(get));
    match target.service {
        Service::Blob => {
            if version.as_str() >= "2018-11-09" {
                fields.extend([get("sr"), get("snapshot")]);
            }
            if version.as_str() >= "2020-12-06" {
                fields.push(get("ses"));
            }
            fields.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(get));
        }
        Service::Queue => {}
        Service::Table => fields.extend(["spk", "srk", "epk", "erk"].map(get)),
    }
    fields.join("\n")
}

fn canonical_resource(target: Target<'_>, query: &Query) -> String {
    let resource = match target.service {
        Service::Table => target.resource.to_lowercase(),
        Service::Blob | Service::Queue => target.resource.to_owned(),
    };
    let whole = format!("/{}/{}/{resource}", target.service.name(), target.account);
    match target.item {
        Some(blob) if query.get("sr") == Some("b") => format!("{whole}/{blob}"),
        _ => whole,
    }
}

/// The text that an account SAS signs; unlike the other it ends with a newline.
fn account_text(target: Target<'_>, query: &Query) -> String {
    let get = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let mut fields = vec![target.account.to_owned()];
    fields.extend(["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"].map(get));
    if get("sv").as_str() >= "2020-12-06" {
        fields.push(get("ses"));
    }
    fields.join("\n") + "\n"
}

/// The documented forms: a date, or date and time with minutes, seconds or fractions, in UTC.
fn parse_moment(text: &str) -> Option<Timestamp> {
    let completed = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        17 => format!("{}:00Z", text.strip_suffix('Z')?),
        _ => text.to_owned(),
    };
    completed.parse().ok()
}

#[cfg(test)]
mod tests;
