//! The syntax of scalar expressions.

use super::ast::Pipeline;
use crate::data::{ColumnType, Value};

/// An expression, with the name it is given where one is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    /// `name =`
    pub(crate) name: Option<String>,
    /// The expression.
    pub(crate) expr: Expr,
}

/// A sort key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SortKey {
    /// What is compared.
    pub(crate) expr: Expr,
    /// High to low.
    pub(crate) descending: bool,
    /// Nulls before everything else.
    pub(crate) nulls_first: bool,
}

/// Operators of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

/// How a string operator compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextOp {
    /// `=~`
    Equal,
    /// `contains`
    Contains,
    /// `startswith`
    StartsWith,
    /// `endswith`
    EndsWith,
    /// `has`
    Has,
    /// `hasprefix`
    HasPrefix,
    /// `hassuffix`
    HasSuffix,
    /// `matches regex`
    Regex,
}

/// How a value is held against a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListOp {
    /// `in`
    In,
    /// `in~`
    InIgnoringCase,
    /// `has_any`
    HasAny,
    /// `has_all`
    HasAll,
}

/// A scalar expression (or, where one may stand, a tabular one).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// A literal.
    Literal(Value, ColumnType),
    /// A column or variable.
    Name(String),
    /// `*`, as an argument.
    Star,
    /// `a.b`
    Member(Box<Expr>, String),
    /// `a[b]`
    Index(Box<Expr>, Box<Expr>),
    /// `f(a, b)`
    Call(String, Vec<Expr>),
    /// `-a`
    Negate(Box<Expr>),
    /// `a + b`, `a == b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a and b and c`
    And(Vec<Expr>),
    /// `a or b or c`
    Or(Vec<Expr>),
    /// `a contains b`
    Text {
        /// How texts are compared.
        op: TextOp,
        /// `_cs`
        case_sensitive: bool,
        /// `!contains`
        negated: bool,
        /// Left and right.
        operands: Box<[Expr; 2]>,
    },
    /// `a in (b, c)`
    List {
        /// How the list is searched.
        op: ListOp,
        /// `!in`
        negated: bool,
        /// What is looked for.
        value: Box<Expr>,
        /// Where: scalars, a dynamic array, or one tabular expression.
        list: Vec<Expr>,
    },
    /// `a between (b .. c)`
    Between(bool, Box<[Expr; 3]>),
    /// `typeof(type)`, as an argument
    TypeOf(ColumnType),
    /// A tabular expression.
    Table(Box<Pipeline>),
}
