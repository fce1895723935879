//! Which proxy of the environment a request goes through: for errors. The HTTP library reads the same variables itself.

use url::Url;

use crate::{endpoint, http};

/// By way of which proxy `url` is reached, in words, without user and password; `None` where there is none.
pub(crate) fn named_for(url: &Url) -> Option<String> {
    by(url, |name| std::env::var(name).ok())
}

fn by(url: &Url, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    if http::is_direct(url) {
        return None;
    }
    let names: &[&str] = match url.scheme() {
        "https" => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let (name, value) = names.iter().find_map(|name| Some((name, set(name)?)))?;
    let exceptions = set("NO_PROXY").or_else(|| set("no_proxy")).unwrap_or_default();
    if is_excepted(url.host_str().unwrap_or_default(), &exceptions) {
        return None;
    }
    let value = value.trim();
    let proxy =
        Url::parse(value).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{value}")).ok());
    let proxy = proxy.as_ref().map_or_else(|| "that cannot be read".to_owned(), endpoint::host_and_port);
    Some(format!("by way of the proxy {proxy} of {name}"))
}

/// Whether `NO_PROXY` names the host: as it is, as the end of its name, or with a star for all. Ranges of addresses are
/// not looked at: an error that speaks of a proxy too often is better than one that never does.
fn is_excepted(host: &str, exceptions: &str) -> bool {
    let host = host.to_ascii_lowercase();
    exceptions.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).any(
        |name| {
            let end = name.trim_start_matches('.');
            name == "*" || host == end || host.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let find =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        by(&Url::parse(url).unwrap(), find)
    }

    #[test]
    fn the_proxy_is_named_without_its_password() {
        let proxy =
            [("HTTPS_PROXY", "http://me:s3cret@proxy.corp:3128"), ("NO_PROXY", "other.example, .lab")];
        let text = named("https://c.kusto.windows.net", &proxy).unwrap();
        assert_eq!(text, "by way of the proxy proxy.corp:3128 of HTTPS_PROXY");
        assert_eq!(named("https://a.lab", &proxy), None);
        assert_eq!(named("http://c.example", &proxy), None, "it is for https");
        assert_eq!(named("https://127.0.0.1:1", &proxy), None);
        let bare = [("all_proxy", "proxy:1")];
        assert_eq!(named("http://c.example", &bare).unwrap(), "by way of the proxy proxy:1 of all_proxy");
        let odd = named("http://c.example", &[("HTTP_PROXY", "me:s3cret@:::")]).unwrap();
        assert!(!odd.contains("s3cret"), "{odd}");
    }
}
