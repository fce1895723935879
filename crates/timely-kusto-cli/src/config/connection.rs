//! `[connection]`: which cluster, and how to sign in.

use std::path::PathBuf;

use kusto_client::{Certificate, ConnectionOptions, ConnectionOptionsBuilder};
use secrecy::{ExposeSecret, SecretString};

use super::Result;
use super::document::{Section, nearest};

/// The cluster of a pipeline.
#[derive(Debug)]
pub(crate) enum Cluster {
    /// One of the pipeline's own, in this process, kept under the job's state.
    Embedded,
    /// One that is reached by its URL or connection string.
    Remote(Box<ConnectionOptions>),
}

/// Ways to sign in that the file can name.
const KINDS: [&str; 7] =
    ["none", "application", "certificate", "managed-identity", "workload-identity", "azure-cli", "token"];

pub(super) fn cluster(mut section: Section) -> Result<Cluster> {
    let in_file = section.is_text("cluster");
    let address = match in_file || !section.has("cluster") {
        true => SecretString::from(section.required_text("cluster")?),
        false => secret(&mut section, "cluster")?,
    };
    let ingestion = section.text("ingestion")?;
    let auth = section.table("auth")?;
    if address.expose_secret() == "emulator" {
        if ingestion.is_some() || auth.is_some() {
            return Err(section.error("the embedded cluster has neither `ingestion` nor `auth`"));
        }
        section.finish()?;
        return Ok(Cluster::Embedded);
    }
    let mut builder = ConnectionOptions::builder().application_name("timely-kusto");
    builder = builder.connection_string(address.expose_secret());
    if let Some(url) = ingestion {
        builder = builder.ingestion_url(url);
    }
    let trusted = section.texts("trusted_hosts")?;
    builder = trusted.into_iter().fold(builder, ConnectionOptionsBuilder::trusted_host);
    if let Some(authority) = section.text("authority")? {
        builder = builder.authority(authority);
    }
    let secret_in_string = in_file && auth.is_none();
    builder = match auth {
        Some(auth) => sign_in(builder, auth)?,
        None => builder.or_no_auth(),
    };
    let options = builder.build().map_err(|error| section.error(error.to_string()))?;
    if secret_in_string && options.connection_string().contains("=****") {
        return Err(section.error(format!("`cluster` holds a secret; {NO_SECRETS}")));
    }
    section.finish()?;
    Ok(Cluster::Remote(Box::new(options)))
}

const NO_SECRETS: &str = "secrets do not stand in this file: write { env = \"NAME\" } or { file = \"path\" }";

/// The name of a kind of sign-in; the Kafka sink's names for them (`aad.auth.strategy`) mean the same.
fn kind(text: &str) -> String {
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "az-dev-token" => "azure-cli".to_owned(),
        other => other.to_owned(),
    }
}

fn sign_in(builder: ConnectionOptionsBuilder, mut auth: Section) -> Result<ConnectionOptionsBuilder> {
    let given = auth.required_text("kind")?;
    let builder = match kind(&given).as_str() {
        "none" => builder.no_auth(),
        "application" => {
            let (id, tenant) = (auth.required_text("app_id")?, auth.required_text("tenant_id")?);
            builder.application(id, secret(&mut auth, "app_key")?, tenant)
        }
        "certificate" => {
            let (id, tenant) = (auth.required_text("app_id")?, auth.required_text("tenant_id")?);
            builder.application_certificate(id, certificate(&mut auth)?, tenant)
        }
        "managed-identity" => managed_identity(builder, &mut auth)?,
        "workload-identity" => {
            let (client, tenant) = (auth.text("client_id")?, auth.text("tenant_id")?);
            builder.workload_identity_of(client, tenant, auth.text("token_file")?.map(PathBuf::from))
        }
        "azure-cli" => match auth.text("tenant_id")? {
            Some(tenant) => builder.azure_cli_in_tenant(tenant),
            None => builder.azure_cli(),
        },
        "token" => builder.token(secret(&mut auth, "token")?),
        _ => {
            let kinds = KINDS.into_iter();
            return Err(
                auth.error(format!("there is no kind of sign-in {given:?}{}", nearest(&given, kinds)))
            );
        }
    };
    auth.finish()?;
    Ok(builder)
}

/// A PEM by the path of its file, which is read at each sign-in, or by an environment variable that holds it.
fn certificate(auth: &mut Section) -> Result<Certificate> {
    let mut certificate = match auth.is_text("certificate") {
        true => Certificate::from_file(auth.required_text("certificate")?),
        false => Certificate::from_pem(secret(auth, "certificate")?),
    };
    if let Some(fingerprint) = auth.text("thumbprint")? {
        certificate = certificate.thumbprint(fingerprint);
    }
    Ok(certificate.send_chain(auth.flag("send_chain")?.unwrap_or(false)))
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
        return Err(section.error(format!("`{key}` is a text; {NO_SECRETS}")));
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
