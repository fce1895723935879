//! The first tables, made before the first run: for who wants to see them, or has the rights that the pipeline lacks.

use commit_protocol::{Action, Coordinator, Fact, Nonce, Reply, Setup, StagingName};

use super::WriteAheadError;
use super::process::Process;
use super::service::reply;

/// What stands in the database for a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Initialized {
    /// The staging table, under the name that it has now.
    pub staging_table: String,
    /// Whether it was made just now.
    pub made: bool,
}

/// Does what a start does first: looks at the rights, and makes the first tables unless they are there.
pub(super) async fn init(process: &Process) -> Result<Initialized, WriteAheadError> {
    process.desk.check_rights().await?;
    let setup = Setup {
        lineage: process.lineage,
        nonce: Nonce(rand::random()),
        workers: 1,
        sources_replay: true,
        local_logs: process.has_local_logs(),
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
            Action::Rename(permit) => return Ok(initialized(permit.from(), made)),
            _ => return Err(WriteAheadError::Ended),
        };
        action = coordinator.decide(fact)?;
    }
}

fn initialized(staging: StagingName, made: bool) -> Initialized {
    Initialized { staging_table: staging.to_string(), made }
}

fn asked<T>(answer: Result<T, kusto_client::Error>) -> Result<T, WriteAheadError> {
    let doing = || "looking at the tables of the pipeline".to_owned();
    answer.map_err(|source| WriteAheadError::Service { doing: doing(), source })
}
