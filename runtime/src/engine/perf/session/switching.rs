//! Events are let report, or not, and those that threads inherit which are born meanwhile.
//!
//! A thread is born with its events on or off as its creator has them, and only then is it
//! among those whom the switching of an event reaches (kernel/events/core.c,
//! `inherit_event`, `perf_event_for_each_child`): it may be left as it was before, and even
//! change places with its creator, of whom all others inherit
//! (`perf_event_context_sched_out`). Hence events are switched, and moved, once more when
//! those births have ended.

use super::super::births;
use super::super::events::EventSet;
use super::super::family::Family;
use super::{Session, WatchState};
use crate::kernel::{Kernel, Result};

/// No birth takes longer than that, nanoseconds, as far as is seen.
const BIRTH_NS: u64 = 30_000_000;

/// What is switched together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The events of a watch in all processes.
    Watch(u32),
    /// Those of a register that watches take turns on.
    Register(u32),
    /// Those of a watch that is moved, in a process.
    Moved(u32, u32),
    /// Those that report names, births and ends, of a process.
    Sideband(u32),
}

impl What {
    fn is_in(self, set: &EventSet) -> bool {
        match self {
            Self::Watch(watch) => set.watch == Some(watch),
            Self::Register(register) => {
                set.carried.is_some_and(|carried| carried.register == register)
            }
            Self::Moved(pid, watch) => set.is_of(pid, watch as usize),
            Self::Sideband(pid) => set.pid == pid && set.watch.is_none() && set.reports(),
        }
    }
}

/// What was switched of late, and is to be once more if births were missed by it.
#[derive(Debug, Default)]
pub(super) struct Switched {
    pending: Vec<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    what: What,
    /// When it was begun to be switched last.
    since: u64,
    /// So many had been born when it was switched once more.
    minded: Option<u64>,
}

impl Switched {
    /// It is being switched from now on. Whom it missed before it does not miss now.
    pub(super) fn note(&mut self, what: What, now: u64) {
        self.pending.retain(|pending| pending.what != what);
        self.pending.push(Pending { what, since: now, minded: None });
    }

    /// What is to be switched once more, where records up to `bound` have been seen: when
    /// the first birth is known that it may have missed, and where there are more for the
    /// last time when none can come any more.
    fn due(&mut self, family: &Family, bound: u64) -> Vec<What> {
        let mut due = Vec::new();
        self.pending.retain_mut(|pending| {
            let is_over = bound >= pending.since.saturating_add(BIRTH_NS);
            let missed = family.born_since(pending.since)
                && pending.minded.is_none_or(|born| is_over && family.born() > born);
            if missed {
                pending.minded = Some(family.born());
                due.push(pending.what);
            }
            !is_over
        });
        due
    }
}

impl Session {
    /// Takes over events that are open and lead into the rings, and starts
    /// them, the sideband first, that it lacks no name of a hit. On an error
    /// they are closed.
    pub(in super::super) fn adopt(
        &mut self,
        kernel: &dyn Kernel,
        sets: Vec<EventSet>,
    ) -> Result<()> {
        match self.begin(kernel, &sets) {
            Ok(()) => self.sets.extend(sets),
            Err(errno) => {
                self.part_with(kernel, sets);
                return Err(errno);
            }
        }
        Ok(())
    }

    /// Knows the identifiers of events and starts them.
    fn begin(&mut self, kernel: &dyn Kernel, sets: &[EventSet]) -> Result<()> {
        let mut ids = Vec::new();
        for set in sets {
            if let Some(watch) = set.watch {
                if !set.is_programmed() {
                    let number = set.number().unwrap_or(watch);
                    ids.extend(set.ids(kernel)?.into_iter().map(|id| (id, number)));
                }
                if let Some(layout) = set.layout() {
                    self.watches[watch as usize].layout = layout;
                }
            }
        }
        // Before they are on: their records are known from the first on.
        self.ids.add(&ids);
        let now = kernel.clock();
        for set in sets.iter().filter(|set| set.is_inherited()) {
            let what = set.watch.map_or(What::Sideband(set.pid), What::Watch);
            self.switched.note(what, now);
        }
        self.start(kernel, sets)?;
        if let Some(pid) = sets.iter().find(|set| set.is_inherited()).map(|set| set.pid) {
            births::settle_all(kernel, pid)?;
            self.start(kernel, sets)?;
        }
        Ok(())
    }

    /// Lets events report that are to, the sideband first.
    fn start(&self, kernel: &dyn Kernel, sets: &[EventSet]) -> Result<()> {
        let (sideband, hits): (Vec<_>, Vec<_>) =
            sets.iter().partition(|set| set.watch.is_none());
        for set in sideband.into_iter().chain(hits) {
            if is_wanted(&self.watches, set) && set.reports() {
                set.switch(kernel, true)?;
            }
        }
        Ok(())
    }

    /// Lets the events of a watch report, or not.
    pub(in super::super) fn switch(
        &mut self,
        kernel: &dyn Kernel,
        watch: usize,
        on: bool,
    ) -> std::io::Result<()> {
        self.switched.note(What::Watch(watch as u32), kernel.clock());
        let number = Some(watch as u32);
        if let (Some(programs), true) = (&mut self.programs, on) {
            programs.renews(&[watch as u32]);
        }
        for set in self.sets.iter().filter(|set| set.watch == number && set.is_placed()) {
            set.switch(kernel, on)?;
        }
        if let Some(state) = self.watches.get_mut(watch) {
            state.on = on;
        }
        Ok(())
    }

    /// Switches and moves events once more where threads were born meanwhile. All records
    /// up to `bound` have been handed on.
    ///
    /// What is moved once more is off for a moment, and nothing is known of what it holds
    /// then. What is passed on is not: who has the old address is not told of until the
    /// register is passed on again.
    pub(super) fn mind_births(&mut self, kernel: &dyn Kernel, bound: u64) {
        for what in self.switched.due(&self.family, bound) {
            if let (What::Moved(_, watch), Some(programs)) = (what, &mut self.programs) {
                programs.renews(&[watch]);
            }
            let of_it = |set: &&mut EventSet| set.is_inherited() && what.is_in(set);
            for set in self.sets.iter_mut().filter(of_it) {
                let on = is_wanted(&self.watches, set);
                let moved = matches!(what, What::Moved(..)) && set.is_placed();
                // Both can only fail for a descriptor that is no event.
                let _ = match set.watched().filter(|_| moved) {
                    Some(there) => set.move_to(kernel, there.address, on),
                    None => set.switch(kernel, on),
                };
            }
        }
    }
}

/// Whether events are to report: where they are somewhere, and their watch is on.
fn is_wanted(watches: &[WatchState], set: &EventSet) -> bool {
    set.is_placed() && set.watch.is_none_or(|watch| watches[watch as usize].on)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::engine::perf::{PerfEngine, PerfOptions};
    use crate::engine::{Engine, Turn};
    use crate::event::{Event, Trigger, Watch};
    use crate::kernel::Errno;
    use crate::kernel::fake::{Call, Fake};
    use crate::plan::Plan;

    #[test]
    fn a_process_that_can_not_be_started_leaves_nothing_behind() {
        let watch = |address| Some(Watch { address, length: 8, trigger: Trigger::Write });
        for call in [Call::PerfSetOutput, Call::PerfEnable] {
            let fake = Rc::new(Fake::new(2, &[1]));
            let mut engine = PerfEngine::new(fake.clone(), PerfOptions::default());
            let plan = Plan { moves: true, ..Plan::default() };
            engine.set_plans(&[plan.clone(), plan]);
            engine.set_turns(&[Turn::Has, Turn::Waits]);
            engine.attach(1, &[watch(0x1000), watch(0x1008)]).expect("attached");
            fake.set_listings(&[&[2]]);
            let there = [watch(0x2000), watch(0x2008)];
            for failing in [true, false] {
                if failing {
                    fake.fail(call, 0, Errno::EIO);
                }
                assert_eq!(engine.attach(2, &there).is_err(), failing, "{call:?}");
                let (_, session) = engine.armed.as_ref().expect("one is");
                let processes = if failing { 1 } else { 2 };
                assert_eq!(session.turns.addresses(0).len(), processes, "{call:?}");
                assert_eq!(session.places.of(1).count(), processes, "{call:?}");
            }
        }
    }

    fn born(family: &mut Family, time: u64) {
        let event = Event::Fork { time, pid: 1, tid: 2, parent_pid: 1, parent_tid: 1 };
        family.note(&event);
    }

    #[test]
    fn what_may_have_missed_births_is_due_at_once_and_in_the_end() {
        let (mut family, mut switched) = (Family::new(true), Switched::default());
        family.arm(1, 1);
        switched.note(What::Watch(0), 100);
        assert_eq!(switched.due(&family, 120), []);
        switched.note(What::Watch(1), 150);
        born(&mut family, 140);
        assert_eq!(switched.due(&family, 160), [What::Watch(0)]);
        assert_eq!(switched.due(&family, 170), []);
        born(&mut family, 200);
        assert_eq!(switched.due(&family, 210), [What::Watch(1)]);
        // Once more for the second birth, and for none after the last.
        assert_eq!(switched.due(&family, 100 + BIRTH_NS), [What::Watch(0)]);
        assert_eq!(switched.due(&family, 150 + BIRTH_NS), []);
        born(&mut family, 200 + BIRTH_NS);
        assert_eq!(switched.due(&family, 300 + BIRTH_NS), []);
    }

    #[test]
    fn what_is_switched_again_misses_others() {
        let (mut family, mut switched) = (Family::new(true), Switched::default());
        family.arm(1, 1);
        switched.note(What::Moved(1, 0), 100);
        born(&mut family, 110);
        switched.note(What::Moved(1, 0), 120);
        assert_eq!(switched.due(&family, 130), []);
        // Late, and of nobody who has events.
        born(&mut family, 105);
        let stranger =
            Event::Fork { time: 140, pid: 8, tid: 8, parent_pid: 7, parent_tid: 7 };
        family.note(&stranger);
        assert_eq!(switched.due(&family, 150), []);
        born(&mut family, 160);
        assert_eq!(switched.due(&family, 170), [What::Moved(1, 0)]);
    }
}
