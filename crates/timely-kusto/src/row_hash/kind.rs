//! The types whose values have a text, and the text of each: what is told to users, and the KQL that writes it.
//!
//! Sources are paths in `MicrosoftDocs/dataexplorer-docs`, below `data-explorer/kusto/query/`.

use crate::types::without_synonym;

/// A type whose values have a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Bool,
    Int,
    Long,
    Real,
    Decimal,
    DateTime,
    Timespan,
    Guid,
    String,
}

/// How a type's values are written.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "the page for users is written, and compared, by a test"))]
pub(super) struct Form {
    /// The text, in words.
    pub(super) text: &'static str,
    /// A text, for instance.
    pub(super) example: &'static str,
    /// The body of the KQL function of a value `x`: a text with its end.
    pub(super) kql: &'static str,
    /// What it rests on: paths in the service's documents.
    pub(super) sources: &'static [&'static str],
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Kind; 9] = [
        Kind::Bool,
        Kind::Int,
        Kind::Long,
        Kind::Real,
        Kind::Decimal,
        Kind::DateTime,
        Kind::Timespan,
        Kind::Guid,
        Kind::String,
    ];

    /// The name in the query language.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Real => "real",
            Kind::Decimal => "decimal",
            Kind::DateTime => "datetime",
            Kind::Timespan => "timespan",
            Kind::Guid => "guid",
            Kind::String => "string",
        }
    }

    /// The type of this name, synonyms included; none for `dynamic` and what is unknown.
    pub(crate) fn from_name(name: &str) -> Option<Kind> {
        let proper = without_synonym(name);
        Kind::ALL.into_iter().find(|kind| kind.name() == proper)
    }

    pub(super) fn form(self) -> &'static Form {
        match self {
            Kind::Bool => &BOOL,
            Kind::Int | Kind::Long => &WHOLE,
            Kind::Real => &REAL,
            Kind::Decimal => &DECIMAL,
            Kind::DateTime => &DATETIME,
            Kind::Timespan => &TIMESPAN,
            Kind::Guid => &GUID,
            Kind::String => &STRING,
        }
    }
}

const BOOL: Form = Form {
    text: "`1` or `0`",
    example: "1",
    kql: r#"case(isnull(x), ",", x, "1,", "0,")"#,
    sources: &["case-function.md", "isnull-function.md"],
};

const WHOLE: Form = Form {
    text: "decimal digits, behind a `-` if negative",
    example: "-5",
    kql: r#"strcat(tostring(x), ",")"#,
    sources: &["tostring-function.md", "strcat-function.md"],
};

/// A number is told exactly by whole numbers: it is multiplied with a power of two, which changes no digit, so that it has
/// at most 62 binary digits before the point, and at most 124 behind it. The logarithm only chooses the power. Where two
/// programs' logarithms differ in their last digits, they choose alike all the same, but for numbers that are within some
/// 10^-13 of 2^(128 *j* - 1018.3), which is no number that anybody writes.
const REAL: Form = Form {
    text: "`nan`, `inf`, `-inf`, or a sign (`+` for both zeros) and four whole numbers with `:` between them: *j*, which is \
           (log2(magnitude) + 1018.3) / 128 without its fraction, 0 for zeros; and of the magnitude times 2^(952 - 128 *j*) the \
           whole part and twice the next 62 binary digits",
    example: "+7:108086391056891904:0:0",
    kql: r#"
    let a = abs(x);
    let j = iff(a > 0.0, tolong((log2(a) + 1018.3) / 128.0), 0);
    let m = a * exp2(952 - 128 * j);
    case(isnull(x), ",", isnan(x), "nan,", isinf(x), iff(x > 0.0, "inf,", "-inf,"),
        strcat(iff(x < 0.0, "-", "+"), j, ":", tolong(m), ":", tolong((m % 1.0) * exp2(62)), ":",
            tolong(((m * exp2(62)) % 1.0) * exp2(62)), ","))
"#,
    sources: &[
        "scalar-data-types/real.md",
        "log2-function.md",
        "exp2-function.md",
        "numerical-operators.md",
        "toint-function.md",
        "isnan-function.md",
    ],
};

const DECIMAL: Form = Form {
    text: "decimal digits with a point among them if there is a fraction, without exponent, without zeros at the end of the \
           fraction, behind a `-` if negative. How the service writes a decimal is not documented; zeros that it may keep are \
           taken away",
    example: "-12.5",
    kql: r#"
    let t = tostring(x);
    let d = iff(indexof(t, ".") < 0, t, trim_end(@"\.?0+", t));
    strcat(iff(d == "-0", "0", d), ",")
"#,
    sources: &["tostring-function.md", "trim-end-function.md", "indexof-function.md"],
};

const DATETIME: Form = Form {
    text: "`yyyy-MM-dd HH:mm:ss.fffffff`",
    example: "2024-02-29 23:59:59.1234567",
    kql: r#"case(isnull(x), ",", strcat(format_datetime(x, "yyyy-MM-dd HH:mm:ss.fffffff"), ","))"#,
    sources: &["format-datetime-function.md"],
};

/// Long ones count from -10675199 days on, since the earliest has no day that begins before it.
const TIMESPAN: Form = Form {
    text: "whole days, a point, and the ticks (100 ns) of the last day; negative ones have 10675199 days added to them and stand \
           behind a `-`",
    example: "1.36000000000",
    kql: r#"
    let y = iff(x < 0s, x + 5337600d + 5337599d, x);
    let d = bin(y, 1d);
    case(isnull(x), ",", strcat(iff(x < 0s, "-", ""), tolong(d / 1d), ".", tolong((y - d) / 1tick), ","))
"#,
    sources: &["scalar-data-types/timespan.md", "datetime-timespan-arithmetic.md", "bin-function.md"],
};

const GUID: Form = Form {
    text: "hexadecimal digits in groups of 8-4-4-4-12, in lower case",
    example: "74be27de-1e4e-49d9-b579-fe0b331d3642",
    kql: r#"strcat(tolower(tostring(x)), ",")"#,
    sources: &["scalar-data-types/guid.md", "toguid-function.md"],
};

const STRING: Form = Form {
    text: "its length in bytes of UTF-8, `:`, and the text as it is. There is no null: an empty text is `0:`",
    example: "5:a, b.",
    kql: r#"strcat(string_size(x), ":", x, ",")"#,
    sources: &["string-size-function.md", "scalar-data-types/null-values.md"],
};
