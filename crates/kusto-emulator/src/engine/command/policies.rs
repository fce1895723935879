//! `.alter`, `.alter-merge`, `.show` and `.delete` of policies.

use serde_json::{Value as Json, json};

use super::super::catalog::State;
use super::super::error::{EngineError, EngineResult};
use super::super::policy::{PolicyKind, timespan_text};
use super::super::roles::{DatabaseAction, TableAction};
use super::super::transaction::Decision;
use super::entity::{Entity, Owner};
use super::{Session, end, result};
use crate::data::{ColumnType, ResultTable, Value};
use crate::kql::{Kind, Punct, Tokens};

const COLUMNS: [(&str, ColumnType); 5] = [
    ("PolicyName", ColumnType::String),
    ("EntityName", ColumnType::String),
    ("Policy", ColumnType::String),
    ("ChildEntities", ColumnType::String),
    ("EntityType", ColumnType::String),
];

/// Whether the entity that comes next is followed by `policy`.
pub(super) fn follows(tokens: &mut Tokens<'_>) -> bool {
    super::entity::word_behind(tokens) == Some("policy")
}

/// The entity that a policy belongs to, in a state.
///
/// # Errors
/// 400 if no document tells of such a policy of such an entity.
fn find<'s>(
    session: &Session<'_>,
    state: &'s State,
    entity: &Entity,
    kind: PolicyKind,
) -> EngineResult<Owner<'s>> {
    let fits = match entity {
        Entity::Cluster => matches!(kind, PolicyKind::Caching | PolicyKind::ManagedIdentity),
        Entity::Database(_) => kind != PolicyKind::AutoDelete,
        Entity::Table(_) => kind != PolicyKind::ManagedIdentity,
        Entity::Function(_) | Entity::View(_) => false,
    };
    if fits {
        return Owner::find(session, state, entity);
    }
    let what = match entity {
        Entity::Cluster => "a cluster",
        Entity::Database(_) => "a database",
        Entity::Table(_) => "a table",
        Entity::Function(_) => "a function",
        Entity::View(_) => "a materialized view",
    };
    Err(EngineError::syntax(format!("{what} has no policy {}", kind.word())))
}

fn check_change(
    owner: Owner<'_>,
    session: &Session<'_>,
    state: &State,
    kind: PolicyKind,
) -> EngineResult<()> {
    if kind == PolicyKind::ManagedIdentity {
        return session.rights(state).on_cluster();
    }
    owner.check(session, state, TableAction::Administer, DatabaseAction::Administer)
}

/// The answer that shows a policy.
pub(super) fn shown(owner: Owner<'_>, kind: PolicyKind, policy: Option<&Json>) -> ResultTable {
    let (name, children, entity) = match owner {
        Owner::Cluster(_) | Owner::Function(..) | Owner::View(..) => (String::new(), String::new(), ""),
        Owner::Database(database) => {
            let tables: Vec<_> = database.tables.keys().collect();
            (format!("[{}]", database.name), json!(tables).to_string(), "Database")
        }
        Owner::Table(database, table) => {
            (format!("[{}].[{}]", database.name, table.name), String::new(), "Table")
        }
    };
    let policy = policy.map_or_else(|| "null".to_owned(), Json::to_string);
    let row = [kind.policy_name(), &name, &policy, &children, entity].map(Value::from).to_vec();
    result(&COLUMNS, vec![row])
}

/// The same for columns, each by its whole name.
pub(super) fn shown_of_columns<'a>(
    kind: PolicyKind,
    columns: impl Iterator<Item = (String, Option<&'a Json>)>,
) -> ResultTable {
    let row = |(name, policy): (String, Option<&Json>)| {
        let policy = policy.map_or_else(|| "null".to_owned(), Json::to_string);
        [kind.policy_name(), &name, &policy, "", "Column"].map(Value::from).to_vec()
    };
    result(&COLUMNS, columns.map(row).collect())
}

/// `.alter|.alter-merge|.delete table T|database D|cluster policy <kind> [...]`; answers with the policy as it is then.
pub(super) fn change(
    session: &Session<'_>,
    verb: &str,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let entity = Entity::parse(session, tokens)?;
    let kind = kind(tokens)?;
    let given = if verb == "delete" { None } else { Some(value(kind, tokens)?) };
    end(tokens)?;
    session.transact(|state| {
        let owner = find(session, state, &entity, kind)?;
        check_change(owner, session, state, kind)?;
        let mut settings = owner.settings().clone();
        match &given {
            None | Some(Json::Null) => drop(settings.policies.remove(&kind)),
            Some(given) => {
                let current = settings.policies.get(&kind).filter(|_| verb == "alter-merge");
                let inherited = match owner {
                    Owner::Table(database, _) => state.policy(database, None, kind),
                    Owner::Database(_) => state.cluster.policies.get(&kind),
                    Owner::Cluster(_) | Owner::Function(..) | Owner::View(..) => None,
                };
                let base = current.or(inherited.filter(|_| verb == "alter-merge"));
                let policy = kind.complete(given, base)?;
                settings.policies.insert(kind, policy);
            }
        }
        let shown = shown(owner, kind, settings.policies.get(&kind));
        Ok(Decision::new(vec![owner.with(settings)], shown))
    })
}

/// `.show table T|database D policy <kind>`; the entity was taken. `null` when the entity has none of its own.
pub(super) fn show(
    session: &Session<'_>,
    entity: &Entity,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    let kind = kind(tokens)?;
    let state = session.snapshot();
    let owner = find(session, &state, entity, kind)?;
    owner.check(session, &state, TableAction::Show, DatabaseAction::Show)?;
    Ok(shown(owner, kind, owner.settings().policies.get(&kind)))
}

/// Takes `policy <kind>`.
fn kind(tokens: &mut Tokens<'_>) -> EngineResult<PolicyKind> {
    if !tokens.eat_word("policy") {
        return Err(tokens.unexpected("'policy'").into());
    }
    match tokens.word().and_then(PolicyKind::from_word) {
        Some(kind) => {
            tokens.next();
            Ok(kind)
        }
        None => Err(tokens.unexpected("a policy that the local cluster knows").into()),
    }
}

/// The policy as a command gives it: JSON in quotes, or the short form of its kind.
fn value(kind: PolicyKind, tokens: &mut Tokens<'_>) -> EngineResult<Json> {
    if let Some(text) = tokens.eat_text() {
        return serde_json::from_str(&text).map_err(|error| {
            EngineError::bad_request(format!("the policy {} is no JSON: {error}.", kind.word()))
        });
    }
    match kind {
        PolicyKind::StreamingIngestion => switch(tokens, "enable", "disable"),
        PolicyKind::IngestionTime => switch(tokens, "true", "false"),
        PolicyKind::Retention => retention(tokens),
        PolicyKind::Caching => caching(tokens),
        _ => Err(tokens.unexpected("the policy as JSON in quotes").into()),
    }
}

fn switch(tokens: &mut Tokens<'_>, on: &str, off: &str) -> EngineResult<Json> {
    let word = tokens.word().unwrap_or_default();
    if word != on && word != off {
        return Err(tokens.unexpected(&format!("'{on}', '{off}' or the policy as JSON in quotes")).into());
    }
    tokens.next();
    Ok(json!({"IsEnabled": word == on}))
}

/// `softdelete = 1d [recoverability = enabled|disabled]`, in any order.
fn retention(tokens: &mut Tokens<'_>) -> EngineResult<Json> {
    let mut policy = json!({});
    loop {
        if tokens.eat_word("softdelete") {
            tokens.expect(Punct::Assign)?;
            policy["SoftDeletePeriod"] = Json::String(span(tokens)?);
        } else if tokens.eat_word("recoverability") {
            tokens.expect(Punct::Assign)?;
            policy["Recoverability"] = Json::String(tokens.expect_name("'enabled' or 'disabled'")?);
        } else if policy == json!({}) {
            return Err(tokens
                .unexpected("'softdelete', 'recoverability' or the policy as JSON in quotes")
                .into());
        } else {
            return Ok(policy);
        }
    }
}

/// `hot = 1d`.
fn caching(tokens: &mut Tokens<'_>) -> EngineResult<Json> {
    if !tokens.eat_word("hot") {
        return Err(tokens.unexpected("'hot' or the policy as JSON in quotes").into());
    }
    tokens.expect(Punct::Assign)?;
    let span = span(tokens)?;
    Ok(json!({"DataHotSpan": {"Value": span}, "IndexHotSpan": {"Value": span}}))
}

fn span(tokens: &mut Tokens<'_>) -> EngineResult<String> {
    let Kind::Literal(Value::TimeSpan(ticks), _) = tokens.peek().kind else {
        return Err(tokens.unexpected("a timespan such as 1d").into());
    };
    tokens.next();
    Ok(timespan_text(ticks))
}
