//! Which processes report names, births and ends already, and which have
//! watches: known from what is armed and from the sideband itself.
//!
//! A child inherits the sideband and the watches. An exec ends the watches, but
//! not the sideband. So a process that is to be armed may have either already,
//! and would report twice.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::event::Event;

/// The processes, by number.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// Whether an exec ends the watches: before Linux 5.13 it does not.
    exec_ends: bool,
    members: HashMap<u32, Member, RandomState>,
    /// Processes that executed another image since they were last asked for.
    executed: Vec<u32>,
    /// Threads that ended since, with their processes, and whether none is left.
    ended: Vec<((u32, u32), bool)>,
    /// Processes whose events ended at once after an exec: with the process, or
    /// the kernel ended them.
    cut: Vec<u32>,
    /// How many threads were born to those that report, and when the last.
    born: u64,
    last_born: u64,
}

/// An exec that ends the events does so before it returns: so soon after the new
/// name was reported.
const CUT_WITHIN_NS: u64 = 20_000_000;

#[derive(Clone, Copy, Debug)]
struct Member {
    threads: u32,
    armed: bool,
    /// When it executed another image, while nothing was born to that.
    executed: Option<u64>,
}

impl Member {
    fn new(threads: u32, armed: bool) -> Self {
        Self { threads, armed, executed: None }
    }
}

impl Family {
    /// Nobody yet; says whether an exec ends the watches.
    pub(super) fn new(exec_ends: bool) -> Self {
        Self { exec_ends, ..Self::default() }
    }

    /// Whether its names, births and ends come.
    pub(super) fn reports(&self, pid: u32) -> bool {
        self.members.contains_key(&pid)
    }

    /// Whether it has watches that its present image inherited or was given.
    pub(super) fn is_armed(&self, pid: u32) -> bool {
        self.members.get(&pid).is_some_and(|member| member.armed)
    }

    /// A process was armed with this many threads.
    pub(super) fn arm(&mut self, pid: u32, threads: u32) {
        let member = self.members.entry(pid).or_insert(Member::new(threads, true));
        member.armed = true;
    }

    /// A process has no watches any more.
    pub(super) fn disarm(&mut self, pid: u32) {
        if let Some(member) = self.members.get_mut(&pid) {
            member.armed = false;
        }
    }

    /// Follows births, ends and executions.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        if let Event::Fork { time, parent_pid, .. } = *event
            && let Some(parent) = self.members.get_mut(&parent_pid)
        {
            // Its events come still.
            parent.executed = None;
            self.born += 1;
            self.last_born = self.last_born.max(time);
        }
        match *event {
            Event::Fork { pid, parent_pid, .. } if pid == parent_pid => {
                if let Some(member) = self.members.get_mut(&pid) {
                    member.threads += 1;
                }
            }
            Event::Fork { pid, parent_pid, .. } => {
                let armed = self.is_armed(parent_pid);
                self.members.insert(pid, Member::new(1, armed));
            }
            Event::Exit { time, pid, tid } => {
                // Who executes goes on as the first thread.
                let member = self.members.get(&pid).filter(|_| tid == pid);
                let executed = member.and_then(|member| member.executed);
                if executed.is_some_and(|at| time < at + CUT_WITHIN_NS) {
                    self.cut.push(pid);
                }
                let last = self.leave(pid);
                self.ended.push(((pid, tid), last));
            }
            // All threads but one have ended.
            Event::Comm { time, pid, exec: true, .. } => {
                let armed = self.is_armed(pid) && !self.exec_ends;
                let member = Member { executed: Some(time), ..Member::new(1, armed) };
                self.members.insert(pid, member);
                self.executed.push(pid);
            }
            _ => {}
        }
    }

    /// How many threads were born.
    pub(super) fn born(&self) -> u64 {
        self.born
    }

    /// Whether any thread was born at a time, nanoseconds, or later.
    pub(super) fn born_since(&self, time: u64) -> bool {
        self.last_born >= time
    }

    /// Who executed another image since this was last asked.
    pub(super) fn take_executed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.executed)
    }

    /// Whose events ended at once after an exec, since this was last asked.
    pub(super) fn take_cut(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.cut)
    }

    /// Threads that ended since this was last asked, with their processes, and
    /// whether the process did with it.
    pub(super) fn take_ended(&mut self) -> Vec<((u32, u32), bool)> {
        std::mem::take(&mut self.ended)
    }

    /// A thread of a process has ended; says whether it was the last.
    fn leave(&mut self, pid: u32) -> bool {
        let Some(member) = self.members.get_mut(&pid) else { return false };
        member.threads = member.threads.saturating_sub(1);
        let last = member.threads == 0;
        if last {
            self.members.remove(&pid);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fork(parent_pid: u32, pid: u32) -> Event<'static> {
        Event::Fork { time: 1, pid, tid: pid + 100, parent_pid, parent_tid: parent_pid }
    }

    fn exit(pid: u32) -> Event<'static> {
        Event::Exit { time: 1, pid, tid: pid }
    }

    fn exec(pid: u32) -> Event<'static> {
        Event::Comm { time: 1, pid, tid: pid, name: b"x", exec: true }
    }

    #[test]
    fn children_inherit_both_and_an_exec_ends_the_watches_alone() {
        let mut family = Family::new(true);
        family.arm(1, 1);
        family.note(&fork(1, 2));
        assert!(family.reports(2) && family.is_armed(2) && !family.reports(3));
        family.note(&exec(2));
        assert!(family.reports(2) && !family.is_armed(2) && family.is_armed(1));
        family.note(&fork(2, 3));
        assert!(family.reports(3) && !family.is_armed(3));
        assert_eq!((family.take_executed(), family.take_ended()), (vec![2], vec![]));
        assert_eq!(family.take_executed(), []);
        let mut old = Family::new(false);
        old.arm(1, 1);
        old.note(&exec(1));
        assert!(old.is_armed(1), "the kernel leaves the watches");
    }

    #[test]
    fn a_process_is_forgotten_with_its_last_thread() {
        let mut family = Family::new(true);
        family.arm(1, 2);
        family.note(&fork(1, 1));
        for left in [true, true, false] {
            family.note(&exit(1));
            assert_eq!(family.reports(1), left);
        }
        let ended = [((1, 1), false), ((1, 1), false), ((1, 1), true)];
        assert_eq!((family.take_ended(), family.take_ended()), (ended.to_vec(), vec![]));
        family.arm(5, 3);
        family.note(&exec(5));
        family.note(&exit(5));
        assert!(!family.reports(5), "an exec leaves one thread");
        assert_eq!(family.take_cut(), [5], "at once after the exec");
        family.note(&exec(6));
        let later = 1 + CUT_WITHIN_NS;
        family.note(&Event::Exit { time: later, pid: 6, tid: 6 });
        assert_eq!(family.take_cut(), []);
    }

    #[test]
    fn a_thread_that_ends_soon_after_an_exec_is_no_cut() {
        let mut family = Family::new(true);
        let born =
            Event::Fork { time: 1, pid: 7, tid: 107, parent_pid: 7, parent_tid: 7 };
        for first in [107, 7] {
            family.note(&exec(7));
            family.note(&born);
            family.note(&Event::Exit { time: 1, pid: 7, tid: first });
            assert_eq!(family.take_cut(), [], "{first}");
        }
        // Others execute at the same time.
        [exec(8), exec(9), exit(8), exit(9)].iter().for_each(|event| family.note(event));
        assert_eq!(family.take_cut(), [8, 9]);
    }
}
