//! Random commands by two callers, with restarts in between, against the simplest thing that could be right
//! (`state.rs`): each answer and, after each step, the whole state must be equal.
//!
//! A run prints its seed; `KT_SEED=<n>` replays it, `KT_LONG=<factor>` makes that many times the steps.

mod state;

use super::*;
use crate::data::Value;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use state::{App, Caller, Model, NAMES, TAGS};
use std::collections::BTreeMap;

const STEPS: usize = 250;

/// The seed of this run, and how many steps it has.
fn settings() -> (u64, usize) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("KT_SEED").unwrap_or_else(rand::random);
    println!("KT_SEED={seed}");
    (seed, STEPS * usize::try_from(number("KT_LONG").unwrap_or(1)).unwrap())
}

struct Run {
    cluster: Option<Cluster>,
    directory: tempfile::TempDir,
    model: Model,
    rng: StdRng,
    next: i64,
    /// What was asked and answered.
    trace: Vec<String>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cluster = Some(Cluster::open(Some(directory.path()), Access::ByRole).unwrap());
        let (model, rng) = (Model::default(), StdRng::seed_from_u64(seed));
        Self { cluster, directory, model, rng, next: 0, trace: Vec::new() }
    }

    fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().unwrap()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.random_range(0..all.len())]
    }

    /// Runs a command; `expected` is the number of rows of its answer, or none if it must be refused.
    fn run(&mut self, caller: Caller, command: &str, expected: Option<usize>) {
        let principal = match caller {
            Caller::Admin => admin(),
            Caller::App => app(),
        };
        let outcome = self.cluster().try_as(&principal, command);
        self.trace.push(format!("{caller:?} {command}: {outcome:?}"));
        match (outcome, expected) {
            (Ok(table), Some(rows)) => assert_eq!(table.rows, rows, "{command}: {}", json_rows(&table)),
            (Err(error), None) => assert!((400..500).contains(&error.status), "{command}: {error}"),
            (outcome, _) => panic!("{caller:?} {command}: {expected:?} rows expected, {outcome:?} found"),
        }
    }

    fn step(&mut self) {
        let caller = self.one_of(&[Caller::Admin, Caller::Admin, Caller::App]);
        let (a, b) = (self.one_of(&NAMES), self.one_of(&NAMES));
        let tag = self.one_of(&TAGS);
        match self.rng.random_range(0..24) {
            0 | 1 => {
                let expected = self.model.create(caller, a);
                self.run(caller, &format!(".create table {a} (n:long)"), expected);
            }
            2 => {
                let expected = self.model.drop(caller, a);
                self.run(caller, &format!(".drop table {a}"), expected);
            }
            3 => {
                let expected = self.model.rename(caller, &[(a, b)]);
                self.run(caller, &format!(".rename table {a} to {b}"), expected);
            }
            4 => {
                let expected = self.model.rename(caller, &[(a, b), (b, a)]);
                self.run(caller, &format!(".rename tables {b}={a}, {a}={b}"), expected);
            }
            5..=8 => self.ingest(caller, a, tag),
            9 => self.ingest_blobs(caller, a, tag),
            10 => {
                let expected = self.model.move_where(caller, a, b, |_| true);
                self.run(caller, &format!(".move extents all from table {a} to table {b}"), expected);
            }
            11 => {
                let expected = self.model.move_tagged(caller, a, b, tag);
                let query = format!(".show table {a} extents where tags has '{tag}'");
                self.run(caller, &format!(".move extents to table {b} <| {query}"), expected);
            }
            12 => self.move_one(caller, a, b),
            13 => {
                let expected = self.model.replace(caller, a, b, tag);
                let of = |name: &str| format!("{{ .show table {name} extents where tags has '{tag}' }}");
                self.run(caller, &format!(".replace extents in table {b} <| {}, {}", of(b), of(a)), expected);
            }
            14 => {
                let expected = self.model.drop_extents(caller, a, tag);
                let query = format!(".show table {a} extents where tags has '{tag}'");
                self.run(caller, &format!(".drop extents <| {query}"), expected);
            }
            15 => self.retag(caller, a, tag),
            16 => {
                let expected = self.model.clear(caller, a);
                self.run(caller, &format!(".clear table {a} data"), expected);
            }
            17 => {
                self.cluster().engine.merge(Some("db"), Some(a)).unwrap();
                self.model.merge(a);
            }
            18 => self.policy(caller, a),
            19 => self.role_on_table(caller, a),
            20 | 21 => self.role_on_database(),
            22 => {
                let expected = self.model.show_policy(caller, a);
                self.run(caller, &format!(".show table {a} policy ingestionbatching"), expected);
            }
            _ => self.restart(),
        }
    }

    fn values(&mut self) -> Vec<i64> {
        let count = self.rng.random_range(1..4);
        self.next += count;
        (self.next - count..self.next).collect()
    }

    /// Inline, now and then with a tag that keeps a second ingestion out.
    fn ingest(&mut self, caller: Caller, name: &str, tag: &str) {
        let values = self.values();
        let rows: String = values.iter().map(|value| format!("{value}\n")).collect();
        let once = self.rng.random_bool(0.3);
        let (tag, guard) = match once {
            true => ("ingest-by:once", ", ingestIfNotExists='[\"once\"]'"),
            false => (tag, ""),
        };
        let expected = self.model.ingest(caller, name, tag, &values, once);
        let command = format!(".ingest inline into table {name} with (tags='[\"{tag}\"]'{guard}) <|\n{rows}");
        self.run(caller, &command, expected);
    }

    /// As data management does it, two blobs at once.
    fn ingest_blobs(&mut self, caller: Caller, name: &str, tag: &str) {
        let values = self.values();
        let half = values.len() / 2;
        let urls = ["http://h/c/0.csv", "http://h/c/1.csv"];
        for (url, part) in urls.iter().zip([&values[..half], &values[half..]]) {
            let text: String = part.iter().map(|value| format!("{value}\n")).collect();
            self.cluster().put(url, text);
        }
        let urls = if half == 0 { &urls[1..] } else { &urls[..] };
        let principal = if caller == Caller::Admin { admin() } else { app() };
        let expected = self.model.ingest(caller, name, tag, &values, false);
        let outcome = self.cluster().ingest_as(&principal, name, &json!({"tags": [tag]}), urls);
        self.trace.push(format!("{caller:?} {name}: {outcome:?}"));
        assert_eq!(outcome.map(|outcome| outcome.extents.len()).ok(), expected, "into {name}");
    }

    /// By its id; which of several is chance.
    fn move_one(&mut self, caller: Caller, from: &str, to: &str) {
        let ids =
            if self.model.tables.contains_key(from) { self.cluster().extents(from) } else { Vec::new() };
        let Some(id) = ids.get(self.rng.random_range(0..4)) else { return };
        let values = self.cluster().rows_of(from, *id);
        let expected = self.model.move_where(caller, from, to, |extent| extent.rows == values);
        self.run(caller, &format!(".move extents from table {from} to table {to} ({id})"), expected);
    }

    fn retag(&mut self, caller: Caller, name: &str, tag: &str) {
        let other = self.one_of(&TAGS);
        match self.rng.random_range(0..3) {
            0 => {
                let expected = self.model.retag(caller, name, tag, |_| [other.to_owned()].into());
                let query = format!(".show table {name} extents where tags has '{tag}'");
                self.run(
                    caller,
                    &format!(".alter table {name} extent tags ('{other}') <| {query}"),
                    expected,
                );
            }
            1 => {
                let add = |tags: &state::Tags| tags.iter().cloned().chain([other.to_owned()]).collect();
                let expected = self.model.retag(caller, name, tag, add);
                let query = format!(".show table {name} extents where tags has '{tag}'");
                let command = format!(".alter-merge table {name} extent tags ('{other}') <| {query}");
                self.run(caller, &command, expected);
            }
            _ => {
                let without = |tags: &state::Tags| tags.iter().filter(|own| *own != tag).cloned().collect();
                let expected = self.model.retag(caller, name, tag, without);
                self.run(caller, &format!(".drop table {name} extent tags ('{tag}')"), expected);
            }
        }
    }

    fn policy(&mut self, caller: Caller, name: &str) {
        let items = self.rng.random_range(1..9);
        let policy = format!("policy ingestionbatching '{{\"MaximumNumberOfItems\":{items}}}'");
        match self.rng.random_range(0..4) {
            0 => {
                let expected = self.model.set_policy(caller, name, None);
                self.run(caller, &format!(".delete table {name} policy ingestionbatching"), expected);
            }
            1 => {
                let expected = self.model.set_database_policy(caller, items);
                self.run(caller, &format!(".alter database db {policy}"), expected);
            }
            2 => {
                let expected = self.model.set_policy(caller, name, Some(items));
                self.run(caller, &format!(".alter-merge table {name} {policy}"), expected);
            }
            _ => {
                let expected = self.model.set_policy(caller, name, Some(items));
                self.run(caller, &format!(".alter table {name} {policy}"), expected);
            }
        }
    }

    fn role_on_table(&mut self, caller: Caller, name: &str) {
        let role = self.one_of(&["admins", "ingestors"]);
        let (verb, on) = self.one_of(&[("add", true), ("drop", false)]);
        let expected = self.model.table_role(caller, name, role, on);
        self.run(caller, &format!(".{verb} table {name} {role} ('{}')", app()), expected);
    }

    fn role_on_database(&mut self) {
        let role = self.one_of(&[App::Nobody, App::User, App::Viewer, App::Ingestor]);
        for (word, app_role) in [("users", App::User), ("viewers", App::Viewer), ("ingestors", App::Ingestor)]
        {
            let who = if role == app_role { format!("('{}')", app()) } else { "none".to_owned() };
            let command = format!(".set database db {word} {who} skip-results");
            self.run(Caller::Admin, &command, Some(0));
        }
        self.model.app = role;
    }

    fn restart(&mut self) {
        drop(self.cluster.take());
        self.cluster = Some(Cluster::open(Some(self.directory.path()), Access::ByRole).unwrap());
        self.trace.push("restart".to_owned());
    }

    /// The whole state is the model's.
    fn check(&self) {
        let cluster = self.cluster();
        assert_eq!(cluster.tables(), self.model.tables.keys().cloned().collect::<Vec<_>>());
        for (name, table) in &self.model.tables {
            let mut expected: Vec<_> =
                table.extents.iter().map(|e| (e.rows.clone(), e.tags.clone())).collect();
            let ids = cluster.extents(name).into_iter();
            let mut found: Vec<_> =
                ids.map(|id| (cluster.rows_of(name, id), cluster.tags_of(name, id))).collect();
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "extents of {name}");
            let items = cluster.engine.batching_policy("db", name).map(|policy| policy.items);
            assert_eq!(items, table.items.or(self.model.items), "policy of {name}");
            let principals =
                cluster.run(&format!(".show table {name} principals | project Role, PrincipalObjectId"));
            let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for row in json_rows(&principals).as_array().unwrap() {
                let text = |at: usize| row[at].as_str().unwrap().to_owned();
                roles.entry(text(1)).or_default().push(text(0).rsplit(' ').next().unwrap().to_owned());
            }
            let own = roles.remove("app").map(|roles| roles.into_iter().collect()).unwrap_or_default();
            assert_eq!(table.app_roles, own, "roles on {name}");
        }
    }
}

fn app() -> Principal {
    Principal::application("app", "contoso.com")
}

impl Cluster {
    /// The values of an extent's first column.
    fn rows_of(&self, table: &str, id: Uuid) -> Vec<i64> {
        let state = self.engine.snapshot();
        let extent = state.database("db").unwrap().table(table).unwrap().extent(id).cloned().unwrap();
        let column = &self.engine.extents.columns(&extent).unwrap()[0];
        let value = |row: usize| match column.value(row) {
            Value::Long(value) => value,
            other => panic!("{other:?}"),
        };
        let mut rows: Vec<i64> = (0..column.len()).map(value).collect();
        rows.sort_unstable();
        rows
    }

    fn tags_of(&self, table: &str, id: Uuid) -> state::Tags {
        let shown = self.run(&format!(".show table {table} extents ({id}) | project Tags"));
        let tags = json_rows(&shown)[0][0].as_str().unwrap().to_owned();
        tags.split("\r\n").filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
    }
}

fn trace(seed: u64, steps: usize) -> Vec<String> {
    let mut run = Run::new(seed);
    for step in 0..steps {
        println!("step {step}");
        run.step();
        run.check();
    }
    run.trace
}

#[test]
fn random_commands_of_two_callers_and_restarts_have_the_answers_and_the_state_of_a_simple_model() {
    let (seed, steps) = settings();
    trace(seed, steps);
}

#[test]
fn two_runs_with_equal_seeds_clocks_and_commands_have_equal_answers_ids_included() {
    let (seed, _) = settings();
    assert_eq!(trace(seed, 60), trace(seed, 60));
}
