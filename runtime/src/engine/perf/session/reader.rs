//! Makes events of records: which watch a hit is of, and whether of any.

use super::super::guard::{CpuRing, Source};
use super::super::ids::IdMap;
use super::super::places::Places;
use super::super::turns::{Carried, Turns};
use super::{Figures, WatchState};
use crate::attr::Sampled;
use crate::engine::Flow;
use crate::engine::bpf::Programs;
use crate::event::{Event, RawHit};
use crate::record::{Layout, Record, Sample};

/// Why a record becomes no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    /// Nobody needs it.
    Unneeded,
    /// It makes no sense.
    Senseless,
    /// It is a hit, and nobody's.
    Stray,
}

/// Makes events of records.
pub(super) struct Reader<'s> {
    pub(super) ids: &'s IdMap,
    pub(super) watches: &'s [WatchState],
    pub(super) sampled: &'s [Sampled],
    pub(super) turns: &'s Turns,
    pub(super) programs: Option<&'s Programs>,
    /// That of records that are no samples.
    pub(super) plain: Layout,
}

impl Reader<'_> {
    /// Hands on what comes first, of either kind.
    pub(super) fn hand_on_from(
        &self,
        source: &Source,
        places: &mut Places,
        figures: &mut Figures,
        sink: &mut dyn FnMut(Event<'_>) -> Flow,
    ) -> Flow {
        let hits = match source {
            Source::Perf(ring) => return self.hand_on(ring, places, figures, sink),
            Source::Programs(hits) => hits,
        };
        let hit = self.programs.and_then(|programs| hits.hit(programs.rules()));
        let known = |hit: &RawHit<'_>| (hit.watch as usize) < self.watches.len();
        let Some((hit, address)) = hit.filter(|(hit, _)| known(hit)) else {
            figures.malformed = true;
            return Flow::Continue;
        };
        if address.is_some_and(|address| !self.is_of_watch(&hit, address, places)) {
            figures.strays += 1;
            return Flow::Continue;
        }
        figures.delivered += 1;
        sink(Event::Hit(hit))
    }

    /// Whether a program's hit is where its watch was. A program that did not know is told.
    fn is_of_watch(&self, hit: &RawHit<'_>, address: u64, places: &Places) -> bool {
        let RawHit { pid, watch, time, .. } = *hit;
        let was = places.was_at((pid, watch), address, time);
        if was && hit.at_hit.told.is_none() && places.is_at(pid, watch, address) {
            self.programs.into_iter().for_each(|it| it.place(pid, watch, address));
        }
        was
    }

    /// Hands the first record of a ring to the session's user.
    pub(super) fn hand_on(
        &self,
        ring: &CpuRing,
        places: &mut Places,
        figures: &mut Figures,
        sink: &mut dyn FnMut(Event<'_>) -> Flow,
    ) -> Flow {
        let record = ring.front().ok_or(Skip::Senseless);
        match record.and_then(|words| self.event(words, places)) {
            Ok(event) => {
                match event {
                    Event::Hit(_) => figures.delivered += 1,
                    Event::Lost { count } => figures.reported_lost += count,
                    _ => places.note(&event),
                }
                sink(event)
            }
            Err(skip) => {
                figures.malformed |= skip == Skip::Senseless;
                figures.strays += u64::from(skip == Skip::Stray);
                Flow::Continue
            }
        }
    }

    /// How a record is laid out, that of a sample of what has this number.
    fn layout(&self, number: Option<u32>) -> Option<&Layout> {
        match number.map(|number| (number, Carried::of(number))) {
            None => Some(&self.plain),
            Some((_, Some(carried))) => self.turns.layout(carried),
            Some((watch, None)) => {
                let state = self.watches.get(watch as usize);
                Some(state.map_or(&self.plain, |state| &state.layout))
            }
        }
    }

    /// The watch of a sample of what has this number.
    fn watch(
        &self,
        number: u32,
        sample: &Sample<'_>,
        places: &Places,
    ) -> std::result::Result<u32, Skip> {
        let Sample { pid, time, address, .. } = *sample;
        let moves = || self.sampled.get(number as usize).is_some_and(|it| it.address);
        let watch = match Carried::of(number) {
            Some(carried) => self.turns.watch(carried, time, address),
            None if moves() => {
                places.was_at((pid, number), address, time).then_some(number)
            }
            None => Some(number),
        };
        watch.ok_or(Skip::Stray)
    }

    /// The event of a record.
    fn event<'r>(
        &self,
        words: &'r [u64],
        places: &Places,
    ) -> std::result::Result<Event<'r>, Skip> {
        let hit = Layout::sample_id(words).map(|id| self.ids.watch(id));
        let number = hit.map(|number| number.ok_or(Skip::Senseless)).transpose()?;
        let layout = self.layout(number).ok_or(Skip::Stray)?;
        Ok(match layout.parse(words).ok_or(Skip::Senseless)? {
            Record::Sample(sample) => Event::Hit(RawHit {
                watch: self.watch(number.ok_or(Skip::Senseless)?, &sample, places)?,
                pid: sample.pid,
                tid: sample.tid,
                cpu: sample.cpu,
                time: sample.time,
                ip: sample.ip,
                kernel: sample.kernel,
                registers: sample.registers,
                interrupted: sample.interrupted,
                kernel_stack: sample.kernel_stack,
                user_stack: sample.user_stack,
                ..RawHit::default()
            }),
            Record::Comm { time, pid, tid, name, exec } => {
                Event::Comm { time, pid, tid, name, exec }
            }
            Record::Fork(task) => Event::Fork {
                time: task.time,
                pid: task.pid,
                tid: task.tid,
                parent_pid: task.parent_pid,
                parent_tid: task.parent_tid,
            },
            Record::Exit(task) => {
                Event::Exit { time: task.time, pid: task.pid, tid: task.tid }
            }
            Record::Mmap { time, pid, address, length, offset, path } => {
                Event::Mmap { time, pid, address, length, offset, path }
            }
            Record::Lost { lost, .. } => Event::Lost { count: lost },
            Record::Other { .. } => return Err(Skip::Unneeded),
        })
    }
}
