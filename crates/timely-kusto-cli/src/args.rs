//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Streams into Azure Data Explorer (Kusto): run pipelines, a local cluster, queries, benchmarks.
#[derive(Debug, Parser)]
#[command(name = "timely-kusto", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What to log to stderr: error, warn, info, debug, trace, or a filter such as `kusto_client=debug`
    #[arg(long, global = true, env = "TIMELY_KUSTO_LOG", default_value = "warn", value_name = "FILTER")]
    pub(crate) log: String,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done: every row is delivered as the mode promises
  1    failed: nothing is claimed that is not so, start it again
  2    bad configuration or arguments
  3    fenced by a newer start of the same pipeline
  4    needs a person: a record that makes no row, a source that changed, or damaged state; starting again
       gives the same error
  130  stopped by Ctrl-C, 143 by SIGTERM, after finishing what was in hand";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline until its source ends, or until it is stopped
    #[command(after_help = "\
Examples:
  timely-kusto run pipeline.toml                       one worker
  timely-kusto run pipeline.toml -w 4                  four workers in this process
  timely-kusto run pipeline.toml --query 'T | count'   then ask the cluster
  timely-kusto run pipeline.toml --report json         one JSON object on stdout at the end
  timely-kusto run pipeline.toml --restart-on-failure  again after a failure, from where it was

Two processes (start both, with the same file; `hosts` has a line HOST:PORT for each):
  timely-kusto run pipeline.toml --processes 2 --process 0 --hosts hosts
  timely-kusto run pipeline.toml --processes 2 --process 1 --hosts hosts

Paths in the file are relative to the current directory. Ctrl-C or SIGTERM stops reading, delivers
what was read, and saves the positions; the next start goes on from there.")]
    Run(RunArguments),
    /// A local cluster: engine, ingestion, storage and sign-in on loopback
    #[command(after_help = "\
Examples:
  timely-kusto emulator --database Samples             in memory, on a free port
  timely-kusto emulator --data DIR --port 8080         kept in DIR
  timely-kusto emulator --json                         one line of JSON with its URLs when ready")]
    Emulator(EmulatorArguments),
    /// Ask a cluster: a query, or a command that begins with a dot
    #[command(after_help = "\
Examples:
  timely-kusto query --cluster http://127.0.0.1:8080 --database Samples 'T | count'
  timely-kusto query --cluster 'https://c.westeurope.kusto.windows.net/Samples;Fed=true' 'T | take 5'
                                                       as whoever `az login` signed in
  timely-kusto query --config pipeline.toml 'T | take 5'
  timely-kusto query --config pipeline.toml '.show tables' --json")]
    Query(QueryArguments),
    /// Ask a cluster what exactly once leans on, and say what the answers mean
    #[command(after_help = "\
Examples:
  timely-kusto assumptions http://127.0.0.1:8080 --database Samples
  timely-kusto assumptions --config pipeline.toml      with the sign-in of a pipeline
  timely-kusto assumptions --config pipeline.toml --json

The questions are put in tables of their own, named kt_ask_..., which are dropped at the end; nothing else
is touched. The principal needs Database User: it creates the tables. It takes some minutes on a real cluster.
Exit codes: 0 everything holds, 1 a question stayed unanswered, 4 an answer breaks the promise.")]
    Assumptions(AssumptionsArguments),
    /// Make what a write-ahead pipeline needs in the database, and say which grants are missing
    #[command(after_help = crate::init::EXAMPLES)]
    Init(crate::init::InitArguments),
    /// Compare the rows that a write-ahead pipeline promised with the rows in the table
    #[command(after_help = crate::audit::EXAMPLES)]
    Audit(crate::audit::AuditArguments),
    /// Record a person's decision about an intent of which nothing shows what became of it
    #[command(after_help = crate::resolve::EXAMPLES)]
    Resolve(crate::resolve::ResolveArguments),
    /// Look into epoch files, which the write-ahead mode keeps under `state`; needs no cluster
    #[command(after_help = crate::log::EXAMPLES)]
    Log(crate::log::LogArguments),
    /// Kill and hinder a write-ahead pipeline at random on a local cluster, and compare every row at the end
    #[command(after_help = crate::chaos::EXAMPLES)]
    Chaos(crate::chaos::ChaosArguments),
    /// Measure what each stage can do on this machine, and which one bounds the whole
    #[command(after_help = "\
Examples:
  timely-kusto bench                                   two million rows a run
  timely-kusto bench --rows 10_000_000                 long runs: steadier figures
  timely-kusto bench --set memory=256MiB               with another value of a write option
  timely-kusto bench --json                            one JSON object on stdout
  timely-kusto bench --mode write-ahead                the exactly-once sink beside SinkV2: some ten minutes
  timely-kusto bench --mode write-ahead --rows 100_000_000
                                                       with memory at a hundred million rows

Measured: encoding and gzip by themselves, then end to end from a generator through a dataflow into a
local cluster in another process, which drops what it gets; with slow requests, with narrow rows.
Then what bounds the whole, and the aims with pass or FAIL. Rates are by CPU time unless they say wall.
In the write-ahead mode: rows per CPU second beside SinkV2, commands per commit, from row to visible,
slow commands, starts that find a log, memory and disk.")]
    Bench(BenchArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The pipeline's configuration file
    #[arg(value_name = "PIPELINE.TOML")]
    pub(crate) config: PathBuf,
    /// Workers (threads) of this process
    #[arg(short, long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: u16,
    /// How many processes run the pipeline together
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) processes: u16,
    /// Which of them this is, from 0
    #[arg(long, default_value_t = 0, value_name = "I")]
    pub(crate) process: u16,
    /// A file with a line HOST:PORT for each process
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts: Option<PathBuf>,
    /// How long to wait for the other processes at the start
    #[arg(long, value_name = "DURATION", default_value = "5min", value_parser = duration)]
    pub(crate) join_timeout: Duration,
    /// How long another process may be silent until it counts as lost (the same for all)
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = at_least_a_second)]
    pub(crate) peer_timeout: Duration,
    /// Serve metrics for Prometheus there: PORT on loopback (0 takes a free one), or IP:PORT
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<crate::metrics::Address>,
    /// Start again after a failure (exit code 1, or killed), with growing pauses; never after 2, 3, 4 or a signal
    #[arg(long)]
    pub(crate) restart_on_failure: bool,
    /// Failures in a row after which it is given up; ten minutes of running begin a new row
    #[arg(long, value_name = "N", default_value_t = 20, requires = "restart_on_failure")]
    pub(crate) max_restarts: u32,
    /// After an end that is not to be restarted (0, 2, 3, 4) stay until a signal comes: for supervisors that restart
    /// whatever the exit code, as Kubernetes does
    #[arg(long, requires = "restart_on_failure")]
    pub(crate) stay: bool,
    /// Set by the process that restarts this one: how often it did
    #[arg(long, hide = true, env = crate::supervise::CHILD, hide_env = true, value_name = "N")]
    pub(crate) restarts: Option<u32>,
    /// What to print on stdout at the end
    #[arg(long, value_enum, default_value_t = ReportForm::Text, value_name = "FORM")]
    pub(crate) report: ReportForm,
    /// A query to ask the cluster when all rows are delivered (may be repeated)
    #[arg(long, value_name = "KQL")]
    pub(crate) query: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportForm {
    /// A few lines for people
    Text,
    /// One JSON object
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct EmulatorArguments {
    /// Where tables, blobs and messages are kept; in memory without it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub(crate) port: u16,
    /// A database to create (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Vec<String>,
    /// Print one line of JSON with the URLs when ready
    #[arg(long)]
    pub(crate) json: bool,
    /// Speak https, with a certificate made at start; the file to trust is printed
    #[arg(long)]
    pub(crate) tls: bool,
    /// Ask for tokens, and check roles
    #[arg(long)]
    pub(crate) sign_in: bool,
    /// An application that may sign in and do everything (may be repeated; turns sign-in on)
    #[arg(long, value_name = "ID:KEY")]
    pub(crate) application: Vec<String>,
    /// Use this account of other storage (Azurite, Azure) for blobs, messages and status rows (may be repeated)
    #[arg(long, value_name = "CONNECTION_STRING", env = "TIMELY_KUSTO_STORAGE", hide_env_values = true)]
    pub(crate) storage: Vec<String>,
    /// Ports of blob, queue and table storage for other people's storage clients; 0 takes a free one
    #[arg(long, value_name = "BLOB,QUEUE,TABLE", value_parser = three_ports, conflicts_with = "storage")]
    pub(crate) storage_ports: Option<[u16; 3]>,
    /// For benchmarks: check signatures and headers, count bytes, drop blob bodies, keep extents with row counts and no values
    #[arg(long)]
    pub(crate) accept_only: bool,
    /// Add this to the time of every request
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) latency: Option<Duration>,
    /// Longest time rows wait for their batch, where a table has no batching policy (the service's default is 5 min)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) batching_time: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArguments {
    /// A query, or a management command
    #[arg(value_name = "KQL")]
    pub(crate) text: String,
    /// The cluster: a URL, asked without a sign-in, or a Kusto connection string (other users of this machine can read
    /// arguments: take secrets from a pipeline's file)
    #[arg(long, value_name = "URL", conflicts_with = "config", required_unless_present = "config")]
    pub(crate) cluster: Option<String>,
    /// Take cluster, sign-in and database from this pipeline's file
    #[arg(long, value_name = "PIPELINE.TOML")]
    pub(crate) config: Option<PathBuf>,
    /// The database; the pipeline's or the connection string's by default
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// Print JSON: an array of tables
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AssumptionsArguments {
    /// The cluster: a URL, asked without a sign-in, or a Kusto connection string (other users of this machine can read
    /// arguments: take secrets from a pipeline's file)
    #[arg(value_name = "URL", conflicts_with = "config", required_unless_present = "config")]
    pub(crate) cluster: Option<String>,
    /// Take cluster, sign-in and database from this pipeline's file
    #[arg(long, value_name = "PIPELINE.TOML")]
    pub(crate) config: Option<PathBuf>,
    /// The database to ask in; the pipeline's or the connection string's by default
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// Put only this question, by its name in the JSON report (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = question_name)]
    pub(crate) only: Vec<String>,
    /// How long a queued blob may take until its status is final
    #[arg(long, value_name = "DURATION", default_value = "10min", value_parser = duration)]
    pub(crate) ingestion_deadline: Duration,
    /// How long to go on looking at what should change soon, such as an old name
    #[arg(long, value_name = "DURATION", default_value = "1min", value_parser = duration)]
    pub(crate) grace: Duration,
    /// Print one JSON object on stdout at the end
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// The sink to measure
    #[arg(long, value_enum, default_value_t = BenchMode::SinkV2, value_name = "MODE")]
    pub(crate) mode: BenchMode,
    /// Rows of each end-to-end run, 2,000,000 by default; peak memory is shown for this many and for a hundredth of it. In
    /// the write-ahead mode: of the longest run, 10,000,000 by default
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) rows: Option<u64>,
    /// Workers (threads)
    #[arg(short, long, default_value_t = 1, value_name = "N")]
    pub(crate) workers: usize,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Times added to each request, for the lines that show what slow requests cost
    #[arg(long, value_delimiter = ',', default_value = "20ms,200ms", value_name = "DURATIONS", value_parser = duration)]
    pub(crate) latencies: Vec<Duration>,
    /// In the write-ahead mode: what each command takes longer, for the lines that show what slow commands cost
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = duration)]
    pub(crate) command_delay: Duration,
    /// In the write-ahead mode: numbers of epochs of 100 rows to look at memory with; the last two are compared
    #[arg(long, value_delimiter = ',', default_value = "1_000,10_000,30_000", value_name = "NUMBERS", value_parser = count)]
    pub(crate) epochs: Vec<u64>,
    /// In the write-ahead mode: where directories for epoch files are made, on the disk to measure (made itself if need be);
    /// the system's directory for temporary files by default
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// A write option of the sink that is not to have its default, such as memory=256MiB (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", value_parser = timely_kusto_benches::Options::parse_setting)]
    pub(crate) set: Vec<(String, String)>,
    /// What a helper process does, in JSON
    #[arg(long, hide = true, value_name = "JSON")]
    pub(crate) task: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchMode {
    /// SinkV2, at least once
    SinkV2,
    /// The write-ahead sink, exactly once
    WriteAhead,
}

fn question_name(text: &str) -> Result<String, String> {
    let mut names = timely_kusto::assumptions::questions().map(|(name, _)| name);
    if names.clone().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let first = names.next().unwrap_or_default();
    Err(names.fold(format!("the questions are {first}"), |list, name| format!("{list}, {name}")))
}

fn three_ports(text: &str) -> Result<[u16; 3], String> {
    let ports: Result<Vec<u16>, _> = text.split(',').map(str::parse).collect();
    ports
        .ok()
        .and_then(|ports| ports.try_into().ok())
        .ok_or_else(|| "must be three ports, as in 0,0,0".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    timely_kusto::parse_duration(text)
}

fn at_least_a_second(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration < Duration::from_secs(1) { Err("must be 1s at least".to_owned()) } else { Ok(duration) }
}

fn count(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| "must be a whole number".to_owned())
}
