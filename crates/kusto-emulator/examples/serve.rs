//! A local cluster for other people's clients: prints its addresses and the connection strings of its storage accounts as
//! one line of JSON and runs until it is killed.
//!
//! `cargo run -p kusto-emulator --example serve -- [--accept-only] [DATABASE]...`

use kusto_emulator::Emulator;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Emulator::builder();
    for argument in std::env::args().skip(1) {
        options = match argument.as_str() {
            "--accept-only" => options.accept_only(true),
            database => options.database(database),
        };
    }
    let emulator = options.start()?;
    let mut shown = serde_json::to_value(emulator.urls())?;
    shown["storage"] = emulator.storage_connection_strings().into();
    println!("{shown}");
    emulator.wait();
    Ok(())
}
