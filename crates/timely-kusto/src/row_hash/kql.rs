//! The hash in the query language.

use std::fmt::Write as _;

use kusto_client::quote_name;

use super::{Kind, RowHash};

/// How many arguments `strcat` takes (`data-explorer/kusto/query/strcat-function.md`).
const MOST_ARGUMENTS: usize = 64;

impl RowHash {
    /// KQL statements, each ended by `;` and a line break, that stand before any query with [`expression`](Self::expression):
    /// a function for each type in use.
    pub(crate) fn functions(&self) -> String {
        self.kinds().map(Kind::function).collect()
    }

    /// KQL: the number of a row, a `long` from 0 to 2^32 - 1, which needs [`functions`](Self::functions) before it. `sum()` of
    /// it is what [`Summer::sum`](super::Summer::sum) gives.
    pub(crate) fn expression(&self) -> String {
        let texts = self
            .columns()
            .iter()
            .map(|(name, kind)| format!("{}({})", kind.function_name(), quote_name(name)));
        number_of(&joined(texts.collect()))
    }
}

impl Kind {
    /// What the KQL function is called.
    pub(super) fn function_name(self) -> String {
        format!("kt_{}", self.name())
    }

    /// The KQL function that writes a value.
    pub(super) fn function(self) -> String {
        let (name, kql) = (self.function_name(), self.form().kql.trim_end_matches(' '));
        let blank = if kql.starts_with('\n') { "" } else { " " };
        format!("let {name} = (x: {}) {{{blank}{kql}{blank}}};\n", self.name())
    }
}

/// The first 32 bits of the MD5 of a text, as a `long`. That `tolong` reads hexadecimal digits behind `0x` is not
/// documented, but widely leant on; the probe tells where it does not.
pub(super) fn number_of(text: &str) -> String {
    format!(r#"tolong(strcat("0x", substring(hash_md5({text}), 0, 8)))"#)
}

/// Texts one behind the other, however many there are.
fn joined(mut texts: Vec<String>) -> String {
    while texts.len() > MOST_ARGUMENTS {
        texts = texts.chunks(MOST_ARGUMENTS).map(strcat).collect();
    }
    strcat(&texts)
}

fn strcat(texts: &[String]) -> String {
    let mut call = String::from("strcat(");
    for (at, text) in texts.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        let _ = write!(call, "{comma}{text}"); // writing to a String cannot fail
    }
    call.push(')');
    call
}
