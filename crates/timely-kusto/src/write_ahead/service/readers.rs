//! Functions and materialized views for readers.
//!
//! A view is made of all that its table has (`backfill`), whatever comes meanwhile, and so by an `async` command. One of last
//! values follows the table's columns (`autoUpdateSchema`); one of sums has those that it was made with. Extents that a commit moves feed it, since moves give them a new ingestion time. Sources:
//! `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/create-alter-function.md`,
//! `materialized-views/materialized-view-create.md`, `materialized-views/materialized-views-limitations.md`.

use std::time::{Duration, Instant};

use kusto_client::{Effect, Error, ErrorKind, Role, quote_name, quote_string};

use super::tables::FOLDER;
use super::{Asked, Desk};
use crate::write_ahead::WriteAheadError;
use crate::write_ahead::collections::{Definition, Reader, ReaderMade};

/// Between two looks at how far a view is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Desk {
    /// Makes what the reader describes, unless it is there. A view is waited for so long.
    pub(in super::super) async fn make_reader(
        &self,
        reader: &Reader,
        patience: Duration,
    ) -> Result<ReaderMade, WriteAheadError> {
        let columns = self.target_columns().await.map_err(|error| doing("looking at the target", error))?;
        let columns: Vec<_> = columns.into_iter().map(|column| (column.name, column.kind)).collect();
        reader.check(&self.target(), &columns)?;
        let definition = reader.define(&self.table, &columns)?;
        let made_view = match &definition.view {
            Some((name, query)) => self.make_view(name, query, definition.follows_columns, patience).await?,
            None => false,
        };
        self.make_function(&definition, &reader.describe(&self.target())).await?;
        let Definition { function, view, .. } = definition;
        Ok(ReaderMade { function, view: view.map(|(name, _)| name), made_view })
    }

    /// Whether the view had to be made.
    async fn make_view(
        &self,
        name: &str,
        query: &str,
        follows: bool,
        patience: Duration,
    ) -> Result<bool, WriteAheadError> {
        let known = self.view(name).await.map_err(|error| doing("looking at materialized views", error))?;
        if let Some((source, known)) = known {
            return if source == self.table && words(&known) == words(query) {
                Ok(false)
            } else {
                Err(WriteAheadError::Refused {
                    why: format!(
                        "there is a materialized view {name} with another query ({known}); if nobody needs it, drop it with \
                         `.drop materialized-view {}`",
                        quote_name(name)
                    ),
                })
            };
        }
        let made = self.create_view(name, query, follows, patience).await;
        match made {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                Err(self.missing(Role::DatabaseAdmin { database: self.database.clone() }).await)
            }
            Err(error) => Err(doing(&format!("making the materialized view {name}"), error)),
        }
    }

    /// Source and query of a view.
    async fn view(&self, name: &str) -> Asked<Option<(String, String)>> {
        let command = format!(".show materialized-views | where Name == {}", quote_string(name));
        let answer = self.command(&command).await?;
        let (source, query) = (answer.position("SourceTable")?, answer.position("Query")?);
        let text = |row: &Vec<serde_json::Value>, at: usize| Some(row.get(at)?.as_str()?.to_owned());
        Ok(answer.rows.first().and_then(|row| Some((text(row, source)?, text(row, query)?))))
    }

    async fn create_view(&self, name: &str, query: &str, follows: bool, patience: Duration) -> Asked<()> {
        let about = quote_string(&format!("for readers of {}", self.target()));
        let begun = self
            .command(&format!(
                ".create async ifnotexists materialized-view with (backfill=true, autoUpdateSchema={follows}, folder={}, \
                 docString={about}) {} on table {} {{ {query} }}",
                quote_string(FOLDER),
                quote_name(name),
                quote_name(&self.table),
            ))
            .await?;
        let id = begun.scalar().and_then(serde_json::Value::as_str);
        let id = id.ok_or_else(|| super::garbled("an async command", "it has no operation's id"))?.to_owned();
        let asked = Instant::now();
        loop {
            let (state, status) = match self.operation(&id).await {
                Ok(found) => found,
                Err(error) if error.is_transient() => (String::new(), error.to_string()),
                Err(error) => return Err(under_way(name, &id, ErrorKind::Service, &error.to_string())),
            };
            match state.as_str() {
                "Completed" => return Ok(()),
                "InProgress" | "Scheduled" | "" if asked.elapsed() < patience => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                "InProgress" | "Scheduled" | "" => {
                    let seen = [state, status].join(" ");
                    let why = format!("not complete after {} s: {}", patience.as_secs(), seen.trim());
                    let why = why.trim_end_matches([':', ' ']);
                    return Err(under_way(name, &id, ErrorKind::Timeout, why));
                }
                _ => return Err(refusal(name, &status)),
            }
        }
    }

    /// How far an operation is: its state, and what the service says about it; both empty where it is not known.
    async fn operation(&self, id: &str) -> Asked<(String, String)> {
        let answer = self.command(&format!(".show operations {id} | project State, Status")).await?;
        let text = |at: usize| answer.rows.first().and_then(|row| row.get(at)?.as_str()).unwrap_or_default();
        Ok((text(0).to_owned(), text(1).to_owned()))
    }

    async fn make_function(&self, definition: &Definition, about: &str) -> Result<(), WriteAheadError> {
        let name = &definition.function;
        let known =
            self.folder_of(name).await.map_err(|error| doing("looking at stored functions", error))?;
        if known.as_deref().is_some_and(|folder| folder != FOLDER) {
            return Err(WriteAheadError::Refused {
                why: format!(
                    "there is a stored function {name} that is not of timely-kusto (its folder is not {FOLDER}): give the \
                     reader another name"
                ),
            });
        }
        let command = format!(
            ".create-or-alter function with (folder={}, docstring={}) {}() {{ {} }}",
            quote_string(FOLDER),
            quote_string(about),
            quote_name(name),
            definition.body,
        );
        match self.command(&command).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Forbidden && known.is_some() => {
                let principal = self.principal().await;
                Err(WriteAheadError::Rights {
                    role: format!("Function Admin on {name}"),
                    database: self.database.clone(),
                    command: format!(
                        ".add function {} admins ({})",
                        quote_name(name),
                        quote_string(&principal)
                    ),
                    principal,
                })
            }
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                Err(self.missing(Role::DatabaseUser { database: self.database.clone() }).await)
            }
            Err(error) => Err(doing(&format!("making the function {name}"), error)),
        }
    }

    /// The folder of a stored function, if there is one of that name.
    async fn folder_of(&self, function: &str) -> Asked<Option<String>> {
        let filter = format!("where Name == {} | project Folder", quote_string(function));
        let answer = self.command(&format!(".show functions | {filter}")).await?;
        Ok(answer
            .rows
            .first()
            .map(|row| row.first().and_then(|it| it.as_str()).unwrap_or_default().to_owned()))
    }
}

/// A query without what does not count.
fn words(query: &str) -> Vec<&str> {
    query.split_whitespace().collect()
}

/// The error where nobody waits for an operation any more: it takes effect, or has already, or fails.
fn under_way(view: &str, operation: &str, kind: ErrorKind, why: &str) -> Error {
    Error::new(kind, format!("make the materialized view {view}"), "the service", why)
        .with_effect(Effect::Unknown)
        .with_advice(format!(
            "The service goes on by itself, and the view may be there already: look at `.show operations {operation}`. \
             Once that says Completed, do the same again: what is there is not made twice."
        ))
}

/// The error of an operation that failed. A missing role is told by its text only.
fn refusal(view: &str, status: &str) -> Error {
    let kind = match status.contains("not authorized") || status.contains("Forbidden") {
        true => ErrorKind::Forbidden,
        false => ErrorKind::BadRequest,
    };
    Error::new(kind, format!("make the materialized view {view}"), "the service", status)
}

fn doing(what: &str, source: Error) -> WriteAheadError {
    WriteAheadError::Service { doing: what.to_owned(), source }
}
