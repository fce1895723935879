//! `.replace extents`: drops extents of a table and moves others into it, in one transaction.

use uuid::Uuid;

use super::super::catalog::State;
use super::super::change::Change;
use super::super::error::{EngineError, EngineResult};
use super::super::roles::TableAction;
use super::super::transaction::Decision;
use super::extents::{Listed, Move, Moves, listed_by, moved_result, moves, word};
use super::{Session, end, operations};
use crate::assumptions::MissingExtents;
use crate::data::ResultTable;
use crate::kql::{Kind, Punct, Tokens};

/// `.replace [async] extents in table D [with (...)] <| { query of what to drop }, { query of what to move in }`.
pub(super) fn run(session: &Session<'_>, tokens: &mut Tokens<'_>) -> EngineResult<ResultTable> {
    let asynchronous = tokens.eat_word("async");
    word(tokens, "extents")?;
    word(tokens, "in")?;
    let request = Move::into_table(session, tokens)?;
    tokens.expect(Punct::LessPipe)?;
    let to_drop = braced(tokens)?;
    tokens.expect(Punct::Comma)?;
    let to_move = braced(tokens)?;
    end(tokens)?;
    operations::run(session, "ExtentsReplace", asynchronous, || {
        let (out, into) = (listed_by(session, to_drop)?, listed_by(session, to_move)?);
        session.transact(|state| decide(session, state, &request, &out, &into))
    })
}

/// Takes `{ text }`; braces within belong to the text.
fn braced<'a>(tokens: &mut Tokens<'a>) -> EngineResult<&'a str> {
    tokens.expect(Punct::OpenBrace)?;
    let (text, start) = (tokens.rest(), tokens.position());
    let mut depth = 1;
    loop {
        let token = tokens.peek().clone();
        match token.kind {
            Kind::Punct(Punct::OpenBrace) => depth += 1,
            Kind::Punct(Punct::CloseBrace) => depth -= 1,
            Kind::End | Kind::Invalid(_) => return Err(tokens.unexpected("'}'").into()),
            _ => {}
        }
        tokens.next();
        if depth == 0 {
            return Ok(&text[..token.start - start]);
        }
    }
}

fn decide(
    session: &Session<'_>,
    state: &State,
    request: &Move,
    out: &[Listed],
    into: &[Listed],
) -> EngineResult<Decision<ResultTable>> {
    let (database, target) = session.table(state, &request.target)?;
    session.rights(state).on_table(database, target, TableAction::Administer)?;
    let mut dropped: Vec<Uuid> = Vec::with_capacity(out.len());
    for (id, _) in out {
        if target.extent(*id).is_none() {
            return Err(EngineError::not_found("Extent", &id.to_string()));
        }
        if !dropped.contains(id) {
            dropped.push(*id);
        }
    }
    // Half a replacement would lose rows: what is gone is refused, whatever a plain move does.
    let Moves { changes: moved_changes, moved, .. } =
        moves(session, state, request, Some(into), MissingExtents::Refused)?;
    let mut changes = Vec::with_capacity(moved_changes.len() + 1);
    if !dropped.is_empty() {
        let (database, table) = (database.name.clone(), target.name.clone());
        changes.push(Change::DropExtents { database, table, ids: dropped.clone() });
    }
    changes.extend(moved_changes);
    request.takes(session, dropped.len() + moved.len());
    let dropped = dropped.into_iter().map(|id| (id, String::new(), ""));
    let rows = dropped.chain(moved.into_iter().map(|(old, new)| (old, new.to_string(), "")));
    Ok(Decision::new(changes, moved_result(rows)))
}
