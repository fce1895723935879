//! Statements of the documentation, each by a query that shows it.

use super::{answers, prints};

#[test]
fn null_equals_nothing_and_is_sticky_in_binary_operators() {
    answers(
        "datatable(val:int)[5, int(null)]
         | extend a = val > 3, b = val > 3 or isnull(val), c = val == int(null), d = val != int(null)",
        "val a b c d\n[5,true,true,false,true]\n[null,null,true,null,null]",
    );
    answers(
        "datatable(ival:int, sval:string)[5, 'a', int(null), 'b'] | where ival != 5",
        "ival sval\n[null,\"b\"]",
    );
    answers(
        "datatable(val:int)[5, int(null)] | extend s = val + 10, p = val * 10",
        "val s p\n[5,15,50]\n[null,null,null]",
    );
    prints("not(bool(null))", "null");
    prints("bool(null) and false", "false");
    prints("bool(null) or true", "true");
    prints("bool(null) and true", "null");
    prints("int(null) in (1, 2)", "false");
    prints("int(null) !in (1, 2)", "true");
}

#[test]
fn modulo_is_small_and_never_negative() {
    answers("print a = 14 % 12, b = -14 % 12, c = 14 % -12, d = -14 % -12", "a b c d\n[2,10,2,10]");
}

#[test]
fn whole_numbers_divide_to_whole_numbers_and_a_real_makes_real() {
    answers("print 1.0 / 2, 1 / 2.0, 1 / 2, real(1) / 2", "print_0 print_1 print_2 print_3\n[0.5,0.5,0,0.5]");
    prints("1 / 0", "null");
    prints("1.0 / 0", "\"Infinity\"");
    prints("9223372036854775807 + 1", "null");
}

#[test]
fn time_adds_subtracts_divides_and_bins() {
    prints("datetime(2024-01-02) - datetime(2024-01-01 12:00)", "\"12:00:00\"");
    prints("10m / 1s", "600.0");
    prints("1s * 5", "\"00:00:05\"");
    prints("1h + 30m", "\"01:30:00\"");
    prints("-1d", "\"-1.00:00:00\"");
    prints("ago(1d)", "\"2024-05-05T12:00:00.0000000Z\"");
    prints("now(-2h)", "\"2024-05-06T10:00:00.0000000Z\"");
    prints("bin(datetime(2024-05-06T10:37:12Z), 15m)", "\"2024-05-06T10:30:00.0000000Z\"");
    prints("bin(-7, 5)", "-10");
    prints("bin(4.5, 1)", "4.0");
    prints("startofmonth(datetime(2024-05-06), -3)", "\"2024-02-01T00:00:00.0000000Z\"");
    prints("startofweek(datetime(2024-05-08))", "\"2024-05-05T00:00:00.0000000Z\"");
    prints("datetime_add('month', 1, datetime(2024-01-31))", "\"2024-02-29T00:00:00.0000000Z\"");
    prints("datetime_diff('day', datetime(2024-05-06T01:00), datetime(2024-05-05T23:00))", "1");
    prints(
        "format_datetime(datetime(2024-05-06T13:04:05.6789), 'yyyy-MM-dd HH:mm:ss.fff')",
        "\"2024-05-06 13:04:05.678\"",
    );
    prints("datetime(2024-05-06) between (datetime(2024-05-01) .. 7d)", "true");
}

#[test]
fn strings_compare_as_their_operators_say() {
    let truths = [
        "'a' == 'a'",
        "'a' != 'A'",
        "'a' =~ 'A'",
        "'a' !~ 'b'",
        "'Hello World' has 'world'",
        "'Hello World' !has 'worl'",
        "'Hello World' !has_cs 'world'",
        "'Hello World' contains 'LO WO'",
        "'Hello World' !contains_cs 'LO WO'",
        "'Hello World' startswith 'hello'",
        "'Hello' startswith_cs 'He'",
        "'Hello' !startswith_cs 'he'",
        "'Hello World' endswith 'WORLD'",
        "'Hello World' hasprefix 'wor'",
        "'Hello World' hassuffix 'LLO'",
        "'North America' !has 'amer'",
        "'ab12' matches regex '^[a-z]+[0-9]+$'",
        "'a' in ('b', 'a')",
        "'a' !in ('A')",
        "'a' in~ ('A')",
        "'a b' has_any ('x', 'B')",
        "'a b' has_all ('a', 'B')",
        "'drop-by:x' has 'drop-by:x'",
        "'ÄRGER' =~ 'ärger'",
        "5 between (1 .. 5)",
        "5 !between (6 .. 7)",
        "1 in (1.0, 2.5)",
    ];
    truths.iter().for_each(|truth| prints(truth, "true"));
}

#[test]
fn functions_of_text_do_as_documented() {
    prints("substring('abcdef', 1, 2)", "\"bc\"");
    prints("substring('abcdef', -2)", "\"ef\"");
    prints("strcat('a', 1, true, 2.5)", "\"a1true2.5\"");
    prints("split('a_b_c', '_')", "[\"a\",\"b\",\"c\"]");
    prints("split('a_b_c', '_', 1)", "[\"b\"]");
    prints("trim('-+', '--a--')", "\"a\"");
    prints("replace_string('aXbX', 'X', '-')", "\"a-b-\"");
    prints(r"replace_regex('Number 1', @'(\d)', @'<\1>')", "\"Number <1>\"");
    prints(r"extract('x=([0-9.]+)', 1, 'hello x=45.6|wo')", "\"45.6\"");
    prints("indexof('abcabc', 'c', 3)", "5");
    prints("indexof('abc', 'x')", "-1");
    prints("strlen('äö')", "2");
    prints("hash_md5('World')", "\"f5a7924e621e84c9280a9a27e1bcb7f6\"");
    prints("hash_sha1('World')", "\"70c07ec18ef89c5309bbb0937f3a6342411e1fdd\"");
    prints("hash_sha256('World')", "\"78ae647dc5544d227130a0682a51e30bc7777fbb6d8a8f17007463a3ecd1d524\"");
    prints("hash_md5(datetime('2020-01-01'))", "\"786c530672d1f8db31fee25ea8a9390b\"");
}

#[test]
fn conversions_give_null_for_what_does_not_convert() {
    prints("tolong('12')", "12");
    prints("tolong('x')", "null");
    prints("toint(2.9)", "2");
    prints("toint(3000000000)", "null");
    prints("toreal('1e3')", "1000.0");
    prints("tobool('True')", "true");
    prints("tobool(7)", "true");
    prints("todatetime('2015-12-31 23:59:59.9')", "\"2015-12-31T23:59:59.9000000Z\"");
    prints("totimespan('0.00:01:00')", "\"00:01:00\"");
    prints("toguid('70fc66f7-8279-44fc-9092-d364d70fce44')", "\"70fc66f7-8279-44fc-9092-d364d70fce44\"");
    prints("todecimal('123.4500')", "\"123.4500\"");
    prints("decimal(0.1) + decimal(0.2) == decimal(0.3)", "true");
    prints("tostring(1h)", "\"01:00:00\"");
    prints("tostring(int(null))", "\"\"");
    prints("isnull(tostring(int(null)))", "false");
    prints("parse_json('{\"a\":[1,2]}').a[1]", "2");
    prints("parse_json('no json')", "\"no json\"");
    prints("gettype(parse_json('{}'))", "\"dictionary\"");
    prints("coalesce(tolong('x'), tolong('42'), 33)", "42");
    prints("case(1 > 2, 'a', 2 > 1, 'b', 'c')", "\"b\"");
    prints("iff(bool(null), 1, 2.5)", "2.5");
    prints("max_of(3, 5, 4)", "5");
    prints("abs(-3s)", "\"00:00:03\"");
}

#[test]
fn dynamic_values_are_reached_into() {
    prints("dynamic({'a': {'b c': [1, 2.5, 'x']}}).a['b c'][2]", "\"x\"");
    prints("dynamic([1, 2, 3])[-1]", "3");
    prints("dynamic({\"a\":1}).b", "null");
    prints("pack_array(1, 'a', 2.5)", "[1,\"a\",2.5]");
    prints("bag_pack('z', 1, 'a', now() - now())", "{\"z\":1,\"a\":\"00:00:00\"}");
    prints("array_length(dynamic([1,2]))", "2");
    prints("array_length(dynamic({}))", "null");
    prints("dynamic({\"n\": 9007199254740993}).n == 9007199254740993", "true");
    prints("dynamic({\"n\": 9007199254740993}).n == 9007199254740992", "false");
    answers(
        "datatable(a:int, b:dynamic)[1, dynamic([10, 20]), 2, dynamic([]), 3, dynamic(null)] | mv-expand b to typeof(long)",
        "a b\n[1,10]\n[1,20]\n[3,null]",
    );
    answers("print b = dynamic({'x': 1, 'y': 2}) | mv-expand b", "b\n[{\"x\":1}]\n[{\"y\":2}]");
}

#[test]
fn sort_is_descending_with_nulls_last_unless_told_otherwise() {
    let table = "datatable(x:real)[1, real(null), real(nan), real(-inf), real(+inf), 5]";
    answers(
        &format!("{table} | sort by x"),
        "x\n[\"Infinity\"]\n[5.0]\n[1.0]\n[\"-Infinity\"]\n[\"NaN\"]\n[null]",
    );
    answers(
        &format!("{table} | sort by x asc"),
        "x\n[null]\n[\"NaN\"]\n[\"-Infinity\"]\n[1.0]\n[5.0]\n[\"Infinity\"]",
    );
    answers(&format!("{table} | order by x asc nulls last | take 1"), "x\n[\"-Infinity\"]");
    answers(&format!("{table} | top 2 by x desc nulls first"), "x\n[null]\n[\"NaN\"]");
}

#[test]
fn summarize_without_keys_gives_one_row_of_defaults_for_no_rows() {
    answers(
        "datatable(x:long, s:string)[] | summarize count(), sum(x), avg(x), min(x), max(s), dcount(x), make_list(x), make_set(x), countif(x > 1), take_any(x), arg_max(x, s)",
        "count_ sum_x avg_x min_x max_s dcount_x list_x set_x countif_ x x1 s\n[0,0,\"NaN\",null,\"\",0,[],[],0,null,null,\"\"]",
    );
    answers("datatable(x:long)[] | summarize count() by x", "x count_");
}

#[test]
fn extend_appends_a_column_that_exists_already() {
    answers("print a = 1, b = 2 | extend a = b * 10, strlen('x')", "b a strlen_\n[2,20,1]");
}

#[test]
fn names_follow_the_expression() {
    answers(
        "print d = dynamic({'p': {'q': 1}}), t = datetime(2024-01-01) | project d.p.q, bin(t, 1d), tostring(d.p), 1 + 1, d['p']",
        "d_p_q t d_p Column1 d_p1\n[1,\"2024-01-01T00:00:00.0000000Z\",\"{\\\"q\\\":1}\",2,{\"q\":1}]",
    );
}
