//! What was done to a process at the hit itself, so that it is done once.

use super::World;
use crate::abi::SIGSTOP;

/// The signals of the hit that handlers run for.
#[derive(Debug, Default)]
pub(crate) struct Acted {
    pid: u32,
    time: u64,
    signals: Vec<i32>,
    /// It was stopped, and no handler has asked for that yet.
    stopped_unasked: bool,
}

impl Acted {
    /// Whether a signal that a handler wants to send was sent. A stop stays one
    /// however often it is asked for.
    pub(crate) fn take(&mut self, signal: i32) -> bool {
        let Some(at) = self.signals.iter().position(|sent| *sent == signal) else {
            return false;
        };
        if i64::from(signal) == SIGSTOP {
            self.stopped_unasked = false;
        } else {
            self.signals.remove(at);
        }
        true
    }
}

impl World {
    /// Sets which signals a process was sent at the hit that the next runs are for, at
    /// this time: handlers that send them have done so. To be followed by
    /// [`World::take_back`] when they have run.
    pub fn set_acted(&mut self, (pid, time): (u32, u64), signals: &[i32]) {
        let Acted { signals: kept, .. } = &mut self.acted;
        kept.clear();
        kept.extend_from_slice(signals);
        let stopped_unasked = kept.iter().any(|it| i64::from(*it) == SIGSTOP);
        self.acted = Acted { pid, time, stopped_unasked, signals: std::mem::take(kept) };
    }

    /// The handlers have run. A process that was stopped, as memory held what another
    /// thread had stored since, and that no handler wanted to stop, goes on.
    pub fn take_back(&mut self) {
        let Acted { pid, time, stopped_unasked, .. } = self.acted;
        self.acted.signals.clear();
        if stopped_unasked {
            // One that has ended needs none; nor does one that may not be sent any.
            let _ = self.outside.signals.send(pid, time, libc::SIGCONT);
            self.acted.stopped_unasked = false;
        }
    }
}
