//! Whether a blob may be read in the name of a managed identity: `<address>;managed_identity=system` or `=<object id>`.
//!
//! The managed identity policies of cluster and database add up; one of them must allow the identity `NativeIngestion` or
//! `All`. Without any policy the service refuses; here that is so where roles are looked at, so that an emulator without
//! sign-in needs no setting up. Source: `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/management/managed-identity-policy.md`.

use serde_json::Value as Json;

use super::super::Engine;
use super::super::batch::{IngestFailure, without_secret};
use super::super::catalog::{Database, State};
use super::super::policy::PolicyKind;
use super::super::roles::Access;
use crate::assumptions::DirectManagedIdentity;

/// # Errors
/// `BadRequest_InvalidManagedIdentity` if the address names an identity that may not be used.
pub(super) fn check(
    engine: &Engine,
    state: &State,
    database: &Database,
    url: &str,
    queued: bool,
) -> Result<(), IngestFailure> {
    let Some(identity) = url.split(';').find_map(|part| part.strip_prefix("managed_identity=")) else {
        return Ok(());
    };
    let refuse = |why: &str| {
        let message =
            format!("'{}' cannot be read as the managed identity '{identity}': {why}", without_secret(url));
        Err(IngestFailure::permanent("BadRequest_InvalidManagedIdentity", message))
    };
    if !queued && engine.assumptions().direct_managed_identity == DirectManagedIdentity::Refused {
        return refuse("direct ingestion does not take managed identities");
    }
    let policies = [&state.cluster, &database.settings];
    let mut policies =
        policies.iter().filter_map(|settings| settings.policies.get(&PolicyKind::ManagedIdentity));
    let unset = policies.clone().next().is_none();
    if (unset && engine.access == Access::Open) || policies.any(|policy| allows(policy, identity)) {
        return Ok(());
    }
    refuse("no managed identity policy of the cluster or the database allows it NativeIngestion")
}

/// A policy is a list of identities, each with its allowed usages.
fn allows(policy: &Json, identity: &str) -> bool {
    let is = |value: &Json| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(identity));
    let named = |entry: &&Json| is(&entry["ObjectId"]) || is(&entry["ClientId"]);
    let usage = |word: &str| ["all", "nativeingestion"].contains(&word.trim().to_ascii_lowercase().as_str());
    let used = |entry: &Json| entry["AllowedUsages"].as_str().is_some_and(|list| list.split(',').any(usage));
    policy.as_array().into_iter().flatten().filter(named).any(used)
}
