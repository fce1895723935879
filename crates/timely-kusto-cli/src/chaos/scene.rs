//! One step of the walk, performed: a start of the pipeline, what befalls it, and its end.
//!
//! ```text
//! start ──► acts as they are due: moods, stalls, a full disk, releases ──► the end's moment, or somebody ended by himself
//!                                                                              │
//!            judged ◄── all ended, in good time, or it is a hang ◄── the ending: kill, failpoint, stop, rival
//! ```

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::children::Children;
use super::judge::{End, Suffered, judge};
use super::round::{Manner, Round};
use super::walk::{Ending, FullDisk, MOST_PROCESSES, Moment, Shape, Step};
use super::weather::Weather;
use super::{PATIENCE, TICK, Trouble};

/// How often the table is looked at, to see whether rows come.
const LOOK: Duration = Duration::from_millis(15);
/// How long a process may wait for one that was killed before all of them were together: they wait minutes for it.
const APART: Duration = Duration::from_millis(300);
/// How long a process that waits for others takes to say so.
const WORDS: Duration = Duration::from_secs(11);
/// How long a stop or a fence may take in bad weather; then the sky clears up.
const STORM: Duration = Duration::from_millis(1_500);
/// How long processes and rows may take to come before the end's moment is there all the same.
const DROUGHT: Duration = Duration::from_millis(2_500);

/// What a step was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) crashed: bool,
    /// The source came to its end.
    pub(super) finished: bool,
    /// What happened, in a few words.
    pub(super) words: String,
}

/// What happens in the course of a step.
#[derive(Clone, Debug)]
enum Act {
    Turn(Weather),
    Pause(usize),
    Resume(usize),
    /// The disk of one process, or of each.
    Fill(Option<usize>),
    Empty,
    Release {
        die: bool,
    },
    FailOver,
}

/// A start, and what it suffered so far.
struct Cast {
    children: Children,
    suffered: Vec<Suffered>,
    /// Since when all its processes are together.
    joined: Option<Instant>,
}

impl Cast {
    /// Whether those that run still wait for one that is gone: a claim that was held may look like theirs.
    fn waits_for_others(&self) -> bool {
        let said = self.children.said();
        let waits = |said: &String| {
            let last = said.lines().next_back().unwrap_or_default();
            last.contains("waiting for ") && last.ends_with(" at most)")
        };
        said.iter().all(waits)
    }

    /// Whether a signal ended one of them.
    fn lost_one(&self) -> bool {
        let mut ended = (0..self.children.count()).filter_map(|process| self.children.ended(process));
        ended.any(|ended| ended.signal.is_some())
    }

    /// Kills all that run. What ended before is judged without that.
    fn kill_all(&mut self) -> std::io::Result<()> {
        self.children.look()?;
        for process in 0..self.children.count() {
            self.suffered[process].bereft |= self.children.ended(process).is_none();
        }
        for process in 0..self.children.count() {
            self.suffered[process].killed |= self.children.signal(process, Signal::KILL)?;
        }
        Ok(())
    }
}

struct Scene<'r, 'a> {
    round: &'r mut Round<'a>,
    step: &'r Step,
    began: Instant,
    looked: Instant,
    acts: Vec<(u64, Act)>,
    /// Before this start.
    rows: u64,
    claims: u64,
    flowing: Option<Instant>,
    full: bool,
}

/// Performs a step.
pub(super) fn perform(round: &mut Round<'_>, step: &Step) -> Result<Seen, Trouble> {
    for process in &step.lost_disks {
        round.tally.lost_disks += u64::from(round.site.lose(&round.site.disk(0, *process))?);
    }
    let (rows, claims, began) = (round.rows(), round.claims(), Instant::now());
    let (acts, flowing) = (acts(step, round.site.can_be_full()), None);
    let mut scene = Scene { round, step, began, looked: began, acts, rows, claims, flowing, full: false };
    scene.act()?;
    let name = format!("step-{}-", step.number);
    let failpoint = match &step.ending {
        Ending::Failpoint { process, place, .. } => Some((*process, place.as_str())),
        _ => None,
    };
    let mut cast = scene.enter(&format!("{name}a"), step.shape, 0, failpoint)?;
    scene.play(&mut cast)?;
    let seen = scene.end(&mut cast, &name)?;
    scene.judge(&cast)?;
    drop(cast);
    scene.round.site.forget(&name)?;
    Ok(seen)
}

fn acts(step: &Step, disk_can_be_full: bool) -> Vec<(u64, Act)> {
    let mut acts: Vec<(u64, Act)> =
        step.weather.iter().map(|(at, weather)| (*at, Act::Turn(weather.clone()))).collect();
    for stall in &step.stalls {
        acts.push((stall.at, Act::Pause(stall.process)));
        acts.push((stall.at + stall.length, Act::Resume(stall.process)));
    }
    if let Some(FullDisk { process, at, length }) = step.full_disk.filter(|_| disk_can_be_full) {
        acts.extend([(at, Act::Fill(process)), (at + length, Act::Empty)]);
    }
    acts.extend(step.release.map(|(at, die)| (at, Act::Release { die })));
    acts.extend(step.fail_over.map(|at| (at, Act::FailOver)));
    acts.sort_by_key(|(at, _)| std::cmp::Reverse(*at)); // the next one stands last
    acts
}

impl Scene<'_, '_> {
    /// Starts the pipeline.
    fn enter(
        &mut self,
        name: &str,
        shape: Shape,
        disks: usize,
        failpoint: Option<(usize, &str)>,
    ) -> Result<Cast, Trouble> {
        let manner = Manner {
            name,
            shape,
            pace: Some(self.step.pace),
            log_bytes: self.step.log_bytes,
            disks,
            failpoint,
        };
        let children = self.round.start(&manner)?;
        let troubled = !self.step.weather.iter().all(|(_, weather)| weather.is_fair()) || self.full;
        let armed = |process| failpoint.is_some_and(|(armed, _)| armed == process);
        let suffered = |process| Suffered { troubled, armed: armed(process), ..Suffered::default() };
        Ok(Cast { children, suffered: (0..shape.processes).map(suffered).collect(), joined: None })
    }

    /// Until the end's moment, or until somebody ended.
    fn play(&mut self, cast: &mut Cast) -> Result<(), Trouble> {
        while !self.is_due(cast) {
            self.act_on(cast)?;
            if self.look(cast)? < cast.children.count() {
                return Ok(());
            }
            self.rest()?;
        }
        Ok(())
    }

    fn is_due(&self, cast: &Cast) -> bool {
        let moment = match &self.step.ending {
            Ending::Kill { at, .. } | Ending::Stop { at, .. } | Ending::Rival { at, .. } => *at,
            Ending::Failpoint { patience, .. } => Moment::Joined(*patience),
        };
        let (since, ms) = match moment {
            Moment::Started(ms) => (Some(self.began), ms),
            Moment::Joined(ms) => (cast.joined, ms),
            Moment::Flowing(ms) => (self.flowing, ms),
        };
        match since {
            Some(since) => since.elapsed() >= Duration::from_millis(ms),
            None => self.began.elapsed() >= DROUGHT,
        }
    }

    fn rest(&self) -> Result<(), Trouble> {
        if self.round.setting.is_stopped() {
            return Err(Trouble::Stopped);
        }
        std::thread::sleep(TICK);
        Ok(())
    }

    /// How many processes run; whether they are together, and whether rows come.
    fn look(&mut self, cast: &mut Cast) -> Result<usize, Trouble> {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            if cast.joined.is_none() && self.round.claims() > self.claims {
                cast.joined = Some(Instant::now());
            }
            if self.flowing.is_none() && cast.joined.is_some() && self.round.rows() > self.rows {
                self.flowing = Some(Instant::now());
            }
        }
        Ok(cast.children.look()?)
    }

    fn next_act(&mut self) -> Option<Act> {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.acts.pop_if(|(at, _)| *at <= now).map(|(_, act)| act)
    }

    /// What is due and needs no processes.
    fn act(&mut self) -> Result<(), Trouble> {
        while let Some(act) = self.next_act() {
            self.act_without(&act)?;
        }
        Ok(())
    }

    fn act_on(&mut self, cast: &mut Cast) -> Result<(), Trouble> {
        while let Some(act) = self.next_act() {
            match act {
                Act::Pause(process) => {
                    self.round.tally.stalls += u64::from(cast.children.signal(process, Signal::STOP)?);
                }
                Act::Resume(process) => drop(cast.children.signal(process, Signal::CONT)?),
                Act::Fill(_) => {
                    cast.suffered.iter_mut().for_each(|it| it.troubled = true);
                    self.act_without(&act)?;
                }
                act => self.act_without(&act)?,
            }
        }
        Ok(())
    }

    fn act_without(&mut self, act: &Act) -> Result<(), Trouble> {
        match act {
            Act::Turn(weather) => self.round.turn(weather),
            Act::Fill(process) => {
                self.full = true;
                let which = process.map_or(0..MOST_PROCESSES, |process| process..process + 1);
                for process in which {
                    self.round.tally.full_disks += 1;
                    self.round.site.fill(process)?;
                }
            }
            Act::Empty => {
                self.full = false;
                self.round.site.empty()?;
            }
            Act::Release { die: false } => drop(self.round.handle().release_all()),
            Act::Release { die: true } => {
                let handle = self.round.handle();
                for held in handle.held() {
                    handle.let_die(held.id);
                }
            }
            Act::FailOver => self.round.handle().fail_over(),
            Act::Pause(_) | Act::Resume(_) => {}
        }
        Ok(())
    }

    /// Nobody is paused and no disk is full any more.
    fn calm(&mut self, cast: &mut Cast) -> Result<(), Trouble> {
        self.acts.retain(|(_, act)| matches!(act, Act::Turn(_) | Act::Release { .. } | Act::FailOver));
        if std::mem::take(&mut self.full) {
            self.round.site.empty()?;
        }
        Ok(cast.children.signal_all(Signal::CONT)?)
    }

    fn end(&mut self, cast: &mut Cast, name: &str) -> Result<Seen, Trouble> {
        let early = cast.children.look()? < cast.children.count();
        let step = self.step;
        let words = match &step.ending {
            _ if early => self.end_early(cast)?,
            Ending::Kill { processes, .. } => self.kill(cast, processes)?,
            Ending::Failpoint { process, place, .. } => {
                self.kill(cast, &[*process])?;
                format!("not at {place} in time, killed")
            }
            Ending::Stop { process, interrupt, .. } => self.stop(cast, *process, *interrupt)?,
            Ending::Rival { .. } => self.rival(cast, name)?,
        };
        let of_cast = |end: fn(&super::children::Ended) -> bool| {
            (0..cast.children.count()).filter_map(|process| cast.children.ended(process)).any(end)
        };
        let crashed = of_cast(|ended| ended.signal.is_some()) || words.starts_with("rival");
        let finished = !crashed && of_cast(|ended| ended.code == Some(0));
        Ok(Seen { crashed, finished, words })
    }

    /// Somebody ended by himself: at a failpoint, at the end of the source, or because he gave up.
    fn end_early(&mut self, cast: &mut Cast) -> Result<String, Trouble> {
        self.calm(cast)?;
        self.until_all_ended(cast, None)?;
        Ok(match &self.step.ending {
            // Known only now: its connections may have been gone for the others before it was.
            Ending::Failpoint { process, place, .. } if cast.lost_one() => {
                let place = place.split('#').next().unwrap_or(place);
                *self.round.tally.failpoints.entry(place.to_owned()).or_default() += 1;
                format!("process {process} died {place}")
            }
            _ => "ended by itself".to_owned(),
        })
    }

    fn kill(&mut self, cast: &mut Cast, processes: &[usize]) -> Result<String, Trouble> {
        for process in processes {
            cast.suffered[*process].killed = cast.children.signal(*process, Signal::KILL)?;
        }
        cast.suffered.iter_mut().for_each(|it| it.bereft = true);
        self.calm(cast)?;
        self.until_all_ended(cast, None)?;
        Ok(format!("{} of {} killed", processes.len(), cast.children.count()))
    }

    fn stop(&mut self, cast: &mut Cast, process: usize, interrupt: bool) -> Result<String, Trouble> {
        self.calm(cast)?;
        cast.suffered.iter_mut().for_each(|it| it.stopped = true);
        cast.children.signal(process, if interrupt { Signal::INT } else { Signal::TERM })?;
        self.until_all_ended(cast, Some(STORM))?;
        self.round.tally.stops += 1;
        Ok("stopped".to_owned())
    }

    /// Starts the pipeline a second time. One of the two has to give way; the other is killed in the end.
    fn rival(&mut self, first: &mut Cast, name: &str) -> Result<String, Trouble> {
        let Ending::Rival { shape, paused, same_disks, resume, then, .. } = self.step.ending else {
            return Ok(String::new());
        };
        self.calm(first)?;
        if paused {
            first.children.signal_all(Signal::STOP)?;
        }
        first.suffered.iter_mut().for_each(|it| it.rivalled = true);
        let mut second = self.enter(&format!("{name}b"), shape, usize::from(!same_disks), None)?;
        second.suffered.iter_mut().for_each(|it| it.rivalled = true);
        self.wait(Duration::from_millis(resume))?;
        first.children.signal_all(Signal::CONT)?;
        let began = Instant::now();
        while first.children.look()? > 0 && second.children.look()? > 0 {
            self.patience(began, Some(STORM), &[&*first, &second])?;
        }
        self.wait(Duration::from_millis(then))?;
        for cast in [&mut *first, &mut second] {
            cast.kill_all()?;
            self.until_all_ended(cast, None)?;
        }
        self.judge(&second)?;
        self.both_fenced(first, &second)?;
        let paused = if paused { "paused" } else { "running" };
        Ok(format!("rival of a {paused} start, then killed"))
    }

    fn both_fenced(&self, first: &Cast, second: &Cast) -> Result<(), Trouble> {
        let casts = [&first.children, &second.children];
        let fenced = |children: &&Children| {
            (0..children.count())
                .all(|process| children.ended(process).is_some_and(|ended| ended.code == Some(3)))
        };
        match casts.iter().all(fenced) {
            true => Err(Trouble::Failure("of two starts both were fenced, and nobody was left".to_owned())),
            false => Ok(()),
        }
    }

    fn wait(&mut self, time: Duration) -> Result<(), Trouble> {
        let began = Instant::now();
        while began.elapsed() < time {
            self.act()?;
            self.rest()?;
        }
        Ok(())
    }

    /// Waits until no process runs.
    fn until_all_ended(&mut self, cast: &mut Cast, storm: Option<Duration>) -> Result<(), Trouble> {
        let began = Instant::now();
        while self.look(cast)? > 0 {
            let apart = cast.joined.is_none() && began.elapsed() > APART;
            if apart || (began.elapsed() > WORDS && cast.waits_for_others()) {
                cast.kill_all()?;
            }
            self.act()?;
            self.patience(began, storm, &[&*cast])?;
        }
        Ok(())
    }

    /// Rests; clears the sky when a storm lasts, and gives up when waiting was in vain.
    fn patience(&mut self, began: Instant, storm: Option<Duration>, casts: &[&Cast]) -> Result<(), Trouble> {
        if storm.is_some_and(|storm| began.elapsed() > storm) {
            self.acts.clear();
            self.round.clear_up();
        }
        if began.elapsed() > PATIENCE {
            let words =
                casts.iter().map(|cast| Trouble::running(&cast.children)).collect::<Vec<_>>().join("\n");
            return Err(Trouble::Failure(format!("it hangs: after {PATIENCE:?} these still run:\n{words}")));
        }
        self.rest()
    }

    fn judge(&mut self, cast: &Cast) -> Result<(), Trouble> {
        let bereft = cast.lost_one();
        for process in 0..cast.children.count() {
            let Some(ended) = cast.children.ended(process) else { continue };
            let suffered = cast.suffered[process];
            let suffered = Suffered { bereft: suffered.bereft || bereft, ..suffered };
            let end = judge(ended, suffered).map_err(|why| {
                Trouble::Failure(format!(
                    "step {}, process {process}: {why}\n{}",
                    self.step.number, ended.stderr
                ))
            })?;
            let tally = &mut *self.round.tally;
            match end {
                End::Killed | End::Died => tally.processes_lost += 1,
                End::Fenced => tally.fences += 1,
                End::Failed if !suffered.bereft && process == 0 => tally.gave_up += 1,
                End::Done | End::Failed | End::Stopped => {}
            }
        }
        Ok(())
    }
}
