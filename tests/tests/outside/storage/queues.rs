//! Queues and messages.

use super::wire::{Answer, NO_CODE, Server, encoded, queue};

async fn made(server: &Server, name: &str) {
    server.send(queue("PUT", name)).await.is("201");
}

fn message(text: &str) -> String {
    format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>")
}

pub(super) async fn queues(server: &Server) {
    server.send(queue("PUT", "made").header("x-ms-meta-purpose", "test")).await.is("201");
    server.send(queue("PUT", "made").header("x-ms-meta-purpose", "test")).await.is("204");
    server.send(queue("PUT", "made").header("x-ms-meta-purpose", "other")).await.is("409 QueueAlreadyExists");
    server.send(queue("PUT", "Upper")).await.is("400 InvalidResourceName");
    server.send(queue("PUT", "made?comp=metadata").header("x-ms-meta-other", "1")).await.is("204");
    let got = server.send(queue("GET", "made?comp=metadata")).await.is("200");
    assert_eq!((got.header("x-ms-meta-other"), got.header("x-ms-meta-purpose")), ("1", ""));
    assert_eq!(got.header("x-ms-approximate-messages-count"), "0");
    made(server, "made-2").await;
    assert_eq!(
        server.send(queue("GET", "?comp=list&prefix=made")).await.is("200").elements("Name"),
        ["made", "made-2"]
    );
    let first = server.send(queue("GET", "?comp=list&prefix=made&maxresults=1")).await.is("200");
    assert_eq!(first.elements("Name"), ["made"]);
    let marker = encoded(&first.elements("NextMarker").remove(0));
    let rest = server.send(queue("GET", format!("?comp=list&prefix=made&marker={marker}"))).await.is("200");
    assert_eq!(rest.elements("Name"), ["made-2"]);
    for name in ["made", "made-2"] {
        server.send(queue("DELETE", name)).await.is("204");
    }
    server.send(queue("DELETE", "made")).await.is("404 QueueNotFound");
    server.send(queue("GET", "made/messages")).await.is("404 QueueNotFound");
    server.send(queue("POST", "made/messages").body(message("x"))).await.is("404 QueueNotFound");
}

/// Address of a message that was got, with its receipt.
fn one(got: &Answer, more: &str) -> String {
    let (id, receipt) = (&got.elements("MessageId")[0], encoded(&got.elements("PopReceipt")[0]));
    format!("messages/messages/{id}?popreceipt={receipt}{more}")
}

pub(super) async fn messages(server: &Server) {
    made(server, "messages").await;
    let all = "messages/messages";
    let put = server.send(queue("POST", all).body(message("a &lt;b&gt; &amp; c&#33;"))).await.is("201");
    for name in ["MessageId", "InsertionTime", "ExpirationTime", "PopReceipt", "TimeNextVisible"] {
        assert_eq!(put.elements(name).len(), 1, "{name}");
    }
    let peeked = server.send(queue("GET", format!("{all}?peekonly=true"))).await.is("200");
    assert_eq!(
        (peeked.elements("MessageText").remove(0).as_str(), peeked.elements("PopReceipt").len()),
        ("a &lt;b&gt; &amp; c!", 0)
    );
    let got = server.send(queue("GET", format!("{all}?visibilitytimeout=600"))).await.is("200");
    assert_eq!(got.elements("DequeueCount"), ["1"]);
    assert!(server.send(queue("GET", all)).await.is("200").elements("MessageId").is_empty());
    assert!(server.send(queue("GET", format!("{all}?peekonly=true"))).await.elements("MessageId").is_empty());
    let updated =
        server.send(queue("PUT", one(&got, "&visibilitytimeout=0")).body(message("changed"))).await.is("204");
    assert!(
        !updated.header("x-ms-popreceipt").is_empty() && !updated.header("x-ms-time-next-visible").is_empty()
    );
    server.send(queue("DELETE", one(&got, ""))).await.is("400 PopReceiptMismatch");
    let again = server.send(queue("GET", all)).await.is("200");
    assert_eq!(
        (again.elements("MessageText"), again.elements("DequeueCount")),
        (vec!["changed".to_owned()], vec!["2".to_owned()])
    );
    server.send(queue("DELETE", one(&again, ""))).await.is("204");
    server.send(queue("DELETE", one(&again, ""))).await.is("404 MessageNotFound");
    for number in 0..5 {
        server.send(queue("POST", all).body(message(&number.to_string()))).await.is("201");
    }
    let three = server.send(queue("GET", format!("{all}?numofmessages=3"))).await.is("200");
    assert_eq!(three.elements("MessageText"), ["0", "1", "2"]);
    let count = server.send(queue("GET", "messages?comp=metadata")).await;
    assert_eq!(count.header("x-ms-approximate-messages-count"), "5");
    server.send(queue("DELETE", all)).await.is("204");
    let count = server.send(queue("GET", "messages?comp=metadata")).await;
    assert_eq!(count.header("x-ms-approximate-messages-count"), "0");
    let hidden = server
        .send(queue("POST", format!("{all}?visibilitytimeout=600&messagettl=700")).body(message("x")))
        .await;
    server.send(queue("DELETE", one(&hidden.is("201"), ""))).await.is("204");
    let forever =
        server.send(queue("POST", format!("{all}?messagettl=-1")).body(message("x"))).await.is("201");
    assert!(forever.elements("ExpirationTime")[0].contains(" 9999 "), "{}", forever.text());
    server.send(queue("DELETE", one(&forever, ""))).await.is("204");
    let none = server.send(queue("GET", format!("{all}?numofmessages=0"))).await;
    server.differs(none.said().as_str(), "400 OutOfRangeQueryParameterValue", "400", NO_CODE);
    for wrong in ["?numofmessages=33", "?visibilitytimeout=0"] {
        server.send(queue("GET", format!("{all}{wrong}"))).await.is("400 OutOfRangeQueryParameterValue");
    }
    server.send(queue("POST", all).body(message(&"x".repeat(64 * 1024)))).await.is("201");
    server
        .send(queue("POST", all).body(message(&"x".repeat(64 * 1024 + 1))))
        .await
        .is("413 RequestBodyTooLarge");
    server.send(queue("POST", all).body("<Nothing/>")).await.is("400 InvalidXmlDocument");
}
