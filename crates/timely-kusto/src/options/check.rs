//! What cannot work, and what is unwise.

use std::time::Duration;

use super::{Delivery, OPTIONS, OptionError, Values, format_bytes, format_duration};

const DAY: Duration = Duration::from_secs(86_400);

/// The service's batching time unless a policy says otherwise
/// (`MicrosoftDocs/dataexplorer-docs data-explorer/kusto/management/batching-policy.md`).
const DEFAULT_BATCHING: Duration = Duration::from_secs(300);

type Checked = Result<(), OptionError>;

/// Refuses the first option that cannot work.
pub(super) fn check(values: &Values) -> Checked {
    names(values)?;
    tags(values)?;
    batching(values)?;
    waiting(values)?;
    resources(values)
}

/// An error of the option `name`, with the range of its row in the list of options.
fn refuse(name: &str, value: impl Into<String>, reason: impl Into<String>) -> Checked {
    let range = OPTIONS.iter().find(|info| info.name == name).map_or("", |info| info.range);
    Err(OptionError::new(name, value, range, reason))
}

fn names(values: &Values) -> Checked {
    entity_name("database", &values.database)?;
    entity_name("table", &values.table)?;
    let own = ["kt_stage_", "kt_anchor_"].iter().any(|prefix| values.table.starts_with(prefix));
    if own || values.table == "kt_epochs" {
        return refuse(
            "table",
            quoted(&values.table),
            "the write-ahead mode keeps its state in tables of this name",
        );
    }
    match &values.ingestion_mapping_ref {
        Some(name) => plain_text("ingestion_mapping_ref", name),
        None => Ok(()),
    }
}

/// The rules for identifiers: `data-explorer/kusto/query/schema-entities/entity-names.md`.
fn entity_name(option: &str, name: &str) -> Checked {
    if name.is_empty() {
        return refuse(option, "\"\"", "it is required");
    }
    if name.chars().count() > 1024 {
        return refuse(option, format!("{} characters", name.chars().count()), "the name is too long");
    }
    if let Some(c) = name.chars().find(|c| !c.is_alphanumeric() && !"_-. ".contains(*c)) {
        return refuse(option, quoted(name), format!("the name contains {c:?}"));
    }
    if name.starts_with("__") || name.ends_with("__") {
        return refuse(option, quoted(name), "the service reserves names with two underscores at an end");
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn plain_text(option: &str, text: &str) -> Checked {
    if text.is_empty() {
        return refuse(option, "\"\"", "it is empty");
    }
    if text.contains(char::is_control) {
        return refuse(option, quoted(text), "it contains a control character");
    }
    Ok(())
}

fn tags(values: &Values) -> Checked {
    for tag in &values.additional_tags {
        plain_text("additional_tags", tag)?;
        for (prefix, option) in [("ingest-by:", "ingest_by_tags"), ("drop-by:", "drop_by_tags")] {
            if tag.starts_with(prefix) {
                return refuse(
                    "additional_tags",
                    quoted(tag),
                    format!("put it into {option}, without {prefix}"),
                );
            }
        }
    }
    let lists = [
        ("ingest_by_tags", &values.ingest_by_tags, "ingest-by:"),
        ("drop_by_tags", &values.drop_by_tags, "drop-by:"),
        ("ingest_if_not_exists", &values.ingest_if_not_exists, "ingest-by:"),
    ];
    for (option, list, prefix) in lists {
        for tag in list {
            plain_text(option, tag)?;
            if tag.starts_with(prefix) {
                return refuse(option, quoted(tag), format!("the prefix {prefix} is added by the sink"));
            }
        }
    }
    Ok(())
}

fn batching(values: &Values) -> Checked {
    if values.batch_rows == Some(0) {
        return refuse("batch_rows", "0", "a blob without rows is refused by the service");
    }
    if !(1 << 10..=1 << 30).contains(&values.batch_bytes) {
        let value = format_bytes(values.batch_bytes as u64);
        return refuse(
            "batch_bytes",
            value,
            "the service takes 1 GB in one batch, and a blob is held in memory",
        );
    }
    duration_within("batch_interval", values.batch_interval, Duration::from_millis(1), DAY)
}

fn duration_within(option: &str, value: Duration, least: Duration, most: Duration) -> Checked {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let side = if value < least { "short" } else { "long" };
    refuse(option, format_duration(value), format!("it is too {side}"))
}

fn waiting(values: &Values) -> Checked {
    let millisecond = Duration::from_millis(1);
    let hour = Duration::from_secs(3600);
    duration_within("poll_interval", values.poll_interval, 10 * millisecond, hour)?;
    duration_within("poll_timeout", values.poll_timeout, values.poll_interval, 7 * DAY)?;
    let retry = values.retry;
    if !(1..=1000).contains(&retry.attempts) {
        return refuse(
            "retry_attempts",
            retry.attempts.to_string(),
            "the first attempt counts, and tries must end",
        );
    }
    duration_within("retry_max_backoff", retry.backoff.max, millisecond, hour)?;
    duration_within("retry_backoff", retry.backoff.initial, millisecond, retry.backoff.max)?;
    duration_within("retry_timeout", retry.total, millisecond, DAY)
}

fn resources(values: &Values) -> Checked {
    if !(1..=12).contains(&values.compression_level) {
        let value = values.compression_level.to_string();
        return refuse("compression_level", value, "gzip as libdeflate writes it has these levels");
    }
    if values.memory < 1 << 20 {
        let value = format_bytes(values.memory as u64);
        return refuse("memory", value, "every worker needs room for two chunks of a useful size");
    }
    for (option, value) in [("uploads", Some(values.uploads)), ("compressors", values.compressors)] {
        if let Some(value) = value
            && !(1..=256).contains(&value)
        {
            return refuse(option, value.to_string(), "none would never finish, more than 256 only queue up");
        }
    }
    Ok(())
}

/// What works but is unwise.
pub(super) fn warnings(values: &Values) -> Vec<String> {
    let polls = values.delivery == Delivery::Ingested;
    let skips_itself = values.ingest_if_not_exists.iter().any(|tag| values.ingest_by_tags.contains(tag));
    let list = [
        (
            skips_itself,
            "ingest_if_not_exists has a value of ingest_by_tags: the service skips every blob after the first one",
        ),
        (
            !values.ingest_if_not_exists.is_empty() && !polls,
            "ingest_if_not_exists with a delivery other than ingested: skipped rows are not noticed",
        ),
        (
            polls && !values.flush_immediately && values.poll_timeout <= DEFAULT_BATCHING,
            "poll_timeout is not above 5 minutes, the time that the service batches for unless the table's batching \
             policy says otherwise: blobs can time out that are only waiting",
        ),
        (
            values.flush_immediately && values.batch_interval < Duration::from_secs(10),
            "flush_immediately with a batch_interval below 10 seconds: many small extents slow the cluster",
        ),
        (
            values.delivery == Delivery::None,
            "delivery is none: rows that fail to arrive are counted and logged, not sent again",
        ),
    ];
    list.into_iter().filter(|(applies, _)| *applies).map(|(_, sentence)| sentence.to_owned()).collect()
}
