//! What a cluster says about signing in: `GET /v1/rest/auth/metadata`, without a token.
//!
//! Derivations as in the official clients (`Azure/azure-kusto-python
//! azure-kusto-data/azure/kusto/data/_cloud_settings.py`); a 404 means the public cloud.

use serde::Deserialize;
use url::Url;

use crate::http::{Attempt, Http, SMALL_LIMIT};
use crate::{Effect, Error, ErrorKind, Result, endpoint, failure};

/// Where and for what a token has to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cloud {
    /// The login endpoint, without a tenant.
    pub(crate) login: Url,
    /// The scope of the token.
    pub(crate) scope: String,
}

const LOGIN: &str = "https://login.microsoftonline.com";
const RESOURCE: &str = "https://kusto.kusto.windows.net";

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "AzureAD")]
    azure_ad: Option<AzureAd>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AzureAd {
    login_endpoint: Option<String>,
    #[serde(default)]
    login_mfa_required: bool,
    kusto_service_resource_id: Option<String>,
}

/// Asks the host of `cluster`, which must have passed the trust check.
pub(crate) async fn fetch(http: &Http, cluster: &Url, timeout: std::time::Duration) -> Result<Cloud> {
    let mut url = cluster.clone();
    url.set_path("/v1/rest/auth/metadata");
    let attempt = Attempt {
        operation: "ask how to sign in",
        target: endpoint::host_and_port(cluster),
        effect: Effect::None,
        timeout,
    };
    let mut request = reqwest::Request::new(reqwest::Method::GET, url);
    let json = reqwest::header::HeaderValue::from_static("application/json");
    request.headers_mut().insert(reqwest::header::ACCEPT, json);
    let answer = http.send(request, &attempt, SMALL_LIMIT).await?;
    match answer.status {
        200 => parse(&answer.body, cluster),
        404 => parse(b"{}", cluster),
        _ => Err(failure::refusal(&answer, &attempt)),
    }
}

fn parse(body: &[u8], cluster: &Url) -> Result<Cloud> {
    let host = endpoint::host_and_port(cluster);
    let bad = |message: String| Error::new(ErrorKind::Protocol, "ask how to sign in", &host, message);
    let metadata: Metadata = serde_json::from_slice(body)
        .map_err(|error| bad(format!("the sign-in metadata cannot be read: {error}")).with_source(error))?;
    let told = metadata.azure_ad.unwrap_or(AzureAd {
        login_endpoint: None,
        login_mfa_required: false,
        kusto_service_resource_id: None,
    });
    let login = told.login_endpoint.as_deref().unwrap_or(LOGIN);
    let login =
        Url::parse(login).map_err(|error| bad(format!("the login endpoint `{login}` is no URL: {error}")))?;
    if login.scheme() != "https" && !endpoint::is_loopback(&login) {
        return Err(bad(format!("the login endpoint `{login}` is not https; no secret goes there")));
    }
    let mut resource = told.kusto_service_resource_id.unwrap_or_else(|| RESOURCE.to_owned());
    if told.login_mfa_required {
        resource = resource.replacen(".kusto.", ".kustomfa.", 1);
    }
    let scope = format!("{}/.default", resource.trim_end_matches('/'));
    Ok(Cloud { login, scope })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(body: &str) -> Result<Cloud> {
        parse(body.as_bytes(), &Url::parse("https://c.kusto.windows.net").unwrap())
    }

    #[test]
    fn authority_and_scope_come_from_the_metadata() {
        let told = r#"{"AzureAD":{"LoginEndpoint":"https://login.chinacloudapi.cn","LoginMfaRequired":false,
            "KustoClientAppId":"x","KustoServiceResourceId":"https://kusto.kusto.chinacloudapi.cn"}}"#;
        let cloud = cloud(told).unwrap();
        assert_eq!(cloud.login.as_str(), "https://login.chinacloudapi.cn/");
        assert_eq!(cloud.scope, "https://kusto.kusto.chinacloudapi.cn/.default");
    }

    #[test]
    fn without_metadata_it_is_the_public_cloud() {
        for body in ["{}", r#"{"AzureAD":null}"#, r#"{"AzureAD":{}}"#] {
            let cloud = cloud(body).unwrap();
            assert_eq!(cloud.login.as_str(), "https://login.microsoftonline.com/");
            assert_eq!(cloud.scope, "https://kusto.kusto.windows.net/.default");
        }
    }

    #[test]
    fn a_login_that_wants_two_factors_has_its_own_audience() {
        let told = r#"{"AzureAD":{"LoginMfaRequired":true}}"#;
        assert_eq!(cloud(told).unwrap().scope, "https://kusto.kustomfa.windows.net/.default");
    }

    #[test]
    fn garbage_and_clear_text_are_refused() {
        for body in ["", "<html>", r#"{"AzureAD":{"LoginEndpoint":"http://evil.example"}}"#, "[]"] {
            assert!(cloud(body).is_err(), "{body}");
        }
    }

    #[test]
    fn no_damage_to_metadata_makes_the_reader_panic_or_sends_a_secret_in_clear_text() {
        let examples = [
            r#"{"AzureAD":{"LoginEndpoint":"https://login.microsoftonline.com","LoginMfaRequired":false,
                "KustoClientAppId":"x","KustoServiceResourceId":"https://kusto.kusto.windows.net"}}"#,
            r#"{"AzureAD":{"LoginEndpoint":"http://127.0.0.1:1","LoginMfaRequired":true}}"#,
            r#"{"AzureAD":null}"#,
        ];
        crate::fuzz::fuzz("sign-in metadata", &examples, |body| {
            let url = Url::parse("https://c.kusto.windows.net").unwrap();
            if let Ok(Cloud { login, scope }) = parse(body, &url) {
                assert!(login.scheme() == "https" || endpoint::is_loopback(&login), "{login}");
                assert!(scope.ends_with("/.default"), "{scope}");
            }
        });
    }
}
