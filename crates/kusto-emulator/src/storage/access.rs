//! Who may do what: the account's key, an account SAS or a service SAS, against what an operation needs.
//!
//! | signed by | where | allows |
//! |---|---|---|
//! | shared key, shared key lite | header `Authorization`, see [`super::shared_key`] | everything in the account |
//! | account SAS (`ss`, `srt`) | query, see [`super::sas`] | services, levels and permissions that it names |
//! | service SAS | query | permissions on one container, blob, queue or table, or those of its stored access policy |
//! | nothing | | nothing: no container is public |
//!
//! Which permission an operation needs: Azure Storage REST API, "Create an account SAS" and "Create a service SAS".

use std::net::IpAddr;

use axum::http::{HeaderMap, Method};

use super::error::{StorageError, StorageResult};
use super::query::Query;
use super::sas::{self, Checked};
use super::{Place, Service, Storage, shared_key};

/// What an operation is about: the `srt` of an account SAS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// An account's service: its lists.
    Service,
    /// A container, queue or table.
    Container,
    /// A blob, message or entity.
    Object,
}

impl Level {
    fn letter(self) -> char {
        match self {
            Self::Service => 's',
            Self::Container => 'c',
            Self::Object => 'o',
        }
    }
}

/// What a signature must allow for an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    pub(crate) level: Level,
    /// One of these in a service SAS; if there are none, no service SAS will do.
    pub(crate) sas: &'static str,
    /// One of these in an account SAS.
    pub(crate) account_sas: &'static str,
}

/// What a request is about to touch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) service: Service,
    pub(crate) account: &'a str,
    /// Container, queue or table; empty for the account's service itself.
    pub(crate) resource: &'a str,
    /// Blob.
    pub(crate) item: Option<&'a str>,
}

/// A request, as far as its right goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) method: &'a Method,
    /// As it was sent, percent-encoded.
    pub(crate) path: &'a str,
    pub(crate) query: &'a Query,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) origin: Origin,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) peer: IpAddr,
    /// It came over TLS.
    pub(crate) secure: bool,
}

/// What a valid signature allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Right {
    /// Letters of `sp`; `None` for the account's key.
    permissions: Option<String>,
    /// Keys of a table outside of which it holds nothing.
    pub(crate) range: KeyRange,
    /// A service SAS may change headers of the answer (`rscc` and others).
    pub(crate) changes_headers: bool,
}

impl Right {
    /// Everything: the emulator itself and holders of the account key.
    pub(crate) fn all() -> Self {
        Self { permissions: None, range: KeyRange::default(), changes_headers: false }
    }

    pub(crate) fn has(&self, permission: char) -> bool {
        self.permissions.as_ref().is_none_or(|permissions| permissions.contains(permission))
    }

    /// # Errors
    /// 403 if none of `any` is granted.
    pub(crate) fn require(&self, any: &str) -> StorageResult<()> {
        if any.chars().any(|one| self.has(one)) { Ok(()) } else { Err(StorageError::permission_mismatch()) }
    }
}

/// From one pair of keys to another, both included; an open end is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) start: Option<(String, Option<String>)>,
    pub(crate) end: Option<(String, Option<String>)>,
}

impl KeyRange {
    pub(crate) fn holds(&self, partition: &str, row: &str) -> bool {
        let from = self.start.as_ref().is_none_or(|(start, first)| {
            partition > start.as_str()
                || (partition == start && first.as_ref().is_none_or(|first| row >= first.as_str()))
        });
        let to = self.end.as_ref().is_none_or(|(end, last)| {
            partition < end.as_str()
                || (partition == end && last.as_ref().is_none_or(|last| row <= last.as_str()))
        });
        from && to
    }

    /// # Errors
    /// 403 for keys outside.
    pub(crate) fn require(&self, partition: &str, row: &str) -> StorageResult<()> {
        if self.holds(partition, row) { Ok(()) } else { Err(StorageError::permission_mismatch()) }
    }
}

impl Storage {
    /// Checks who signed a request, and whether that allows what it needs.
    ///
    /// # Errors
    /// 401 without any signature; 403 for one that does not hold here and now, or allows something else; 404 for an
    /// unknown account.
    pub(crate) fn authorise(&self, claim: &Claim<'_>, needs: Needs) -> StorageResult<Right> {
        let account = self.account(claim.target.account).ok_or_else(StorageError::entity_not_found)?;
        if claim.headers.contains_key("authorization") {
            shared_key::check(claim, &account.key, self.clock.now())?;
            return Ok(Right::all());
        }
        self.authorise_sas(claim.target, claim.query, claim.origin, needs)
    }

    /// [`Storage::authorise`] for a signature in an address.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn authorise_sas(
        &self,
        target: Target<'_>,
        query: &Query,
        origin: Origin,
        needs: Needs,
    ) -> StorageResult<Right> {
        let account = self.account(target.account).ok_or_else(StorageError::entity_not_found)?;
        let place = Place::new(target.account, target.resource);
        let policies = match query.get("si") {
            Some(_) => self.lock().about(&place, target.service).map(|about| about.policies.clone()),
            None => None,
        };
        let context = sas::Context {
            key: &account.key,
            now: self.clock.now(),
            origin,
            policies: &policies.unwrap_or_default(),
        };
        match sas::check(target, query, &context)? {
            Checked::Account { permissions, levels } => {
                if !levels.contains(needs.level.letter()) {
                    return Err(StorageError::resource_type_mismatch());
                }
                let right = Right { permissions: Some(permissions), ..Right::all() };
                right.require(needs.account_sas).map(|()| right)
            }
            Checked::Service { permissions, range } => {
                let right = Right { permissions: Some(permissions), range, changes_headers: true };
                right.require(needs.sas).map(|()| right)
            }
        }
    }
}
