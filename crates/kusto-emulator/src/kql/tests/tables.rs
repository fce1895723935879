//! Queries over a table of two extents.

use super::super::{ErrorKind, Options, apply, parse, parse_operators, run_statement};
use super::{answers, long, query, run, shown, storms};
use crate::data::{ColumnType, ResultTable, Schema, Value};

#[test]
fn rows_are_filtered_projected_and_counted() {
    answers(
        "Storms | where Kind == 'Hail' | project State, Deaths",
        "State Deaths\n[\"TEXAS\",0]\n[\"KANSAS\",null]",
    );
    answers("Storms | where Deaths > 0 and State startswith 'tex' | count", "Count\n[1]");
    answers("Storms | count;", "Count\n[5]");
    answers("Storms // all of it\n| take 2 | project ['State']", "State\n[\"TEXAS\"]\n[\"TEXAS\"]");
    answers(
        "Storms | where isempty(State) or Lat == 25.0 | project Kind",
        "Kind\n[\"Thunderstorm Wind\"]\n[\"Flash Flood\"]",
    );
    answers("Storms | where Details.a >= 0 | count", "Count\n[2]");
    answers("Storms | where Details.b[1] == 20 | project Details['c d']", "Details_c d\n[\"x\"]");
}

#[test]
fn groups_are_made_across_extents() {
    answers(
        "Storms | summarize n = count(), sum(Damage), avg(Lat), dcount(Kind) by State | sort by State asc",
        "State n sum_Damage avg_Lat dcount_Kind\n[\"\",1,7,\"NaN\",1]\n[\"FLORIDA\",1,0,25.0,1]\n[\"KANSAS\",1,0,38.25,1]\n[\"TEXAS\",2,5100,31.5,2]",
    );
    answers(
        "Storms | summarize count() by bin(Start, 1d) | order by Start asc",
        "Start count_\n[null,1]\n[\"2007-01-01T00:00:00.0000000Z\",2]\n[\"2007-01-02T00:00:00.0000000Z\",1]\n[\"2007-02-01T00:00:00.0000000Z\",1]",
    );
    answers(
        "Storms | summarize arg_max(Damage, State, Kind), take_any(Kind) | project State, Kind, Kind1",
        "State Kind Kind1\n[\"TEXAS\",\"Flood\",\"Hail\"]",
    );
    answers(
        "Storms | where State == 'TEXAS' | summarize arg_min(Start, *) by State | project State, Kind",
        "State Kind\n[\"TEXAS\",\"Hail\"]",
    );
    answers(
        "Storms | summarize make_set(Kind), make_list(Deaths, 2), r = 1.0 * countif(Kind has 'flood') / count()",
        "set_Kind list_Deaths r\n[[\"Hail\",\"Flood\",\"Thunderstorm Wind\",\"Flash Flood\"],[0,2],0.4]",
    );
    answers("Storms | distinct Kind | count", "Count\n[4]");
    answers("Storms | summarize by State | count", "Count\n[4]");
}

#[test]
fn columns_are_renamed_reordered_dropped_and_kept() {
    answers(
        "Storms | project-away D*, Lat | project-rename When = Start | project-reorder Kind, S* desc | take 1",
        "Kind State When\n[\"Hail\",\"TEXAS\",\"2007-01-01T10:30:00.0000000Z\"]",
    );
    answers("Storms | project-keep La*, State | take 1", "State Lat\n[\"TEXAS\",31.5]");
    answers(
        "Storms | project Deaths, Lat | getschema",
        "ColumnName ColumnOrdinal DataType ColumnType\n[\"Deaths\",0,\"System.Int32\",\"int\"]\n[\"Lat\",1,\"System.Double\",\"real\"]",
    );
}

#[test]
fn rows_know_their_extent() {
    answers(
        "Storms | summarize count() by id = extent_id(), tags = tostring(extent_tags()) | sort by id asc",
        "id tags count_\n[\"00000000-0000-0000-0000-000000000001\",\"[\\\"drop-by:a\\\",\\\"free\\\"]\",3]\n[\"00000000-0000-0000-0000-000000000002\",\"[\\\"ingest-by:b\\\"]\",2]",
    );
    answers(
        "Storms | where extent_tags() has 'drop-by:a' | where ingestion_time() < ago(1h) | count",
        "Count\n[3]",
    );
    answers("Storms | where extent_tags() has_cs 'drop-by:b' | count", "Count\n[0]");
}

#[test]
fn tables_are_joined_end_to_end_by_name_and_type() {
    answers(
        "union withsource=T (Storms | take 1 | project State), (print State = 'X', n = 1)",
        "T State n\n[\"union_arg0\",\"TEXAS\",null]\n[\"union_arg1\",\"X\",1]",
    );
    answers("union (print x = 1), (print x = 'a')", "x_long x_string\n[1,\"\"]\n[null,\"a\"]");
    answers("Storms | union Storms | count", "Count\n[10]");
    answers("union isfuzzy=true Storms, Missing | count", "Count\n[5]");
}

#[test]
fn ranges_count_up_and_down() {
    answers("range x from 1 to 10 step 4", "x\n[1]\n[5]\n[9]");
    answers("range x from 3 to 1 step -1 | summarize sum(x)", "sum_x\n[6]");
    answers("range t from datetime(2024-01-01) to datetime(2024-01-03) step 1d | count", "Count\n[3]");
    answers("range x from 0 to 9000000000000000000 step 1 | take 1", "x\n[0]");
    answers(
        "range x from 1 to 200000 step 1 | summarize count(), sum(x), dcount(x)",
        "count_ sum_x dcount_x\n[200000,20000100000,200000]",
    );
}

#[test]
fn variables_name_scalars_and_tables() {
    answers(
        "let low = 10; let T = Storms | where Damage > low; let n = toscalar(T | count); T | extend n | project Damage, n",
        "Damage n\n[100,2]\n[5000,2]",
    );
    answers(
        "let hail = Storms | where Kind == 'Hail' | project State; Storms | where State in (hail) | count",
        "Count\n[3]",
    );
    answers("Storms | where State in ((Storms | where Deaths == 2 | project State)) | count", "Count\n[2]");
    answers("let A = Storms; A | count", "Count\n[5]");
}

#[test]
fn parameters_take_literals_of_the_request() {
    let text = "declare query_parameters(n:long, s:string = 'TEXAS', t:datetime = datetime(2007-01-01)); \
                Storms | where Damage >= n and State == s and Start > t | count";
    let mut options = Options::default();
    options.parameters.insert("n".to_owned(), "100".to_owned());
    let parsed = parse(text).unwrap();
    let count = |options: &Options| run(&parsed, &storms(), options).unwrap()[0].value(0, 0);
    assert_eq!(count(&options), long(2));
    options.parameters.insert("t".to_owned(), "datetime(2007-01-01 12:00)".to_owned());
    assert_eq!(count(&options), long(1));
    options.parameters.insert("s".to_owned(), "\"O'Hara\"".to_owned());
    assert_eq!(count(&options), long(0));
    assert_eq!(run(&parsed, &storms(), &Options::default()).unwrap_err().code, "SEM0500");
}

#[test]
fn results_beyond_the_limit_are_an_error_unless_truncation_is_off() {
    let error = query("range x from 1 to 500001 step 1").unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Limit, "E_QUERY_RESULT_SET_TOO_LARGE"));
    assert_eq!(query("range x from 1 to 500000 step 1").unwrap().rows, 500_000);
    assert_eq!(query("set notruncation; range x from 1 to 500001 step 1").unwrap().rows, 500_001);
    assert_eq!(
        query("set truncationmaxrecords = 5; range x from 1 to 9 step 1").unwrap_err().kind,
        ErrorKind::Limit
    );
    assert_eq!(query("set query_take_max_records = 5; range x from 1 to 9 step 1").unwrap().rows, 5);
    let all =
        run_statement(&parse("range x from 1 to 500001 step 1").unwrap(), &storms(), &Options::default());
    assert_eq!(all.unwrap().rows, 500_001);
}

#[test]
fn memory_of_an_operator_is_bounded() {
    let options = Options { max_memory: 1 << 20, ..Options::default() };
    for operators in ["sort by x", "summarize count() by x", "distinct x"] {
        let parsed = parse(&format!("range x from 1 to 100000000 step 1 | {operators}")).unwrap();
        let error = run(&parsed, &storms(), &options).unwrap_err();
        assert_eq!((error.kind, error.code), (ErrorKind::Limit, "E_RUNAWAY_QUERY"), "{operators}");
    }
}

#[test]
fn results_of_commands_are_piped_through_operators() {
    let schema = Schema::of(&[("TableName", ColumnType::String), ("RowCount", ColumnType::Long)]);
    let rows = [[Value::from("A"), long(3)], [Value::from("B"), long(0)]];
    let table = ResultTable::from_rows("Table_0", schema, rows);
    let operators = parse_operators("| where RowCount > 0 | project TableName").unwrap();
    let piped = apply(table.clone(), &operators, &storms(), &Options::default()).unwrap();
    assert_eq!((piped.name.as_str(), shown(&piped).as_str()), ("Table_0", "TableName\n[\"A\"]"));
    let same = apply(table, &parse_operators("  ").unwrap(), &storms(), &Options::default()).unwrap();
    assert_eq!(same.rows, 2);
}
