//! What is wrong is said in the service's words, and what is unknown is never answered.

use super::super::{Options, parse};
use super::{fails, query, run, storms};
use std::time::Duration;

#[test]
fn a_missing_table_is_named_as_the_service_names_it() {
    let error = query("aaa | take 1").unwrap_err();
    let expected =
        "Semantic error: SEM0100: 'table' operator: Failed to resolve table expression named 'aaa'";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn names_types_and_functions_are_checked_before_rows_are_read() {
    fails(
        "Storms | where Nope == 1",
        "SEM0100",
        "'where' operator: Failed to resolve scalar expression named 'Nope'",
    );
    fails("Storms | take 0 | project nope()", "SEM0260", "Unknown function: 'nope'");
    fails("Storms | where State == 1", "SEM0064", "string and long");
    fails("Storms | extend x = State + 1", "SEM0053", "string and long");
    fails("Storms | summarize nope(State)", "SEM0260", "nope");
    fails("Storms | summarize State", "SEM0098", "aggregation");
    fails("Storms | summarize sum(State)", "SEM0024", "sum()");
    fails("Storms | project a = 1, a = 2", "SEM0119", "'a'");
    fails("Storms | project strlen()", "SEM0219", "strlen");
    fails("Storms | sort by Details", "SEM0068", "dynamic");
    fails("Storms | take -1", "SEM0041", "take");
    fails("Storms | where State matches regex '('", "SEM0420", "regular expression");
    fails("range x from 1 to 2 step 0", "SEM0047", "step");
    fails("datatable(a:int, b:int)[1]", "SEM0036", "columns");
}

#[test]
fn what_is_not_supported_says_so() {
    for text in [
        "Storms | parse kind=other State with x",
        "Storms | make-series count() on Start step 1d",
        "Storms | partition by State (take 1)",
        "Storms | evaluate bag_unpack(Details)",
        "cluster('x').database('y').Storms",
        "search 'x'",
    ] {
        fails(text, "SEM0001", "does not support");
    }
}

#[test]
fn text_that_is_no_query_says_where() {
    fails("Storms |", "SYN0002", "line 1, column 9");
    fails("Storms\n| where (Deaths > 1", "SYN0002", "line 2");
    fails("print 'abc", "SYN0002", "unterminated");
    fails("Storms | where Deaths >", "SYN0002", "expected an expression");
    fails("", "SYN0002", "expected a table");
    fails("print 12abc", "SYN0002", "12abc");
    fails("print datetime(yesterday)", "SYN0002", "no datetime literal");
    fails("Storms | take 1 take 2", "SYN0002", "found 'take'");
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = format!("print {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    fails(&deep, "SYN0002", "too complex");
    fails(&format!("print {}1", "-".repeat(5_000)), "SYN0002", "too complex");
    fails(&format!("print 1{}", " + 1".repeat(5_000)), "SYN0002", "too complex");
    fails(&format!("Storms{}", " | where true".repeat(5_000)), "SYN0002", "too complex");
    let lets: String = (1..40).map(|n| format!("let T{n} = union T{0}, T{0};", n - 1)).collect();
    fails(&format!("let T0 = Storms; {lets} T39 | count"), "SEM0001", "too complex");
    let many = format!("Storms | where Damage == 7{} | count", " or Damage == 1".repeat(3_000));
    assert_eq!(query(&many).unwrap().value(0, 0), super::long(1));
}

#[test]
fn obfuscated_text_is_not_repeated_in_errors() {
    let error = query("Storms h'secret'").unwrap_err().to_string();
    assert!(!error.contains("secret") && error.contains("h'***'"), "{error}");
}

#[test]
fn queries_that_would_not_end_or_grow_without_bound_are_stopped() {
    let options = Options { timeout: Duration::from_millis(100), ..Options::default() };
    let endless = parse("range x from 0 to 9000000000000000000 step 1 | where x < 0 | count").unwrap();
    assert_eq!(run(&endless, &storms(), &options).unwrap_err().code, "RequestExecutionTimeout");
    let doubling = "| extend s = strcat(s, s) ".repeat(60);
    fails(&format!("print s = 'aaaaaaaaaa' {doubling}"), "E_RUNAWAY_QUERY", "expression");
    let packed = "| extend s = pack_array(s, s) ".repeat(60);
    fails(&format!("print s = dynamic(['abc']) {packed}"), "E_RUNAWAY_QUERY", "expression");
    let replaced = "| extend s = replace_string(s, 'a', 'aaaaaaaaaaaaaaaaaaaa') ".repeat(20);
    fails(&format!("print s = 'a' {replaced}"), "E_RUNAWAY_QUERY", "expression");
}
