//! The events that are open, and what is done to them: by thread and part.

use std::os::fd::RawFd;

use super::guard::PerfEvent;
use super::turns::Carried;
use crate::attr::{Role, Sampled};
use crate::event::Watch;
use crate::kernel::{EVERY, Kernel, Result};
use crate::record::Layout;

/// How the hits of a watch are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// As a sample.
    Sample(Sampled),
    /// By a program.
    Program(RawFd),
}

impl Capture {
    /// The part that its events play; with `own` it is one thread's.
    pub(super) fn role(self, watch: Watch, own: bool) -> Role {
        match (self, own) {
            (Self::Program(_), own) => Role::Programmed { watch, own },
            (Self::Sample(sampled), true) => Role::ThreadBreakpoint { watch, sampled },
            (Self::Sample(sampled), false) => Role::Breakpoint { watch, sampled },
        }
    }
}

/// The events of one thread that play one part: one for each CPU, or one for all.
pub(super) struct EventSet {
    /// The process for which it was opened; 0 for all.
    pub(super) pid: u32,
    /// The thread; all where [`crate::kernel::EVERY`].
    pub(super) tid: u32,
    /// Index of its watch; None for the sideband.
    pub(super) watch: Option<u32>,
    /// By index of the CPU; one where it serves all.
    pub(super) events: Vec<PerfEvent>,
    /// The same of the sideband once more, for who wants it at once.
    pub(super) news: Vec<PerfEvent>,
    /// Where watches take turns on its register.
    pub(super) carried: Option<Carried>,
    /// Hits that were counted before the turn on its register began.
    before: u64,
    /// Its process executes another image since: only children are left that
    /// inherited it.
    pub(super) left: bool,
    /// Another event, with which it ends: it is without a ring, and can not tell.
    witness: Option<RawFd>,
}

impl EventSet {
    /// A set without events.
    pub(super) fn new(pid: u32, tid: u32, watch: Option<u32>) -> Self {
        let (events, news) = (Vec::new(), Vec::new());
        let (carried, witness, left) = (None, None, false);
        Self { pid, tid, watch, events, news, carried, before: 0, left, witness }
    }

    /// How its samples are laid out; None without events.
    pub(super) fn layout(&self) -> Option<Layout> {
        let (sample_type, registers) = self.role()?.fields();
        Layout::new(sample_type, registers)
    }

    /// What it watches; None for the sideband.
    pub(super) fn watched(&self) -> Option<Watch> {
        self.role()?.watch()
    }

    fn role(&self) -> Option<Role> {
        self.events.first().map(|event| event.spec.role)
    }

    /// Whether a program is run at its hits.
    pub(super) fn is_programmed(&self) -> bool {
        matches!(self.role(), Some(Role::Programmed { .. }))
    }

    /// Whether threads that are created later have it, too.
    pub(super) fn is_inherited(&self) -> bool {
        self.events.first().is_some_and(|event| event.spec.inherit())
    }

    /// Whether it ever reports anything.
    pub(super) fn reports(&self) -> bool {
        !matches!(self.role(), Some(Role::Witness { .. }))
    }

    /// Has it end with another set, if it can not tell its end.
    pub(super) fn end_with(&mut self, witness: &Self) {
        if self.is_programmed() {
            self.witness = witness.first();
        }
    }

    /// Whether poll(2) of its [first event](Self::first) tells its end.
    pub(super) fn tells_its_end(&self) -> bool {
        self.witness.is_none() && self.tid != EVERY
    }

    /// The event that tells its end.
    pub(super) fn end(&self) -> Option<RawFd> {
        self.witness.or_else(|| self.first())
    }

    /// Whether it can have hits: not before its address is known.
    pub(super) fn is_placed(&self) -> bool {
        self.watched().is_none_or(|watch| watch.is_placed())
    }

    /// Whether it is what a watch is in a process now.
    pub(super) fn is_of(&self, pid: u32, watch: usize) -> bool {
        self.pid == pid && self.watch == Some(watch as u32) && !self.left
    }

    /// One event that stands for all of them: they end together.
    pub(super) fn first(&self) -> Option<RawFd> {
        self.events.first().map(PerfEvent::descriptor)
    }

    /// How many descriptors it holds.
    pub(super) fn descriptors(&self) -> usize {
        self.events.len() + self.news.len()
    }

    /// Identifiers of its events.
    pub(super) fn ids(&self, kernel: &dyn Kernel) -> Result<Vec<u64>> {
        self.events.iter().map(|event| kernel.perf_id(event.descriptor())).collect()
    }

    /// Lets it report, or not.
    pub(super) fn switch(&self, kernel: &dyn Kernel, on: bool) -> Result<()> {
        for event in self.events.iter().chain(&self.news) {
            match on {
                true => kernel.perf_enable(event.descriptor())?,
                false => kernel.perf_disable(event.descriptor())?,
            }
        }
        Ok(())
    }

    /// What an identifier of its events stands for: a watch, or what they carry.
    pub(super) fn number(&self) -> Option<u32> {
        self.carried.map(Carried::number).or(self.watch)
    }

    /// Has it watch another address, and be on or off after.
    pub(super) fn move_to(
        &mut self,
        kernel: &dyn Kernel,
        address: u64,
        on: bool,
    ) -> Result<()> {
        let Some(watch) = self.watched() else { return Ok(()) };
        self.become_watch(kernel, Watch { address, ..watch }, on)
    }

    /// Adds what was counted in the turn that ends, while it is off: of events that are on
    /// the kernel asks other CPUs.
    pub(super) fn count_turn(&mut self, kernel: &dyn Kernel, totals: &mut Totals) {
        let counter = |event: &PerfEvent| {
            // Nothing can fail here but a bad descriptor.
            kernel.perf_read(event.descriptor(), &event.spec).unwrap_or_default().value
        };
        let counted = self.events.iter().map(counter).sum();
        totals.count(self.watch, u64::saturating_sub(counted, self.before));
        self.before = counted;
    }

    /// Passes its register on to another watch, which is there; where it is nowhere it
    /// stays off.
    pub(super) fn pass(
        &mut self,
        kernel: &dyn Kernel,
        (number, place): (u32, Option<Watch>),
        on: bool,
    ) -> Result<()> {
        self.watch = Some(number);
        let passed = match place.filter(Watch::is_placed) {
            Some(place) => self.become_watch(kernel, place, on),
            None => {
                self.unplace();
                return Ok(());
            }
        };
        passed.inspect_err(|_| {
            let _ = self.switch(kernel, false);
            self.unplace();
        })
    }

    fn become_watch(
        &mut self,
        kernel: &dyn Kernel,
        watch: Watch,
        on: bool,
    ) -> Result<()> {
        for event in &mut self.events {
            event.spec.role = event.spec.role.of(watch);
            kernel.perf_change(event.descriptor(), &event.spec, on)?;
        }
        Ok(())
    }

    /// Makes it as if its address were not known yet; it is off already.
    pub(super) fn unplace(&mut self) {
        for event in &mut self.events {
            event.spec.role = event.spec.role.moved_to(Watch::PENDING);
        }
    }
}

/// Sums over events.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// Hits, by watch.
    pub(super) counted: Vec<u64>,
    /// Hits without room.
    pub(super) lost: u64,
    /// Other records without room.
    pub(super) lost_sideband: u64,
    /// Whether the kernel told of the losses.
    pub(super) lost_known: bool,
}

impl Totals {
    /// Adds what the kernel counts in a set.
    pub(super) fn add(&mut self, kernel: &dyn Kernel, set: &EventSet) {
        let mut sum = 0;
        for event in &set.events {
            self.lost_known |= event.spec.features.format_lost;
            // Nothing can fail here but a bad descriptor.
            let counter = kernel.perf_read(event.descriptor(), &event.spec);
            let counter = counter.unwrap_or_default();
            sum += counter.value;
            let lost = counter.lost.unwrap_or(0);
            match set.watch {
                Some(_) => self.lost += lost,
                None => self.lost_sideband += lost,
            }
        }
        // Those of earlier turns were added then.
        self.count(set.watch, sum.saturating_sub(set.before));
    }

    fn count(&mut self, watch: Option<u32>, hits: u64) {
        let counted = watch.and_then(|watch| self.counted.get_mut(watch as usize));
        counted.into_iter().for_each(|counted| *counted += hits);
    }
}
