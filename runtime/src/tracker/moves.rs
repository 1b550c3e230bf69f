//! Watches that are switched on again, or moved: what they hold is read anew.

use super::slot::Slot;
use super::values::{confirm, read};
use super::{Memory, Tracker};
use crate::event::Watch;

impl Tracker {
    /// Reads the values at one watch, before it is armed again; `now` is
    /// CLOCK_MONOTONIC in nanoseconds.
    pub fn refresh(&mut self, watch: usize, now: u64, memory: &mut dyn Memory) {
        let Some(like) = self.watches.get(watch).copied() else { return };
        self.each_slot(watch, |slot, pid| {
            slot.move_to(slot.address(), now);
            slot.holds(read(slot, like, pid, memory, true));
        });
    }

    /// Reads them once more when it is: one that differs is not sure.
    pub fn confirm(&mut self, watch: usize, memory: &mut dyn Memory) {
        let Some(like) = self.watches.get(watch).copied() else { return };
        self.each_slot(watch, |slot, pid| confirm(slot, like, pid, memory));
    }

    /// A watch is wherever it is; with each the process whose memory it is.
    pub(super) fn each_slot(
        &mut self,
        watch: usize,
        mut act: impl FnMut(&mut Slot, u32),
    ) {
        let is_kernel = self.watches.get(watch).is_some_and(Watch::is_kernel);
        if is_kernel {
            self.kernel.get_mut(watch).into_iter().for_each(|slot| act(slot, 0));
            return;
        }
        for (pid, process) in &mut self.processes {
            process.slots.get_mut(watch).into_iter().for_each(|slot| act(slot, *pid));
        }
        for own in self.own.values_mut().flatten().filter(|own| own.watch == watch) {
            act(&mut own.slot, own.pid);
        }
    }

    /// A watch of a process, and of those that inherited it, is about to be moved,
    /// or to nowhere: reads what is there. To be followed by
    /// [`Tracker::confirm_move`]; `now` as in [`Tracker::refresh`].
    pub fn move_watch(
        &mut self,
        pid: u32,
        watch: usize,
        address: Option<u64>,
        now: u64,
        memory: &mut dyn Memory,
    ) {
        let address = address.unwrap_or(Watch::PENDING);
        self.each_heir(pid, watch, |slot, like, pid| {
            slot.move_to(address, now);
            slot.holds(read(slot, like, pid, memory, true));
        });
    }

    /// The process that was armed and whose watches a process has: itself, or who forked it.
    pub fn root(&self, pid: u32) -> Option<u32> {
        Some(self.processes.get(&pid)?.root)
    }

    /// It was moved: hits from `since` on are of the new address, as
    /// [`Engine::retarget`] says. Reads once more what is there.
    ///
    /// [`Engine::retarget`]: crate::engine::Engine::retarget
    pub fn confirm_move(
        &mut self,
        pid: u32,
        watch: usize,
        since: u64,
        memory: &mut dyn Memory,
    ) {
        self.each_heir(pid, watch, |slot, like, pid| {
            slot.renew(since);
            confirm(slot, like, pid, memory);
        });
    }

    /// A watch of a process and of those that inherited it, with whose it is.
    fn each_heir(
        &mut self,
        pid: u32,
        watch: usize,
        mut act: impl FnMut(&mut Slot, Watch, u32),
    ) {
        let Some(like) = self.watches.get(watch).copied() else { return };
        for (heir, process) in &mut self.processes {
            if let (true, Some(slot)) =
                (process.root == pid, process.slots.get_mut(watch))
            {
                act(slot, like, *heir);
            }
        }
    }
}
