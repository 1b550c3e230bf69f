//! What changed while a watch had no register: found when it has one again.
//!
//! Hits of before are told later than registers are passed on. So what memory holds then is
//! kept, and compared with the shadow when all hits of before have been.

use std::collections::VecDeque;

use super::slot::{Reading, Shadow, Slot};
use super::values::read;
use super::{Held, Memory, Tracker};
use crate::engine::Whose;
use crate::event::Watch;
use crate::schema::{AccessKind, ByteRange, HitRecord, UNSURE_NEW, UNSURE_OLD};

/// Watches that have a register again.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// In the order of time.
    back: VecDeque<Back>,
    /// Changes that are to be told.
    changes: VecDeque<HitRecord>,
}

/// A watch has a register again.
#[derive(Debug)]
struct Back {
    since: u64,
    watch: usize,
    /// What it holds then.
    held: Vec<(Whose, Shadow)>,
}

impl Tracker {
    /// A watch that had no register is about to have one: reads what it holds, and gives
    /// it. To be followed by [`Tracker::came_back`].
    pub fn comes_back(&mut self, watch: usize, memory: &mut dyn Memory) -> Vec<Held> {
        let held = self.read_all(watch, memory);
        let values = held.iter().map(|(whose, shadow)| Held {
            whose: *whose,
            watch,
            value: shadow.value,
        });
        let values = values.collect();
        self.away.back.push_back(Back { since: u64::MAX, watch, held });
        values
    }

    /// It has it since then, nanoseconds of CLOCK_MONOTONIC. Reads once more, and gives what
    /// it holds: where that is something else, what was read before is in doubt.
    pub fn came_back(
        &mut self,
        watch: usize,
        since: u64,
        memory: &mut dyn Memory,
    ) -> Vec<Held> {
        let now = self.read_all(watch, memory);
        let until = memory.clock();
        let back = &mut self.away.back;
        let own = |it: &Back| it.watch == watch && it.since == u64::MAX;
        let Some(at) = back.iter().rposition(own) else { return Vec::new() };
        back[at].since = since;
        let mut held = std::mem::take(&mut back[at].held);
        let mut values = Vec::new();
        for (whose, shadow) in &mut held {
            let before = *shadow;
            let now = now.iter().find(|it| it.0 == *whose).map(|it| it.1);
            shadow.sure &= now == Some(before);
            values.extend(now.map(|it| Held { whose: *whose, watch, value: it.value }));
            if let Some(slot) = self.slot(*whose, watch) {
                slot.doubt(since, Some(before), Reading { shadow: now, until });
            }
        }
        self.away.back[at].held = held;
        values
    }

    /// A change that no register watched, found up to this time, at which all hits of
    /// before have been completed. Asked until there is none.
    pub fn away(&mut self, bound: u64) -> Option<HitRecord> {
        while let Some(back) = self.away.back.pop_front_if(|back| back.since <= bound) {
            self.settle(&back);
        }
        self.away.changes.pop_front()
    }

    fn settle(&mut self, back: &Back) {
        let like = self.watches[back.watch];
        for (whose, now) in &back.held {
            let slot = self.slot(*whose, back.watch);
            let Some(slot) = slot.filter(|slot| !slot.is_younger_than(back.since)) else {
                continue;
            };
            let before = slot.shadow();
            slot.holds(Some(*now));
            slot.settle_doubt(back.since);
            let changed = before.filter(|before| before.value != now.value);
            if let Some(before) = changed {
                let watch = slot.watch(like);
                let pid = whose.owner().unwrap_or(0);
                let change = change(back, (pid, watch), (before, *now));
                self.away.changes.push_back(change);
            }
        }
    }

    /// A watch that takes turns, where it is; none of a thread's own, which do not.
    fn slot(&mut self, whose: Whose, watch: usize) -> Option<&mut Slot> {
        match whose {
            Whose::Process(pid) => self.processes.get_mut(&pid)?.slots.get_mut(watch),
            Whose::Kernel => self.kernel.get_mut(watch),
            Whose::Thread(_) => None,
        }
    }

    /// What a watch holds in each process, or the kernel.
    fn read_all(&self, watch: usize, memory: &mut dyn Memory) -> Vec<(Whose, Shadow)> {
        let Some(like) = self.watches.get(watch) else { return Vec::new() };
        if like.is_kernel() {
            let slot = self.kernel.get(watch).into_iter();
            let held = slot.filter_map(|slot| read(slot, *like, 0, memory, true));
            return held.map(|shadow| (Whose::Kernel, shadow)).collect();
        }
        let processes = self.processes.iter().filter_map(|(pid, process)| {
            let slot = process.slots.get(watch)?;
            Some((Whose::Process(*pid), read(slot, *like, *pid, memory, true)?))
        });
        processes.collect()
    }
}

/// The record of a change.
fn change(
    back: &Back,
    (pid, watch): (u32, Watch),
    (before, now): (Shadow, Shadow),
) -> HitRecord {
    let doubt = |sure, doubt| if sure { 0 } else { doubt };
    HitRecord {
        time: back.since,
        data_address: watch.address,
        data_length: watch.length,
        old: before.value,
        new: now.value,
        pid,
        watch: back.watch as u32,
        access: AccessKind::Away as u32,
        doubts: doubt(before.sure, UNSURE_OLD) | doubt(now.sure, UNSURE_NEW),
        touched: ByteRange::differing(before.value, now.value),
        ..HitRecord::default()
    }
}
