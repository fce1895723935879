//! `with (name = value, ...)` behind commands.

use serde_json::{Map, Value as Json};

use super::super::batch::IngestionProperties;
use super::super::error::{EngineError, EngineResult};
use super::Session;
use crate::data::{Value, write_value_text};
use crate::kql::{Kind, Punct, Tokens};

/// Takes `with (...)` if it comes next. Values are literals or bare words.
pub(super) fn parse(tokens: &mut Tokens<'_>) -> EngineResult<Map<String, Json>> {
    let mut properties = Map::new();
    if !tokens.eat_word("with") {
        return Ok(properties);
    }
    tokens.expect(Punct::Open)?;
    while !tokens.eat(Punct::Close) {
        let name = match tokens.eat_name() {
            Some(name) => name,
            None => tokens.expect_text("a property name")?,
        };
        tokens.expect(Punct::Assign)?;
        properties.insert(name, value(tokens)?);
        if !tokens.eat(Punct::Comma) {
            tokens.expect(Punct::Close)?;
            break;
        }
    }
    Ok(properties)
}

fn value(tokens: &mut Tokens<'_>) -> EngineResult<Json> {
    if let Some(text) = tokens.eat_text() {
        return Ok(Json::String(text));
    }
    let token = tokens.peek().clone();
    let json = match token.kind {
        Kind::Literal(Value::Bool(flag), _) => Json::Bool(flag),
        Kind::Literal(Value::Long(number), _) => Json::from(number),
        Kind::Literal(value, _) => {
            let mut text = String::new();
            write_value_text(&value, &mut text);
            Json::String(text)
        }
        Kind::Word => match tokens.text_of(&token) {
            "true" | "True" => Json::Bool(true),
            "false" | "False" => Json::Bool(false),
            word => Json::String(word.to_owned()),
        },
        _ => return Err(tokens.unexpected("the value of a property").into()),
    };
    tokens.next();
    Ok(json)
}

/// The properties that only commands have, taken out of the map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TableProperties {
    pub(super) docstring: Option<String>,
    pub(super) folder: Option<String>,
    pub(super) hidden: Option<bool>,
    pub(super) extend_schema: bool,
    pub(super) recreate_schema: bool,
}

impl TableProperties {
    /// Takes out what concerns the table.
    ///
    /// # Errors
    /// 400 if a value has the wrong type.
    pub(super) fn take(session: &Session<'_>, properties: &mut Map<String, Json>) -> EngineResult<Self> {
        let mut taken = Self::default();
        let names: Vec<String> = properties.keys().cloned().collect();
        for name in names {
            match name.to_ascii_lowercase().as_str() {
                "docstring" => taken.docstring = Some(text(properties, &name)?),
                "folder" => taken.folder = Some(text(properties, &name)?),
                "hidden" => {
                    session.needs_undocumented("the property hidden")?;
                    taken.hidden = Some(flag(properties, &name)?);
                }
                "extend_schema" => taken.extend_schema = flag(properties, &name)?,
                "recreate_schema" => taken.recreate_schema = flag(properties, &name)?,
                _ => {}
            }
        }
        Ok(taken)
    }
}

/// Refuses properties that are left.
pub(super) fn refuse_others<'a>(
    command: &str,
    mut left: impl Iterator<Item = &'a String>,
) -> EngineResult<()> {
    match left.next() {
        None => Ok(()),
        Some(name) => {
            Err(EngineError::bad_request(format!("{command} does not know the property '{name}'.")))
        }
    }
}

/// Reads ingestion properties, refusing unknown ones.
pub(super) fn ingestion(command: &str, properties: &Map<String, Json>) -> EngineResult<IngestionProperties> {
    let read = IngestionProperties::from_json(properties)?;
    refuse_others(command, read.unknown.iter())?;
    Ok(read)
}

fn text(properties: &mut Map<String, Json>, name: &str) -> EngineResult<String> {
    match properties.remove(name) {
        Some(Json::String(text)) => Ok(text),
        other => Err(EngineError::bad_request(format!("property {name} must be a string, not {other:?}."))),
    }
}

/// Takes a flag out of the properties.
pub(super) fn flag(properties: &mut Map<String, Json>, name: &str) -> EngineResult<bool> {
    match properties.remove(name) {
        Some(Json::Bool(flag)) => Ok(flag),
        Some(Json::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Json::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(EngineError::bad_request(format!("property {name} must be true or false."))),
    }
}
