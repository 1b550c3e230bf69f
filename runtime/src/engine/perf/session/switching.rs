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
use super::Session;
use crate::kernel::{Kernel, Result};

/// No birth takes longer than that, nanoseconds, as far as is seen.
const BIRTH_NS: u64 = 100_000_000;

/// What was switched of late.
#[derive(Debug, Default)]
pub(super) struct Switched {
    /// When last; none once it is known whether anybody was born then.
    since: Option<u64>,
    /// The watches that were moved: with a process, by number.
    moved: Vec<(u32, usize)>,
}

impl Switched {
    /// Events are being switched, or were a moment ago.
    pub(super) fn note(&mut self, now: u64) {
        self.since = Some(now);
    }

    /// Those of a watch of a process are being moved.
    pub(super) fn note_move(&mut self, moved: (u32, usize), now: u64) {
        self.note(now);
        if !self.moved.contains(&moved) {
            self.moved.push(moved);
        }
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
        let mut ids = Vec::new();
        for set in &sets {
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
        self.start(kernel, &sets)?;
        if let Some(set) = sets.iter().find(|set| set.is_inherited()) {
            births::settle_all(kernel, set.pid)?;
            self.start(kernel, &sets)?;
        }
        self.sets.extend(sets);
        Ok(())
    }

    /// Lets events report that are to, the sideband first.
    fn start(&self, kernel: &dyn Kernel, sets: &[EventSet]) -> Result<()> {
        let (sideband, hits): (Vec<_>, Vec<_>) =
            sets.iter().partition(|set| set.watch.is_none());
        for set in sideband.into_iter().chain(hits) {
            let on = set.watch.is_none_or(|watch| self.watches[watch as usize].on);
            if on && set.is_placed() && set.reports() {
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
        self.switched.note(kernel.clock());
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

    /// Switches and moves events once more where a thread was born meanwhile. Records have
    /// been handed on up to some milliseconds before `now`.
    pub(super) fn mind_births(&mut self, kernel: &dyn Kernel, now: u64) {
        let Some(since) = self.switched.since else { return };
        let born = self.family.born_since(since);
        if !born && now < since.saturating_add(BIRTH_NS) {
            return;
        }
        let Switched { moved, .. } = std::mem::take(&mut self.switched);
        let inherited = |set: &&mut EventSet| set.is_inherited() && set.is_placed();
        for set in self.sets.iter_mut().filter(|set| born && inherited(set)) {
            let Some(watch) = set.watch else { continue };
            let on = self.watches[watch as usize].on;
            let moves = moved.contains(&(set.pid, watch as usize)) && !set.left;
            // Both can only fail for a descriptor that is no event.
            let _ = match set.watched().filter(|_| moves) {
                Some(there) => set.move_to(kernel, there.address, on),
                None => set.switch(kernel, on),
            };
        }
    }
}
