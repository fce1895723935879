//! `parse`: columns out of a text by a pattern of constants between them.
//!
//! The pattern must fit the whole text, and every value its type; a row that does not fit gets nulls, or is dropped by
//! `parse-where`. Source: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/parse-operator.md`.

use super::ast::{Parse, ParsePart};
use super::batch::{Batch, Placed};
use super::error::KqlError;
use super::eval::{Env, eval};
use super::project::{as_they_are, duplicate};
use super::relation::{Builder, Relation};
use super::typed::{Node, Typed};
use crate::data::{Column, ColumnBuilder, ColumnType};
use regex::Regex;
use std::sync::Arc;

/// The part of the regular expression that takes a value of a type.
fn value_pattern(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Int | ColumnType::Long => r"(-?[0-9]+)",
        ColumnType::Real | ColumnType::Decimal => r"(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)",
        ColumnType::Bool => r"((?i:true|false))",
        _ => "(.*?)",
    }
}

/// The pattern as a regular expression with one group for each column.
fn compiled(parts: &[ParsePart]) -> Result<Regex, KqlError> {
    let mut pattern = String::from("(?s)^");
    for part in parts {
        match part {
            ParsePart::Skip => pattern.push_str(".*?"),
            ParsePart::Text(text) => pattern.push_str(&regex::escape(text)),
            ParsePart::Column(_, ty) => pattern.push_str(value_pattern(*ty)),
        }
    }
    pattern.push('$');
    let no_pattern = |error| KqlError::semantic("SEM0420", format!("'parse' operator: {error}"));
    Regex::new(&pattern).map_err(no_pattern)
}

/// What `parse` does with the rows.
struct Plan {
    text: Typed,
    regex: Regex,
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
        let plan = Plan {
            text: text.cast(ColumnType::String),
            regex: compiled(&parse.parts)?,
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
            let part = |at: usize| locations.get(at + 1).map_or("", |(start, end)| &text[start..end]);
            let typed = |(at, ty): (usize, &ColumnType)| {
                *ty == ColumnType::String || !crate::data::parse_text(*ty, part(at)).is_null()
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
