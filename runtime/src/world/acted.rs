//! What was done to a process at the hit itself, so that it is done once.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::World;
use crate::abi::SIGSTOP;

/// So long after a handler stopped a process other hits of it may be on their way.
const STOPPING_NS: u64 = 1_000_000_000;

/// The signals of the hit that handlers run for.
#[derive(Debug, Default)]
pub(crate) struct Acted {
    pid: u32,
    time: u64,
    signals: Vec<i32>,
    /// It was stopped, and no handler has asked for that yet.
    stopped_unasked: bool,
    /// When handlers stopped processes last.
    stopped: HashMap<u32, u64, RandomState>,
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
            self.stopped(self.pid, self.time);
        } else {
            self.signals.remove(at);
        }
        true
    }

    /// A handler has stopped a process.
    pub(crate) fn stopped(&mut self, pid: u32, time: u64) {
        self.stopped.insert(pid, time);
    }

    /// Whether a handler wants the process to be stopped, at a hit that others of its
    /// threads made at about this time.
    fn is_wanted(&self, pid: u32, time: u64) -> bool {
        let near = |since: &u64| time.abs_diff(*since) < STOPPING_NS;
        self.stopped.get(&pid).is_some_and(near)
    }
}

impl World {
    /// Sets which signals a process was sent at the hit that the next runs are for, at
    /// this time: handlers that send them have done so. To be followed by
    /// [`World::take_back`] when they have run.
    pub fn set_acted(&mut self, (pid, time): (u32, u64), signals: &[i32]) {
        let acted = &mut self.acted;
        acted.signals.clear();
        acted.signals.extend_from_slice(signals);
        acted.stopped_unasked = signals.iter().any(|it| i64::from(*it) == SIGSTOP);
        (acted.pid, acted.time) = (pid, time);
    }

    /// The handlers have run. A process that was stopped, as memory held what another
    /// thread had stored since, and that no handler wanted to stop, goes on.
    pub fn take_back(&mut self) {
        let Acted { pid, time, stopped_unasked, .. } = self.acted;
        self.acted.signals.clear();
        if stopped_unasked && !self.acted.is_wanted(pid, time) {
            // One that has ended needs none; nor does one that may not be sent any.
            let _ = self.outside.signals.send(pid, time, libc::SIGCONT);
        }
        self.acted.stopped_unasked = false;
    }
}
