//! What the names of a query mean at one place of it: variables, and functions with the names that they were declared among.
//!
//! Names are bound where they are declared, as in the service: a function sees what stood before it, not what stands around its
//! call. So nothing can call itself, and every use of a name ends.

use super::ast::{Expr, Function, Parameter, Pipeline, Source, TakesIn};
use super::batch::Batch;
use super::cast;
use super::error::KqlError;
use crate::data::{ColumnType, Value};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Something that was declared, and the names it was declared among.
#[derive(Debug)]
pub(super) struct Closure<T> {
    pub(super) what: T,
    pub(super) names: Rc<Names>,
    /// Where the rows of a `materialize(..)` are kept.
    pub(super) kept: Option<Kept>,
}

/// Rows that are computed at their first use.
pub(super) type Kept = Rc<RefCell<Option<Batch>>>;

impl<T> Closure<T> {
    pub(super) fn new(what: T, names: &Rc<Names>) -> Closure<T> {
        Closure { what, names: Rc::clone(names), kept: None }
    }
}

/// What the parser calls `cluster('c').database('d')`: no name that can be written.
pub(super) const OF_CLUSTER: &str = "cluster.database";

/// The names that can be used at one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    scalars: HashMap<String, (ColumnType, Value)>,
    tables: HashMap<String, Rc<Closure<Pipeline>>>,
    functions: HashMap<String, Rc<Closure<Function>>>,
}

impl Names {
    pub(super) fn scalar(&self, name: &str) -> Option<&(ColumnType, Value)> {
        self.scalars.get(name)
    }

    pub(super) fn table(&self, name: &str) -> Option<&Rc<Closure<Pipeline>>> {
        self.tables.get(name)
    }

    pub(super) fn function(&self, name: &str) -> Option<&Rc<Closure<Function>>> {
        self.functions.get(name)
    }

    /// The declared tables and views whose name `matches`, in the order of names.
    pub(super) fn tables_like(&self, matches: impl Fn(&str) -> bool) -> Vec<String> {
        let views = self.functions.iter().filter(|(_, function)| function.what.view).map(|(name, _)| name);
        let mut found: Vec<String> =
            self.tables.keys().chain(views).filter(|name| matches(name)).cloned().collect();
        found.sort();
        found
    }

    pub(super) fn functions(&self) -> usize {
        self.functions.len()
    }

    pub(super) fn declare_scalar(&mut self, name: &str, ty: ColumnType, value: Value) {
        self.forget(name);
        self.scalars.insert(name.to_owned(), (ty, value));
    }

    pub(super) fn declare_table(&mut self, name: &str, table: Closure<Pipeline>) {
        self.forget(name);
        self.tables.insert(name.to_owned(), Rc::new(table));
    }

    pub(super) fn declare_function(&mut self, name: &str, function: Closure<Function>) {
        self.forget(name);
        self.functions.insert(name.to_owned(), Rc::new(function));
    }

    /// One name means one thing.
    fn forget(&mut self, name: &str) {
        self.scalars.remove(name);
        self.tables.remove(name);
        self.functions.remove(name);
    }

    /// Whether an expression stands for rows. A name that nothing was declared by is taken for a table of the database.
    pub(super) fn is_tabular(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Table(_) => true,
            Expr::Name(name) => match self.functions.get(name) {
                Some(function) => function.gives_rows(),
                None => !self.scalars.contains_key(name),
            },
            Expr::Call(name, _) => match self.functions.get(name) {
                Some(function) => function.gives_rows(),
                None => matches!(name.as_str(), "materialize" | "materialized_view" | "table"),
            },
            Expr::Member(inner, _) => {
                matches!(&**inner, Expr::Call(name, _) if name == "database" || name == OF_CLUSTER)
            }
            _ => false,
        }
    }
}

impl Closure<Function> {
    /// Whether the function gives rows rather than a value.
    pub(super) fn gives_rows(&self) -> bool {
        let Function { parameters, lets, body, .. } = &self.what;
        if let Expr::Name(name) = body {
            if let Some(parameter) = parameters.iter().find(|parameter| parameter.name() == name) {
                return matches!(parameter, TakesIn::Table(..));
            }
            if lets.iter().any(|(known, _)| known == name) {
                return lets.iter().any(|(known, value)| known == name && value.is_written_as_rows());
            }
        }
        self.names.is_tabular(body)
    }
}

/// An expression that stands for rows, as a pipeline; none when it cannot.
pub(super) fn as_pipeline(expr: &Expr) -> Option<Pipeline> {
    let source = match expr {
        Expr::Table(pipeline) => return Some((**pipeline).clone()),
        Expr::Name(name) => Source::Name(name.clone()),
        Expr::Call(name, arguments) => Source::Call(name.clone(), arguments.clone()),
        Expr::Member(inner, table) => match &**inner {
            Expr::Call(name, arguments) if name == "database" && arguments.len() == 1 => Source::OfDatabase {
                cluster: None,
                database: Box::new(arguments[0].clone()),
                table: table.clone(),
            },
            Expr::Call(name, arguments) if name == OF_CLUSTER => Source::OfDatabase {
                cluster: arguments.first().cloned().map(Box::new),
                database: Box::new(arguments.get(1)?.clone()),
                table: table.clone(),
            },
            _ => return None,
        },
        _ => return None,
    };
    Some(Pipeline { source, operators: Vec::new() })
}

/// A value as the type that a parameter declares; numbers widen.
pub(super) fn argument(
    function: &str,
    parameter: &Parameter,
    ty: ColumnType,
    value: &Value,
) -> Result<Value, KqlError> {
    fits(function, parameter, ty)?;
    Ok(cast::value(value, parameter.ty))
}

/// Whether a value of type `ty` may be given for a parameter.
pub(super) fn fits(function: &str, parameter: &Parameter, ty: ColumnType) -> Result<(), KqlError> {
    if ty == parameter.ty || ty.is_numeric() && parameter.ty.is_numeric() {
        return Ok(());
    }
    let Parameter { name, ty: wanted, .. } = parameter;
    let message = format!("{function}(): argument '{name}' is of type {ty}, expected {wanted}");
    Err(KqlError::semantic("SEM0024", message))
}
