//! The members of json objects, without copying.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::file::{ends_object, is_json_blank};
use crate::types::Misfit;

/// Where the next object begins, after blanks, and commas if it may be of an array. None at the end.
pub(crate) fn next_object(text: &str, at: usize, array: bool) -> Option<usize> {
    let rest = &text.as_bytes()[at..];
    let between = |byte: &&u8| is_json_blank(**byte) || (array && **byte == b',');
    let gap = rest.iter().take_while(between).count();
    (gap < rest.len()).then_some(at + gap)
}

/// The text of the first object: up to the brace that balances its first, or up to the line end where each object has
/// a line of its own.
pub(crate) fn object(text: &str, array: bool) -> &str {
    let end = match array {
        true => ends_object(text.as_bytes()),
        false => memchr::memchr(b'\n', text.as_bytes()),
    };
    &text[..end.unwrap_or(text.len())]
}

/// The names that are known, and where the value of each stands in an object.
#[derive(Debug, Default)]
pub(crate) struct Members {
    names: Vec<String>,
    index: HashMap<String, usize>,
    /// Per name, the start and end of its value in the object's text.
    places: Vec<Option<(usize, usize)>>,
}

/// What a name that is not known means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It becomes known.
    Learn,
    /// An error.
    Refuse,
}

impl Members {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut members = Members::default();
        names.into_iter().for_each(|name| _ = members.learn(&name));
        members
    }

    fn learn(&mut self, name: &str) -> usize {
        let index = self.names.len();
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), index);
        self.places.push(None);
        index
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Finds the values of `object`.
    pub(crate) fn find(&mut self, object: &str, unknown: Unknown) -> Result<(), serde_json::Error> {
        self.places.fill(None);
        let mut deserializer = serde_json::Deserializer::from_str(object);
        Find { members: self, base: object.as_ptr() as usize, unknown }.deserialize(&mut deserializer)?;
        deserializer.end()
    }

    /// The start and end of the value of name `index`, if the object has it.
    pub(crate) fn place(&self, index: usize) -> Option<(usize, usize)> {
        self.places[index]
    }
}

struct Find<'m> {
    members: &'m mut Members,
    base: usize,
    unknown: Unknown,
}

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut guess = 0;
        while let Some(index) =
            map.next_key_seed(Name { find: self.members, guess, unknown: self.unknown })?
        {
            let value: &RawValue = map.next_value()?;
            let start = value.get().as_ptr() as usize - self.base;
            if self.members.places[index].replace((start, start + value.get().len())).is_some() {
                let name = &self.members.names[index];
                return Err(serde::de::Error::custom(format_args!("the name {name:?} stands twice")));
            }
            guess = index + 1;
        }
        Ok(())
    }
}

/// Finds the index of a name, trying the one after the last found first: most files keep their order.
struct Name<'m> {
    find: &'m mut Members,
    guess: usize,
    unknown: Unknown,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<usize, E> {
        if self.find.names.get(self.guess).is_some_and(|guess| guess == name) {
            return Ok(self.guess);
        }
        match (self.find.index.get(name), self.unknown) {
            (Some(index), _) => Ok(*index),
            (None, Unknown::Learn) => Ok(self.find.learn(name)),
            (None, Unknown::Refuse) => {
                Err(E::custom(format_args!("there is no column for the field {name:?}")))
            }
        }
    }
}

/// The text of a json string that is known to be well formed, quotes included in `raw`.
pub(crate) fn string<'a>(raw: &'a str, scratch: &'a mut String) -> Result<&'a str, Misfit> {
    let inner = &raw[1..raw.len() - 1];
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(inner);
    }
    unescape(inner, scratch).ok_or("it has half of a surrogate pair")?;
    Ok(scratch)
}

fn unescape(mut text: &str, out: &mut String) -> Option<()> {
    out.clear();
    while let Some((plain, escape)) = text.split_once('\\') {
        out.push_str(plain);
        let kind = escape.chars().next()?;
        text = &escape[kind.len_utf8()..];
        out.push(match kind {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => take_unicode(&mut text)?,
            other => other,
        });
    }
    out.push_str(text);
    Some(())
}

fn take_unicode(text: &mut &str) -> Option<char> {
    let high = take_hex(text)?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high);
    }
    *text = text.strip_prefix("\\u")?;
    let low = take_hex(text)?;
    let low = (0xdc00..0xe000).contains(&low).then_some(low)?;
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

fn take_hex(text: &mut &str) -> Option<u32> {
    let (digits, rest) = text.split_at_checked(4)?;
    *text = rest;
    u32::from_str_radix(digits, 16).ok()
}
