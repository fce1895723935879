//! Other people's software, as `scripts/setup-outside` sets it up: where it is, and programs in Python, JavaScript and
//! Java that use it.
//!
//! The programs lie in `tests/outside`. They are what a user of the client would write: they
//! get addresses as arguments and print one JSON value; what they found is compared on this side.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use crate::{Place, Process, repository, target_dir};

/// Other people's software.
#[derive(Debug, Clone)]
pub struct Outside {
    dir: PathBuf,
    trusted: Option<PathBuf>,
}

impl Outside {
    /// Where it is set up; none when it is not, which one line on stderr says. The test then returns.
    ///
    /// # Panics
    /// When it is not set up and the environment variable `CI` is set: there nothing is skipped.
    pub fn find() -> Option<Self> {
        static SAID: Once = Once::new();
        let dir = target_dir().join("outside");
        if dir.join("python.stamp").exists() && dir.join("node.stamp").exists() {
            return Some(Outside { dir, trusted: None });
        }
        let why = format!("{} holds no clients of other people: run scripts/setup-outside", dir.display());
        assert!(std::env::var_os("CI").is_none(), "{why}");
        // Not by eprintln!, which the test harness hides.
        SAID.call_once(|| drop(writeln!(std::io::stderr(), "skipped: {why}")));
        None
    }

    /// The same, whose programs trust the certificate in this file, and no other.
    #[must_use]
    pub fn trusting(mut self, certificate: &Path) -> Self {
        self.trusted = Some(certificate.to_owned());
        self
    }

    /// Python, with the packages of `tests/outside/requirements.txt`.
    pub fn python(&self) -> Command {
        let mut command = Command::new(self.dir.join("python/bin/python"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        self.local(&mut command);
        command
    }

    /// Node. Its modules are in [`Outside::node_modules`].
    pub fn node(&self) -> Command {
        let mut command = Command::new(self.dir.join("bin/node"));
        self.local(&mut command);
        command
    }

    /// Starts `tests/outside/java/<name>.java` in `place`; none, and a line that says so, where there is no Java.
    ///
    /// # Panics
    /// When it is not set up and the environment variable `CI` is set.
    pub fn start_java(&self, place: &Place, name: &str, arguments: &[&str]) -> Option<Process> {
        if !self.dir.join("java.stamp").exists() {
            let why = "Java's client is not set up: it needs a JDK and Maven";
            assert!(std::env::var_os("CI").is_none(), "{why}");
            let _ = writeln!(std::io::stderr(), "skipped: {why}");
            return None;
        }
        let mut java = Command::new("java");
        // Its log goes to stderr and is much.
        java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn").arg("-cp").arg(self.dir.join("java/*"));
        self.local(&mut java);
        Some(place.start(java.arg(scripts("java").join(name).with_extension("java")).args(arguments)))
    }

    /// The directory with the packages of `tests/outside/package.json`.
    pub fn node_modules(&self) -> PathBuf {
        self.dir.join("node/node_modules")
    }

    /// Starts `tests/outside/python/<name>.py` in `place`.
    pub fn start_python(&self, place: &Place, name: &str, arguments: &[&str]) -> Process {
        let script = scripts("python").join(name).with_extension("py");
        assert!(script.is_file(), "{} is not there", script.display());
        place.start(self.python().arg(script).args(arguments))
    }

    /// Starts `tests/outside/node/<name>.mjs` in `place`: from a copy, since modules are looked for beside the program.
    pub fn start_node(&self, place: &Place, name: &str, arguments: &[&str]) -> Process {
        let modules = place.path().join("node_modules");
        if !modules.exists() {
            std::os::unix::fs::symlink(self.node_modules(), modules).unwrap();
        }
        for entry in std::fs::read_dir(scripts("node")).unwrap().map(Result::unwrap) {
            std::fs::copy(entry.path(), place.path().join(entry.file_name())).unwrap();
        }
        place.start(self.node().arg(format!("{name}.mjs")).args(arguments))
    }

    /// Nothing of the environment leads a client away from this machine.
    fn local(&self, command: &mut Command) {
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "*").env_remove("NODE_OPTIONS").env_remove("PYTHONPATH");
        if let Some(certificate) = &self.trusted {
            for name in ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
                command.env(name, certificate);
            }
        }
    }
}

fn scripts(language: &str) -> PathBuf {
    repository().join("tests/outside").join(language)
}

/// The files of a directory with one of these endings, in order of their names.
pub fn files_of(dir: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)));
    files.sort();
    files
}
