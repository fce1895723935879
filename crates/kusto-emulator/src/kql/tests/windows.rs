//! Window functions, `mv-apply`, `as`, `invoke`, batches of statements, chance.

use super::{answers, fails, query, run, storms};
use crate::kql::{Options, parse};

#[test]
fn neighbouring_rows_are_seen_in_a_serialized_set_and_nowhere_else() {
    answers(
        "range a from 3 to 1 step -1 | extend n = row_number(), m = row_number(7), p = prev(a), q = next(a, 2, 0), c = row_cumsum(a)",
        "a n m p q c\n[3,1,7,null,1,3]\n[2,2,8,3,0,5]\n[1,3,9,2,0,6]",
    );
    answers(
        "Storms | sort by State asc, Start asc | project State, n = row_number(1, State != prev(State))",
        "State n\n[\"\",1]\n[\"FLORIDA\",1]\n[\"KANSAS\",1]\n[\"TEXAS\",1]\n[\"TEXAS\",2]",
    );
    answers("Storms | serialize | where row_number() % 2 == 0 | count", "Count\n[2]");
    answers("Storms | top 2 by Damage | take 1 | extend row_number()", {
        "Start State Kind Deaths Damage Lat Details Column1\n[\"2007-01-01T22:00:00.0000000Z\",\"TEXAS\",\"Flood\",2,5000,null,null,1]"
    });
    for unordered in [
        "Storms",
        "Storms | sort by State | summarize count() by State",
        "Storms | sort by State | union Storms",
    ] {
        fails(&format!("{unordered} | extend n = row_number()"), "SEM0001", "must be serialized");
    }
    fails("Storms | serialize | summarize max(row_number())", "SEM0001", "must be serialized");
    fails("Storms | serialize | extend prev(State, Deaths)", "SEM0001", "varies");
    fails("Storms | serialize | extend row_cumsum(State)", "SEM0024", "string");
}

#[test]
fn rows_of_many_batches_are_numbered_through() {
    answers(
        "range a from 1 to 200000 step 1 | where a % 2 == 0 | extend n = row_number(), d = a - prev(a) | summarize max(n), max(d), min(d)",
        "max_n max_d min_d\n[100000,2,2]",
    );
}

#[test]
fn mv_apply_sees_the_row_and_tables_and_drops_rows_without_a_result() {
    answers(
        "datatable(k:long, a:dynamic)[1, dynamic([5, 7]), 2, dynamic([])] | mv-apply e = a to typeof(long) on (where e > 5 | extend s = e + k)",
        "k a e s\n[1,[5,7],7,8]",
    );
    answers(
        "let K = datatable(e:long, name:string)[7, 'seven']; datatable(a:dynamic)[dynamic([5, 7])] | mv-apply e = a to typeof(long) on (join kind=inner K on e | project name)",
        "a name\n[[5,7],\"seven\"]",
    );
    answers("print a = dynamic([1, 2, 3]) | mv-apply a to typeof(long) on (summarize s = sum(a))", "s\n[6]");
    fails("print a = dynamic([1]) | mv-apply a on (where nope)", "SEM0100", "nope");
}

#[test]
fn names_given_with_as_are_sources_and_legs_of_a_union() {
    answers(
        "range x from 1 to 2 step 1 | as A | union withsource=S (range x from 3 to 3 step 1 | as B)",
        "S x\n[\"A\",1]\n[\"A\",2]\n[\"B\",3]",
    );
    answers(
        "Storms | as S | where Damage == toscalar(S | summarize max(Damage)) | project State",
        "State\n[\"TEXAS\"]",
    );
    answers(
        "let f = (T:(Damage:long), n:long) { T | where Damage > n }; Storms | invoke f(50) | count",
        "Count\n[2]",
    );
    fails("Storms | invoke nope()", "SEM0260", "nope");
}

#[test]
fn statements_answer_in_turn_and_a_command_takes_one() {
    let query = parse("print a = 1; let b = 2; Storms | take b;").unwrap();
    let tables = run(&query, &storms(), &Options::default()).unwrap();
    assert_eq!(tables.iter().map(|table| table.rows).collect::<Vec<_>>(), [1, 2]);
    let refused = crate::kql::run_statement(&query, &storms(), &Options::default()).unwrap_err();
    assert!(refused.to_string().contains("several tables"), "{refused}");
    fails("print 1 print 2", "SYN0002", "found 'print'");
}

#[test]
fn chance_is_drawn_for_every_row_and_kept_where_it_is_materialized() {
    answers(
        "range x from 1 to 1000 step 1 | extend r = rand() | where r < 0 or r >= 1 | count",
        "Count\n[0]",
    );
    answers(
        "range x from 1 to 1000 step 1 | extend r = rand(3) | summarize count_distinct(r), max(r), min(r)",
        "count_distinct_r max_r min_r\n[3,2.0,0.0]",
    );
    answers("let r = rand(); range x from 1 to 9 step 1 | extend r | summarize dcount(r)", "dcount_r\n[9]");
    answers(
        "let r = toscalar(rand()); range x from 1 to 9 step 1 | extend r | summarize dcount(r)",
        "dcount_r\n[1]",
    );
    answers(
        "let m = materialize(Storms | extend g = new_guid()); m | union m | summarize dcount(g)",
        "dcount_g\n[5]",
    );
    assert_eq!(query("Storms | sample 3").unwrap().rows, 3);
    assert_eq!(query("Storms | sample 30").unwrap().rows, 5);
    assert_eq!(query("Storms | sample-distinct 2 of State").unwrap().rows, 2);
}

#[test]
fn rows_of_no_extent_have_the_empty_id_and_no_tags() {
    answers(
        "print x = 1 | extend e = extent_id(), t = extent_tags(), i = ingestion_time()",
        "x e t i\n[1,\"00000000-0000-0000-0000-000000000000\",null,null]",
    );
}
