//! Expressions whose names and types are settled: what the evaluator runs.

use super::ast::{BinaryOp, ListOp, TextOp};
use super::functions::Function;
use super::list::ListTest;
use super::sample::Random;
use super::window::Window;
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
    /// A function of neighbouring rows.
    Window(Window, Vec<Typed>),
    /// A function of chance, drawn for every row.
    Random(Random, Vec<Typed>),
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

    /// The expressions that this one is made of.
    pub(super) fn parts(&self) -> Vec<&Typed> {
        match &self.node {
            Node::Compare(_, parts) | Node::Arithmetic(_, parts) | Node::Bin(parts) => parts.iter().collect(),
            Node::Text { operands, .. } => operands.iter().collect(),
            Node::Negate(part) | Node::Abs(part) | Node::Not(part) | Node::Cast(part) => vec![part],
            Node::IsNull { operand, .. } | Node::IsEmpty { operand, .. } => vec![operand],
            Node::And(parts)
            | Node::Or(parts)
            | Node::Coalesce(parts)
            | Node::Best { parts, .. }
            | Node::Call(_, parts)
            | Node::Window(_, parts)
            | Node::Random(_, parts) => parts.iter().collect(),
            Node::Choose(parts) | Node::Between(_, parts) => parts.iter().collect(),
            Node::List { value, .. } => vec![value],
            Node::Const(_) | Node::Column(_) | Node::ExtentId | Node::ExtentTags | Node::IngestionTime => {
                Vec::new()
            }
        }
    }

    /// How many nodes there are.
    pub(super) fn size(&self) -> usize {
        1 + self.parts().into_iter().map(Typed::size).sum::<usize>()
    }

    /// Whether the value is the same for every row.
    pub(super) fn is_constant(&self) -> bool {
        let own = !matches!(
            self.node,
            Node::Column(_)
                | Node::ExtentId
                | Node::ExtentTags
                | Node::IngestionTime
                | Node::Window(..)
                | Node::Random(..)
        );
        own && self.parts().into_iter().all(Typed::is_constant)
    }

    /// Whether chance decides.
    pub(super) fn is_drawn(&self) -> bool {
        matches!(self.node, Node::Random(..)) || self.parts().into_iter().any(Typed::is_drawn)
    }

    /// Whether the value depends on neighbouring rows.
    pub(super) fn has_window(&self) -> bool {
        matches!(self.node, Node::Window(..)) || self.parts().into_iter().any(Typed::has_window)
    }

    /// The same value as type `ty`, converted where it is another.
    pub(super) fn cast(self, ty: ColumnType) -> Typed {
        if self.ty == ty { self } else { Typed::new(ty, Node::Cast(Box::new(self))) }
    }
}
