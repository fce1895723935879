use super::*;

fn table() -> Cluster {
    let cluster = Cluster::new();
    cluster.run(".create table T (s:string, n:int, d:dynamic)");
    cluster
}

/// What a text becomes under csv, or the failure's code.
fn csv(text: &str) -> Result<Json, &'static str> {
    ingested("csv", text.as_bytes())
}

fn ingested(format: &str, text: &[u8]) -> Result<Json, &'static str> {
    let cluster = table();
    match cluster.ingest_text("T", &json!({"format": format}), text) {
        Ok(_) => Ok(cluster.content("T")),
        Err(failure) => {
            assert_eq!(cluster.count("T"), 0, "a failed source leaves no row");
            assert!(failure.permanent, "{failure}");
            Err(failure.code)
        }
    }
}

#[test]
fn csv_fields_in_quotes_hold_commas_quotes_and_line_ends() {
    let expected = json!([["a,\"b\"\r\nc", 1, null], ["", 2, null]]);
    assert_eq!(csv("\"a,\"\"b\"\"\r\nc\",1,\r\n\"\",2,\n").unwrap(), expected);
}

#[test]
fn an_empty_field_is_null_for_every_type_but_string_and_blanks_are_kept_in_strings() {
    assert_eq!(csv(",,\n \t,  ,\n").unwrap(), json!([["", null, null], [" \t", null, null]]));
}

#[test]
fn text_that_does_not_parse_as_the_column_type_becomes_null() {
    let expected = json!([["a", null, {"k": [1]}], ["b", null, "no json"]]);
    assert_eq!(csv("a,x,\"{\"\"k\"\": [1]}\"\nb,2147483648,no json").unwrap(), expected);
}

#[test]
fn extra_columns_are_ignored_and_missing_trailing_ones_are_null() {
    assert_eq!(csv("a,1,2,3,4\nb,2,3,4,5").unwrap(), json!([["a", 1, 2], ["b", 2, 3]]));
    assert_eq!(csv("a").unwrap(), json!([["a", null, null]]));
}

#[test]
fn rows_with_different_numbers_of_fields_fail_the_whole_source() {
    assert_eq!(csv("a,1\nb,2\nc\n"), Err("Stream_WrongNumberOfFields"));
}

#[test]
fn a_missing_closing_quote_fails_the_whole_source() {
    assert_eq!(csv("a,1\n\"b,2\nc,3\n"), Err("Stream_ClosingQuoteMissing"));
    assert_eq!(csv("a,1\n\""), Err("Stream_ClosingQuoteMissing"));
}

#[test]
fn an_empty_source_is_an_empty_blob() {
    assert_eq!(csv(""), Err("BadRequest_EmptyBlob"));
}

#[test]
fn invalid_utf_8_becomes_the_replacement_character_and_a_byte_order_mark_is_skipped() {
    assert_eq!(ingested("csv", b"\xef\xbb\xbfa\xffb,1").unwrap(), json!([["a\u{fffd}b", 1, null]]));
}

#[test]
fn ignore_first_record_skips_the_header_of_every_source() {
    let cluster = table();
    cluster.put("u/1.csv", "s,n\na,1\n");
    cluster.put("u/2.csv", "s,n\nb,2\n");
    let outcome =
        cluster.ingest("T", &json!({"ignoreFirstRecord": "true"}), &["u/1.csv", "u/2.csv"]).unwrap();
    assert_eq!(outcome.sources, [SourceOutcome::Ingested { rows: 1 }, SourceOutcome::Ingested { rows: 1 }]);
    assert_eq!(cluster.content("T"), json!([["a", 1, null], ["b", 2, null]]));
}

#[test]
fn delimited_formats_differ_in_what_divides_fields() {
    for (format, delimiter) in [("tsv", "\t"), ("psv", "|"), ("scsv", ";"), ("sohsv", "\u{1}")] {
        let text = format!("a,b{delimiter}1\n");
        assert_eq!(ingested(format, text.as_bytes()).unwrap(), json!([["a,b", 1, null]]), "{format}");
    }
}

#[test]
fn txt_is_a_string_per_line_without_empty_ones_and_raw_is_one_string() {
    let text = b"a,\"b\n\n c\r\n";
    assert_eq!(ingested("txt", text).unwrap(), json!([["a,\"b", null, null], [" c", null, null]]));
    assert_eq!(ingested("raw", text).unwrap(), json!([["a,\"b\n\n c\r\n", null, null]]));
}

#[test]
fn json_skips_a_malformed_line_without_an_error() {
    let text = b"{\"s\":\"a\",\"n\":1}\n{\"s\":\n[1]\n\n{\"S\":\"x\",\"n\":\"7\",\"d\":{\"k\":[true]}}\r\n";
    assert_eq!(ingested("json", text).unwrap(), json!([["a", 1, null], ["", 7, {"k": [true]}]]));
}

#[test]
fn multijson_takes_an_array_or_objects_over_lines_and_fails_on_a_malformed_record() {
    let expected = json!([["a", 1, null], ["b", null, null]]);
    assert_eq!(
        ingested("multijson", b" [ {\"s\":\"a\",\"n\":1},\n{\"s\":\"b\",\"n\":1.5} ] ").unwrap(),
        expected
    );
    assert_eq!(ingested("multijson", b"{\"s\":\n\"a\",\"n\":1} {\"s\":\"b\"}").unwrap(), expected);
    for bad in ["{\"s\":\"a\"} {\"s\":", "[{\"s\":\"a\"},]", "[{\"s\":\"a\"}] x", "{\"s\":\"a\"} 5"] {
        assert_eq!(ingested("multijson", bad.as_bytes()), Err("BadRequest_InvalidBlob"), "{bad}");
    }
}

#[test]
fn json_that_is_nested_too_deeply_is_malformed() {
    let deep = format!("{{\"s\":\"a\",\"d\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(ingested("multijson", deep.as_bytes()), Err("BadRequest_InvalidBlob"));
    assert_eq!(ingested("json", deep.as_bytes()), Err("BadRequest_NoRecordsOrWrongFormat"));
}

#[test]
fn json_without_any_object_is_the_wrong_format() {
    assert_eq!(ingested("json", b"a,1\nb,2\n"), Err("BadRequest_NoRecordsOrWrongFormat"));
}

#[test]
fn a_string_above_1_mb_is_cut_and_a_dynamic_above_1_mb_is_null() {
    let long = "é".repeat(700_000);
    let check = |rows: Json| {
        let text = rows[0][0].as_str().unwrap();
        assert_eq!(text.len(), 1 << 20);
        assert!(long.starts_with(text));
        assert_eq!(rows[0][2], Json::Null);
    };
    check(csv(&format!("{long},1,\"\"\"{long}\"\"\"")).unwrap());
    check(ingested("json", format!("{{\"s\":\"{long}\",\"d\":\"{long}\"}}").as_bytes()).unwrap());
    check(ingested("multijson", format!("[{{\"s\":\"{long}\",\"d\":\"{long}\"}}]").as_bytes()).unwrap());
}

#[test]
fn a_record_above_64_mb_fails_the_source() {
    let long = "x".repeat(66 << 20);
    assert_eq!(csv(&long), Err("Stream_InputStreamTooLarge"));
    assert_eq!(ingested("json", long.as_bytes()), Err("Stream_InputStreamTooLarge"));
    assert_eq!(
        ingested("multijson", format!("{{\"s\":\"{long}\"}}").as_bytes()),
        Err("Stream_InputStreamTooLarge")
    );
}

#[test]
fn gzip_is_recognised_by_the_suffix_of_the_blobs_name() {
    let cluster = table();
    cluster.put("u/a.csv.gz?sig=x", gzip("a,1\n"));
    cluster.ingest("T", &none(), &["u/a.csv.gz?sig=x"]).unwrap();
    assert_eq!(cluster.content("T"), json!([["a", 1, null]]));
    cluster.put("u/b.csv.gz", "b,2\n");
    cluster.ingest("T", &json!({"TreatGzAsUncompressed": true}), &["u/b.csv.gz"]).unwrap();
    assert_eq!(cluster.count("T"), 2);
}

#[test]
fn a_damaged_or_cut_gzip_blob_is_invalid() {
    let cluster = table();
    let whole = gzip(&"a,1\n".repeat(1000));
    for (name, bytes) in [("u/a.gz", b"no gzip".to_vec()), ("u/b.gz", whole[..whole.len() / 2].to_vec())] {
        cluster.put(name, bytes);
        let outcome = cluster.ingest("T", &none(), &[name]).unwrap();
        let SourceOutcome::Failed(failure) = &outcome.sources[0] else { panic!("{name} was ingested") };
        assert_eq!((failure.code, failure.permanent), ("BadRequest_InvalidBlob", true));
    }
    assert_eq!(cluster.count("T"), 0);
}

#[test]
fn a_batch_becomes_one_extent_with_its_tags_and_a_failed_source_leaves_the_others() {
    let cluster = table();
    cluster.put("u/1", "a,1");
    cluster.put("u/2", "b,2\nc");
    cluster.put("u/3", "d,4");
    let tags = json!({"tags": "[\"drop-by:x\",\"y\",\"y\"]"});
    let outcome = cluster.ingest("T", &tags, &["u/1", "u/2", "u/missing", "u/3", "u/1"]).unwrap();
    let codes: Vec<_> = outcome
        .sources
        .iter()
        .map(|source| match source {
            SourceOutcome::Ingested { .. } => "",
            SourceOutcome::Failed(failure) => failure.code,
        })
        .collect();
    let repeated = "BlobAlreadyReceived_BlobAlreadyFoundInBatch";
    assert_eq!(codes, ["", "Stream_WrongNumberOfFields", "Download_SourceNotFound", "", repeated]);
    assert_eq!(cluster.content("T"), json!([["a", 1, null], ["d", 4, null]]));
    assert_eq!(cluster.extents("T"), outcome.extents);
    assert_eq!(outcome.extents.len(), 1);
    assert_eq!(column(&cluster.run(".show table T extents"), "Tags"), [json!("drop-by:x\r\ny")]);
}

#[test]
fn failures_are_shown_with_their_source_but_not_its_secret() {
    let cluster = table();
    drop(cluster.ingest("T", &none(), &["http://h/c/b?sig=secret"]));
    let shown = cluster.run(".show ingestion failures");
    assert_eq!(column(&shown, "ErrorCode"), [json!("Download_SourceNotFound")]);
    assert_eq!(column(&shown, "FailureKind"), [json!("Permanent")]);
    assert!(!json_rows(&shown).to_string().contains("secret"));
    let id = column(&shown, "OperationId")[0].as_str().unwrap().to_owned();
    assert_eq!(cluster.run(&format!(".show ingestion failures with (OperationId='{id}')")).rows, 1);
    let other = Uuid::nil();
    assert_eq!(cluster.run(&format!(".show ingestion failures with (OperationId='{other}')")).rows, 0);
}

#[test]
fn ingest_if_not_exists_skips_when_the_table_has_data_under_that_ingest_by_tag() {
    let cluster = table();
    let once = json!({"tags": ["ingest-by:k"], "ingestIfNotExists": "[\"k\"]"});
    cluster.ingest_text("T", &once, "a,1").unwrap();
    let again = cluster.ingest_text("T", &once, "a,1").unwrap_err();
    assert_eq!(again.code, "Skipped_IngestByTagAlreadyExists");
    assert_eq!(cluster.count("T"), 1);
    cluster.ingest_text("T", &json!({"ingestIfNotExists": "other"}), "a,1").unwrap();
    assert_eq!(cluster.count("T"), 2);
}

#[test]
fn creation_time_is_the_extents_and_the_zero_time_means_not_set() {
    let cluster = table();
    cluster.ingest_text("T", &json!({"creationTime": "2020-02-03T04:05:06Z"}), "a,1").unwrap();
    cluster.ingest_text("T", &json!({"creationTime": "0001-01-01T00:00:00Z"}), "a,1").unwrap();
    let created = column(&cluster.run(".show table T extents"), "MinCreatedOn");
    assert_eq!(created, ["2020-02-03T04:05:06.0000000Z", "2026-01-01T00:00:00.0000000Z"]);
}

#[test]
fn a_missing_table_or_database_has_its_documented_code() {
    let cluster = table();
    cluster.put("u", "a");
    assert_eq!(cluster.ingest("Nope", &none(), &["u"]).unwrap_err().code, "BadRequest_TableNotExist");
    let missing = cluster.engine.check_ingestion(&cluster.caller, "nodb", "T").unwrap_err();
    assert_eq!(missing.code, "BadRequest_DatabaseNotExist");
}

#[test]
fn ingest_into_pulls_blobs_and_answers_one_row_per_extent() {
    let cluster = table();
    cluster.put("http://h/c/a.csv?sig=s", "a,1\nb,2");
    let shown =
        cluster.run(".ingest into table T (h'http://h/c/a.csv?sig=s') with (format='csv', tags='[\"t\"]')");
    assert_eq!(column_names(&shown), ["ExtentId", "ItemLoaded", "Duration", "HasErrors", "OperationId"]);
    assert_eq!(column(&shown, "ItemLoaded"), ["http://h/c/a.csv"]);
    assert_eq!(column(&shown, "HasErrors"), [json!(false)]);
    assert_eq!(cluster.count("T"), 2);
    let error = cluster.refused(".ingest into table T ('http://h/c/none?sig=s')");
    assert_eq!((error.code, error.status, error.permanent), ("Download_SourceNotFound", 400, true));
}

#[test]
fn ingest_inline_takes_the_rest_of_the_command_or_rows_in_brackets() {
    let cluster = table();
    cluster.run(".ingest inline into table T <| a,1");
    cluster.run(".ingest inline into table T with (format='csv') <|\n// b,2\n\"c \"\"d\"\"\",3\n");
    cluster.run(".ingest inline into table T [e,4]\n  [\"]\",5]");
    let expected =
        json!([["a", 1, null], ["// b", 2, null], ["c \"d\"", 3, null], ["e", 4, null], ["]", 5, null]]);
    assert_eq!(cluster.content("T"), expected);
    let empty = cluster.run(".ingest inline into table T <|");
    assert_eq!(column(&empty, "ExtentId"), ["00000000-0000-0000-0000-000000000000"]);
    assert_eq!(cluster.refused(".ingest inline into table T with (colour='x') <| a").status, 400);
}

#[test]
fn an_ingestion_goes_to_the_table_it_resolved_even_if_that_was_renamed_meanwhile() {
    #[derive(Debug)]
    struct Renames(Mutex<Option<Arc<Engine>>>);
    impl BlobReader for Renames {
        fn open(&self, _: &str) -> Result<Box<dyn Read + Send>, IngestFailure> {
            let engine = self.0.lock().unwrap().take().unwrap();
            let context = RequestContext {
                principal: admin(),
                client_request_id: String::new(),
                activity_id: Uuid::nil(),
                mischief: Mischief::default(),
            };
            engine.execute(&context, "db", ".rename table T to U", &RequestProperties::default()).unwrap();
            Ok(Box::new(Cursor::new(b"1".to_vec())))
        }
    }
    let blobs = Arc::new(Renames(Mutex::new(None)));
    let options = EngineOptions {
        clock: Arc::new(ManualClock::default()),
        seed: Seed::new(1),
        data_dir: None,
        access: Access::Open,
        blobs: Arc::clone(&blobs) as Arc<dyn BlobReader>,
        assumptions: Assumptions::default(),
    };
    let engine = Arc::new(Engine::new(options).unwrap());
    engine.create_database("db").unwrap();
    let context = RequestContext {
        principal: admin(),
        client_request_id: String::new(),
        activity_id: Uuid::nil(),
        mischief: Mischief::default(),
    };
    engine.execute(&context, "db", ".create table T (a:long)", &RequestProperties::default()).unwrap();
    *blobs.0.lock().unwrap() = Some(Arc::clone(&engine));
    engine.execute(&context, "db", ".ingest into table T ('u')", &RequestProperties::default()).unwrap();
    assert_eq!(engine.snapshot().database("db").unwrap().table("U").unwrap().row_count(), 1);
}

#[test]
fn a_creation_time_before_the_soft_delete_period_is_refused_with_its_code() {
    let cluster = table();
    cluster.run(".alter-merge table T policy retention softdelete = 10d");
    let ingest = |created: &str| {
        let properties = json!({"creationTime": created});
        cluster.ingest_text("T", &properties, "1,a").map_err(|failure| (failure.code, failure.permanent))
    };
    assert_eq!(ingest("2025-12-30"), Ok(1));
    assert_eq!(ingest("2025-12-01"), Err(("BadRequest_CreationTimeEarlierThanSoftDeletePeriod", true)));
    assert_eq!(cluster.count("T"), 1);
}

#[test]
fn formats_that_are_not_read_are_refused_by_name_with_their_documented_code() {
    let cluster = table();
    for format in ["avro", "apacheavro", "parquet", "orc", "w3clogfile", "sstream", "azmonstream", "nonsense"]
    {
        let failure = cluster.ingest_text("T", &json!({"format": format}), "1,a").unwrap_err();
        assert_eq!((failure.code, failure.permanent), ("BadRequest_FormatNotSupported", true));
        assert!(failure.message.contains(format), "{failure}");
    }
    assert_eq!(cluster.count("T"), 0);
}
