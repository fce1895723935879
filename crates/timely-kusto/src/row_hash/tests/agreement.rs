//! The sum here is the sum of a cluster, and a probe finds out where it would not be.

use kusto_emulator::Undocumented;
use rand::RngExt;
use serde_json::Value;

use super::support::{Cluster, Source, encode, fields, name, over_all, seed, table, texts};
use crate::options::Format;
use crate::row_hash::{Deviation, Kind, RowHash, Trial};

const FORMATS: [Format; 2] = [Format::Csv, Format::Json];

/// Says which row differs.
fn agree(cluster: &Cluster, hash: &RowHash, format: Format, rows: &[super::support::Row], said: &str) {
    let encoded = encode(format, rows);
    cluster.hold(format, &encoded);
    let mut summer = hash.summer(format, &fields());
    let sum = summer.sum(&encoded).unwrap_or_else(|misfit| panic!("{said}: {misfit}"));
    if sum == cluster.sum(hash) {
        return;
    }
    for (row, found) in rows.iter().zip(cluster.numbers(hash)) {
        let own = summer.sum(&encode(format, std::slice::from_ref(row))).unwrap();
        assert_eq!(own, found, "{said}: {} {row:?}", name(format));
    }
    panic!("{said}: the sums differ, and no row does");
}

#[test]
fn random_rows_of_all_types_have_the_cluster_s_sum_in_both_formats() {
    let cluster = Cluster::new(&table());
    let hash = over_all();
    let first = seed();
    for seed in (0..3).map(|more| first.wrapping_add(more)) {
        let rows = Source::new(seed).rows(300);
        for format in FORMATS {
            agree(&cluster, &hash, format, &rows, &format!("KT_SEED={seed}"));
        }
    }
}

/// Some bytes taken away, put in, or put twice.
fn damaged(source: &mut Source, rows: &[u8]) -> String {
    const BYTES: &[u8] = b",\"\n\r\\ {}[]:.-+0159eEZTnulatrf\t'x";
    let mut rows = rows.to_vec();
    for _ in 0..source.rng().random_range(1..4) {
        let at = source.rng().random_range(0..rows.len());
        let byte = BYTES[source.rng().random_range(0..BYTES.len())];
        match source.rng().random_range(0..4) {
            0 => drop(rows.remove(at)),
            1 => rows[at] = byte,
            2 => rows.insert(at, byte),
            _ => rows.insert(at, rows[at]),
        }
    }
    String::from_utf8_lossy(&rows).into_owned()
}

#[test]
fn damaged_rows_have_the_cluster_s_sum_or_none() {
    let cluster = Cluster::new(&table());
    let hash = over_all();
    let seed = seed();
    let mut source = Source::new(seed);
    let mut sums = 0;
    for round in 0..200 {
        let format = FORMATS[round % 2];
        let rows = source.rows(2);
        let rows = damaged(&mut source, &encode(format, &rows));
        let Ok(sum) = hash.summer(format, &fields()).sum(rows.as_bytes()) else { continue };
        cluster.hold(format, rows.as_bytes());
        assert_eq!(cluster.sum(&hash), sum, "KT_SEED={seed}, round {round}:\n{rows:?}");
        sums += 1;
    }
    assert!(sums > 10, "KT_SEED={seed}: hardly a row was left");
}

#[test]
fn each_column_alone_agrees() {
    let cluster = Cluster::new(&table());
    let seed = seed();
    let rows = Source::new(seed).rows(60);
    for (column, _) in over_all().columns() {
        let hash = RowHash::over(&texts(&[column]), &table()).unwrap();
        agree(&cluster, &hash, Format::Csv, &rows, &format!("KT_SEED={seed}, {column}"));
    }
}

#[test]
fn the_edges_of_each_type_agree() {
    for kind in Kind::ALL {
        let columns = [("n".to_owned(), "long".to_owned()), ("x".to_owned(), kind.name().to_owned())];
        let cluster = Cluster::new(&columns);
        let hash = RowHash::over(&texts(&["x"]), &columns).unwrap();
        let values = kind.telling_values();
        let mut rows = Vec::new();
        for (n, value) in values.iter().enumerate() {
            rows.extend_from_slice(format!("{n},\"{}\"\n", value.replace('"', "\"\"")).as_bytes());
        }
        cluster.hold(Format::Csv, &rows);
        let mut summer = hash.summer(Format::Csv, &texts(&["x"]));
        for (value, found) in values.iter().zip(cluster.numbers(&hash)) {
            let own = summer.sum(format!("\"{}\"\n", value.replace('"', "\"\"")).as_bytes()).unwrap();
            assert_eq!(own, found, "{kind:?} {value:?}");
        }
    }
}

/// Columns of these types, and rows of them.
fn wide(kinds: &[Kind], values: &[&str]) {
    let kinds = kinds.iter().cycle().take(200);
    let columns: Vec<(String, String)> =
        kinds.enumerate().map(|(at, kind)| (format!("c{at}"), kind.name().to_owned())).collect();
    let cluster = Cluster::new(&columns);
    let hash = RowHash::over(&texts(&["*"]), &columns).unwrap();
    let line = values.iter().cycle().take(200).copied().collect::<Vec<_>>().join(",") + "\n";
    let rows = line.repeat(3);
    cluster.hold(Format::Csv, rows.as_bytes());
    let fields: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(hash.summer(Format::Csv, &fields).sum(rows.as_bytes()).unwrap(), cluster.sum(&hash));
}

#[test]
fn two_hundred_columns_agree() {
    let values = ["true", "-7", "8", "1.5", "2.50", "2024-01-01T00:00:00Z", "1.00:00:00", "", "text"];
    wide(&Kind::ALL, &values);
    wide(&[Kind::Real], &["1.5", "-0.1", "", "1e300"]);
    wide(&[Kind::Timespan, Kind::Decimal], &["-1.00:00:00", "2.50"]);
}

#[test]
fn columns_that_rows_do_not_have_are_null() {
    let cluster = Cluster::new(&table());
    let hash = over_all();
    cluster.hold(Format::Json, b"{\"n\":1,\"word\":\"a\"}\n{\"n\":2,\"more\":[1]}\n");
    let sum = cluster.sum(&hash);
    let json = b"{\"n\":1,\"word\":\"a\"}\r\n\r\n{\"n\":2, \"more\": [1], \"long\":null}\n";
    assert_eq!(hash.summer(Format::Json, &[]).sum(json).unwrap(), sum);
    let csv = b"a,1\r\n\"\",2";
    assert_eq!(hash.summer(Format::Csv, &texts(&["word", "n"])).sum(csv).unwrap(), sum);
}

#[test]
fn fields_of_json_that_do_not_come_into_the_table_are_null() {
    let cluster = Cluster::new(&table());
    let hash = over_all();
    cluster.hold(Format::Json, b"{\"n\":1}\n");
    let row = b"{\"n\":1,\"word\":\"x\",\"real\":\"no real\"}\n";
    assert_eq!(hash.summer(Format::Json, &texts(&["n", "_kt_epoch"])).sum(row).unwrap(), cluster.sum(&hash));
    hash.summer(Format::Json, &[]).sum(row).unwrap_err();
}

#[test]
fn escapes_of_json_are_read_as_the_cluster_reads_them() {
    let cluster = Cluster::new(&table());
    let hash = over_all();
    let row =
        br#"{"n":1,"word":"\u00e4\uD83C\udf2a\n\\\"\/\b\f\r\t\u0041","a text":"\u2028x","real":"1\u002e5"}"#;
    let row = [row, &b"\n"[..]].concat();
    cluster.hold(Format::Json, &row);
    assert_eq!(hash.summer(Format::Json, &[]).sum(&row).unwrap(), cluster.sum(&hash));
}

fn answer(rows: &[Value]) -> Vec<(String, i64, Option<i64>)> {
    let row = |row: &Value| (row[0].as_str().unwrap().to_owned(), row[1].as_i64().unwrap(), row[2].as_i64());
    rows.iter().map(row).collect()
}

#[test]
fn a_probe_finds_nothing_where_there_is_nothing() {
    let cluster = Cluster::new(&table());
    let probe = over_all().probe();
    assert_eq!(probe.deviations(&answer(&cluster.query(probe.query()))), []);
}

#[test]
fn a_probe_names_the_type_that_is_written_otherwise() {
    let cluster = Cluster::new(&table());
    let probe = over_all().probe();
    let otherwise = probe.query().replace("\"1,\", \"0,\"", "\"True,\", \"False,\"");
    assert_ne!(otherwise, probe.query());
    let deviation = |value: &str| Deviation { kind: "bool", value: value.to_owned() };
    assert_eq!(
        probe.deviations(&answer(&cluster.query(&otherwise))),
        [deviation("true"), deviation("false")]
    );
    let mut lacking = answer(&cluster.query(probe.query()));
    lacking.retain(|(kind, ..)| kind != "hash");
    assert_eq!(probe.deviations(&lacking), [Deviation { kind: "hash", value: "World".to_owned() }]);
}

#[test]
fn a_probe_finds_a_cluster_that_reads_no_hexadecimal_digits() {
    let cluster = Cluster::that_assumes(&table(), |it| it.undocumented = Undocumented::Refused);
    let probe = over_all().probe();
    let deviations = probe.deviations(&answer(&cluster.query(probe.query())));
    assert_eq!(deviations[0], Deviation { kind: "hash", value: "World".to_owned() });
}

#[test]
fn a_probe_asks_for_the_types_in_use_only() {
    let hash = RowHash::over(&texts(&["word"]), &table()).unwrap();
    let probe = hash.probe();
    assert!(probe.query().contains("kt_string") && !probe.query().contains("kt_real"));
    let cluster = Cluster::new(&table());
    assert_eq!(probe.deviations(&answer(&cluster.query(probe.query()))), []);
}

/// What the trial finds when its rows are ingested as `change` leaves them.
fn tried(change: impl FnOnce(String) -> String) -> Vec<Deviation> {
    let Trial { columns, rows, count, probe } = Trial::new("Tried");
    let cluster = Cluster::new(&table());
    cluster.command(&format!(".create table Tried ({columns})"));
    cluster.command(&format!(".ingest inline into table Tried <|\n{}", change(rows)));
    assert_eq!(cluster.query("Tried | count")[0][0].as_u64(), Some(count));
    probe.deviations(&answer(&cluster.query(probe.query())))
}

#[test]
fn a_trial_finds_what_ingestion_makes_of_a_value() {
    assert_eq!(tried(|rows| rows), []);
    let rounded = tried(|rows| rows.replace("9007199254740993", "9007199254740994"));
    assert_eq!(rounded, [Deviation { kind: "real", value: "9007199254740993".to_owned() }]);
}
