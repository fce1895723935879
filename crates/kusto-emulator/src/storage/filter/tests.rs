use serde_json::json;

use super::*;

fn entity() -> (Key, Entity) {
    let serde_json::Value::Object(properties) = json!({
        "Name": "O'Hara", "Count": 7, "Big@odata.type": "Edm.Int64", "Big": "9007199254740993", "Share": 0.5,
        "Open": true, "When@odata.type": "Edm.DateTime", "When": "2026-01-02T03:04:05Z",
        "Id@odata.type": "Edm.Guid", "Id": "74be27de-1e4e-49d9-b579-fe0b331d3642",
        "Raw@odata.type": "Edm.Binary", "Raw": "AQI=",
    }) else {
        unreachable!()
    };
    (("p".to_owned(), "r/1".to_owned()), Entity { properties, modified: Timestamp::UNIX_EPOCH })
}

fn accepts(filter: &str) -> bool {
    let (key, entity) = entity();
    Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}")).accepts(&key, &entity)
}

#[test]
fn properties_are_compared_by_their_types() {
    for filter in [
        "PartitionKey eq 'p' and RowKey eq 'r/1'",
        "Name eq 'O''Hara'",
        "Count ge 7 and Count lt 8 and Count eq 7L and Count gt 6.5",
        "Big eq 9007199254740993L and Big ne 9007199254740992L",
        "Share gt 0.25 and Share le 5e-1",
        "Open and Open eq true and not (Open eq false)",
        "When gt datetime'2026-01-01T00:00:00Z' and When lt datetime'2026-02-01'",
        "Id eq guid'74be27de-1e4e-49d9-b579-fe0b331d3642'",
        "Raw eq X'0102' and Raw eq binary'0102'",
        "7 eq Count",
        "Timestamp lt datetime'2026-01-01T00:00:00.0000000Z'",
        "(Count eq 1 or Count eq 7) and (Name ge 'O' and Name lt 'P')",
        "Count eq 1 and Count eq 2 or Count eq 7",
    ] {
        assert!(accepts(filter), "{filter}");
    }
}

#[test]
fn what_is_missing_or_of_another_type_is_never_the_same_nor_different() {
    for filter in
        ["Missing eq 1", "Missing ne 1", "Count eq '7'", "Count ne '7'", "Name", "Missing", "Big eq '9'"]
    {
        assert!(!accepts(filter), "{filter}");
    }
}

#[test]
fn what_is_no_filter_is_refused_with_the_place() {
    for filter in [
        "",
        "Name eq",
        "eq 'x'",
        "Name eq 'x",
        "(Name eq 'x'",
        "Name eq 'x')",
        "Name eq 'x' and",
        "Name is 'x'",
        "Name eq guid'x'",
        "Name eq X'012'",
        "Name eq 1x",
        "'a' 'b'",
        "Name eq datetime'x'",
    ] {
        assert_eq!(Filter::parse(filter).unwrap_err().code, "InvalidInput", "{filter}");
    }
    let deep = "(".repeat(10_000);
    assert!(Filter::parse(&deep).unwrap_err().message.contains("deeply"));
    assert!(Filter::parse(&"not ".repeat(5_000)).is_err());
    assert!(Filter::parse(&"x".repeat(40_000)).is_err());
}
