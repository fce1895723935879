//! Where records end: in csv outside quotes, in json at line ends or where braces balance.
//!
//! Everything here works on text that begins with a record, and never looks at a byte that a vectorised search can
//! skip.

use memchr::{memchr, memchr_iter, memchr2, memchr3, memrchr};

use crate::source::Budget;

/// How the records of a file are told apart, from some place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// csv records.
    Csv,
    /// json, before the end of the first line that holds something, which decides.
    JsonStart,
    /// One json object per line.
    JsonLines,
    /// In an array, before the first object or the end.
    ArrayStart,
    /// In an array, after an object.
    ArrayNext,
    /// In an array, after a comma.
    ArrayComma,
    /// After the array.
    ArrayEnd,
    /// json objects one after another, each over any number of lines.
    JsonObjects,
}

impl Framing {
    const ALL: [Framing; 8] = [
        Framing::Csv,
        Framing::JsonStart,
        Framing::JsonLines,
        Framing::ArrayStart,
        Framing::ArrayNext,
        Framing::ArrayComma,
        Framing::ArrayEnd,
        Framing::JsonObjects,
    ];

    pub(super) fn code(self) -> u8 {
        Self::ALL.iter().position(|framing| *framing == self).map_or(u8::MAX, |code| code as u8)
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// What stands before the next record, in bytes to pass over, and the framing after it. `Err`: what is wrong
    /// there. Asks again after more text was read until nothing is left to pass over.
    pub(super) fn separator(self, text: &[u8]) -> Result<(usize, Framing), (usize, &'static str)> {
        let blank = match self {
            Framing::Csv => return Ok((blank_lines(text), self)),
            _ => text.iter().take_while(|byte| byte.is_ascii_whitespace()).count(),
        };
        let next = match (self, text.get(blank)) {
            (_, None) => return Ok((blank, self)),
            (Framing::JsonStart, Some(b'[')) => Framing::ArrayStart,
            (Framing::JsonStart, Some(b'{')) => return Ok((blank, of_objects(&text[blank..]))),
            (Framing::JsonStart, _) => {
                return Err((blank, "expected `{` (an object) or `[` (an array of objects)"));
            }
            (Framing::JsonObjects, Some(b'{')) => return Ok((blank, self)),
            (Framing::JsonObjects, _) => {
                return Err((blank, "expected another object or the end of the file"));
            }
            (Framing::ArrayStart | Framing::ArrayNext, Some(b']')) => Framing::ArrayEnd,
            (Framing::ArrayNext, Some(b',')) => Framing::ArrayComma,
            (Framing::ArrayNext, _) => {
                return Err((blank, "expected `,` or `]` after an object of the array"));
            }
            (Framing::ArrayStart | Framing::ArrayComma, Some(b'{')) => return Ok((blank, self)),
            (Framing::ArrayStart | Framing::ArrayComma, _) => {
                return Err((blank, "the array must hold objects"));
            }
            (Framing::ArrayEnd, _) => return Err((blank, "expected nothing after the array")),
            (Framing::Csv | Framing::JsonLines, _) => return Ok((blank, self)),
        };
        Ok((blank + 1, next))
    }

    /// The framing after a block of records.
    pub(super) fn after_records(self) -> Framing {
        match self {
            Framing::ArrayStart | Framing::ArrayComma => Framing::ArrayNext,
            other => other,
        }
    }

    /// The end of the whole records that fit the budget, or of the first one if it alone does not fit. `text` begins
    /// with a record. None: its first record is not all there.
    pub(super) fn cut(self, text: &[u8], budget: Budget) -> Option<usize> {
        let rows = usize::try_from(budget.rows).unwrap_or(usize::MAX).max(1);
        let within = &text[..text.len().min(budget.bytes.max(1))];
        match self {
            Framing::Csv => csv_end(within, rows).or_else(|| csv_end(text, 1)),
            Framing::JsonLines => lines_end(within, rows).or_else(|| lines_end(text, 1)),
            Framing::JsonStart => None,
            Framing::JsonObjects => objects_end(within, rows, 0).or_else(|| objects_end(text, 1, 0)),
            _ => objects_end(within, rows, 1).or_else(|| objects_end(text, 1, 1)),
        }
    }
}

/// The length of the first csv record with its line end, or of all of `text` if there is no end in it.
pub(crate) fn skip_csv_record(text: &[u8]) -> usize {
    csv_end(text, 1).unwrap_or(text.len())
}

fn blank_lines(text: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match &text[at..] {
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            _ => return at,
        }
    }
}

fn lines_end(text: &[u8], rows: usize) -> Option<usize> {
    match rows {
        usize::MAX => memrchr(b'\n', text).map(|end| end + 1),
        _ => memchr_iter(b'\n', text).take(rows).last().map(|end| end + 1),
    }
}

/// The end of the last of at most `rows` csv records.
fn csv_end(text: &[u8], rows: usize) -> Option<usize> {
    let (mut left, mut end) = (rows, None);
    for (start, stop) in (Unquoted { text, at: 0 }) {
        let region = &text[start..stop];
        if rows == usize::MAX {
            end = memrchr(b'\n', region).map(|at| start + at + 1).or(end);
            continue;
        }
        for at in memchr_iter(b'\n', region) {
            end = Some(start + at + 1);
            left -= 1;
            if left == 0 {
                return end;
            }
        }
    }
    end
}

/// The stretches of csv text outside quoted fields, in order. A quote opens a field only where one begins.
struct Unquoted<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Unquoted<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let (text, start) = (self.text, self.at);
        if start > text.len() {
            return None;
        }
        let mut search = start;
        while let Some(found) = memchr(b'"', &text[search..]) {
            let quote = search + found;
            if quote == 0 || matches!(text[quote - 1], b',' | b'\n') {
                self.at = after_quoted(text, quote + 1).unwrap_or(text.len() + 1);
                return Some((start, quote));
            }
            search = quote + 1;
        }
        self.at = text.len() + 1;
        Some((start, text.len()))
    }
}

/// The place after the quote that closes the field which was opened before `at`.
fn after_quoted(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr(b'"', &text[at..])? + 1;
        if text.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

/// How objects are laid out, told from the first line: one per line if it holds a whole one. Undecided before its end.
fn of_objects(text: &[u8]) -> Framing {
    match memchr(b'\n', text) {
        None => Framing::JsonStart,
        Some(end) if ends_object(&text[..end]).is_some() => Framing::JsonLines,
        Some(_) => Framing::JsonObjects,
    }
}

/// The end of the last of at most `rows` objects, separated by blanks and so many commas.
fn objects_end(text: &[u8], rows: usize, commas: usize) -> Option<usize> {
    let (mut at, mut end) = (0, None);
    for _ in 0..rows {
        let Some(length) = ends_object(&text[at..]) else { return end };
        at += length;
        end = Some(at);
        match next_object(&text[at..], commas) {
            Some(gap) => at += gap,
            None => return end,
        }
    }
    end
}

/// The length of the blanks and so many commas before the next object, if that is what comes.
fn next_object(text: &[u8], expected: usize) -> Option<usize> {
    let mut commas = 0;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'{' => return (commas == expected).then_some(at),
            b',' => commas += 1,
            byte if byte.is_ascii_whitespace() => {}
            _ => return None,
        }
    }
    None
}

/// The length of the json object with which `text` begins, if it is all there: braces balanced outside strings.
pub(crate) fn ends_object(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        at += memchr3(b'"', b'{', b'}', &text[at..])? + 1;
        match text[at - 1] {
            b'"' => at = after_string(text, at)?,
            b'{' => depth += 1,
            _ if depth <= 1 => return Some(at),
            _ => depth -= 1,
        }
    }
}

/// The place after the quote that closes the json string which was opened before `at`.
fn after_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        match text[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}
