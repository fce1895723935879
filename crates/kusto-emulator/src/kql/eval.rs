//! Runs typed expressions over the columns of a batch.
//!
//! An operand is a column and a stride: 1 for a value per row, 0 for a constant, which is a column of one row. An operation on
//! constants only is done once. Nulls: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/scalar-data-types/null-values.md`.

use super::arith;
use super::ast::{BinaryOp, TextOp};
use super::batch::Batch;
use super::cast::{self, flags};
use super::catalog::{Catalog, Options};
use super::compare::order;
use super::error::KqlError;
use super::functions::Function;
use super::sample::drawn;
use super::strings;
use super::typed::{Node, Typed};
use super::window::windowed;
use crate::data::{ColumnBuilder, ColumnData, ColumnType, Value, Values};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::cmp::Ordering;
use std::sync::atomic::{AtomicBool, Ordering as AtomicOrdering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What functions know of the request.
#[derive(Debug)]
pub(super) struct Env {
    pub(super) now: i64,
    pub(super) principal: String,
    pub(super) database: String,
    pub(super) cluster: Option<String>,
    /// Whether texts of hexadecimal digits become numbers.
    pub(super) hexadecimal: bool,
    /// When the query must be done.
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
    /// Set when an expression grew beyond [`MAX_TEXT`] or [`MAX_COLUMN`]; its values no longer count.
    exhausted: AtomicBool,
    chance: Mutex<StdRng>,
}

/// Bytes of text that a function takes, and makes, at most.
pub(super) const MAX_TEXT: usize = 32 << 20;
/// Bytes that a function makes for one batch at most.
const MAX_COLUMN: usize = 256 << 20;

impl Env {
    pub(super) fn new(catalog: &dyn Catalog, options: &Options) -> Env {
        let timeout = options.timeout;
        Env {
            now: options.now.unwrap_or_else(|| catalog.now()),
            principal: catalog.principal(),
            database: catalog.database(),
            cluster: catalog.cluster(),
            hexadecimal: catalog.reads_hexadecimal(),
            deadline: Instant::now() + timeout,
            timeout,
            exhausted: AtomicBool::new(false),
            chance: Mutex::new(StdRng::seed_from_u64(catalog.seed())),
        }
    }

    /// Draws from the query's stream of chance.
    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives up on a value that would be too large; the query fails with the next batch.
    pub(super) fn exhaust(&self) -> Value {
        self.exhausted.store(true, AtomicOrdering::Relaxed);
        Value::Null
    }

    /// Whether the query may go on.
    pub(super) fn check(&self) -> Result<(), KqlError> {
        if self.exhausted.load(AtomicOrdering::Relaxed) {
            return Err(KqlError::runaway("expression", MAX_COLUMN));
        }
        if Instant::now() > self.deadline { Err(KqlError::timed_out(self.timeout)) } else { Ok(()) }
    }
}

/// A column of values, one per row or one for all rows.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) data: Arc<ColumnData>,
    pub(super) stride: usize,
}

impl Operand {
    pub(super) fn per_row(data: ColumnData) -> Operand {
        Operand { data: Arc::new(data), stride: 1 }
    }

    pub(super) fn constant(ty: ColumnType, value: &Value) -> Operand {
        Operand { data: Arc::new(ColumnData::repeat(ty, value, 1)), stride: 0 }
    }

    /// The row of the column that holds the value for `row`.
    pub(super) fn row(&self, row: usize) -> usize {
        row * self.stride
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        self.data.is_null(self.row(row))
    }

    fn text(&self, row: usize) -> &str {
        self.data.text(self.row(row)).unwrap_or("")
    }

    /// One value per row, for `rows` rows.
    pub(super) fn spread(self, rows: usize) -> Arc<ColumnData> {
        if self.stride == 1 { self.data } else { Arc::new(self.data.take(&vec![0; rows])) }
    }

    /// Whether the value is true: neither false nor null.
    pub(super) fn is_true(&self, row: usize) -> bool {
        let at = self.row(row);
        matches!(self.data.values(), Values::Bool(v) if v[at]) && !self.data.is_null(at)
    }

    fn flag(&self, row: usize) -> Option<bool> {
        let at = self.row(row);
        match self.data.values() {
            Values::Bool(v) if !self.data.is_null(at) => Some(v[at]),
            _ => None,
        }
    }
}

/// The result of an operation on `operands`: `make` is told for how many rows to work.
pub(super) fn applied(operands: &[&Operand], rows: usize, make: impl FnOnce(usize) -> ColumnData) -> Operand {
    let constant = operands.iter().all(|operand| operand.stride == 0);
    let data = make(if constant { 1 } else { rows });
    Operand { data: Arc::new(data), stride: usize::from(!constant) }
}

/// The value of an expression without columns.
pub(super) fn constant(expr: &Typed, env: &Env) -> Value {
    eval(expr, &Batch::new(Vec::new(), 1), env).data.value(0)
}

/// The values of an expression for the rows of a batch.
pub(super) fn eval(expr: &Typed, batch: &Batch, env: &Env) -> Operand {
    let of = |expr: &Typed| eval(expr, batch, env);
    let rows = batch.rows;
    match &expr.node {
        Node::Const(value) => Operand::constant(expr.ty, value),
        Node::Column(at) => Operand { data: batch.column(*at), stride: 1 },
        Node::Compare(op, operands) => {
            let [a, b] = [of(&operands[0]), of(&operands[1])];
            applied(&[&a, &b], rows, |n| compare(*op, &a, &b, n))
        }
        Node::Arithmetic(op, operands) => {
            let [a, b] = [of(&operands[0]), of(&operands[1])];
            applied(&[&a, &b], rows, |n| arith::binary(*op, &a, &b, expr.ty, n))
        }
        Node::Negate(operand) => {
            let a = of(operand);
            applied(&[&a], rows, |n| arith::negate(&a, n))
        }
        Node::Abs(operand) => {
            let a = of(operand);
            applied(&[&a], rows, |n| arith::absolute(&a, n))
        }
        Node::Between(negated, parts) => {
            let [a, low, high] = [of(&parts[0]), of(&parts[1]), of(&parts[2])];
            between(*negated, &a, &low, &high, rows)
        }
        Node::Best { greatest, parts } => {
            best(expr.ty, *greatest, &parts.iter().map(of).collect::<Vec<_>>(), rows)
        }
        Node::Bin(operands) => {
            let [a, b] = [of(&operands[0]), of(&operands[1])];
            applied(&[&a, &b], rows, |n| arith::bin(&a, &b, n))
        }
        Node::Not(operand) => {
            let a = of(operand);
            applied(&[&a], rows, |n| flags((0..n).map(|row| a.flag(row).map(|flag| !flag))))
        }
        Node::And(operands) => logic(operands, batch, env, false),
        Node::Or(operands) => logic(operands, batch, env, true),
        Node::Text { op, case_sensitive, negated, operands, regex } => {
            let [a, b] = [of(&operands[0]), of(&operands[1])];
            let test = |row: usize| match (op, regex) {
                (TextOp::Regex, Some(regex)) => regex.is_match(a.text(row)),
                _ => strings::test(*op, *case_sensitive, a.text(row), b.text(row)),
            };
            applied(&[&a, &b], rows, |n| flags((0..n).map(|row| Some(test(row) != *negated))))
        }
        Node::List { op, negated, value, list } => {
            let a = of(value);
            let test = |row: usize| list.test(*op, &a.data, a.row(row)).map(|found| found != *negated);
            applied(&[&a], rows, |n| flags((0..n).map(test)))
        }
        Node::Choose(parts) => choose(expr.ty, [of(&parts[0]), of(&parts[1]), of(&parts[2])], rows),
        Node::Coalesce(parts) => coalesce(expr.ty, &parts.iter().map(of).collect::<Vec<_>>(), rows),
        Node::Cast(operand) => {
            let a = of(operand);
            applied(&[&a], rows, |_| cast::of_query(&a.data, expr.ty, env.hexadecimal))
        }
        Node::IsNull { operand, negated } => {
            let a = of(operand);
            applied(&[&a], rows, |n| flags((0..n).map(|row| Some(a.is_null(row) != *negated))))
        }
        Node::IsEmpty { operand, negated } => {
            let a = of(operand);
            let empty = |row: usize| {
                a.is_null(row)
                    || a.data
                        .text(a.row(row))
                        .is_some_and(|t| t.is_empty() || t == "\"\"" && a.data.ty() == ColumnType::Dynamic)
            };
            applied(&[&a], rows, |n| flags((0..n).map(|row| Some(empty(row) != *negated))))
        }
        Node::Call(function, arguments) => {
            call(function, expr.ty, &arguments.iter().map(of).collect::<Vec<_>>(), rows, env)
        }
        Node::Window(window, parts) => {
            let parts: Vec<Operand> = parts.iter().map(of).collect();
            Operand::per_row(windowed(*window, expr.ty, &parts, rows))
        }
        Node::Random(random, parts) => {
            let parts: Vec<Operand> = parts.iter().map(of).collect();
            Operand::per_row(drawn(*random, &parts, rows, env))
        }
        Node::ExtentId | Node::ExtentTags | Node::IngestionTime => {
            Operand::constant(expr.ty, &origin_value(&expr.node, batch))
        }
    }
}

fn origin_value(node: &Node, batch: &Batch) -> Value {
    let Some(origin) = &batch.origin else {
        return if matches!(node, Node::ExtentId) { Value::Guid(0) } else { Value::Null };
    };
    match node {
        Node::ExtentId => Value::Guid(origin.id),
        Node::ExtentTags => Value::dynamic(origin.tags.iter().map(String::as_str).collect()),
        _ => origin.ingestion_time.map_or(Value::Null, Value::DateTime),
    }
}

/// `and` (decided by false) or `or` (decided by true); unknown operands leave it unknown unless another decides.
fn logic(operands: &[Typed], batch: &Batch, env: &Env, deciding: bool) -> Operand {
    let parts: Vec<Operand> = operands.iter().map(|operand| eval(operand, batch, env)).collect();
    let decide = |row: usize| {
        let mut known = Some(!deciding);
        for part in &parts {
            match part.flag(row) {
                Some(flag) if flag == deciding => return Some(deciding),
                Some(_) => {}
                None => known = None,
            }
        }
        known
    };
    applied(&parts.iter().collect::<Vec<_>>(), batch.rows, |n| flags((0..n).map(decide)))
}

fn compare(op: BinaryOp, a: &Operand, b: &Operand, n: usize) -> ColumnData {
    let found = match (a.data.values(), b.data.values()) {
        (Values::Bool(x), Values::Bool(y)) => relate(op, n, |i| x[a.row(i)], |i| y[b.row(i)]),
        (Values::Int(x), Values::Int(y)) => relate(op, n, |i| x[a.row(i)], |i| y[b.row(i)]),
        (Values::Long(x), Values::Long(y))
        | (Values::DateTime(x), Values::DateTime(y))
        | (Values::TimeSpan(x), Values::TimeSpan(y)) => relate(op, n, |i| x[a.row(i)], |i| y[b.row(i)]),
        (Values::Real(x), Values::Real(y)) => relate(op, n, |i| x[a.row(i)], |i| y[b.row(i)]),
        (Values::Decimal(x), Values::Decimal(y)) => relate(op, n, |i| x[a.row(i)], |i| y[b.row(i)]),
        (Values::Guid(x), Values::Guid(y)) => relate(op, n, |i| x[a.row(i)], |i| y[b.row(i)]),
        (Values::String(x), Values::String(y)) | (Values::Dynamic(x), Values::Dynamic(y)) => {
            relate(op, n, |i| x.get(a.row(i)), |i| y.get(b.row(i)))
        }
        _ => vec![false; n],
    };
    if a.data.nulls().is_empty() && b.data.nulls().is_empty() {
        return ColumnData::new(Values::Bool(found), crate::data::NullMask::default());
    }
    flags(found.into_iter().enumerate().map(|(row, found)| match (op, a.is_null(row), b.is_null(row)) {
        (_, false, false) => Some(found),
        (_, true, true) => None,
        (BinaryOp::Equal, ..) => Some(false),
        (BinaryOp::NotEqual, ..) => Some(true),
        _ => None,
    }))
}

fn between(negated: bool, a: &Operand, low: &Operand, high: &Operand, rows: usize) -> Operand {
    applied(&[a, low, high], rows, |n| {
        let above = Operand::per_row(compare(BinaryOp::GreaterEqual, a, low, n));
        let below = Operand::per_row(compare(BinaryOp::LessEqual, a, high, n));
        flags((0..n).map(|row| match (above.flag(row), below.flag(row)) {
            (Some(false), _) | (_, Some(false)) => Some(negated),
            (Some(true), Some(true)) => Some(!negated),
            _ => None,
        }))
    })
}

/// The greatest or least of the values that are not null.
fn best(ty: ColumnType, greatest: bool, parts: &[Operand], rows: usize) -> Operand {
    let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
    applied(&parts.iter().collect::<Vec<_>>(), rows, |n| {
        let mut built = ColumnBuilder::with_capacity(ty, n);
        for row in 0..n {
            let better =
                |a: &'_ Operand, b: &'_ Operand| order(&b.data, b.row(row), &a.data, a.row(row)) == wanted;
            let known = parts.iter().filter(|part| !part.is_null(row));
            match known.reduce(|a, b| if better(a, b) { b } else { a }) {
                Some(part) => built.push_from(&part.data, part.row(row)),
                None => built.push_null(),
            }
        }
        built.finish()
    })
}

fn relate<T: PartialOrd>(
    op: BinaryOp,
    n: usize,
    x: impl Fn(usize) -> T,
    y: impl Fn(usize) -> T,
) -> Vec<bool> {
    match op {
        BinaryOp::Equal => (0..n).map(|i| x(i) == y(i)).collect(),
        BinaryOp::NotEqual => (0..n).map(|i| x(i) != y(i)).collect(),
        BinaryOp::Less => (0..n).map(|i| x(i) < y(i)).collect(),
        BinaryOp::LessEqual => (0..n).map(|i| x(i) <= y(i)).collect(),
        BinaryOp::Greater => (0..n).map(|i| x(i) > y(i)).collect(),
        _ => (0..n).map(|i| x(i) >= y(i)).collect(),
    }
}

fn choose(ty: ColumnType, [condition, then, other]: [Operand; 3], rows: usize) -> Operand {
    applied(&[&condition, &then, &other], rows, |n| {
        let mut built = ColumnBuilder::with_capacity(ty, n);
        for row in 0..n {
            let from = if condition.is_true(row) { &then } else { &other };
            built.push_from(&from.data, from.row(row));
        }
        built.finish()
    })
}

fn coalesce(ty: ColumnType, parts: &[Operand], rows: usize) -> Operand {
    let missing = |part: &Operand, row: usize| {
        part.is_null(row) || ty == ColumnType::String && part.text(row).is_empty()
    };
    applied(&parts.iter().collect::<Vec<_>>(), rows, |n| {
        let mut built = ColumnBuilder::with_capacity(ty, n);
        for row in 0..n {
            match parts.iter().find(|part| !missing(part, row)) {
                Some(part) => built.push_from(&part.data, part.row(row)),
                None => built.push_null(),
            }
        }
        built.finish()
    })
}

fn call(function: &Function, ty: ColumnType, arguments: &[Operand], rows: usize, env: &Env) -> Operand {
    applied(&arguments.iter().collect::<Vec<_>>(), rows, |n| {
        let mut built = ColumnBuilder::with_capacity(ty, n);
        if let (Some(direct), [text]) = (function.direct, arguments) {
            (0..n).for_each(|row| built.push_string_with(|out| direct(text.text(row), out)));
            return built.finish();
        }
        let mut values = Vec::with_capacity(arguments.len());
        for row in 0..n {
            values.clear();
            values.extend(arguments.iter().map(|argument| argument.data.value(argument.row(row))));
            // JSON is taken apart before it is used, and weighs several times its text then.
            let weight = |argument: &Operand| if argument.data.ty() == ColumnType::Dynamic { 16 } else { 1 };
            let size = |argument: &Operand| argument.text(row).len() * weight(argument);
            if built.bytes() > MAX_COLUMN || arguments.iter().map(size).sum::<usize>() > MAX_TEXT {
                env.exhaust();
                built.push_null();
                continue;
            }
            built.push_value(&(function.body)(&values, env));
        }
        built.finish()
    })
}
