//! Data of which each thread has its own: armed when threads are born, or have room
//! for it.

use hwtrace_probes::resolve::ResolveError;
use hwtrace_runtime::engine::{ArmError, Whose};

use super::{Armed, HURRY_NS, Refused};
use crate::instances::Place;

/// A thread that has no room for its own data yet, or has not told where.
pub(super) struct Roomless {
    pid: u32,
    tid: u32,
    request: usize,
    /// When it was first looked for there, in nanoseconds of CLOCK_MONOTONIC.
    since: u64,
    /// When it was looked for there last.
    looked: u64,
    why: ResolveError,
}

/// A round looks at so many at most of those that have waited for long: looking takes time,
/// and most of them may wait for ever.
const LOOKS: usize = 32;
/// It looks at so many no sooner than this after the last time, be rounds in haste or not.
const LOOKS_EVERY_NS: u64 = 20_000_000;

/// Takes those that are to be looked at now: the new, and some of the others in turn.
fn due(roomless: &mut Vec<Roomless>, now: u64) -> Vec<Roomless> {
    let rounds = roomless.len().div_ceil(LOOKS) as u64;
    let mut left = LOOKS;
    let is_due = |it: &mut Roomless| {
        let is_new = now < it.since + HURRY_NS;
        let others = !is_new && left > 0 && now >= it.looked + rounds * LOOKS_EVERY_NS;
        left -= usize::from(others);
        is_new || others
    };
    roomless.extract_if(.., is_due).collect()
}

impl Armed {
    /// A thread was born.
    pub(super) fn born(&mut self, pid: u32, tid: u32, time: u64) {
        // It is told twice: at once, and in its turn.
        if self.tracker.has_own(tid) || self.roomless.iter().any(|it| it.tid == tid) {
            return;
        }
        match self.arm_thread(pid, tid) {
            Ok(_) if self.tracker.has_own(tid) => {
                let since = self.since(time);
                self.figures.later_thread(since);
            }
            Ok(()) | Err(ArmError::Gone { .. }) => {}
            Err(error) => self.figures.refused(&Refused { pid, error }),
        }
    }

    pub(super) fn arm_threads(&mut self, pid: u32, request: usize) {
        let Some(instance) = self.instances.get(&pid) else { return };
        for thread in instance.process.threads().unwrap_or_default() {
            if let Err(error) = self.arm_own(pid, thread.tid, request) {
                self.figures.refused(&Refused { pid, error });
            }
        }
    }

    /// Arms what a thread has of its own.
    pub(super) fn arm_thread(&mut self, pid: u32, tid: u32) -> Result<(), ArmError> {
        let Some(instance) = self.instances.get(&pid) else { return Ok(()) };
        let places = instance.places.iter().enumerate();
        let own = places.filter(|(_, place)| matches!(place, Place::EachThread(_)));
        let own: Vec<_> = own.map(|(request, _)| request).collect();
        own.into_iter().try_for_each(|request| self.arm_own(pid, tid, request))
    }

    fn arm_own(&mut self, pid: u32, tid: u32, request: usize) -> Result<(), ArmError> {
        let Some(instance) = self.instances.get(&pid) else { return Ok(()) };
        let kernel = &self.surroundings.kernel;
        let asked = (request, &self.requests[request]);
        let location = match instance.find_in(asked, tid, kernel) {
            Some(Ok(location)) => location,
            Some(Err(why)) => {
                // One that has ended tells nothing any more.
                if kernel.thread_name(pid, tid).is_ok() {
                    let now = kernel.clock();
                    let (since, looked) = (now, now);
                    self.roomless.push(Roomless {
                        pid,
                        tid,
                        request,
                        since,
                        looked,
                        why,
                    });
                    self.hurry = now + HURRY_NS;
                }
                return Ok(());
            }
            None => return Ok(()),
        };
        let own = self.registers.own(request, &location);
        self.figures.own_registers(own.len());
        for (number, watch) in own {
            self.tracker.add_own((pid, tid), number, watch.address, &mut self.memory);
            let mut held = self.tracker.values(Whose::Thread(tid));
            held.retain(|it| it.watch == number);
            self.tell(&held);
            match self.engine.arm_thread((pid, tid), number, watch) {
                Ok(()) => {}
                Err(ArmError::Gone { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let before = self.tracker.values(Whose::Thread(tid));
        self.tracker.confirm_thread(tid, &mut self.memory);
        self.doubt(&before, &self.tracker.values(Whose::Thread(tid)));
        Ok(())
    }

    /// Looks once more at threads that had no room.
    pub(super) fn arm_roomless(&mut self) {
        let hurry = self.hurry;
        let now = self.surroundings.kernel.clock();
        for roomless in due(&mut self.roomless, now) {
            let Roomless { pid, tid, request, since, .. } = roomless;
            let before = self.roomless.len();
            match self.arm_own(pid, tid, request) {
                Ok(()) if self.roomless.len() == before => self.room_came(&roomless),
                Ok(()) => self.roomless[before].since = since,
                Err(ArmError::Gone { .. }) => {}
                Err(error) => self.figures.refused(&Refused { pid, error }),
            }
        }
        // Those that have waited for long may wait for ever.
        let now = self.surroundings.kernel.clock();
        let newest = self.roomless.iter().map(|it| it.since + HURRY_NS).max();
        self.hurry =
            newest.filter(|until| *until > now).map_or(hurry, |it| it.max(hurry));
    }

    fn room_came(&mut self, of: &Roomless) {
        if !self.tracker.has_own(of.tid) {
            return;
        }
        match of.why {
            ResolveError::NotAllocated { .. } => self.figures.room_came(of.request),
            // It had only just begun.
            _ => self.figures.later_thread(self.since(of.since)),
        }
    }

    /// What is to be said of those that did not tell where their data is.
    pub(super) fn give_up_roomless(&mut self) {
        for Roomless { why, .. } in std::mem::take(&mut self.roomless) {
            if matches!(why, ResolveError::NoThreadPointer { .. }) {
                self.figures.unknown_thread(&why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of so many threads without room is looked at in 10 s of rounds, and
    /// how many at most in one round.
    fn looks(threads: usize, round_ns: u64) -> (Vec<u32>, usize) {
        let why = || ResolveError::NotAllocated { name: String::new(), tid: 0 };
        let one =
            |tid| Roomless { pid: 1, tid, request: 0, since: 0, looked: 0, why: why() };
        let mut roomless: Vec<_> = (0..threads as u32).map(one).collect();
        let (mut looks, mut most) = (vec![0; threads], 0);
        for round in 1..=10_000_000_000 / round_ns {
            let now = HURRY_NS + round * round_ns;
            let due = due(&mut roomless, now);
            most = most.max(due.len());
            for it in due {
                looks[it.tid as usize] += 1;
                roomless.push(Roomless { looked: now, ..it });
            }
        }
        (looks, most)
    }

    #[test]
    fn a_few_are_looked_at_each_round_and_thousands_in_turn() {
        for round_ns in [2_000_000, LOOKS_EVERY_NS] {
            let (few, _) = looks(4, round_ns);
            assert!(few.iter().all(|looks| (450..=500).contains(looks)), "{few:?}");
            let (many, most) = looks(2000, round_ns);
            let all: u32 = many.iter().sum();
            assert!(most <= LOOKS && all <= 500 * LOOKS as u32 + 2000, "{most}, {all}");
            assert!(many.iter().all(|looks| (6..=9).contains(looks)), "{many:?}");
        }
    }

    #[test]
    fn the_new_are_looked_at_whenever_it_goes() {
        let why = || ResolveError::NotAllocated { name: String::new(), tid: 0 };
        let one =
            |tid| Roomless { pid: 1, tid, request: 0, since: 5, looked: 6, why: why() };
        let mut roomless: Vec<_> = (0..100).map(one).collect();
        assert_eq!(due(&mut roomless, 7).len(), 100);
    }
}
