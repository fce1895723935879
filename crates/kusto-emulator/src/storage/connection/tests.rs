use super::*;

#[test]
fn endpoints_are_given_or_made_of_protocol_account_and_suffix() {
    let given = Connection::parse(
        "accountname=a1;ACCOUNTKEY=a2V5;BlobEndpoint=http://127.0.0.1:1/a1/;QueueEndpoint=http://127.0.0.1:2/a1;\
         TableEndpoint=http://127.0.0.1:3/a1;",
    )
    .unwrap();
    assert_eq!((given.account.as_str(), given.key.as_slice()), ("a1", &b"key"[..]));
    assert_eq!(given.endpoint(Service::Blob), "http://127.0.0.1:1/a1");
    assert_eq!(given.below(Service::Queue, "http://127.0.0.1:2/a1/q/messages?x"), Some("q/messages?x"));
    assert_eq!(given.below(Service::Queue, "http://127.0.0.1:2/a12/q"), None);
    let made = Connection::parse("AccountName=a1;AccountKey=a2V5;EndpointSuffix=example.org").unwrap();
    assert_eq!(made.endpoint(Service::Table), "https://a1.table.example.org");
    let development = Connection::parse("UseDevelopmentStorage=true").unwrap();
    assert_eq!(development.endpoint(Service::Queue), "http://127.0.0.1:10001/devstoreaccount1");
}

#[test]
fn what_is_missing_is_named_and_no_secret_is_shown() {
    for (text, why) in [
        ("", "AccountName"),
        ("AccountName=a1", "AccountKey"),
        ("AccountName=a1;SharedAccessSignature=sig=secret", "AccountKey"),
        ("AccountName=a1;AccountKey=secret!", "base64"),
        ("AccountName=a1;AccountKey=a2V5;BlobEndpoint=nowhere", "blob endpoint"),
        ("AccountName=a1;AccountKey=a2V5;QueueEndpoint=ftp://x/", "queue endpoint"),
        ("AccountName=a1;secret", "key=value"),
    ] {
        let error = Connection::parse(text).unwrap_err();
        assert!(error.contains(why) && !error.contains("secret"), "{text}: {error}");
    }
    let connection = Connection::parse("AccountName=a1;AccountKey=a2V5").unwrap();
    assert_eq!(format!("{connection:?}"), "Connection(\"a1\")");
}
