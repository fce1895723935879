//! Containers and blobs.

use super::wire::{NO_CODE, Server, blob, encoded};

const NAMES: [&str; 8] = [
    "a b.csv",
    "plus+percent%41.csv",
    "dir/sub/x.csv",
    "dir/y.csv",
    "café ü世.csv",
    "q'(1)&=#?.csv",
    "semi;colon@x:y",
    "~tilde_-.",
];

/// Makes a container and gives its name back.
pub(super) async fn container(server: &Server, name: &str) -> String {
    server.send(blob("PUT", format!("{name}?restype=container"))).await.is("201");
    name.to_owned()
}

async fn put(server: &Server, container: &str, name: &str, text: &str) -> String {
    let put = blob("PUT", format!("{container}/{}", encoded(name))).block_blob(text);
    server.send(put).await.is("201").header("etag").to_owned()
}

pub(super) async fn containers(server: &Server) {
    let made = blob("PUT", "made?restype=container").header("x-ms-meta-purpose", "test");
    let made = server.send(made).await.is("201");
    for name in ["etag", "last-modified", "x-ms-request-id", "x-ms-version", "date"] {
        assert!(!made.header(name).is_empty(), "{name}");
    }
    server.send(blob("PUT", "made?restype=container")).await.is("409 ContainerAlreadyExists");
    for name in ["Upper", "under_score", "-dash", "two--dashes"] {
        let refused = server.send(blob("PUT", format!("{name}?restype=container"))).await;
        refused.is("400 InvalidResourceName");
    }
    server.send(blob("PUT", "ab?restype=container")).await.is("400 OutOfRangeInput");
    let head = server.send(blob("HEAD", "made?restype=container")).await.is("200");
    assert_eq!((head.header("x-ms-meta-purpose"), head.header("x-ms-lease-state")), ("test", "available"));
    let other = blob("PUT", "made?restype=container&comp=metadata").header("x-ms-meta-other", "1");
    server.send(other).await.is("200");
    let got = server.send(blob("GET", "made?restype=container")).await.is("200");
    assert_eq!(
        (got.header("x-ms-meta-other"), got.header("x-ms-meta-purpose")),
        ("1", ""),
        "replaced as a whole"
    );
    container(server, "made-2").await;
    container(server, "other").await;
    let list = server.send(blob("GET", "?comp=list&prefix=made&include=metadata")).await.is("200");
    assert_eq!(list.elements("Name"), ["made", "made-2"]);
    assert_eq!(list.elements("other"), ["1"]);
    let first = server.send(blob("GET", "?comp=list&prefix=made&maxresults=1")).await.is("200");
    assert_eq!(first.elements("Name"), ["made"]);
    let marker = first.elements("NextMarker").remove(0);
    let rest = format!("?comp=list&prefix=made&maxresults=1&marker={}", encoded(&marker));
    assert_eq!(server.send(blob("GET", rest)).await.is("200").elements("Name"), ["made-2"]);
    for name in ["made", "made-2", "other"] {
        server.send(blob("DELETE", format!("{name}?restype=container"))).await.is("202");
    }
    server.send(blob("DELETE", "made?restype=container")).await.is("404 ContainerNotFound");
    server.send(blob("GET", "made?restype=container&comp=list")).await.is("404 ContainerNotFound");
    server.send(blob("PUT", "made/x").block_blob("x")).await.is("404 ContainerNotFound");
}

pub(super) async fn bytes(server: &Server) {
    container(server, "bytes").await;
    let text = blob("PUT", "bytes/a.txt")
        .header("x-ms-meta-rows", "7")
        .header("x-ms-blob-content-type", "text/plain")
        .header("x-ms-blob-content-language", "de")
        .header("x-ms-blob-cache-control", "no-cache")
        .header("content-md5", "eB5eJF1ptWaXm4bijSPyxw==");
    let put = server.send(text.block_blob("0123456789")).await.is("201");
    let whole = server.send(blob("GET", "bytes/a.txt")).await.is("200");
    assert_eq!(whole.text(), "0123456789");
    for (name, value) in [
        ("x-ms-meta-rows", "7"),
        ("content-type", "text/plain"),
        ("content-language", "de"),
        ("cache-control", "no-cache"),
        ("content-md5", "eB5eJF1ptWaXm4bijSPyxw=="),
        ("x-ms-blob-type", "BlockBlob"),
        ("accept-ranges", "bytes"),
        ("etag", put.header("etag")),
        ("last-modified", put.header("last-modified")),
    ] {
        assert_eq!(whole.header(name), value, "{name}");
    }
    for (header, range, text, content_range) in [
        ("x-ms-range", "bytes=2-4", "234", "bytes 2-4/10"),
        ("range", "bytes=8-", "89", "bytes 8-9/10"),
        ("x-ms-range", "bytes=5-99", "56789", "bytes 5-9/10"),
    ] {
        let part = server.send(blob("GET", "bytes/a.txt").header(header, range)).await.is("206");
        assert_eq!((part.text().as_str(), part.header("content-range")), (text, content_range));
    }
    let behind = server.send(blob("GET", "bytes/a.txt").header("range", "bytes=10-")).await;
    let why = "a range that begins behind the last byte is invalid: \"Specifying the range header\"";
    server.differs(behind.said().as_str(), "416 InvalidRange", "206", why);
    let behind = server.send(blob("GET", "bytes/a.txt").header("range", "bytes=11-")).await;
    behind.is("416 InvalidRange");
    let head = server.send(blob("HEAD", "bytes/a.txt")).await.is("200");
    assert_eq!((head.header("content-length"), head.body.len()), ("10", 0));
    server.send(blob("HEAD", "bytes/nothing")).await.is("404 BlobNotFound");
    server.send(blob("GET", "bytes/nothing")).await.is("404 BlobNotFound");
    server.send(blob("PUT", "bytes/empty").block_blob("")).await.is("201");
    assert_eq!(server.send(blob("GET", "bytes/empty")).await.is("200").body.len(), 0);
    server.send(blob("GET", "bytes/empty").header("range", "bytes=0-9")).await.is("416 InvalidRange");
    let metadata = blob("PUT", "bytes/a.txt?comp=metadata").header("x-ms-meta-other", "1");
    let described = server.send(metadata).await.is("200");
    assert_ne!(described.header("etag"), put.header("etag"));
    server
        .send(blob("PUT", "bytes/a.txt?comp=properties").header("x-ms-blob-content-type", "a/b"))
        .await
        .is("200");
    let head = server.send(blob("HEAD", "bytes/a.txt")).await.is("200");
    assert_eq!((head.header("x-ms-meta-other"), head.header("x-ms-meta-rows")), ("1", ""));
    assert_eq!((head.header("content-type"), head.header("cache-control")), ("a/b", ""));
    let wrong = blob("PUT", "bytes/wrong").header("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==").block_blob("x");
    let wrong = server.send(wrong).await.said();
    let why = "the REST API calls a body that does not match its MD5 Md5Mismatch";
    server.differs(wrong.as_str(), "400 Md5Mismatch", "400 InvalidOperation", why);
    let typeless = server.send(blob("PUT", "bytes/x").body("x")).await;
    server.differs(typeless.said().as_str(), "400 MissingRequiredHeader", "400", NO_CODE);
    server.send(blob("DELETE", "bytes/a.txt")).await.is("202");
    server.send(blob("DELETE", "bytes/a.txt")).await.is("404 BlobNotFound");
}

pub(super) async fn conditions(server: &Server) {
    container(server, "conditions").await;
    let path = "conditions/once";
    let absent = || blob("PUT", path).header("if-none-match", "*").block_blob("1");
    let first = server.send(absent()).await.is("201").header("etag").to_owned();
    server.send(absent()).await.is("409 BlobAlreadyExists");
    server
        .send(blob("PUT", path).header("if-match", "\"0x1\"").block_blob("2"))
        .await
        .is("412 ConditionNotMet");
    server
        .send(blob("PUT", "conditions/no").header("if-match", "\"0x1\"").block_blob("2"))
        .await
        .is("412 ConditionNotMet");
    server.send(blob("GET", path).header("if-match", "\"0x1\"")).await.is("412 ConditionNotMet");
    let same = server.send(blob("GET", path).header("if-none-match", &*first)).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    server.send(blob("GET", path).header("if-none-match", "\"0x1\"")).await.is("200");
    server.send(blob("GET", path).header("if-none-match", "*")).await.is("400 UnsatisfiableCondition");
    let (past, future) = ("Wed, 01 Jan 2020 00:00:00 GMT", "Mon, 01 Jan 2080 00:00:00 GMT");
    server.send(blob("GET", path).header("if-modified-since", past)).await.is("200");
    assert_eq!(server.send(blob("GET", path).header("if-modified-since", future)).await.status, 304);
    server.send(blob("GET", path).header("if-unmodified-since", past)).await.is("412 ConditionNotMet");
    server.send(blob("HEAD", path).header("if-unmodified-since", future)).await.is("200");
    let both = blob("GET", path).header("if-none-match", &*first).header("if-modified-since", past);
    server.send(both).await.is("200");
    server
        .send(blob("PUT", path).header("if-unmodified-since", past).block_blob("3"))
        .await
        .is("412 ConditionNotMet");
    server.send(blob("PUT", path).header("if-match", &*first).block_blob("4")).await.is("201");
    let two =
        blob("PUT", path).header("if-match", &*first).header("if-none-match", "\"0x1\"").block_blob("5");
    server.send(two).await.is("400 MultipleConditionHeadersNotSupported");
    server.send(blob("DELETE", path).header("if-match", &*first)).await.is("412 ConditionNotMet");
    server.send(blob("DELETE", path).header("if-match", "*")).await.is("202");
}

pub(super) async fn blocks(server: &Server) {
    container(server, "blocks").await;
    let block =
        |id: &str, text: &str| blob("PUT", format!("blocks/b?comp=block&blockid={}", encoded(id))).body(text);
    for (id, text) in [("YQ==", "one "), ("Yg==", "two "), ("Yw==", "three")] {
        server.send(block(id, text)).await.is("201");
    }
    server.send(blob("GET", "blocks/b")).await.is("404 BlobNotFound");
    let all = "blocks/b?comp=blocklist&blocklisttype=all";
    let staged = server.send(blob("GET", all)).await.is("200");
    assert_eq!(
        (staged.elements("Name").len(), staged.elements("Size")),
        (3, vec!["4".to_owned(), "4".to_owned(), "5".to_owned()])
    );
    let list = |entries: &str| {
        let document = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{entries}</BlockList>");
        blob("PUT", "blocks/b?comp=blocklist").header("x-ms-meta-rows", "2").body(document)
    };
    server.send(list("<Latest>ZA==</Latest>")).await.is("400 InvalidBlockList");
    server.send(list("<Latest>Yw==</Latest><Uncommitted>YQ==</Uncommitted>")).await.is("201");
    let whole = server.send(blob("GET", "blocks/b")).await.is("200");
    assert_eq!((whole.text().as_str(), whole.header("x-ms-meta-rows")), ("threeone ", "2"));
    assert_eq!(
        server.send(blob("GET", "blocks/b").header("range", "bytes=3-6")).await.is("206").text(),
        "eeon"
    );
    assert_eq!(server.send(blob("GET", all)).await.is("200").elements("Name"), ["Yw==", "YQ=="]);
    server.send(list("<Committed>YQ==</Committed>")).await.is("201");
    assert_eq!(server.send(blob("GET", "blocks/b")).await.text(), "one ");
    let broken = server.send(blob("PUT", "blocks/b?comp=blocklist").body("<BlockList><Latest>")).await;
    server.differs(broken.said().as_str(), "400 InvalidXmlDocument", "400", NO_CODE);
    server.send(block("!", "x")).await.is("400 InvalidQueryParameterValue");
    server.send(block("TG9uZ2Vy", "x")).await.is("201");
    server.send(block("YQ==", "x")).await.is("400 InvalidBlobOrBlock");
}

pub(super) async fn lists(server: &Server) {
    container(server, "lists").await;
    for name in NAMES {
        put(server, "lists", name, name).await;
    }
    let list = async |query: &str| {
        server.send(blob("GET", format!("lists?restype=container&comp=list{query}"))).await.is("200")
    };
    let mut sorted: Vec<_> = NAMES.iter().map(|name| name.replace('&', "&amp;")).collect();
    sorted.sort();
    let names = |found: Vec<String>| found.iter().map(|name| name.replace("&apos;", "'")).collect::<Vec<_>>();
    let whole = list("").await;
    assert_eq!(names(whole.elements("Name")), sorted);
    let sizes: u64 = whole.elements("Content-Length").iter().map(|size| size.parse::<u64>().unwrap()).sum();
    assert_eq!(sizes, NAMES.iter().map(|name| name.len() as u64).sum::<u64>());
    assert_eq!(list("&prefix=dir%2F").await.elements("Name"), ["dir/sub/x.csv", "dir/y.csv"]);
    assert!(list("&prefix=none").await.elements("Name").is_empty());
    let folded = list("&delimiter=%2F").await;
    assert_eq!(folded.elements("BlobPrefix"), ["<Name>dir/</Name>"]);
    assert_eq!(folded.elements("Blob").len(), NAMES.len() - 2);
    let below = list("&delimiter=%2F&prefix=dir%2F").await;
    assert_eq!(below.elements("BlobPrefix"), ["<Name>dir/sub/</Name>"]);
    assert_eq!(below.elements("Blob").len(), 1);
    let (mut found, mut marker, mut parts) = (Vec::new(), String::new(), 0);
    loop {
        let part = list(&format!("&maxresults=3&marker={}", encoded(&marker))).await;
        found.extend(names(part.elements("Name")));
        parts += 1;
        marker = part
            .elements("NextMarker")
            .pop()
            .unwrap_or_default()
            .replace("&amp;", "&")
            .replace("&apos;", "'");
        if marker.is_empty() {
            break;
        }
    }
    assert_eq!((found, parts), (sorted, 3));
    let refused = server.send(blob("GET", "lists?restype=container&comp=list&maxresults=0")).await;
    server.differs(refused.said().as_str(), "400 OutOfRangeQueryParameterValue", "400", NO_CODE);
}

pub(super) async fn names(server: &Server) {
    container(server, "names").await;
    for name in NAMES {
        put(server, "names", name, name).await;
        let got = server.send(blob("GET", format!("names/{}", encoded(name)))).await.is("200");
        assert_eq!(got.text(), name);
    }
    // A slash may be encoded or not; the rest may be in either case.
    assert_eq!(server.send(blob("GET", "names/dir/sub/x.csv")).await.is("200").text(), "dir/sub/x.csv");
    assert_eq!(
        server.send(blob("GET", "names/caf%c3%a9%20%c3%bc%e4%b8%96.csv")).await.is("200").text(),
        "café ü世.csv"
    );
    server.send(blob("GET", "names/plus%20percentA.csv")).await.is("404 BlobNotFound");
}
