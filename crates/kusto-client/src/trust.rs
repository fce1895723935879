//! To whom a token may go.
//!
//! A mistyped or planted URL must not collect tokens. Every official client keeps the same list of hosts that belong
//! to Kusto (`Azure/azure-kusto-python azure-kusto-data/azure/kusto/data/wellKnownKustoEndpoints.json`); this is that
//! list, of all clouds at once, since an address of one cloud is safe to be asked for by a client of another: a token
//! is good for its own cloud only. Loopback is always trusted, everything else only over https. Without a sign-in there
//! is no token to protect, but http is refused as well, unless it stays on this machine or the host is named.

use url::Url;

use crate::{Error, ErrorKind, Result, endpoint};

/// Ends of host names.
const SUFFIXES: &[&str] = &[
    // Public cloud.
    ".kusto.windows.net",
    ".kustodev.windows.net",
    ".kustomfa.windows.net",
    ".kusto.azuresynapse.net",
    ".kustodev.azuresynapse-dogfood.net",
    ".kusto.data.microsoft.com",
    ".kusto.fabric.microsoft.com",
    ".dxp.aad.azure.com",
    ".dxp-dev.aad.azure.com",
    ".playfabapi.com",
    ".playfab.com",
    ".azureplayfab.com",
    ".api.securityplatform.microsoft.com",
    ".securitycenter.windows.com",
    ".arg.core.windows.net",
    ".arg-df.core.windows.net",
    ".arg-int.core.windows.net",
    // US Government.
    ".kusto.usgovcloudapi.net",
    ".kustomfa.usgovcloudapi.net",
    // China.
    ".kusto.chinacloudapi.cn",
    ".kustomfa.chinacloudapi.cn",
    ".kusto.azuresynapse.azure.cn",
    ".playfab.cn",
];

/// Whole host names.
const HOSTS: &[&str] = &[
    "ade.applicationinsights.io",
    "ade.loganalytics.io",
    "adx.aimon.applicationinsights.azure.com",
    "adx.applicationinsights.azure.com",
    "adx.int.applicationinsights.azure.com",
    "adx.loganalytics.azure.com",
    "adx.int.loganalytics.azure.com",
    "adx.monitor.azure.com",
    "adx.int.monitor.azure.com",
    "api.securityplatform.microsoft.com",
    "kusto.aria.microsoft.com",
    "eu.kusto.aria.microsoft.com",
];

/// Hosts that may be given a token beside the well-known ones, in lower case. One that begins with a dot is the end of
/// many names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    extra: Vec<String>,
}

impl Trust {
    pub(crate) fn with(extra: impl IntoIterator<Item = String>) -> Self {
        Trust { extra: extra.into_iter().map(|host| host.trim().to_ascii_lowercase()).collect() }
    }

    /// Says whether a token may go to this address.
    ///
    /// # Errors
    /// [`ErrorKind::UntrustedHost`] for an unknown host, [`ErrorKind::InvalidOption`] for http that leaves this machine.
    pub(crate) fn check(&self, url: &Url) -> Result<()> {
        if endpoint::is_loopback(url) {
            return Ok(());
        }
        let host = host_of(url)?;
        if url.scheme() != "https" {
            let message = "a token would cross the network in clear text over http; allowed are https, or http on \
                           loopback (localhost, 127.0.0.1, [::1])";
            return Err(Error::new(ErrorKind::InvalidOption, "send a token", host, message));
        }
        if is_well_known(&host) || self.extra.iter().any(|trusted| matches(trusted, &host)) {
            return Ok(());
        }
        let message = "the host is not known to belong to Kusto, so no token goes there";
        Err(Error::new(ErrorKind::UntrustedHost, "send a token", &host, message).with_advice(format!(
            "Check the URL for a typing error. If the host is yours, say so: .trusted_host(\"{host}\"), or \
             trusted_hosts = [\"{host}\"] in a pipeline file."
        )))
    }

    /// Says whether this address may be spoken to without a token: rows and the signatures of storage are worth
    /// protecting, too.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] for http that leaves this machine, unless the host was named as trusted.
    pub(crate) fn check_clear_text(&self, url: &Url) -> Result<()> {
        let host = host_of(url)?;
        let named = || self.extra.iter().any(|trusted| matches(trusted, &host));
        if url.scheme() == "https" || endpoint::is_loopback(url) || named() {
            return Ok(());
        }
        let message = "over http everybody on the way could read the rows and change them; allowed are https, or http \
                       on loopback (localhost, 127.0.0.1, [::1])";
        Err(Error::new(ErrorKind::InvalidOption, "use http", &host, message).with_advice(format!(
            "If the network between is yours, say so: .trusted_host(\"{host}\"), or trusted_hosts = [\"{host}\"] in \
             a pipeline file."
        )))
    }
}

/// The host in lower case. One with characters that no host has may hold a piece of a damaged connection string, a key
/// perhaps, and is not shown.
fn host_of(url: &Url) -> Result<String> {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if host.chars().all(fits) {
        return Ok(host);
    }
    let message = "its host has characters that no host has; in a connection string a `;` may be missing before a keyword";
    Err(Error::new(ErrorKind::InvalidOption, "use the address", "of the cluster", message))
}

fn is_well_known(host: &str) -> bool {
    HOSTS.contains(&host) || SUFFIXES.iter().any(|suffix| matches(suffix, host))
}

fn matches(trusted: &str, host: &str) -> bool {
    if trusted.starts_with('.') {
        host.len() > trusted.len() && host.ends_with(trusted)
    } else {
        host == trusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(trust: &Trust, text: &str) -> Option<ErrorKind> {
        trust.check(&Url::parse(text).unwrap()).err().map(|error| error.kind())
    }

    #[test]
    fn hosts_of_kusto_and_of_this_machine_are_trusted() {
        for text in [
            "https://c.westeurope.kusto.windows.net",
            "https://ingest-C.WestEurope.Kusto.Windows.Net:443",
            "https://trd-x.z0.kusto.fabric.microsoft.com",
            "https://c.kusto.chinacloudapi.cn",
            "https://ade.loganalytics.io",
            "http://localhost:8080",
            "http://127.0.0.1:1",
            "http://[::1]:1",
        ] {
            assert_eq!(check(&Trust::default(), text), None, "{text}");
        }
    }

    #[test]
    fn look_alikes_and_clear_text_are_refused() {
        for text in [
            "https://kusto.windows.net.evil.com",
            "https://evilkusto.windows.net",
            "https://kusto.windows.net",
            "https://c.kusto.windows.net.evil.com",
            "https://10.0.0.1",
            "https://localhost.evil.com",
        ] {
            assert_eq!(check(&Trust::default(), text), Some(ErrorKind::UntrustedHost), "{text}");
        }
        assert_eq!(check(&Trust::default(), "http://c.kusto.windows.net"), Some(ErrorKind::InvalidOption));
    }

    #[test]
    fn without_a_token_https_goes_anywhere_and_http_only_to_hosts_that_are_named() {
        let check = |trust: &Trust, text: &str| trust.check_clear_text(&Url::parse(text).unwrap());
        for text in ["https://any.example", "http://127.0.0.1:8080", "http://[::1]", "http://a.localhost"] {
            check(&Trust::default(), text).unwrap();
        }
        let error = check(&Trust::default(), "http://kustainer:8080").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.to_string().contains(".trusted_host(\"kustainer\")"), "{error}");
        check(&Trust::with(["Kustainer".to_owned()]), "http://kustainer:8080").unwrap();
        check(&Trust::with([".lab".to_owned()]), "http://kustainer.lab").unwrap();
    }

    #[test]
    fn a_host_of_ones_own_is_trusted_when_named() {
        let trust = Trust::with(["Proxy.Corp.Example".to_owned(), ".lab.example".to_owned()]);
        assert_eq!(check(&trust, "https://proxy.corp.example"), None);
        assert_eq!(check(&trust, "https://a.lab.example"), None);
        assert_eq!(check(&trust, "https://lab.example"), Some(ErrorKind::UntrustedHost));
        assert_eq!(check(&trust, "http://proxy.corp.example"), Some(ErrorKind::InvalidOption));
    }
}
