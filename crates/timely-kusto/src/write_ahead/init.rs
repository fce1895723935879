//! The first tables, made before the first run: for who wants to see them, or has the rights that the pipeline lacks.

use commit_protocol::{Action, AnchorName, Coordinator, Fact, Nonce, Reply, Setup, StagingName};

use super::WriteAheadError;
use super::process::Process;
use super::service::{EPOCHS, reply};

/// What stands in the database for a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Initialized {
    /// The staging table, under the name that it has now.
    pub staging_table: String,
    /// The empty table that tells that the pipeline exists.
    pub anchor_table: String,
    /// The table of claims, starts and intents, which all pipelines of the database share.
    pub epochs_table: String,
    /// Whether staging table and anchor were made just now.
    pub made: bool,
    /// Whether the table of epochs was made just now.
    pub made_epochs: bool,
}

/// Does what a start does first: looks at the rights, and makes the first tables unless they are there.
pub(super) async fn init(process: &Process) -> Result<Initialized, WriteAheadError> {
    process.desk.check_rights().await?;
    let columns =
        asked(process.desk.target_columns().await)?.into_iter().map(|column| (column.name, column.kind));
    process.options.check_columns(&process.desk.target(), &columns.collect::<Vec<_>>())?;
    let had_epochs = asked(process.desk.has_epochs().await)?;
    let setup = Setup {
        lineage: process.lineage,
        nonce: Nonce(rand::random()),
        workers: 1,
        sources_replay: true,
        local_logs: process.has_local_logs(),
        sums_over: None,
        limits: process.options.limits(),
    };
    let (mut coordinator, mut action) = Coordinator::start(setup);
    let mut made = false;
    loop {
        let fact = match &action {
            Action::ListNames => Fact::Names(asked(process.desk.names().await)?),
            Action::Create(permit) => match process.desk.create(permit).await {
                Ok(()) => {
                    made = true;
                    Fact::Replied(Reply::Done)
                }
                Err(error) => Fact::Replied(reply(&error, commit_protocol::Patience::Over)),
            },
            // The tables are there; whoever runs renames.
            Action::Rename(permit) => return Ok(initialized(permit.from(), made, made && !had_epochs)),
            _ => return Err(WriteAheadError::Ended),
        };
        action = coordinator.decide(fact)?;
    }
}

fn initialized(staging: StagingName, made: bool, made_epochs: bool) -> Initialized {
    Initialized {
        staging_table: staging.to_string(),
        anchor_table: AnchorName(staging.lineage).to_string(),
        epochs_table: EPOCHS.to_owned(),
        made,
        made_epochs,
    }
}

fn asked<T>(answer: Result<T, kusto_client::Error>) -> Result<T, WriteAheadError> {
    let doing = || "looking at the tables of the pipeline".to_owned();
    answer.map_err(|source| WriteAheadError::Service { doing: doing(), source })
}
