//! `timely-kusto run`.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use indicatif::{HumanBytes, HumanCount};
use kusto_client::{Service, ServiceExt, Table};
use pipelines::options::SinkMode;
use pipelines::{Monitor, Pipeline, PipelineOptions, Report, RetriedFor, StopHandle, Topology};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::args::{ReportForm, RunArguments};
use crate::cluster::{Connected, connect};
use crate::config::{self, Cluster};
use crate::exit::{Exit, Signal, Stop};
use crate::metrics::About;
use crate::progress::Display;
use crate::runtime::runtime;
use crate::{metrics, print, signals, supervise};

/// Runs the pipeline and prints what became of it.
pub(crate) fn run(arguments: &RunArguments) -> Result<Exit, Stop> {
    match arguments.restarts {
        None if arguments.restart_on_failure => return supervise::supervise(arguments),
        None => {}
        Some(_) => supervise::end_with_supervisor(),
    }
    let monitor = match arguments.restarts {
        Some(_) => Monitor::telling(supervise::tell),
        None => Monitor::new(),
    };
    let mut outcome = run_pipeline(arguments, &monitor);
    if let Err(stop) = &mut outcome
        && stop.exit == Exit::FailedAlone
        && arguments.restarts.is_none()
    {
        stop.exit = Exit::Failed; // the difference is for a supervisor
    }
    if arguments.report == ReportForm::Json {
        println!("{}", outcome.as_ref().map_or_else(failure_json, success_json));
    }
    let stopping = || monitor.read().is_some_and(|reading| reading.report.stopped);
    match outcome {
        Err(mut stop)
            if matches!(stop.exit, Exit::Failed | Exit::FailedAlone)
                && arguments.restarts.is_some()
                && stopping() =>
        {
            stop.exit = Exit::FailedStopping;
            Err(stop)
        }
        outcome => outcome.map(|done| done.exit),
    }
}

/// What a run that did not fail has to tell.
struct Done {
    exit: Exit,
    report: Report,
    answers: Vec<(String, Vec<Table>)>,
}

fn run_pipeline(arguments: &RunArguments, monitor: &Monitor) -> Result<Done, Stop> {
    let configuration = config::read(&arguments.config).map_err(Stop::bad_configuration)?;
    let topology = topology(arguments)?;
    if matches!(configuration.cluster, Cluster::Embedded) && topology.hosts.len() > 1 {
        return Err(Stop::bad_configuration(
            "the embedded cluster (cluster = \"emulator\") lives in one process; for several, start \
             `timely-kusto emulator` and set `cluster` to the URL that it prints",
        ));
    }
    let runtime = runtime()?;
    let options = configuration.pipeline;
    let database = options.sink.write.database().to_owned();
    let connected = connect(configuration.cluster, &options.job.state, &database)?;
    let stop = StopHandle::new();
    let asked = stop.clone();
    let words = "stopping: delivering what was read (again to stop at once)";
    let signalled = signals::watch(&runtime, words, move || asked.stop())?;

    let target = format!("{database}.{}", options.sink.write.table());
    if let Some(address) = arguments.metrics {
        metrics::serve(&runtime, address, about(&options, &topology, arguments), monitor)?;
    }
    let pipeline = Pipeline::prepare(options, &*connected.service, &connected.name);
    let pipeline =
        runtime.block_on(pipeline).inspect_err(|error| pipelines::tell_others(&topology, error, &stop))?;
    if let Some(command) = pipeline.created() {
        eprintln!("created the table with\n  {command}");
    }
    let display = Display::new();
    let report = pipeline.watched_by(monitor).waits(arguments.join_timeout, arguments.peer_timeout).run(
        Arc::clone(&connected.service),
        topology,
        &stop,
        move |progress| display.show(progress),
    );
    // Which signal it was is known here.
    let report = report.map_err(|error| asked_by(Stop::from(error), signalled.get()))?;
    if arguments.report == ReportForm::Text {
        println!("{}", summary(&report, &target));
    }
    let answers = ask(&runtime, &connected, &database, arguments)?;
    // A signal to one process stops all: where none came, the run is not done either.
    let elsewhere = report.stopped.then_some(Signal::Terminate);
    let exit = signalled.get().or(elsewhere).map_or(Exit::Done, Exit::Signalled);
    Ok(Done { exit, report, answers })
}

fn about(options: &PipelineOptions, topology: &Topology, arguments: &RunArguments) -> About {
    About {
        pipeline: options.job.name.clone(),
        database: options.sink.write.database().to_owned(),
        table: options.sink.write.table().to_owned(),
        mode: match options.sink.mode {
            SinkMode::WriteAhead => "write-ahead",
            _ => "sink-v2",
        },
        process: topology.process,
        processes: topology.hosts.len().max(1),
        workers: topology.workers,
        restarts: arguments.restarts.unwrap_or(0),
        since: SystemTime::now(),
    }
}

/// Where the workers are, from the arguments.
fn topology(arguments: &RunArguments) -> Result<Topology, Stop> {
    let mut topology = Topology::workers(usize::from(arguments.workers));
    topology.process = usize::from(arguments.process);
    let processes = usize::from(arguments.processes);
    match (&arguments.hosts, processes) {
        (None, 1) => {}
        (None, _) => {
            return Err(Stop::bad_configuration(
                "--processes needs --hosts FILE, with a line HOST:PORT for each process",
            ));
        }
        (Some(file), _) => topology.hosts = hosts(file, processes)?,
    }
    topology.validate().map_err(Stop::bad_configuration)?;
    Ok(topology)
}

fn hosts(file: &Path, processes: usize) -> Result<Vec<String>, Stop> {
    let unreadable = |error| Stop::bad_configuration(format!("{} cannot be read: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let hosts: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if hosts.len() != processes {
        let (file, found) = (file.display(), hosts.len());
        let message = format!("{file} has {found} hosts, and --processes says {processes}: they must agree");
        return Err(Stop::bad_configuration(message));
    }
    Ok(hosts)
}

fn ask(
    runtime: &Runtime,
    connected: &Connected,
    database: &str,
    arguments: &RunArguments,
) -> Result<Vec<(String, Vec<Table>)>, Stop> {
    let mut answers = Vec::new();
    for query in &arguments.query {
        let tables = answer(runtime, &*connected.service, database, query)?;
        if arguments.report == ReportForm::Text {
            println!("\n{query}");
            tables.iter().for_each(|table| print!("{}", print::table(table)));
        }
        answers.push((query.clone(), tables));
    }
    Ok(answers)
}

/// Asks `service` one query or command.
pub(crate) fn answer(
    runtime: &Runtime,
    service: &dyn Service,
    database: &str,
    text: &str,
) -> Result<Vec<Table>, Stop> {
    runtime.block_on(service.execute(database, text)).map_err(Stop::failed)
}

/// Causes of repetition that are shown to people: a service has few reasons, and a screen has little room.
const SHOWN_CAUSES: usize = 8;

fn summary(report: &Report, target: &str) -> String {
    let how = if report.stopped { "stopped; delivered" } else { "delivered" };
    let mut text = format!(
        "{how} {} rows to {target} in {:.2} s: {} blobs, {} of rows in {} compressed",
        HumanCount(report.rows_delivered),
        report.seconds,
        HumanCount(report.blobs),
        HumanBytes(report.raw_bytes),
        HumanBytes(report.compressed_bytes),
    );
    let asides = [
        (report.rows_skipped, "rows skipped by ingest_if_not_exists"),
        (report.rows_dropped, "rows dropped"),
        (report.retries, "attempts repeated"),
    ];
    for (count, what) in asides.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(", {} {what}", HumanCount(count)));
    }
    for RetriedFor { operation, cause, retries, .. } in report.retry_causes.iter().take(SHOWN_CAUSES) {
        text.push_str(&format!("\n  repeated {}: {operation}: {cause}", HumanCount(*retries)));
    }
    text
}

fn success_json(done: &Done) -> Value {
    let mut value = json!(done.report);
    value["outcome"] = json!(if done.report.stopped { "stopped" } else { "done" });
    if !done.answers.is_empty() {
        let answers = done.answers.iter().map(|(query, tables)| {
            json!({ "query": query, "tables": tables.iter().map(print::json).collect::<Vec<_>>() })
        });
        value["queries"] = answers.collect();
    }
    value
}

/// A stop by a signal, with the one that came.
fn asked_by(mut stop: Stop, signal: Option<Signal>) -> Stop {
    if let (Exit::Signalled(_), Some(signal)) = (stop.exit, signal) {
        stop.exit = Exit::Signalled(signal);
    }
    stop
}

fn failure_json(stop: &Stop) -> Value {
    let outcome = if matches!(stop.exit, Exit::Signalled(_)) { "stopped" } else { "failed" };
    let exit = if stop.exit == Exit::FailedAlone { Exit::Failed } else { stop.exit };
    json!({ "outcome": outcome, "exit_code": exit.code(), "error": stop.to_string() })
}
