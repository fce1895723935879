//! Who calls: principals and the text that names them.
//!
//! A fully qualified name is `<kind>=<id>[;<tenant>]` with the kinds `aadapp`, `aaduser` and `aadgroup`. Names are
//! compared without regard to case. A name without tenant stands for that id in whichever tenant it signs in.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{EngineError, EngineResult};

/// What kind of identity a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum PrincipalKind {
    /// An application: `aadapp=`.
    Application,
    /// A person: `aaduser=`.
    User,
    /// A group: `aadgroup=`.
    Group,
}

impl PrincipalKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Application => "aadapp",
            Self::User => "aaduser",
            Self::Group => "aadgroup",
        }
    }

    /// The text of the column `PrincipalType`.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Application => "Microsoft Entra ID Application",
            Self::User => "Microsoft Entra ID User",
            Self::Group => "Microsoft Entra ID Group",
        }
    }
}

/// An identity that calls the engine or holds a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Principal {
    /// Application, person or group.
    pub(crate) kind: PrincipalKind,
    /// Application id, object id, or user principal name.
    pub(crate) id: String,
    /// The tenant's id or domain, if the name says so.
    pub(crate) tenant: Option<String>,
}

impl Principal {
    /// An application by its id.
    pub(crate) fn application(id: impl Into<String>, tenant: impl Into<String>) -> Self {
        Self { kind: PrincipalKind::Application, id: id.into(), tenant: Some(tenant.into()) }
    }

    /// Reads a fully qualified name such as `aadapp=<id>;<tenant>`.
    ///
    /// # Errors
    /// 400 if the kind is unknown or the id is missing.
    pub(crate) fn parse(fqn: &str) -> EngineResult<Self> {
        let malformed = || {
            EngineError::bad_request(format!(
                "'{fqn}' is no principal: write aadapp=<application id>;<tenant>, aaduser=<name or object id>[;<tenant>] \
                 or aadgroup=<id>[;<tenant>]."
            ))
        };
        let (prefix, rest) = fqn.split_once('=').ok_or_else(malformed)?;
        let kind = [PrincipalKind::Application, PrincipalKind::User, PrincipalKind::Group]
            .into_iter()
            .find(|kind| kind.prefix().eq_ignore_ascii_case(prefix.trim()))
            .ok_or_else(malformed)?;
        let (id, tenant) = match rest.split_once(';') {
            Some((id, tenant)) => (id.trim(), Some(tenant.trim().to_owned()).filter(|t| !t.is_empty())),
            None => (rest.trim(), None),
        };
        if id.is_empty() {
            return Err(malformed());
        }
        Ok(Self { kind, id: id.to_owned(), tenant })
    }

    /// The fully qualified name.
    pub(crate) fn fqn(&self) -> String {
        self.to_string()
    }

    /// Whether a grant to `self` covers `caller`.
    pub(crate) fn covers(&self, caller: &Self) -> bool {
        let same_tenant = match (&self.tenant, &caller.tenant) {
            (Some(mine), Some(theirs)) => mine.eq_ignore_ascii_case(theirs),
            _ => true,
        };
        self.kind == caller.kind && self.id.eq_ignore_ascii_case(&caller.id) && same_tenant
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind.prefix(), self.id)?;
        self.tenant.iter().try_for_each(|tenant| write!(f, ";{tenant}"))
    }
}
