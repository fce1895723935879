//! Whether the end of a process is one that what was done to it allows.

use super::children::Ended;

/// What was done to a process and around it before it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Suffered {
    /// It was killed.
    pub(super) killed: bool,
    /// It was to die at a failpoint.
    pub(super) armed: bool,
    /// Another process of its cluster was killed or died at a failpoint.
    pub(super) bereft: bool,
    /// Its cluster was asked to stop.
    pub(super) stopped: bool,
    /// Another start of the pipeline overlapped with this one.
    pub(super) rivalled: bool,
    /// The service's answers were spoilt, or its disk was full.
    pub(super) troubled: bool,
}

/// How a process ended, as far as the walk is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The source is at its end and everything delivered.
    Done,
    /// It failed and may be started again.
    Failed,
    /// A newer start took over.
    Fenced,
    /// It was asked to stop and did.
    Stopped,
    /// It was killed.
    Killed,
    /// It died at its failpoint.
    Died,
}

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;

/// Says how it ended.
///
/// # Errors
/// If it must not end like that, in words.
pub(super) fn judge(ended: &Ended, suffered: Suffered) -> Result<End, String> {
    if ended.stderr.contains("panicked at") {
        return Err("it panicked".to_owned());
    }
    let allowed = |end: End, allowed: bool, why: &str| if allowed { Ok(end) } else { Err(why.to_owned()) };
    match (ended.code, ended.signal) {
        (Some(0), _) => Ok(End::Done),
        (Some(1), _) => {
            let may = suffered.troubled || suffered.bereft;
            allowed(End::Failed, may, "it failed, and nothing was done to it (exit code 1)")
        }
        (Some(3), _) => allowed(
            End::Fenced,
            suffered.rivalled,
            "it was fenced, and no other start was there (exit code 3)",
        ),
        (Some(130 | 143), _) => {
            allowed(End::Stopped, suffered.stopped, "it says that it was stopped, and nobody did")
        }
        (Some(code), _) => Err(format!("exit code {code}, which nothing that was done to it allows")),
        (None, Some(SIGKILL)) => allowed(End::Killed, suffered.killed, "somebody else killed it"),
        (None, Some(SIGABRT)) => allowed(End::Died, suffered.armed, "it aborted"),
        // It was asked before it could listen.
        (None, Some(SIGINT | SIGTERM)) => allowed(End::Stopped, suffered.stopped, "somebody else stopped it"),
        (None, signal) => Err(format!("signal {signal:?} ended it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: Option<i32>, signal: Option<i32>) -> Ended {
        Ended { code, signal, stderr: "error: something".to_owned() }
    }

    #[test]
    fn an_end_is_allowed_only_by_what_was_done() {
        let nothing = Suffered::default();
        assert_eq!(judge(&ended(Some(0), None), nothing), Ok(End::Done));
        type Did = fn(&mut Suffered);
        let cases: [(Option<i32>, Option<i32>, Did, End); 7] = [
            (None, Some(15), |it| it.stopped = true, End::Stopped),
            (Some(1), None, |it| it.troubled = true, End::Failed),
            (Some(1), None, |it| it.bereft = true, End::Failed),
            (Some(3), None, |it| it.rivalled = true, End::Fenced),
            (Some(143), None, |it| it.stopped = true, End::Stopped),
            (None, Some(9), |it| it.killed = true, End::Killed),
            (None, Some(6), |it| it.armed = true, End::Died),
        ];
        for (code, signal, did, end) in cases {
            assert!(judge(&ended(code, signal), nothing).is_err(), "{code:?} {signal:?}");
            let mut suffered = nothing;
            did(&mut suffered);
            assert_eq!(judge(&ended(code, signal), suffered), Ok(end));
        }
    }

    #[test]
    fn no_trouble_excuses_a_panic_a_bad_configuration_or_a_call_for_a_person() {
        let all = Suffered {
            killed: true,
            armed: true,
            bereft: true,
            stopped: true,
            rivalled: true,
            troubled: true,
        };
        for code in [2, 4, 101] {
            assert!(judge(&ended(Some(code), None), all).is_err(), "{code}");
        }
        assert!(judge(&ended(None, Some(11)), all).is_err());
        let panicked =
            Ended { stderr: "thread 'main' panicked at src/x.rs".to_owned(), ..ended(Some(1), None) };
        assert!(judge(&panicked, all).is_err());
    }
}
