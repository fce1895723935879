//! Tells a file that changed from one that did not, without reading all of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};

const EDGE: u64 = 64 << 10;
const SAMPLES: u64 = 16;
const SAMPLE: u64 = 4 << 10;

/// SHA-256 over the length of a file as it is stored, its first and last 64 KiB, and sixteen samples of 4 KiB evenly
/// spread between.
pub(super) type Fingerprint = [u8; 32];

/// Computes the fingerprint; the file is left at its start.
pub(super) fn fingerprint(file: &mut File) -> io::Result<(u64, Fingerprint)> {
    let len = file.metadata()?.len();
    let mut hash = Sha256::new();
    hash.update(len.to_le_bytes());
    for (offset, length) in pieces(len) {
        file.seek(SeekFrom::Start(offset))?;
        let mut piece = Vec::new();
        file.by_ref().take(length).read_to_end(&mut piece)?;
        hash.update(&piece);
    }
    file.rewind()?;
    Ok((len, hash.finalize().into()))
}

fn pieces(len: u64) -> Vec<(u64, u64)> {
    if len <= 2 * EDGE + SAMPLES * SAMPLE {
        return vec![(0, len)];
    }
    let step = (len - 2 * EDGE) / SAMPLES;
    let mut pieces = vec![(0, EDGE), (len - EDGE, EDGE)];
    pieces.extend((0..SAMPLES).map(|sample| (EDGE + sample * step, SAMPLE)));
    pieces
}
