//! Epoch files in words, tables and JSON.

use std::fmt::Write;

use epoch_log::{Chunk, Footer, Position};
use kusto_client::{Column, Table};
use serde_json::{Value, json};

use super::found::{Directory, File};
use crate::print;

/// One line for each directory.
pub(super) fn list(found: &[Directory]) -> String {
    let names =
        ["lineage", "start", "worker", "files", "epochs", "chunks", "rows", "bytes", "open", "damaged"];
    let rows = found.iter().map(|it| {
        let DirectoryRow { from, to, workers, chunks, rows } = sums(it);
        let worker = workers.map_or(it.id.worker.to_string(), |of| format!("{} of {of}", it.id.worker));
        vec![
            json!(it.lineage.as_str()),
            json!(it.id.start.to_string()),
            json!(worker),
            json!(it.files.len()),
            json!(from.zip(to).map_or("none".to_owned(), |(from, to)| bounds(from, to))),
            json!(chunks),
            json!(rows),
            json!(it.bytes()),
            json!(it.open),
            json!(it.damage().count()),
        ]
    });
    table(&names, rows.collect())
}

/// Everything in one directory but the bodies.
pub(super) fn details(directory: &Directory) -> String {
    let mut text = format!("{}\n", directory.path.display());
    for file in &directory.files {
        let name = file.path.file_name().unwrap_or_default().display();
        // Writing to a String cannot fail.
        let _ = match &file.footer {
            Err(damage) => writeln!(text, "  {name}: DAMAGED: {damage}"),
            Ok(footer) => write!(text, "  {name}: {}", footer_text(footer, file.bytes)),
        };
    }
    if directory.open > 0 {
        let _ = writeln!(text, "  {} not sealed", directory.open);
    }
    text
}

fn footer_text(footer: &Footer, bytes: u64) -> String {
    let Footer { from, to, worker, workers, chunks, positions, .. } = footer;
    let rows: u64 = chunks.iter().map(|chunk| chunk.rows).sum();
    let mut text = format!(
        "epochs {}, worker {worker} of {workers}, {rows} rows in {} chunks, {bytes} bytes\n",
        bounds(from.0, to.0),
        chunks.len()
    );
    for chunk in chunks {
        let Chunk { epoch, number, rows, raw_bytes, length, .. } = chunk;
        let format = format_of(footer, chunk);
        let _ = writeln!(
            text,
            "    chunk {epoch}.{number}: {rows} rows, {raw_bytes} bytes of {format}, {length} compressed"
        );
    }
    for Position { epoch, partition, position } in positions {
        let position = position.escape_ascii();
        let _ = writeln!(text, "    position after epoch {epoch}: {partition} at {position}");
    }
    text
}

/// One directory with everything but the bodies. Positions are the source's own bytes, as escaped text.
pub(super) fn json(directory: &Directory) -> Value {
    let DirectoryRow { from, to, chunks, rows, .. } = sums(directory);
    json!({
        "path": directory.path,
        "lineage": directory.lineage.as_str(),
        "start": directory.id.start.to_string(),
        "generation": directory.id.start.generation,
        "worker": directory.id.worker,
        "from": from,
        "to": to,
        "chunks": chunks,
        "rows": rows,
        "bytes": directory.bytes(),
        "not_sealed": directory.open,
        "files": directory.files.iter().map(file_json).collect::<Vec<_>>(),
    })
}

fn file_json(file: &File) -> Value {
    let footer = match &file.footer {
        Err(damage) => return json!({ "path": file.path, "bytes": file.bytes, "damage": damage }),
        Ok(footer) => footer,
    };
    let chunk = |chunk: &Chunk| {
        json!({
            "epoch": chunk.epoch,
            "number": chunk.number,
            "rows": chunk.rows,
            "raw_bytes": chunk.raw_bytes,
            "bytes": chunk.length,
            "format": format_of(footer, chunk),
            "row_sum": chunk.sum.map(|it| json!({ "over": format!("{:016x}", it.over), "sum": it.sum })),
        })
    };
    let position = |it: &Position| {
        json!({
            "epoch": it.epoch,
            "partition": it.partition,
            "position": it.position.escape_ascii().to_string(),
        })
    };
    json!({
        "path": file.path,
        "bytes": file.bytes,
        "from": footer.from,
        "to": footer.to,
        "workers": footer.workers,
        "chunks": footer.chunks.iter().map(chunk).collect::<Vec<_>>(),
        "positions": footer.positions.iter().map(position).collect::<Vec<_>>(),
    })
}

fn format_of<'a>(footer: &'a Footer, chunk: &Chunk) -> &'a str {
    let layout = usize::try_from(chunk.layout).ok().and_then(|index| footer.layouts.get(index));
    layout.map_or("unknown", |layout| &layout.format)
}

struct DirectoryRow {
    from: Option<u64>,
    to: Option<u64>,
    workers: Option<u32>,
    chunks: usize,
    rows: u64,
}

fn sums(directory: &Directory) -> DirectoryRow {
    DirectoryRow {
        from: directory.footers().map(|it| it.from.0).min(),
        to: directory.footers().map(|it| it.to.0).max(),
        workers: directory.footers().next().map(|it| it.workers),
        chunks: directory.footers().map(|it| it.chunks.len()).sum(),
        rows: directory.footers().flat_map(|it| &it.chunks).map(|chunk| chunk.rows).sum(),
    }
}

/// Epochs from the first up to the last, both included, in words. A file covers at least one.
fn bounds(from: u64, to: u64) -> String {
    match to.saturating_sub(1) {
        last if last <= from => from.to_string(),
        last => format!("{from} to {last}"),
    }
}

fn table(names: &[&str], rows: Vec<Vec<Value>>) -> String {
    let column = |name: &&str| Column { name: (*name).to_owned(), column_type: "string".to_owned() };
    print::table(&Table { name: String::new(), columns: names.iter().map(column).collect(), rows })
}
