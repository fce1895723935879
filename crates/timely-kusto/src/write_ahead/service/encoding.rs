//! Encoding policies: the staging table gets those of the target's columns at each start.
//!
//! Extents keep the encoding that they were ingested with when they are moved: its index, and the longest value
//! (`MaxValueSize`), beyond which a string is cut. So the columns of S must have the policies of the columns of T.
//!
//! The documents give the command that shows a column's policy, and the names of the profiles that can be set, but not what
//! the shown policy looks like (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/show-encoding-policy.md`,
//! `alter-encoding-policy.md`). So a profile is looked for in what is shown, by its name or by its longest value, it is set
//! in S, and the copy counts if both columns show the same then.
//!
//! One command shows all columns of a table, by a wildcard. The documents allow one and show none in use, so what its answer
//! does not name, or all if it is refused, is asked for column by column: nothing is concluded from what is not there.

use std::collections::BTreeMap;

use commit_protocol::{Column, StagingName};
use futures::{StreamExt, TryStreamExt, stream};
use kusto_client::{Error, ErrorKind, quote_name};
use serde_json::Value;

use super::{Asked, Desk};

/// Names of profiles, and the longest value of those that change it, in bytes.
const PROFILES: [(&str, Option<u64>); 4] =
    [("Identifier", None), ("BigObject", Some(2 << 20)), ("BigObject32", Some(32 << 20)), ("Vector16", None)];

/// Columns that are asked about, or changed, at a time.
const AT_A_TIME: usize = 8;

/// What is shown of a column's policy; none where it has none of its own.
type Shown = Option<Value>;

impl Desk {
    /// Copies the policies of the target's columns. Returns the columns for which that cannot be done.
    pub(super) async fn copy_encodings(&self, staging: &str, columns: &[Column]) -> Asked<Vec<String>> {
        let target = quote_name(&self.table);
        let (wanted, found) = futures::future::try_join(
            self.encodings(&self.table, &target, columns),
            self.encodings(staging, staging, columns),
        )
        .await?;
        let copies: Vec<_> = columns
            .iter()
            .map(|column| {
                let name = column.name.as_str();
                self.copy_encoding(staging, name, wanted.get(name), found.get(name))
            })
            .collect();
        let copied: Vec<Option<String>> = stream::iter(copies).buffered(AT_A_TIME).try_collect().await?;
        Ok(copied.into_iter().flatten().collect())
    }

    /// The column's name, if its policy cannot be copied.
    async fn copy_encoding(
        &self,
        staging: &str,
        column: &str,
        wanted: Option<&Shown>,
        found: Option<&Shown>,
    ) -> Asked<Option<String>> {
        let not_copied = || Ok(Some(column.to_owned()));
        let (Some(wanted), Some(found)) = (wanted, found) else { return not_copied() };
        if wanted == found {
            return Ok(None);
        }
        let profile = match wanted.as_ref().map(profile_of) {
            None => String::new(),
            Some(Some(profile)) => format!(" type='{profile}'"),
            Some(None) => return not_copied(),
        };
        let of_staging = format!("{staging}.{}", quote_name(column));
        let set = self.command(&format!(".alter column {of_staging} policy encoding{profile}")).await;
        if readable(column, set)?.is_none() {
            return not_copied();
        }
        tracing::info!(column, "the staging table gets the encoding policy of the target's column");
        let Some(shown) = readable(column, self.encoding(&of_staging).await)? else { return not_copied() };
        if shown == *wanted {
            return Ok(None);
        }
        // What all columns show may look otherwise than what one shows.
        let of_target = format!("{}.{}", quote_name(&self.table), quote_name(column));
        match readable(column, self.encoding(&of_target).await)? {
            Some(alone) if alone == shown => Ok(None),
            _ => not_copied(),
        }
    }

    /// What is shown of each column's policy; columns of which it cannot be read are not in it.
    async fn encodings(
        &self,
        table: &str,
        quoted: &str,
        columns: &[Column],
    ) -> Asked<BTreeMap<String, Shown>> {
        let mut shown = self.all_encodings(table, quoted).await?;
        let others: Vec<_> = columns
            .iter()
            .filter(|column| !shown.contains_key(&column.name))
            .map(|column| async {
                let of_column = format!("{quoted}.{}", quote_name(&column.name));
                let asked = readable(&column.name, self.encoding(&of_column).await)?;
                Ok::<_, Error>(asked.map(|policy| (column.name.clone(), policy)))
            })
            .collect();
        let others: Vec<_> = stream::iter(others).buffered(AT_A_TIME).try_collect().await?;
        shown.extend(others.into_iter().flatten());
        Ok(shown)
    }

    /// The same by one command, as far as it names columns of this table.
    async fn all_encodings(&self, table: &str, quoted: &str) -> Asked<BTreeMap<String, Shown>> {
        let asked = self.command(&format!(".show column {quoted}.* policy encoding")).await;
        let Some(answer) = readable("*", asked)? else { return Ok(BTreeMap::new()) };
        let (Ok(entity), Ok(policy)) = (answer.position("EntityName"), answer.position("Policy")) else {
            return Ok(BTreeMap::new());
        };
        let of_table = format!("[{}].[{table}].[", self.database);
        let column = |row: &Vec<Value>| {
            let name = row.get(entity)?.as_str()?.strip_prefix(&of_table)?.strip_suffix(']')?;
            Some((name.to_owned(), as_shown(row.get(policy)?)))
        };
        Ok(answer.rows.iter().filter_map(column).collect())
    }

    async fn encoding(&self, column: &str) -> Asked<Shown> {
        let answer = self.command(&format!(".show column {column} policy encoding")).await?;
        let policy = answer.position("Policy")?;
        Ok(answer.rows.first().and_then(|row| as_shown(row.get(policy)?)))
    }

    /// The same for a staging table and all columns of the target, with a line about those that cannot be copied.
    pub(in super::super) async fn align_encodings(
        &self,
        staging: StagingName,
        columns: &[Column],
    ) -> Asked<Vec<String>> {
        let left = self.copy_encodings(&staging.to_string(), columns).await?;
        if !left.is_empty() {
            let columns = left.join(", ");
            tracing::warn!(
                columns,
                "the encoding policies of these columns cannot be copied to the staging table: rows are encoded by \
                 default, and values above 1 MiB are cut"
            );
        }
        Ok(left)
    }
}

/// An answer; none from a cluster that has no such command, answers it otherwise, or does not let the caller see policies.
fn readable<T>(column: &str, answer: Asked<T>) -> Asked<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if !error.is_transient() && error.kind() != ErrorKind::SignIn => {
            tracing::debug!(column, "its encoding policy cannot be read or set: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn as_shown(cell: &Value) -> Shown {
    let shown = match cell {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| cell.clone()),
        other => other.clone(),
    };
    match &shown {
        Value::Null => None,
        Value::String(empty) if empty.is_empty() => None,
        _ => Some(shown),
    }
}

/// The profile that a policy shows: by its name, wherever it stands, or else by its longest value.
fn profile_of(policy: &Value) -> Option<&'static str> {
    let named = |text: &str| PROFILES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let long = |size: u64| PROFILES.iter().find(|(_, longest)| *longest == Some(size));
    let mut texts = Vec::new();
    let mut sizes = Vec::new();
    leaves(policy, &mut texts, &mut sizes);
    let profile = texts.into_iter().find_map(named).or_else(|| sizes.into_iter().find_map(long));
    profile.map(|(name, _)| *name)
}

fn leaves<'a>(value: &'a Value, texts: &mut Vec<&'a str>, sizes: &mut Vec<u64>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Number(number) => sizes.extend(number.as_u64()),
        Value::Array(values) => values.iter().for_each(|value| leaves(value, texts, sizes)),
        Value::Object(fields) => fields.values().for_each(|value| leaves(value, texts, sizes)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::profile_of;

    #[test]
    fn a_profile_is_found_by_its_name_or_by_its_longest_value() {
        assert_eq!(
            profile_of(&json!({"Type": "bigobject32", "MaxValueSize": 33_554_432})),
            Some("BigObject32")
        );
        assert_eq!(profile_of(&json!({"A": [{"MaxValueSize": 2_097_152}]})), Some("BigObject"));
        assert_eq!(profile_of(&json!("Identifier")), Some("Identifier"));
        assert_eq!(profile_of(&json!({"MaxValueSize": 5})), None);
    }
}
