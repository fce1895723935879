//! Addresses: of the engine, of data management, and which of them is on this machine.
//!
//! A cluster has two: the engine at `https://<cluster>.<region>.kusto.windows.net` and data management at the same host
//! with `ingest-` before it (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/api/netfx/kusto-ingest-client-rest.md`).
//! Hosts that cannot have such a twin serve both: loopback, any IP address, the one-box. Official clients disagree on
//! what a port changes (one turns `127.0.0.1:8080` into `ingest-127.0.0.1:8080`); here a port changes nothing. They
//! also leave a URL alone that has `ingest-` anywhere; here it counts only where a host begins with it, so that a
//! cluster called `harvest-ingest-eu` has its own.

use url::{Host, Url};

use crate::{Error, ErrorKind, Result, without_query};

/// What the host of data management begins with.
const PREFIX: &str = "ingest-";
/// Prefix of data management behind a private endpoint of old style.
const PRIVATE_PREFIX: &str = "private-ingest-";
/// Microsoft's cluster on a developer's machine: one host for everything.
const ONE_BOX: &str = "onebox.dev.kusto.windows.net";

/// Whether the URL leads to this machine: `localhost`, `127.x.x.x`, `[::1]`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether the host serves engine and data management alike.
fn serves_both(url: &Url) -> bool {
    is_loopback(url) || !matches!(url.host(), Some(Host::Domain(name)) if name != ONE_BOX)
}

/// Whether the URL is one of data management.
pub(crate) fn is_ingestion(url: &Url) -> bool {
    !serves_both(url)
        && url.host_str().is_some_and(|host| host.starts_with(PREFIX) || host.starts_with(PRIVATE_PREFIX))
}

/// The address of data management that belongs to an engine.
pub(crate) fn ingestion_of(cluster: &Url) -> Url {
    if serves_both(cluster) || is_ingestion(cluster) {
        return cluster.clone();
    }
    with_host(cluster, |host| format!("{PREFIX}{host}"))
}

/// The address of the engine that belongs to data management.
pub(crate) fn cluster_of(ingestion: &Url) -> Url {
    if !is_ingestion(ingestion) {
        return ingestion.clone();
    }
    with_host(ingestion, |host| host.replacen(PREFIX, "", 1))
}

fn with_host(url: &Url, change: impl Fn(&str) -> String) -> Url {
    let mut changed = url.clone();
    let host = change(url.host_str().unwrap_or_default());
    // A host name with or without a plain prefix stays a host name; should it not, the URL stays as it was.
    _ = changed.set_host(Some(&host));
    changed
}

/// Host and port, as a person would look for them.
pub(crate) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Reads the URL given as `option`.
///
/// # Errors
/// [`ErrorKind::InvalidOption`] saying what is allowed. The value is quoted without its query, and not at all when it
/// holds a password.
pub(crate) fn parse(option: &'static str, text: &str) -> Result<Url> {
    let text = text.trim();
    let bad = |message: String| Err(Error::new(ErrorKind::InvalidOption, "use the option", option, message));
    if !text.contains("://") {
        let shown = without_query(text);
        return bad(format!("`{shown}` has no scheme; write https://{shown}"));
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return bad(format!("`{}` is no URL: {error}", without_query(text))),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return bad(
            "a URL must not hold a user name or a password; choose a sign-in method instead".to_owned()
        );
    }
    let shown = without_query(text);
    if !matches!(url.scheme(), "https" | "http") {
        return bad(format!(
            "`{shown}` has the scheme {}; allowed are https and, on loopback, http",
            url.scheme()
        ));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return bad(format!(
            "`{shown}` goes on after the host; give scheme, host and port alone ({}) and the database by its name",
            url.origin().ascii_serialization()
        ));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn data_management_is_found_by_the_prefix_and_back() {
        for (engine, management) in [
            ("https://c.westeurope.kusto.windows.net/", "https://ingest-c.westeurope.kusto.windows.net/"),
            (
                "https://c.westeurope.kusto.windows.net:444/",
                "https://ingest-c.westeurope.kusto.windows.net:444/",
            ),
            (
                "https://trd-x.z0.kusto.fabric.microsoft.com/",
                "https://ingest-trd-x.z0.kusto.fabric.microsoft.com/",
            ),
            (
                "https://harvest-ingest-eu.eu.kusto.windows.net/",
                "https://ingest-harvest-ingest-eu.eu.kusto.windows.net/",
            ),
            ("http://localhost:8080/", "http://localhost:8080/"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
            ("http://127.1.2.3/", "http://127.1.2.3/"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
            ("https://10.0.0.7/", "https://10.0.0.7/"),
            ("https://[fd00::7]:8080/", "https://[fd00::7]:8080/"),
            ("https://onebox.dev.kusto.windows.net/", "https://onebox.dev.kusto.windows.net/"),
        ] {
            assert_eq!(ingestion_of(&url(engine)).as_str(), management);
            assert_eq!(cluster_of(&url(management)).as_str(), engine);
            assert_eq!(ingestion_of(&url(management)).as_str(), management, "it is one already");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for text in [
            "http://localhost",
            "http://LOCALHOST:1",
            "http://127.0.0.9",
            "http://[::1]:5",
            "http://a.localhost",
        ] {
            assert!(is_loopback(&url(text)), "{text}");
        }
        for text in
            ["http://localhost.evil.com", "http://128.0.0.1", "http://[::2]", "http://127.0.0.1.evil.com"]
        {
            assert!(!is_loopback(&url(text)), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_allowed() {
        for (text, hint) in [
            ("c.kusto.windows.net", "write https://c.kusto.windows.net"),
            ("ftp://c", "allowed are https"),
            ("https://", "is no URL"),
            ("https://c/db", "the database by its name"),
            ("https://c/?sig=secret", "goes on after the host"),
            ("https://user:secret@c/", "choose a sign-in method"),
        ] {
            let error = parse("cluster_url", text).unwrap_err().to_string();
            assert!(error.contains("cluster_url") && error.contains(hint), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert_eq!(parse("cluster_url", " https://c ").unwrap().as_str(), "https://c/");
    }

    #[test]
    fn no_damage_to_an_address_makes_the_reader_panic_or_shows_a_password() {
        let examples = [
            "https://c.westeurope.kusto.windows.net",
            "https://ingest-c.kusto.windows.net:444/",
            "http://[::1]:8080",
            "https://user:s3cret-1@c/",
            "https://xn--bcher-kva.example/?sig=s3cret-1",
            "http://127.1",
        ];
        crate::fuzz::fuzz("address", &examples, |text| {
            match parse("cluster_url", &String::from_utf8_lossy(text)) {
                Ok(url) => {
                    assert!(matches!(url.scheme(), "http" | "https") && url.path() == "/", "{url}");
                    assert!(url.username().is_empty() && url.password().is_none(), "{url}");
                    assert_eq!(parse("cluster_url", url.as_str()).unwrap(), url);
                    assert_eq!(ingestion_of(&ingestion_of(&url)), ingestion_of(&url));
                    is_loopback(&cluster_of(&url));
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        });
    }
}
