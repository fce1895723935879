use super::*;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn target(service: Service) -> Target<'static> {
    Target { service, account: "acct00", resource: "things", item: None, keys: None }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn signed(service: Service, permissions: &str) -> Query {
    Query::parse(&sign(
        target(service),
        KEY,
        permissions,
        at("2026-01-01T00:00:00Z"),
        at("2026-01-01T01:00:00Z"),
    ))
}

fn refused(query: &Query, now: &str) -> StorageError {
    check(target(Service::Blob), query, KEY, at(now)).unwrap_err()
}

#[test]
fn what_is_signed_holds_for_every_service_and_grants_what_was_signed() {
    for service in [Service::Blob, Service::Queue, Service::Table] {
        let granted =
            check(target(service), &signed(service, "ra"), KEY, at("2026-01-01T00:30:00Z")).unwrap();
        assert!(granted.has('r') && granted.has('a') && !granted.has('w'));
        assert_eq!(granted.require("dw").unwrap_err().code, "AuthorizationPermissionMismatch");
    }
}

#[test]
fn a_signature_does_not_hold_before_its_start_nor_from_its_expiry_on() {
    let query = signed(Service::Blob, "r");
    for now in ["2025-12-31T23:59:59Z", "2026-01-01T01:00:00Z"] {
        let error = refused(&query, now);
        assert_eq!((error.status, error.code), (403, "AuthenticationFailed"));
        assert!(error.detail.unwrap().starts_with("Signature not valid in the specified time frame"));
    }
}

#[test]
fn a_widened_permission_a_longer_expiry_another_key_or_another_container_breaks_the_signature() {
    let raw = sign(target(Service::Blob), KEY, "r", at("2026-01-01T00:00:00Z"), at("2026-01-01T01:00:00Z"));
    let now = "2026-01-01T00:30:00Z";
    for forged in
        [raw.replace("sp=r", "sp=rw"), raw.replace("se=2026", "se=2027"), raw.replace("sr=c", "sr=b")]
    {
        assert_eq!(refused(&Query::parse(&forged), now).code, "AuthenticationFailed");
    }
    let query = Query::parse(&raw);
    assert!(check(target(Service::Blob), &query, b"other", at(now)).is_err());
    let other = Target { resource: "others", ..target(Service::Blob) };
    assert!(check(other, &query, KEY, at(now)).is_err());
}

#[test]
fn no_signature_is_told_from_a_wrong_one() {
    assert_eq!(refused(&Query::parse("sv=2022-11-02&sp=r"), "2026-01-01T00:30:00Z").status, 401);
    assert_eq!(refused(&Query::parse("sv=2022-11-02&sp=r&sig=%%%"), "2026-01-01T00:30:00Z").status, 403);
}

/// The example of the page "Create a service SAS" names these fields in this order for version 2020-12-06 and later.
#[test]
fn the_text_of_a_blob_signature_is_the_documented_one() {
    let query =
        Query::parse("sp=rw&st=S&se=E&spr=https&sv=2022-11-02&sr=b&rscd=file%3B%20attachment&rsct=binary");
    let blob = Target { item: Some("pictures/a b.jpg"), ..target(Service::Blob) };
    assert_eq!(
        service_text(blob, &query),
        "rw\nS\nE\n/blob/acct00/things/pictures/a b.jpg\n\n\nhttps\n2022-11-02\nb\n\n\n\nfile; attachment\n\n\nbinary"
    );
}

#[test]
fn times_are_read_in_all_documented_forms() {
    for text in ["2026-01-01", "2026-01-01T00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.0000000Z"] {
        assert_eq!(parse_moment(text), Some(at("2026-01-01T00:00:00Z")), "{text}");
    }
    assert_eq!(parse_moment("yesterday"), None);
}
