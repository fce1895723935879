//! The text that is served, and its documentation.

use std::time::UNIX_EPOCH;

use super::table::{Metric, Scope};
use super::*;

const DOCUMENT: &str = "../../docs/metrics.md";

fn about() -> About {
    About {
        pipeline: "storms".into(),
        database: "Samples".into(),
        table: "T\"\\".into(),
        mode: "write-ahead",
        process: 0,
        processes: 3,
        workers: 2,
        restarts: 4,
        since: UNIX_EPOCH,
    }
}

fn text(monitor: Monitor) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry(about(), monitor)).unwrap();
    text
}

fn row(metric: &Metric) -> String {
    let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let scope = match metric.scope {
        Scope::Always => "",
        Scope::WriteAhead => "write-ahead",
        Scope::Committer => "write-ahead, process 0",
    };
    format!("| `{}` | {kind} | {} | {} | {scope} |\n", metric.full_name(), labels.join(", "), metric.help)
}

#[test]
fn the_page_lists_every_metric_as_it_is_served() {
    let mut page = include_str!("metrics.head.md").to_owned();
    page.push_str("| name | kind | labels | what | only |\n|---|---|---|---|---|\n");
    METRICS.iter().for_each(|metric| page.push_str(&row(metric)));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(DOCUMENT, &page).unwrap();
    }
    let kept = std::fs::read_to_string(DOCUMENT).unwrap();
    assert_eq!(kept, page, "UPDATE_DOCS=1 cargo test -p timely-kusto-cli metrics writes it anew");
}

#[test]
fn names_are_those_of_the_page_and_labels_are_escaped() {
    let text = text(Monitor::new());
    for metric in METRICS.iter().filter(|metric| metric.scope == Scope::Always && metric.name != "retries") {
        let name = metric.full_name();
        let served = text
            .lines()
            .any(|line| line.starts_with(&format!("{name} ")) || line.starts_with(&format!("{name}{{")));
        assert!(served, "{name} is missing in:\n{text}");
    }
    assert!(text.contains(r#"table="T\"\\""#), "{text}");
    assert!(text.contains("\ntimely_kusto_restarts 4.0\n") && text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn names_are_told_apart() {
    let mut names: Vec<_> = METRICS.iter().map(Metric::full_name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), METRICS.len());
}

#[test]
fn an_address_is_a_port_on_loopback_or_says_which_address() {
    for (text, address) in [("9100", "127.0.0.1:9100"), (":0", "127.0.0.1:0"), ("[::1]:1", "[::1]:1")] {
        let parsed: Address = text.parse().unwrap();
        assert!(format!("{parsed:?}").contains(address), "{text}: {parsed:?}");
    }
    for text in ["", "x", "localhost:1", "1.2.3.4", "70000", "http://127.0.0.1:1"] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}
