//! Tokens, as commands and queries see them.

use super::super::{Kind, Punct, Tokens};
use super::prints;
use crate::data::{ColumnType, Value};

fn text_of(source: &str) -> Kind {
    Tokens::new(source).next().kind
}

#[test]
fn strings_have_many_forms() {
    for source in [
        "'a\"b'",
        "\"a\\\"b\"",
        "@'a\"b'",
        "@\"a\"\"b\"",
        "```a\"b```",
        "~~~a\"b~~~",
        r"'a\u0022b'",
        r"'a\x22b'",
    ] {
        assert_eq!(text_of(source), Kind::Text { text: "a\"b".to_owned(), obfuscated: false }, "{source}");
    }
    for source in ["h'k'", "H\"k\"", "h@'k'", "h```k```"] {
        assert_eq!(text_of(source), Kind::Text { text: "k".to_owned(), obfuscated: true }, "{source}");
    }
    for source in ["'a", "'a\nb'", "@'a", "```a", r"'\q'", "'\\"] {
        assert!(matches!(text_of(source), Kind::Invalid(_)), "{source}");
    }
    prints("'a' \"b\" @'\\c'", "\"ab\\\\c\"");
    prints("'\\ud83d\\ude00'", "\"😀\"");
}

#[test]
fn literals_arrive_as_values() {
    prints("0x10", "16");
    prints("1e3", "1000.0");
    prints("-9223372036854775807", "-9223372036854775807");
    prints("1.5h", "\"01:30:00\"");
    prints("100ms", "\"00:00:00.1000000\"");
    prints("1tick", "\"00:00:00.0000001\"");
    prints("time(1.02:03:04.5)", "\"1.02:03:04.5000000\"");
    prints("timespan(2d)", "\"2.00:00:00\"");
    prints("datetime(2015-12-31 23:59:59.9)", "\"2015-12-31T23:59:59.9000000Z\"");
    prints("datetime(null)", "null");
    prints("real(nan)", "\"NaN\"");
    prints("real(-inf)", "\"-Infinity\"");
    prints("long(-5)", "-5");
    prints("int(7)", "7");
    prints("decimal(1.50)", "\"1.50\"");
    prints("guid(74be27de-1e4e-49d9-b579-fe0b331d3642)", "\"74be27de-1e4e-49d9-b579-fe0b331d3642\"");
    prints("dynamic([1, \"a)\", null, {\"k\": true}])", "[1,\"a)\",null,{\"k\":true}]");
    let guid = text_of("74be27de-1e4e-49d9-b579-fe0b331d3642");
    assert!(matches!(guid, Kind::Literal(Value::Guid(_), ColumnType::Guid)));
}

#[test]
fn a_command_is_read_to_where_its_data_begins() {
    let mut tokens = Tokens::new(".set-or-append async ['a b'] with (tags='[\"x\"]') <| 1,'");
    assert!(
        tokens.eat(Punct::Dot) && !tokens.eat_hyphenated("set") && tokens.eat_hyphenated("set-or-append")
    );
    assert!(tokens.eat_word("async"));
    assert_eq!(tokens.expect_name("a table").unwrap(), "a b");
    assert!(
        tokens.eat_word("with")
            && tokens.eat(Punct::Open)
            && tokens.eat_word("tags")
            && tokens.eat(Punct::Assign)
    );
    assert_eq!(tokens.expect_text("tags").unwrap(), "[\"x\"]");
    assert!(tokens.eat(Punct::Close) && tokens.eat(Punct::LessPipe));
    assert_eq!(tokens.rest(), " 1,'");
}

#[test]
fn tokens_know_their_bytes() {
    let mut tokens = Tokens::new("ä // no\n <| x");
    let token = tokens.next();
    assert!(matches!(token.kind, Kind::Invalid(_)));
    assert_eq!((token.start, token.end), (0, 2));
    let pipe = tokens.next();
    assert_eq!((pipe.kind.clone(), tokens.text_of(&pipe)), (Kind::Punct(Punct::LessPipe), "<|"));
    tokens.next();
    assert_eq!(tokens.next().kind, Kind::End);
    assert_eq!(tokens.next().kind, Kind::End);
}
