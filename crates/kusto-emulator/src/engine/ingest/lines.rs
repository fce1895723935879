//! txt and raw: records of one string.

use std::io::{BufRead, Read};

use super::super::batch::IngestFailure;
use super::columns::{Columns, push_field, push_text};
use super::plan::{Plan, Slot};
use super::source::Input;

/// A string per line; empty lines are skipped.
pub(super) fn read_txt(plan: &Plan, input: &mut Input, columns: &mut Columns) -> Result<(), IngestFailure> {
    let mut skip = plan.ignore_first_record;
    each_line(input, |line, number| {
        if !line.is_empty() && !std::mem::take(&mut skip) {
            push_record(plan, line, number, columns);
        }
        Ok(())
    })
}

/// The whole source is one string.
pub(super) fn read_raw(plan: &Plan, input: &mut Input, columns: &mut Columns) -> Result<(), IngestFailure> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(|error| input.failure(&error))?;
    if !bytes.is_empty() {
        push_record(plan, &bytes, 1, columns);
    }
    Ok(())
}

/// Calls `each` with every line, without its end, and its number from 1.
pub(super) fn each_line(
    input: &mut Input,
    mut each: impl FnMut(&[u8], u64) -> Result<(), IngestFailure>,
) -> Result<(), IngestFailure> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let count = input.read_until(b'\n', &mut line).map_err(|error| input.failure(&error))?;
        if count == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        each(text.strip_suffix(b"\r").unwrap_or(text), number)?;
        input.record_done();
    }
    Ok(())
}

fn push_record(plan: &Plan, text: &[u8], line: u64, columns: &mut Columns) {
    columns.row(|i, builder| match &plan.slots[i] {
        Slot::Field(0) => push_field(builder, text, plan.longest[i]),
        Slot::Constant(constant) => push_text(builder, constant, plan.longest[i]),
        Slot::LineNumber => push_text(builder, &line.to_string(), plan.longest[i]),
        _ => builder.push_null(),
    });
}
