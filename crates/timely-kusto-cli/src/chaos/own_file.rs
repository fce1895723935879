//! The user's pipeline file as the walk runs it: against the local cluster, with disks of its own, and in a hurry.
//!
//! | overridden | with | why |
//! |---|---|---|
//! | `[connection]`, all of it | the local cluster | nobody else's cluster is touched, and no secret is needed |
//! | `[job] state` | a disk of the walk | as above |
//! | `[job] checkpoint_interval` | 100ms | so that there are epochs to interrupt |
//! | `[source] rate` | so that a round has time for crashes | |
//! | `[source] rows` of a generator without end | `--rows` | what has no end cannot be compared |
//! | `[sink] create` | true | the local cluster begins empty |
//! | `[sink] poll_*`, `retry_backoff`, `retry_max_backoff` | milliseconds | the local cluster is near |
//! | `[sink] log_bytes` | small at times | so that the source pauses |

use std::path::{Path, PathBuf};

use pipelines::options::SinkMode;
use toml::{Table, Value};

use crate::config::{self, Configuration};
use crate::exit::Stop;

/// The user's file, read once and never written.
#[derive(Clone, Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    table: Table,
}

/// What differs from start to start.
#[derive(Clone, Debug)]
pub(super) struct Settings<'a> {
    pub(super) cluster: &'a str,
    pub(super) state: &'a Path,
    /// Rows of a generator that has no end.
    pub(super) rows: u64,
    pub(super) rate: Option<u64>,
    pub(super) log_bytes: Option<u64>,
}

impl OwnFile {
    /// Reads the user's file.
    pub(super) fn read(path: &Path) -> Result<Self, Stop> {
        let named =
            |error: &dyn std::fmt::Display| Stop::bad_configuration(format!("{}: {error}", path.display()));
        let text =
            std::fs::read_to_string(path).map_err(|error| named(&format_args!("cannot be read: {error}")))?;
        let table = text.parse().map_err(|error: toml::de::Error| named(&error))?;
        Ok(OwnFile { path: path.to_owned(), table })
    }

    /// The text to run.
    pub(super) fn with(&self, settings: &Settings<'_>) -> String {
        let mut table = self.table.clone();
        let mut connection = Table::new();
        connection.insert("cluster".to_owned(), settings.cluster.into());
        table.insert("connection".to_owned(), Value::Table(connection));
        let job = section(&mut table, "job");
        set(job, "state", settings.state.display().to_string());
        set(job, "checkpoint_interval", "100ms");
        let source = section(&mut table, "source");
        source.remove("rate");
        if let Some(rate) = settings.rate {
            set(source, "rate", whole(rate));
        }
        if source.get("kind").and_then(Value::as_str) == Some("generator") && !source.contains_key("rows") {
            set(source, "rows", whole(settings.rows));
        }
        let sink = section(&mut table, "sink");
        set(sink, "create", true);
        for (name, value) in [
            ("poll_interval", "10ms"),
            ("poll_timeout", "3s"),
            ("retry_backoff", "10ms"),
            ("retry_max_backoff", "200ms"),
        ] {
            set(sink, name, value);
        }
        if let Some(bytes) = settings.log_bytes {
            set(sink, "log_bytes", whole(bytes));
        }
        table.to_string()
    }

    /// What the text to run means.
    pub(super) fn configuration(&self, settings: &Settings<'_>) -> Result<Configuration, Stop> {
        let read = config::read_text(&self.path, &self.with(settings)).map_err(|error| {
            // Lines are those of the text to run, which nobody sees.
            Stop::bad_configuration(error.without_line())
        })?;
        if read.pipeline.sink.mode != SinkMode::WriteAhead {
            return Err(Stop::bad_configuration(format!(
                "{} does not say mode = \"write-ahead\" in [sink]: other modes do not promise that each row is there once",
                self.path.display()
            )));
        }
        Ok(read)
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn set(section: &mut Table, name: &str, value: impl Into<Value>) {
    section.insert(name.to_owned(), value.into());
}

/// A section; made where the file has none, or something else, so that the checks say what is missing.
fn section<'a>(table: &'a mut Table, name: &str) -> &'a mut Table {
    let value = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
    if !value.is_table() {
        *value = Value::Table(Table::new());
    }
    value.as_table_mut().expect("it was made a table right before")
}

#[cfg(test)]
mod tests {
    use pipelines::options::SourceOptions;

    use super::*;
    use crate::config::Cluster;

    const THEIRS: &str = "[job]\nname = \"mine\"\nstate = \"state/mine\"\n[source]\nkind = \"generator\"\nrate = 7\n\
        [connection]\ncluster = \"https://c.westeurope.kusto.windows.net\"\nauth = { kind = \"token\", token = { env = \
        \"NOBODY_HAS_THIS\" } }\n[sink]\nmode = \"write-ahead\"\ndatabase = \"D\"\ntable = \"T\"\nbatch_bytes = \"1MiB\"\n";

    fn settings(state: &Path) -> Settings<'_> {
        Settings { cluster: "http://127.0.0.1:1", state, rows: 5, rate: None, log_bytes: Some(4096) }
    }

    fn file(text: &str) -> Result<OwnFile, Stop> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("theirs.toml");
        std::fs::write(&path, text).unwrap();
        OwnFile::read(&path)
    }

    #[test]
    fn nothing_of_the_users_cluster_state_or_sign_in_is_left_and_the_rest_stays() {
        let state = Path::new("/disk");
        let own = file(THEIRS).unwrap();
        let text = own.with(&settings(state));
        assert!(
            !text.contains("windows.net") && !text.contains("NOBODY") && !text.contains("state/mine"),
            "{text}"
        );
        let read = own.configuration(&settings(state)).unwrap();
        let Cluster::Remote(connection) = read.cluster else { panic!("{:?}", read.cluster) };
        assert_eq!(connection.cluster_url(), "http://127.0.0.1:1/");
        let pipeline = read.pipeline;
        assert_eq!((pipeline.job.name.as_str(), pipeline.job.state.as_path()), ("mine", state));
        assert_eq!((pipeline.rate, pipeline.sink.log_bytes), (None, 4096));
        assert_eq!((pipeline.sink.write.table(), pipeline.sink.write.batch_bytes()), ("T", 1 << 20));
        let SourceOptions::Generator(generator) = pipeline.source else { panic!("{:?}", pipeline.source) };
        assert_eq!(generator.rows, Some(5), "what has no end gets one");
    }

    #[test]
    fn other_modes_and_mistakes_are_bad_configuration_in_the_name_of_the_users_file() {
        let state = Path::new("/disk");
        for (from, to, said) in [
            ("mode = \"write-ahead\"\n", "", "mode = \"write-ahead\""),
            ("batch_bytes", "batch_bites", "did you mean `batch_bytes`"),
            ("[job]\nname = \"mine\"\n", "[job]\n", "`name` is missing"),
        ] {
            let stop = file(&THEIRS.replace(from, to)).unwrap().configuration(&settings(state)).unwrap_err();
            assert_eq!(stop.exit, crate::exit::Exit::BadConfiguration);
            let text = stop.to_string();
            assert!(text.contains(said) && text.contains("theirs.toml") && !text.contains("line"), "{text}");
        }
    }
}
