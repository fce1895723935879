//! The same names in the log and in the protocol: neither crate knows the other.

use commit_protocol as protocol;
use epoch_log as log;

use super::WriteAheadError;

pub(super) fn lineage(lineage: protocol::Lineage) -> Result<log::Lineage, log::Error> {
    log::Lineage::new(lineage.to_string())
}

pub(super) fn start(start: protocol::StartId) -> Result<log::Start, log::Error> {
    let nonce = log::Nonce::new(start.nonce.to_string())?;
    Ok(log::Start::new(log::Generation(start.generation.0), nonce))
}

pub(super) fn start_id(start: &log::Start, place: &str) -> Result<protocol::StartId, WriteAheadError> {
    let why = |error: protocol::ParseIdError| {
        let why = format!("the name of the start is none of ours: {error}");
        WriteAheadError::Log(log::Error::Foreign { path: place.into(), why })
    };
    let nonce = start.nonce.as_str().parse().map_err(why)?;
    Ok(protocol::StartId { generation: protocol::Generation(start.generation.0), nonce })
}
