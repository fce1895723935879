//! The sign-in endpoints: tokens for applications and managed identities, and the documents that lead there.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use serde_json::json;
use url::form_urlencoded;

use super::front::Front;
use super::{Exchange, RequestBody, json_response};
use crate::clock::seven_digits;
use crate::requests::Endpoint;
use crate::signin::{IdentityName, Proof, RESOURCE, Refusal};
use crate::storage::Query;

/// The largest form that is read, in bytes.
const MAX_FORM_BYTES: usize = 64 * 1024;

/// The type of client assertions.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// `POST /{tenant}/oauth2/v2.0/token`.
pub(super) async fn token(
    State(front): State<Front>,
    Path(tenant): Path<String>,
    body: Body,
) -> Response<Body> {
    let exchange = Exchange::new(Endpoint::SignIn, "Token", tenant.as_str(), "");
    let mut body = RequestBody::new(body, front.client_patience);
    front
        .exchange(exchange, async {
            let Ok(form) = body.read_all(MAX_FORM_BYTES).await else {
                return refused(&front, &malformed("The request body could not be read."));
            };
            let field = |name: &str| {
                form_urlencoded::parse(&form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
            };
            if field("grant_type").as_deref() != Some("client_credentials") {
                let message = "This directory only knows the grant type 'client_credentials'.".to_owned();
                let error = Refusal { status: 400, error: "unsupported_grant_type", number: 70_003, message };
                return refused(&front, &error);
            }
            let (key, assertion) = (field("client_secret"), field("client_assertion"));
            let endpoint = format!("{}/{tenant}/oauth2/v2.0/token", front.base);
            let proof = match (&key, &assertion) {
                (Some(key), None) => Some(Proof::Key(key)),
                (None, Some(text)) if field("client_assertion_type").as_deref() == Some(ASSERTION) => {
                    Some(Proof::Assertion(text, &endpoint))
                }
                _ => None,
            };
            let (Some(id), Some(proof), Some(scope)) = (field("client_id"), proof, field("scope")) else {
                let needed = "client_id, client_secret or client_assertion with its type, and scope are needed.";
                return refused(&front, &malformed(needed));
            };
            match front.sign_in.client_credentials(&tenant, &id, proof, &scope) {
                Ok(issued) => {
                    let seconds = issued.lifetime.as_secs();
                    let answer = json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds,
                        "access_token": issued.token});
                    json_response(StatusCode::OK, answer.to_string())
                }
                Err(error) => refused(&front, &error),
            }
        })
        .await
}

/// The App Service form: `GET /msi/token?resource=...&api-version=2019-08-01` with `X-IDENTITY-HEADER`.
pub(super) async fn app_service(State(front): State<Front>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let allowed = headers.get("x-identity-header").is_some_and(|it| it == front.sign_in.identity_header());
    let allowed = allowed.then_some(()).ok_or("X-IDENTITY-HEADER is missing or wrong.");
    identity(front, &uri, allowed, &["mi_res_id"]).await
}

/// The virtual machine's form (IMDS): `GET /metadata/identity/oauth2/token?...` with `Metadata: true`.
pub(super) async fn instance_metadata(
    State(front): State<Front>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let allowed = headers.get("metadata").is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"true"));
    let allowed = allowed.then_some(()).ok_or("The header 'Metadata: true' is missing.");
    identity(front, &uri, allowed, &["msi_res_id", "mi_res_id"]).await
}

async fn identity(
    front: Front,
    uri: &Uri,
    allowed: Result<(), &str>,
    resource_ids: &[&str],
) -> Response<Body> {
    let query = Query::parse(uri.query().unwrap_or_default());
    let exchange = Exchange::new(Endpoint::SignIn, "ManagedIdentityToken", "", "");
    front
        .exchange(exchange, async {
            if let Err(why) = allowed {
                return refused(&front, &malformed(why));
            }
            let resource = query.get("resource").unwrap_or_default();
            match front.sign_in.identity_token(&identity_name(&query, resource_ids), resource) {
                Ok((issued, client_id)) => {
                    let answer = json!({"access_token": issued.token, "expires_on": issued.expires_on.to_string(),
                        "expires_in": issued.lifetime.as_secs().to_string(), "resource": resource,
                        "token_type": "Bearer", "client_id": client_id});
                    json_response(StatusCode::OK, answer.to_string())
                }
                Err(error) => refused(&front, &error),
            }
        })
        .await
}

/// Which identity is asked for; `resource_ids` are the names that this endpoint has for a resource id. What it has no
/// name for it does not see, and so gives the system-assigned identity.
fn identity_name(query: &Query, resource_ids: &[&str]) -> IdentityName {
    let named = |names: &[&str]| names.iter().find_map(|name| query.get(name)).map(str::to_owned);
    if let Some(id) = named(&["client_id"]) {
        IdentityName::ClientId(id)
    } else if let Some(id) = named(&["object_id", "principal_id"]) {
        IdentityName::ObjectId(id)
    } else if let Some(id) = named(resource_ids) {
        IdentityName::ResourceId(id)
    } else {
        IdentityName::System
    }
}

/// `GET /v1/rest/auth/metadata`: where to sign in, and for which resource. Needs no sign-in itself.
pub(super) async fn metadata(State(front): State<Front>) -> Response<Body> {
    let exchange = Exchange::new(Endpoint::Metadata, "Metadata", "", "");
    front
        .exchange(exchange, async {
            let answer = json!({"AzureAD": {
                "LoginEndpoint": front.base,
                "LoginMfaRequired": false,
                "KustoClientAppId": "db662dc1-0cfe-4e1c-a843-19a68e65be58",
                "KustoClientRedirectUri": "https://microsoft/kustoclient",
                "KustoServiceResourceId": RESOURCE,
                "FirstPartyAuthorityUrl": format!("{}/{}", front.base, front.sign_in.tenant()),
            }});
            json_response(StatusCode::OK, answer.to_string())
        })
        .await
}

/// `GET /{tenant}/discovery/v2.0/keys`: none, since tokens are for this cluster only and signed with a secret of its own.
pub(super) async fn keys(State(front): State<Front>, Path(tenant): Path<String>) -> Response<Body> {
    let exchange = Exchange::new(Endpoint::SignIn, "Discovery", tenant.as_str(), "");
    front.exchange(exchange, async { json_response(StatusCode::OK, json!({"keys": []}).to_string()) }).await
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`, and without `v2.0` as AD FS has it.
pub(super) async fn openid(State(front): State<Front>, Path(tenant): Path<String>) -> Response<Body> {
    let exchange = Exchange::new(Endpoint::SignIn, "Discovery", tenant.as_str(), "");
    front
        .exchange(exchange, async {
            let authority = format!("{}/{tenant}", front.base);
            let answer = json!({
                "issuer": format!("{authority}/v2.0"),
                "authorization_endpoint": format!("{authority}/oauth2/v2.0/authorize"),
                "token_endpoint": format!("{authority}/oauth2/v2.0/token"),
                "jwks_uri": format!("{authority}/discovery/v2.0/keys"),
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["HS256"],
            });
            json_response(StatusCode::OK, answer.to_string())
        })
        .await
}

/// `GET /common/discovery/instance`: which authority a client may trust.
pub(super) async fn instance_discovery(State(front): State<Front>) -> Response<Body> {
    let exchange = Exchange::new(Endpoint::SignIn, "Discovery", "common", "");
    front
        .exchange(exchange, async {
            let host = front.base.split_once("://").map_or(front.base.as_str(), |(_, host)| host);
            let tenant = front.sign_in.tenant();
            let answer = json!({
                "tenant_discovery_endpoint": format!("{}/{tenant}/v2.0/.well-known/openid-configuration", front.base),
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            });
            json_response(StatusCode::OK, answer.to_string())
        })
        .await
}

fn malformed(why: &str) -> Refusal {
    Refusal { status: 400, error: "invalid_request", number: 900_144, message: why.to_owned() }
}

fn refused(front: &Front, error: &Refusal) -> Response<Body> {
    let id = front.storage.new_id().to_string();
    let answer = json!({
        "error": error.error,
        "error_description": format!("AADSTS{}: {}", error.number, error.message),
        "error_codes": [error.number],
        "timestamp": seven_digits(front.clock.now()),
        "trace_id": id,
        "correlation_id": id,
    });
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    json_response(status, answer.to_string())
}
