//! That the oracle finds each row that is missing, too many or foreign, and none that is only written in another form.

use pipelines::Pipeline;
use tempfile::TempDir;

use super::*;
use crate::chaos::own_file::{OwnFile, Settings};
use crate::chaos::round::connect;

/// A value of each type in forms that the service does not answer with, nulls, and what separators are made of.
const ROWS: &str = "\
yes,small,large,number,exact,at,length,id,bag,words
true,1,-9007199254740993,1e3,1.50,2024-02-29,1.02:03:04.5,{0F8FAD5B-D9CB-469F-A165-70867728950E},\"{\"\"b\"\": 1, \"\"a\"\": [2, null]}\",\"a, b\"
FALSE,+2,9223372036854775807,-0.10,-100,2024-01-01 00:00:00.1234567,-00:00:01,0f8fad5b-d9cb-469f-a165-70867728950f,[],\"quote \"\"q\"\"
two lines\u{1f}\"
,,,,,,,,,
true,1,2,2.5,3,2024-02-29T12:00:00+01:00,00:00:01,0f8fad5b-d9cb-469f-a165-708677289510,\"{}\",ü
true,1,2,2.5,3,2024-02-29T12:00:00+01:00,00:00:01,0f8fad5b-d9cb-469f-a165-708677289510,\"{}\",ü
";
const COLUMNS: &str = "yes: bool, small: int, large: long, number: real, exact: decimal, at: datetime, length: timespan, \
                       id: guid, bag: dynamic, words: string";

struct Fixture {
    emulator: kusto_emulator::Emulator,
    expected: Expected,
    _directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (csv, toml) = (directory.path().join("rows.csv"), directory.path().join("pipeline.toml"));
        std::fs::write(&csv, ROWS).unwrap();
        let text = format!(
            "[job]\nname = \"p\"\nstate = \"s\"\n[source]\nkind = \"file\"\npath = {csv:?}\n[sink]\nmode = \"write-ahead\"\n\
             database = \"D\"\ntable = \"T\"\n"
        );
        std::fs::write(&toml, text).unwrap();
        let emulator = kusto_emulator::Emulator::builder().database("D").start().unwrap();
        emulator.handle().command("D", &format!(".create table T ({COLUMNS})")).unwrap();
        let settings = Settings {
            cluster: emulator.cluster_url(),
            state: directory.path(),
            rows: 0,
            rate: None,
            log_bytes: None,
        };
        let options = OwnFile::read(&toml).unwrap().configuration(&settings).unwrap().pipeline;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = connect(&emulator).unwrap();
        runtime.block_on(Pipeline::prepare(options.clone(), &client, "c")).unwrap();
        let expected = runtime.block_on(Expected::new(&options, &client)).unwrap();
        Fixture { emulator, expected, _directory: directory }
    }

    fn command(&self, command: &str) -> &Self {
        self.emulator.handle().command("D", command).unwrap();
        self
    }

    /// The rows of the file, as somebody else would bring them.
    fn filled(self) -> Self {
        let values = [
            "true, int(1), -9007199254740993, real(1000), decimal(1.5), datetime(2024-02-29), timespan(1.02:03:04.5), \
             guid(0f8fad5b-d9cb-469f-a165-70867728950e), dynamic({\"a\": [2, null], \"b\": 1}), 'a, b'",
            "false, int(2), 9223372036854775807, real(-0.1), decimal(-100), datetime(2024-01-01 00:00:00.1234567), \
             timespan(-00:00:01), guid(0f8fad5b-d9cb-469f-a165-70867728950f), dynamic([]), 'quote \"q\"\\ntwo lines\\u001f'",
            "bool(null), int(null), long(null), real(null), decimal(null), datetime(null), timespan(null), guid(null), \
             dynamic(null), ''",
            TWICE,
            TWICE,
        ];
        for values in values {
            self.command(&append(values));
        }
        self
    }

    fn compared(&self, rows_of_a_pass: u64) -> Compared {
        let target = Target { handle: self.emulator.handle(), database: "D", table: "T" };
        self.expected.compare_by(&target, rows_of_a_pass, &|| true).unwrap()
    }
}

const TWICE: &str = "true, int(1), 2, real(2.5), decimal(3.0), datetime(2024-02-29T11:00:00Z), timespan(00:00:01), \
                     guid(0f8fad5b-d9cb-469f-a165-708677289510), dynamic({}), 'ü'";

fn append(values: &str) -> String {
    let names: Vec<_> = COLUMNS.split(", ").filter_map(|column| column.split(':').next()).collect();
    format!(".append T <| datatable ({COLUMNS}) [{values}] | project {}", names.join(", "))
}

#[test]
fn rows_are_the_same_in_whatever_form_their_values_are_written() {
    for rows_of_a_pass in [1, 2, 100] {
        let compared = Fixture::new().filled().compared(rows_of_a_pass);
        assert!(compared.agrees() && compared.rows == 5, "{compared:?}");
    }
}

#[test]
fn each_row_of_an_empty_table_is_lost() {
    let compared = Fixture::new().compared(100);
    assert_eq!((compared.lost, compared.repeated, compared.strange), (5, 0, 0), "{compared:?}");
}

#[test]
fn a_row_that_is_there_once_more_is_repeated_and_shown_also_where_the_source_has_it_twice() {
    for rows_of_a_pass in [1, 100] {
        let fixture = Fixture::new().filled();
        let compared = fixture.command(&append(TWICE)).compared(rows_of_a_pass);
        assert_eq!((compared.lost, compared.repeated, compared.strange), (0, 1, 0), "{compared:?}");
        let [example] = compared.examples.as_slice() else { panic!("{compared:?}") };
        assert!(example.starts_with("3 times instead of 2") && example.contains("ü"), "{example}");
    }
}

#[test]
fn one_row_less_is_lost_and_a_changed_one_is_lost_and_strange() {
    let fixture = Fixture::new();
    fixture.command(&append(TWICE)).command(&append(&TWICE.replace("real(2.5)", "real(2.500001)")));
    let compared = fixture.compared(100);
    assert_eq!((compared.lost, compared.repeated, compared.strange), (4, 0, 1), "{compared:?}");
}

#[test]
fn decimals_have_one_form() {
    for (text, form) in
        [("1.50", "15e-1"), ("-0100", "-1e2"), ("1E3", "1e3"), ("0.000", "0"), ("12.5e-3", "125e-4")]
    {
        assert_eq!(plain_decimal(text), form, "{text}");
    }
}
