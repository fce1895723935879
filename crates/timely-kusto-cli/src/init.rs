//! `timely-kusto init`: the tables of a write-ahead pipeline, before its first run.

use std::path::PathBuf;

use clap::Args;
use kusto_client::{ErrorKind, ServiceExt, quote_string};
use pipelines::Pipeline;
use timely_kusto::WriteAheadError;

use crate::ahead::Ahead;
use crate::exit::{Exit, Stop};
use crate::runtime::runtime;

pub(crate) const EXAMPLES: &str = "\
Examples:
  timely-kusto init pipeline.toml                      again as often as you like: it makes what is missing

Made: the target where `create = true` and it is missing; kt_epochs, a staging table and an anchor, empty,
with policies of their own. `run` makes them, too: use init to see it done, or with a principal that may
create tables where the one of the pipeline may not. With `collection` in [sink], also the function that
shows the collection, and its materialized view, of all that the table has by then.
Exit codes: 0 all is there, 2 a right is missing (with the commands that grant it).";

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The pipeline's configuration file
    #[arg(value_name = "PIPELINE.TOML")]
    config: PathBuf,
}

/// Makes what is missing and says what it made.
pub(crate) fn init(arguments: &InitArguments) -> Result<Exit, Stop> {
    let ahead = Ahead::read(&arguments.config)?;
    if let Some(command) = make_target(&ahead)? {
        println!("made {} with\n  {command}", ahead.target());
    }
    let missing = ahead.sink.missing_rights()?;
    if !missing.is_empty() {
        return Err(grants(&missing));
    }
    let tables = ahead.sink.init()?;
    let say = |made: bool, table: &str, what: &str| {
        println!("{} {table}, {what}", if made { "made" } else { "there" });
    };
    say(
        tables.made_epochs,
        &tables.epochs_table,
        "claims, starts and intents of all pipelines of the database",
    );
    say(tables.made, &tables.staging_table, &format!("the staging table for {}", ahead.target()));
    say(tables.made, &tables.anchor_table, "which tells that the pipeline exists");
    if let Some(reader) = &ahead.options.sink.reader {
        let made = ahead.sink.init_reader(reader)?;
        if let Some(view) = &made.view {
            say(made.made_view, view, &format!("the materialized view of {}", ahead.target()));
        }
        println!("there {}(), which shows the collection in {}", made.function, ahead.target());
    }
    println!("no grant is missing");
    Ok(Exit::Done)
}

/// Makes the target if it is missing and the file says so; the command that did. The source is looked at only then.
fn make_target(ahead: &Ahead) -> Result<Option<String>, Stop> {
    let runtime = runtime()?;
    let (service, write) = (&*ahead.connected.service, &ahead.options.sink.write);
    let look =
        format!(".show tables | where TableName == {} | project TableName", quote_string(write.table()));
    let found = match runtime.block_on(service.execute(write.database(), &look)) {
        Err(error) if error.kind() == ErrorKind::Forbidden => return Ok(None), // said with the other rights
        found => found.map_err(Stop::failed)?,
    };
    if found.iter().any(|table| !table.rows.is_empty()) {
        return Ok(None);
    }
    let prepare = Pipeline::prepare(ahead.options.clone(), service, &ahead.connected.name);
    Ok(runtime.block_on(prepare)?.created().map(str::to_owned))
}

/// All that is missing, with the commands to paste.
fn grants(missing: &[WriteAheadError]) -> Stop {
    let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
    Stop::bad_configuration(format!("{}\nThen run init again", lines.join("\n")))
}
