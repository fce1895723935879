//! Corners that only the documents' examples show (`examples.rs` holds those against a checkout of them), in data of ours.

use super::{answers, prints};

#[test]
fn an_extreme_of_nulls_is_a_row_all_the_same() {
    let pets = "datatable(pet: string, age: int) ['cat', int(null), 'dog', 3, 'dog', int(null), 'dog', 9]";
    answers(
        &format!("{pets} | summarize arg_max(age, *) by pet | sort by pet asc"),
        "pet age\n[\"cat\",null]\n[\"dog\",9]",
    );
    answers(
        &format!("{pets} | summarize arg_min(age, *) by pet | sort by pet asc"),
        "pet age\n[\"cat\",null]\n[\"dog\",3]",
    );
}

#[test]
fn a_set_of_arrays_is_a_set_of_their_elements() {
    answers(
        "print a = dynamic([1, 2]) | union (print a = dynamic([2, 3])) | summarize s = array_sort_asc(make_set(a))",
        "s\n[[1,2,3]]",
    );
}

#[test]
fn an_average_of_nothing_is_no_number() {
    answers("datatable(x: long) [] | summarize a = avg(x), n = count()", "a n\n[\"NaN\",0]");
}

#[test]
fn values_are_read_in_the_forms_that_people_write() {
    prints("datetime(12/31/2023)", "\"2023-12-31T00:00:00.0000000Z\"");
    prints("todatetime('12/31/2023 23:59')", "\"2023-12-31T23:59:00.0000000Z\"");
    prints("toguid('00112233445566778899aabbccddeeff')", "\"00112233-4455-6677-8899-aabbccddeeff\"");
    prints("tohex(toint(-1))", "\"ffffffff\"");
}

#[test]
fn nulls_are_sorted_behind_the_values_of_an_array() {
    prints("array_sort_asc(dynamic([3, null, 1]))", "[1,3,null]");
    prints("array_sort_desc(dynamic([3, null, 1]))", "[3,1,null]");
}
