//! `timely-kusto assumptions`.

use std::sync::Arc;

use kusto_client::ErrorKind;
use timely_kusto::assumptions::{Answer, AskOptions, Report, Verdict, ask};
use tokio::sync::Notify;

use crate::args::AssumptionsArguments;
use crate::exit::{Exit, Stop};
use crate::runtime::runtime;
use crate::{query, signals};

/// Asks the cluster and prints the answers: each as it comes, or one object at the end.
pub(crate) fn assumptions(arguments: &AssumptionsArguments) -> Result<Exit, Stop> {
    let runtime = runtime()?;
    let (connected, database) = query::target(&arguments.config, &arguments.cluster, &arguments.database)?;
    let stop = Arc::new(Notify::new());
    let asked = Arc::clone(&stop);
    let words = "stopping: dropping the tables (again to stop at once)";
    let signalled = signals::watch(&runtime, words, move || asked.notify_one())?;
    let mut options = AskOptions::default();
    options.ingestion_deadline = arguments.ingestion_deadline;
    options.grace = arguments.grace;
    options.only = arguments.only.clone();
    let progress = |answer: &Answer| {
        if arguments.json {
            eprintln!("{:<10}  {}", answer.verdict, answer.asks);
        } else {
            println!("{answer}");
        }
    };
    let report = runtime.block_on(ask(&*connected.service, &database, &options, stop.notified(), progress));
    let report = report.map_err(refused)?;
    if arguments.json {
        println!("{}", json(&report)?);
    } else {
        print!("{report}");
    }
    Ok(signalled.get().map_or_else(|| exit(report.verdict()), Exit::Signalled))
}

fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Holds | Verdict::Costs => Exit::Done,
        Verdict::Unanswered => Exit::Failed,
        Verdict::Breaks => Exit::NeedsPerson,
    }
}

fn json(report: &Report) -> Result<String, Stop> {
    let mut object = serde_json::to_value(report).map_err(Stop::failed)?;
    object["verdict"] = serde_json::to_value(report.verdict()).map_err(Stop::failed)?;
    Ok(object.to_string())
}

/// What a person has to mend before anything can be asked is bad configuration.
fn refused(error: kusto_client::Error) -> Stop {
    match error.kind() {
        ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::SignIn | ErrorKind::BadRequest => {
            Stop::bad_configuration(error)
        }
        _ => Stop::failed(error),
    }
}
