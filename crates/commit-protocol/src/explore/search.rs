//! Breadth first, so that the first violation has a shortest trace.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::BuildHasherDefault;
use std::time::Instant;

use super::config::Config;
use super::probe::Fresh;
use super::step::Step;
use super::world::{End, Mix, Todo, World, hash_of};

type Seen = HashSet<u64, BuildHasherDefault<Mix>>;

/// What a search came to.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: &'static str,
    pub(super) states: usize,
    pub(super) depth: usize,
    pub(super) exhausted: bool,
    /// States in which some start finished, and in which some stopped for a person.
    pub(super) finished: usize,
    pub(super) stopped: usize,
    /// Fresh starts that were tried, and those that stopped.
    pub(super) probes: usize,
    pub(super) probes_stopped: usize,
    pub(super) seconds: f64,
    pub(super) violation: Option<Violation>,
}

/// What went wrong, and how it came to it.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) what: String,
    pub(super) trace: Vec<Step>,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reach = if self.exhausted { "exhausted" } else { "bounded" };
        let speed = self.states as f64 / self.seconds.max(0.001);
        write!(
            f,
            "{:<44} {:>9} states, {:>3} steps deep, {reach}; {} finished, {} stopped, {} fresh starts ({} stop); {:.1} s, \
             {speed:.0} states/s",
            self.name,
            self.states,
            self.depth,
            self.finished,
            self.stopped,
            self.probes,
            self.probes_stopped,
            self.seconds
        )?;
        if let Some(violation) = &self.violation {
            write!(f, "\n  VIOLATION: {}", violation.what)?;
            for (at, step) in violation.trace.iter().enumerate() {
                write!(f, "\n  {:>3}. {step}", at + 1)?;
            }
        }
        Ok(())
    }
}

/// What a state is.
enum Visit {
    Known,
    New(u32),
    Wrong(String),
}

struct Search<'a> {
    config: &'a Config,
    first: World,
    seen: Seen,
    probed: Seen,
    /// Per state: the one it came from, and by which of its next steps.
    from: Vec<(u32, u16)>,
    found: Found,
}

/// Explores a configuration until nothing is new, the cap is reached, or something is wrong.
pub(super) fn explore(config: &Config) -> Found {
    explore_from(config, World::new(config))
}

/// The same, from another first state.
pub(super) fn explore_from(config: &Config, first: World) -> Found {
    let begun = Instant::now();
    let found = Found {
        name: config.name,
        states: 0,
        depth: 0,
        exhausted: false,
        finished: 0,
        stopped: 0,
        probes: 0,
        probes_stopped: 0,
        seconds: 0.0,
        violation: None,
    };
    let mut search = Search {
        config,
        first: first.clone(),
        seen: Seen::default(),
        probed: Seen::default(),
        from: vec![(0, 0)],
        found,
    };
    search.seen.insert(hash_of(&first));
    search.run(first);
    search.found.states = search.seen.len();
    search.found.seconds = begun.elapsed().as_secs_f64();
    search.found
}

impl Search<'_> {
    fn run(&mut self, first: World) {
        let mut level = vec![(0u32, first)];
        while !level.is_empty() {
            let mut deeper = Vec::new();
            for (at, world) in level {
                for (which, (next, _)) in world.next(self.config).into_iter().enumerate() {
                    let step = which as u16;
                    match self.visit(at, &next, step) {
                        Visit::Known => {}
                        Visit::New(number) => deeper.push((number, next)),
                        Visit::Wrong(what) => return self.violated(at, step, what),
                    }
                }
                if self.seen.len() > self.config.cap {
                    return;
                }
            }
            self.found.depth += 1;
            level = deeper;
        }
        self.found.exhausted = true;
        self.found.depth -= 1;
    }

    /// Takes note of a state; what is wrong with it.
    fn visit(&mut self, from: u32, world: &World, step: u16) -> Visit {
        if let Some(what) = &world.violation {
            return Visit::Wrong(what.clone());
        }
        if !self.seen.insert(hash_of(world)) {
            return Visit::Known;
        }
        self.from.push((from, step));
        let ended = |end| world.starts.iter().any(|start| start.todo == Todo::Ended(end));
        self.found.finished += usize::from(ended(End::Finished));
        self.found.stopped += usize::from(ended(End::Stopped));
        match self.probe(world) {
            Some(what) => Visit::Wrong(what),
            None => Visit::New((self.from.len() - 1) as u32),
        }
    }

    fn probe(&mut self, world: &World) -> Option<String> {
        let quiet = world.quiet(self.config);
        if world.meddled && !world.decided || !self.probed.insert(hash_of(&quiet)) {
            return None;
        }
        if let Some(what) = world.broken_invariant(self.config) {
            return Some(what);
        }
        let mut opens = false;
        for host in 0..self.config.hosts {
            self.found.probes += 1;
            match quiet.fresh_start(self.config, host) {
                Fresh::Opens => opens = true,
                Fresh::Stops => self.found.probes_stopped += 1,
                Fresh::Violates(what) => return Some(what),
            }
        }
        (!opens && !world.disk_lost)
            .then(|| "no fresh start can open a run, although no disk was lost".to_owned())
    }

    /// Walks the path again, from the first state on, to tell it in words.
    fn violated(&mut self, at: u32, step: u16, what: String) {
        let mut path = vec![step];
        let mut at = at as usize;
        while at != 0 {
            let (from, step) = self.from[at];
            path.push(step);
            at = from as usize;
        }
        let mut world = self.first.clone();
        let mut trace = Vec::new();
        for which in path.into_iter().rev() {
            let (next, step) = world.next(self.config).swap_remove(usize::from(which));
            trace.push(step);
            world = next;
        }
        self.found.violation = Some(Violation { what, trace });
    }
}

/// Replays a trace written in words, one step a line. Returns what is wrong at its end, or the line that cannot happen.
pub(super) fn replay(config: &Config, trace: &str) -> Replayed {
    let mut world = World::new(config);
    for (number, line) in
        trace.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).enumerate()
    {
        let all = world.next(config);
        let Some((next, _)) = all.iter().find(|(_, step)| step.to_string() == line) else {
            let mut possible = String::new();
            all.iter()
                .for_each(|(_, step)| writeln!(possible, "    {step}").expect("a string takes everything"));
            return Replayed::Impossible { line: format!("{}: {line}", number + 1), possible };
        };
        world = next.clone();
        if let Some(what) = world.violation {
            return Replayed::Violates(what);
        }
    }
    let quiet = world.quiet(config);
    for host in 0..config.hosts {
        if let Fresh::Violates(what) = quiet.fresh_start(config, host) {
            return Replayed::Violates(what);
        }
    }
    Replayed::Holds
}

/// What a replayed trace came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Replayed {
    Violates(String),
    Holds,
    /// With the rule on, this step of the trace does not happen.
    Impossible {
        line: String,
        possible: String,
    },
}
