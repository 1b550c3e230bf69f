//! What is done to a process whose thread stands behind an access: before it goes on.

use super::reports::Hit;
use super::tracer::Tracer;
use crate::event::Watch;
use crate::plan::{Act, Does, Input, Space, eval};
use crate::schema::AccessKind;

/// A hit as conditions see it.
struct Seen<'a> {
    tracer: &'a Tracer,
    hit: &'a Hit<'a>,
    watch: Watch,
    /// What the watched bytes were; none where that is not known.
    old: Option<u64>,
}

impl Seen<'_> {
    fn access(&self) -> AccessKind {
        self.hit.at_hit.told.map_or(AccessKind::Unknown, |told| told.kind)
    }

    fn stored(&self) -> Option<u64> {
        let at_hit = &self.hit.at_hit;
        at_hit.told.map(|told| told.new).or(at_hit.memory)
    }

    /// Whether what an act asks for is known.
    fn tells(&self, act: &Act) -> bool {
        let steps = act.when.blocks.iter().flat_map(|block| &block.steps);
        // A stop can be taken back; else the access is to be known: a part of one, as of
        // `rep stosb`, is none.
        let known = act.is_stop() || self.hit.at_hit.told.is_some();
        known
            && steps.into_iter().all(|step| match step.does {
                Does::Input(Input::Old) => self.old.is_some(),
                Does::Input(Input::New) => self.stored().is_some(),
                Does::Input(Input::Access) => self.access() != AccessKind::Unknown,
                _ => true,
            })
    }
}

impl eval::Hit for Seen<'_> {
    fn input(&self, input: Input) -> i64 {
        let value = match input {
            Input::Old => self.old.unwrap_or(0),
            Input::New => self.stored().unwrap_or(0),
            Input::Pid => self.hit.pid.into(),
            Input::Tid => self.hit.tid.into(),
            Input::Cpu => self.hit.cpu.into(),
            Input::DataAddress => self.watch.address,
            Input::UserMode => u64::from(!self.hit.kernel),
            Input::Access => self.access() as u64,
            Input::Register(number) => {
                let general = self.hit.registers.general.get(usize::from(number));
                general.copied().unwrap_or(0)
            }
        };
        value.cast_signed()
    }

    fn memory(&mut self, space: Space, address: u64, out: &mut [u8]) -> bool {
        let kernel = &self.tracer.kernel;
        space == Space::User
            && kernel.read_memory(self.hit.pid, address, out) == Ok(out.len())
    }
}

/// Never signalled: the system ends with it.
const INIT: u32 = 1;

impl Tracer {
    /// Does what the plan of a watch asks for at a hit; gives which acts it did. The
    /// thread takes a signal when it goes on, before anything else.
    pub(super) fn act(&self, number: usize, hit: &Hit<'_>) -> u8 {
        let Some(acts) = self.acts.get(number) else { return 0 };
        let Some(watch) = self.watch_of(hit.tid, number) else { return 0 };
        let process = self.processes.get(&hit.pid);
        let values = process.map(|process| &process.values);
        let old = values.and_then(|it| it.get(&(watch.address, watch.length)).copied());
        let old = hit.at_hit.old.or(old);
        let mut seen = Seen { tracer: self, hit, watch, old };
        let mut acted = 0;
        for (bit, act) in acts.iter().enumerate() {
            if seen.tells(act)
                && act.when.passes_surely(&mut seen)
                && hit.pid != INIT
                // Sent to the process it would be taken by another thread, since this
                // one stands, and this one would go on.
                && self.kernel.signal_thread((hit.pid, hit.tid), act.signal).is_ok()
            {
                acted |= 1 << bit;
            }
        }
        acted
    }

    fn watch_of(&self, tid: u32, number: usize) -> Option<Watch> {
        let slot = self.watches_of(tid).find(|slot| slot.number == number);
        slot.map(|slot| slot.watch)
    }
}
