//! `join`, `lookup`, `union` over patterns, `parse`, `mv-expand`, functions of a query. Where the documentation shows a result, it
//! is the one expected here (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/query/`), rows in order of values.

use super::{answers, fails};

const XY: &str = "let X = datatable(Key:string, Value1:long)['a',1, 'b',2, 'b',3, 'c',4];
                  let Y = datatable(Key:string, Value2:long)['b',10, 'c',20, 'c',30, 'd',40]; ";

#[track_caller]
fn joined(kind: &str, expected: &str) {
    let sort = if expected.starts_with("Key Value2") {
        "Key asc, Value2 asc"
    } else if expected.contains("Value2") {
        "Key asc, Value1 asc, Value2 asc"
    } else {
        "Key asc, Value1 asc"
    };
    answers(&format!("{XY} X | join {kind} Y on Key | sort by {sort}"), expected);
}

#[test]
fn each_kind_of_join_gives_the_documented_rows() {
    let header = "Key Value1 Key1 Value2\n";
    let unique = format!("{header}[\"b\",2,\"b\",10]\n[\"c\",4,\"c\",20]\n[\"c\",4,\"c\",30]");
    joined("", &unique);
    joined("kind=innerunique", &unique);
    let inner = "[\"b\",2,\"b\",10]\n[\"b\",3,\"b\",10]\n[\"c\",4,\"c\",20]\n[\"c\",4,\"c\",30]";
    joined("kind=inner hint.strategy=broadcast", &format!("{header}{inner}"));
    joined("kind=leftouter", &format!("{header}[\"a\",1,\"\",null]\n{inner}"));
    joined("kind=rightouter", &format!("{header}[\"\",null,\"d\",40]\n{inner}"));
    joined("kind=fullouter", &format!("{header}[\"\",null,\"d\",40]\n[\"a\",1,\"\",null]\n{inner}"));
    joined("kind=leftsemi", "Key Value1\n[\"b\",2]\n[\"b\",3]\n[\"c\",4]");
    for kind in ["anti", "leftanti", "leftantisemi"] {
        joined(&format!("kind={kind}"), "Key Value1\n[\"a\",1]");
    }
    joined("kind=rightsemi", "Key Value2\n[\"b\",10]\n[\"c\",20]\n[\"c\",30]");
    joined("kind=rightanti", "Key Value2\n[\"d\",40]");
}

#[test]
fn keys_have_names_on_each_side_and_several_are_and_ed() {
    let right = "(datatable(b:int, s:string, x:long)[1,'p',7, 1,'q',8])";
    answers(
        &format!(
            "datatable(a:long, s:string, x:long)[1,'p',5, 2,'p',6] | join kind=inner {right} on $left.a == $right.b, s"
        ),
        "a s x b s1 x1\n[1,\"p\",5,1,\"p\",7]",
    );
    answers(
        &format!(
            "datatable(a:long, s:string)[1,'q'] | join kind=inner {right} on $right.b == $left.a and s | project x"
        ),
        "x\n[8]",
    );
    fails("print a = 1 | join (print a = 'x') on a", "SEM0501", "casts");
    fails("print a = 1 | join (print b = 1) on a", "SEM0100", "'a'");
    fails("print a = 1 | join (print a = 1) on a > 1", "SEM0501", "$left");
    fails("print a = 1 | join kind=sideways (print a = 1) on a", "SEM0501", "sideways");
    fails("print a = dynamic(1) | join (print a = dynamic(1)) on a", "SEM0501", "dynamic");
}

#[test]
fn null_keys_match_nothing() {
    let tables = "let A = datatable(k:long, a:string)[long(null),'x', 1,'y']; let B = datatable(k:long)[long(null), 1];";
    answers(&format!("{tables} A | join kind=inner B on k"), "k a k1\n[1,\"y\",1]");
    answers(&format!("{tables} A | join kind=leftanti B on k | project a"), "a\n[\"x\"]");
    answers(&format!("{tables} A | join kind=fullouter B on k | count"), "Count\n[3]");
}

#[test]
fn joins_of_many_rows_are_made_in_parts_and_within_memory() {
    let range = "range k from 1 to 1000 step 1 | extend one = 1";
    answers(&format!("{range} | join kind=inner ({range}) on one | count"), "Count\n[1000000]");
    answers(
        "range k from 1 to 200000 step 1 | join kind=inner (range k from 1 to 300000 step 3) on k | summarize count(), sum(k)",
        "count_ sum_k\n[66667,6666700000]",
    );
    answers(
        "range k from 1 to 200000 step 1 | extend g = k % 7 | join (print g = 3) on g | count",
        "Count\n[1]",
    );
    answers(
        "range k from 1 to 200000 step 1 | join kind=rightanti (range k from 199999 to 200002 step 1) on k",
        "k\n[200001]\n[200002]",
    );
}

#[test]
fn lookup_adds_columns_of_the_right_side_but_its_keys() {
    answers(
        "datatable(Row:string, Personal:string, Family:string)['1','Rowan','Murphy', '2','Ellis','Turner', '6','No','One']
         | lookup (datatable(Personal:string, Family:string, Alias:string)['Rowan','Murphy','rowanm', 'Ellis','Turner','ellist'])
           on Personal, Family",
        "Row Personal Family Alias\n[\"1\",\"Rowan\",\"Murphy\",\"rowanm\"]\n[\"2\",\"Ellis\",\"Turner\",\"ellist\"]\n[\"6\",\"No\",\"One\",\"\"]",
    );
    answers(
        "print a = 1, v = 2 | lookup kind=inner (datatable(b:long, v:long)[1, 3]) on $left.a == $right.b",
        "a v v1\n[1,2,3]",
    );
    fails("print a = 1 | lookup kind=fullouter (print a = 1) on a", "SEM0501", "fullouter");
}

#[test]
fn union_takes_patterns_and_views() {
    let views = "let View_1 = view () { print x=1 }; let View_2 = view () { print x=1 }; let OtherView_1 = view () { print x=1 }; ";
    answers(&format!("{views} union isfuzzy=true View*, SomeView*, OtherView* | count"), "Count\n[3]");
    answers(
        &format!(
            "{views} union isfuzzy=true (View_1 | where x > 0), (View_2 | where x > 0), (View_3 | where x > 0) | count"
        ),
        "Count\n[2]",
    );
    answers(
        "let View_1 = view () { print x=1 }; let View_2 = view () { print x=toint(2) }; union withsource=TableName View_1, View_2",
        "TableName x_long x_int\n[\"View_1\",1,null]\n[\"View_2\",null,2]",
    );
    answers("union kind=inner (print a = 1, b = 2), (print a = 3, c = 4)", "a\n[1]\n[3]");
    answers("union withsource=S Sto* | summarize count() by S", "S count_\n[\"Storms\",5]");
    answers("Storms | union * | count", "Count\n[10]");
    answers("union *orm* | count", "Count\n[5]");
    fails("union Nothing* | count", "SEM0100", "none of its tables");
}

#[test]
fn parse_takes_columns_out_of_text() {
    let traces = "datatable(t:string)['Event: N (resourceName=Pipe, totalSlices=27, lockTime=02/17/2016 08:40:00, previous=x)', 'other']";
    let pattern = "* 'resourceName=' resourceName ', totalSlices=' totalSlices:long * 'lockTime=' lockTime ', previous=' p ')'";
    answers(
        &format!("{traces} | parse t with {pattern} | project-away t"),
        "resourceName totalSlices lockTime p\n[\"Pipe\",27,\"02/17/2016 08:40:00\",\"x\"]\n[\"\",null,\"\",\"\"]",
    );
    answers(&format!("{traces} | parse-where t with {pattern} | count"), "Count\n[1]");
    answers("print s = 'a=x' | parse s with 'a=' n:long", "s n\n[\"a=x\",null]");
    answers("print s = 'k: v (w)' | parse s with k ': ' v", "s k v\n[\"k: v (w)\",\"k\",\"v (w)\"]");
    fails("print s = 'a' | parse kind=other s with 'a' b", "SEM0001", "kind=other");
    answers(
        "print s = 'ab12cd' | parse kind=regex s with '[a-z]+' n:long 'C?c' rest",
        "s n rest\n[\"ab12cd\",12,\"d\"]",
    );
    answers("print s = 'AB12' | parse kind=regex flags=i s with 'ab' n:long", "s n\n[\"AB12\",12]");
    answers(
        "print s = 'a=x;b=2' | parse kind=relaxed s with 'a=' a:long ';b=' b:long",
        "s a b\n[\"a=x;b=2\",null,2]",
    );
    fails("print s = 'a' | parse s with a b", "SEM0001", "between");
}

#[test]
fn mv_expand_takes_several_arrays_kinds_an_index_and_a_limit() {
    let table = "datatable (a: int, b: dynamic, c: dynamic)[1, dynamic({'prop1': 'a', 'prop2': 'b'}), dynamic([5, 4, 3])]";
    answers(
        &format!("{table} | mv-expand b, c"),
        "a b c\n[1,{\"prop1\":\"a\"},5]\n[1,{\"prop2\":\"b\"},4]\n[1,null,3]",
    );
    answers(
        &format!("{table} | mv-expand kind=array b | extend key = b[0], val = b[1] | project key, val"),
        "key val\n[\"prop1\",\"a\"]\n[\"prop2\",\"b\"]",
    );
    answers(
        "range x from 1 to 4 step 1 | summarize x = make_list(x) | mv-expand with_itemindex=Index x to typeof(long) limit 3",
        "x Index\n[1,0]\n[2,1]\n[3,2]",
    );
    fails("print a = 1 | mv-expand a", "SEM0065", "dynamic");
}

#[test]
fn functions_take_values_and_tables() {
    answers(
        "let MultiplyByN = (val:long, n:long = 2) { val * n }; range x from 1 to 3 step 1 | extend r = MultiplyByN(x, 5), d = MultiplyByN(x)",
        "x r d\n[1,5,2]\n[2,10,4]\n[3,15,6]",
    );
    answers(
        "let f = (T:(State:string, Damage:long), least:long) { let x = T | where Damage >= least; x | project State }; f(Storms, 5000)",
        "State\n[\"TEXAS\"]",
    );
    answers("let all = (T:(*)) { T | count }; Storms | take 3 | union (all(Storms)) | count", "Count\n[4]");
    answers(
        "let f = (a:long) { let b = a * 2; b + 1 }; let g = (a:long) { f(a) + f(1) }; print g(10)",
        "print_0\n[24]",
    );
    answers("let T = () { Storms | where Deaths > 0 }; T() | count", "Count\n[2]");
    answers("let n = 1; let f = () { n }; let n = 2; print f(), n", "print_0 print_1\n[1,2]");
    answers(
        "let m = materialize(Storms | where Deaths > 0); m | join kind=inner (m) on Kind | count",
        "Count\n[2]",
    );
    answers(
        "let f = (s:string) { toscalar(Storms | where State == s | count) }; print f('TEXAS')",
        "print_0\n[2]",
    );
    fails("let f = (a:long) { a + State }; Storms | extend f(1)", "SEM0100", "'State'");
    fails("let f = (a:long) { f(a) }; print f(1)", "SEM0260", "'f'");
    fails("let f = (a:long) { a }; print f('x')", "SEM0024", "string");
    fails("let f = (a:long) { a }; print f()", "SEM0219", "1 argument");
    fails("let f = (T:(Nope:long)) { T }; f(Storms)", "SEM0024", "Nope");
    let doubling: String =
        (1..50).map(|n| format!("let f{n} = (x:long) {{ f{0}(x) + f{0}(x) }};", n - 1)).collect();
    fails(
        &format!("let f0 = (x:long) {{ x }}; {doubling} Storms | extend y = f49(Damage)"),
        "SEM0001",
        "too complex",
    );
}

#[test]
fn tables_are_named_by_text_and_database() {
    answers("table('Storms') | count", "Count\n[5]");
    answers("database('Samples').Storms | count", "Count\n[5]");
    answers("union database('Samples').Storms, (database('Samples').Storms | take 1) | count", "Count\n[6]");
    fails("database('Other').Storms | count", "SEM0001", "another database");
    fails("cluster('x').database('Samples').Storms | count", "SEM0001", "cluster");
}

#[test]
fn lists_may_hold_values_of_the_row() {
    answers("datatable(a:long, b:long)[1,1, 2,3, 5,0] | where a in (b, 5)", "a b\n[1,1]\n[5,0]");
    answers("datatable(a:string, b:string)['x','X', 'y','z'] | where a in~ (b)", "a b\n[\"x\",\"X\"]");
    answers("datatable(a:string, b:string)['x y','Y', 'y','z'] | where a !has_any (b)", "a b\n[\"y\",\"z\"]");
}
