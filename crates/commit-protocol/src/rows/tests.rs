//! Rows of `kt_epochs`: written and read back, cut into parts, damaged, and thrown at the parser by chance.

use super::wire::write_row;
use crate::*;

fn lineage() -> Lineage {
    Lineage::of("pipe", "db", "T")
}

fn start(generation: u64) -> StartId {
    StartId { generation: Generation(generation), nonce: Nonce(0xc0ffee) }
}

/// An intent with so many chunks.
fn intent(chunks: u64) -> Intent {
    let id = |seq| IntentId { by: start(3), seq: Seq(seq) };
    let chunk = |index: u64| {
        let chunk = ChunkId { epoch: Epoch(7), log: Generation(2), worker: Worker(1), index: index as u32 };
        let tag = Tag { lineage: lineage(), generation: Generation(3), chunk, attempt: Attempt(1) };
        ClaimedChunk { tag, rows: index + 1, extents: vec![ExtentId(u128::from(index) << 64 | 5)], sum: None }
    };
    Intent {
        id: id(9),
        parent: Some(id(8)),
        from: Epoch(7),
        after: Frontier {
            cover: Epoch(8),
            logs: Some(Logs { start: start(3), workers: 4 }),
            positions: [("part \"ä\"\u{1f980}", vec![0u8, 255, 7])].into_iter().collect(),
        },
        chunks: (0..chunks).map(chunk).collect(),
        rows_per_epoch: vec![(Epoch(7), chunks)],
        settled: Some(Seq(8)),
    }
}

fn all_kinds() -> Vec<Row> {
    let whole = intent(2);
    let first = Intent { parent: None, from: Epoch(0), ..intent(1) };
    vec![
        Row::Claim(Claim { by: start(3) }),
        Row::Start(Start { by: start(3), head: Some(whole.id), sums_over: None }),
        Row::Start(Start { by: start(1), head: None, sums_over: None }),
        Row::Resolution(Resolution::committed(&whole)),
        Row::Resolution(Resolution {
            intent: IntentId { by: start(2), seq: Seq(1) },
            ..Resolution::restage(&first, None).unwrap()
        }),
        Row::Intent(whole.into()),
    ]
}

#[test]
fn every_kind_of_row_is_read_as_it_was_written() {
    for row in all_kinds() {
        let raw = write_row(lineage(), &row);
        assert_eq!(raw.len(), 1);
        assert_eq!(read_rows(lineage(), &raw).unwrap(), [row]);
    }
}

#[test]
fn the_written_form_of_version_1_stays_readable() {
    let raw = RawRow {
        lineage: "c6f3ac57944b5314".to_owned(),
        kind: "start".to_owned(),
        generation: Some(3),
        nonce: "0000000000c0ffee".to_owned(),
        seq: Some(0),
        part: Some(0),
        parts: Some(1),
        body: r#"{"v":1,"row":{"by":"3-0000000000c0ffee","head":{"by":"2-0000000000c0ffee","seq":9}}}"#
            .to_owned(),
        digest: DIGEST.to_owned(),
        check: CHECK.to_owned(),
    };
    let head = Some(IntentId { by: start(2), seq: Seq(9) });
    let row = Row::Start(Start { by: start(3), head, sums_over: None });
    assert_eq!(
        write_row(raw.lineage.parse().unwrap(), &row),
        std::slice::from_ref(&raw),
        "and is what is written"
    );
    assert_eq!(read_rows(raw.lineage.parse().unwrap(), &[raw]).unwrap(), [row]);
}

/// By `sha256sum`, not by this crate.
const DIGEST: &str = "1d7ed41018071e4055d3b0a6d390c57b";
const CHECK: &str = "022ac422bb8360bdec0a07980318a582";

#[test]
fn rows_that_say_something_of_sums_have_version_2_and_others_version_1() {
    let mut summed = intent(2);
    summed.chunks[1].sum = Some(RowSum { over: 7, sum: u64::MAX });
    let over = Start { by: start(3), head: None, sums_over: Some("[\"id\"]".to_owned()) };
    let written = |row: &Row| write_row(lineage(), row).remove(0).body;
    let rows = [Row::Start(over), Row::Intent(summed.into())];
    assert_eq!(
        written(&rows[0]),
        r#"{"v":2,"row":{"by":"3-0000000000c0ffee","head":null,"sums_over":"[\"id\"]"}}"#
    );
    let of_intent = written(&rows[1]);
    assert!(of_intent.starts_with(r#"{"v":2,"#), "{of_intent}");
    assert!(of_intent.contains(r#","sum":{"over":7,"sum":18446744073709551615}}"#), "{of_intent}");
    assert_eq!(of_intent.matches("\"over\"").count(), 1, "a chunk without a sum says nothing: {of_intent}");
    for row in rows {
        assert_eq!(read_rows(lineage(), &write_row(lineage(), &row)).unwrap(), [row]);
    }
    assert!(all_kinds().iter().all(|row| written(row).starts_with(r#"{"v":1,"#)));
}

#[test]
fn a_long_row_is_cut_into_parts_that_come_in_any_order_and_more_than_once() {
    let row = Row::Intent(intent(9_000).into());
    let mut raw = write_row(lineage(), &row);
    assert!(raw.len() > 1 && raw.iter().all(|part| part.body.len() <= PART_BYTES));
    raw.reverse();
    raw.extend(write_row(lineage(), &row));
    assert_eq!(read_rows(lineage(), &raw).unwrap(), [row]);
}

#[test]
fn a_row_with_a_missing_part_is_an_error_and_not_a_shorter_row() {
    let mut raw = write_row(lineage(), &Row::Intent(intent(9_000).into()));
    raw.pop();
    assert!(matches!(read_rows(lineage(), &raw), Err(RowError::Parts { .. })));
}

#[test]
fn different_rows_under_one_key_are_an_error_equal_ones_count_once() {
    let other = Intent { from: Epoch(6), ..intent(2) };
    let mut raw = write_row(lineage(), &Row::Intent(intent(2).into()));
    raw.extend(raw.clone());
    assert_eq!(read_rows(lineage(), &raw).unwrap().len(), 1);
    raw.extend(write_row(lineage(), &Row::Intent(other.into())));
    assert!(matches!(read_rows(lineage(), &raw), Err(RowError::Conflict { .. })));
}

#[test]
fn a_row_of_another_lineage_is_an_error() {
    let raw = write_row(Lineage::of("another", "db", "T"), &all_kinds()[0]);
    assert!(matches!(read_rows(lineage(), &raw), Err(RowError::Lineage { .. })));
}

#[test]
fn null_numbers_and_truncated_texts_are_errors_that_name_the_column_or_the_row() {
    let good = write_row(lineage(), &Row::Intent(intent(2).into())).remove(0);
    type Harm = fn(&mut RawRow);
    let damage: [(&str, Harm); 7] = [
        ("Generation", |raw| raw.generation = None),
        ("Seq", |raw| raw.seq = None),
        ("Part", |raw| raw.part = Some(-1)),
        ("Kind", |raw| raw.kind = String::new()),
        ("Nonce", |raw| raw.nonce.truncate(9)),
        ("checksum", |raw| raw.body.truncate(raw.body.len() / 2)),
        ("checksum", |raw| raw.check.clear()),
    ];
    for (word, harm) in damage {
        let mut raw = good.clone();
        harm(&mut raw);
        let error = read_rows(lineage(), &[raw]).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
}

/// SplitMix64: small, and the seed replays a run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// Changes, removes or inserts one character.
    fn harm(&mut self, text: &mut String) {
        let mut chars: Vec<char> = text.chars().collect();
        let at = self.below(chars.len() + 1);
        let new = ['0', '9', '"', '{', '-', '\\', 'x', '\0', 'ä', '/', '.'][self.below(11)];
        match self.below(3) {
            0 if at < chars.len() => drop(chars.remove(at)),
            1 if at < chars.len() => chars[at] = new,
            _ => chars.insert(at, new),
        }
        *text = chars.into_iter().collect();
    }
}

/// `KT_SEED` replays one seed, `KT_ROUNDS` sets how many are tried.
fn seeds(default: u64) -> impl Iterator<Item = u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let first = number("KT_SEED");
    let rounds = first.map_or(number("KT_ROUNDS").unwrap_or(default), |_| 1);
    let base = first.unwrap_or(0x5eed);
    (0..rounds).map(move |round| base.wrapping_add(round))
}

#[test]
fn any_single_damage_is_noticed() {
    for seed in seeds(4_000) {
        let mut chance = Chance(seed);
        let rows = all_kinds();
        let row = &rows[chance.below(rows.len())];
        let good = write_row(lineage(), row).remove(0);
        let mut raw = good.clone();
        match chance.below(9) {
            0 => chance.harm(&mut raw.lineage),
            1 => chance.harm(&mut raw.kind),
            2 => raw.generation = Some(chance.next() as i64 >> chance.below(64)),
            3 => chance.harm(&mut raw.nonce),
            4 => raw.seq = Some(chance.next() as i64 >> chance.below(64)),
            5 => raw.part = Some(chance.below(3) as i64 + 1),
            6 => chance.harm(&mut raw.body),
            7 => chance.harm(&mut raw.digest),
            _ => chance.harm(&mut raw.check),
        }
        let read = read_rows(lineage(), std::slice::from_ref(&raw));
        assert!(read.is_err() || raw == good, "KT_SEED={seed}: damage passed: {raw:?}");
    }
}

#[test]
fn content_with_right_checksums_and_any_nonsense_in_it_never_panics_and_keeps_its_key() {
    for seed in seeds(4_000) {
        let mut chance = Chance(seed);
        let rows = all_kinds();
        let raw = write_row(lineage(), &rows[chance.below(rows.len())]).remove(0);
        let mut body = raw.body.clone();
        (0..=chance.below(4)).for_each(|_| chance.harm(&mut body));
        let forged = forge(&raw, &body);
        // A change inside a value may give another valid row; it must still be the row that its columns say.
        if let Ok(read) = read_rows(lineage(), std::slice::from_ref(&forged)) {
            let key = read[0].key();
            assert_eq!(Some(key.start.generation.0 as i64), forged.generation, "KT_SEED={seed}");
            assert_eq!(
                (key.kind.name(), Some(key.seq.0 as i64)),
                (forged.kind.as_str(), forged.seq),
                "KT_SEED={seed}"
            );
        }
    }
}

#[test]
fn a_newer_format_is_named_as_such() {
    let raw = write_row(lineage(), &all_kinds()[0]).remove(0);
    let newer = forge(&raw, r#"{"v":3,"row":"something else"}"#);
    assert!(matches!(read_rows(lineage(), &[newer]), Err(RowError::Newer { found: 3, .. })));
}

/// The same columns with another body and checksums that fit, as only a defect could write it.
fn forge(raw: &RawRow, body: &str) -> RawRow {
    use sha2::{Digest, Sha256};
    let hex = |bytes: &[u8]| {
        Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let mut forged = RawRow { body: body.to_owned(), digest: hex(body.as_bytes()), ..raw.clone() };
    let number = |n: Option<i64>| n.unwrap().to_string();
    let columns = [
        forged.lineage.clone(),
        forged.kind.clone(),
        number(forged.generation),
        forged.nonce.clone(),
        number(forged.seq),
        number(forged.part),
        number(forged.parts),
        forged.body.clone(),
        forged.digest.clone(),
    ];
    forged.check = hex(columns.map(|column| column + "\0").concat().as_bytes());
    forged
}

#[test]
fn texts_of_ids_are_read_back_and_nonsense_is_refused() {
    let tag: Tag = "kt:00c0ffee00c0ffee/7/g6w2/1500.3/1".parse().unwrap();
    let name: StagingName = "kt_stage_00c0ffee00c0ffee_7_000000000000beef".parse().unwrap();
    for seed in seeds(4_000) {
        let mut chance = Chance(seed);
        let (mut a, mut b) = (tag.to_string(), name.to_string());
        (0..=chance.below(3)).for_each(|_| chance.harm(&mut a));
        (0..=chance.below(3)).for_each(|_| chance.harm(&mut b));
        if let Ok(read) = a.parse::<Tag>() {
            assert_eq!(read.to_string(), a, "KT_SEED={seed}: each tag has one spelling");
        }
        if let Ok(read) = b.parse::<StagingName>() {
            assert_eq!(read.to_string(), b, "KT_SEED={seed}: each name has one spelling");
        }
    }
    assert!("kt_stage_00c0ffee00c0ffee_07_000000000000beef".parse::<StagingName>().is_err());
    let id: ExtentId = "0000000a-0000-0000-0000-00000000000b".parse().unwrap();
    assert_eq!(id.to_string().parse::<ExtentId>().unwrap(), id);
}

/// The most chunks of a commit are bounded so that this holds; see `WriteAheadOptions::CHUNKS_PER_EPOCH`.
#[test]
fn an_intent_with_ten_thousand_chunks_is_a_command_of_a_few_megabytes_in_parts_of_half_a_mebibyte() {
    let raw = write_row(lineage(), &Row::Intent(intent(10_000).into()));
    assert!(raw.iter().all(|row| row.body.len() <= PART_BYTES));
    let bytes: usize = raw.iter().map(|row| row.body.len() + row.body.matches('"').count()).sum();
    assert!((1 << 20..3 << 20).contains(&bytes), "{bytes} bytes in {} parts", raw.len());
}
