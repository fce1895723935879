//! Rows that carry their epoch.

use serde::Serialize;
use serde_json::{Value, json};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::vec::input::Input;
use timely::dataflow::operators::vec::{Map, ToStream};
use timely_kusto::{
    Clocks, EncodedRows, EncodedRowsWrittenAhead, Format, RowsWrittenAhead, WriteAhead, WriteAheadHandle,
    WriteAheadSink,
};

use crate::support::*;

#[derive(Clone, Debug, Serialize)]
struct Row {
    id: u64,
    text: String,
}

fn row(id: u64) -> Row {
    Row { id, text: format!("row \"{id}\"\n, {{}}") }
}

/// How rows are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Struct(Format),
    Tuple,
    Encoded(Format),
    EncodedByOrder,
    /// Rows of JSON of which one column is named, and goes into the table.
    EncodedInPart,
}

impl Form {
    const ALL: [Form; 6] = [
        Form::Struct(Format::Csv),
        Form::Struct(Format::Json),
        Form::Tuple,
        Form::Encoded(Format::Csv),
        Form::Encoded(Format::Json),
        Form::EncodedByOrder,
    ];

    fn format(self) -> Format {
        match self {
            Form::Struct(format) | Form::Encoded(format) => format,
            Form::EncodedInPart => Format::Json,
            Form::Tuple | Form::EncodedByOrder => Format::Csv,
        }
    }

    fn attach<'scope>(
        self,
        ids: StreamVec<'scope, u64, u64>,
        sink: &WriteAheadSink,
        positions: StreamVec<'scope, u64, (String, Vec<u8>)>,
    ) -> (Clocks<'scope, u64>, WriteAheadHandle) {
        let encoded = move |id: u64| {
            let (mut rows, Row { text, .. }) = (EncodedRows::default(), row(id));
            match self.format() {
                Format::Csv => rows.push_row(format!("{id},\"{}\"", text.replace('"', "\"\"")).as_bytes()),
                _ => rows.push_row(json!({ "id": id, "text": text }).to_string().as_bytes()),
            }
            rows
        };
        match self {
            Form::Struct(_) => ids.map(row).write_ahead_sink(sink, positions),
            Form::Tuple => ids.map(|id| (id, row(id).text)).write_ahead_sink(sink, positions),
            Form::Encoded(_) => {
                let columns = vec!["id".into(), "text".into()];
                ids.map(encoded).write_ahead_sink_encoded(sink, positions, columns, |epoch| *epoch)
            }
            Form::EncodedInPart => {
                let columns = vec!["id".into()];
                ids.map(encoded).write_ahead_sink_encoded(sink, positions, columns, |epoch| *epoch)
            }
            Form::EncodedByOrder => {
                ids.map(encoded).write_ahead_sink_encoded(sink, positions, Vec::new(), |epoch| *epoch)
            }
        }
    }
}

fn ahead(place: &Place, form: Form) -> WriteAhead {
    place.ahead_with(write().table("Rows").format(form.format()), |options| options.epoch_column(true))
}

/// Three rows in each of so many epochs.
fn send_rows(ahead: &WriteAhead, form: Form, epochs: u64) -> Outcome {
    let ahead = ahead.clone();
    let outcomes = on_workers(1, move |worker| {
        let sink = WriteAheadSink::open(worker, &ahead)?;
        let first = sink.resume().first_epoch;
        let (mut input, handle) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, ids) = scope.new_input();
            let positions = Vec::new().to_stream(scope);
            (input, form.attach(ids, &sink, positions).1)
        });
        for epoch in first..first + epochs {
            input.advance_to(epoch);
            (0..3).for_each(|n| input.send(epoch * 3 + n));
        }
        drop(input);
        handle.drive(worker)
    });
    outcomes.into_iter().next().unwrap()
}

#[test]
fn rows_of_every_form_carry_their_epoch_and_are_otherwise_as_they_were() {
    for form in Form::ALL {
        let place = Place::new();
        place.command(".create table Rows (id:long, text:string, _kt_epoch:long)");
        for _ in 0..2 {
            send_rows(&ahead(&place, form), form, 2).unwrap();
        }
        let rows = place.query("Rows | order by id asc | project id, text, _kt_epoch");
        let expected = (0..12).map(|id| json!([id, row(id).text, id / 3])).collect::<Vec<Value>>();
        assert_eq!(rows, expected, "{form:?}");
        let audit = ahead(&place, form).audit().unwrap();
        assert!(
            audit.agrees() && audit.column_rows == Some(12) && audit.unpromised_rows == Some(0),
            "{audit:?}"
        );
        assert!(audit.epochs.iter().all(|epoch| epoch.by_column == Some(3)), "{audit:?}");
    }
}

#[test]
fn fields_that_do_not_go_into_the_table_do_not_go_into_the_hash() {
    let place = Place::new();
    place.command(".create table Rows (id:long, text:string, _kt_epoch:long)");
    let form = Form::EncodedInPart;
    let options = write().table("Rows").format(form.format());
    let ahead = place.ahead_with(options, |options| options.hash_columns(["*"]));
    send_rows(&ahead, form, 2).unwrap();
    let rows = place.query("Rows | order by id asc | project id, text");
    assert_eq!(rows, (0..6).map(|id| json!([id, ""])).collect::<Vec<Value>>());
    let audit = ahead.audit().unwrap();
    let compared = audit.epochs.iter().filter(|epoch| epoch.sum.is_some_and(|sum| sum.found.is_some()));
    assert!(audit.agrees() && compared.count() == 2, "{audit:?}");
}

#[test]
fn a_table_that_cannot_take_the_epoch_stops_the_sink_before_a_row_is_written() {
    for (form, columns, told) in [
        (Form::Struct(Format::Csv), "id:long, text:string", ".alter-merge table Rows (_kt_epoch: long)"),
        (Form::Struct(Format::Csv), "id:long, text:string, _kt_epoch:string", "as string"),
        (Form::Tuple, "_kt_epoch:long, id:long, text:string", "not the last column"),
        (Form::EncodedByOrder, "id:long, _kt_epoch:long, text:string", "not the last column"),
    ] {
        let place = Place::new();
        place.command(&format!(".create table Rows ({columns})"));
        let error = send_rows(&ahead(&place, form), form, 2).unwrap_err();
        assert!(error.to_string().contains(told) && error.exit_code() == 2, "{error}");
        assert_eq!(place.query("Rows | count")[0][0], 0);
    }
}

#[test]
fn an_audit_reads_long_histories_in_pages_and_finds_the_epoch_that_lost_a_row() {
    let place = Place::new();
    place.command(".create table Rows (id:long, text:string, _kt_epoch:long)");
    let form = Form::Struct(Format::Csv);
    let options = |place: &Place| {
        place.ahead_with(write().table("Rows"), |options| options.epoch_column(true).chunks_per_commit(1))
    };
    const EPOCHS: u64 = 210; // more intents than a page has
    send_rows(&options(&place), form, EPOCHS).unwrap();
    let audit = || options(&place).audit().unwrap();
    let whole = audit();
    assert!(whole.agrees() && whole.epochs.len() as u64 == EPOCHS && whole.intents > 200, "{whole:?}");
    place.command(".set-or-append Copy <| Rows");
    place.command(".clear table Rows data");
    place.command(".set-or-append Rows <| Copy");
    let copied = audit();
    assert!(copied.agrees() && copied.tagged_rows == 0, "the column tells where tags are gone: {copied:?}");
    place.command(".set-or-replace Rows <| Copy | where id != 13");
    let fewer = audit();
    let wrong: Vec<u64> =
        fewer.epochs.iter().filter(|it| it.by_column != Some(3)).map(|it| it.epoch).collect();
    assert!(!fewer.agrees() && wrong == [4], "{fewer:?}");
    place.command(".set-or-replace Rows <| Copy | where _kt_epoch != 4");
    assert!(!audit().agrees(), "an epoch that is gone as a whole is missed, too");
    place.command(".set-or-replace Rows <| union Copy, (Copy | take 1 | extend _kt_epoch = 7777)");
    assert_eq!(audit().unpromised_rows, Some(1));
    assert!(!audit().agrees());
}
