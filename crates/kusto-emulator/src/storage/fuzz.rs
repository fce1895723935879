//! Storage's parsers under text that nobody should send, and under text that is right: `STORAGE_FUZZ_SEED=<n>` replays a run.

use std::net::{IpAddr, Ipv4Addr};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::access::{Origin, Target};
use super::connection::Connection;
use super::filter::{Comparison, Constant, Filter, Operand};
use super::query::Query;
use super::sas::{self, Service};
use super::{blob, reader, resources, xml};

const ROUNDS: usize = 20_000;

/// Characters that mean something in one of the formats.
const SIGNS: [char; 28] = [
    '<', '>', '&', ';', '"', '\'', '/', '?', '!', '[', ']', '-', '=', '%', '+', '(', ')', ' ', '\n', '\0',
    'é', '\u{fffe}', '0', '9', ':', ',', 'L', 'x',
];

fn rng() -> StdRng {
    let fixed = std::env::var("STORAGE_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = fixed.unwrap_or_else(rand::random);
    println!("STORAGE_FUZZ_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// One of the texts with a few changes: signs put in, taken out, replaced; parts doubled or cut off.
fn mutated(rng: &mut StdRng, corpus: &[&str]) -> String {
    let mut chars: Vec<char> = corpus[rng.random_range(0..corpus.len())].chars().collect();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=chars.len());
        let sign = SIGNS[rng.random_range(0..SIGNS.len())];
        match rng.random_range(0..5) {
            0 if at < chars.len() => drop(chars.remove(at)),
            1 if at < chars.len() => chars[at] = sign,
            2 => {
                let end = rng.random_range(at..=chars.len());
                let part = chars[at..end].to_vec();
                chars.splice(at..at, part);
            }
            3 if at > 0 => chars.truncate(at),
            _ => chars.insert(at, sign),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn documents_are_read_or_refused() {
    let corpus = [
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessage><MessageText>a &lt;b&gt; &#33;</MessageText></QueueMessage>",
        "<BlockList><Latest>YQ==</Latest><Committed>Yg==</Committed><Uncommitted>Yw==</Uncommitted></BlockList>",
        "<SignedIdentifiers><SignedIdentifier><Id>a</Id><AccessPolicy><Start>2026-01-01</Start><Expiry>2026-02-01T00:00Z\
         </Expiry><Permission>rl</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>",
        "<QueueMessagesList><QueueMessage><MessageId>1</MessageId><PopReceipt>x</PopReceipt><DequeueCount>3</DequeueCount>\
         <MessageText><![CDATA[y]]></MessageText><!-- c --></QueueMessage></QueueMessagesList>",
        "<!DOCTYPE x [<!ENTITY a \"b\">]><QueueMessage><MessageText>&a;</MessageText></QueueMessage>",
    ];
    let mut rng = rng();
    for _ in 0..ROUNDS {
        let document = mutated(&mut rng, &corpus);
        let bytes = document.as_bytes();
        if let Ok(text) = xml::message_text(bytes) {
            assert!(text.len() <= bytes.len(), "nothing grows: {document}");
        }
        if let Ok(list) = xml::block_list(bytes) {
            assert!(list.len() <= bytes.len() / 4, "{document}");
        }
        if let Ok(policies) = xml::policies(bytes) {
            let kept = resources::check_policies(&policies).is_ok();
            assert!(!kept || policies.len() <= super::about::MAX_POLICIES, "{document}");
        }
        drop(xml::messages(bytes));
    }
}

#[test]
fn any_text_survives_its_way_through_a_message() {
    let mut rng = rng();
    for _ in 0..ROUNDS / 10 {
        let length = rng.random_range(0..40);
        let text: String = (0..length)
            .map(|_| SIGNS[rng.random_range(0..SIGNS.len())])
            .filter(|sign| !matches!(sign, '\0' | '\u{fffe}'))
            .collect();
        let document = format!(
            "<QueueMessage><MessageText>{}</MessageText></QueueMessage>",
            quick_xml::escape::escape(&text)
        );
        assert_eq!(xml::message_text(document.as_bytes()).unwrap(), text);
    }
}

fn name(rng: &mut StdRng) -> String {
    ["PartitionKey", "RowKey", "Count", "a_b", "andy", "x1"][rng.random_range(0..6)].to_owned()
}

fn constant(rng: &mut StdRng) -> (Constant, String) {
    match rng.random_range(0..5) {
        0 => {
            let text: String =
                (0..rng.random_range(0..6)).map(|_| SIGNS[rng.random_range(0..SIGNS.len())]).collect();
            let printed = format!("'{}'", text.replace('\'', "''"));
            (Constant::Text(text), printed)
        }
        1 => {
            let whole: i64 = rng.random();
            (Constant::Whole(whole), format!("{whole}L"))
        }
        2 => {
            let real = f64::from(rng.random_range(-1000..1000)) + 0.25;
            (Constant::Real(real), format!("{real}"))
        }
        3 => (Constant::Flag(true), "true".to_owned()),
        _ => {
            let bytes = rng.random::<[u8; 4]>();
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            (Constant::Binary(bytes.to_vec()), format!("X'{digits}'"))
        }
    }
}

/// A filter, and one of the ways to write it.
fn filter(rng: &mut StdRng, depth: usize) -> (Filter, String) {
    let branch = if depth == 0 { 3 } else { rng.random_range(0..6) };
    match branch {
        0 | 1 => {
            let parts: Vec<_> = (0..rng.random_range(2..4)).map(|_| filter(rng, depth - 1)).collect();
            let (parts, texts): (Vec<_>, Vec<_>) =
                parts.into_iter().map(|(part, text)| (part, format!("({text})"))).unzip();
            let (word, whole) =
                if branch == 0 { (" and ", Filter::And(parts)) } else { (" or ", Filter::Or(parts)) };
            (whole, texts.join(word))
        }
        2 => {
            let (part, text) = filter(rng, depth - 1);
            (Filter::Not(Box::new(part)), format!("not ({text})"))
        }
        _ => {
            let (property, (constant, text)) = (name(rng), constant(rng));
            let (word, comparison) = [
                ("eq", Comparison::Equal),
                ("ne", Comparison::NotEqual),
                ("gt", Comparison::Greater),
                ("ge", Comparison::GreaterOrEqual),
                ("lt", Comparison::Less),
                ("le", Comparison::LessOrEqual),
            ][rng.random_range(0..6)];
            let printed = format!("{property} {word}  {text}");
            (Filter::Compare(Operand::Property(property), comparison, Operand::Constant(constant)), printed)
        }
    }
}

#[test]
fn a_filter_that_was_written_down_is_read_back_and_a_broken_one_is_refused() {
    let mut rng = rng();
    for _ in 0..ROUNDS / 4 {
        let (whole, text) = filter(&mut rng, 4);
        assert_eq!(Filter::parse(&text).as_ref(), Ok(&whole), "{text}");
        drop(Filter::parse(&mutated(&mut rng, &[&text])));
    }
}

#[test]
fn a_changed_signature_grants_nothing_that_was_not_signed() {
    let mut rng = rng();
    let (key, now) = (b"0123456789abcdef".as_slice(), "2026-01-01T00:30:00Z".parse().unwrap());
    let target = |service| Target { service, account: "acct00", resource: "things", item: Some("a/b") };
    for _ in 0..ROUNDS / 4 {
        let service = [Service::Blob, Service::Queue, Service::Table][rng.random_range(0..3)];
        let (start, end) = ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-01T01:00:00Z".parse().unwrap());
        let signed = sas::sign(target(service), key, "rl", start, end);
        let query = Query::parse(&mutated(&mut rng, &[&signed]));
        let origin = Origin { peer: IpAddr::V4(Ipv4Addr::LOCALHOST), secure: false };
        let context = sas::Context { key, now, origin, policies: &[] };
        if let Ok(sas::Checked::Service { permissions, .. }) = sas::check(target(service), &query, &context) {
            assert_eq!(permissions, "rl", "{query:?}");
        }
    }
}

#[test]
fn connection_strings_addresses_and_ranges_are_read_or_refused() {
    let mut rng = rng();
    let connections = [
        "AccountName=a1;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a1/;QueueEndpoint=http://[::1]:2/a1;",
        "UseDevelopmentStorage=true",
        "DefaultEndpointsProtocol=https;AccountName=a1;AccountKey=a2V5;EndpointSuffix=core.windows.net",
    ];
    let paths = ["/acct/container/dir/a%20b+c.csv", "/acct/c/%C3%A9", "/acct"];
    let ranges = ["bytes=0-9", "bytes=5-", "bytes=-5", "bytes=18446744073709551615-18446744073709551615"];
    for _ in 0..ROUNDS {
        if let Err(why) = Connection::parse(&mutated(&mut rng, &connections)) {
            assert!(!why.contains("a2V5"), "no key in an error: {why}");
        }
        drop(reader::split_path(&mutated(&mut rng, &paths)));
        let length = rng.random_range(0..20);
        if let Ok(Some((from, count))) = blob::range(Some(&mutated(&mut rng, &ranges)), length) {
            assert!(count > 0 && from + count <= length, "{from} {count} of {length}");
        }
    }
}
