//! That the limit moves away from who comes near it.

use super::*;

const USUAL: Size = Size { bytes: 1 << 20, rows: Some(1000) };

/// Bytes of rows that an epoch has when it has its last chunk.
fn reached(usual: Size, most: u64, longest: usize) -> u64 {
    (0..most).map(|chunks| usual.after(chunks, most, longest).bytes as u64).sum()
}

#[test]
fn chunks_are_as_usual_up_to_half_of_the_limit_and_double_with_each_sixteenth_from_there() {
    let size = |chunks| USUAL.after(chunks, 1600, 1 << 30);
    assert_eq!(size(0), USUAL);
    assert_eq!(size(799), USUAL);
    assert_eq!(size(800), Size { bytes: 2 << 20, rows: Some(2000) });
    assert_eq!(size(899), size(800));
    assert_eq!(size(900), Size { bytes: 4 << 20, rows: Some(4000) });
    assert_eq!(size(1599), Size { bytes: 256 << 20, rows: Some(256_000) });
}

#[test]
fn an_epoch_takes_thirty_times_the_rows_where_there_is_memory() {
    assert!(reached(USUAL, 10_000, 1 << 30) > 30 * reached(USUAL, 10_000, 1 << 20));
}

#[test]
fn chunks_do_not_outgrow_what_they_may_take_nor_a_blob() {
    assert_eq!(USUAL.after(1599, 1600, 8 << 20), Size { bytes: 8 << 20, rows: Some(256_000) });
    let large = Size { bytes: 64 << 20, rows: None };
    assert_eq!(large.after(1599, 1600, 64 << 30), Size { bytes: 1 << 30, rows: None });
    assert_eq!(large.after(1599, 1600, 8 << 20), large, "never less than usual");
}

#[test]
fn a_limit_of_one_chunk_does_not_divide_by_nothing() {
    assert_eq!(USUAL.after(0, 1, 1), USUAL);
    assert_eq!(USUAL.after(9, 0, 1 << 30).bytes, 256 << 20);
}

#[test]
fn epochs_are_counted_until_they_are_committed() {
    let chunks = EpochChunks::default();
    assert_eq!([chunks.add(3), chunks.add(4), chunks.add(3)], [1, 1, 2]);
    chunks.forget_below(4);
    assert_eq!([chunks.of(3), chunks.of(4)], [0, 1]);
}
