//! Which columns are hashed, and how that is kept.

use super::support::{fields, over_all, table, texts};
use crate::options::Format;
use crate::row_hash::definition::{DefinitionError, Unhashable};
use crate::row_hash::{Kind, RowHash};

fn over(wanted: &[&str]) -> Result<RowHash, Unhashable> {
    RowHash::over(&texts(wanted), &table())
}

#[test]
fn a_star_takes_all_columns_but_dynamic_ones() {
    let hash = over_all();
    assert_eq!(hash.columns().len(), table().len() - 1);
    assert_eq!(hash.left_out(), [("bag".to_owned(), "dynamic".to_owned())]);
}

#[test]
fn named_columns_are_hashed_in_their_order() {
    let hash = over(&["word", "n"]).unwrap();
    assert_eq!(hash.columns(), [("word".to_owned(), Kind::String), ("n".to_owned(), Kind::Long)]);
    assert_ne!(hash, over(&["n", "word"]).unwrap());
    assert!(hash.left_out().is_empty());
}

#[test]
fn columns_that_cannot_be_hashed_are_refused_with_the_reason() {
    let refused = |wanted: &[&str]| over(wanted).unwrap_err().to_string();
    assert!(refused(&["nothing"]).contains("no column \"nothing\""));
    assert!(refused(&["bag"]).contains("type dynamic"));
    assert!(refused(&["n", "word", "n"]).contains("named twice"));
    assert_eq!(over(&["*", "n"]), Err(Unhashable::StarAmongNames));
    assert_eq!(over(&[]), Err(Unhashable::Nothing));
    let only = [("bag".to_owned(), "dynamic".to_owned())];
    assert_eq!(RowHash::over(&texts(&["*"]), &only), Err(Unhashable::Nothing));
}

#[test]
fn a_definition_is_kept_as_one_line_and_read_back() {
    let hash = over_all();
    let text = hash.text();
    assert!(!text.contains('\n'));
    let read = RowHash::parse(&text).unwrap();
    assert_eq!(read.columns(), hash.columns());
    assert_eq!((read.text(), read.id()), (text, hash.id()));
}

#[test]
fn texts_and_ids_of_definitions_never_change() {
    let hash = over(&["word", "n", "real"]).unwrap();
    assert_eq!(hash.text(), r#"{"version":1,"columns":[["word","string"],["n","long"],["real","real"]]}"#);
    assert_eq!(format!("{:016x}", hash.id()), "72c94e4d411712bd");
}

/// The number was computed by another program, from the text as the page describes it:
/// `1,1,-5,7,,+7:108086391056891904:0:0,-12.5,2024-02-29 23:59:59.1234567,1.36000000000,`
/// `74be27de-1e4e-49d9-b579-fe0b331d3642,5:a, b.,3:ä.,`
#[test]
fn numbers_of_rows_never_change_within_a_version() {
    let row = "1,true,-5,7,,1.5,-12.50,2024-02-29T23:59:59.1234567Z,1.01:00:00,\
               74be27de-1e4e-49d9-b579-fe0b331d3642,\"a, b.\",ä.,[]\n";
    assert_eq!(over_all().summer(Format::Csv, &fields()).sum(row.as_bytes()).unwrap(), 1_076_279_118);
}

#[test]
fn synonyms_of_a_type_are_one_type() {
    let column = |kind: &str| [("c".to_owned(), kind.to_owned())];
    let id = |kind: &str| RowHash::over(&texts(&["c"]), &column(kind)).unwrap().id();
    assert_eq!(id("double"), id("real"));
    assert_eq!(id("date"), id("datetime"));
    assert_ne!(id("int"), id("long"));
}

#[test]
fn another_version_is_never_misread() {
    let newer = RowHash::parse(r#"{"version":2,"columns":7,"more":true}"#).unwrap_err();
    assert!(matches!(newer, DefinitionError::Newer(2)), "{newer}");
    assert!(newer.to_string().contains("newer"));
    let broken = [
        "",
        "{}",
        "[]",
        r#"{"version":1,"columns":[]}"#,
        r#"{"version":1,"columns":[["a","dynamic"]]}"#,
        r#"{"version":1,"columns":[["a","long"],["a","long"]]}"#,
        r#"{"version":1,"columns":[["a","long"]],"more":1}"#,
    ];
    for text in broken {
        assert!(matches!(RowHash::parse(text), Err(DefinitionError::Garbled(_))), "{text}");
    }
}
