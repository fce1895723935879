//! Settles names and types of scalar expressions: syntax in, [`Typed`] out, or the service's words for what does not fit.

use super::arith;
use super::ast::{BinaryOp, Expr, ListOp, TextOp};
use super::cast;
use super::error::KqlError;
use super::eval::{self, Env};
use super::functions;
use super::list::ListTest;
use super::scopes::Names;
use super::typed::{Node, Typed};
use crate::data::{ColumnType, Schema, Value};
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

/// A list item that is a tabular expression is run by this.
pub(super) type RunTable<'a> = &'a dyn Fn(&Expr, &Rc<Names>) -> Result<(ColumnType, Vec<Value>), KqlError>;

/// Where an expression stands: what its names can mean.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The operator, for messages.
    pub(super) operator: &'a str,
    pub(super) schema: &'a Schema,
    /// Whether the rows have an order, where expressions may look at neighbouring rows at all.
    pub(super) serialized: Option<bool>,
    /// Variables, query parameters, functions.
    pub(super) names: &'a Rc<Names>,
    /// The arguments of the function whose body this is in.
    pub(super) locals: &'a HashMap<String, Typed>,
    /// How much more the bodies of functions may add to expressions.
    pub(super) room: &'a Cell<usize>,
    pub(super) env: &'a Env,
    /// The values of the first column of a tabular expression.
    pub(super) run_table: RunTable<'a>,
}

impl Scope<'_> {
    /// The expression with names and types settled, constant parts computed.
    pub(super) fn bind(&self, expr: &Expr) -> Result<Typed, KqlError> {
        let typed = self.bind_node(expr)?;
        Ok(self.folded(typed))
    }

    /// An expression that must be a condition.
    pub(super) fn condition(&self, expr: &Expr) -> Result<Typed, KqlError> {
        let typed = self.bind(expr)?;
        match typed.ty {
            ColumnType::Bool => Ok(typed),
            ty if ty.is_numeric() || ty == ColumnType::Dynamic => Ok(typed.cast(ColumnType::Bool)),
            ty => Err(self.error("SEM0079", format_args!("the condition is of type {ty}, expected bool"))),
        }
    }

    /// The value of an expression that must not depend on a row.
    pub(super) fn constant(&self, expr: &Expr) -> Result<(ColumnType, Value), KqlError> {
        let empty = Schema::default();
        let typed = Scope { schema: &empty, serialized: None, ..*self }.bind(expr)?;
        Ok((typed.ty, eval::constant(&typed, self.env)))
    }

    pub(super) fn error(&self, code: &'static str, what: std::fmt::Arguments<'_>) -> KqlError {
        KqlError::semantic(code, format!("'{}' operator: {what}", self.operator))
    }

    /// A constant in place of an expression whose operands are constants.
    pub(super) fn folded(&self, typed: Typed) -> Typed {
        if typed.as_const().is_some() || !typed.is_constant() {
            return typed;
        }
        Typed::constant(typed.ty, eval::constant(&typed, self.env))
    }

    fn bind_node(&self, expr: &Expr) -> Result<Typed, KqlError> {
        match expr {
            Expr::Literal(value, ty) => Ok(Typed::constant(*ty, value.clone())),
            Expr::Name(name) => self.name(name),
            Expr::Star => Err(self.error("SEM0034", format_args!("'*' cannot stand here"))),
            Expr::Member(inner, name) => {
                self.element(inner, Typed::constant(ColumnType::String, Value::from(name.as_str())))
            }
            Expr::Index(inner, index) => {
                let index = self.bind(index)?;
                self.element(inner, index)
            }
            Expr::Call(name, arguments) => self.call(name, arguments),
            Expr::Negate(inner) => self.negate(inner),
            Expr::Binary(op, left, right) => self.binary(*op, self.bind(left)?, self.bind(right)?),
            Expr::And(parts) => Ok(Typed::new(ColumnType::Bool, Node::And(self.conditions(parts)?))),
            Expr::Or(parts) => Ok(Typed::new(ColumnType::Bool, Node::Or(self.conditions(parts)?))),
            Expr::Text { op, case_sensitive, negated, operands } => {
                self.text(*op, *case_sensitive, *negated, operands)
            }
            Expr::List { op, negated, value, list } => self.list(*op, *negated, value, list),
            Expr::Between(negated, parts) => self.between(*negated, parts),
            Expr::TypeOf(ty) => Ok(Typed::constant(ColumnType::String, Value::from(ty.system_name()))),
            Expr::Table(_) => {
                Err(self.error("SEM0100", format_args!("a tabular expression cannot stand here")))
            }
        }
    }

    pub(super) fn name(&self, name: &str) -> Result<Typed, KqlError> {
        if let Some(at) = self.schema.index_of(name) {
            return Ok(Typed::new(self.schema.columns[at].ty, Node::Column(at)));
        }
        if let Some(local) = self.locals.get(name) {
            self.spend(local.size())?;
            return Ok(local.clone());
        }
        match self.names.scalar(name) {
            Some((ty, value)) => Ok(Typed::constant(*ty, value.clone())),
            None => match self.names.function(name) {
                Some(function) if function.what.parameters.is_empty() => {
                    self.call_declared(name, function, &[])
                }
                _ => Err(KqlError::no_name(self.operator, name)),
            },
        }
    }

    /// Takes from the room that the bodies of functions have.
    pub(super) fn spend(&self, nodes: usize) -> Result<(), KqlError> {
        let left = self.room.get().checked_sub(nodes);
        self.room.set(left.unwrap_or(0));
        left.map(drop).ok_or_else(|| {
            let message = "The query is too complex: its functions expand to too many expressions";
            KqlError::semantic("SEM0001", message)
        })
    }

    fn conditions(&self, parts: &[Expr]) -> Result<Vec<Typed>, KqlError> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn element(&self, inner: &Expr, index: Typed) -> Result<Typed, KqlError> {
        let inner = self.bind(inner)?;
        if inner.ty != ColumnType::Dynamic {
            return Err(self.error(
                "SEM0024",
                format_args!("a value of type {} has no members; expected dynamic", inner.ty),
            ));
        }
        if !matches!(index.ty, ColumnType::String | ColumnType::Long | ColumnType::Int | ColumnType::Dynamic)
        {
            return Err(self
                .error("SEM0024", format_args!("a member cannot be named by a value of type {}", index.ty)));
        }
        let function =
            functions::find("[]").ok_or_else(|| KqlError::unsupported("members of dynamic values"))?;
        Ok(Typed::new(ColumnType::Dynamic, Node::Call(function, vec![inner, index])))
    }

    fn negate(&self, inner: &Expr) -> Result<Typed, KqlError> {
        let inner = self.bind(inner)?;
        if !inner.ty.is_numeric() && inner.ty != ColumnType::TimeSpan {
            return Err(self.error("SEM0053", format_args!("a value of type {} cannot be negated", inner.ty)));
        }
        Ok(Typed::new(inner.ty, Node::Negate(Box::new(inner))))
    }

    fn binary(&self, op: BinaryOp, left: Typed, right: Typed) -> Result<Typed, KqlError> {
        if matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod) {
            return self.arithmetic(op, left, right);
        }
        let [left, right] = self.comparable(op, left, right)?;
        Ok(Typed::new(ColumnType::Bool, Node::Compare(op, Box::new([left, right]))))
    }

    pub(super) fn arithmetic(&self, op: BinaryOp, left: Typed, right: Typed) -> Result<Typed, KqlError> {
        let Some((ty, [a, b])) = arith::types(op, left.ty, right.ty) else {
            return Err(self.error(
                "SEM0053",
                format_args!(
                    "Arithmetic expression cannot be carried-out between {} and {}",
                    left.ty, right.ty
                ),
            ));
        };
        if op == BinaryOp::Mod && ty == ColumnType::Decimal {
            return Err(KqlError::unsupported("'%' of decimals"));
        }
        Ok(Typed::new(ty, Node::Arithmetic(op, Box::new([left.cast(a), right.cast(b)]))))
    }

    /// Two operands brought to the type in which they are compared.
    pub(super) fn comparable(&self, op: BinaryOp, left: Typed, right: Typed) -> Result<[Typed; 2], KqlError> {
        let equality = matches!(op, BinaryOp::Equal | BinaryOp::NotEqual);
        let ty = match (left.ty, right.ty) {
            (ColumnType::Dynamic, ColumnType::Dynamic) if equality => Some(ColumnType::Dynamic),
            (ColumnType::Dynamic, ty) | (ty, ColumnType::Dynamic) if ty != ColumnType::Dynamic => {
                // A number inside a dynamic may have a fraction, and 64 bits: decimals hold both.
                Some(if matches!(ty, ColumnType::Int | ColumnType::Long) { ColumnType::Decimal } else { ty })
            }
            (a, b) => common_type(a, b).filter(|ty| *ty != ColumnType::Dynamic),
        };
        match ty {
            Some(ty) => Ok([left.cast(ty), right.cast(ty)]),
            None => Err(incomparable(self, left.ty, right.ty)),
        }
    }

    /// A text to compare: a string, or a dynamic as its text.
    fn as_text(&self, typed: Typed) -> Result<Typed, KqlError> {
        match typed.ty {
            ColumnType::String | ColumnType::Dynamic => Ok(typed.cast(ColumnType::String)),
            ty => {
                Err(self
                    .error("SEM0025", format_args!("a value of type {ty} stands where a string is expected")))
            }
        }
    }

    fn text(
        &self,
        op: TextOp,
        case_sensitive: bool,
        negated: bool,
        operands: &[Expr; 2],
    ) -> Result<Typed, KqlError> {
        let left = self.as_text(self.bind(&operands[0])?)?;
        let right = self.as_text(self.bind(&operands[1])?)?;
        let right = self.folded(right);
        let mut regex = None;
        if op == TextOp::Regex {
            let Some(Value::String(pattern)) = right.as_const() else {
                return Err(KqlError::unsupported("a pattern of 'matches regex' that is not a constant"));
            };
            let compiled = regex::Regex::new(pattern);
            regex = Some(compiled.map_err(|e| {
                self.error("SEM0420", format_args!("'{pattern}' is no regular expression: {e}"))
            })?);
        }
        let operands = Box::new([left, right]);
        Ok(Typed::new(ColumnType::Bool, Node::Text { op, case_sensitive, negated, operands, regex }))
    }

    fn list(&self, op: ListOp, negated: bool, value: &Expr, list: &[Expr]) -> Result<Typed, KqlError> {
        let mut value = self.bind(value)?;
        let mut items = Vec::new();
        for item in list {
            items.extend(self.list_items(item)?);
        }
        if op != ListOp::In || value.ty == ColumnType::Dynamic {
            value = self.as_text(value)?;
        }
        if items.iter().any(|item| item.as_const().is_none()) {
            return self.varying_list(op, negated, value, items);
        }
        if value.ty == ColumnType::Int {
            value = value.cast(ColumnType::Long);
        }
        let mut values = Vec::with_capacity(items.len());
        for item in &items {
            let fits = common_type(value.ty, item.ty).is_some() || item.ty == ColumnType::Dynamic;
            if !fits {
                return Err(incomparable(self, value.ty, item.ty));
            }
            if value.ty == ColumnType::Long && item.ty == ColumnType::Real {
                value = value.cast(ColumnType::Real);
            }
            values.extend(item.as_const().map(|item| cast::value(item, value.ty)));
        }
        let values: Vec<Value> = values.iter().map(|item| cast::value(item, value.ty)).collect();
        let list = ListTest::new(op, &values);
        Ok(Typed::new(ColumnType::Bool, Node::List { op, negated, value: Box::new(value), list }))
    }

    /// A list with values that depend on the row: one comparison for each.
    fn varying_list(
        &self,
        op: ListOp,
        negated: bool,
        value: Typed,
        items: Vec<Typed>,
    ) -> Result<Typed, KqlError> {
        let mut tests = Vec::with_capacity(items.len());
        for item in items {
            if item.ty == ColumnType::Dynamic && item.as_const().is_none() {
                return Err(KqlError::unsupported("a dynamic value that depends on the row in a list"));
            }
            let by = |op| Node::Text {
                op,
                case_sensitive: false,
                negated: false,
                operands: Box::new([value.clone(), item.clone()]),
                regex: None,
            };
            tests.push(match op {
                ListOp::In => {
                    let operands = self.comparable(BinaryOp::Equal, value.clone(), item)?;
                    Typed::new(ColumnType::Bool, Node::Compare(BinaryOp::Equal, Box::new(operands)))
                }
                _ if item.ty != ColumnType::String => return Err(incomparable(self, value.ty, item.ty)),
                ListOp::InIgnoringCase => Typed::new(ColumnType::Bool, by(TextOp::Equal)),
                ListOp::HasAny | ListOp::HasAll => Typed::new(ColumnType::Bool, by(TextOp::Has)),
            });
        }
        let joined = if op == ListOp::HasAll { Node::And(tests) } else { Node::Or(tests) };
        let found = Typed::new(ColumnType::Bool, joined);
        let not = |found| Typed::new(ColumnType::Bool, Node::Not(Box::new(found)));
        Ok(if negated { not(found) } else { found })
    }

    /// What an item of a list stands for: a value, the elements of a dynamic array, or the rows of a table.
    fn list_items(&self, item: &Expr) -> Result<Vec<Typed>, KqlError> {
        let is_value = |name: &String| {
            self.locals.contains_key(name)
                || self.names.scalar(name).is_some()
                || self.schema.index_of(name).is_some()
        };
        let is_value = matches!(item, Expr::Name(name) if is_value(name));
        if !is_value && self.names.is_tabular(item) {
            let (ty, values) = (self.run_table)(item, self.names)?;
            return Ok(values.into_iter().map(|value| Typed::constant(ty, value)).collect());
        }
        let typed = self.bind(item)?;
        match typed.as_const() {
            Some(Value::Dynamic(json)) if json.is_array() => {
                let element = |json: &serde_json::Value| {
                    Typed::constant(ColumnType::Dynamic, Value::dynamic(json.clone()))
                };
                Ok(json.as_array().into_iter().flatten().map(element).collect())
            }
            _ => Ok(vec![typed]),
        }
    }

    fn between(&self, negated: bool, parts: &[Expr; 3]) -> Result<Typed, KqlError> {
        let value = self.bind(&parts[0])?;
        let low = self.bind(&parts[1])?;
        let mut high = self.bind(&parts[2])?;
        if high.ty == ColumnType::TimeSpan && low.ty == ColumnType::DateTime {
            high = self.arithmetic(BinaryOp::Add, low.clone(), high)?;
        }
        let mut ty = value.ty;
        for bound in [&low, &high] {
            let mismatch = || incomparable(self, value.ty, bound.ty);
            ty = common_type(ty, bound.ty).filter(|ty| *ty != ColumnType::Dynamic).ok_or_else(mismatch)?;
        }
        let parts = [value.cast(ty), low.cast(ty), high.cast(ty)];
        Ok(Typed::new(ColumnType::Bool, Node::Between(negated, Box::new(parts))))
    }
}

fn incomparable(scope: &Scope<'_>, left: ColumnType, right: ColumnType) -> KqlError {
    scope.error(
        "SEM0064",
        format_args!("Cannot compare values of types {left} and {right}. Try adding explicit casts"),
    )
}

/// The type in which values of two types meet; none when they do not.
pub(super) fn common_type(left: ColumnType, right: ColumnType) -> Option<ColumnType> {
    let either = |ty| left == ty || right == ty;
    if left == right {
        return Some(left);
    }
    if !left.is_numeric() || !right.is_numeric() {
        return None;
    }
    let widest = [ColumnType::Real, ColumnType::Decimal, ColumnType::Long].into_iter().find(|ty| either(*ty));
    Some(widest.unwrap_or(ColumnType::Long))
}
