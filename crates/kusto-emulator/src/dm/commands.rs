//! The commands of the data management endpoint.
//!
//! Clients send them in several spellings: `.get` or `.show ingestion resources`, with or without `with (...)`.

use super::DataManagement;
use crate::assumptions::Undocumented;
use crate::data::{ColumnType, ResultTable, Schema, Value};
use crate::engine::{EngineError, EngineResult, Principal};
use crate::http::Front;

impl DataManagement {
    /// The answer, if `text` is one of data management's commands; the engine answers the others.
    pub(crate) fn command(
        &self,
        front: &Front,
        text: &str,
        principal: &Principal,
    ) -> Option<EngineResult<ResultTable>> {
        let words: Vec<_> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [".get" | ".show", "ingestion", "resources", ..] => Some(self.ingestion_resources(front)),
            [".get", "kusto", "identity", "token", ..] => Some(Ok(self.identity_token(principal))),
            [".show", "version"] => Some(Ok(version())),
            _ if self.engine.assumptions().undocumented == Undocumented::Refused => None,
            [".refresh", "database", .., "cache", "ingestionbatchingpolicy"] => {
                self.engine.refresh_batching();
                Some(Ok(refreshed()))
            }
            [".create", "tempstorage", ..] => Some(self.temporary_storage(front)),
            _ => None,
        }
    }

    fn ingestion_resources(&self, front: &Front) -> EngineResult<ResultTable> {
        let row = |(kind, service, place, permissions): (&str, _, _, _)| {
            let url =
                self.depot.signed_url(&self.options.base, service, place, permissions, front.sas_lifetime);
            let url = url.ok_or_else(|| EngineError::internal("a storage account has no key"))?;
            Ok([Value::string(kind), Value::string(url.as_str())])
        };
        let rows = self.resources.all().into_iter().map(row).collect::<EngineResult<Vec<_>>>()?;
        Ok(strings(&["ResourceTypeName", "StorageRoot"], rows))
    }

    /// What the Spark connector asks for (`Azure/azure-kusto-spark`, `CslCommandsGenerator.scala`): a container.
    fn temporary_storage(&self, front: &Front) -> EngineResult<ResultTable> {
        let resources = self.ingestion_resources(front)?;
        let container =
            (0..resources.rows).find(|row| resources.value(*row, 0).as_str() == Some("TempStorage"));
        let root = container.map_or(Value::Null, |row| resources.value(row, 1));
        Ok(strings(&["StorageRoot"], [[root]]))
    }

    fn identity_token(&self, principal: &Principal) -> ResultTable {
        let token = self.sign_in.ingestion_token(principal);
        strings(&["AuthorizationContext"], [[Value::string(token.as_str())]])
    }
}

/// One address serves both services; the engine is what a client of `.show version` looks for.
fn version() -> ResultTable {
    let schema = Schema::of(&[
        ("BuildVersion", ColumnType::String),
        ("BuildTime", ColumnType::DateTime),
        ("ServiceType", ColumnType::String),
        ("ProductVersion", ColumnType::String),
    ]);
    let version = env!("CARGO_PKG_VERSION");
    let row = [Value::string(version), Value::Null, Value::string("Engine"), Value::string(version)];
    ResultTable::from_rows("Table_0", schema, [row])
}

/// From now on the policies are known; there is nothing to say.
fn refreshed() -> ResultTable {
    strings::<[Value; 1]>(&["Result"], [])
}

fn strings<R: AsRef<[Value]>>(columns: &[&str], rows: impl IntoIterator<Item = R>) -> ResultTable {
    let columns: Vec<_> = columns.iter().map(|name| (*name, ColumnType::String)).collect();
    ResultTable::from_rows("Table_0", Schema::of(&columns), rows)
}
