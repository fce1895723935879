use super::*;

const CSV: &str = r#"'[{"Column":"a","Properties":{"Ordinal":"1"}},{"column":"b","ordinal":0}]'"#;

fn table() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table T (a:string, b:string, c:dynamic, d:datetime)");
    cluster
}

#[test]
fn create_fails_if_the_name_exists_and_create_or_alter_replaces() {
    let cluster = table();
    cluster.run(&format!(".create table T ingestion csv mapping \"M\" {CSV}"));
    let again = cluster.refused(&format!(".create table T ingestion csv mapping \"M\" {CSV}"));
    assert_eq!(again.code, "BadRequest_EntityAlreadyExists");
    cluster.run(r#".create-or-alter table T ingestion csv mapping "M" '[{"Column":"a","Properties":{"Ordinal":"0"}}]'"#);
    cluster.ingest_text("T", &json!({"ingestionMappingReference": "M"}), "x,y").unwrap();
    assert_eq!(cluster.content("T"), json!([["x", "", null, null]]));
}

#[test]
fn mappings_are_shown_and_dropped_by_name_and_kind() {
    let cluster = table();
    cluster.run(&format!(".create table T ingestion csv mapping 'M' {CSV}"));
    cluster
        .run(r#".create table T ingestion json mapping "M" '[{"Column":"a","Properties":{"Path":"$.a"}}]'"#);
    assert_eq!(cluster.run(".show table T ingestion mappings").rows, 2);
    let csv = cluster.run(".show table T ingestion csv mapping 'M'");
    assert_eq!(column(&csv, "Kind"), [json!("Csv")]);
    cluster.run(".drop table T ingestion csv mapping 'M'");
    assert_eq!(cluster.run(".show table T ingestion csv mappings").rows, 0);
    assert_eq!(cluster.refused(".show table T ingestion csv mapping 'M'").status, 400);
}

#[test]
fn table_scope_wins_over_database_scope() {
    let cluster = table();
    cluster.run(
        r#".create database db ingestion csv mapping "M" '[{"Column":"b","Properties":{"Ordinal":"0"}}]'"#,
    );
    cluster.ingest_text("T", &json!({"ingestionMappingReference": "M"}), "1").unwrap();
    cluster
        .run(r#".create table T ingestion csv mapping "M" '[{"Column":"a","Properties":{"Ordinal":"0"}}]'"#);
    cluster.ingest_text("T", &json!({"ingestionMappingReference": "M"}), "2").unwrap();
    assert_eq!(cluster.content("T"), json!([["", "1", null, null], ["2", "", null, null]]));
}

#[test]
fn a_csv_mapping_takes_ordinals_constants_and_the_source_location_without_its_secret() {
    let cluster = table();
    let mapping = json!([
        {"column": "a", "datatype": "string", "Properties": {"Ordinal": 2}},
        {"column": "b", "Properties": {"Transform": "SourceLocation"}},
        {"column": "c", "Properties": {"ConstValue": "{\"k\":1}"}},
    ]);
    cluster.ingest_text("T", &json!({"ingestionMapping": mapping.to_string()}), "x,y,z").unwrap();
    assert_eq!(cluster.content("T"), json!([["z", "http://h/c/blob", {"k": 1}, null]]));
}

#[test]
fn a_json_mapping_takes_paths_and_transformations() {
    let cluster = table();
    let mapping = json!([
        {"Column": "a", "Properties": {"Path": "$['x y'].z[1]"}},
        {"Column": "b", "Properties": {"Transform": "SourceLineNumber"}},
        {"Column": "c", "Properties": {"Path": "$"}},
        {"Column": "d", "Properties": {"Path": "$.t", "Transform": "DateTimeFromUnixMilliseconds"}},
    ]);
    let properties = json!({"format": "json", "ingestionMapping": mapping.to_string()});
    cluster.ingest_text("T", &properties, "\n{\"x y\":{\"z\":[1,\"two\"]},\"t\":1767225600001}\n").unwrap();
    let whole = json!({"x y": {"z": [1, "two"]}, "t": 1_767_225_600_001_i64});
    assert_eq!(cluster.content("T"), json!([["two", "2", whole, "2026-01-01T00:00:00.0010000Z"]]));
}

#[test]
fn property_bags_become_dictionaries_and_mapped_fields_can_be_dropped() {
    let cluster = table();
    cluster.run(".create table P (bag:dynamic, rest:dynamic, x:long)");
    let mapping = json!([
        {"Column": "bag", "Properties": {"Path": "$.p", "Transform": "PropertyBagArrayToDictionary"}},
        {"Column": "rest", "Properties": {"Path": "$", "Transform": "DropMappedFields"}},
        {"Column": "x", "Properties": {"Path": "$.x"}},
    ]);
    let record = r#"{"p":[{"Key":"k","Value":1}],"x":3,"y":{"z":4}}"#;
    cluster
        .ingest_text("P", &json!({"format": "multijson", "ingestionMapping": mapping.to_string()}), record)
        .unwrap();
    assert_eq!(cluster.content("P"), json!([[{"k": 1}, {"y": {"z": 4}}, 3]]));
}

#[test]
fn a_mapping_that_cannot_be_is_refused_by_name() {
    let cluster = table();
    for bad in [
        "no json",
        "[]",
        r#"[{"Properties":{"Ordinal":"0"}}]"#,
        r#"[{"Column":"a","Properties":{"Ordinal":"x"}}]"#,
        r#"[{"Column":"a","Properties":{"Ordinal":"0","ConstValue":"k"}}]"#,
        r#"[{"Column":"a","Properties":{"Ordinal":"0"}},{"Column":"a","Properties":{"Ordinal":"1"}}]"#,
    ] {
        let error = cluster.refused(&format!(".create table T ingestion csv mapping \"M\" '{bad}'"));
        assert_eq!(error.code, "BadRequest_InvalidMapping", "{bad}");
    }
}

#[test]
fn failures_of_mappings_have_their_documented_codes() {
    let cluster = table();
    let code = |properties: Json| cluster.ingest_text("T", &properties, "x").unwrap_err().code;
    assert_eq!(code(json!({"ingestionMappingReference": "No"})), "BadRequest_MappingReferenceWasNotFound");
    let unknown_column = r#"[{"Column":"zzz","Properties":{"Ordinal":"0"}}]"#;
    assert_eq!(code(json!({"ingestionMapping": unknown_column})), "BadRequest_InvalidMapping");
    let both = json!({"ingestionMappingReference": "M", "ingestionMapping": unknown_column});
    assert_eq!(code(both), "BadRequest_DuplicateMapping");
    assert_eq!(code(json!({"format": "avro"})), "BadRequest_FormatNotSupported");
}
