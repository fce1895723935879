//! The syntax of a query as the parser finds it: names unresolved, types unknown.

use crate::data::{ColumnType, Schema, Value};

pub(crate) use super::expr::{BinaryOp, Expr, ListOp, Named, SortKey, TextOp};

/// A parsed query: declarations, then one tabular expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    /// `declare query_parameters(..)`.
    pub(crate) parameters: Vec<Parameter>,
    /// `set option [= value]`, in order.
    pub(crate) options: Vec<(String, Value)>,
    /// Declarations and what the query answers with, in order; at least one of the latter.
    pub(crate) statements: Vec<Statement>,
}

/// One statement of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    /// `let name = ..`
    Let(String, Let),
    /// Rows to answer with.
    Rows(Pipeline),
}

/// A declared query parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: ColumnType,
    /// Its value when the request gives none.
    pub(crate) default: Option<Value>,
}

/// What a `let` declares.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Let {
    /// A scalar or a tabular expression.
    Value(Expr),
    /// `(a:long) { .. }`
    Function(Function),
}

impl Let {
    /// Whether rows are meant, as far as that can be seen from the text alone.
    pub(crate) fn is_written_as_rows(&self) -> bool {
        matches!(self, Let::Value(Expr::Table(_)))
    }
}

/// A function of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Function {
    /// Declared with `view`: it may be used like a table, and `union` with a wildcard finds it.
    pub(crate) view: bool,
    /// What it takes.
    pub(crate) parameters: Vec<TakesIn>,
    /// The declarations inside.
    pub(crate) lets: Vec<(String, Let)>,
    /// Its result.
    pub(crate) body: Expr,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TakesIn {
    /// `a:long = 5`
    Scalar(Parameter),
    /// `T:(a:long)`; no columns for `T:(*)`
    Table(String, Schema),
}

impl TakesIn {
    /// The parameter's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            TakesIn::Scalar(parameter) => &parameter.name,
            TakesIn::Table(name, _) => name,
        }
    }
}

/// A tabular expression: a source and the operators it is piped through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pipeline {
    /// Where rows come from.
    pub(crate) source: Source,
    /// What is done to them, in order.
    pub(crate) operators: Vec<Operator>,
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A table or a `let` variable.
    Name(String),
    /// A tabular expression in brackets.
    Nested(Box<Pipeline>),
    /// `f(x)`: a function of the query, `table('T')`, `materialize(..)`
    Call(String, Vec<Expr>),
    /// `database('d').T`, `cluster('c').database('d').T`
    OfDatabase {
        /// The name of the cluster, where one is given.
        cluster: Option<Box<Expr>>,
        /// The name of the database.
        database: Box<Expr>,
        /// The table.
        table: String,
    },
    /// `T*`, in `union` only
    Wildcard(String),
    /// `print a, b = 1`
    Print(Vec<Named>),
    /// `datatable(a:long)[1, 2]`
    Datatable(Schema, Vec<Expr>),
    /// `range x from a to b step c`
    Range(String, Box<[Expr; 3]>),
    /// `union A, B`
    Union(Union),
    /// The rows that the caller gives: a command's result.
    Given,
}

/// The arguments of `union`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Union {
    /// `kind=inner`: only the columns common to all.
    pub(crate) inner: bool,
    /// `withsource=name`: a column that tells each row's table.
    pub(crate) source_column: Option<String>,
    /// `isfuzzy=true`: tables that do not exist are left out.
    pub(crate) fuzzy: bool,
    /// The tables.
    pub(crate) tables: Vec<Pipeline>,
}

/// A tabular operator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operator {
    /// `where`, `filter`
    Where(Expr),
    /// `project`
    Project(Vec<Named>),
    /// `extend`
    Extend(Vec<Named>),
    /// `project-away`: patterns with `*`
    ProjectAway(Vec<String>),
    /// `project-keep`
    ProjectKeep(Vec<String>),
    /// `project-rename new = old`
    ProjectRename(Vec<(String, String)>),
    /// `project-reorder`: patterns, each with an order of the names it matches
    ProjectReorder(Vec<(String, NameOrder)>),
    /// `summarize aggregates by keys`
    Summarize(Vec<Named>, Vec<Named>),
    /// `distinct`; empty for `*`
    Distinct(Vec<Named>),
    /// `count`
    Count,
    /// `take`, `limit`
    Take(Expr),
    /// `top n by key`
    Top(Expr, Vec<SortKey>),
    /// `sort by`, `order by`
    Sort(Vec<SortKey>),
    /// `mv-expand`
    MvExpand(MvExpand),
    /// `mv-apply`, with the operators that each row's elements go through
    MvApply(MvExpand, Vec<Operator>),
    /// `join`, `lookup`
    Join(Box<Join>),
    /// `parse`, `parse-where`
    Parse(Parse),
    /// `union` with what comes in as the first table
    Union(Union),
    /// `getschema`
    GetSchema,
    /// `serialize`, with columns to add
    Serialize(Vec<Named>),
    /// `as name`
    As(String),
    /// `invoke f(x)`
    Invoke(String, Vec<Expr>),
    /// `sample n`
    Sample(Expr),
    /// `sample-distinct n of x`
    SampleDistinct(Expr, Named),
}

/// The arguments of `mv-expand`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MvExpand {
    /// What is expanded, and the type its elements get.
    pub(crate) columns: Vec<(Named, Option<ColumnType>)>,
    /// `kind=array`: a property bag gives pairs of key and value.
    pub(crate) as_arrays: bool,
    /// `with_itemindex=name`: a column that counts the elements of each row.
    pub(crate) index: Option<String>,
    /// `limit n`
    pub(crate) limit: Option<Expr>,
}

/// Which rows a join gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    /// Matching pairs, of equal keys on the left only the first row.
    InnerUnique,
    /// Matching pairs.
    Inner,
    /// Matching pairs, and left rows without a match.
    LeftOuter,
    /// Matching pairs, and right rows without a match.
    RightOuter,
    /// Matching pairs, and the rows of both sides without a match.
    FullOuter,
    /// Left rows with a match.
    LeftSemi,
    /// Left rows without a match.
    LeftAnti,
    /// Right rows with a match.
    RightSemi,
    /// Right rows without a match.
    RightAnti,
}

/// The arguments of `join` and `lookup`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Join {
    /// Which rows it gives.
    pub(crate) kind: JoinKind,
    /// `lookup`: the right side's keys are left out.
    pub(crate) lookup: bool,
    /// The right side.
    pub(crate) right: Pipeline,
    /// Columns, left and right, whose values must be equal.
    pub(crate) on: Vec<(String, String)>,
}

/// The arguments of `parse` and `parse-where`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parse {
    /// What is taken apart.
    pub(crate) text: Expr,
    /// `parse-where`: rows that do not fit are dropped.
    pub(crate) only_fitting: bool,
    /// `kind=`
    pub(crate) kind: ParseKind,
    /// The pattern.
    pub(crate) parts: Vec<ParsePart>,
}

/// How the pattern of `parse` is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParseKind {
    /// Texts as they stand; every value must have its type.
    Simple,
    /// Texts as they stand; a value that does not have its type is null, the others stay.
    Relaxed,
    /// Texts are regular expressions, with these flags.
    Regex(String),
}

/// A part of a `parse` pattern.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ParsePart {
    /// `*`: anything
    Skip,
    /// A text that must stand there.
    Text(String),
    /// A column that takes what stands there.
    Column(String, ColumnType),
}

/// The order of names that one pattern of `project-reorder` matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameOrder {
    /// As they stand.
    Kept,
    /// `asc`
    Ascending,
    /// `desc`
    Descending,
}
