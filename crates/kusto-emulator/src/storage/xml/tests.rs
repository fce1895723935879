use super::*;

#[test]
fn messages_are_read_with_what_data_management_needs() {
    let document = b"<?xml version=\"1.0\"?><QueueMessagesList><QueueMessage><MessageId>1</MessageId>\
        <InsertionTime>Fri, 02 Jan 2026 03:04:05 GMT</InsertionTime><ExpirationTime>x</ExpirationTime>\
        <PopReceipt>a&amp;b</PopReceipt><DequeueCount>3</DequeueCount><MessageText>&lt;x/&gt;</MessageText>\
        </QueueMessage><QueueMessage><MessageId>2</MessageId><MessageText/></QueueMessage></QueueMessagesList>";
    let messages = messages(document).unwrap();
    let [first, second] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((first.id.as_str(), first.text.as_str(), first.pop_receipt.as_str()), ("1", "<x/>", "a&b"));
    assert_eq!((first.inserted.to_string().as_str(), first.dequeued), ("2026-01-02T03:04:05Z", 3));
    assert_eq!((second.id.as_str(), second.text.as_str(), second.dequeued), ("2", "", 1));
    assert!(super::messages(b"<QueueMessagesList/>").unwrap().is_empty());
}

#[test]
fn policies_are_read_with_or_without_their_parts() {
    let document = b"<SignedIdentifiers><SignedIdentifier><Id>a</Id><AccessPolicy><Start>2026-01-01</Start>\
        <Permission>rl</Permission></AccessPolicy></SignedIdentifier><SignedIdentifier><Id>b</Id></SignedIdentifier>\
        </SignedIdentifiers>";
    let policies = policies(document).unwrap();
    assert_eq!((policies[0].id.as_str(), policies[0].permission.as_str()), ("a", "rl"));
    assert_eq!(policies[1], Policy { id: "b".to_owned(), ..Policy::default() });
    assert!(super::policies(b"<SignedIdentifiers><Other/></SignedIdentifiers>").is_err());
}
