//! Policies: stored on a table or a database, inherited from the database, shown as the service shows them.
//!
//! A table without a policy of its own has its database's; an own one replaces it whole. `.alter` replaces, `.alter-merge`
//! changes the fields given. All kinds are stored and shown; effective are: ingestion batching (read by data management),
//! streaming ingestion (read by the streaming endpoint), ingestion time and caching (read by queries and `.show extents
//! hot`), and merge, retention, tag retention and auto-delete (see `upkeep.rs`). Sources: `MicrosoftDocs/dataexplorer-docs
//! data-explorer/kusto/management/{batching,retention,merge,streaming-ingestion,cache,auto-delete}-policy.md`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::{EngineError, EngineResult};
use crate::data::{TICKS_PER_SECOND, format_timespan, parse_timespan};

/// The kinds of policy that the engine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum PolicyKind {
    /// When data management seals a batch.
    IngestionBatching,
    /// How long rows are kept.
    Retention,
    /// Whether extents are merged in the background.
    Merge,
    /// Whether the streaming endpoint takes rows.
    StreamingIngestion,
    /// What is kept in hot cache.
    Caching,
    /// When the table is dropped.
    AutoDelete,
    /// Whether rows remember when they were ingested.
    IngestionTime,
    /// When extents are divided.
    Sharding,
    /// How columns are encoded, by column name.
    Encoding,
    /// When tags are forgotten.
    ExtentTagsRetention,
    /// Which managed identities may be used for what.
    ManagedIdentity,
}

impl PolicyKind {
    const ALL: [(Self, &'static str, &'static str); 11] = [
        (Self::IngestionBatching, "ingestionbatching", "IngestionBatchingPolicy"),
        (Self::Retention, "retention", "RetentionPolicy"),
        (Self::Merge, "merge", "ExtentsMergePolicy"),
        (Self::StreamingIngestion, "streamingingestion", "StreamingIngestionPolicy"),
        (Self::Caching, "caching", "CachingPolicy"),
        (Self::AutoDelete, "auto_delete", "AutoDeletePolicy"),
        (Self::IngestionTime, "ingestiontime", "IngestionTimePolicy"),
        (Self::Sharding, "sharding", "ShardingPolicy"),
        (Self::Encoding, "encoding", "EncodingPolicy"),
        (Self::ExtentTagsRetention, "extent_tags_retention", "ExtentTagsRetentionPolicy"),
        (Self::ManagedIdentity, "managed_identity", "ManagedIdentityPolicy"),
    ];

    /// Reads the word of a command.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known, _)| *known == word).map(|(kind, ..)| kind)
    }

    /// The word of a command.
    pub(crate) fn word(self) -> &'static str {
        self.row().1
    }

    /// The value of the column `PolicyName`.
    pub(crate) fn policy_name(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (Self, &'static str, &'static str) {
        let found = Self::ALL.into_iter().find(|(kind, ..)| *kind == self);
        found.expect("ALL lists every kind")
    }

    /// Fields of the policy's object and how they are checked; `None` for policies that are not plain objects.
    fn fields(self) -> &'static [(&'static str, Field)] {
        use Field::{Any, Bool, Number, Span, Text};
        match self {
            Self::IngestionBatching => &[
                ("MaximumBatchingTimeSpan", Span(10, 1800)),
                ("MaximumNumberOfItems", Number(1, 25_000)),
                ("MaximumRawDataSizeMB", Number(100, 4096)),
            ],
            Self::Retention => {
                &[("SoftDeletePeriod", Span(0, i64::MAX)), ("Recoverability", Text(&["Enabled", "Disabled"]))]
            }
            Self::Merge => &[
                ("RowCountUpperBoundForMerge", Number(0, i64::MAX)),
                ("OriginalSizeMBUpperBoundForMerge", Number(0, i64::MAX)),
                ("MaxExtentsToMerge", Number(2, i64::MAX)),
                ("MaxRangeInHours", Number(0, i64::MAX)),
                ("LoopPeriod", Span(0, i64::MAX)),
                ("AllowRebuild", Bool),
                ("AllowMerge", Bool),
                ("Lookback", Any),
                ("Origin", Any),
            ],
            Self::StreamingIngestion => &[("IsEnabled", Bool), ("HintAllocatedRate", Any)],
            Self::AutoDelete => &[("ExpiryDate", Any), ("DeleteIfNotEmpty", Bool)],
            Self::IngestionTime => &[("IsEnabled", Bool)],
            Self::Caching
            | Self::Sharding
            | Self::Encoding
            | Self::ExtentTagsRetention
            | Self::ManagedIdentity => &[],
        }
    }

    /// What the service fills in for fields that the first `.alter` leaves out.
    fn defaults(self) -> Value {
        match self {
            Self::IngestionBatching => BatchingPolicy::default().to_json(),
            Self::Retention => json!({"SoftDeletePeriod": "365000.00:00:00", "Recoverability": "Enabled"}),
            Self::Merge => json!({
                "RowCountUpperBoundForMerge": 16_000_000, "OriginalSizeMBUpperBoundForMerge": 30_000,
                "MaxExtentsToMerge": 100, "AllowRebuild": true, "AllowMerge": true, "MaxRangeInHours": 24,
                "Lookback": {"Kind": "Default", "CustomPeriod": null},
            }),
            Self::StreamingIngestion => json!({"IsEnabled": false, "HintAllocatedRate": null}),
            Self::IngestionTime => json!({"IsEnabled": true}),
            _ => json!({}),
        }
    }

    /// Checks `given` and completes it to what is stored: over `current` for `.alter-merge`, else over the defaults.
    ///
    /// # Errors
    /// 400 naming field, value and range.
    pub(crate) fn complete(self, given: &Value, current: Option<&Value>) -> EngineResult<Value> {
        let Value::Object(given) = given else {
            return if given.is_array() && self.fields().is_empty() {
                Ok(given.clone())
            } else {
                Err(EngineError::bad_request(format!(
                    "the policy {} is a JSON object, not {given}.",
                    self.word()
                )))
            };
        };
        let mut policy = current.cloned().unwrap_or_else(|| self.defaults());
        let Some(stored) = policy.as_object_mut() else { return Ok(Value::Object(given.clone())) };
        for (key, value) in given {
            let (name, value) = self.field(key, value)?;
            stored.insert(name, value);
        }
        self.validate_whole(stored)?;
        Ok(policy)
    }

    fn field(self, key: &str, value: &Value) -> EngineResult<(String, Value)> {
        if self.fields().is_empty() {
            return Ok((key.to_owned(), value.clone()));
        }
        let known = self.fields().iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        let Some((name, field)) = known else {
            let names: Vec<_> = self.fields().iter().map(|(name, _)| *name).collect();
            return Err(EngineError::bad_request(format!(
                "the policy {} has no field '{key}'; its fields are {}.",
                self.word(),
                names.join(", ")
            )));
        };
        Ok(((*name).to_owned(), field.check(name, value)?))
    }

    fn validate_whole(self, policy: &Map<String, Value>) -> EngineResult<()> {
        if self == Self::AutoDelete && !policy.contains_key("ExpiryDate") {
            return Err(EngineError::bad_request("the policy auto_delete needs an ExpiryDate."));
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Field {
    Any,
    Bool,
    /// Least and most.
    Number(i64, i64),
    /// Least and most, in seconds.
    Span(i64, i64),
    /// One of these words.
    Text(&'static [&'static str]),
}

impl Field {
    fn check(self, name: &str, value: &Value) -> EngineResult<Value> {
        let refuse = |what: String| {
            Err(EngineError::bad_request(format!("the policy's field {name} is {value}; it must be {what}.")))
        };
        match self {
            Self::Any => Ok(value.clone()),
            Self::Bool if value.is_boolean() => Ok(value.clone()),
            Self::Bool => refuse("true or false".into()),
            Self::Number(low, high) => match value.as_i64() {
                Some(n) if (low..=high).contains(&n) => Ok(value.clone()),
                _ if high == i64::MAX => refuse(format!("a whole number of at least {low}")),
                _ => refuse(format!("a whole number from {low} to {high}")),
            },
            Self::Span(low, high) => match value.as_str().and_then(parse_timespan) {
                Some(ticks) if (low..=high).contains(&(ticks / TICKS_PER_SECOND)) => {
                    Ok(Value::String(timespan_text(ticks)))
                }
                _ if high == i64::MAX => refuse("a timespan such as \"1.00:00:00\"".into()),
                _ => refuse(format!("a timespan from {low} to {high} seconds, such as \"00:00:30\"")),
            },
            Self::Text(words) => {
                let word =
                    value.as_str().and_then(|text| words.iter().find(|w| w.eq_ignore_ascii_case(text)));
                word.map_or_else(|| refuse(words.join(" or ")), |word| Ok(Value::String((*word).to_owned())))
            }
        }
    }
}

/// When data management seals a batch of queued blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchingPolicy {
    /// Time since the first blob (10 s to 30 min).
    pub(crate) time_span: Duration,
    /// Number of blobs (1 to 25,000).
    pub(crate) items: u64,
    /// Uncompressed size in MB (100 to 4,096).
    pub(crate) raw_size_mb: u64,
}

impl Default for BatchingPolicy {
    fn default() -> Self {
        Self { time_span: Duration::from_secs(300), items: 500, raw_size_mb: 1024 }
    }
}

impl BatchingPolicy {
    pub(crate) fn from_json(policy: &Value) -> Self {
        let default = Self::default();
        let ticks = policy["MaximumBatchingTimeSpan"].as_str().and_then(parse_timespan);
        Self {
            time_span: ticks
                .and_then(|ticks| u64::try_from(ticks).ok())
                .map_or(default.time_span, |ticks| Duration::from_nanos(ticks.saturating_mul(100))),
            items: policy["MaximumNumberOfItems"].as_u64().unwrap_or(default.items),
            raw_size_mb: policy["MaximumRawDataSizeMB"].as_u64().unwrap_or(default.raw_size_mb),
        }
    }

    fn to_json(self) -> Value {
        let ticks = i64::try_from(self.time_span.as_nanos() / 100).unwrap_or(i64::MAX);
        json!({
            "MaximumBatchingTimeSpan": timespan_text(ticks),
            "MaximumNumberOfItems": self.items,
            "MaximumRawDataSizeMB": self.raw_size_mb,
        })
    }
}

/// A duration that a policy has, in ticks.
pub(crate) fn timespan_ticks(value: &Value) -> Option<i64> {
    value.as_str().and_then(parse_timespan)
}

/// A duration as policies write it.
pub(crate) fn timespan_text(ticks: i64) -> String {
    let mut text = String::new();
    format_timespan(ticks, &mut text);
    text
}
