//! Connection strings of storage accounts: `AccountName=...;AccountKey=...;BlobEndpoint=...;`, keys in any case.
//!
//! | key | meaning |
//! |---|---|
//! | `AccountName`, `AccountKey` | mandatory: signatures for clients are made with the key, so a SAS will not do |
//! | `BlobEndpoint`, `QueueEndpoint`, `TableEndpoint` | where the services are; as given, with the account if it stands in the path |
//! | `DefaultEndpointsProtocol`, `EndpointSuffix` | what endpoints that are not given are made of: `<protocol>://<account>.blob.<suffix>` |
//! | `UseDevelopmentStorage=true` | the storage emulator on this machine: account `devstoreaccount1`, ports 10000 to 10002 |
//!
//! Source: `MicrosoftDocs/azure-docs articles/storage/common/storage-configure-connection-string.md`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::sas::Service;

/// The account that storage emulators have, and its key, which everybody knows.
const DEVELOPMENT: &str = "AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;\
    BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;\
    TableEndpoint=http://127.0.0.1:10002/devstoreaccount1";

/// One account and where its services are.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) account: String,
    pub(crate) key: Vec<u8>,
    endpoints: [Url; 3],
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connection").field(&self.account).finish()
    }
}

impl Connection {
    /// Reads a connection string.
    ///
    /// # Errors
    /// What is missing or odd, without what may be secret.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut fields = BTreeMap::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or("a part of it is no key=value")?;
            fields.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
        if fields.get("usedevelopmentstorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Self::parse(DEVELOPMENT);
        }
        let known = |name: &str| fields.get(name).filter(|value| !value.is_empty());
        let account = known("accountname").ok_or("it has no AccountName")?.clone();
        let key =
            known("accountkey").ok_or("it has no AccountKey, which signs what clients get (a SAS cannot)")?;
        let key = STANDARD.decode(key).map_err(|_| "its AccountKey is not base64")?;
        let endpoint = |service: Service, name: &str| match known(&format!("{name}endpoint")) {
            Some(given) => address(given, name),
            None => {
                let protocol = known("defaultendpointsprotocol").map_or("https", String::as_str);
                let suffix = known("endpointsuffix").map_or("core.windows.net", String::as_str);
                address(&format!("{protocol}://{account}.{}.{suffix}", service.name()), name)
            }
        };
        let endpoints = [
            endpoint(Service::Blob, "blob")?,
            endpoint(Service::Queue, "queue")?,
            endpoint(Service::Table, "table")?,
        ];
        Ok(Self { account, key, endpoints })
    }

    /// Where a service is; without a slash at the end.
    pub(crate) fn endpoint(&self, service: Service) -> &str {
        let [blob, queue, table] = &self.endpoints;
        let endpoint = match service {
            Service::Blob => blob,
            Service::Queue => queue,
            Service::Table => table,
        };
        endpoint.as_str().trim_end_matches('/')
    }

    /// What follows the endpoint of a service in an address of it: path and query, without the slash between.
    pub(crate) fn below<'a>(&self, service: Service, address: &'a str) -> Option<&'a str> {
        address.strip_prefix(self.endpoint(service))?.strip_prefix('/')
    }
}

fn address(text: &str, name: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("its {name} endpoint is no address: {error}"))?;
    let plain = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    if plain { Ok(url) } else { Err(format!("its {name} endpoint is no plain http or https address")) }
}

#[cfg(test)]
mod tests;
