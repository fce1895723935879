//! `timely-kusto log`: what lies in epoch files, for people and scripts. Nothing is locked, changed or removed.
//!
//! A pipeline that runs may remove files meanwhile; they are left out.

mod found;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use epoch_log::inspect;
use serde_json::json;

use self::found::{Directory, directories};
use crate::exit::{Exit, Stop};

pub(crate) const EXAMPLES: &str = "\
Examples:
  timely-kusto log ls state/storms                     generations, workers, epochs, rows, bytes
  timely-kusto log show state/storms                   each file: bounds, chunks, positions
  timely-kusto log verify state/storms                 reads all of it against its checksums
  timely-kusto log verify state/storms --json

DIR is the `state` of a pipeline, or a directory in it: of a lineage, of a start (g3-...), of a worker (w0).
Exit codes: 0 in order, 2 no such directory, 4 something is damaged or does not belong there.";

#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    #[command(subcommand)]
    look: Look,
}

#[derive(Debug, Subcommand)]
enum Look {
    /// One line for each worker of each start
    Ls(Place),
    /// One line for each file, its chunks and its positions
    Show(Place),
    /// Read every byte against its checksum
    Verify(Place),
}

#[derive(Debug, Args)]
struct Place {
    /// The pipeline's `state`, or a directory in it
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Looks and prints.
pub(crate) fn log(arguments: &LogArguments) -> Result<Exit, Stop> {
    let (place, found) = match &arguments.look {
        Look::Ls(place) | Look::Show(place) => (place, directories(&place.dir, inspect::show)?),
        Look::Verify(place) => (place, directories(&place.dir, inspect::verify)?),
    };
    let damage: Vec<String> = found.iter().flat_map(Directory::damage).collect();
    if place.json {
        let directories: Vec<_> = found.iter().map(show::json).collect();
        println!("{}", json!({ "directories": directories, "damage": damage }));
    } else {
        println!("{}", text(&arguments.look, &found));
    }
    match damage.as_slice() {
        [] => Ok(Exit::Done),
        damage => Err(damaged(damage)),
    }
}

fn text(look: &Look, found: &[Directory]) -> String {
    let verified = || {
        let bytes = found.iter().map(Directory::bytes).sum();
        let files: usize = found.iter().map(|it| it.files.len()).sum();
        format!("read {files} files, {}", indicatif::HumanBytes(bytes))
    };
    match look {
        _ if found.is_empty() => "no epoch files".to_owned(),
        Look::Ls(_) => show::list(found),
        Look::Show(_) => found.iter().map(show::details).collect::<Vec<_>>().join("\n"),
        Look::Verify(_) => format!("{}\n{}", show::list(found).trim_end(), verified()),
    }
}

/// Lines of an error; more would not fit on a screen, and `--json` has them all.
const LINES: usize = 10;

fn damaged(damage: &[String]) -> Stop {
    let mut lines: Vec<&str> = damage.iter().take(LINES).map(String::as_str).collect();
    let more = format!("and {} more", damage.len().saturating_sub(LINES));
    if damage.len() > LINES {
        lines.push(&more);
    }
    Stop::needs_person(format!(
        "epoch files are damaged; a start that needs them stops, too:\n  {}\nBring the files back from a copy of the \
         disk. Without one: where the source can be read again, move the start's directory away, and the next start \
         reads again what it held",
        lines.join("\n  ")
    ))
}
