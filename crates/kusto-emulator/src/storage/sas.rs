//! Shared access signatures: made as Azure makes them, and checked as strictly.
//!
//! A service SAS signs one container, blob, queue or table, an account SAS whole services of an account. Both are an
//! HMAC-SHA256 over a text of fields joined by newlines, under the account's key. Which fields stand in the text depends
//! on the version `sv`. Sources: Azure Storage REST API, "Create a service SAS", "Create an account SAS" and "Define a
//! stored access policy".
//!
//! What a service SAS leaves out may stand in a policy stored with its container, queue or table (`si`). User delegation
//! keys (`skoid`) need a directory and are refused, as are SAS for directories, snapshots and versions of blobs.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::about::Policy;
use super::access::{KeyRange, Origin, Target};
use super::error::{StorageError, StorageResult};
use super::query::Query;

/// The version that the emulator signs with.
pub(crate) const VERSION: &str = "2022-11-02";

pub(crate) const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which of the three storage services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Service {
    Blob,
    Queue,
    Table,
}

impl Service {
    /// As it stands in hosts and signed texts.
    pub(crate) fn name(self) -> &'static str {
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

/// What a signature is checked against, besides itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) key: &'a [u8],
    pub(super) now: Timestamp,
    pub(super) origin: Origin,
    /// Those stored with the container, queue or table.
    pub(super) policies: &'a [Policy],
}

/// A signature that holds, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checked {
    Service { permissions: String, range: KeyRange },
    Account { permissions: String, levels: String },
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

/// Checks signature, time, protocol, source and scope; says what the signature allows.
///
/// # Errors
/// 401 without a signature, 403 `AuthenticationFailed` (or a more exact code) if it does not hold here and now.
pub(super) fn check(target: Target<'_>, query: &Query, context: &Context<'_>) -> StorageResult<Checked> {
    let Some(signature) = query.get("sig") else { return Err(StorageError::no_authentication()) };
    let version = query.get("sv").unwrap_or_default();
    if version < "2015-04-05" || version.len() != 10 {
        return Err(StorageError::authentication_failed(format!(
            "The signed version sv '{version}' is not supported; the oldest is 2015-04-05."
        )));
    }
    if query.get("skoid").is_some() {
        return Err(StorageError::authentication_failed(
            "The emulator does not know user delegation keys ('skoid'): sign with the account's key.",
        ));
    }
    check_signature(target, query, context.key, signature)?;
    let checked = if query.get("ss").is_some() {
        account(target, query, context)?
    } else {
        service(target, query, context)?
    };
    check_protocol(query, context.origin.secure)?;
    check_source(query, context.origin.peer)?;
    Ok(checked)
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

fn account(target: Target<'_>, query: &Query, context: &Context<'_>) -> StorageResult<Checked> {
    let field = |name: &str| query.get(name).unwrap_or_default();
    check_time(field("st"), field("se"), context.now)?;
    if !field("ss").contains(target.service.letter()) {
        return Err(StorageError::new(
            403,
            "AuthorizationServiceMismatch",
            "This request is not authorized to perform this operation using this service.",
        ));
    }
    Ok(Checked::Account { permissions: field("sp").to_owned(), levels: field("srt").to_owned() })
}

fn service(target: Target<'_>, query: &Query, context: &Context<'_>) -> StorageResult<Checked> {
    let kind = query.get("sr").unwrap_or_default();
    let known = match target.service {
        Service::Blob => matches!(kind, "c" | "b"),
        Service::Queue | Service::Table => kind.is_empty(),
    };
    if !known {
        return Err(StorageError::authentication_failed(format!(
            "The emulator does not know a signed resource sr '{kind}' of {} storage; it knows c and b of blob storage.",
            target.service.name()
        )));
    }
    let policy = match query.filled("si") {
        None => Policy::default(),
        Some(id) => context.policies.iter().find(|policy| policy.id == id).cloned().ok_or_else(|| {
            StorageError::authentication_failed(format!(
                "There is no stored access policy with the id '{id}'."
            ))
        })?,
    };
    let start = one_of("st", query, &policy.start)?;
    let expiry = one_of("se", query, &policy.expiry)?;
    let permissions = one_of("sp", query, &policy.permission)?;
    check_time(start, expiry, context.now)?;
    let bound = |partition: &str, row: &str| {
        query.filled(partition).map(|key| (key.to_owned(), query.filled(row).map(str::to_owned)))
    };
    let range = KeyRange { start: bound("spk", "srk"), end: bound("epk", "erk") };
    Ok(Checked::Service { permissions: permissions.to_owned(), range })
}

/// A field of the SAS or of its stored access policy; in both it is an error.
fn one_of<'a>(name: &str, query: &'a Query, stored: &'a str) -> StorageResult<&'a str> {
    match query.filled(name) {
        Some(_) if !stored.is_empty() => Err(StorageError::authentication_failed(format!(
            "{name} stands in the signature and in its stored access policy; it may stand in one of them only."
        ))),
        Some(given) => Ok(given),
        None => Ok(stored),
    }
}

fn check_time(start: &str, expiry: &str, now: Timestamp) -> StorageResult<()> {
    let moment = |name: &str, text: &str| {
        parse_moment(text).ok_or_else(|| {
            StorageError::authentication_failed(format!(
                "Signed time {name} '{text}' is not a valid ISO 8601 UTC time."
            ))
        })
    };
    if expiry.is_empty() {
        return Err(StorageError::authentication_failed("The signed expiry se is mandatory."));
    }
    let start = if start.is_empty() { None } else { Some(moment("st", start)?) };
    let expiry = moment("se", expiry)?;
    if start.is_some_and(|start| now < start) || now >= expiry {
        let start = start.map_or_else(|| "none".to_owned(), |start| start.to_string());
        return Err(StorageError::authentication_failed(format!(
            "Signature not valid in the specified time frame: Start [{start}] - Expiry [{expiry}] - Current [{now}]"
        )));
    }
    Ok(())
}

/// `spr`: `https` alone keeps out what comes without TLS.
fn check_protocol(query: &Query, secure: bool) -> StorageResult<()> {
    match query.filled("spr") {
        None | Some("https,http") => Ok(()),
        Some("https") if secure => Ok(()),
        Some("https") => Err(StorageError::new(
            403,
            "AuthorizationProtocolMismatch",
            "This request is not authorized to perform this operation using this protocol.",
        )),
        Some(other) => Err(StorageError::authentication_failed(format!(
            "The signed protocol spr '{other}' is not known."
        ))),
    }
}

/// `sip`: one address, or two with a dash between.
fn check_source(query: &Query, peer: IpAddr) -> StorageResult<()> {
    let Some(given) = query.filled("sip") else { return Ok(()) };
    let (first, last) = given.split_once('-').unwrap_or((given, given));
    let (Ok(first), Ok(last)) = (first.trim().parse::<IpAddr>(), last.trim().parse::<IpAddr>()) else {
        return Err(StorageError::authentication_failed(format!(
            "The signed address sip '{given}' is none."
        )));
    };
    if (first..=last).contains(&peer) {
        return Ok(());
    }
    let message =
        format!("This request is not authorized to perform this operation using this source IP {peer}.");
    Err(StorageError::new(403, "AuthorizationSourceIPMismatch", message))
}

pub(super) fn mac(key: &[u8], text: &str) -> Hmac<Sha256> {
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

/// Whether a text is a moment as storage writes it.
pub(crate) fn is_moment(text: &str) -> bool {
    parse_moment(text).is_some()
}

/// The documented forms: a date, or date and time with minutes, seconds or fractions, in UTC.
pub(super) fn parse_moment(text: &str) -> Option<Timestamp> {
    let completed = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        17 => format!("{}:00Z", text.strip_suffix('Z')?),
        _ => text.to_owned(),
    };
    completed.parse().ok()
}

#[cfg(test)]
mod tests;
