//! From arming until the engine goes: draining, disarming, accounting.

use std::os::fd::RawFd;

use super::arm::ThreadEvent;
use super::guard::{CpuRing, bad_record};
use super::ids::IdMap;
use crate::engine::{Account, Flow};
use crate::event::{Event, RawHit};
use crate::kernel::Kernel;
use crate::merge::{Merge, SETTLE_HASTE_NS, SETTLE_NS};
use crate::record::Record;

/// What is armed, and what comes of it.
pub(super) struct Session {
    /// Closed before the rings are unmapped: in this order. Empty once
    /// disarmed.
    events: Vec<ThreadEvent>,
    rings: Vec<CpuRing>,
    ids: IdMap,
    merge: Merge,
    watches: usize,
    figures: Figures,
    /// The final sums, once disarmed.
    closed: Option<Totals>,
    /// Whether everything was drained after that.
    drained: bool,
}

/// What is counted as the records go by.
#[derive(Debug, Default)]
struct Figures {
    /// Hits that were handed on.
    delivered: u64,
    /// Sum of the records that report losses.
    reported_lost: u64,
    /// Whether a record of this round made no sense.
    malformed: bool,
}

/// Sums over all events.
#[derive(Clone, Debug, Default)]
struct Totals {
    /// Hits, by watch.
    counted: Vec<u64>,
    lost: u64,
    lost_sideband: u64,
    /// Whether the kernel told of the losses.
    lost_known: bool,
}

impl Session {
    pub(super) fn new(
        events: Vec<ThreadEvent>,
        rings: Vec<CpuRing>,
        ids: IdMap,
        watches: usize,
    ) -> Self {
        let merge = Merge::with_capacity(rings.len());
        let figures = Figures::default();
        Self { events, rings, ids, merge, watches, figures, closed: None, drained: false }
    }

    pub(super) fn is_armed(&self) -> bool {
        self.closed.is_none()
    }

    pub(super) fn wake_fds(&self) -> Vec<RawFd> {
        self.rings.iter().map(CpuRing::owner).collect()
    }

    /// One round of the merge; `now` is the clock before it. Allocates
    /// nothing and calls nobody but `sink`.
    pub(super) fn drain(
        &mut self,
        now: u64,
        all: bool,
        sink: &mut dyn FnMut(Event<'_>) -> Flow,
    ) -> std::io::Result<()> {
        for ring in &mut self.rings {
            ring.refresh().map_err(bad_record)?;
        }
        let settle = match self.rings.iter().any(CpuRing::is_filling) {
            true => SETTLE_HASTE_NS,
            false => SETTLE_NS,
        };
        let bound = if all { u64::MAX } else { now.saturating_sub(settle) };
        let (ids, figures) = (&self.ids, &mut self.figures);
        let mut flow = Flow::Continue;
        let merged = self.merge.round(&mut self.rings, bound, |ring| {
            flow = hand_on(ring, ids, figures, sink);
            flow
        });
        for ring in &mut self.rings {
            ring.publish();
        }
        merged?;
        if std::mem::take(&mut self.figures.malformed) {
            let kind = std::io::ErrorKind::InvalidData;
            return Err(std::io::Error::new(kind, "a perf record makes no sense"));
        }
        self.drained = all && flow == Flow::Continue && self.closed.is_some();
        Ok(())
    }

    pub(super) fn switch(
        &self,
        kernel: &dyn Kernel,
        watch: usize,
        on: bool,
    ) -> std::io::Result<()> {
        let own = |event: &&ThreadEvent| event.watch == Some(watch as u32);
        for ThreadEvent { event, .. } in self.events.iter().filter(own) {
            match on {
                true => kernel.perf_enable(event.descriptor())?,
                false => kernel.perf_disable(event.descriptor())?,
            }
        }
        Ok(())
    }

    /// Stops all events, reads them a last time and closes them.
    pub(super) fn disarm(&mut self, kernel: &dyn Kernel) {
        if self.closed.is_some() {
            return;
        }
        for ThreadEvent { event, .. } in &self.events {
            // It can only fail for a descriptor that is no event.
            let _ = kernel.perf_disable(event.descriptor());
        }
        self.closed = Some(self.totals(kernel));
        self.events.clear();
    }

    pub(super) fn account(&self, kernel: &dyn Kernel) -> Account {
        let totals = match &self.closed {
            Some(totals) => totals.clone(),
            None => self.totals(kernel),
        };
        let counted: u64 = totals.counted.iter().sum();
        let lost = match (totals.lost_known, self.drained) {
            (true, _) => totals.lost,
            // An old kernel reports a loss with the next record that finds
            // room, so the last one it may never report; but what was
            // counted and never came is lost.
            (false, true) => counted.saturating_sub(self.figures.delivered),
            (false, false) => self.figures.reported_lost,
        };
        let lost_sideband = totals.lost_sideband;
        Account { counted: totals.counted, lost, lost_sideband, late: self.merge.late() }
    }

    fn totals(&self, kernel: &dyn Kernel) -> Totals {
        let mut totals = Totals { counted: vec![0; self.watches], ..Totals::default() };
        for ThreadEvent { event, watch, .. } in &self.events {
            totals.lost_known |= event.spec.features.format_lost;
            // As for disabling: nothing can fail here but a bad descriptor.
            let counter = kernel.perf_read(event.descriptor(), &event.spec);
            let counter = counter.unwrap_or_default();
            let lost = counter.lost.unwrap_or(0);
            match watch.and_then(|watch| totals.counted.get_mut(watch as usize)) {
                Some(counted) => {
                    *counted += counter.value;
                    totals.lost += lost;
                }
                None => totals.lost_sideband += lost,
            }
        }
        totals
    }
}

/// Hands the first record of a ring to the session's user.
fn hand_on(
    ring: &CpuRing,
    ids: &IdMap,
    figures: &mut Figures,
    sink: &mut dyn FnMut(Event<'_>) -> Flow,
) -> Flow {
    let event = match ring.record() {
        Some(Record::Sample(sample)) => match ids.watch(sample.id) {
            Some(watch) => {
                figures.delivered += 1;
                Event::Hit(RawHit {
                    watch,
                    pid: sample.pid,
                    tid: sample.tid,
                    cpu: sample.cpu,
                    time: sample.time,
                    ip: sample.ip,
                    kernel: sample.kernel,
                    registers: sample.registers,
                })
            }
            None => {
                figures.malformed = true;
                return Flow::Continue;
            }
        },
        Some(Record::Comm { time, pid, tid, name, exec }) => {
            Event::Comm { time, pid, tid, name, exec }
        }
        Some(Record::Fork(task)) => Event::Fork {
            time: task.time,
            pid: task.pid,
            tid: task.tid,
            parent_pid: task.parent_pid,
            parent_tid: task.parent_tid,
        },
        Some(Record::Exit(task)) => {
            Event::Exit { time: task.time, pid: task.pid, tid: task.tid }
        }
        Some(Record::Mmap { time, pid, address, length, offset, path }) => {
            Event::Mmap { time, pid, address, length, offset, path }
        }
        Some(Record::Lost { lost, .. }) => {
            figures.reported_lost += lost;
            Event::Lost { count: lost }
        }
        Some(Record::Other { .. }) => return Flow::Continue,
        None => {
            figures.malformed = true;
            return Flow::Continue;
        }
    };
    sink(event)
}
