//! What is written about the code is so.

use timely_kusto_tests::{Place, repository};

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

#[test]
fn the_readme_shows_the_lines_of_the_example_that_embeds_the_sink() {
    let example = std::fs::read_to_string(repository().join("examples/embed.rs")).unwrap();
    let (_, rest) = example.split_once("// README: begin\n").unwrap();
    let (lines, _) = rest.split_once("// README: end").unwrap();
    assert!(lines.lines().count() >= 10);
    let readme = readme();
    let blocks = readme.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    assert!(
        blocks.into_iter().any(|block| block.contains(lines)),
        "no ```rust block of README.md has:\n{lines}"
    );
}

#[test]
fn the_files_that_the_documents_link_to_are_there() {
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "benches/README.md",
        "docs/troubleshooting.md",
        "docs/collections.md",
        "docs/pipelines.md",
        "docs/exactly-once.md",
        "docs/many-hosts.md",
        "docs/metrics.md",
        "docs/assumptions.md",
        "docs/row-hash.md",
    ];
    let mut checked = 0;
    for document in documents.iter().map(|name| repository().join(name)).filter(|path| path.exists()) {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()) {
            let path = link.split('#').next().unwrap();
            if path.is_empty() || link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let target = document.parent().unwrap().join(path);
            assert!(target.exists(), "{} links to {path}, which is not there", document.display());
            checked += 1;
        }
    }
    assert!(checked > 0);
}

#[test]
fn the_readme_links_to_the_table_of_options() {
    assert!(readme().contains("(docs/write-options.md"), "README.md does not link to docs/write-options.md");
}

#[test]
fn the_arguments_in_the_pages_on_running_are_those_of_the_command() {
    let help = Place::new().command(&["run", "--help"]).expect(0).stdout;
    for page in ["docs/many-hosts.md", "docs/pipelines.md", "docs/metrics.md"] {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        // Of commands, and of the manifest's list of arguments.
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| line.contains("timely-kusto run ") || line.starts_with("- --"));
        let words = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_lowercase() && c != '-'));
        let mut checked = 0;
        for option in words.filter(|word| word.starts_with("--")) {
            assert!(
                help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")),
                "{page}: {option}"
            );
            checked += 1;
        }
        assert!(checked > 0, "{page}");
    }
}
