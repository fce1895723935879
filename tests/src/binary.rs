//! The programs under test, built with the profile and in the target directory of the test that runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory of the workspace.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// `timely-kusto`, with an environment that says nothing of logs.
pub fn command() -> Command {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    build(&BUILT, &["-p", "timely-kusto-cli", "--bin", "timely-kusto"]);
    let mut command = Command::new(profile_dir().join("timely-kusto"));
    command.env_remove("TIMELY_KUSTO_LOG").env_remove("RUST_BACKTRACE");
    command
}

/// An example program.
pub fn example(name: &str) -> Command {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    build(&BUILT, &["-p", "timely-kusto-examples", "--examples"]);
    Command::new(profile_dir().join("examples").join(name))
}

/// `cargo build` with these arguments, once; nothing happens when everything is built.
fn build(built: &OnceLock<Result<(), String>>, arguments: &[&str]) {
    if let Err(error) = built.get_or_init(|| try_build(arguments)) {
        panic!("{error}");
    }
}

fn try_build(arguments: &[&str]) -> Result<(), String> {
    let profile = profile_dir();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(repository()).arg("build").args(arguments);
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(name) => drop(cargo.args(["--profile", name])),
    }
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    let built = cargo.output().map_err(|error| format!("{cargo:?}: {error}"))?;
    let stderr = String::from_utf8_lossy(&built.stderr);
    if built.status.success() { Ok(()) } else { Err(format!("{cargo:?}:\n{stderr}")) }
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    profile_dir().parent().unwrap().to_owned()
}

/// `<target>/<profile>`: the test itself lies in `deps` below it.
fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}
