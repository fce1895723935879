//! `.show ...`, and the operators that may stand behind it.

use serde_json::{Map, Value as Json, json};

use super::super::catalog::{Database, State, Table};
use super::super::error::EngineResult;
use super::super::policy::PolicyKind;
use super::super::query;
use super::super::roles::{DatabaseAction, TableAction};
use super::entity::Entity;
use super::operations::guid;
use super::{
    Session, encoding, end, extents, functions, mappings, operations, policies, principals, properties,
    result, schema, views,
};
use crate::data::{ColumnType, ResultTable, Value};
use crate::kql::{Punct, Tokens};

/// Runs the command, then the operators behind it.
pub(super) fn run(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let shown = show(session, tokens)?;
    if tokens.is(Punct::Pipe) {
        return query::pipe(session, shown, tokens.rest());
    }
    end(tokens)?;
    Ok(shown)
}

fn show(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    match tokens.word() {
        Some("tables") => tables(session, tokens),
        Some("table") => {
            let entity = Entity::parse(session, tokens)?;
            let Entity::Table(name) = &entity else { return Err(tokens.unexpected("a table").into()) };
            table(session, name, &entity, tokens)
        }
        Some("column") => encoding::show(session, tokens),
        Some("databases") => databases(session, tokens),
        Some("database") => database(session, tokens),
        Some("version") => version(tokens),
        Some("operations" | "operation") => operations::show(session, tokens),
        Some("ingestion") => {
            tokens.next();
            operations::show_failures(session, tokens)
        }
        Some("principal") if tokens.word_nth(1) == Some("access") => principals::access(session, tokens),
        Some("principal") => {
            tokens.next();
            own_roles(session, None, tokens)
        }
        Some("cluster") => cluster(session, tokens),
        Some("function" | "functions") => functions::show(session, tokens),
        Some("materialized") => views::show(session, tokens),
        _ => Err(tokens.unexpected("something that the local cluster can show, such as 'tables'").into()),
    }
}

/// `.show cluster extents ...`, `.show cluster policy <kind>`, `.show cluster principal roles`.
fn cluster(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    match tokens.word() {
        Some("extents") => {
            tokens.next();
            extents::show_cluster(session, tokens)
        }
        Some("policy") => policies::show(session, &Entity::Cluster, tokens),
        Some("principal") => {
            tokens.next();
            own_roles(session, None, tokens)
        }
        _ => Err(tokens.unexpected("'extents', 'policy' or 'principal roles'").into()),
    }
}

fn own_roles(
    session: &Session<'_>,
    entity: Option<&Entity>,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    if !tokens.eat_word("roles") {
        return Err(tokens.unexpected("'roles'").into());
    }
    principals::own_roles(session, entity)
}

const TABLES: [(&str, ColumnType); 4] = [
    ("TableName", ColumnType::String),
    ("DatabaseName", ColumnType::String),
    ("Folder", ColumnType::String),
    ("DocString", ColumnType::String),
];

/// `.show tables [(A, B)] [details | extents ...]`.
fn tables(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    let names = if tokens.is(Punct::Open) { Some(super::names(tokens, "a table name")?) } else { None };
    if names.is_some() && tokens.eat_word("extents") {
        return extents::show(session, session.database, names.as_deref(), tokens);
    }
    let with_details = tokens.eat_word("details");
    let mut given = properties::parse(tokens)?;
    let hidden = given.contains_key("IncludeHiddenTables");
    if hidden {
        session.needs_undocumented("IncludeHiddenTables")?;
    }
    let hidden = hidden && properties::flag(&mut given, "IncludeHiddenTables")?;
    properties::refuse_others(".show tables", given.keys())?;
    let state = session.snapshot();
    let database = session.context_database(&state)?;
    session.rights(&state).on_database(database, DatabaseAction::Show)?;
    let listed = |table: &&Table| match &names {
        Some(names) => names.contains(&table.name),
        None => hidden || !table.hidden,
    };
    let tables = database.tables.values().map(|table| &**table).filter(listed);
    Ok(if with_details { details(&state, database, tables) } else { listing(database, tables) })
}

fn listing<'t>(database: &Database, tables: impl Iterator<Item = &'t Table>) -> ResultTable {
    let row = |table: &Table| {
        [&table.name, &database.name, &table.folder, &table.docstring].map(|t| t.as_str().into()).to_vec()
    };
    result(&TABLES, tables.map(row).collect())
}

/// `.show table T ...`; the table's name was taken.
fn table(
    session: &Session<'_>,
    name: &str,
    entity: &Entity,
    tokens: &mut Tokens<'_>,
) -> EngineResult<ResultTable> {
    match tokens.word() {
        Some("policy") => return policies::show(session, entity, tokens),
        Some("ingestion") => {
            tokens.next();
            return mappings::show(session, entity, tokens);
        }
        Some("extents") => {
            tokens.next();
            return extents::show(session, session.database, Some(&[name.to_owned()]), tokens);
        }
        Some("principals") => {
            tokens.next();
            return principals::show(session, entity);
        }
        Some("principal") => {
            tokens.next();
            return own_roles(session, Some(entity), tokens);
        }
        _ => {}
    }
    let state = session.snapshot();
    let (database, table) = session.table(&state, name)?;
    session.rights(&state).on_table(database, table, TableAction::Show)?;
    if tokens.eat_word("cslschema") {
        return Ok(schema::show_csl(database, table));
    }
    if tokens.eat_word("details") {
        return Ok(details(&state, database, std::iter::once(&**table)));
    }
    if tokens.eat_word("schema") {
        as_json(tokens)?;
        return Ok(schema::show_json(database, table));
    }
    Ok(listing(database, std::iter::once(&**table)))
}

fn as_json(tokens: &mut Tokens<'_>) -> EngineResult<()> {
    if tokens.eat_word("as") && tokens.eat_word("json") {
        Ok(())
    } else {
        Err(tokens.unexpected("'as json'").into())
    }
}

const DATABASES: [(&str, ColumnType); 8] = [
    ("DatabaseName", ColumnType::String),
    ("PersistentStorage", ColumnType::String),
    ("Version", ColumnType::String),
    ("IsCurrent", ColumnType::Bool),
    ("DatabaseAccessMode", ColumnType::String),
    ("PrettyName", ColumnType::String),
    ("ReservedSlot1", ColumnType::Bool),
    ("DatabaseId", ColumnType::Guid),
];

/// `.show databases`: those that the caller may see.
fn databases(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    let state = session.snapshot();
    let rights = session.rights(&state);
    let visible = |database: &&Database| {
        rights.on_database(database, DatabaseAction::Show).is_ok()
            || rights.database_roles(database).next().is_some()
    };
    let databases = state.databases.values().map(|database| &**database).filter(visible);
    Ok(result(&DATABASES, databases.map(|database| database_row(session, database)).collect()))
}

fn database_row(session: &Session<'_>, database: &Database) -> Vec<Value> {
    let current = database.name.eq_ignore_ascii_case(session.database);
    vec![
        database.name.as_str().into(),
        "".into(),
        "v1.0".into(),
        current.into(),
        "ReadWrite".into(),
        "".into(),
        Value::Null,
        guid(database.id),
    ]
}

/// `.show database [D] [schema ... | extents ... | principals | policy ... | ingestion ...]`.
fn database(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    let named = match tokens.word() {
        Some("schema" | "extents" | "principals" | "principal" | "policy" | "ingestion" | "details") => None,
        _ => tokens.eat_name(),
    };
    let name = named.unwrap_or_else(|| session.database.to_owned());
    let entity = Entity::Database(name.clone());
    match tokens.word() {
        Some("policy") => return policies::show(session, &entity, tokens),
        Some("ingestion") => {
            tokens.next();
            return mappings::show(session, &entity, tokens);
        }
        Some("extents") => {
            tokens.next();
            return extents::show(session, &name, None, tokens);
        }
        Some("principals") => {
            tokens.next();
            return principals::show(session, &entity);
        }
        Some("principal") => {
            tokens.next();
            return own_roles(session, Some(&entity), tokens);
        }
        _ => {}
    }
    let state = session.snapshot();
    let database = state.database(&name)?;
    session.rights(&state).on_database(database, DatabaseAction::Show)?;
    if !tokens.eat_word("schema") {
        return Ok(result(&DATABASES, vec![database_row(session, database)]));
    }
    if tokens.word() == Some("as") {
        as_json(tokens)?;
        return Ok(database_schema_json(database));
    }
    Ok(database_schema(database))
}

fn database_schema(database: &Database) -> ResultTable {
    let columns = [
        ("DatabaseName", ColumnType::String),
        ("TableName", ColumnType::String),
        ("ColumnName", ColumnType::String),
        ("ColumnType", ColumnType::String),
        ("IsDefaultTable", ColumnType::Bool),
        ("IsDefaultColumn", ColumnType::Bool),
        ("PrettyName", ColumnType::String),
        ("Version", ColumnType::String),
    ];
    let row = |table: &str, column: &str, ty: &str, version: &str| {
        let text = |text: &str| Value::from(text);
        let no = || Value::from(false);
        vec![text(&database.name), text(table), text(column), text(ty), no(), no(), text(""), text(version)]
    };
    let mut rows = vec![row("", "", "", "v1.0")];
    for table in database.tables.values() {
        rows.push(row(&table.name, "", "", ""));
        let columns = table.schema.columns.iter();
        rows.extend(columns.map(|column| row(&table.name, &column.name, column.ty.system_name(), "")));
    }
    result(&columns, rows)
}

fn database_schema_json(database: &Database) -> ResultTable {
    let table = |table: &Table| {
        let mut shown = schema::ordered_columns(table);
        shown["Folder"] = Json::String(table.folder.clone());
        shown["DocString"] = Json::String(table.docstring.clone());
        (table.name.clone(), shown)
    };
    let tables: Map<_, _> = database.tables.values().map(|t| table(t)).collect();
    let mut databases = Map::new();
    databases.insert(
        database.name.clone(),
        json!({
            "Name": database.name, "Tables": tables, "MajorVersion": 1, "MinorVersion": 0, "Functions": {},
            "DatabaseAccessMode": "ReadWrite", "ExternalTables": {}, "MaterializedViews": {},
        }),
    );
    let text = json!({ "Databases": databases }).to_string();
    result(&[("DatabaseSchema", ColumnType::String)], vec![vec![Value::string(text)]])
}

/// `.show version`.
fn version(tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    tokens.next();
    let columns = [
        ("BuildVersion", ColumnType::String),
        ("BuildTime", ColumnType::DateTime),
        ("ServiceType", ColumnType::String),
        ("ProductVersion", ColumnType::String),
    ];
    let version = env!("CARGO_PKG_VERSION");
    let product = format!("kusto-emulator {version}");
    let row = vec![
        version.into(),
        Value::DateTime(crate::data::UNIX_EPOCH),
        "Engine".into(),
        product.as_str().into(),
    ];
    Ok(result(&columns, vec![row]))
}

const DETAILS: [(&str, ColumnType); 21] = [
    ("TableName", ColumnType::String),
    ("DatabaseName", ColumnType::String),
    ("Folder", ColumnType::String),
    ("DocString", ColumnType::String),
    ("TotalExtents", ColumnType::Long),
    ("TotalExtentSize", ColumnType::Real),
    ("TotalOriginalSize", ColumnType::Real),
    ("TotalRowCount", ColumnType::Long),
    ("HotExtents", ColumnType::Long),
    ("HotExtentSize", ColumnType::Real),
    ("HotOriginalSize", ColumnType::Real),
    ("HotRowCount", ColumnType::Long),
    ("AuthorizedPrincipals", ColumnType::String),
    ("RetentionPolicy", ColumnType::String),
    ("CachingPolicy", ColumnType::String),
    ("ShardingPolicy", ColumnType::String),
    ("MergePolicy", ColumnType::String),
    ("StreamingIngestionPolicy", ColumnType::String),
    ("MinExtentsCreationTime", ColumnType::DateTime),
    ("MaxExtentsCreationTime", ColumnType::DateTime),
    ("RowOrderPolicy", ColumnType::String),
];

fn details<'t>(state: &State, database: &Database, tables: impl Iterator<Item = &'t Table>) -> ResultTable {
    result(&DETAILS, tables.map(|table| details_row(state, database, table)).collect())
}

fn details_row(state: &State, database: &Database, table: &Table) -> Vec<Value> {
    let extents = || table.extents.iter();
    let count = Value::Long(table.extents.len() as i64);
    let stored = Value::Real(extents().map(|extent| extent.stored_size).sum::<u64>() as f64);
    let original = Value::Real(extents().map(|extent| extent.original_size).sum::<u64>() as f64);
    let rows = Value::Long(table.row_count().try_into().unwrap_or(i64::MAX));
    let in_force = |kind: PolicyKind| {
        let policy = state.policy(database, Some(table), kind);
        Value::string(policy.map_or_else(|| "null".to_owned(), Json::to_string))
    };
    let moment = |moment: Option<i64>| moment.map_or(Value::Null, Value::DateTime);
    let mut row: Vec<Value> = [&table.name, &database.name, &table.folder, &table.docstring]
        .map(|text| text.as_str().into())
        .to_vec();
    row.extend([
        count.clone(),
        stored.clone(),
        original.clone(),
        rows.clone(),
        count,
        stored,
        original,
        rows,
    ]);
    row.push(Value::string(authorized(table).to_string()));
    row.extend(
        [
            PolicyKind::Retention,
            PolicyKind::Caching,
            PolicyKind::Sharding,
            PolicyKind::Merge,
            PolicyKind::StreamingIngestion,
        ]
        .map(in_force),
    );
    row.push(moment(extents().map(|extent| extent.created).min()));
    row.push(moment(extents().map(|extent| extent.created).max()));
    row.push(Value::from("null"));
    row
}

fn authorized(table: &Table) -> Json {
    let grants = table.grants.iter().map(|grant| {
        let principal = &grant.principal;
        json!({
            "Type": principal.kind.title(), "DisplayName": principal.id, "ObjectId": principal.id,
            "FQN": principal.fqn(), "Notes": grant.notes,
        })
    });
    Json::Array(grants.collect())
}
