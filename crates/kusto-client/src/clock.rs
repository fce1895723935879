//! How far this machine's clock is off, by the `Date` of answers.
//!
//! Nothing here corrects the clock. Two things need to know: the life of a token whose end is told as a date (a managed
//! identity's) is counted on the clock of who told it; and an error that a wrong clock explains says so.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};

/// Below this the services do not mind, and a `Date` is not that exact anyway.
const TOLERATED: SignedDuration = SignedDuration::from_mins(5);

/// How far somebody else's clock is ahead of this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew(SignedDuration);

impl Skew {
    /// By the `Date` of an answer that has just come.
    pub(crate) fn of(date: &str, now: SystemTime) -> Option<Self> {
        let theirs = jiff::fmt::rfc2822::parse(date.trim()).ok()?.timestamp();
        let ours = Timestamp::try_from(now).ok()?;
        Some(Skew(theirs.duration_since(ours)))
    }

    /// Their time of a moment as ours.
    pub(crate) fn ours(self, theirs: SystemTime) -> SystemTime {
        let seconds = self.0.unsigned_abs();
        let moved =
            if self.0.is_negative() { theirs.checked_add(seconds) } else { theirs.checked_sub(seconds) };
        moved.unwrap_or(theirs)
    }

    /// What a person has to know about it, if it is enough to break a sign-in.
    pub(crate) fn advice(self) -> Option<String> {
        (self.0.abs() > TOLERATED).then(|| {
            format!("The clock of this machine is {self} that of the service, which refuses tokens of another time: set it.")
        })
    }
}

/// This machine's clock as seen from there: `1 h 0 min behind`.
impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.abs().as_mins();
        let side = if self.0.is_negative() { "ahead of" } else { "behind" };
        write!(f, "{} h {} min {side}", minutes / 60, minutes % 60)
    }
}

/// The last thing that answers told about the clock; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed(Arc<Mutex<Option<Skew>>>);

impl Observed {
    pub(crate) fn note(&self, date: Option<&str>) {
        if let Some(skew) = date.and_then(|date| Skew::of(date, SystemTime::now())) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(skew);
        }
    }

    pub(crate) fn skew(&self) -> Option<Skew> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn a_clock_that_is_an_hour_off_is_told_with_its_side() {
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let behind = Skew::of(date, at("2015-10-21T06:28:00Z")).unwrap();
        assert!(behind.advice().unwrap().contains("is 1 h 0 min behind that of the service"));
        let ahead = Skew::of(date, at("2015-10-21T08:30:00Z")).unwrap();
        assert!(ahead.advice().unwrap().contains("is 1 h 2 min ahead of that of the service"));
        assert_eq!(Skew::of(date, at("2015-10-21T07:26:00Z")).unwrap().advice(), None);
        assert_eq!(Skew::of("yesterday", at("2015-10-21T07:26:00Z")), None);
    }

    #[test]
    fn their_time_becomes_ours() {
        let skew = Skew::of("Wed, 21 Oct 2015 07:28:00 GMT", at("2015-10-21T06:28:00Z")).unwrap();
        assert_eq!(skew.ours(at("2015-10-21T08:28:00Z")), at("2015-10-21T07:28:00Z"));
        let far = Skew(SignedDuration::from_secs(i64::MIN + 1));
        assert!(far.ours(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX >> 1)).elapsed().is_err());
    }
}
