//! Archives as Python's `zipfile` writes them, in hexadecimal.

use super::*;

const DEFLATED: &str = "504b030414000000080000002100a9742b710a0000000800000005000000612e63737633d449e432d249e20200504b010214\
    0314000000080000002100a9742b710a00000008000000050000000000000000000000800100000000612e637376504b0506\
    0000000001000100330000002d0000000000";

const STORED: &str = "504b030414000000000000002100a9742b71080000000800000005000000612e637376312c610a322c620a504b0102140314\
    000000000000002100a9742b710800000008000000050000000000000000000000800100000000612e637376504b05060000\
    000001000100330000002b0000000000";

const STREAMED: &str = "504b03041400080008000000210000000000000000000000000005000000612e63737633d449e432d249e20200504b0708a9\
    742b710a00000008000000504b0102140314000800080000002100a9742b710a000000080000000500000000000000000000\
    00800100000000612e637376504b05060000000001000100330000003d0000000000";

const TWO_FILES: &str = "504b030414000000000000002100a44cb7c4040000000400000005000000612e637376312c610a504b030414000000000000\
    002100a44cb7c4040000000400000005000000622e637376312c610a504b0102140314000000000000002100a44cb7c40400\
    000004000000050000000000000000000000800100000000612e637376504b0102140314000000000000002100a44cb7c404\
    00000004000000050000000000000000000000800127000000622e637376504b05060000000002000200660000004e000000\
    0000";

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn ingest(archive: &[u8]) -> (Cluster, EngineResult<ResultTable>) {
    let cluster = Cluster::new();
    cluster.run(".create table T (n:long, s:string)");
    cluster.put("http://h/c/a.csv.zip", archive);
    let ingested = cluster.try_run(".ingest into table T ('http://h/c/a.csv.zip')");
    (cluster, ingested)
}

#[test]
fn a_zip_archive_with_one_file_is_read_whether_deflated_stored_or_streamed() {
    for archive in [DEFLATED, STORED, STREAMED] {
        let (cluster, ingested) = ingest(&bytes(archive));
        ingested.unwrap();
        assert_eq!(cluster.content("T"), json!([[1, "a"], [2, "b"]]));
    }
}

#[test]
fn a_zip_archive_that_is_cut_or_damaged_or_holds_two_files_is_an_invalid_blob() {
    let whole = bytes(DEFLATED);
    let mut damaged = whole.clone();
    damaged[14] ^= 1;
    let cut = whole[..whole.len() / 3].to_vec();
    for archive in [damaged, cut, bytes(TWO_FILES), b"no archive".to_vec()] {
        let (cluster, ingested) = ingest(&archive);
        let refused = ingested.unwrap_err();
        assert_eq!(refused.inner.unwrap().code, "BadRequest_InvalidBlob");
        assert_eq!(cluster.count("T"), 0);
    }
}
