//! What a run serves for Prometheus, as a client of another make reads it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::{Process, until};

/// Values by name, with labels as they stand.
#[derive(Clone, Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads those of a run that was started with `--metrics`; nothing when it ends meanwhile.
    pub fn of(process: &mut Process) -> Option<Self> {
        let address = until("the line that says where metrics are", || {
            let stderr = process.stderr();
            let at = stderr.lines().find_map(|line| line.strip_prefix("metrics: http://"));
            at.and_then(|at| at.strip_suffix("/metrics")).map(str::to_owned)
        });
        get(&address, "/metrics").ok().map(|answer| Self::parse(&answer))
    }

    fn parse(answer: &str) -> Self {
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("application/openmetrics-text"), "{head}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let value = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        Metrics(lines.map(value).collect())
    }

    /// The value of this name and these labels, as in `timely_kusto_paused{reason="log"}`; the prefix is left out.
    #[track_caller]
    pub fn value(&self, name: &str) -> f64 {
        let name = format!("timely_kusto_{name}");
        *self.0.get(&name).unwrap_or_else(|| panic!("no {name} in {:#?}", self.0))
    }

    /// Whether there is any value of this name.
    pub fn has(&self, name: &str) -> bool {
        let name = format!("timely_kusto_{name}");
        self.0.keys().any(|key| key.split('{').next() == Some(&name))
    }
}

fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}
