use timely_kusto::{Encoder, Format, SerdeEncoder};

use super::*;

#[test]
fn a_narrow_row_has_46_bytes() {
    let mut encoder = SerdeEncoder::new(Format::Csv);
    for index in (0..1_000).chain([u64::from(u32::MAX), 900_000_000_000]) {
        let mut row = Vec::new();
        encoder.encode(&Narrow::generate(index), &mut row).unwrap();
        assert_eq!(row.len(), 46, "{}", String::from_utf8_lossy(&row));
    }
}
