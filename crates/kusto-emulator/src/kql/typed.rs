//! Expressions whose names and types are settled: what the evaluator runs.

use super::ast::{BinaryOp, ListOp, TextOp};
use super::functions::Function;
use super::list::ListTest;
use crate::data::{ColumnType, Value};

/// An expression and the type of its values.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) ty: ColumnType,
    pub(super) node: Node,
}

/// What is computed.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Const(Value),
    Column(usize),
    /// Operands of one type.
    Compare(BinaryOp, Box<[Typed; 2]>),
    Arithmetic(BinaryOp, Box<[Typed; 2]>),
    Negate(Box<Typed>),
    Abs(Box<Typed>),
    /// A value and its bounds, of one type.
    Between(bool, Box<[Typed; 3]>),
    /// The greatest (or least) of some values of one type.
    Best {
        greatest: bool,
        parts: Vec<Typed>,
    },
    /// A value of a type, and the size of bins as the same type (ticks for instants).
    Bin(Box<[Typed; 2]>),
    Not(Box<Typed>),
    And(Vec<Typed>),
    Or(Vec<Typed>),
    /// Operands are strings; the pattern of a constant regex is compiled.
    Text {
        op: TextOp,
        case_sensitive: bool,
        negated: bool,
        operands: Box<[Typed; 2]>,
        regex: Option<regex::Regex>,
    },
    List {
        op: ListOp,
        negated: bool,
        value: Box<Typed>,
        list: ListTest,
    },
    /// A condition, and two values of one type.
    Choose(Box<[Typed; 3]>),
    /// The first that is not null (not empty, for strings), of one type.
    Coalesce(Vec<Typed>),
    Cast(Box<Typed>),
    IsNull {
        operand: Box<Typed>,
        negated: bool,
    },
    IsEmpty {
        operand: Box<Typed>,
        negated: bool,
    },
    Call(&'static Function, Vec<Typed>),
    ExtentId,
    ExtentTags,
    IngestionTime,
}

impl Typed {
    pub(super) fn new(ty: ColumnType, node: Node) -> Typed {
        Typed { ty, node }
    }

    pub(super) fn constant(ty: ColumnType, value: Value) -> Typed {
        Typed { ty, node: Node::Const(value) }
    }

    pub(super) fn as_const(&self) -> Option<&Value> {
        match &self.node {
            Node::Const(value) => Some(value),
            _ => None,
        }
    }

    /// How many nodes there are.
    pub(super) fn size(&self) -> usize {
        let sum = |parts: &[Typed]| parts.iter().map(Typed::size).sum::<usize>();
        1 + match &self.node {
            Node::Compare(_, parts) | Node::Arithmetic(_, parts) | Node::Bin(parts) => sum(&parts[..]),
            Node::Text { operands, .. } => sum(&operands[..]),
            Node::Negate(part) | Node::Abs(part) | Node::Not(part) | Node::Cast(part) => part.size(),
            Node::IsNull { operand, .. } | Node::IsEmpty { operand, .. } => operand.size(),
            Node::And(parts)
            | Node::Or(parts)
            | Node::Coalesce(parts)
            | Node::Best { parts, .. }
            | Node::Call(_, parts) => sum(parts),
            Node::Choose(parts) | Node::Between(_, parts) => sum(&parts[..]),
            Node::List { value, .. } => value.size(),
            Node::Const(_) | Node::Column(_) | Node::ExtentId | Node::ExtentTags | Node::IngestionTime => 0,
        }
    }

    /// The same value as type `ty`, converted where it is another.
    pub(super) fn cast(self, ty: ColumnType) -> Typed {
        if self.ty == ty { self } else { Typed::new(ty, Node::Cast(Box::new(self))) }
    }
}
