//! Says what refused a sign-in, where, and what a person can do about the likeliest reasons.

use secrecy::ExposeSecret;
use url::Url;

use super::{Application, Auth, Proof};
use crate::clock::Skew;
use crate::http::Attempt;
use crate::redact::{excerpt, redact};
use crate::{Error, ErrorKind, transport};

/// The longest quotation of what a token service or `az` says.
const QUOTED: usize = 600;

/// What Entra's error codes mean for a person
/// (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>). Longer codes stand before those that
/// they begin with.
const ENTRA: &[(&str, &str)] = &[
    ("AADSTS7000215", "The application key is wrong. Give the secret's value, not its id."),
    (
        "AADSTS7000222",
        "The application key has expired. Make a new one for the application in Entra, and give its value.",
    ),
    (
        "AADSTS7000112",
        "The application is disabled in this tenant. Somebody who administers Entra has to enable it.",
    ),
    ("AADSTS700016", "The tenant does not know this application. Check application id and tenant."),
    (
        "AADSTS700027",
        "Entra does not know the certificate. Upload it for the application in Entra, or check that it is the right one.",
    ),
    (
        "AADSTS1000502",
        "The certificate has expired. Renew it, and upload the new one for the application in Entra.",
    ),
    ("AADSTS700024", "The times of this machine and of the sign-in service differ. Set the clock."),
    (
        "AADSTS70021",
        "No federated credential of the application fits the pod's token. Check its issuer, subject and audience in Entra.",
    ),
    (
        "AADSTS7002",
        "No federated credential of the application fits the pod's token. Check its issuer, subject and audience in Entra.",
    ),
    (
        "AADSTS500133",
        "The pod's token has expired. Check that AZURE_FEDERATED_TOKEN_FILE names the projected file, which is kept fresh.",
    ),
    ("AADSTS500011", "The tenant does not know Azure Data Explorer; check the tenant id and the cloud."),
    (
        "AADSTS90002",
        "There is no such tenant. Check the tenant id, and that the cluster is in the same cloud.",
    ),
    ("AADSTS900023", "There is no such tenant. Check the tenant id."),
    ("AADSTS53003", "A conditional access policy blocks this sign-in. Ask who administers Entra."),
];

/// Translates an error of `azure_identity`.
pub(super) fn explain(
    error: &azure_core::Error,
    auth: &Auth,
    attempt: &Attempt,
    login: &Url,
    skew: Option<Skew>,
) -> Error {
    use azure_core::error::ErrorKind as Azure;
    let inner = innermost(error);
    if matches!(inner.kind(), Azure::Connection) {
        let asked = match auth {
            Auth::ManagedIdentity(_) => &identity_endpoint(),
            _ => login,
        };
        let error = transport::translate(inner, attempt, asked);
        return match auth {
            Auth::ManagedIdentity(_) => error.with_advice(NO_IDENTITY_ENDPOINT),
            _ => error,
        };
    }
    let kind = match inner.kind() {
        Azure::HttpResponse { status, .. } if u16::from(*status) == 429 => ErrorKind::Throttled,
        Azure::HttpResponse { status, .. } if u16::from(*status) == 407 => ErrorKind::Unreachable,
        Azure::HttpResponse { status, .. } if u16::from(*status) >= 500 => ErrorKind::Service,
        Azure::Io => ErrorKind::Interrupted,
        _ if is_garbled(error) => ErrorKind::Protocol,
        _ => ErrorKind::SignIn,
    };
    let said = hide_key(&said(error), auth);
    let told = Error::new(kind, attempt.operation, &attempt.target, said.clone());
    match advice(&said, kind, auth, skew) {
        Some(advice) => told.with_advice(advice),
        None => told,
    }
}

/// Nobody answered within the deadline.
pub(super) fn too_late(auth: &Auth, attempt: &Attempt) -> Error {
    let message = format!("no token within {:?}", attempt.timeout);
    let error = Error::new(ErrorKind::Timeout, attempt.operation, &attempt.target, message);
    match auth {
        Auth::ManagedIdentity(_) => error.with_advice(NO_IDENTITY_ENDPOINT),
        Auth::AzureCli { .. } => {
            error.with_advice("Run `az account get-access-token` and see what it waits for.")
        }
        _ => error,
    }
}

const NO_IDENTITY_ENDPOINT: &str = "Managed identities are handed out by 169.254.169.254, on virtual machines of Azure \
    alone, or where IDENTITY_ENDPOINT is set, as in App Service. Elsewhere choose another sign-in.";

/// Where `azure_identity` asks for managed identities.
fn identity_endpoint() -> Url {
    let machine = || Url::parse("http://169.254.169.254").expect("a literal address is a URL");
    let named = std::env::var("IDENTITY_ENDPOINT").ok().and_then(|text| Url::parse(&text).ok());
    named.unwrap_or_else(machine)
}

/// The library wraps its errors; the innermost of its own kind says what happened on the wire.
fn innermost(error: &azure_core::Error) -> &azure_core::Error {
    let mut inner = error;
    while let Some(next) = inner.get_ref().and_then(|source| source.downcast_ref::<azure_core::Error>()) {
        inner = next;
    }
    inner
}

/// Whether the answer was no JSON: something else than the sign-in service answered.
fn is_garbled(error: &azure_core::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<serde_json::Error>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// What the token service said: its first line, without the library's own preface.
fn said(error: &azure_core::Error) -> String {
    let text = error.to_string();
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line = match line.split_once(" authentication failed.") {
        Some((_, rest)) if !rest.trim().is_empty() => rest,
        Some(_) => text.lines().filter(|line| !line.trim().is_empty()).nth(1).unwrap_or(line),
        None => line,
    };
    excerpt(&redact(line), QUOTED)
}

fn hide_key(text: &str, auth: &Auth) -> String {
    match auth {
        Auth::Application(Application { proof: Proof::Key(key), .. }) => {
            text.replace(key.expose_secret(), "[hidden]")
        }
        _ => text.to_owned(),
    }
}

fn advice(said: &str, kind: ErrorKind, auth: &Auth, skew: Option<Skew>) -> Option<String> {
    let clock = skew.and_then(Skew::advice);
    if said.contains("AADSTS700024") && clock.is_some() {
        return clock;
    }
    if let Some((_, advice)) = ENTRA.iter().find(|(code, _)| said.contains(code)) {
        return Some((*advice).to_owned());
    }
    if kind == ErrorKind::SignIn && clock.is_some() {
        return clock;
    }
    let advice = match auth {
        _ if kind == ErrorKind::Unreachable => crate::http::PROXY_ADVICE,
        Auth::AzureCli { .. } if said.contains("not found on PATH") => {
            "Install the Azure command line, or choose another sign-in."
        }
        Auth::AzureCli { .. } => "Run `az login` and check with `az account show`.",
        Auth::ManagedIdentity(_) if said.contains("managed identity isn't supported") => {
            "Only managed identities of virtual machines and of App Service can be used here. Choose another sign-in, \
             or give a token_provider that asks this platform."
        }
        Auth::ManagedIdentity(_) => {
            "Check that the machine has this identity; a user-assigned one needs its client, object or resource id."
        }
        Auth::Workload(_) => {
            "Check that the pod has the label azure.workload.identity/use and a service account of the identity, or \
             give client id, tenant and token file."
        }
        _ => return None,
    };
    Some(advice.to_owned())
}
