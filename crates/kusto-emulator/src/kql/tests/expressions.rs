//! Random values, tables of them, and expressions over these.

use super::fuzz::Fuzz;
use crate::data::{ColumnBuilder, ColumnType, Value, write_json_string, write_value_text};
use crate::kql::ExtentBatch;
use rand::RngExt;
use std::sync::Arc;

pub(super) const COLUMNS: [(&str, ColumnType); 10] = [
    ("b", ColumnType::Bool),
    ("i", ColumnType::Int),
    ("l", ColumnType::Long),
    ("r", ColumnType::Real),
    ("d", ColumnType::Decimal),
    ("t", ColumnType::DateTime),
    ("s", ColumnType::TimeSpan),
    ("g", ColumnType::Guid),
    ("x", ColumnType::String),
    ("j", ColumnType::Dynamic),
];

/// Texts that values of a type are read from; the empty one is null.
fn samples(ty: ColumnType) -> &'static [&'static str] {
    match ty {
        ColumnType::Bool => &["true", "false", ""],
        ColumnType::Int => &["0", "1", "-7", "2147483647", "-2147483648", ""],
        ColumnType::Long => &["0", "1", "2", "-3", "9223372036854775807", "-9223372036854775808", ""],
        ColumnType::Real => &["0", "-0.0", "1.5", "-2.25", "NaN", "Infinity", "-Infinity", "1e300", ""],
        ColumnType::Decimal => &["0", "1.50", "-2.25", "9999999999999999999999999999999999", "1e-34", ""],
        ColumnType::DateTime => {
            &["0001-01-01", "2024-02-29T12:30:15.1234567", "9999-12-31T23:59:59.9999999", ""]
        }
        ColumnType::TimeSpan => &["00:00:00", "1.02:03:04.5", "-00:00:01", "99999.00:00:00", ""],
        ColumnType::Guid => &["74be27de-1e4e-49d9-b579-fe0b331d3642", "00000000000000000000000000000001", ""],
        ColumnType::String => &["", "a", "A b", "äöü \u{1F980}", "0", "x=1;y", "\"q\"\\n", "[1]"],
        ColumnType::Dynamic => &[
            "1",
            "-2.5",
            "\"a\"",
            "[1,\"b\",null,[2]]",
            "{\"a\":1,\"b\":{\"c\":[true]}}",
            "[]",
            "{}",
            "true",
            "",
        ],
    }
}

/// A value as a literal of the query language.
pub(super) fn literal(ty: ColumnType, value: &Value) -> String {
    let mut text = String::new();
    write_value_text(value, &mut text);
    match (ty, value) {
        (ColumnType::String, _) => {
            let mut quoted = String::new();
            write_json_string(&text, &mut quoted);
            quoted
        }
        (_, Value::Null) => format!("{ty}(null)"),
        (_, Value::Dynamic(json)) => format!("dynamic({json})"),
        (_, Value::Real(n)) if n.is_nan() => "real(nan)".to_owned(),
        (_, Value::Real(n)) if n.is_infinite() => {
            if *n > 0.0 { "real(+inf)" } else { "real(-inf)" }.to_owned()
        }
        (_, Value::Real(n)) => format!("real({n:?})"),
        _ => format!("{ty}({text})"),
    }
}

impl Fuzz {
    fn sample(&mut self, ty: ColumnType) -> String {
        let text = self.one_of(samples(ty));
        literal(ty, &crate::data::parse_text(ty, text))
    }

    /// An expression of a type over the columns.
    pub(super) fn expression(&mut self, ty: ColumnType, depth: usize) -> String {
        use ColumnType::{Bool, DateTime, Decimal, Dynamic, Guid, Int, Long, Real, String as Text, TimeSpan};
        if depth == 0 || self.rng.random_bool(0.15) {
            return if self.rng.random_bool(0.6) {
                COLUMNS.iter().find(|(_, known)| *known == ty).unwrap().0.to_owned()
            } else {
                self.sample(ty)
            };
        }
        let forms: &[&str] = match ty {
            Bool => &[
                "(L < L)",
                "(R >= R)",
                "(X == X)",
                "(T != T)",
                "(S <= S)",
                "(D > D)",
                "(B and B)",
                "(B or B)",
                "not(B)",
                "(X contains X)",
                "(X has X)",
                "(X startswith_cs X)",
                "(X =~ X)",
                "isnull(L)",
                "isempty(X)",
                "(L between (L .. L))",
                "(L in (1, 2, L))",
                "(X in~ ('a', X))",
                "isnan(R)",
                "(G == G)",
                "(I != L)",
                "(J == X)",
                "tobool(X)",
                "bag_has_key(J, X)",
                "(R !between (R .. R))",
                "(T > T)",
            ],
            Int => &[
                "toint(L)",
                "toint(X)",
                "iff(B, I, I)",
                "getyear(T)",
                "monthofyear(T)",
                "abs(I)",
                "strcmp(X, X)",
            ],
            Long => &[
                "(L + L)",
                "(L - L)",
                "(L * L)",
                "(L / L)",
                "(L % L)",
                "(-L)",
                "abs(L)",
                "strlen(X)",
                "tolong(R)",
                "tolong(D)",
                "tolong(J)",
                "bin(L, L)",
                "max_of(L, L)",
                "min_of(L, I)",
                "iff(B, L, L)",
                "coalesce(L, L)",
                "indexof(X, X)",
                "countof(X, 'a')",
                "binary_and(L, L)",
                "binary_shift_left(L, L)",
                "array_length(J)",
                "datetime_diff('day', T, T)",
                "hash(X)",
                "hash(L, 7)",
                "(I * I)",
                "case(B, L, B, L, L)",
                "indexof(X, X, L, L, L)",
                "array_index_of(J, X)",
            ],
            Real => &[
                "(R + R)",
                "(R - R)",
                "(R * R)",
                "(R / R)",
                "(R % R)",
                "(-R)",
                "sqrt(R)",
                "log(R)",
                "pow(R, R)",
                "round(R, 2)",
                "toreal(X)",
                "toreal(J)",
                "(S / S)",
                "iff(B, R, L)",
                "bin(R, R)",
                "(L + R)",
                "todouble(D)",
                "exp(R)",
                "sign(R)",
                "ceiling(R)",
                "max_of(R, R)",
                "array_sum(J)",
            ],
            Decimal => {
                &["(D + D)", "(D - D)", "(D * D)", "(D / D)", "todecimal(X)", "todecimal(R)", "iff(B, D, D)"]
            }
            DateTime => &[
                "(T + S)",
                "(T - S)",
                "bin(T, S)",
                "startofday(T)",
                "startofweek(T)",
                "endofmonth(T, 1)",
                "todatetime(X)",
                "datetime_add('month', L, T)",
                "make_datetime(L, L, L)",
                "iff(B, T, T)",
                "unixtime_milliseconds_todatetime(L)",
                "max_of(T, T)",
            ],
            TimeSpan => &[
                "(T - T)",
                "(S + S)",
                "(S - S)",
                "(S * L)",
                "(S / R)",
                "(-S)",
                "abs(S)",
                "totimespan(X)",
                "bin(S, S)",
                "dayofweek(T)",
                "make_timespan(L, L)",
                "iff(B, S, S)",
            ],
            Guid => &["toguid(X)", "iff(B, G, G)", "coalesce(G, G)"],
            Text => &[
                "strcat(X, X)",
                "tostring(L)",
                "tostring(R)",
                "tostring(T)",
                "tostring(S)",
                "tostring(J)",
                "tostring(D)",
                "tostring(G)",
                "toupper(X)",
                "tolower(X)",
                "substring(X, L, L)",
                "reverse(X)",
                "trim('[a-z]', X)",
                "replace_string(X, 'a', X)",
                "replace_regex(X, '(.)', '<\\\\1>')",
                "extract('(.)', 1, X)",
                "iff(B, X, X)",
                "coalesce(X, X)",
                "hash_md5(X)",
                "format_datetime(T, 'yyyy-MM-dd HH:mm:ss.fff')",
                "format_timespan(S, 'd.hh:mm:ss')",
                "strcat_array(J, '-')",
                "url_encode(X)",
                "tohex(L)",
                "base64_encode_tostring(X)",
                "translate(X, X, X)",
                "extract_json('$.a', X)",
                "strrep(X, 3)",
            ],
            Dynamic => &[
                "parse_json(X)",
                "todynamic(X)",
                "J.a",
                "J[0]",
                "J['b']",
                "J[L]",
                "pack_array(L, X, J)",
                "bag_pack('k', L, 'v', J)",
                "split(X, 'a')",
                "bag_keys(J)",
                "array_slice(J, L, L)",
                "array_concat(J, J)",
                "set_union(J, J)",
                "bag_merge(J, J)",
                "array_sort_asc(J)",
                "iff(B, J, J)",
                "extract_all('(.)(.)', X)",
                "treepath(J)",
                "parse_csv(X)",
                "array_shift_left(J, L)",
                "zip(J, J)",
                "bag_remove_keys(J, J)",
                "array_rotate_left(J, L)",
                "array_split(J, L)",
                "todynamic(J)",
            ],
        };
        let form = self.one_of(forms);
        let mut out = String::new();
        let mut chars = form.chars().peekable();
        let mut before = ' ';
        while let Some(c) = chars.next() {
            let alone = !before.is_alphanumeric()
                && before != '\''
                && !chars.peek().is_some_and(|c| c.is_alphanumeric());
            let part = match c {
                'B' => Some(Bool),
                'I' => Some(Int),
                'L' => Some(Long),
                'R' => Some(Real),
                'D' => Some(Decimal),
                'T' => Some(DateTime),
                'S' => Some(TimeSpan),
                'G' => Some(Guid),
                'X' => Some(Text),
                'J' => Some(Dynamic),
                _ => None,
            };
            match part.filter(|_| alone) {
                Some(ty) => out.push_str(&self.expression(ty, depth - 1)),
                None => out.push(c),
            }
            before = c;
        }
        out
    }

    pub(super) fn extent(&mut self, rows: usize) -> ExtentBatch {
        let columns = COLUMNS.map(|(_, ty)| {
            let mut built = ColumnBuilder::new(ty);
            (0..rows).for_each(|_| {
                built.push_text(self.one_of(samples(ty)));
            });
            Arc::new(built.finish())
        });
        ExtentBatch { id: 1, tags: Arc::from([]), ingestion_time: None, columns: columns.to_vec(), rows }
    }
}
