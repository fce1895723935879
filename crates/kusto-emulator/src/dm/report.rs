//! Telling the client: the status row, and the queues of failures and successes.
//!
//! `ReportLevel` says whether successes are told too, `ReportMethod` where. Source: `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/api/netfx/kusto-ingest-client-status.md`, `.../kusto-ingest-client-rest.md`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::DataManagement;
use super::message::{IngestionMessage, ReportLevel};
use crate::assumptions::SkippedStatus;
use crate::clock::seven_digits;
use crate::engine::IngestFailure;
use crate::storage::Place;

/// Reports stay in their queue for a week, as the service's messages do.
const REPORT_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// What became of a message.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    Ingested {
        rows: u64,
        operation: Option<Uuid>,
    },
    Failed {
        failure: IngestFailure,
        operation: Option<Uuid>,
    },
    /// Retries were used up.
    Exhausted {
        failure: IngestFailure,
        operation: Option<Uuid>,
    },
}

impl Verdict {
    pub(super) fn ingested(rows: u64, operation: Option<Uuid>) -> Self {
        Self::Ingested { rows, operation }
    }

    pub(super) fn failed(failure: IngestFailure, operation: Option<Uuid>) -> Self {
        Self::Failed { failure, operation }
    }

    fn operation(&self) -> Uuid {
        let (Self::Ingested { operation, .. }
        | Self::Failed { operation, .. }
        | Self::Exhausted { operation, .. }) = self;
        operation.unwrap_or_default()
    }

    fn failure(&self) -> Option<(&IngestFailure, &'static str)> {
        match self {
            Self::Ingested { .. } => None,
            Self::Failed { failure, .. } => Some((failure, failure.kind())),
            Self::Exhausted { failure, .. } => Some((failure, "Exhausted")),
        }
    }

    /// `Succeeded`, `Skipped` or `Failed`.
    fn status(&self, skipped: SkippedStatus) -> &'static str {
        match self.failure() {
            None => "Succeeded",
            Some((failure, _))
                if failure.code.starts_with("Skipped_") && skipped == SkippedStatus::Skipped =>
            {
                "Skipped"
            }
            Some(_) => "Failed",
        }
    }
}

impl DataManagement {
    /// Tells the client, as far as it asked for that. A report that cannot be written is logged: the rows are there.
    pub(super) fn report(&self, ingestion: &IngestionMessage, verdict: &Verdict) {
        let told = match (ingestion.level, verdict) {
            (ReportLevel::None, _) => false,
            (ReportLevel::FailuresOnly, Verdict::Ingested { .. }) => false,
            (ReportLevel::FailuresOnly | ReportLevel::FailuresAndSuccesses, _) => true,
        };
        if !told {
            return;
        }
        if ingestion.method.table
            && let Some(row) = &ingestion.status
        {
            let properties = self.row(ingestion, verdict);
            if let Err(error) = self.depot.write_row(&row.table, &self.resources.status, &row.key, properties)
            {
                tracing::warn!(source = %ingestion.id, %error, "a status row could not be written");
            }
        }
        if ingestion.method.queue {
            let (queue, report) = self.queue_report(ingestion, verdict);
            let text = STANDARD.encode(report.to_string());
            if let Err(error) = self.depot.put_message(queue, text, REPORT_LIFETIME) {
                tracing::warn!(source = %ingestion.id, %error, "a report could not be queued");
            }
        }
    }

    /// What the service adds to the row that the client has written.
    fn row(&self, ingestion: &IngestionMessage, verdict: &Verdict) -> Map<String, Value> {
        let mut row = Map::new();
        let mut set = |name: &str, value: Value| row.insert(name.to_owned(), value);
        let operation = verdict.operation().to_string();
        set("Status", json!(verdict.status(self.engine.assumptions().skipped_status)));
        set("IngestionSourceId", json!(ingestion.id.to_string()));
        set("IngestionSourceId@odata.type", json!("Edm.Guid"));
        set("IngestionSourcePath", json!(path(ingestion)));
        set("Database", json!(ingestion.database));
        set("Table", json!(ingestion.table));
        set("UpdatedOn", json!(seven_digits(self.clock.now())));
        set("UpdatedOn@odata.type", json!("Edm.DateTime"));
        set("OperationId", json!(operation));
        set("OperationId@odata.type", json!("Edm.Guid"));
        set("ActivityId", json!(operation));
        set("ActivityId@odata.type", json!("Edm.Guid"));
        set("OriginatesFromUpdatePolicy", json!(false));
        if let Some((failure, kind)) = verdict.failure() {
            set("ErrorCode", json!(failure.code));
            set("FailureStatus", json!(kind));
            set("Details", json!(failure.message));
        }
        row
    }

    fn queue_report(&self, ingestion: &IngestionMessage, verdict: &Verdict) -> (&Place, Value) {
        let now = seven_digits(self.clock.now());
        let mut report = json!({
            "OperationId": verdict.operation(),
            "Database": ingestion.database,
            "Table": ingestion.table,
            "IngestionSourceId": ingestion.id,
            "IngestionSourcePath": path(ingestion),
            "RootActivityId": verdict.operation(),
        });
        let Some((failure, kind)) = verdict.failure() else {
            report["SucceededOn"] = json!(now);
            return (&self.resources.succeeded, report);
        };
        report["FailedOn"] = json!(now);
        report["Details"] = json!(failure.message);
        report["ErrorCode"] = json!(failure.code);
        report["FailureStatus"] = json!(kind);
        report["OriginatesFromUpdatePolicy"] = json!(false);
        report["ShouldRetry"] = json!(!failure.permanent);
        (&self.resources.failed, report)
    }
}

/// The blob's address without its secret.
fn path(ingestion: &IngestionMessage) -> &str {
    ingestion.blob.split(['?', ';']).next().unwrap_or_default()
}
