use super::*;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn target(service: Service) -> Target<'static> {
    Target { service, account: "acct00", resource: "things", item: None }
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

fn context(now: &str) -> Context<'static> {
    Context {
        key: KEY,
        now: at(now),
        origin: Origin { peer: "127.0.0.1".parse().unwrap(), secure: false },
        policies: &[],
    }
}

fn granted(service: Service, query: &Query, context: &Context<'_>) -> String {
    match check(target(service), query, context).unwrap() {
        Checked::Service { permissions, .. } | Checked::Account { permissions, .. } => permissions,
    }
}

/// A query of these fields, signed.
fn with_signature(service: Service, fields: &str) -> Query {
    let unsigned = Query::parse(fields);
    let text = if unsigned.get("ss").is_some() {
        account_text(target(service), &unsigned)
    } else {
        service_text(target(service), &unsigned)
    };
    let signature = STANDARD.encode(mac(KEY, &text).finalize().into_bytes());
    Query::parse(&format!("{fields}&sig={}", utf8_percent_encode(&signature, UNRESERVED)))
}

fn refused(query: &Query, now: &str) -> StorageError {
    check(target(Service::Blob), query, &context(now)).unwrap_err()
}

#[test]
fn what_is_signed_holds_for_every_service_and_grants_what_was_signed() {
    for service in [Service::Blob, Service::Queue, Service::Table] {
        assert_eq!(granted(service, &signed(service, "ra"), &context("2026-01-01T00:30:00Z")), "ra");
    }
}

#[test]
fn an_address_and_a_protocol_may_be_signed_too() {
    let sas =
        |more: &str| with_signature(Service::Blob, &format!("sv=2022-11-02&sr=c&sp=r&se=2027-01-01{more}"));
    let now = "2026-01-01T00:00:00Z";
    for fine in ["&sip=127.0.0.1", "&sip=127.0.0.0-127.0.0.9", "&spr=https,http"] {
        assert_eq!(granted(Service::Blob, &sas(fine), &context(now)), "r");
    }
    let over_tls = Context { origin: Origin { secure: true, ..context(now).origin }, ..context(now) };
    assert_eq!(granted(Service::Blob, &sas("&spr=https"), &over_tls), "r");
    for (more, code) in [
        ("&sip=127.0.0.2-127.0.0.9", "AuthorizationSourceIPMismatch"),
        ("&sip=here", "AuthenticationFailed"),
        ("&spr=https", "AuthorizationProtocolMismatch"),
        ("&spr=ftp", "AuthenticationFailed"),
        ("&skoid=x", "AuthenticationFailed"),
    ] {
        assert_eq!(refused(&sas(more), now).code, code, "{more}");
    }
}

#[test]
fn a_stored_policy_gives_what_the_signature_leaves_out_and_may_not_repeat_it() {
    let policies = [Policy {
        id: "p1".to_owned(),
        expiry: "2026-02-01".to_owned(),
        permission: "rl".to_owned(),
        ..Policy::default()
    }];
    let context = Context { policies: &policies, ..context("2026-01-15T00:00:00Z") };
    let sas = |fields: &str| with_signature(Service::Queue, &format!("sv=2022-11-02{fields}"));
    assert_eq!(granted(Service::Queue, &sas("&si=p1"), &context), "rl");
    for wrong in ["&si=p2", "&si=p1&sp=r", "&si=p1&se=2026-02-01", "&sp=r"] {
        let error = check(target(Service::Queue), &sas(wrong), &context).unwrap_err();
        assert_eq!(error.code, "AuthenticationFailed", "{wrong}");
    }
    let later = Context { now: at("2026-02-01T00:00:00Z"), ..context };
    assert!(check(target(Service::Queue), &sas("&si=p1"), &later).is_err(), "the policy has expired");
}

#[test]
fn an_account_signature_names_services_and_levels() {
    let query = with_signature(Service::Table, "sv=2022-11-02&ss=bt&srt=co&sp=rl&se=2027-01-01");
    let checked = check(target(Service::Table), &query, &context("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(checked, Checked::Account { permissions: "rl".to_owned(), levels: "co".to_owned() });
    let error = check(target(Service::Queue), &query, &context("2026-01-01T00:00:00Z")).unwrap_err();
    assert_eq!(error.code, "AuthorizationServiceMismatch");
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
    assert!(check(target(Service::Blob), &query, &Context { key: b"other", ..context(now) }).is_err());
    let other = Target { resource: "others", ..target(Service::Blob) };
    assert!(check(other, &query, &context(now)).is_err());
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
