//! Calls of scalar functions: those typed by their arguments here, the rest by the table in `functions`.

use super::ast::{self, BinaryOp, Expr, Let, TakesIn};
use super::bind::{Scope, common_type};
use super::call::wrong_arguments;
use super::cast;
use super::error::KqlError;
use super::functions::{self, Function, Param};
use super::scopes::{self, Closure, Names};
use super::typed::{Node, Typed};
use super::window;
use crate::data::{ColumnType, Schema, Value};
use std::collections::HashMap;
use std::rc::Rc;

/// How many arguments functions that join texts take
/// (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/strcat-function.md`, `strcat-delim-function.md`).
const MOST_TEXTS: usize = 64;

/// The target of a conversion function.
fn conversion(name: &str) -> Option<ColumnType> {
    Some(match name {
        "tostring" => ColumnType::String,
        "tolong" => ColumnType::Long,
        "toint" => ColumnType::Int,
        "toreal" | "todouble" => ColumnType::Real,
        "tobool" | "toboolean" => ColumnType::Bool,
        "todatetime" => ColumnType::DateTime,
        "totimespan" | "totime" => ColumnType::TimeSpan,
        "toguid" => ColumnType::Guid,
        "todecimal" => ColumnType::Decimal,
        "todynamic" | "toobject" | "parse_json" | "parsejson" => ColumnType::Dynamic,
        _ => return None,
    })
}

impl Scope<'_> {
    /// A function call.
    pub(super) fn call(&self, name: &str, arguments: &[Expr]) -> Result<Typed, KqlError> {
        if name == "toscalar" {
            return self.scalar_of_table(arguments);
        }
        if name == "typeof" {
            return Err(self.arity(name, "1"));
        }
        if let Some(function) = self.names.function(name) {
            return self.call_declared(name, function, arguments);
        }
        match (name, arguments) {
            ("extract" | "extract_json" | "extractjson", [rest @ .., Expr::TypeOf(ty)]) => {
                let found = self.call(name, rest)?;
                return self.convert(name, found, *ty);
            }
            ("column_ifexists" | "columnifexists", [column, otherwise]) => {
                return self.column_if_exists(column, otherwise);
            }
            ("pack_all" | "bag_pack_columns", arguments) => return self.packed(name, arguments),
            ("assert", [condition, message]) => return self.assertion(condition, message),
            _ => {}
        }
        let mut bound = Vec::with_capacity(arguments.len());
        for argument in arguments {
            bound.push(self.bind(argument)?);
        }
        if let Some(ty) = conversion(name) {
            let [operand] = self.exactly(name, bound)?;
            return self.convert(name, operand, ty);
        }
        let flag = |node| Ok(Typed::new(ColumnType::Bool, node));
        match name {
            "not" => {
                let [operand] = self.exactly(name, bound)?;
                self.require(name, &operand, &[ColumnType::Bool])?;
                flag(Node::Not(Box::new(operand)))
            }
            "isnull" | "isnotnull" | "notnull" => {
                let [operand] = self.exactly(name, bound)?;
                flag(Node::IsNull { operand: Box::new(operand), negated: name != "isnull" })
            }
            "isempty" | "isnotempty" | "notempty" => {
                let [operand] = self.exactly(name, bound)?;
                flag(Node::IsEmpty { operand: Box::new(operand), negated: name != "isempty" })
            }
            "iff" | "iif" => {
                let [condition, then, other] = self.exactly(name, bound)?;
                self.choose(name, condition, then, other)
            }
            "case" => self.case(bound),
            "coalesce" => self.coalesce(bound),
            "max_of" | "min_of" => self.best_of(name, bound),
            "bin" | "floor" => {
                let [value, size] = self.exactly(name, bound)?;
                self.bin(value, size)
            }
            "bin_at" => {
                let [value, size, fixed] = self.exactly(name, bound)?;
                self.bin_at(value, size, fixed)
            }
            "around" => {
                let [value, center, distance] = self.exactly(name, bound)?;
                self.around(value, center, distance)
            }
            "abs" => {
                let [operand] = self.exactly(name, bound)?;
                self.absolute(operand)
            }
            "extent_id" | "extentid" => self.origin(name, &bound, ColumnType::Guid, Node::ExtentId),
            "extent_tags" => self.origin(name, &bound, ColumnType::Dynamic, Node::ExtentTags),
            "ingestion_time" => self.origin(name, &bound, ColumnType::DateTime, Node::IngestionTime),
            "rand" | "new_guid" => self.random(name, bound),
            _ if window::is_window(name) => self.window(name, bound),
            _ => self.by_table(name, bound),
        }
    }

    /// `column_ifexists('a', 0)`: the column if there is one, else the second argument.
    fn column_if_exists(&self, column: &Expr, otherwise: &Expr) -> Result<Typed, KqlError> {
        let (_, name) = self.constant(column)?;
        match name.as_str().and_then(|name| self.schema.index_of(name)) {
            Some(at) => Ok(Typed::new(self.schema.columns[at].ty, Node::Column(at))),
            None => self.bind(otherwise),
        }
    }

    /// `pack_all()`, `bag_pack_columns(a, b)`: a bag of columns by their names.
    fn packed(&self, name: &str, arguments: &[Expr]) -> Result<Typed, KqlError> {
        let mut columns = Vec::new();
        let mut omit_empty = false;
        if name == "pack_all" {
            columns.extend(self.schema.columns.iter().map(|column| column.name.as_str()));
            if let [flag] = arguments {
                omit_empty = self.constant(flag)?.1 == Value::Bool(true);
            } else if !arguments.is_empty() {
                return Err(self.arity(name, "0 to 1"));
            }
        }
        for argument in arguments.iter().filter(|_| name != "pack_all") {
            let Expr::Name(column) = argument else {
                return Err(KqlError::semantic("SEM0024", format!("{name}(): arguments must be columns")));
            };
            columns.push(column);
        }
        let mut parts = Vec::with_capacity(columns.len() * 2);
        for column in columns {
            parts.push(Typed::constant(ColumnType::String, Value::from(column)));
            parts.push(self.name(column)?);
        }
        let function = functions::find(if omit_empty { "pack_nonempty" } else { "pack" });
        let function = function.ok_or_else(|| KqlError::no_function(name))?;
        Ok(Typed::new(ColumnType::Dynamic, Node::Call(function, parts)))
    }

    /// `assert(condition, message)`: the query fails at once where the condition does not hold.
    fn assertion(&self, condition: &Expr, message: &Expr) -> Result<Typed, KqlError> {
        match (self.constant(condition)?.1, self.constant(message)?.1) {
            (Value::Bool(true), _) => Ok(Typed::constant(ColumnType::Bool, Value::Bool(true))),
            (_, message) => {
                let message = format!("assert() has failed with message: '{}'", cast::text_of(&message));
                Err(KqlError::semantic("SEM0001", message))
            }
        }
    }

    pub(super) fn arity(&self, name: &str, wanted: &str) -> KqlError {
        KqlError::semantic("SEM0219", format!("{name}(): function expects {wanted} argument(s)"))
    }

    fn exactly<const N: usize>(&self, name: &str, bound: Vec<Typed>) -> Result<[Typed; N], KqlError> {
        bound.try_into().map_err(|_| self.arity(name, &N.to_string()))
    }

    pub(super) fn require(&self, name: &str, operand: &Typed, types: &[ColumnType]) -> Result<(), KqlError> {
        if types.contains(&operand.ty) {
            return Ok(());
        }
        let wanted: Vec<&str> = types.iter().map(|ty| ty.csl_name()).collect();
        let message =
            format!("{name}(): argument is of type {}, expected {}", operand.ty, wanted.join(" or "));
        Err(KqlError::semantic("SEM0024", message))
    }

    fn scalar_of_table(&self, arguments: &[Expr]) -> Result<Typed, KqlError> {
        let [table] = arguments else { return Err(self.arity("toscalar", "1")) };
        if !self.names.is_tabular(table) {
            let (ty, value) = self.constant(table)?;
            return Ok(Typed::constant(ty, value));
        }
        let (ty, values) = (self.run_table)(table, self.names)?;
        let value = values.into_iter().next().unwrap_or(Value::Null);
        Ok(Typed::constant(ty, cast::value(&value, ty)))
    }

    /// A function of the query: its body, with the arguments in place of its parameters.
    pub(super) fn call_declared(
        &self,
        name: &str,
        function: &Closure<ast::Function>,
        arguments: &[Expr],
    ) -> Result<Typed, KqlError> {
        let ast::Function { parameters, lets, body, .. } = &function.what;
        if function.gives_rows() {
            let message = format!("'{}' operator: {name}() gives rows, a scalar is expected", self.operator);
            return Err(KqlError::semantic("SEM0100", message));
        }
        if arguments.len() > parameters.len() {
            return Err(wrong_arguments(name, parameters.len()));
        }
        let mut names = (*function.names).clone();
        let mut locals = HashMap::new();
        for (at, parameter) in parameters.iter().enumerate() {
            let TakesIn::Scalar(parameter) = parameter else {
                return Err(KqlError::unsupported(format_args!(
                    "tables as arguments of '{name}', which gives a value"
                )));
            };
            let typed = match (arguments.get(at), &parameter.default) {
                (Some(argument), _) => self.bind(argument)?,
                (None, Some(value)) => Typed::constant(parameter.ty, cast::value(value, parameter.ty)),
                (None, None) => return Err(wrong_arguments(name, parameters.len())),
            };
            scopes::fits(name, parameter, typed.ty)?;
            let typed = self.folded(typed.cast(parameter.ty));
            local(&mut names, &mut locals, &parameter.name, typed);
        }
        let (schema, mut names) = (Schema::default(), Rc::new(names));
        for (name, value) in lets {
            let Let::Value(expr) = value else {
                return Err(KqlError::unsupported("functions declared inside of functions that give values"));
            };
            let typed = Scope { schema: &schema, names: &names, locals: &locals, ..*self }.bind(expr)?;
            local(Rc::make_mut(&mut names), &mut locals, name, typed);
        }
        self.spend(1)?;
        Scope { schema: &schema, names: &names, locals: &locals, ..*self }.bind(body)
    }

    fn convert(&self, name: &str, operand: Typed, ty: ColumnType) -> Result<Typed, KqlError> {
        if !cast::possible(operand.ty, ty) {
            let message = format!("{name}(): a value of type {} cannot be converted to {ty}", operand.ty);
            return Err(KqlError::semantic("SEM0024", message));
        }
        Ok(operand.cast(ty))
    }

    fn origin(&self, name: &str, bound: &[Typed], ty: ColumnType, node: Node) -> Result<Typed, KqlError> {
        if bound.is_empty() { Ok(Typed::new(ty, node)) } else { Err(self.arity(name, "0")) }
    }

    /// Values brought to one type.
    pub(super) fn unified(&self, name: &str, values: Vec<Typed>) -> Result<Vec<Typed>, KqlError> {
        let mut ty = values.first().map_or(ColumnType::String, |value| value.ty);
        for value in &values {
            ty = common_type(ty, value.ty).ok_or_else(|| {
                let message =
                    format!("{name}(): values are of the types {ty} and {}, expected one type", value.ty);
                KqlError::semantic("SEM0024", message)
            })?;
        }
        Ok(values.into_iter().map(|value| value.cast(ty)).collect())
    }

    fn choose(&self, name: &str, condition: Typed, then: Typed, other: Typed) -> Result<Typed, KqlError> {
        self.require(name, &condition, &[ColumnType::Bool])?;
        let [then, other]: [Typed; 2] =
            self.unified(name, vec![then, other])?.try_into().map_err(|_| self.arity(name, "3"))?;
        Ok(Typed::new(then.ty, Node::Choose(Box::new([condition, then, other]))))
    }

    /// `case(condition, value, .., otherwise)`
    fn case(&self, mut bound: Vec<Typed>) -> Result<Typed, KqlError> {
        if bound.len() < 3 || bound.len().is_multiple_of(2) || bound.len() > 101 {
            return Err(self.arity("case", "an odd number, 3 to 101, of"));
        }
        let mut otherwise = bound.pop().ok_or_else(|| self.arity("case", "3"))?;
        while let (Some(value), Some(condition)) = (bound.pop(), bound.pop()) {
            otherwise = self.choose("case", condition, value, otherwise)?;
        }
        Ok(otherwise)
    }

    fn coalesce(&self, bound: Vec<Typed>) -> Result<Typed, KqlError> {
        if bound.len() < 2 {
            return Err(self.arity("coalesce", "2 or more"));
        }
        let parts = self.unified("coalesce", bound)?;
        Ok(Typed::new(parts[0].ty, Node::Coalesce(parts)))
    }

    /// The greatest or least argument.
    fn best_of(&self, name: &str, bound: Vec<Typed>) -> Result<Typed, KqlError> {
        if bound.len() < 2 || bound.len() > 64 {
            return Err(self.arity(name, "2 to 64"));
        }
        let parts = self.unified(name, bound)?;
        Ok(Typed::new(parts[0].ty, Node::Best { greatest: name == "max_of", parts }))
    }

    fn bin(&self, value: Typed, size: Typed) -> Result<Typed, KqlError> {
        use ColumnType::{DateTime, Int, Long, Real, TimeSpan};
        let (value, size) = match (value.ty, size.ty) {
            (DateTime | TimeSpan, TimeSpan) => (value, size),
            (Int | Long, Int | Long) => (value.cast(Long), size.cast(Long)),
            (Int | Long | Real, Int | Long | Real) => (value.cast(Real), size.cast(Real)),
            (a, b) => {
                let message = format!("bin(): values of type {a} cannot be put into bins of type {b}");
                return Err(KqlError::semantic("SEM0024", message));
            }
        };
        Ok(Typed::new(value.ty, Node::Bin(Box::new([value, size]))))
    }

    /// `bin_at(value, size, fixed)`: bins one of which starts at `fixed`.
    fn bin_at(&self, value: Typed, size: Typed, fixed: Typed) -> Result<Typed, KqlError> {
        let offset = self.arithmetic(BinaryOp::Sub, value, fixed.clone())?;
        let binned = self.bin(offset, size)?;
        self.arithmetic(BinaryOp::Add, fixed, binned)
    }

    /// `around(value, center, distance)`: between the center less the distance and the center and the distance.
    fn around(&self, value: Typed, center: Typed, distance: Typed) -> Result<Typed, KqlError> {
        let low = self.arithmetic(BinaryOp::Sub, center.clone(), distance.clone())?;
        let high = self.arithmetic(BinaryOp::Add, center, distance)?;
        let parts = self.unified("around", vec![value, low, high])?;
        let parts: [Typed; 3] = parts.try_into().map_err(|_| self.arity("around", "3"))?;
        Ok(Typed::new(ColumnType::Bool, Node::Between(false, Box::new(parts))))
    }

    fn absolute(&self, operand: Typed) -> Result<Typed, KqlError> {
        use ColumnType::{Decimal, Int, Long, Real, TimeSpan};
        self.require("abs", &operand, &[Int, Long, Real, Decimal, TimeSpan])?;
        Ok(Typed::new(operand.ty, Node::Abs(Box::new(operand))))
    }

    fn by_table(&self, name: &str, bound: Vec<Typed>) -> Result<Typed, KqlError> {
        let function = functions::find(name).filter(|function| function.name != "[]");
        let function = function.ok_or_else(|| KqlError::no_function(name))?;
        let most = match (name, function.rest) {
            ("strcat" | "strcat_delim", _) => MOST_TEXTS,
            (_, true) => usize::MAX,
            (_, false) => function.params.len(),
        };
        let pairs = matches!(name, "bag_pack" | "pack");
        if bound.len() < function.least || bound.len() > most || pairs && bound.len() % 2 == 1 {
            return Err(self.arity(name, &expected(function, most)));
        }
        if matches!(name, "hash" | "hash_xxhash64")
            && !bound.first().is_some_and(|value| functions::can_hash(value.ty))
        {
            return Err(KqlError::unsupported(format_args!("'{name}' of this type")));
        }
        if matches!(name, "array_sort_asc" | "array_sort_desc")
            && bound.get(1).is_some_and(|second| second.ty != ColumnType::Bool)
        {
            return Err(KqlError::unsupported(format_args!("'{name}' of several arrays")));
        }
        if name == "bag_set_key"
            && !matches!(bound[1].as_const(), Some(Value::String(key)) if !key.contains('['))
        {
            return Err(KqlError::unsupported("keys of 'bag_set_key' that vary or lead into arrays"));
        }
        let mut arguments = Vec::with_capacity(bound.len());
        for (at, argument) in bound.into_iter().enumerate() {
            let last = function.params.len() - 1;
            let param = if pairs { function.params[at % 2] } else { function.params[at.min(last)] };
            arguments.push(self.argument(name, at, param, argument)?);
        }
        Ok(Typed::new(function.result, Node::Call(function, arguments)))
    }

    fn argument(&self, name: &str, at: usize, param: Param, argument: Typed) -> Result<Typed, KqlError> {
        use ColumnType::{DateTime, Decimal, Dynamic, Int, Long, Real, String, TimeSpan};
        let ty = argument.ty;
        let target = match param {
            Param::Any => Some(ty),
            Param::AsText => Some(String),
            Param::Text => matches!(ty, String | Dynamic).then_some(String),
            Param::Long => matches!(ty, Int | Long).then_some(Long),
            Param::Real => matches!(ty, Int | Long | Real | Decimal).then_some(Real),
            Param::DateTime => (ty == DateTime).then_some(DateTime),
            Param::TimeSpan => (ty == TimeSpan).then_some(TimeSpan),
            Param::Dynamic => (ty == Dynamic).then_some(Dynamic),
        };
        let Some(target) = target else {
            let message = format!("{name}(): argument #{} is of type {ty}, expected {param:?}", at + 1);
            return Err(KqlError::semantic("SEM0024", message));
        };
        Ok(argument.cast(target))
    }
}

/// Declares a name inside a function: as a variable when it is constant, which tables inside can use too.
fn local(names: &mut Names, locals: &mut HashMap<String, Typed>, name: &str, typed: Typed) {
    match typed.as_const() {
        Some(value) => {
            locals.remove(name);
            names.declare_scalar(name, typed.ty, value.clone());
        }
        None => drop(locals.insert(name.to_owned(), typed)),
    }
}

fn expected(function: &Function, most: usize) -> String {
    match (function.rest, function.least, function.params.len()) {
        (true, least, _) if most == usize::MAX => format!("{least} or more"),
        (true, least, _) => format!("{least} to {most}"),
        (false, least, most) if least == most => least.to_string(),
        (false, least, most) => format!("{least} to {most}"),
    }
}
