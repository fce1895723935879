//! Signatures: those that hold, and each way in which one does not.

use jiff::{Timestamp, ToSpan};
use serde_json::json;

use super::blobs::container;
use super::wire::{Server, Service, blob, in_hours, queue, table};

/// Azurite has one code for a signature that does not hold; the service tells them apart.
const WHY_FAILED: &str =
    "the service says AuthenticationFailed for a signature that does not match or hold now";

pub(super) async fn shared_key(server: &Server) {
    container(server, "keys").await;
    let list = || blob("GET", "?comp=list&prefix=keys");
    for skew in [10.minutes(), -10.minutes()] {
        let date = Timestamp::now().checked_add(skew).unwrap();
        server.send_at(list(), date).await.is("200");
    }
    let old = Timestamp::now().checked_sub(20.minutes()).unwrap();
    let old = server.send_at(list(), old).await.said();
    let why = "a request's date may be 15 minutes off: \"Authorize with Shared Key\"; Azurite does not look";
    server.differs(old.as_str(), "403 AuthenticationFailed", "200", why);
    let other = Server::new(server.kind, &connection(server));
    other.send(queue("GET", "?comp=list")).await.is("403 AuthenticationFailed");
    for ask in [list(), blob("PUT", "keys/x").block_blob("x")] {
        let refused = other.send(ask).await.said();
        server.differs(refused.as_str(), "403 AuthenticationFailed", "403 AuthorizationFailure", WHY_FAILED);
    }
    let refused = other.send(table("GET", "Tables")).await.said();
    server.differs(refused.as_str(), "403 AuthenticationFailed", "403 AuthorizationFailure", WHY_FAILED);
    let url = server.url(&list());
    let nobody = server.raw(list().header("x-ms-version", "2022-11-02"), url.clone()).await.said();
    let why = "the service tells who has not signed at all: 401 NoAuthenticationInformation";
    server.differs(nobody.as_str(), "401 NoAuthenticationInformation", "403 AuthorizationFailure", why);
    for (value, ours, azurite) in [
        ("SharedKey nonsense", "400 InvalidAuthenticationInfo", "403 AuthorizationFailure"),
        ("Basic YTpi", "400 InvalidAuthenticationInfo", "403 AuthorizationFailure"),
    ] {
        let refused = server.raw(list().header("authorization", value), url.clone()).await.said();
        server.differs(
            refused.as_str(),
            ours,
            azurite,
            "the service tells a malformed header from a wrong signature",
        );
    }
}

/// The same account with a key that is not its own.
fn connection(server: &Server) -> String {
    let [blob, queue, table] =
        [Service::Blob, Service::Queue, Service::Table].map(|one| server.endpoint(one));
    format!(
        "AccountName={};AccountKey=a2V5;BlobEndpoint={blob};QueueEndpoint={queue};TableEndpoint={table}",
        server.account
    )
}

pub(super) async fn service_sas(server: &Server) {
    container(server, "sas").await;
    server.send(blob("PUT", "sas/there").block_blob("there")).await.is("201");
    let (past, soon) = (in_hours(-1), in_hours(1));
    let sas = |fields: &[(&str, &str)]| server.service_sas(Service::Blob, "sas", fields);
    let whole = |permissions: &str| sas(&[("sp", permissions), ("st", &past), ("se", &soon), ("sr", "c")]);
    let get = || blob("GET", "sas/there");
    let put = |name: &str| blob("PUT", format!("sas/{name}")).block_blob("x");
    server.send_with(get(), &whole("r")).await.is("200");
    server.send_with(put("new"), &whole("r")).await.is("403 AuthorizationPermissionMismatch");
    server.send_with(put("new"), &whole("c")).await.is("201");
    let again = server.send_with(put("new"), &whole("c")).await;
    again.is("403 AuthorizationPermissionMismatch");
    server.send_with(put("new"), &whole("w")).await.is("201");
    server.send_with(blob("DELETE", "sas/new"), &whole("rw")).await.is("403 AuthorizationPermissionMismatch");
    server.send_with(blob("DELETE", "sas/new"), &whole("d")).await.is("202");
    let list = || blob("GET", "sas?restype=container&comp=list");
    server.send_with(list(), &whole("l")).await.is("200");
    server.send_with(list(), &whole("r")).await.is("403 AuthorizationPermissionMismatch");
    let make = server.send_with(blob("PUT", "sas?restype=container"), &whole("racwdl")).await.status;
    assert_eq!(make, 403, "no service SAS makes a container");
    for (name, fields) in [
        ("expired", vec![("sp", "r"), ("se", past.as_str()), ("sr", "c")]),
        ("not yet", vec![("sp", "r"), ("st", soon.as_str()), ("se", "2080-01-01"), ("sr", "c")]),
    ] {
        let refused = server.send_with(get(), &sas(&fields)).await.said();
        let expected = (refused.as_str(), "403 AuthenticationFailed", "403 AuthorizationFailure");
        println!("{name}");
        server.differs(expected.0, expected.1, expected.2, WHY_FAILED);
    }
    let forged = whole("r").replace("sp=r", "sp=rwd");
    let refused = server.send_with(get(), &forged).await.said();
    server.differs(refused.as_str(), "403 AuthenticationFailed", "403 AuthorizationFailure", WHY_FAILED);
    let elsewhere = sas(&[("sp", "r"), ("se", &soon), ("sr", "c"), ("sip", "10.0.0.1")]);
    let refused = server.send_with(get(), &elsewhere).await.said();
    let why = "Azurite does not look at the address that a SAS holds for";
    server.differs(refused.as_str(), "403 AuthorizationSourceIPMismatch", "200", why);
    let here = sas(&[("sp", "r"), ("se", &soon), ("sr", "c"), ("sip", "127.0.0.0-127.0.0.255")]);
    server.send_with(get(), &here).await.is("200");
    let tls = sas(&[("sp", "r"), ("se", &soon), ("sr", "c"), ("spr", "https")]);
    server.send_with(get(), &tls).await.is("403 AuthorizationProtocolMismatch");
    let both = sas(&[
        ("sp", "r"),
        ("se", &soon),
        ("sr", "c"),
        ("spr", "https,http"),
        ("rsct", "a/b"),
        ("rscd", "inline"),
    ]);
    let got = server.send_with(get(), &both).await.is("200");
    assert_eq!((got.header("content-type"), got.header("content-disposition")), ("a/b", "inline"));
    let one = server.service_sas(Service::Blob, "sas/there", &[("sp", "r"), ("se", &soon), ("sr", "b")]);
    server.send_with(get(), &one).await.is("200");
    let refused = server.send_with(blob("GET", "sas/other"), &one).await.said();
    server.differs(refused.as_str(), "403 AuthenticationFailed", "403 AuthorizationFailure", WHY_FAILED);

    server.send(queue("PUT", "sas")).await.is("201");
    let sas =
        |permissions: &str| server.service_sas(Service::Queue, "sas", &[("sp", permissions), ("se", &soon)]);
    let put =
        || queue("POST", "sas/messages").body("<QueueMessage><MessageText>x</MessageText></QueueMessage>");
    server.send_with(put(), &sas("a")).await.is("201");
    server.send_with(put(), &sas("rup")).await.is("403 AuthorizationPermissionMismatch");
    server.send_with(queue("GET", "sas/messages?peekonly=true"), &sas("r")).await.is("200");
    server.send_with(queue("GET", "sas/messages"), &sas("r")).await.is("403 AuthorizationPermissionMismatch");
    server.send_with(queue("GET", "sas/messages"), &sas("p")).await.is("200");

    server.send(table("POST", "Tables").json(json!({"TableName": "Sas"}))).await.is("201");
    let sas = |more: &[(&str, &str)]| {
        let fields = [&[("tn", "Sas"), ("se", soon.as_str())], more].concat();
        server.service_sas(Service::Table, "Sas", &fields)
    };
    let insert =
        |partition: &str| table("POST", "Sas").json(json!({"PartitionKey": partition, "RowKey": "r"}));
    server.send_with(insert("a"), &sas(&[("sp", "a")])).await.is("201");
    server.send_with(insert("b"), &sas(&[("sp", "a")])).await.is("201");
    let refused = server.send_with(insert("c"), &sas(&[("sp", "r")])).await.said();
    assert_eq!(refused, "403 AuthorizationPermissionMismatch");
    let count = async |sas: &str| {
        let answer = server.send_with(table("GET", "Sas()"), sas).await.is("200").json();
        answer["value"].as_array().unwrap().len()
    };
    assert_eq!(count(&sas(&[("sp", "r")])).await, 2);
    let range = count(&sas(&[("sp", "r"), ("spk", "b"), ("epk", "b")])).await;
    server.differs(range, 1, 2, "Azurite does not hold queries to the range of keys in the signature");
}

pub(super) async fn account_sas(server: &Server) {
    container(server, "account").await;
    server.send(blob("PUT", "account/there").block_blob("there")).await.is("201");
    let soon = in_hours(1);
    let sas = |services: &str, levels: &str, permissions: &str| {
        server.account_sas(&[("ss", services), ("srt", levels), ("sp", permissions), ("se", &soon)])
    };
    let get = || blob("GET", "account/there");
    server.send_with(get(), &sas("bqt", "sco", "rl")).await.is("200");
    server.send_with(get(), &sas("qt", "sco", "rl")).await.is("403 AuthorizationServiceMismatch");
    server.send_with(get(), &sas("b", "sc", "rl")).await.is("403 AuthorizationResourceTypeMismatch");
    server.send_with(get(), &sas("b", "sco", "wl")).await.is("403 AuthorizationPermissionMismatch");
    let list = || blob("GET", "?comp=list&prefix=account");
    server.send_with(list(), &sas("b", "s", "l")).await.is("200");
    server.send_with(list(), &sas("b", "co", "l")).await.is("403 AuthorizationResourceTypeMismatch");
    server.send_with(blob("PUT", "account-2?restype=container"), &sas("b", "c", "c")).await.is("201");
    server.send_with(blob("DELETE", "account-2?restype=container"), &sas("b", "c", "d")).await.is("202");
    server.send_with(queue("GET", "?comp=list"), &sas("q", "s", "l")).await.is("200");
    server.send_with(queue("PUT", "account"), &sas("q", "c", "w")).await.is("201");
    let new = || table("POST", "Tables").json(json!({"TableName": "Account"}));
    server.send_with(new(), &sas("t", "c", "c")).await.is("201");
    server.send_with(table("GET", "Tables"), &sas("t", "c", "l")).await.is("200");
    let past = in_hours(-1);
    let expired = server.account_sas(&[("ss", "b"), ("srt", "sco"), ("sp", "rl"), ("se", &past)]);
    let refused = server.send_with(get(), &expired).await.said();
    server.differs(refused.as_str(), "403 AuthenticationFailed", "403 AuthorizationFailure", WHY_FAILED);
}

pub(super) async fn stored_policy(server: &Server) {
    container(server, "policies").await;
    server.send(blob("PUT", "policies/there").block_blob("there")).await.is("201");
    let soon = in_hours(1);
    let document = |permission: &str| {
        format!(
            "<?xml version=\"1.0\"?><SignedIdentifiers><SignedIdentifier><Id>p1</Id><AccessPolicy><Expiry>{soon}</Expiry>\
             <Permission>{permission}</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>"
        )
    };
    let set =
        |permission: &str| blob("PUT", "policies?restype=container&comp=acl").body(document(permission));
    server.send(set("r")).await.is("200");
    let shown = server.send(blob("GET", "policies?restype=container&comp=acl")).await.is("200");
    assert_eq!(
        (shown.elements("Id"), shown.elements("Permission")),
        (vec!["p1".to_owned()], vec!["r".to_owned()])
    );
    let sas = server.service_sas(Service::Blob, "policies", &[("si", "p1"), ("sr", "c")]);
    let put = || blob("PUT", "policies/new").block_blob("x");
    server.send_with(blob("GET", "policies/there"), &sas).await.is("200");
    server.send_with(put(), &sas).await.is("403 AuthorizationPermissionMismatch");
    server.send(set("w")).await.is("200");
    server.send_with(put(), &sas).await.is("201");
    let unknown = server.service_sas(Service::Blob, "policies", &[("si", "p2"), ("sr", "c")]);
    let refused = server.send_with(put(), &unknown).await.said();
    server.differs(refused.as_str(), "403 AuthenticationFailed", "403 AuthorizationFailure", WHY_FAILED);
    let twice = [("si", "p1"), ("sp", "w"), ("se", soon.as_str()), ("sr", "c")];
    let twice = server.send_with(put(), &server.service_sas(Service::Blob, "policies", &twice)).await.said();
    let why = "what stands in the policy may not stand in the signature: \"Define a stored access policy\"";
    server.differs(twice.as_str(), "403 AuthenticationFailed", "201", why);
    server.send(blob("PUT", "policies?restype=container&comp=acl")).await.is("200");
    assert_eq!(server.send_with(put(), &sas).await.status, 403, "the policy was taken away");
}
