//! Azurite, Microsoft's storage emulator, in a process of its own.

use crate::{Outside, Place, Process, until};

/// The account that Azurite has, and its key, which everybody knows.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running Azurite that keeps everything in memory, on ports that the system chooses.
#[derive(Debug)]
pub struct Azurite {
    _process: Process,
    ports: [String; 3],
}

impl Azurite {
    /// Starts one.
    pub fn start(outside: &Outside, place: &Place) -> Self {
        let program = outside.node_modules().join("azurite/dist/src/azurite.js");
        let mut command = outside.node();
        command.arg(program).args(["--inMemoryPersistence", "--silent"]);
        // It would report to its makers otherwise, and refuse clients that are newer than it is.
        command.args(["--disableTelemetry", "--skipApiVersionCheck"]);
        for port in ["--blobPort", "--queuePort", "--tablePort"] {
            command.args([port, "0"]);
        }
        let mut process = place.start(&mut command);
        let ports = until("Azurite's three addresses", || {
            assert!(process.runs(), "Azurite ended: {}{}", process.stdout(), process.stderr());
            listening(&process.stdout())
        });
        Azurite { _process: process, ports }
    }

    /// Its account's connection string.
    pub fn connection_string(&self) -> String {
        let [blob, queue, table] = &self.ports;
        format!(
            "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={blob}/{ACCOUNT};\
             QueueEndpoint={queue}/{ACCOUNT};TableEndpoint={table}/{ACCOUNT};"
        )
    }
}

/// The addresses of blob, queue and table service, once all of them listen.
fn listening(said: &str) -> Option<[String; 3]> {
    let address = |service: &str| {
        let line = said
            .lines()
            .find(|line| line.contains(service) && line.contains("successfully listening at "))?;
        line.rsplit("at ").next().map(|address| address.trim().to_owned())
    };
    Some([address("Blob service")?, address("Queue service")?, address("Table service")?])
}
