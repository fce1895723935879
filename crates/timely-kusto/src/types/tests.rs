//! Texts at the ends of every range, and the way back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{DateTime, Decimal, Timespan, duration_as_timespan};

fn text_of(ticks: i64) -> String {
    DateTime::from_ticks(ticks).unwrap().to_string()
}

#[test]
fn datetimes_at_the_ends_and_around_leap_days() {
    let cases = [
        (DateTime::MIN.ticks(), "0001-01-01T00:00:00.0000000Z"),
        (DateTime::MAX.ticks(), "9999-12-31T23:59:59.9999999Z"),
        (621_355_968_000_000_000, "1970-01-01T00:00:00.0000000Z"),
        (621_355_967_999_999_999, "1969-12-31T23:59:59.9999999Z"),
        (630_874_655_999_999_999, "2000-02-29T23:59:59.9999999Z"),
        (630_874_656_000_000_000, "2000-03-01T00:00:00.0000000Z"),
        (599_317_056_000_000_000, "1900-03-01T00:00:00.0000000Z"),
        (633_032_064_000_000_000, "2007-01-01T00:00:00.0000000Z"),
    ];
    for (ticks, text) in cases {
        assert_eq!(text_of(ticks), text, "{ticks}");
        assert_eq!(text.parse::<DateTime>().unwrap().ticks(), ticks, "{text}");
    }
}

#[test]
fn every_day_of_the_calendar_follows_the_one_before() {
    let (mut year, mut month, mut day) = (1, 1, 1);
    for days in 0..3_652_059 {
        let text = text_of(days * super::TICKS_PER_DAY);
        assert_eq!(text[..10], format!("{year:04}-{month:02}-{day:02}"), "day {days}");
        assert_eq!(text[..10].parse::<DateTime>().unwrap().ticks(), days * super::TICKS_PER_DAY);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let longest = [31, 28 + i32::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1];
        (year, month, day) = match (month, day) {
            (12, 31) => (year + 1, 1, 1),
            (_, day) if day == longest => (year, month + 1, 1),
            _ => (year, month, day + 1),
        };
    }
    assert_eq!((year, month, day), (10_000, 1, 1));
}

#[test]
fn datetimes_outside_the_years_1_to_9999_do_not_exist() {
    assert_eq!(DateTime::from_ticks(-1), None);
    assert_eq!(DateTime::from_ticks(DateTime::MAX.ticks() + 1), None);
    assert_eq!(DateTime::from_ticks(i64::MIN), None);
    assert_eq!(DateTime::from_unix_seconds(i64::MAX), None);
    assert_eq!(DateTime::from_unix_millis(i64::MIN), None);
    assert_eq!(DateTime::from_unix_micros(i64::MAX), None);
}

#[test]
fn every_unix_nanosecond_is_a_datetime() {
    assert_eq!(DateTime::from_unix_nanos(i64::MIN).to_string(), "1677-09-21T00:12:43.1452241Z");
    assert_eq!(DateTime::from_unix_nanos(i64::MAX).to_string(), "2262-04-11T23:47:16.8547758Z");
    assert_eq!(DateTime::from_unix_nanos(-1).to_string(), "1969-12-31T23:59:59.9999999Z");
    assert_eq!(DateTime::from_unix_nanos(199).unix_nanos(), 100);
}

#[test]
fn system_times_become_datetimes() {
    let before = UNIX_EPOCH - Duration::from_nanos(150);
    assert_eq!(DateTime::try_from(before).unwrap().unix_nanos(), -200);
    let after = UNIX_EPOCH + Duration::from_nanos(150);
    assert_eq!(DateTime::try_from(after).unwrap().unix_nanos(), 100);
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(400_000_000_000);
    assert!(DateTime::try_from(far).unwrap_err().to_string().contains("years 1 to 9999"));
}

#[test]
fn shorter_datetimes_are_read() {
    let day = "2014-11-08".parse::<DateTime>().unwrap();
    assert_eq!("2014-11-08T00:00Z".parse(), Ok(day));
    assert_eq!("2014-11-08 00:00:00".parse(), Ok(day));
    assert_eq!("2014-11-08T00:00:00.000000099Z".parse(), Ok(day));
}

#[test]
fn what_is_no_datetime_is_refused() {
    let wrong = [
        "",
        "2014",
        "2014-13-01",
        "2014-02-29",
        "1900-02-29",
        "2014-00-01",
        "2014-01-00",
        "0000-01-01",
        "2014-01-01T24:00:00",
        "2014-01-01T00:60",
        "2014-01-01T00:00:60",
        "2014-01-01T00:00:00.",
        "2014-01-01T00",
        "2014-01-01T00:00:00+01:00",
        "2014-01-01T00:00:00ZZ",
        "2014-01-01T",
        " 2014-01-01",
        "٢٠١٤-01-01",
    ];
    for text in wrong {
        assert!(text.parse::<DateTime>().is_err(), "{text}");
    }
}

#[test]
fn timespans_at_the_ends_and_around_a_day() {
    let cases = [
        (i64::MIN, "-10675199.02:48:05.4775808"),
        (i64::MAX, "10675199.02:48:05.4775807"),
        (0, "00:00:00"),
        (1, "00:00:00.0000001"),
        (-1, "-00:00:00.0000001"),
        (10_000_000, "00:00:01"),
        (864_000_000_000, "1.00:00:00"),
        (863_999_999_999, "23:59:59.9999999"),
        (-864_000_000_001, "-1.00:00:00.0000001"),
        (8_640_000_000_000, "10.00:00:00"),
    ];
    for (ticks, text) in cases {
        assert_eq!(Timespan::from_ticks(ticks).to_string(), text);
        assert_eq!(text.parse::<Timespan>().unwrap().ticks(), ticks, "{text}");
    }
}

#[test]
fn what_is_no_timespan_is_refused() {
    let wrong = [
        "",
        "-",
        "1",
        "1.",
        "00:00",
        "24:00:00",
        "00:60:00",
        "00:00:60",
        "00:00:00.",
        "1.2.00:00:00",
        "10675199.02:48:05.4775808",
        "-10675199.02:48:05.4775809",
        "99999999999999999999.00:00:00",
        "+00:00:00",
    ];
    for text in wrong {
        assert!(text.parse::<Timespan>().is_err(), "{text}");
    }
}

#[test]
fn durations_become_timespans() {
    assert_eq!(Timespan::try_from(Duration::from_nanos(1_999)).unwrap().ticks(), 19);
    assert!(Timespan::try_from(Duration::MAX).is_err());
}

#[test]
fn decimals_are_checked() {
    for text in [
        "0",
        "-0.0",
        "1e5",
        "-12.50E-3",
        "9999999999999999999999999999999999",
        "0.00000000000000000000000000000000000001",
    ] {
        assert_eq!(text.parse::<Decimal>().unwrap().as_str(), text);
    }
    assert_eq!("+12.50E+3".parse::<Decimal>().unwrap().as_str(), "12.50E+3");
    let wrong = [
        "",
        "-",
        ".",
        "1.",
        ".5",
        "1,5",
        "1e",
        "e5",
        "1e99999",
        "NaN",
        "0x1",
        "1 ",
        "99999999999999999999999999999999999",
    ];
    for text in wrong {
        assert!(text.parse::<Decimal>().is_err(), "{text}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct All {
    at: DateTime,
    span: Timespan,
    price: Decimal,
    #[serde(with = "duration_as_timespan")]
    took: Duration,
}

fn all() -> All {
    All {
        at: DateTime::MAX,
        span: Timespan::MIN,
        price: "-12.5".parse().unwrap(),
        took: Duration::from_millis(90_061_001),
    }
}

#[test]
fn values_are_text_for_people_and_come_back() {
    let text = serde_json::to_string(&all()).unwrap();
    let expected = r#"{"at":"9999-12-31T23:59:59.9999999Z","span":"-10675199.02:48:05.4775808","price":"-12.5","took":"1.01:01:01.0010000"}"#;
    assert_eq!(text, expected);
    assert_eq!(serde_json::from_str::<All>(&text).unwrap(), all());
}

#[test]
fn values_are_compact_between_processes_and_come_back() {
    let bytes = bincode::serialize(&all()).unwrap();
    assert_eq!(bytes.len(), 8 + 8 + (8 + 5) + 8);
    assert_eq!(bincode::deserialize::<All>(&bytes).unwrap(), all());
    assert!(bincode::deserialize::<DateTime>(&(-1i64).to_le_bytes()).is_err());
}
