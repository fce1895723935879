//! `.ingest into`: the command by which the engine pulls a blob at once, without data management.
//!
//! Facts: `MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/data-ingestion/ingest-into-command.md`,
//! `.../kusto/includes/ingestion-properties.md`, and, for the prefix `h`, which keeps a literal out of the service's traces,
//! `.../kusto/query/scalar-data-types/string.md`.

use serde_json::json;

use super::message::{blob_address, signed};
use crate::{Ingestion, IngestionMapping, UploadedBlob, quote_name, quote_string};

/// The command that ingests `blob` as `ingestion` says, its table included; how the outcome is reported, and when a batch is
/// sealed, means nothing to it. It holds the signature that the blob was written with: send it, never print it.
pub fn ingest_command(ingestion: &Ingestion, blob: &UploadedBlob) -> String {
    let source = quote_string(&signed(&blob_address(blob), &blob.signature));
    let table = quote_name(&ingestion.table);
    format!(".ingest into table {table} (h{source}) with ({})", properties(ingestion).join(", "))
}

fn properties(ingestion: &Ingestion) -> Vec<String> {
    let text = |name: &str, value: &str| format!("{name}={}", quote_string(value));
    let mut properties = vec![text("format", &ingestion.format)];
    match &ingestion.mapping {
        Some(IngestionMapping::Inline(mapping)) => properties.push(text("ingestionMapping", mapping)),
        Some(IngestionMapping::Reference(name)) => properties.push(text("ingestionMappingReference", name)),
        None => {}
    }
    let prefixed = |prefix: &str, values: &[String]| -> Vec<String> {
        values.iter().map(|value| format!("{prefix}{value}")).collect()
    };
    let tags = [
        ingestion.additional_tags.clone(),
        prefixed("ingest-by:", &ingestion.ingest_by_tags),
        prefixed("drop-by:", &ingestion.drop_by_tags),
    ]
    .concat();
    if !tags.is_empty() {
        properties.push(text("tags", &json!(tags).to_string()));
    }
    if !ingestion.ingest_if_not_exists.is_empty() {
        properties.push(text("ingestIfNotExists", &json!(ingestion.ingest_if_not_exists).to_string()));
    }
    if let Some(time) = &ingestion.creation_time {
        properties.push(text("creationTime", time));
    }
    if ingestion.ignore_first_record {
        properties.push("ignoreFirstRecord=true".to_owned());
    }
    properties
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use uuid::Uuid;

    use super::ingest_command;
    use crate::{Ingestion, IngestionMapping, Report, UploadedBlob};

    #[test]
    fn the_command_quotes_everything_and_hides_the_signature_from_the_services_traces() {
        let blob = UploadedBlob {
            container: "https://x.blob.core.windows.net/c".to_owned(),
            name: "it's.csv.gz".to_owned(),
            raw_bytes: 5,
            signature: SecretString::from("sig=s%2B"),
        };
        let ingestion = Ingestion {
            source_id: Uuid::nil(),
            database: "db".to_owned(),
            table: "my table".to_owned(),
            format: "csv".to_owned(),
            mapping: Some(IngestionMapping::Inline("[{\"Column\":\"a'b\"}]".to_owned())),
            ignore_first_record: false,
            additional_tags: vec!["kt:1".to_owned()],
            ingest_by_tags: vec!["x".to_owned()],
            drop_by_tags: vec![],
            ingest_if_not_exists: vec![],
            creation_time: None,
            flush_immediately: true,
            retain_blob_on_success: false,
            report: Report::Table,
        };
        assert_eq!(
            ingest_command(&ingestion, &blob),
            ".ingest into table ['my table'] (h'https://x.blob.core.windows.net/c/it%27s.csv.gz?sig=s%2B') with \
             (format='csv', ingestionMapping='[{\"Column\":\"a\\'b\"}]', tags='[\"kt:1\",\"ingest-by:x\"]')"
        );
    }
}
