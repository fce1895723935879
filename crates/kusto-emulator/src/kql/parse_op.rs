//! The operators behind a pipe.

use super::ast::{Expr, MvExpand, NameOrder, Named, Operator, SortKey};
use super::error::KqlError;
use super::lexer::{Kind, Punct};
use super::parser::Parser;
use crate::data::ColumnType;

impl Parser<'_> {
    /// One operator, behind its pipe.
    pub(super) fn operator(&mut self) -> Result<Operator, KqlError> {
        let Some((name, count)) = self.tokens.hyphenated() else {
            return Err(self.tokens.unexpected("a tabular operator"));
        };
        let name = name.to_owned();
        let known = self.by_name(&name, count)?;
        known.ok_or_else(|| KqlError::unsupported(format_args!("the operator '{name}'")))
    }

    fn by_name(&mut self, name: &str, words: usize) -> Result<Option<Operator>, KqlError> {
        (0..words).for_each(|_| drop(self.tokens.next()));
        Ok(Some(match name {
            "where" | "filter" => Operator::Where(self.scalar()?),
            "project" => Operator::Project(self.optional_list()?),
            "extend" => Operator::Extend(self.named_list()?),
            "project-away" => Operator::ProjectAway(self.patterns()?),
            "project-keep" => Operator::ProjectKeep(self.patterns()?),
            "project-rename" => Operator::ProjectRename(self.renames()?),
            "project-reorder" => Operator::ProjectReorder(self.reorders()?),
            "summarize" => self.summarize()?,
            "distinct" => self.distinct()?,
            "count" => Operator::Count,
            "take" | "limit" => Operator::Take(self.scalar()?),
            "top" => {
                let count = self.scalar()?;
                Operator::Top(count, self.sort_keys()?)
            }
            "sort" | "order" => {
                self.hints()?;
                Operator::Sort(self.sort_keys()?)
            }
            "mv-expand" | "mvexpand" => Operator::MvExpand(self.mv_expand()?),
            "union" => Operator::Union(self.union()?),
            "join" => self.join(false)?,
            "lookup" => self.join(true)?,
            "parse" => self.parse(false)?,
            "parse-where" => self.parse(true)?,
            "getschema" => Operator::GetSchema,
            "as" => {
                self.hints()?;
                Operator::As(self.tokens.expect_name("a name")?)
            }
            "serialize" => Operator::Serialize(self.optional_list()?),
            "invoke" => {
                let name = self.tokens.expect_name("a function")?;
                Operator::Invoke(name, self.arguments(Self::expression)?)
            }
            "sample" => Operator::Sample(self.scalar()?),
            "sample-distinct" => {
                let count = self.scalar()?;
                if !self.tokens.eat_word("of") {
                    return Err(self.tokens.unexpected("'of'"));
                }
                Operator::SampleDistinct(count, self.named()?)
            }
            "mv-apply" => self.mv_apply()?,
            _ => return Ok(None),
        }))
    }

    /// Whether the operator ends here.
    fn ends_operator(&mut self) -> bool {
        matches!(
            self.tokens.peek().kind,
            Kind::End | Kind::Punct(Punct::Pipe | Punct::Semicolon | Punct::Close | Punct::CloseBrace)
        )
    }

    fn optional_list(&mut self) -> Result<Vec<Named>, KqlError> {
        if self.ends_operator() { Ok(Vec::new()) } else { self.named_list() }
    }

    /// `hint.name=value`: advice on how to run, which has no effect on the answer.
    pub(super) fn hints(&mut self) -> Result<(), KqlError> {
        while self.tokens.word() == Some("hint") && self.tokens.peek_nth(1).kind == Kind::Punct(Punct::Dot) {
            self.tokens.next();
            self.tokens.next();
            self.tokens.expect_name("a hint")?;
            self.tokens.expect(Punct::Assign)?;
            self.tokens.next();
        }
        Ok(())
    }

    /// Names of columns, each perhaps with `*` in it.
    fn patterns(&mut self) -> Result<Vec<String>, KqlError> {
        let mut patterns = Vec::new();
        loop {
            self.count()?;
            patterns.push(self.pattern()?);
            if !self.tokens.eat(Punct::Comma) {
                return Ok(patterns);
            }
        }
    }

    pub(super) fn pattern(&mut self) -> Result<String, KqlError> {
        let mut pattern = String::new();
        if !self.tokens.is(Punct::Star) {
            pattern = self.tokens.expect_name("a column's name")?;
        }
        let mut end = self.tokens.position();
        while self.tokens.is(Punct::Star) && (pattern.is_empty() || self.tokens.peek().start == end) {
            self.tokens.next();
            pattern.push('*');
            end = self.tokens.position();
            if self.tokens.peek().start == end
                && let Some(word) = self.tokens.word()
            {
                pattern.push_str(word);
                self.tokens.next();
                end = self.tokens.position();
            }
        }
        Ok(pattern)
    }

    fn renames(&mut self) -> Result<Vec<(String, String)>, KqlError> {
        let mut renames = Vec::new();
        loop {
            self.count()?;
            let new = self.tokens.expect_name("a new column name")?;
            self.tokens.expect(Punct::Assign)?;
            renames.push((new, self.tokens.expect_name("a column's name")?));
            if !self.tokens.eat(Punct::Comma) {
                return Ok(renames);
            }
        }
    }

    fn reorders(&mut self) -> Result<Vec<(String, NameOrder)>, KqlError> {
        let mut reorders = Vec::new();
        loop {
            self.count()?;
            let pattern = self.pattern()?;
            let order = match self.tokens.word() {
                Some("asc") => NameOrder::Ascending,
                Some("desc") => NameOrder::Descending,
                _ => NameOrder::Kept,
            };
            if order != NameOrder::Kept {
                self.tokens.next();
            }
            reorders.push((pattern, order));
            if !self.tokens.eat(Punct::Comma) {
                return Ok(reorders);
            }
        }
    }

    fn summarize(&mut self) -> Result<Operator, KqlError> {
        self.hints()?;
        let aggregates = if self.tokens.word() == Some("by") { Vec::new() } else { self.optional_list()? };
        let keys = if self.tokens.eat_word("by") { self.named_list()? } else { Vec::new() };
        if aggregates.is_empty() && keys.is_empty() {
            return Err(self.tokens.unexpected("an aggregate or 'by'"));
        }
        Ok(Operator::Summarize(aggregates, keys))
    }

    fn distinct(&mut self) -> Result<Operator, KqlError> {
        let keys = self.named_list()?;
        let star = matches!(keys.as_slice(), [Named { expr: Expr::Star, .. }]);
        Ok(Operator::Distinct(if star { Vec::new() } else { keys }))
    }

    /// `by key [asc|desc] [nulls first|last], ..`
    fn sort_keys(&mut self) -> Result<Vec<SortKey>, KqlError> {
        if !self.tokens.eat_word("by") {
            return Err(self.tokens.unexpected("'by'"));
        }
        let mut keys = Vec::new();
        loop {
            self.count()?;
            keys.push(self.sort_key()?);
            if !self.tokens.eat(Punct::Comma) {
                return Ok(keys);
            }
        }
    }

    fn sort_key(&mut self) -> Result<SortKey, KqlError> {
        let expr = self.scalar()?;
        let ascending = self.tokens.eat_word("asc");
        let descending = !ascending;
        if !ascending {
            self.tokens.eat_word("desc");
        }
        let mut nulls_first = ascending;
        if self.tokens.eat_word("nulls") {
            nulls_first = self.tokens.eat_word("first");
            if !nulls_first && !self.tokens.eat_word("last") {
                return Err(self.tokens.unexpected("'first' or 'last'"));
            }
        }
        Ok(SortKey { expr, descending, nulls_first })
    }

    /// What `mv-expand` takes, then `on (| operator ..)`, the first pipe left out.
    fn mv_apply(&mut self) -> Result<Operator, KqlError> {
        let expand = self.mv_expand()?;
        if !self.tokens.eat_word("on") {
            return Err(self.tokens.unexpected("'on'"));
        }
        self.tokens.expect(Punct::Open)?;
        let operators = self.nested(|p| {
            let mut operators = vec![p.operator()?];
            operators.extend(p.operators()?);
            Ok(operators)
        })?;
        self.tokens.expect(Punct::Close)?;
        Ok(Operator::MvApply(expand, operators))
    }

    fn mv_expand(&mut self) -> Result<MvExpand, KqlError> {
        let mut expand = MvExpand { columns: Vec::new(), as_arrays: false, index: None, limit: None };
        loop {
            match self.tokens.word() {
                Some("kind" | "bagexpansion") if self.is_option() => {
                    let kind = self.option_word()?;
                    expand.as_arrays = kind == "array";
                    if !matches!(kind.as_str(), "array" | "bag") {
                        return Err(self.tokens.unexpected("'bag' or 'array' before this"));
                    }
                }
                Some("with_itemindex") if self.is_option() => expand.index = Some(self.option_word()?),
                _ => break,
            }
        }
        loop {
            self.count()?;
            let named = self.named()?;
            expand.columns.push((named, self.typeof_clause()?));
            if !self.tokens.eat(Punct::Comma) {
                break;
            }
        }
        if self.tokens.eat_word("limit") {
            expand.limit = Some(self.scalar()?);
        }
        Ok(expand)
    }

    /// Whether `word =` comes next.
    pub(super) fn is_option(&mut self) -> bool {
        self.tokens.peek_nth(1).kind == Kind::Punct(Punct::Assign)
    }

    fn typeof_clause(&mut self) -> Result<Option<ColumnType>, KqlError> {
        if !self.tokens.eat_word("to") {
            return Ok(None);
        }
        match self.scalar()? {
            Expr::TypeOf(ty) => Ok(Some(ty)),
            _ => Err(self.tokens.unexpected("typeof(type)")),
        }
    }
}
