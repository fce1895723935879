//! Whether a footer that decoded means something: a wrong writer must not become a wrong reader.

use super::{Chunk, Epoch, Footer, MAX_BLOCK_BYTES, PRELUDE_BYTES};

/// Says what does not fit.
pub(super) fn footer(footer: &Footer, bodies_end: u64) -> Result<(), String> {
    if footer.from >= footer.to {
        return Err(format!("its footer covers nothing: from {} to {}", footer.from, footer.to));
    }
    if footer.worker >= footer.workers {
        return Err(format!("its footer names worker {} of {}", footer.worker, footer.workers));
    }
    if !(1..=MAX_BLOCK_BYTES).contains(&footer.block_bytes) {
        return Err(format!("its footer names blocks of {} bytes", footer.block_bytes));
    }
    chunks(footer, bodies_end)?;
    positions(footer)
}

fn chunks(footer: &Footer, bodies_end: u64) -> Result<(), String> {
    let mut end = PRELUDE_BYTES;
    let mut numbers = std::collections::BTreeMap::new();
    for chunk in &footer.chunks {
        let name = format_args!("its footer's chunk {}.{}", chunk.epoch, chunk.number);
        if !covers(footer, chunk.epoch) {
            return Err(format!("{name} lies outside {} .. {}", footer.from, footer.to));
        }
        let number = numbers.entry(chunk.epoch).or_insert(0);
        if chunk.number != *number {
            return Err(format!("{name} stands where number {number} belongs"));
        }
        *number += 1;
        if chunk.layout as usize >= footer.layouts.len() {
            return Err(format!("{name} names layout {} of {}", chunk.layout, footer.layouts.len()));
        }
        if chunk.offset != end || !blocks_fit(chunk, footer.block_bytes) {
            return Err(format!(
                "{name} does not begin where the one before ends, or has a wrong number of checksums"
            ));
        }
        end = chunk
            .offset
            .checked_add(chunk.length)
            .ok_or_else(|| format!("{name} is longer than any file"))?;
    }
    if end != bodies_end {
        return Err(format!("its bodies end at {end}, its footer begins at {bodies_end}"));
    }
    Ok(())
}

fn blocks_fit(chunk: &Chunk, block_bytes: u32) -> bool {
    chunk.length > 0 && chunk.length.div_ceil(u64::from(block_bytes)) == chunk.checksums.len() as u64
}

fn positions(footer: &Footer) -> Result<(), String> {
    match footer.positions.iter().find(|position| !covers(footer, position.epoch)) {
        Some(outside) => Err(format!(
            "its position of {} for epoch {} lies outside {} .. {}",
            outside.partition, outside.epoch, footer.from, footer.to
        )),
        None => Ok(()),
    }
}

fn covers(footer: &Footer, epoch: Epoch) -> bool {
    (footer.from..footer.to).contains(&epoch)
}
