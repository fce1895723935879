//! Result tables for people.

use std::fmt::Write;

use kusto_client::Table;
use serde_json::{Value, json};

/// The widest a cell is printed; what is longer is cut with an ellipsis.
const CELL: usize = 40;

/// A table as aligned columns under their names.
pub(crate) fn table(table: &Table) -> String {
    let header = table.columns.iter().map(|column| column.name.clone()).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(cell).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let widths: Vec<_> = (0..table.columns.len())
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        print_line(&mut text, line, &widths);
        if index == 0 {
            let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
            print_line(&mut text, &rule, &widths);
        }
    }
    text
}

/// A table as JSON: its name, its columns, its rows as arrays.
pub(crate) fn json(table: &Table) -> Value {
    let columns = table.columns.iter();
    json!({
        "name": table.name,
        "columns": columns.map(|c| json!({ "name": c.name, "type": c.column_type })).collect::<Vec<_>>(),
        "rows": table.rows,
    })
}

fn print_line(text: &mut String, cells: &[String], widths: &[usize]) {
    let mut line = String::new();
    for (cell, full) in cells.iter().zip(widths) {
        let _ = write!(line, "{cell}{:1$}  ", "", full - width(cell)); // writing to a String cannot fail
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut shown: String = text.chars().take(CELL).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(CELL).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use kusto_client::Column;

    #[test]
    fn columns_are_aligned_and_long_or_multi_line_cells_are_cut() {
        let column = |name: &str| Column { name: name.into(), column_type: "string".into() };
        let rows = vec![vec![json!("a\nb"), json!(1)], vec![json!("x".repeat(100)), Value::Null]];
        let shown = table(&Table { name: "T".into(), columns: vec![column("Name"), column("N")], rows });
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[2].trim_end(), format!("a b{}  1", " ".repeat(37)));
        assert_eq!(lines[3], format!("{}…", "x".repeat(39)));
    }
}
