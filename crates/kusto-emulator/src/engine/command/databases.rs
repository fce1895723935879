//! Databases: made by the emulator's start, shown by commands.

use super::super::Engine;
use super::super::change::Change;
use super::super::error::EngineResult;
use super::super::names;
use super::super::transaction::Decision;

/// See [`Engine::create_database`].
pub(in super::super) fn create(engine: &Engine, name: &str) -> EngineResult<()> {
    names::validate("Database", name)?;
    engine.transact(|state| match state.find_database(name) {
        Some(_) => Ok(Decision::nothing(())),
        None => {
            let change = Change::CreateDatabase { name: name.to_owned(), id: engine.new_id() };
            Ok(Decision::new(vec![change], ()))
        }
    })
}
