//! Status rows in tables of other storage.

use axum::http::Method;
use percent_encoding::utf8_percent_encode;
use serde_json::{Map, Value, json};

use super::Outside;
use super::client::Call;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::sas::UNRESERVED;
use crate::storage::{Key, Place, Service};

impl Outside {
    /// Insert Or Merge Entity, in the table at an address below a known endpoint, or in `usual` if it names none; with the
    /// account's key.
    ///
    /// # Errors
    /// 404 for an address elsewhere; what the storage says.
    pub(in crate::storage) fn merge_row(
        &self,
        address: &str,
        usual: &Place,
        key: &Key,
        mut properties: Map<String, Value>,
    ) -> StorageResult<()> {
        let bare = address.split('?').next().unwrap_or_default();
        let found = self.accounts.iter().find_map(|account| {
            let below = account.below(Service::Table, bare).filter(|table| !table.is_empty());
            let whole = || (bare == account.endpoint(Service::Table)).then_some(usual.resource.as_str());
            below.or_else(whole).map(|table| (account, table))
        });
        let (account, table) = found.ok_or_else(|| StorageError::resource_not_found(Service::Table))?;
        properties.insert("PartitionKey".to_owned(), json!(key.0));
        properties.insert("RowKey".to_owned(), json!(key.1));
        let path = format!("{table}(PartitionKey='{}',RowKey='{}')", quoted(&key.0), quoted(&key.1));
        let merge =
            Call::new(Service::Table, Method::PATCH, path).json(Value::Object(properties).to_string());
        self.call(&account.account, merge).map(drop)
    }
}

fn quoted(key: &str) -> String {
    utf8_percent_encode(&key.replace('\'', "''"), UNRESERVED).to_string()
}
