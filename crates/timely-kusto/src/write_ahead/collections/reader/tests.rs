use super::*;

fn columns(columns: &[(&str, &str)]) -> Vec<(String, String)> {
    columns.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
}

#[test]
fn a_change_stream_is_summed_by_all_columns_of_the_record_and_dynamic_ones_by_their_text() {
    let table = columns(&[
        ("state", "string"),
        ("order", "long"),
        ("_kt_time", "long"),
        ("_kt_diff", "long"),
        ("_kt_epoch", "long"),
    ]);
    let made = Reader::change_stream().define("Counts", &table).unwrap();
    assert_eq!(made.function, "Counts_now");
    let body = "Counts | summarize _kt_count = sum(_kt_diff) by state, ['order'] | where _kt_count != 0";
    assert_eq!((made.body.as_str(), made.view), (body, None));
    let with_bag = columns(&[("bag", "dynamic"), ("a", "int"), ("_kt_time", "long"), ("_kt_diff", "long")]);
    let made = Reader::change_stream().materialized(true).function("F").define("T", &with_bag).unwrap();
    let query = "T | summarize _kt_count = sum(_kt_diff) by bag = tostring(bag), a";
    assert_eq!(made.view, Some(("F_view".to_owned(), query.to_owned())));
    assert_eq!(made.body, "F_view | where _kt_count != 0 | project bag = todynamic(bag), a, _kt_count");
}

#[test]
fn upserts_show_the_last_record_of_each_key_that_is_present() {
    let table = columns(&[("id", "long"), ("v", "string"), ("_kt_time", "long"), ("_kt_deleted", "bool")]);
    let made = Reader::upsert(["id"]).define("T", &table).unwrap();
    assert_eq!(made.body, "T_now_view | where not(_kt_deleted) | project id, v");
    assert_eq!(made.view.unwrap().1, "T | summarize arg_max(_kt_time, *) by id");
    let made = Reader::upsert(["id"]).materialized(false).define("T", &table).unwrap();
    assert!(made.body.starts_with("T | summarize arg_max(_kt_time, *) by id | where"), "{}", made.body);
}

#[test]
fn a_table_that_cannot_hold_it_is_told_with_what_to_do() {
    let told = |reader: Reader, table: &[(&str, &str)]| {
        reader.check("db.T", &columns(table)).unwrap_err().to_string()
    };
    let missing = told(Reader::change_stream(), &[("a", "long"), ("_kt_time", "long")]);
    assert!(missing.contains(".alter-merge table T (_kt_diff: long)"), "{missing}");
    let other = told(Reader::change_stream(), &[("_kt_time", "datetime"), ("_kt_diff", "long")]);
    assert!(other.contains("_kt_time: long") && other.contains("as datetime"), "{other}");
    let table = [("a", "long"), ("_kt_time", "long"), ("_kt_deleted", "bool")];
    assert!(told(Reader::upsert(["b"]), &table).contains("\"b\""));
    assert!(told(Reader::upsert(Vec::<String>::new()), &table).contains("no columns"));
}
