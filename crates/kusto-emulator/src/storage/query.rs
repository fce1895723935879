//! The query string of a storage request: decoded once, looked up by name without regard to case.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Decoded pairs, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a raw query string. `+` stands for itself, as in storage URLs: a signature is full of them.
    pub(crate) fn parse(raw: &str) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pair = |part: &str| match part.split_once('=') {
            Some((name, value)) => (decode(name).to_lowercase(), decode(value)),
            None => (decode(part).to_lowercase(), String::new()),
        };
        Self(raw.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    pub(crate) fn from_pairs(pairs: &[(&str, String)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    /// The first value of `name` (lower case).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// [`Query::get`], empty values excluded.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// A number, if it is there and one.
    pub(crate) fn number(&self, name: &str) -> Option<Result<i64, ()>> {
        self.get(name).map(|text| text.parse().map_err(|_| ()))
    }

    /// All names in order, each with its values in order.
    pub(crate) fn sorted(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut sorted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.0 {
            sorted.entry(name).or_default().push(value);
        }
        sorted.values_mut().for_each(|values| values.sort_unstable());
        sorted
    }
}
