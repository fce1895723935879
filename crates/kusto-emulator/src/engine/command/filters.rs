//! Parts that several commands share: lists of extent ids, conditions on tags.

use uuid::Uuid;

use super::super::catalog::{Database, State, Table};
use super::super::error::{EngineError, EngineResult};
use super::super::extent::Extent;
use super::super::policy::{PolicyKind, timespan_ticks};
use super::super::tag::TagFilter;
use super::{Session, properties};
use crate::data::Value;
use crate::kql::{Kind, Punct, Tokens};

/// Which extents a command means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ExtentFilter {
    /// Only these, where given.
    pub(super) ids: Option<Vec<Uuid>>,
    /// All of these hold.
    pub(super) tags: Vec<TagFilter>,
    /// Only those that the caching policy keeps hot.
    pub(super) hot: bool,
    /// At most so many, over all tables.
    pub(super) most: usize,
}

impl ExtentFilter {
    /// Takes `[(id, ...)] [hot] [where tags has 'x' [and tags ...]] [with (...)]`.
    pub(super) fn parse(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<Self> {
        let ids = if tokens.is(Punct::Open) { Some(ids(tokens)?) } else { None };
        let hot = tokens.eat_word("hot");
        let mut tags = Vec::new();
        if tokens.eat_word("where") {
            tags.push(tag(tokens)?);
            while tokens.eat_word("and") {
                tags.push(tag(tokens)?);
            }
        }
        let mut given = properties::parse(tokens)?;
        if given.contains_key("extentsShowFilteringRuntimePolicy") {
            session.needs_undocumented("extentsShowFilteringRuntimePolicy")?;
        }
        let most = most(given.remove("extentsShowFilteringRuntimePolicy"))?;
        properties::refuse_others(".show extents", given.keys())?;
        Ok(Self { ids, tags, hot, most })
    }

    /// The extents of a table that pass.
    pub(super) fn of<'t>(
        &self,
        state: &State,
        database: &Database,
        table: &'t Table,
        now: i64,
    ) -> Vec<&'t Extent> {
        let listed = |extent: &&Extent| self.ids.as_ref().is_none_or(|ids| ids.contains(&extent.id));
        let tagged = |extent: &&Extent| self.tags.iter().all(|filter| filter.passes(&extent.tags));
        let span = if self.hot { hot_span(state, database, table) } else { i64::MAX };
        let warm = |extent: &&Extent| now.saturating_sub(extent.last_created()) <= span;
        table.extents.iter().map(|extent| &**extent).filter(listed).filter(tagged).filter(warm).collect()
    }
}

/// How long the caching policy in force keeps extents hot: for ever, unless it says something else.
fn hot_span(state: &State, database: &Database, table: &Table) -> i64 {
    let policy = state.policy(database, Some(table), PolicyKind::Caching);
    let span = policy.map(|policy| &policy["DataHotSpan"]);
    span.and_then(|span| timespan_ticks(span).or_else(|| timespan_ticks(&span["Value"]))).unwrap_or(i64::MAX)
}

/// `{"MaximumResultsCount": n}`, as text: what the Spark connector sends.
fn most(given: Option<serde_json::Value>) -> EngineResult<usize> {
    let Some(given) = given else { return Ok(usize::MAX) };
    let parsed: Option<serde_json::Value> = given.as_str().and_then(|text| serde_json::from_str(text).ok());
    let count = parsed.as_ref().and_then(|policy| policy["MaximumResultsCount"].as_u64());
    let count = count.and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| {
        let wanted = "a JSON object with a number MaximumResultsCount";
        EngineError::bad_request(format!(
            "extentsShowFilteringRuntimePolicy is {given}; it must be {wanted}."
        ))
    })
}

/// Takes `(id, ...)`.
pub(super) fn ids(tokens: &mut Tokens<'_>) -> EngineResult<Vec<Uuid>> {
    tokens.expect(Punct::Open)?;
    let mut ids = Vec::new();
    while !tokens.eat(Punct::Close) {
        ids.push(id(tokens)?);
        if !tokens.eat(Punct::Comma) {
            tokens.expect(Punct::Close)?;
            break;
        }
    }
    Ok(ids)
}

/// Takes an id: bare, as `guid(...)`, or in quotes.
pub(super) fn id(tokens: &mut Tokens<'_>) -> EngineResult<Uuid> {
    let found = match &tokens.peek().kind {
        Kind::Literal(Value::Guid(id), _) => Some(Uuid::from_u128(*id)),
        Kind::Text { text, .. } => Uuid::try_parse(text.trim()).ok(),
        _ => None,
    };
    match found {
        Some(id) => {
            tokens.next();
            Ok(id)
        }
        None => Err(tokens.unexpected("an id (a guid)").into()),
    }
}

fn tag(tokens: &mut Tokens<'_>) -> EngineResult<TagFilter> {
    if !tokens.eat_word("tags") {
        return Err(tokens.unexpected("'tags'").into());
    }
    let negated = tokens.eat(Punct::Not);
    let whole = tokens.eat_word("has");
    if !whole && !tokens.eat_word("contains") {
        return Err(tokens.unexpected("'has', 'contains', '!has' or '!contains'").into());
    }
    let text = match tokens.eat_text() {
        Some(text) => text,
        None => tokens.expect_name("a tag in quotes")?,
    };
    Ok(TagFilter { whole, negated, text })
}
