//! The list of all options: the one place that names, kinds, defaults, ranges and reasons are written down.

use super::Values;
use super::text::{parse_bytes, parse_count, parse_duration};

/// What is to be known about an option.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OptionInfo {
    /// Its name in a configuration file.
    pub name: &'static str,
    /// What kind of value it has, with the unit.
    pub kind: &'static str,
    /// The value it has when it is not set, as text that [`set`](super::WriteOptionsBuilder::set) reads; empty for
    /// "not set", "required" where there is none.
    pub default: &'static str,
    /// The values that can work.
    pub range: &'static str,
    /// What it does and why its default is what it is.
    pub reason: &'static str,
    /// What the Flink connector calls it; empty where it has none.
    pub flink_name: &'static str,
    /// Reads the option from text into the values.
    pub(super) parse: fn(&mut Values, &str) -> Result<(), String>,
}

/// Shorthand for a row of [`OPTIONS`].
macro_rules! option {
    ($name:literal, $kind:literal, $default:literal, $range:literal, $flink:literal, $reason:literal,
     |$values:ident, $text:ident| $parse:expr) => {
        OptionInfo {
            name: $name,
            kind: $kind,
            default: $default,
            range: $range,
            reason: $reason,
            flink_name: $flink,
            parse: |$values, $text| {
                $parse;
                Ok(())
            },
        }
    };
}

/// Every write option, in the order of the documentation.
pub const OPTIONS: &[OptionInfo] = &[
    option!(
        "database",
        "name",
        "required",
        "1 to 1024 letters, digits, `_`, `-`, `.`, blanks; no `__` at either end",
        "database",
        "The database that holds the table.",
        |values, text| values.database = text.to_owned()
    ),
    option!(
        "table",
        "name",
        "required",
        "as database; none of the tables of the write-ahead mode (`kt_epochs`, `kt_stage_...`, `kt_anchor_...`)",
        "table",
        "The table that rows go to.",
        |values, text| values.table = text.to_owned()
    ),
    option!(
        "format",
        "choice",
        "csv",
        "csv, json",
        "",
        "How rows are written. CSV is smaller and faster; JSON takes maps and rows whose fields vary, and is queued as `multijson`, because the service drops malformed records of its format `json` silently.",
        |values, text| values.format = text.parse()?
    ),
    option!(
        "ingestion_mapping_ref",
        "name",
        "",
        "a name without control characters",
        "ingestionMappingRef",
        "An ingestion mapping that the table has. Not set, a struct's field names are sent as the mapping, so that the order of columns does not matter.",
        |values, text| values.ingestion_mapping_ref = Some(text.to_owned())
    ),
    option!(
        "flush_immediately",
        "bool",
        "false",
        "true, false",
        "flushImmediately",
        "The service seals its batch at each blob. Rows are there earlier and extents are smaller, which costs the cluster; a batching policy on the table is the better way.",
        |values, text| values.flush_immediately = parse_bool(text)?
    ),
    option!(
        "additional_tags",
        "list of strings",
        "[]",
        "non-empty, no control characters, no `ingest-by:` or `drop-by:` prefix",
        "additionalTags",
        "Tags that every extent gets as they stand.",
        |values, text| values.additional_tags = parse_list(text)?
    ),
    option!(
        "ingest_by_tags",
        "list of strings",
        "[]",
        "non-empty, no control characters, without the prefix `ingest-by:`",
        "ingestByTags",
        "Values of `ingest-by:` tags. The service ingests each such blob by itself, which costs the cluster.",
        |values, text| values.ingest_by_tags = parse_list(text)?
    ),
    option!(
        "drop_by_tags",
        "list of strings",
        "[]",
        "non-empty, no control characters, without the prefix `drop-by:`",
        "",
        "Values of `drop-by:` tags, by which what was written can be dropped.",
        |values, text| values.drop_by_tags = parse_list(text)?
    ),
    option!(
        "ingest_if_not_exists",
        "list of strings",
        "[]",
        "non-empty, no control characters, without the prefix `ingest-by:`",
        "ingestIfNotExists",
        "A blob is skipped when the table has an extent with one of these `ingest-by:` values. A value that is also in `ingest_by_tags` skips every blob after the first. Skipped rows are counted apart; with a `delivery` other than `ingested` nobody looks, so they are not.",
        |values, text| values.ingest_if_not_exists = parse_list(text)?
    ),
    option!(
        "creation_time",
        "datetime (ISO 8601, UTC)",
        "",
        "0001-01-01T00:00:00Z to 9999-12-31T23:59:59.9999999Z",
        "creationTime",
        "The creation time that extents get, which retention and caching go by. Not set, it is the time of ingestion.",
        |values, text| values.creation_time = Some(text.parse().map_err(|error| format!("{error}"))?)
    ),
    option!(
        "retain_blob_on_success",
        "bool",
        "false",
        "true, false",
        "",
        "Whether the service keeps a blob after it was ingested. Not kept, a message that the service gets twice finds no blob the second time, instead of repeating rows; the official clients (Go excepted) keep it.",
        |values, text| values.retain_blob_on_success = parse_bool(text)?
    ),
    option!(
        "batch_rows",
        "rows",
        "off",
        "off, or at least 1",
        "batchSize (1,000)",
        "The most rows in a blob. Off, because 1,000 rows are some hundred kilobytes, and the service wants blobs of many megabytes.",
        |values, text| values.batch_rows = if text == "off" { None } else { Some(parse_count(text)?) }
    ),
    option!(
        "batch_interval",
        "duration",
        "30s",
        "1ms to 1d",
        "batchIntervalMs (30,000)",
        "The longest time that a row waits for its blob to be closed, also when no further row arrives.",
        |values, text| values.batch_interval = parse_duration(text)?
    ),
    option!(
        "batch_bytes",
        "bytes",
        "16MiB",
        "1KiB to 1GiB",
        "clientBatchSizeLimit (300 MB)",
        "The most bytes of rows in a blob, before compression. A blob is compressed as a whole and stays in memory until it is uploaded: blobs of 16 MiB (5 MiB compressed) keep the whole process under 256 MB and its rate where requests take 200 ms; four times as much does neither. The service puts blobs together by itself. A record larger than this gets a blob of its own.",
        |values, text| values.batch_bytes = parse_size(text)?
    ),
    option!(
        "delivery",
        "choice",
        "ingested",
        "none, queued, ingested",
        "deliveryGuarantee, pollForIngestionStatus",
        "When a row counts as delivered: `none` when its blob was handed over, whatever comes of it; `queued` when the service has the message; `ingested` when the status table says so. Exactly once is the write-ahead mode.",
        |values, text| values.delivery = text.parse()?
    ),
    option!(
        "poll_interval",
        "duration",
        "2s",
        "10ms to 1h",
        "",
        "The pause between two looks at the status of a blob: one small request per blob that is under way.",
        |values, text| values.poll_interval = parse_duration(text)?
    ),
    option!(
        "poll_timeout",
        "duration",
        "15min",
        "at least poll_interval, at most 7d",
        "",
        "The longest time from queueing a blob to a final status. The service collects blobs for 5 minutes unless the table's batching policy says otherwise, and then has the ingestion and its own retries to do: three times that leaves room for a busy cluster. The service keeps a message for 7 days at most.",
        |values, text| values.poll_timeout = parse_duration(text)?
    ),
    option!(
        "retry_attempts",
        "count",
        "30",
        "1 to 1000",
        "maxAttempts (3)",
        "Attempts of an operation that fails in a way that may pass, the first included. 1 repeats nothing.",
        |values, text| values.retry.attempts =
            u32::try_from(parse_count(text)?).map_err(|error| error.to_string())?
    ),
    option!(
        "retry_backoff",
        "duration",
        "500ms",
        "1ms to retry_max_backoff",
        "baseIntervalMillis (1,000)",
        "Upper end of the first pause between attempts; each pause is up to twice the one before, with chance in it so that many workers do not come back at once.",
        |values, text| values.retry.backoff.initial = parse_duration(text)?
    ),
    option!(
        "retry_max_backoff",
        "duration",
        "30s",
        "retry_backoff to 1h",
        "maxIntervalMillis",
        "Upper end of every pause, unless the service asks for a longer one.",
        |values, text| values.retry.backoff.max = parse_duration(text)?
    ),
    option!(
        "retry_timeout",
        "duration",
        "10min",
        "1ms to 1d",
        "",
        "No attempt begins later than this after the first one. 10 minutes outlast a restart of a cluster's node; a longer outage stops the sink with its error, and a restart goes on from there.",
        |values, text| values.retry.total = parse_duration(text)?
    ),
    option!(
        "compression_level",
        "level",
        "1",
        "1 to 12",
        "",
        "The gzip level. Compression costs most of the sink's time; level 6 makes storm-event rows a tenth smaller for three times the time.",
        |values, text| values.compression_level =
            i32::try_from(parse_count(text)?).map_err(|error| error.to_string())?
    ),
    option!(
        "memory",
        "bytes",
        "64MiB",
        "at least 1MiB",
        "",
        "Bytes that a sink may hold in one process: rows being batched and chunks on their way. Four chunks of 16 MiB: one that grows, two that are compressed, and several compressed ones that are uploaded; with what compression writes into and the process itself that stays below 256 MB. With more workers chunks get smaller: memory / (2 x workers of the process).",
        |values, text| values.memory = parse_size(text)?
    ),
    option!(
        "uploads",
        "count",
        "8",
        "1 to 256",
        "",
        "Uploads at a time in one process: enough that slow requests do not slow the stream.",
        |values, text| values.uploads = parse_number(text)?
    ),
    option!(
        "compressors",
        "count",
        "auto",
        "auto, or 1 to 256",
        "",
        "Compressions at a time in one process. `auto`: as many as the machine runs in parallel.",
        |values, text| values.compressors = if text == "auto" { None } else { Some(parse_number(text)?) }
    ),
];

fn parse_bool(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?} is neither true nor false"))
}

fn parse_list(text: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|error| format!("a list is a JSON array of strings: {error}"))
}

fn parse_size(text: &str) -> Result<usize, String> {
    usize::try_from(parse_bytes(text)?).map_err(|error| error.to_string())
}

fn parse_number(text: &str) -> Result<usize, String> {
    usize::try_from(parse_count(text)?).map_err(|error| error.to_string())
}
