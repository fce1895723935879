//! What a person can do about an ingestion that the service refused, by the service's code
//! (`MicrosoftDocs/dataexplorer-docs data-explorer/error-codes.md`).

use kusto_client::{Role, quote_name};

use crate::options::WriteOptions;

/// A sentence or two, with the command to paste; none where the service's own words are all there is to say.
pub(super) fn advice(code: &str, options: &WriteOptions, principal: Option<String>) -> Option<String> {
    let (database, table) = (options.database(), quote_name(options.table()));
    Some(match code {
        "Forbidden" | "BadRequest_TableAccessDenied" | "BadRequest_DatabaseAccessDenied" => {
            let role = Role::TableIngestor { table: options.table().to_owned() };
            role.advice(database, principal.as_deref().unwrap_or(Role::SOMEBODY))
        }
        "BadRequest_TableNotExist" | "BadRequest_EntityNotFound" => format!(
            "Look for the table with `.show tables | where TableName == {}` in the database {database}; create it again, \
             or mend `table`.",
            kusto_client::quote_string(options.table())
        ),
        "BadRequest_DatabaseNotExist" => {
            format!("Look for the database {database} with `.show databases`; mend `database`.")
        }
        "BadRequest_MappingReferenceWasNotFound" | "BadRequest_InvalidMappingReference" => {
            let (mapping, kind) = (options.ingestion_mapping_ref().unwrap_or_default(), options.format());
            format!(
                "The table has no {kind} mapping called {mapping:?}. See those it has with `.show table {table} ingestion \
                 mappings`: a mapping serves one format, and `format` is {kind}. Mend `ingestion_mapping_ref` or \
                 `format`, or leave the mapping out."
            )
        }
        "BadRequest_InvalidMapping" | "BadRequest_InconsistentMapping" => format!(
            "Mapping and table do not fit: see the table's columns with `.show table {table} cslschema` and its \
             mappings with `.show table {table} ingestion mappings`."
        ),
        "Download_SourceNotFound" => {
            "The blob is gone. The service deletes a blob when it is ingested: if the message came twice, the first one \
             brought the rows. Count them before you start again, which sends what is not confirmed once more."
                .to_owned()
        }
        "Download_Forbidden" => {
            "The service may not read the blob that it lent the room for: check the network rules of the cluster's \
             storage accounts and its managed private endpoints."
                .to_owned()
        }
        _ => return None,
    })
}
