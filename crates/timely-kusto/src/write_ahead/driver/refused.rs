//! A right that is taken away while a run is under way: whatever request meets it, the run ends with the role that is
//! missing and the command that grants it.

use std::time::Duration;

use commit_protocol::Stop;
use kusto_client::ErrorKind;

use super::Driver;
use crate::write_ahead::WriteAheadError;

/// How long a run that ends may take to find out which role is missing.
const LOOK: Duration = Duration::from_secs(10);

impl Driver {
    /// The right that is missing, if that is why a run ends; otherwise the error as it is.
    pub(super) async fn as_missing_right(&self, error: WriteAheadError) -> WriteAheadError {
        if !may_lack_a_right(&error) {
            return error;
        }
        match tokio::time::timeout(LOOK, self.process.desk.check_rights()).await {
            Ok(Err(missing @ WriteAheadError::Rights { .. })) => missing,
            _ => error,
        }
    }
}

/// Of a chunk that cannot be staged only the service's words are known.
fn may_lack_a_right(error: &WriteAheadError) -> bool {
    match error {
        WriteAheadError::Service { source, .. } => source.kind() == ErrorKind::Forbidden,
        WriteAheadError::Stopped(stop) => matches!(stop, Stop::Rights { .. }),
        WriteAheadError::Staging { .. } | WriteAheadError::Elsewhere { .. } => true,
        _ => false,
    }
}
