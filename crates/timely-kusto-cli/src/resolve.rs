//! `timely-kusto resolve`: a person's decision, recorded for the next start.

use std::path::PathBuf;

use clap::Args;
use timely_kusto::Verdict;

use crate::ahead::Ahead;
use crate::exit::{Exit, Stop};

pub(crate) const EXAMPLES: &str = "\
Examples:
  timely-kusto resolve pipeline.toml                   shows what is to be decided, and records nothing
  timely-kusto resolve pipeline.toml --committed       its rows are in the table
  timely-kusto resolve pipeline.toml --restage         none of its rows is in the table

For a start that ended with \"may or may not be in the target\". Count the rows of these epochs in the table
first: a wrong decision loses rows or repeats them, and a decision is not taken back.
Exit codes: 0 recorded, 2 nothing to decide or evidence speaks against it, 4 shown, and a person has to decide.";

#[derive(Debug, Args)]
pub(crate) struct ResolveArguments {
    /// The pipeline's configuration file
    #[arg(value_name = "PIPELINE.TOML")]
    config: PathBuf,
    /// Record that the rows without evidence are in the table
    #[arg(long, conflicts_with = "restage")]
    committed: bool,
    /// Record that none of the intent's rows is in the table: they are staged, or read, again
    #[arg(long)]
    restage: bool,
}

/// Shows the intent and records the decision about it. Nothing is asked.
pub(crate) fn resolve(arguments: &ResolveArguments) -> Result<Exit, Stop> {
    let ahead = Ahead::read(&arguments.config)?;
    let Some(undecided) = ahead.sink.undecided()? else {
        return Err(Stop::bad_configuration(format!(
            "there is nothing to decide for {}: its last intent is settled, or the next start settles it by itself or \
             by a decision that is recorded already",
            ahead.target()
        )));
    };
    print!("{undecided}");
    let verdict = match (arguments.committed, arguments.restage) {
        (true, _) => Verdict::Committed,
        (_, true) => Verdict::Restage,
        _ => {
            return Err(Stop::needs_person(
                "nothing is recorded: count the rows of these epochs in the table, then say --committed if they are \
                 there, --restage if none is",
            ));
        }
    };
    ahead.sink.resolve(&undecided, verdict)?;
    let what = match verdict {
        Verdict::Committed => "its rows are in the table; the next start goes on behind them",
        Verdict::Restage => "none of its rows is in the table; the next start stages or reads them again",
    };
    println!("recorded about {}: {what}", undecided.intent());
    Ok(Exit::Done)
}
