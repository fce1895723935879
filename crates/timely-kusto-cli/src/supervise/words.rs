//! What a run tells its supervisor on the way, one byte each, on the other end of the line that its stdin is.
//!
//! A run of a cluster that has delivered everything may still be killed, and the processes beside it end with 0. A start in
//! its place would wait for them in vain. So it is told when a run is complete, before any process of the cluster ends.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::thread::JoinHandle;

use pipelines::Milestone;

use crate::exit::{Exit, Signal};

const TOGETHER: u8 = b't';
const DONE: u8 = b'd';
const STOPPED: u8 = b's';

/// In a run: tells the supervisor.
pub(crate) fn tell(milestone: Milestone) {
    let word = match milestone {
        Milestone::Together => TOGETHER,
        Milestone::Complete { stopped: false } => DONE,
        Milestone::Complete { stopped: true } => STOPPED,
        _ => return,
    };
    let _ = rustix::io::write(std::io::stdin(), &[word]); // a supervisor that is gone ends this run
}

/// The last word of all runs that were supervised.
#[derive(Debug, Default)]
pub(super) struct LastWord(Arc<AtomicU8>);

impl LastWord {
    /// Listens until the line ends, which a run does by its own end.
    pub(super) fn listen(&self, mut line: UnixStream) -> JoinHandle<()> {
        let last = Arc::clone(&self.0);
        std::thread::spawn(move || {
            let mut word = [0];
            while matches!(line.read(&mut word), Ok(1)) {
                last.store(word[0], SeqCst);
            }
        })
    }

    /// How the last run that came together was to end, if it had delivered everything that it read.
    pub(super) fn complete(&self) -> Option<Exit> {
        match self.0.load(SeqCst) {
            DONE => Some(Exit::Done),
            STOPPED => Some(Exit::Signalled(Signal::Terminate)),
            _ => None,
        }
    }
}
