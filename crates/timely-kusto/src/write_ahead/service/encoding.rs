//! Encoding policies: the staging table gets those of the target's columns at each start.
//!
//! Extents keep the encoding that they were ingested with when they are moved: its index, and the longest value
//! (`MaxValueSize`), beyond which a string is cut. So the columns of S must have the policies of the columns of T.
//!
//! The documents give the command that shows a column's policy, and the names of the profiles that can be set, but not what
//! the shown policy looks like (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/show-encoding-policy.md`,
//! `alter-encoding-policy.md`). So a profile is looked for in what is shown, by its name or by its longest value, it is set
//! in S, and the copy counts if both columns show the same then.

use commit_protocol::{Column, StagingName};
use futures::{StreamExt, TryStreamExt, stream};
use kusto_client::{ErrorKind, quote_name};
use serde_json::Value;

use super::{Asked, Desk};

/// Names of profiles, and the longest value of those that change it, in bytes.
const PROFILES: [(&str, Option<u64>); 4] =
    [("Identifier", None), ("BigObject", Some(2 << 20)), ("BigObject32", Some(32 << 20)), ("Vector16", None)];

/// Columns that are asked about at a time.
const AT_A_TIME: usize = 8;

impl Desk {
    /// Copies the policies of the target's columns. Returns the columns for which that cannot be done.
    pub(super) async fn copy_encodings(&self, staging: &str, columns: &[Column]) -> Asked<Vec<String>> {
        let copies = columns.iter().map(|column| self.copy_encoding(staging, &column.name));
        let copied: Vec<Option<String>> =
            stream::iter(copies.collect::<Vec<_>>()).buffered(AT_A_TIME).try_collect().await?;
        Ok(copied.into_iter().flatten().collect())
    }

    /// The column's name, if its policy cannot be copied.
    async fn copy_encoding(&self, staging: &str, column: &str) -> Asked<Option<String>> {
        let of_target = format!("{}.{}", quote_name(&self.table), quote_name(column));
        let of_staging = format!("{staging}.{}", quote_name(column));
        let copied: Asked<bool> = async {
            let (wanted, found) = (self.encoding(&of_target).await?, self.encoding(&of_staging).await?);
            if wanted == found {
                return Ok(true);
            }
            let profile = match &wanted {
                None => String::new(),
                Some(policy) => match profile_of(policy) {
                    Some(profile) => format!(" type='{profile}'"),
                    None => return Ok(false),
                },
            };
            self.command(&format!(".alter column {of_staging} policy encoding{profile}")).await?;
            tracing::info!(column, "the staging table gets the encoding policy of the target's column");
            Ok(self.encoding(&of_staging).await? == wanted)
        }
        .await;
        match copied {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(column.to_owned())),
            // A cluster that has no such command, or does not let the caller see policies.
            Err(error) if matches!(error.kind(), ErrorKind::BadRequest | ErrorKind::Forbidden) => {
                tracing::debug!(column, "its encoding policy cannot be read or set: {error}");
                Ok(Some(column.to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// What is shown of a column's policy; none where it has none of its own.
    async fn encoding(&self, column: &str) -> Asked<Option<Value>> {
        let answer = self.command(&format!(".show column {column} policy encoding")).await?;
        let policy = answer.position("Policy")?;
        let text = answer.rows.first().and_then(|row| row.get(policy)?.as_str()).unwrap_or_default();
        let shown = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        Ok(match &shown {
            Value::Null => None,
            Value::String(empty) if empty.is_empty() => None,
            _ => Some(shown),
        })
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
