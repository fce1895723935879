//! From a parsed query to relations: sources, names, and what the parts of one query share.
//!
//! Building a relation checks it; no row of a table is read before its first batch is asked for (a scalar taken from a table, as in
//! `in (T | ..)` and `toscalar(..)`, is read while building, as it is a constant for the rest).

use super::ast::{Expr, Function, Let, Operator, Pipeline, Source};
use super::bind::Scope;
use super::catalog::{Catalog, Options, TableSource};
use super::error::KqlError;
use super::eval::Env;
use super::relation::{Relation, gather, scan};
use super::scopes::{self, Closure, Kept, Names};
use crate::data::{ColumnType, Schema, Value};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Sources and operators that one query may have, those of its variables counted at every use.
const MAX_PARTS: usize = 500;
/// Pipelines within pipelines.
const MAX_NESTING: usize = 60;
/// Functions that a query may declare.
const MAX_FUNCTIONS: usize = 200;
/// Nodes that calls of the query's functions may add to its expressions.
const MAX_EXPANSION: usize = 100_000;
/// Values that a tabular expression may give where a scalar or a list stands.
const MAX_LIST: usize = 1_000_000;

/// What the parts of one query share.
struct Shared<'a> {
    catalog: &'a dyn Catalog,
    /// The tables asked for so far: each is asked for once.
    known: RefCell<HashMap<String, Arc<dyn TableSource>>>,
    built: Cell<usize>,
    nesting: Cell<usize>,
    /// How much more the bodies of functions may add to expressions.
    room: Cell<usize>,
}

impl<'a> Shared<'a> {
    fn new(catalog: &'a dyn Catalog) -> Rc<Shared<'a>> {
        Rc::new(Shared {
            catalog,
            known: RefCell::default(),
            built: Cell::new(0),
            nesting: Cell::new(0),
            room: Cell::new(MAX_EXPANSION),
        })
    }
}

/// A place of a query whose tables are known.
pub(super) struct Frozen {
    known: HashMap<String, Arc<dyn TableSource>>,
    env: Arc<Env>,
    pub(super) max_memory: usize,
    names: Rc<Names>,
}

impl Frozen {
    /// A builder for this place, with counts that begin anew.
    pub(super) fn builder(&self) -> Builder<'_> {
        Builder {
            shared: Shared::new(self),
            given: None,
            env: Arc::clone(&self.env),
            max_memory: self.max_memory,
            names: Rc::clone(&self.names),
        }
    }
}

impl Catalog for Frozen {
    fn table(&self, name: &str) -> Result<Arc<dyn TableSource>, KqlError> {
        self.known.get(name).cloned().ok_or_else(|| KqlError::no_table(name))
    }

    fn tables(&self) -> Vec<String> {
        self.known.keys().cloned().collect()
    }

    fn now(&self) -> i64 {
        self.env.now
    }

    fn principal(&self) -> String {
        self.env.principal.clone()
    }

    fn database(&self) -> String {
        self.env.database.clone()
    }

    fn cluster(&self) -> Option<String> {
        self.env.cluster.clone()
    }

    fn reads_hexadecimal(&self) -> bool {
        self.env.hexadecimal
    }
}

/// Builds relations in a database, among some names.
pub(super) struct Builder<'a> {
    shared: Rc<Shared<'a>>,
    /// What [`Source::Given`] stands for.
    given: Option<Arc<dyn TableSource>>,
    pub(super) env: Arc<Env>,
    pub(super) max_memory: usize,
    pub(super) names: Rc<Names>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(catalog: &'a dyn Catalog, options: &Options) -> Builder<'a> {
        Builder {
            shared: Shared::new(catalog),
            given: None,
            env: Arc::new(Env::new(catalog, options)),
            max_memory: options.max_memory,
            names: Rc::default(),
        }
    }

    /// The same query over a table that the caller has.
    pub(super) fn over(&self, given: Arc<dyn TableSource>) -> Builder<'a> {
        Builder { given: Some(given), ..self.among(Rc::clone(&self.names)) }
    }

    /// The same query seen from a place with other names.
    pub(super) fn among(&self, names: Rc<Names>) -> Builder<'a> {
        Builder {
            shared: Rc::clone(&self.shared),
            given: self.given.clone(),
            env: Arc::clone(&self.env),
            max_memory: self.max_memory,
            names,
        }
    }

    /// This place of the query and the tables asked for so far, to go on with while rows are made.
    pub(super) fn frozen(&self) -> Frozen {
        Frozen {
            known: self.shared.known.borrow().clone(),
            env: Arc::clone(&self.env),
            max_memory: self.max_memory,
            names: Rc::clone(&self.names),
        }
    }

    /// Declares a scalar variable.
    pub(super) fn declare(&mut self, name: &str, ty: ColumnType, value: Value) {
        Rc::make_mut(&mut self.names).declare_scalar(name, ty, value);
    }

    /// Declares the stored functions that the text may mean, so that its own declarations hide them.
    pub(super) fn declare_stored(&mut self) -> Result<(), KqlError> {
        for (name, function) in self.shared.catalog.functions()? {
            let closure = Closure::new(function, &self.names);
            Rc::make_mut(&mut self.names).declare_function(&name, closure);
        }
        Ok(())
    }

    /// Declares what a `let` does.
    pub(super) fn declare_let(&mut self, name: &str, value: &Let) -> Result<(), KqlError> {
        match value {
            Let::Function(function) => {
                if self.names.functions() >= MAX_FUNCTIONS {
                    return Err(too_complex());
                }
                let closure = Closure::new(function.clone(), &self.names);
                Rc::make_mut(&mut self.names).declare_function(name, closure);
            }
            Let::Value(expr) if self.names.is_tabular(expr) => {
                let (expr, kept) = match expr {
                    Expr::Call(call, arguments) if call == "materialize" && arguments.len() == 1 => {
                        (&arguments[0], Some(Kept::default()))
                    }
                    expr => (expr, None),
                };
                let pipeline = self.tabular(expr)?;
                self.pipeline(&pipeline)?;
                let closure = Closure { kept, ..Closure::new(pipeline, &self.names) };
                Rc::make_mut(&mut self.names).declare_table(name, closure);
            }
            Let::Value(expr) => {
                let bound = self.with_scope("let", &Schema::default(), |scope| scope.bind(expr))?;
                if bound.is_drawn() {
                    // Chance is drawn at every use: the expression stands for itself.
                    let body = expr.clone();
                    let what = Function { view: false, parameters: Vec::new(), lets: Vec::new(), body };
                    return self.declare_let(name, &Let::Function(what));
                }
                let value = super::eval::constant(&bound, &self.env);
                self.declare(name, bound.ty, value);
            }
        }
        Ok(())
    }

    pub(super) fn tabular(&self, expr: &Expr) -> Result<Pipeline, KqlError> {
        scopes::as_pipeline(expr)
            .ok_or_else(|| KqlError::semantic("SEM0100", "a tabular expression is expected"))
    }

    /// Runs `work` with the names that mean something behind `operator`.
    pub(super) fn with_scope<T>(
        &self,
        operator: &str,
        schema: &Schema,
        work: impl FnOnce(&Scope<'_>) -> T,
    ) -> T {
        self.with_rows(operator, schema, None, work)
    }

    /// As [`with_scope`](Self::with_scope), where expressions may look at neighbouring rows if `serialized` says that these have
    /// an order.
    pub(super) fn with_rows<T>(
        &self,
        operator: &str,
        schema: &Schema,
        serialized: Option<bool>,
        work: impl FnOnce(&Scope<'_>) -> T,
    ) -> T {
        let run_table = |expr: &Expr, names: &Rc<Names>| self.among(Rc::clone(names)).first_column(expr);
        let locals = HashMap::new();
        let (names, env, room) = (&self.names, &*self.env, &self.shared.room);
        work(&Scope {
            operator,
            schema,
            serialized,
            names,
            locals: &locals,
            env,
            room,
            run_table: &run_table,
        })
    }

    /// The type and the values of the first column of a tabular expression.
    fn first_column(&self, expr: &Expr) -> Result<(ColumnType, Vec<Value>), KqlError> {
        let pipeline = self.tabular(expr)?;
        let relation = self.pipeline(&pipeline)?;
        let Some(first) = relation.schema.columns.first() else {
            return Ok((ColumnType::Dynamic, Vec::new()));
        };
        let ty = first.ty;
        let mut values = Vec::new();
        for batch in relation.rows {
            let column = batch?.column(0);
            values.extend((0..column.len()).map(|row| column.value(row)));
            if values.len() > MAX_LIST {
                return Err(KqlError::runaway("in", MAX_LIST));
            }
        }
        Ok((ty, values))
    }

    /// A tabular expression.
    pub(super) fn pipeline(&self, pipeline: &Pipeline) -> Result<Relation, KqlError> {
        let Shared { built, nesting, .. } = &*self.shared;
        built.set(built.get() + 1 + pipeline.operators.len());
        nesting.set(nesting.get() + 1);
        let relation = if built.get() > MAX_PARTS || nesting.get() > MAX_NESTING {
            Err(too_complex())
        } else {
            self.in_turn(pipeline)
        };
        nesting.set(nesting.get() - 1);
        self.env.check()?;
        Ok(self.checked(relation?))
    }

    fn in_turn(&self, pipeline: &Pipeline) -> Result<Relation, KqlError> {
        let mut relation = self.checked(self.source(&pipeline.source)?);
        let mut here = self.among(Rc::clone(&self.names));
        for (at, operator) in pipeline.operators.iter().enumerate() {
            let so_far =
                || Pipeline { source: pipeline.source.clone(), operators: pipeline.operators[..at].to_vec() };
            relation = match operator {
                Operator::As(name) => {
                    let table = Closure::new(so_far(), &here.names);
                    Rc::make_mut(&mut here.names).declare_table(name, table);
                    Relation { name: Some(name.clone()), ..relation }
                }
                Operator::Invoke(name, arguments) => here.invoke(name, so_far(), arguments)?,
                operator => here.operator(relation, operator)?,
            };
        }
        Ok(relation)
    }

    /// The same rows, as long as time and memory last.
    fn checked(&self, relation: Relation) -> Relation {
        let env = Arc::clone(&self.env);
        let rows = relation.rows.map(move |batch| env.check().and(batch));
        Relation { rows: Box::new(rows), ..relation }
    }

    fn source(&self, source: &Source) -> Result<Relation, KqlError> {
        match source {
            Source::Name(name) => self.table(name),
            Source::Nested(pipeline) => self.pipeline(pipeline),
            Source::Print(items) => self.print(items),
            Source::Datatable(schema, values) => self.datatable(schema, values),
            Source::Range(name, bounds) => self.range(name, bounds),
            Source::Union(union) => self.union(None, union),
            Source::Call(name, arguments) => self.call_source(name, arguments),
            Source::OfDatabase { cluster, database, table } => {
                self.this_database(cluster.as_deref(), database)?;
                self.stored(table)
            }
            Source::Wildcard(_) => Err(KqlError::unsupported("wildcards outside of 'union'")),
            Source::Given => match &self.given {
                Some(given) => Ok(scan(Arc::clone(given))),
                None => Err(KqlError::no_table("")),
            },
        }
    }

    /// Whether names of a cluster and a database are those of the request's own; other ones are not within reach.
    fn this_database(&self, cluster: Option<&Expr>, database: &Expr) -> Result<(), KqlError> {
        let text = |function: &str, expr: &Expr| {
            let found = self.with_scope(function, &Schema::default(), |scope| scope.constant(expr))?;
            Ok::<String, KqlError>(found.1.as_str().unwrap_or("").to_owned())
        };
        if let Some(cluster) = cluster {
            let name = text("cluster", cluster)?;
            if !is_own_cluster(self.shared.catalog.cluster(), &name) {
                return Err(KqlError::unsupported(format_args!("tables of another cluster ('{name}')")));
            }
        }
        if text("database", database)? == self.shared.catalog.database() {
            Ok(())
        } else {
            Err(KqlError::unsupported("tables of another database than the request's"))
        }
    }

    pub(super) fn table(&self, name: &str) -> Result<Relation, KqlError> {
        let called = |relation: Relation| Relation { name: Some(name.to_owned()), ..relation };
        if let Some(table) = self.names.table(name) {
            return self.declared(table).map(called);
        }
        if self.names.scalar(name).is_some() {
            return Err(KqlError::semantic("SEM0100", format!("'{name}' is a scalar, a table is expected")));
        }
        if self.names.function(name).is_some_and(|function| function.what.view) {
            return self.call_source(name, &[]).map(called);
        }
        self.stored(name)
    }

    /// A declared table: computed anew, or once if it is `materialize(..)`.
    fn declared(&self, table: &Closure<Pipeline>) -> Result<Relation, KqlError> {
        let relation = self.among(Rc::clone(&table.names)).pipeline(&table.what)?;
        let Some(kept) = table.kept.clone() else { return Ok(relation) };
        let Relation { schema, rows, serialized, name } = relation;
        let (of_rows, max_memory) = (schema.clone(), self.max_memory);
        let once = Relation::once(schema, move || {
            if let Some(batch) = kept.borrow().as_ref() {
                return Ok(batch.clone());
            }
            let batch = gather("materialize", &of_rows, rows, max_memory)?;
            *kept.borrow_mut() = Some(batch.clone());
            Ok(batch)
        });
        Ok(Relation { serialized, name, ..once })
    }

    /// A table of the database.
    fn stored(&self, name: &str) -> Result<Relation, KqlError> {
        let known = self.shared.known.borrow().get(name).cloned();
        let source = match known {
            Some(source) => source,
            None => {
                let source = self.shared.catalog.table(name)?;
                self.shared.known.borrow_mut().insert(name.to_owned(), Arc::clone(&source));
                source
            }
        };
        Ok(Relation { name: Some(name.to_owned()), ..scan(source) })
    }

    /// `materialized_view('V')`: here it is as far as the whole view.
    pub(super) fn materialized_part(&self, name: &str) -> Result<Relation, KqlError> {
        if self.shared.catalog.is_materialized_view(name) {
            self.stored(name)
        } else {
            Err(KqlError::no_table(name))
        }
    }

    /// The tables and views that a pattern with `*` stands for, in the order of their names.
    pub(super) fn tables_like(&self, pattern: &str) -> Vec<Pipeline> {
        let matches = |name: &str| super::project::matches(pattern, name);
        let mut names = self.names.tables_like(matches);
        names.extend(self.shared.catalog.tables().into_iter().filter(|name| matches(name)));
        names.sort();
        names.dedup();
        names.iter().map(|name| named(name)).collect()
    }
}

/// Whether `cluster(name)` means the cluster of this address: host and port, with or without a scheme.
fn is_own_cluster(own: Option<String>, name: &str) -> bool {
    let asked =
        name.split_once("://").map_or(name, |(_, rest)| rest).trim_end_matches('/').to_ascii_lowercase();
    own.is_some_and(|own| asked == own || asked == own.replace("127.0.0.1", "localhost"))
}

fn too_complex() -> KqlError {
    let message =
        "The query is too complex: it combines too many tabular expressions, operators and functions";
    KqlError::semantic("SEM0001", message)
}

/// A pipeline that is only a name.
pub(super) fn named(name: &str) -> Pipeline {
    Pipeline { source: Source::Name(name.to_owned()), operators: Vec::new() }
}
