//! Files that cannot be read, or must not be: every error says what, where and what to do.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::Write;
use std::path::Path;

use pipelines::ErrorKind;
use pipelines::file::{FileFormat, FileOptions, FileSource};
use pipelines::source::{Budget, Polled, Source};

fn read_error(source: &FileSource) -> pipelines::Error {
    common::blocks(source, Budget::DEFAULT).unwrap_err()
}

#[test]
fn a_missing_file_is_named() {
    let error = read_error(&common::csv(Path::new("/nowhere/storms.csv")));
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.to_string().contains("/nowhere/storms.csv"), "{error}");
    assert!(error.advice().unwrap().contains("`path`"), "{error}");
}

#[test]
fn a_directory_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read_error(&common::csv(dir.path())).to_string().contains("no regular file"));
}

#[test]
fn a_gzip_file_that_was_cut_off_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..10_000).map(|row| format!("{row},{}\n", row * 7)).collect();
    let path = common::write_gzip(dir.path(), "a.csv.gz", text.as_bytes(), 1);
    let stored = std::fs::read(&path).unwrap();
    std::fs::write(&path, &stored[..stored.len() / 2]).unwrap();
    let error = read_error(&common::csv(&path));
    assert!(error.to_string().contains("cut off"), "{error}");
}

#[test]
fn utf_16_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = common::write(dir.path(), "a.csv", b"\xff\xfea\0,\0b\0\n\0");
    let error = read_error(&common::csv(&path));
    assert!(error.to_string().contains("UTF-16"), "{error}");
    assert!(error.to_string().contains("iconv"), "{error}");
}

#[test]
fn a_record_above_the_limit_names_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = common::write(dir.path(), "a.csv", format!("a,b\n1,2\n3,\"{}\n", "open\n".repeat(1000)));
    let options = FileOptions { record_bytes: 1000, ..FileOptions::new([&path], FileFormat::Csv) };
    let error = read_error(&FileSource::new(options).unwrap());
    assert_eq!(error.kind(), ErrorKind::Record);
    assert!(error.to_string().contains("a.csv, line 3: the record is larger than 1000 bytes"), "{error}");
    assert!(error.advice().unwrap().contains("never closed"), "{error}");
}

#[test]
fn json_that_is_neither_lines_nor_an_array_names_line_and_wish() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        ("\n\n1\n", "line 3: malformed json: expected `{`"),
        ("[{\"a\":1}\n{\"a\":2}]", "line 2: malformed json: expected `,` or `]`"),
        ("[1,2]", "must hold objects"),
        ("[{\"a\":1},,{\"a\":2}]", "must hold objects"),
        ("[{\"a\":1},]", "must hold objects"),
        ("[{\"a\":1}]\n[", "line 2: malformed json: expected nothing after"),
        ("[{\"a\":1}", "ends within the array"),
        ("[{\"a\":1},\n{\"a\":", "line 2: malformed json: the file ends within an object"),
        ("{\n\"a\":1}\n{\"a\":2}\n3", "line 4: malformed json: expected another object"),
        ("{\"a\":1\n{\"a\":1}\n", "line 1: malformed json: the file ends within the object"),
    ];
    for (text, expected) in cases {
        let error = read_error(&common::json(&common::write(dir.path(), "a.json", text)));
        assert_eq!(error.kind(), ErrorKind::Record);
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_file_that_changed_since_its_position_was_kept_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = common::write(dir.path(), "a.csv", "a,b\n1,2\n3,4\n");
    let source = common::csv(&path);
    let name = source.partitions().unwrap().remove(0);
    let mut reader = source.open(&name, None).unwrap();
    reader.poll(Budget { rows: 1, ..Budget::DEFAULT }).unwrap();
    let position = reader.position();
    for changed in ["a,b\n1,2\n3,4\n5,6\n", "a,b\n1,2\n3,5\n", "a,b\n1,2\n", ""] {
        std::fs::write(&path, changed).unwrap();
        let error = source.open(&name, Some(&position)).unwrap_err();
        assert!(error.to_string().contains("the file changed"), "{error}");
    }
    std::fs::write(&path, "a,b\n1,2\n3,4\n").unwrap();
    assert!(source.open(&name, Some(&position)).is_ok());
}

#[test]
fn a_change_anywhere_in_the_edges_of_a_large_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..100_000).map(|row| format!("{row:09},x\n")).collect();
    let path = common::write(dir.path(), "a.csv", &text);
    let source = common::csv(&path);
    let name = source.partitions().unwrap().remove(0);
    let position = source.open(&name, None).unwrap().position();
    for at in [5, 60_000, text.len() - 60_000, text.len() - 5] {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        std::fs::write(&path, changed).unwrap();
        assert!(source.open(&name, Some(&position)).is_err(), "a change at {at}");
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_is_an_error_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = common::write(dir.path(), "a.csv", "a,b\n1,2\n3,4\n");
    let source = common::csv(&path);
    let mut reader = source.open(&source.partitions().unwrap()[0], None).unwrap();
    assert!(matches!(reader.poll(Budget::DEFAULT).unwrap(), Polled::Batch(_)));
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(b"5,6\n").unwrap();
    let mut end = || -> Result<(), pipelines::Error> {
        while let Polled::Batch(_) = reader.poll(Budget::DEFAULT)? {}
        Ok(())
    };
    let error = end().unwrap_err();
    assert!(
        error.to_string().contains("changed while it was read: it had 12 bytes and now has 16"),
        "{error}"
    );
}

#[test]
fn options_that_cannot_work_are_named() {
    let none: [&str; 0] = [];
    let wrong = |options: FileOptions| FileSource::new(options).unwrap_err().to_string();
    assert!(wrong(FileOptions::new(none, FileFormat::Csv)).contains("path is empty"));
    assert!(wrong(FileOptions::new(["a.csv", "a.csv"], FileFormat::Csv)).contains("names a.csv twice"));
    let large = FileOptions { record_bytes: 0, ..FileOptions::new(["a"], FileFormat::Csv) };
    assert!(wrong(large).contains("record_bytes is 0"));
}
