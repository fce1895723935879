use serde_json::{Value, json};

use uuid::Uuid;

use super::*;

fn ingestion() -> Ingestion {
    Ingestion {
        source_id: Uuid::from_u128(0x5f6e_0000_0000_4000_8000_0000_0000_0001),
        database: "db".into(),
        table: "tbl".into(),
        format: "csv".into(),
        mapping: Some(IngestionMapping::Reference("m1".into())),
        ignore_first_record: true,
        additional_tags: vec!["x".into()],
        ingest_by_tags: vec!["a1".into()],
        drop_by_tags: vec!["d1".into()],
        ingest_if_not_exists: vec!["a1".into()],
        creation_time: None,
        flush_immediately: false,
        retain_blob_on_success: true,
        report: Report::None,
    }
}

fn blob() -> UploadedBlob {
    UploadedBlob {
        container: "https://acct00.blob.core.windows.net/cont".into(),
        name: "db__tbl__5f6e__stream.csv.gz".into(),
        raw_bytes: 1_048_576,
        signature: SecretString::from("sv=1&sig=old"),
    }
}

fn message(ingestion: &Ingestion, status_table: Option<(&str, &SecretString)>) -> Value {
    let context = Context {
        authorization: &SecretString::from("<opaque>"),
        signature: &SecretString::from("sv=2&sig=fresh%3D"),
        status_table,
        application: "app",
        client_version: "Kusto.Timely.Client:{0.1.0}",
        now: "2026-08-20T23:44:15.093605Z".parse().unwrap(),
    };
    let text = encode(ingestion, &blob(), &context).unwrap();
    serde_json::from_slice(&BASE64.decode(text).unwrap()).unwrap()
}

#[test]
fn a_message_is_what_the_documented_form_says() {
    assert_eq!(
        message(&ingestion(), None),
        json!({
            "BlobPath": "https://acct00.blob.core.windows.net/cont/db__tbl__5f6e__stream.csv.gz?sv=2&sig=fresh%3D",
            "RawDataSize": 1_048_576,
            "DatabaseName": "db",
            "TableName": "tbl",
            "RetainBlobOnSuccess": true,
            "FlushImmediately": false,
            "IgnoreSizeLimit": false,
            "ReportLevel": 1,
            "ReportMethod": 0,
            "SourceMessageCreationTime": "2026-08-20T23:44:15.093605Z",
            "Id": "5f6e0000-0000-4000-8000-000000000001",
            "ApplicationForTracing": "app",
            "ClientVersionForTracing": "Kusto.Timely.Client:{0.1.0}",
            "AdditionalProperties": {
                "authorizationContext": "<opaque>",
                "tags": "[\"x\",\"drop-by:d1\",\"ingest-by:a1\"]",
                "ingestIfNotExists": "[\"a1\"]",
                "ingestionMappingReference": "m1",
                "ingestionMappingType": "Csv",
                "format": "csv",
                "ignoreFirstRecord": true
            }
        })
    );
}

#[test]
fn a_report_names_the_status_row_with_the_signature_of_its_table() {
    let signature = SecretString::from("sig=t");
    let table = Some(("https://acct00.table.core.windows.net/status", &signature));
    let message = message(&Ingestion { report: Report::Table, ..ingestion() }, table);
    assert_eq!(message["ReportLevel"], 2);
    assert_eq!(message["ReportMethod"], 1);
    assert_eq!(
        message["IngestionStatusInTable"],
        json!({
            "TableConnectionString": "https://acct00.table.core.windows.net/status?sig=t",
            "PartitionKey": "5f6e0000-0000-4000-8000-000000000001",
            "RowKey": "5f6e0000-0000-4000-8000-000000000001"
        })
    );
}

#[test]
fn what_is_not_asked_for_is_left_out() {
    let plain = Ingestion {
        mapping: None,
        ignore_first_record: false,
        additional_tags: vec![],
        ingest_by_tags: vec![],
        drop_by_tags: vec![],
        ingest_if_not_exists: vec![],
        ..ingestion()
    };
    assert_eq!(
        message(&plain, None)["AdditionalProperties"],
        json!({"authorizationContext": "<opaque>", "format": "csv"})
    );
}

#[test]
fn an_inline_mapping_is_sent_as_a_string_with_the_kind_of_its_format() {
    let mapping = r#"[{"Column":"a","Properties":{"Path":"$['a']"}}]"#;
    let inline = Ingestion {
        format: "multijson".into(),
        mapping: Some(IngestionMapping::Inline(mapping.into())),
        creation_time: Some("2024-01-01T00:00:00Z".into()),
        ..ingestion()
    };
    let properties = &message(&inline, None)["AdditionalProperties"];
    assert_eq!(properties["ingestionMapping"], mapping);
    assert_eq!(properties["ingestionMappingType"], "Json");
    assert_eq!(properties["creationTime"], "2024-01-01T00:00:00Z");
}

#[test]
fn names_of_blobs_are_encoded_as_one_segment() {
    let blob = UploadedBlob { name: "a/b c?ü.csv".into(), ..blob() };
    assert_eq!(blob_address(&blob), "https://acct00.blob.core.windows.net/cont/a%2Fb%20c%3F%C3%BC.csv");
}

#[test]
fn a_message_that_does_not_fit_says_what_to_shorten() {
    let mapping = Some(IngestionMapping::Inline("x".repeat(LIMIT)));
    let error = check_size(&Ingestion { mapping, ..ingestion() }, &blob()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains(".create-or-alter table tbl ingestion csv mapping"), "{error}");

    let additional_tags = vec!["y".repeat(LIMIT)];
    let error = check_size(&Ingestion { additional_tags, ..ingestion() }, &blob()).unwrap_err();
    assert!(error.to_string().contains("fewer or shorter tags"), "{error}");
}
