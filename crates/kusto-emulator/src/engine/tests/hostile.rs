//! Text that nobody should send: it is refused, and the engine goes on. `KT_SEED=<n>` replays a run.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const COMMANDS: [&str; 16] = [
    ".create table T (a:long, ['b c']:string) with (docstring='x', folder=\"f\")",
    ".create-merge table T (d:datetime)",
    ".alter table T (a:long)",
    ".rename tables A=B ifexists, B=A",
    ".drop tables (A, B) ifexists",
    ".clear table T data",
    ".ingest inline into table T with (format='csv', tags='[\"t\"]') <| 1,\"two\"",
    ".ingest async into table T (h'http://h/c/b.gz?sig=x', 'u') with (ignoreFirstRecord=true)",
    ".set-or-append async T with (ingestIfNotExists='[\"k\"]') <| T | where a > 1",
    ".move extents from table T to table U with (extentCreatedOnFrom=datetime(2023-03-10)) (AE6CD250-BE62-4978-90F2-5CB7A10D16D7)",
    ".drop extents whatif <| .show table T extents where tags !has 'x' and tags contains 'y'",
    ".alter-merge table T policy retention softdelete = 1d recoverability = disabled",
    ".alter database db policy ingestionbatching '{\"MaximumNumberOfItems\":5}'",
    ".create-or-alter table T ingestion json mapping \"M\" '[{\"Column\":\"a\",\"Properties\":{\"Path\":\"$.a[0]\"}}]'",
    ".add table T admins ('aadapp=a;b') skip-results 'why'",
    ".show database db schema as json | where 1 == 1",
];

/// Bytes that mean something in some format.
const BYTES: &[u8] = b"\",\n\r{}[]:a1 \t\xff\\";

/// Characters that mean something.
const SIGNS: [char; 24] = [
    '\'', '"', '(', ')', '[', ']', '{', '}', '<', '|', '.', ',', '=', ':', ';', '-', '@', '`', '\\', '\n',
    '\0', 'é', '$', '9',
];

fn seeded() -> StdRng {
    let fixed = std::env::var("KT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = fixed.unwrap_or_else(rand::random);
    println!("KT_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// One of the texts with a few of its characters changed.
fn mutated(texts: &[&str], rng: &mut StdRng) -> String {
    let mut chars: Vec<char> = texts[rng.random_range(0..texts.len())].chars().collect();
    for _ in 0..rng.random_range(1..5) {
        if chars.is_empty() {
            break;
        }
        let at = rng.random_range(0..chars.len());
        match rng.random_range(0..4) {
            0 => drop(chars.remove(at)),
            1 => chars[at] = SIGNS[rng.random_range(0..SIGNS.len())],
            2 => chars.insert(at, SIGNS[rng.random_range(0..SIGNS.len())]),
            _ => chars.truncate(at.max(1)),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn mutated_commands_are_run_or_refused_and_never_break_the_engine() {
    let mut rng = seeded();
    let cluster = Cluster::new();
    for _ in 0..3000 {
        let command = mutated(&COMMANDS, &mut rng);
        if let Err(error) = cluster.try_run(&command) {
            assert!((400..500).contains(&error.status), "{command}: {error:?}");
        }
    }
    cluster.run(".create table Fine (a:long)");
}

#[test]
fn deep_brackets_long_names_and_long_lists_are_refused_or_done() {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long)");
    for depth in [10_usize, 100_000] {
        let brackets = "(".repeat(depth);
        assert_eq!(cluster.refused(&format!(".drop tables {brackets}")).status, 400);
        assert_eq!(cluster.refused(&format!(".set U <| print {brackets}1")).status, 400);
        assert_eq!(
            cluster.refused(&format!(".alter table T policy merge '{}'", "[".repeat(depth))).status,
            400
        );
    }
    let wide: Vec<String> = (0..10_001).map(|n| format!("c{n}:long")).collect();
    assert!(cluster.refused(&format!(".create table W ({})", wide.join(","))).detail.contains("10000"));
    cluster.run(&format!(".create table W ({})", wide[..1000].join(",")));
}

#[test]
fn random_bytes_in_every_format_are_rows_or_a_failure() {
    let mut rng = seeded();
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long, s:string, d:dynamic)");
    for round in 0..300 {
        let format = ["csv", "tsv", "json", "multijson", "txt", "raw"][round % 6];
        let byte = |rng: &mut StdRng| BYTES[rng.random_range(0..BYTES.len())];
        let text: Vec<u8> = (0..rng.random_range(1..80)).map(|_| byte(&mut rng)).collect();
        let before = cluster.count("T");
        match cluster.ingest_text("T", &json!({"format": format}), text) {
            Ok(rows) => assert_eq!(cluster.count("T"), before + rows),
            Err(failure) => assert!(failure.permanent && cluster.count("T") == before, "{failure}"),
        }
    }
}

const MAPPINGS: [&str; 5] = [
    r#"[{"Column":"a","Properties":{"Ordinal":"0"}},{"Column":"s","Properties":{"Ordinal":1}}]"#,
    r#"[{"column":"s","path":"$.a['b c'][0]","datatype":"string"}]"#,
    r#"[{"Column":"a","Properties":{"Path":"$.t","Transform":"DateTimeFromUnixSeconds"}}]"#,
    r#"[{"Column":"s","Properties":{"ConstValue":"x"}},{"Column":"d","Properties":{"Path":"$","Transform":"DropMappedFields"}}]"#,
    r#"[{"Column":"d","Properties":{"Path":"$.l","Transform":"PropertyBagArrayToDictionary"}}]"#,
];

#[test]
fn mutated_mappings_are_refused_or_used_for_whatever_comes() {
    let mut rng = seeded();
    let cluster = Cluster::new();
    cluster.run(".create table T (a:long, s:string, d:dynamic)");
    for round in 0..1000 {
        let mapping = mutated(&MAPPINGS, &mut rng);
        let format = ["csv", "json", "multijson"][round % 3];
        let text = ["1,x,{}", r#"{"a":{"b c":[1]},"t":1e9,"l":[{"Key":"k","Value":1},3]}"#]
            [usize::from(round % 3 > 0)];
        let properties = json!({"format": format, "ingestionMapping": mapping});
        if let Err(failure) = cluster.ingest_text("T", &properties, text) {
            assert!(failure.permanent, "{mapping}: {failure}");
        }
    }
    let deep = format!("[{{\"Column\":\"a\",\"Properties\":{}", "{\"x\":".repeat(100_000));
    let failure = cluster.ingest_text("T", &json!({"ingestionMapping": deep}), "1").unwrap_err();
    assert_eq!(failure.code, "BadRequest_InvalidMapping");
}
