//! `[connection]`: which cluster, and how to sign in.

use kusto_client::{ConnectionOptions, ConnectionOptionsBuilder};
use secrecy::SecretString;

use super::Result;
use super::document::{Section, nearest};

/// The cluster of a pipeline.
#[derive(Debug)]
pub(crate) enum Cluster {
    /// One of the pipeline's own, in this process, kept under the job's state.
    Embedded,
    /// One that is reached by its URL.
    Remote(Box<ConnectionOptions>),
}

/// Ways to sign in that the file can name; the last ones are for later.
const KINDS: [&str; 7] =
    ["none", "application", "managed-identity", "azure-cli", "token", "workload-identity", "certificate"];

pub(super) fn cluster(mut section: Section) -> Result<Cluster> {
    let url = section.required_text("cluster")?;
    let ingestion = section.text("ingestion")?;
    let auth = section.table("auth")?;
    if url == "emulator" {
        if ingestion.is_some() || auth.is_some() {
            return Err(section.error("the embedded cluster has neither `ingestion` nor `auth`"));
        }
        section.finish()?;
        return Ok(Cluster::Embedded);
    }
    let mut builder = ConnectionOptions::builder().cluster_url(url).application_name("timely-kusto");
    if let Some(url) = ingestion {
        builder = builder.ingestion_url(url);
    }
    let trusted = section.texts("trusted_hosts")?;
    builder = trusted.into_iter().fold(builder, ConnectionOptionsBuilder::trusted_host);
    if let Some(authority) = section.text("authority")? {
        builder = builder.authority(authority);
    }
    builder = match auth {
        Some(auth) => sign_in(builder, auth)?,
        None => builder.no_auth(),
    };
    let options = builder.build().map_err(|error| section.error(error.to_string()))?;
    section.finish()?;
    Ok(Cluster::Remote(Box::new(options)))
}

fn sign_in(builder: ConnectionOptionsBuilder, mut auth: Section) -> Result<ConnectionOptionsBuilder> {
    let kind = auth.required_text("kind")?;
    let builder = match kind.as_str() {
        "none" => builder.no_auth(),
        "application" => {
            let (id, tenant) = (auth.required_text("app_id")?, auth.required_text("tenant_id")?);
            builder.application(id, secret(&mut auth, "app_key")?, tenant)
        }
        "token" => builder.token(secret(&mut auth, "token")?),
        "azure-cli" => builder.azure_cli(),
        "managed-identity" => managed_identity(builder, &mut auth)?,
        "workload-identity" | "certificate" => {
            return Err(auth.error(format!("kind = {kind:?} is not there yet")));
        }
        other => {
            let kinds = KINDS.into_iter();
            return Err(auth.error(format!("there is no kind of sign-in {other:?}{}", nearest(other, kinds))));
        }
    };
    auth.finish()?;
    Ok(builder)
}

fn managed_identity(
    builder: ConnectionOptionsBuilder,
    auth: &mut Section,
) -> Result<ConnectionOptionsBuilder> {
    let (client, object) = (auth.text("client_id")?, auth.text("object_id")?);
    let resource = auth.text("resource_id")?;
    match (client, object, resource) {
        (None, None, None) => Ok(builder.managed_identity()),
        (Some(id), None, None) => Ok(builder.managed_identity_client_id(id)),
        (None, Some(id), None) => Ok(builder.managed_identity_object_id(id)),
        (None, None, Some(id)) => Ok(builder.managed_identity_resource_id(id)),
        _ => Err(auth.error("give one of client_id, object_id and resource_id, or none of them")),
    }
}

/// Reads a secret from where the file says it is: `{ env = "NAME" }` or `{ file = "path" }`. Never from the file itself.
fn secret(section: &mut Section, key: &str) -> Result<SecretString> {
    if !section.has(key) {
        let hint = format!("`{key}` is missing: {key} = {{ env = \"NAME\" }} or {{ file = \"path\" }}");
        return Err(section.error(hint));
    }
    if section.is_text(key) {
        let advice = "secrets do not stand in this file: write { env = \"NAME\" } or { file = \"path\" }";
        return Err(section.error(format!("`{key}` is a text; {advice}")));
    }
    let mut place = section.required_table(key)?;
    let secret = match (place.text("env")?, place.text("file")?) {
        (Some(name), None) => std::env::var(&name)
            .map_err(|_| place.error(format!("the environment variable {name} is not set")))?,
        (None, Some(path)) => std::fs::read_to_string(&path)
            .map_err(|error| place.error(format!("{path} cannot be read: {error}")))?,
        _ => return Err(place.error("give either `env` or `file`")),
    };
    place.finish()?;
    Ok(SecretString::from(secret.trim_end_matches(['\r', '\n'])))
}
