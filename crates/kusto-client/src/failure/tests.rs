use serde_json::json;

use super::*;

const DOCUMENTED: &str = r#"{"error":{"code":"General_BadRequest","message":"Request is invalid and cannot be executed.",
 "@type":"Kusto.Data.Exceptions.KustoBadRequestException",
 "@message":"Request is invalid and cannot be processed: Semantic error: SEM0100: 'table' operator: Failed to resolve",
 "@context":{"clientRequestId":"Kusto.Cli;b90f"},"@permanent":true,
 "innererror":{"code":"SEM0100","message":"'table' operator","@permanent":true}}}"#;

fn attempt(effect: Effect) -> Attempt {
    Attempt { operation: "run a command", target: "db".into(), effect, timeout: Duration::from_secs(1) }
}

#[test]
fn the_documented_body_gives_the_innermost_code_and_the_long_message() {
    let failure = Failure::from_body(DOCUMENTED.as_bytes());
    assert_eq!(failure.code.as_deref(), Some("SEM0100"));
    assert!(
        failure.message.starts_with("Request is invalid and cannot be processed: Semantic"),
        "{failure:?}"
    );
    assert_eq!(failure.permanent, Some(true));
}

#[test]
fn storage_speaks_xml_or_odata() {
    let xml = "<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to \
               authenticate.\nRequestId:1\nTime:2</Message></Error>";
    let failure = Failure::from_body(xml.as_bytes());
    assert_eq!(failure.code.as_deref(), Some("AuthenticationFailed"));
    assert_eq!(failure.message, "Server failed to authenticate.");

    let odata =
        json!({"odata.error": {"code": "EntityAlreadyExists", "message": {"lang": "en", "value": "It is."}}});
    let failure = Failure::from_body(odata.to_string().as_bytes());
    assert_eq!((failure.code.as_deref(), failure.message.as_str()), (Some("EntityAlreadyExists"), "It is."));
}

#[test]
fn what_is_no_error_body_is_quoted_in_one_short_line() {
    let failure = Failure::from_body(b"<html>\nblocked by the firewall?sig=abc");
    assert_eq!(failure.message, "<html>");
    let failure = Failure::from_body("ä".repeat(10_000).as_bytes());
    assert_eq!(failure.message.chars().count(), EXCERPT + 1);
    assert_eq!(Failure::from_body(b"").message, "");
    assert_eq!(Failure::from_body(&[0xff, 0xfe]).code, None);
}

#[test]
fn statuses_mean_what_the_documentation_says() {
    let plain = Failure::default();
    let transient = Failure { permanent: Some(false), ..Failure::default() };
    let permanent = Failure { permanent: Some(true), ..Failure::default() };
    for (status, failure, kind, effect) in [
        (400, &plain, ErrorKind::BadRequest, Effect::None),
        (400, &transient, ErrorKind::Service, Effect::None),
        (401, &plain, ErrorKind::SignIn, Effect::None),
        (403, &plain, ErrorKind::Forbidden, Effect::None),
        (404, &plain, ErrorKind::NotFound, Effect::None),
        (409, &plain, ErrorKind::Conflict, Effect::None),
        (413, &plain, ErrorKind::TooLarge, Effect::None),
        (429, &plain, ErrorKind::Throttled, Effect::None),
        (500, &plain, ErrorKind::Service, Effect::Unknown),
        (504, &plain, ErrorKind::Timeout, Effect::Unknown),
        (520, &plain, ErrorKind::Service, Effect::Unknown),
        (520, &permanent, ErrorKind::BadRequest, Effect::Unknown),
        (302, &plain, ErrorKind::Protocol, Effect::Unknown),
    ] {
        assert_eq!(super::kind(status, failure, false), kind, "{status}");
        assert_eq!(super::effect(status, Effect::Unknown), effect, "{status}");
        assert_eq!(super::effect(status, Effect::None), Effect::None, "{status}");
    }
    assert_eq!(super::kind(503, &plain, true), ErrorKind::Throttled);
}

#[test]
fn a_command_at_the_wrong_endpoint_is_no_passing_failure() {
    let failure = Failure {
        exception: Some("Kusto.DataNode.Exceptions.AdminCommandWrongEndpointException".into()),
        permanent: Some(false),
        ..Failure::default()
    };
    assert_eq!(kind(400, &failure, false), ErrorKind::BadRequest);
    assert!(failure.is_wrong_endpoint());
}

#[test]
fn an_answer_without_words_is_given_some() {
    let error = from_failure(Failure::default(), 403, None, &attempt(Effect::Unknown));
    assert_eq!(
        error.to_string(),
        "could not run a command (db): the principal has no right to do this [HTTP 403]"
    );
}

/// Bodies of the service, of its gateways, of storage in both its languages, and of others.
const BODIES: &[&str] = &[
    DOCUMENTED,
    r#"{"error":{"code":"x","innererror":{"code":"y","innererror":{"code":"z"}},"@permanent":false}}"#,
    r#"{"odata.error":{"code":"EntityAlreadyExists","message":{"lang":"en-US","value":"The entity is there.\nRequestId:1"}}}"#,
    "<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>no?sig=s3cret&amp;x\nTime:1</Message></Error>",
    r#"{"error":"invalid_client","error_description":"AADSTS7000215: wrong","error_codes":[7000215]}"#,
    "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    "",
    "[]",
    "\u{feff}{}",
];

#[test]
fn no_damage_to_a_body_makes_the_reader_panic_or_its_message_long() {
    crate::fuzz::fuzz("error body", BODIES, |body| {
        let failure = Failure::from_body(body);
        assert!(failure.message.chars().count() <= MESSAGE + 1, "{}", failure.message.len());
        assert!(!failure.message.contains("sig=s3cret"), "{}", failure.message);
        let error = from_failure(failure, 400, None, &attempt(Effect::None));
        assert!(!error.to_string().is_empty());
    });
}
