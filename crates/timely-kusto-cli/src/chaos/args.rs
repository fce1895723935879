//! Arguments of `timely-kusto chaos`.

use std::path::PathBuf;

use clap::Args;

pub(crate) const EXAMPLES: &str = "\
Examples:
  timely-kusto chaos pipeline.toml                     five minutes, from a seed that it prints
  timely-kusto chaos pipeline.toml --seed 7 --minutes 1
  timely-kusto chaos pipeline.toml --crashes 1000      until there were so many crashes
  timely-kusto chaos pipeline.toml --setup '.create table T (n: long, at: datetime)'

The pipeline runs against a local cluster in this process, in processes of its own, which are killed, paused,
started twice, stopped and restarted with other numbers of processes and workers, while the cluster loses
answers, delays, repeats and refuses requests, and disks are lost or full. In the end all is calm, the pipeline
runs to the end of its source, and the table is compared with the source, row by row, and with `audit`. Is time
left, it begins anew. The file is read and never changed; neither its cluster nor its state is touched.
A generator without `rows` gets --rows. The same seed takes the same decisions; what they meet depends on timing.
Exit codes: 0 no row lost, none repeated; 4 rows lost or repeated, or a process that ended as it must not or
hangs; 2 bad arguments; 1 it could not be told; 130 stopped by Ctrl-C, with nothing compared.";

#[derive(Debug, Args)]
pub(crate) struct ChaosArguments {
    /// The pipeline's configuration file, in the write-ahead mode
    #[arg(value_name = "PIPELINE.TOML")]
    pub(super) config: PathBuf,
    /// Takes the decisions; drawn and printed without it
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// How long to go on making trouble: 5 without --crashes, else as long as it takes
    #[arg(long, value_name = "M", value_parser = minutes)]
    pub(super) minutes: Option<f64>,
    /// Stop after so many crashes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) crashes: Option<u64>,
    /// Rows of a generator that has no end
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) rows: u64,
    /// A command that each round begins with, such as one that creates the table (may be repeated)
    #[arg(long, value_name = "KQL")]
    pub(super) setup: Vec<String>,
    /// Keep all directories in the end; they are kept after a failure in any case
    #[arg(long)]
    pub(super) keep: bool,
    /// Print one JSON object on stdout at the end
    #[arg(long)]
    pub(super) json: bool,
    /// The program whose `run` is started; this one without it
    #[arg(long, value_name = "PATH")]
    pub(super) program: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= 100_000.0 => Ok(minutes),
        _ => Err("must be a number above 0, such as 0.5 or 30".to_owned()),
    }
}
