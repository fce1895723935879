//! Pipeline files.

use std::fmt;
use std::path::Path;

/// A pipeline file. Epochs, blobs and polls are short, so that tests are.
#[derive(Clone, Debug)]
pub struct Config {
    /// `state` of `[job]`.
    pub state: String,
    /// `checkpoint_interval` of `[job]`.
    pub checkpoint_interval: String,
    /// Further lines of `[job]`.
    pub job: Vec<String>,
    /// The lines of `[source]`.
    pub source: String,
    /// The lines of `[connection]`.
    pub connection: String,
    /// `database` of `[sink]`.
    pub database: String,
    /// `table` of `[sink]`.
    pub table: String,
    /// Further lines of `[sink]`.
    pub sink: Vec<String>,
}

impl Config {
    /// Writes to the table `T` of the database `Samples` of the cluster at `url`; creates it.
    pub fn new(url: &str) -> Self {
        let sink = ["create = true", "batch_interval = \"100ms\"", "poll_interval = \"50ms\""];
        Config {
            state: "state".into(),
            checkpoint_interval: "200ms".into(),
            job: Vec::new(),
            source: String::new(),
            connection: format!("cluster = {url:?}"),
            database: "Samples".into(),
            table: "T".into(),
            sink: sink.map(str::to_owned).into(),
        }
    }

    /// Reads this file; its format is told by its name.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.source = format!("kind = \"file\"\npath = {:?}", path.as_ref());
        self
    }

    /// Makes up so many storm events.
    #[must_use]
    pub fn storms(mut self, rows: u64) -> Self {
        self.source = format!("kind = \"generator\"\nrows = {rows}");
        self
    }

    /// Adds a line to `[source]`.
    #[must_use]
    pub fn source(mut self, line: &str) -> Self {
        self.source.push('\n');
        self.source.push_str(line);
        self
    }

    /// Adds a line to `[connection]`.
    #[must_use]
    pub fn connection(mut self, line: &str) -> Self {
        self.connection.push('\n');
        self.connection.push_str(line);
        self
    }

    /// Adds a line to `[sink]`, in place of one with the same key.
    #[must_use]
    pub fn sink(mut self, line: &str) -> Self {
        put(&mut self.sink, line);
        self
    }

    /// Adds a line to `[job]`, in place of one with the same key.
    #[must_use]
    pub fn job(mut self, line: &str) -> Self {
        put(&mut self.job, line);
        self
    }

    /// Does not create the table.
    #[must_use]
    pub fn existing_table(mut self) -> Self {
        self.sink.retain(|line| line != "create = true");
        self
    }

    /// Writes to this table.
    #[must_use]
    pub fn table(mut self, name: &str) -> Self {
        self.table = name.to_owned();
        self
    }

    /// Keeps its state there.
    #[must_use]
    pub fn state(mut self, dir: &str) -> Self {
        self.state = dir.to_owned();
        self
    }
}

fn put(lines: &mut Vec<String>, line: &str) {
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    lines.retain(|other| key(other) != key(line));
    lines.push(line.to_owned());
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { state, checkpoint_interval, job, source, connection, database, table, sink } = self;
        writeln!(
            f,
            "[job]\nname = \"e2e\"\nstate = {state:?}\ncheckpoint_interval = {checkpoint_interval:?}\n{}",
            job.join("\n")
        )?;
        writeln!(f, "[source]\n{source}\n[connection]\n{connection}")?;
        writeln!(f, "[sink]\ndatabase = {database:?}\ntable = {table:?}\n{}", sink.join("\n"))
    }
}
