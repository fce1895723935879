//! `parse`: columns out of a text by a pattern of constants between them.
//!
//! The pattern must fit the whole text, and every value its type; a row that does not fit gets nulls, or is dropped by
//! `parse-where`. Source: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/parse-operator.md`.

use super::ast::{Parse, ParseKind, ParsePart};
use super::batch::{Batch, Placed};
use super::builder::Builder;
use super::error::KqlError;
use super::eval::{Env, eval};
use super::project::{as_they_are, duplicate};
use super::relation::Relation;
use super::typed::{Node, Typed};
use crate::data::{Column, ColumnBuilder, ColumnType};
use regex::Regex;
use std::fmt::Write;
use std::sync::Arc;

/// The part of the regular expression that takes a value of a type. In `kind=regex` a text takes as much as it can: the page's
/// words say the opposite of its examples.
fn value_pattern(kind: &ParseKind, ty: ColumnType) -> &'static str {
    match (kind, ty) {
        (ParseKind::Relaxed, ColumnType::Int | ColumnType::Long | ColumnType::Real | ColumnType::Decimal) => {
            r"-?[0-9]+(?:\.[0-9]+)?|.*?"
        }
        (ParseKind::Relaxed, _) => ".*?",
        (_, ColumnType::Int | ColumnType::Long) => "-?[0-9]+",
        (_, ColumnType::Real | ColumnType::Decimal) => r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?",
        (_, ColumnType::Bool) => "(?i:true|false)",
        (ParseKind::Regex(_), _) => ".*",
        _ => ".*?",
    }
}

/// The pattern as a regular expression, and the groups of its columns: patterns of the query may have groups of their own.
fn compiled(kind: &ParseKind, parts: &[ParsePart]) -> Result<(Regex, Vec<usize>), KqlError> {
    let mut pattern = match kind {
        ParseKind::Regex(flags) if flags.is_empty() => String::from("^"),
        ParseKind::Regex(flags) => format!("(?{flags})^"),
        _ => String::from("(?s)^"),
    };
    let name = |at: usize| format!("parsed{at}");
    for (at, part) in parts.iter().enumerate() {
        match (part, kind) {
            (ParsePart::Skip, _) => pattern.push_str(".*?"),
            (ParsePart::Text(text), ParseKind::Regex(_)) => drop(write!(pattern, "(?:{text})")),
            (ParsePart::Text(text), _) => pattern.push_str(&regex::escape(text)),
            (ParsePart::Column(_, ty), _) => {
                let _ = write!(pattern, "(?P<{}>{})", name(at), value_pattern(kind, *ty));
            }
        }
    }
    pattern.push('$');
    let no_pattern = |error| KqlError::semantic("SEM0420", format!("'parse' operator: {error}"));
    let regex = Regex::new(&pattern).map_err(no_pattern)?;
    let names: Vec<Option<&str>> = regex.capture_names().collect();
    let is_column = |(at, part): (usize, &ParsePart)| matches!(part, ParsePart::Column(..)).then_some(at);
    let columns = parts.iter().enumerate().filter_map(is_column);
    let groups = columns.filter_map(|at| names.iter().position(|found| *found == Some(&name(at)))).collect();
    Ok((regex, groups))
}

/// What `parse` does with the rows.
struct Plan {
    text: Typed,
    regex: Regex,
    /// The group of each column.
    groups: Vec<usize>,
    relaxed: bool,
    types: Vec<ColumnType>,
    only_fitting: bool,
    /// The columns that stay, from the input or (`None`) the next parsed one.
    layout: Vec<Option<usize>>,
}

impl Builder<'_> {
    pub(super) fn parse(&self, input: Relation, parse: &Parse) -> Result<Relation, KqlError> {
        let text = self.with_scope("parse", &input.schema, |scope| scope.bind(&parse.text))?;
        let mut parsed: Vec<Column> = Vec::new();
        for part in &parse.parts {
            if let ParsePart::Column(name, ty) = part {
                if parsed.iter().any(|column| column.name == *name) {
                    return Err(duplicate("parse", name));
                }
                parsed.push(Column::new(name, *ty));
            }
        }
        let kept = (0..input.schema.len())
            .filter(|at| !parsed.iter().any(|column| column.name == input.schema.columns[*at].name));
        let (mut columns, kept): (Vec<Column>, Vec<Typed>) =
            as_they_are(&input.schema, kept).into_iter().unzip();
        let place = |typed: &Typed| if let Node::Column(at) = typed.node { Some(at) } else { None };
        let layout = kept.iter().map(place).chain(parsed.iter().map(|_| None)).collect();
        let (regex, groups) = compiled(&parse.kind, &parse.parts)?;
        let plan = Plan {
            text: text.cast(ColumnType::String),
            regex,
            groups,
            relaxed: parse.kind == ParseKind::Relaxed,
            types: parsed.iter().map(|column| column.ty).collect(),
            only_fitting: parse.only_fitting,
            layout,
        };
        columns.extend(parsed);
        let env = Arc::clone(&self.env);
        let rows = input.rows.map(move |batch| batch.map(|batch| plan.apply(&batch, &env)));
        Ok(Relation::new(crate::data::Schema::new(columns), rows))
    }
}

impl Plan {
    fn apply(&self, batch: &Batch, env: &Env) -> Batch {
        let text = eval(&self.text, batch, env);
        let mut built: Vec<ColumnBuilder> = self.types.iter().map(|ty| ColumnBuilder::new(*ty)).collect();
        let mut fitting = Vec::new();
        let mut locations = self.regex.capture_locations();
        for row in 0..batch.rows {
            let text = text.data.text(text.row(row)).unwrap_or("");
            let fits = self.regex.captures_read(&mut locations, text).is_some();
            let place = |at: usize| locations.get(self.groups[at]);
            let part = |at: usize| place(at).map_or("", |(start, end)| &text[start..end]);
            let typed = |(at, ty): (usize, &ColumnType)| {
                self.relaxed || *ty == ColumnType::String || !crate::data::parse_text(*ty, part(at)).is_null()
            };
            let fits = fits && self.types.iter().enumerate().all(typed);
            for (at, builder) in built.iter_mut().enumerate() {
                if fits {
                    builder.push_text(part(at));
                } else {
                    builder.push_null();
                }
            }
            if fits {
                fitting.push(row as u32);
            }
        }
        let mut parsed = built.into_iter().map(|builder| Arc::new(builder.finish()));
        let place = |at: &Option<usize>| match at {
            Some(at) => Some(Placed::Old(*at)),
            None => parsed.next().map(Placed::New),
        };
        let whole = batch.rearranged(self.layout.iter().filter_map(place).collect());
        if self.only_fitting { whole.select(&Arc::new(fitting)) } else { whole }
    }
}
