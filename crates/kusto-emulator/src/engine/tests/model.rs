//! Random commands against the simplest thing that could be right: a map from names to tags and values. The engine is
//! restarted in between. On failure the seed is printed; `ENGINE_MODEL_SEED=<n>` replays it.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

const NAMES: [&str; 4] = ["A", "B", "C", "D"];
const STEPS: usize = 200;

/// Extents as tag and values.
type Model = BTreeMap<String, Vec<(String, Vec<i64>)>>;

struct Run {
    cluster: Option<Cluster>,
    directory: tempfile::TempDir,
    model: Model,
    rng: StdRng,
    next: i64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cluster = Some(Cluster::open(Some(directory.path()), Access::Open).unwrap());
        Self { cluster, directory, model: Model::new(), rng: StdRng::seed_from_u64(seed), next: 0 }
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.rng.random_range(0..NAMES.len())]
    }

    /// Runs a command and checks that it succeeds exactly when the model says so.
    fn run(&mut self, command: &str, should: bool) {
        let outcome = self.cluster.as_ref().unwrap().try_run(command);
        assert_eq!(outcome.is_ok(), should, "{command}: {outcome:?}");
    }

    fn step(&mut self) {
        let (a, b) = (self.name(), self.name());
        let has = |model: &Model, name: &str| model.contains_key(name);
        match self.rng.random_range(0..13) {
            0 | 1 => {
                self.run(&format!(".create table {a} (n:long)"), true);
                self.model.entry(a.into()).or_default();
            }
            2 => {
                self.run(&format!(".drop table {a}"), has(&self.model, a));
                self.model.remove(a);
            }
            3 => {
                let possible = has(&self.model, a) && (a == b || !has(&self.model, b));
                self.run(&format!(".rename table {a} to {b}"), possible);
                self.rename(possible, &[(a, b)]);
            }
            4 => {
                let possible = a != b && has(&self.model, a) && has(&self.model, b);
                self.run(&format!(".rename tables {a}={b}, {b}={a}"), possible);
                self.rename(possible, &[(a, b), (b, a)]);
            }
            5 | 6 => self.ingest(a),
            7 => {
                let possible = a != b && has(&self.model, a) && has(&self.model, b);
                self.run(&format!(".move extents all from table {a} to table {b}"), possible);
                if possible {
                    let moved = std::mem::take(self.model.get_mut(a).unwrap());
                    self.model.get_mut(b).unwrap().extend(moved);
                }
            }
            8 => self.drop_by_tag(a),
            9 => self.merge(a),
            10 => self.retag(a),
            11 => self.replace(a, b),
            _ => self.restart(),
        }
    }

    fn rename(&mut self, possible: bool, pairs: &[(&str, &str)]) {
        if possible {
            let taken: Vec<_> =
                pairs.iter().map(|(old, new)| (self.model.remove(*old).unwrap(), *new)).collect();
            self.model.extend(taken.into_iter().map(|(extents, new)| (new.to_owned(), extents)));
        }
    }

    fn ingest(&mut self, name: &str) {
        let count = self.rng.random_range(1..4);
        let values: Vec<i64> = (self.next..self.next + count).collect();
        self.next += count;
        let tag = format!("drop-by:{}", self.rng.random_range(0..3));
        let rows: String = values.iter().map(|value| format!("{value}\n")).collect();
        let command = format!(".ingest inline into table {name} with (tags='[\"{tag}\"]') <|\n{rows}");
        self.run(&command, self.model.contains_key(name));
        if let Some(extents) = self.model.get_mut(name) {
            extents.push((tag, values));
        }
    }

    fn drop_by_tag(&mut self, name: &str) {
        let tag = format!("drop-by:{}", self.rng.random_range(0..3));
        let command = format!(".drop extents <| .show table {name} extents where tags has '{tag}'");
        self.run(&command, self.model.contains_key(name));
        if let Some(extents) = self.model.get_mut(name) {
            extents.retain(|(own, _)| *own != tag);
        }
    }

    /// Extents of one tag become one.
    fn merge(&mut self, name: &str) {
        self.cluster.as_ref().unwrap().engine.merge(Some("db"), Some(name)).unwrap();
        if let Some(extents) = self.model.get_mut(name) {
            let mut merged: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for (tag, values) in extents.drain(..) {
                merged.entry(tag).or_default().extend(values);
            }
            extents.extend(merged);
        }
    }

    fn retag(&mut self, name: &str) {
        let tag = format!("drop-by:{}", self.rng.random_range(0..3));
        let command = format!(
            ".alter table {name} extent tags ('drop-by:9') <| .show table {name} extents where tags has '{tag}'"
        );
        self.run(&command, self.model.contains_key(name));
        for (own, _) in self.model.get_mut(name).into_iter().flatten() {
            if *own == tag {
                "drop-by:9".clone_into(own);
            }
        }
    }

    /// What `to` has under a tag makes room for what `from` has under it.
    fn replace(&mut self, from: &str, to: &str) {
        let tag = format!("drop-by:{}", self.rng.random_range(0..3));
        let of = |name: &str| format!("{{ .show table {name} extents where tags has '{tag}' }}");
        let command = format!(".replace extents in table {to} <| {}, {}", of(to), of(from));
        let there = |name: &str| self.model.contains_key(name);
        // A table that is its own source refuses, unless there is nothing to move.
        let moves = self.model.get(from).is_some_and(|extents| extents.iter().any(|(own, _)| *own == tag));
        let possible = there(from) && there(to) && (from != to || !moves);
        self.run(&command, possible);
        if possible && from != to {
            let source = self.model.get_mut(from).unwrap();
            let moved: Vec<_> = source.extract_if(.., |(own, _)| *own == tag).collect();
            let target = self.model.get_mut(to).unwrap();
            target.retain(|(own, _)| *own != tag);
            target.extend(moved);
        }
    }

    fn restart(&mut self) {
        drop(self.cluster.take());
        self.cluster = Some(Cluster::open(Some(self.directory.path()), Access::Open).unwrap());
    }

    fn check(&self) {
        let cluster = self.cluster.as_ref().unwrap();
        assert_eq!(cluster.tables(), self.model.keys().cloned().collect::<Vec<_>>());
        for (name, extents) in &self.model {
            let sorted = |mut list: Vec<String>| {
                list.sort_unstable();
                list
            };
            let expected =
                extents.iter().flat_map(|(_, values)| values).map(|n| json!([n]).to_string()).collect();
            let content = cluster.content(name);
            let content = content.as_array().unwrap().iter().map(Json::to_string).collect();
            assert_eq!(sorted(content), sorted(expected), "table {name}");
            let tags = extents.iter().map(|(tag, _)| json!(tag).to_string()).collect();
            let shown = column(&cluster.run(&format!(".show table {name} extents")), "Tags");
            assert_eq!(sorted(shown.iter().map(Json::to_string).collect()), sorted(tags), "table {name}");
        }
    }
}

#[test]
fn random_commands_and_restarts_leave_the_state_that_a_simple_model_predicts() {
    let fixed = std::env::var("ENGINE_MODEL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = fixed.unwrap_or_else(rand::random);
    println!("ENGINE_MODEL_SEED={seed}");
    let mut run = Run::new(seed);
    for step in 0..STEPS {
        println!("step {step}");
        run.step();
        run.check();
    }
}
