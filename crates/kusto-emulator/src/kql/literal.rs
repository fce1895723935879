//! The literals of KQL: how each is written, and its value.

use super::lexer::Kind;
use crate::data::{
    ColumnType, Decimal, TICKS_PER_DAY, TICKS_PER_SECOND, Value, parse_datetime, parse_guid, parse_text,
    parse_timespan, write_json_string, write_value_json,
};

/// `text`, cut to what an error message can show.
pub(super) fn shortened(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() { format!("{cut}...") } else { cut }
}

/// A string literal at the start of `rest`, and its length; none when there is none.
pub(super) fn string(rest: &str) -> Option<(Kind, usize)> {
    let obfuscated = rest.starts_with(['h', 'H']) && rest[1..].starts_with(['\'', '"', '@', '`', '~']);
    let prefix = usize::from(obfuscated);
    let body = &rest[prefix..];
    let (text, len) = match body.as_bytes() {
        [b'@', quote @ (b'\'' | b'"'), ..] => shift(verbatim(&body[2..], *quote as char), 2),
        [quote @ (b'\'' | b'"'), ..] => shift(escaped(&body[1..], *quote as char), 1),
        _ if body.starts_with("```") => shift(fenced(&body[3..], "```"), 3),
        _ if body.starts_with("~~~") => shift(fenced(&body[3..], "~~~"), 3),
        _ => return None,
    };
    let kind = text.map_or_else(Kind::Invalid, |text| Kind::Text { text, obfuscated });
    Some((kind, prefix + len))
}

type Body = (Result<String, String>, usize);

fn shift((text, len): Body, by: usize) -> Body {
    (text, len + by)
}

/// The text between fences, which may hold anything but the fence.
fn fenced(body: &str, fence: &str) -> Body {
    match body.find(fence) {
        Some(at) => (Ok(body[..at].to_owned()), at + fence.len()),
        None => (Err(format!("unterminated {fence} string")), body.len()),
    }
}

/// A verbatim string: backslashes are text, a doubled quote is a quote.
fn verbatim(body: &str, quote: char) -> Body {
    let mut text = String::new();
    let mut at = 0;
    while let Some(found) = body[at..].find(quote) {
        text.push_str(&body[at..at + found]);
        at += found + 1;
        if !body[at..].starts_with(quote) {
            return (Ok(text), at);
        }
        text.push(quote);
        at += 1;
    }
    (Err("unterminated string literal".to_owned()), body.len())
}

/// A string with escapes, on one line.
fn escaped(body: &str, quote: char) -> Body {
    let mut text = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return (Ok(text), at + 1),
            '\n' | '\r' => return (Err("unterminated string literal".to_owned()), at),
            '\\' => match escape(&mut chars) {
                Some(c) => text.push(c),
                None => return (Err("unknown escape sequence in a string literal".to_owned()), body.len()),
            },
            c => text.push(c),
        }
    }
    (Err("unterminated string literal".to_owned()), body.len())
}

/// What an escape behind a backslash stands for.
fn escape(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let (_, kind) = chars.next()?;
    let digits = match kind {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        '0' => return Some('\0'),
        'a' => return Some('\u{7}'),
        'b' => return Some('\u{8}'),
        'f' => return Some('\u{c}'),
        'v' => return Some('\u{b}'),
        '\\' | '\'' | '"' => return Some(kind),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let unit = hex(chars, digits)?;
    if (0xd800..0xdc00).contains(&unit) {
        let (backslash, u) = (chars.next()?.1, chars.next()?.1);
        let low = hex(chars, 4)?;
        let paired = backslash == '\\' && u == 'u' && (0xdc00..0xe000).contains(&low);
        return paired.then(|| 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)).and_then(char::from_u32);
    }
    char::from_u32(unit)
}

fn hex(chars: &mut std::str::CharIndices<'_>, digits: u32) -> Option<u32> {
    (0..digits).try_fold(0u32, |n, _| Some(n.checked_mul(16)? + chars.next()?.1.to_digit(16)?))
}

/// A number at the start of `rest`, perhaps with a unit of time behind it, and its length.
pub(super) fn number(rest: &str) -> (Kind, usize) {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    if rest.starts_with("0x") || rest.starts_with("0X") {
        return hexadecimal(rest);
    }
    let mut len = digits(0);
    let mut real = false;
    if rest[len..].starts_with('.') && !rest[len..].starts_with("..") && (digits(len + 1) > 0) {
        (real, len) = (true, len + 1 + digits(len + 1));
    }
    if rest[len..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[len + 1..].starts_with(['+', '-']));
        let exponent = digits(len + 1 + sign);
        if exponent > 0 {
            (real, len) = (true, len + 1 + sign + exponent);
        }
    }
    let suffix = rest[len..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    if suffix > 0 {
        return with_suffix(&rest[..len], &rest[len..len + suffix], real);
    }
    let value = if real {
        rest[..len].parse().ok().map(Value::Real)
    } else {
        rest[..len].parse().ok().map(Value::Long)
    };
    let ty = if real { ColumnType::Real } else { ColumnType::Long };
    match value {
        Some(value) => (Kind::Literal(value, ty), len),
        None => (Kind::Invalid(format!("the number {} does not fit", shortened(&rest[..len]))), len),
    }
}

fn hexadecimal(rest: &str) -> (Kind, usize) {
    let len = 2 + rest[2..].bytes().take_while(u8::is_ascii_alphanumeric).count();
    match u64::from_str_radix(&rest[2..len], 16) {
        Ok(number) => (Kind::Literal(Value::Long(number as i64), ColumnType::Long), len),
        Err(_) => (Kind::Invalid(format!("'{}' is no number", shortened(&rest[..len]))), len),
    }
}

fn with_suffix(number: &str, suffix: &str, real: bool) -> (Kind, usize) {
    let len = number.len() + suffix.len();
    let kind = if let Some(unit) = unit(suffix) {
        timespan_of(number, unit).map(|ticks| Kind::Literal(Value::TimeSpan(ticks), ColumnType::TimeSpan))
    } else if !real && matches!(suffix, "l" | "L") {
        number.parse().ok().map(|n| Kind::Literal(Value::Long(n), ColumnType::Long))
    } else {
        None
    };
    let reason = || Kind::Invalid(format!("'{number}{}' is neither a number nor a name", shortened(suffix)));
    (kind.unwrap_or_else(reason), len)
}

fn timespan_of(number: &str, unit: i64) -> Option<i64> {
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(unit);
    }
    let ticks = number.parse::<f64>().ok()? * unit as f64;
    (ticks.abs() < 9e18).then(|| ticks.round() as i64)
}

/// Ticks of a unit of time as literals spell it.
fn unit(suffix: &str) -> Option<i64> {
    const MINUTE: i64 = 60 * TICKS_PER_SECOND;
    Some(match suffix {
        "d" | "day" | "days" => TICKS_PER_DAY,
        "h" | "hr" | "hrs" | "hour" | "hours" => 60 * MINUTE,
        "m" | "min" | "minute" | "minutes" => MINUTE,
        "s" | "sec" | "second" | "seconds" => TICKS_PER_SECOND,
        "ms" | "milli" | "millis" | "millisec" | "millisecond" | "milliseconds" => 10_000,
        "micro" | "micros" | "microsec" | "microsecond" | "microseconds" => 10,
        "tick" | "ticks" => 1,
        _ => return None,
    })
}

/// A typed literal (`datetime(2020-01-01)`) whose type's name is the first `len` bytes of `rest`; none when it is only a name.
pub(super) fn typed(rest: &str, len: usize) -> Option<(Kind, usize)> {
    let name = &rest[..len];
    let ty = match name {
        "bool" | "boolean" | "int" | "long" | "real" | "double" | "decimal" | "datetime" | "date"
        | "timespan" | "time" | "guid" | "dynamic" => ColumnType::parse(name)?,
        _ => return None,
    };
    let open = len + (rest[len..].len() - rest[len..].trim_start().len());
    if !rest[open..].starts_with('(') {
        return None;
    }
    let Some(close) = closing(&rest[open + 1..]) else {
        return Some((Kind::Invalid(format!("unterminated {name} literal")), rest.len()));
    };
    let body = rest[open + 1..open + 1 + close].trim();
    let reason = || Kind::Invalid(format!("'{}' is no {name} literal", shortened(body)));
    let kind = typed_value(ty, body).map_or_else(reason, |value| Kind::Literal(value, ty));
    Some((kind, open + 1 + close + 1))
}

/// The place of the bracket that closes, brackets and strings within skipped.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            '"' | '\'' => {
                at += string(&text[at..])?.1;
                continue;
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

/// The value that the body of a typed literal spells.
fn typed_value(ty: ColumnType, body: &str) -> Option<Value> {
    if body == "null" {
        return Some(Value::Null);
    }
    let bare = unquoted(body);
    let value = match ty {
        ColumnType::Dynamic => Value::dynamic(serde_json::from_str(&relaxed_json(body)?).ok()?),
        ColumnType::DateTime => Value::DateTime(parse_datetime(bare)?),
        ColumnType::Guid => Value::Guid(parse_guid(bare)?),
        ColumnType::TimeSpan => Value::TimeSpan(parse_timespan(bare).or_else(|| suffixed(bare))?),
        ColumnType::Decimal => Value::Decimal(Decimal::parse(bare)?),
        ColumnType::Real => Value::Real(bare.parse().ok()?),
        ColumnType::Int => Value::Int(i32::try_from(integer(bare)?).ok()?),
        ColumnType::Long => Value::Long(integer(bare)?),
        _ => parse_text(ty, bare),
    };
    (!value.is_null() || ty == ColumnType::Dynamic).then_some(value)
}

fn integer(body: &str) -> Option<i64> {
    let (negative, digits) = body.strip_prefix('-').map_or((false, body), |digits| (true, digits));
    match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => {
            u64::from_str_radix(hex, 16).ok().map(|n| (n as i64).wrapping_mul(if negative { -1 } else { 1 }))
        }
        None => body.parse().ok(),
    }
}

fn suffixed(body: &str) -> Option<i64> {
    let (negative, body) = body.strip_prefix('-').map_or((false, body), |rest| (true, rest));
    if !body.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number = body.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let ticks = timespan_of(number.trim(), unit(&body[number.len()..])?)?;
    Some(if negative { -ticks } else { ticks })
}

fn unquoted(body: &str) -> &str {
    let inner = body.strip_prefix(['\'', '"']).and_then(|rest| rest.strip_suffix(['\'', '"']));
    inner.unwrap_or(body)
}

/// JSON as `dynamic(..)` takes it: strings may stand in single quotes, and values as literals with their type.
fn relaxed_json(body: &str) -> Option<String> {
    if !body.contains(['\'', '(']) {
        return Some(body.to_owned());
    }
    let mut json = String::with_capacity(body.len());
    let mut at = 0;
    while let Some(c) = body[at..].chars().next() {
        if matches!(c, '"' | '\'') {
            let (kind, len) = string(&body[at..])?;
            let Kind::Text { text, .. } = kind else { return None };
            write_json_string(&text, &mut json);
            at += len;
        } else if c.is_ascii_alphabetic() {
            let word = body[at..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(body.len() - at);
            match typed(&body[at..], word) {
                Some((Kind::Literal(value, _), len)) => {
                    write_value_json(&value, &mut json);
                    at += len;
                }
                Some(_) => return None,
                None => {
                    json.push_str(&body[at..at + word]);
                    at += word;
                }
            }
        } else {
            json.push(c);
            at += c.len_utf8();
        }
    }
    Some(json)
}
