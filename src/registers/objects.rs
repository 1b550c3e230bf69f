//! Registers that are kept for objects, which come and go while a session runs.

use std::ops::Range;

use hwtrace_probes::spec::Mode;
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::slots::Scope;
use hwtrace_runtime::slots::turns::Seat;

use super::{Place, Registers, Role, Sees};
use crate::names::FIELD_BYTES;
use crate::session::{Data, Request};

/// So many are kept at most where an engine has more than it can say, as that which goes
/// step by step.
const KEPT_MAX: usize = 64;

impl Registers {
    /// How many registers of a thread are in use at a time.
    fn in_use(&self) -> usize {
        let keeps = |seat: &&Seat| seat.pinned || seat.scope == Scope::Own;
        self.seats.iter().filter(keeps).count() + self.slots.tasks + self.slots.kernel
    }

    /// Keeps the registers that are left of so many for the objects that requests ask for.
    pub(crate) fn keep_for_objects(&mut self, requests: &[Request], capacity: usize) {
        let numbered = requests.iter().enumerate();
        let asked = numbered.filter_map(|(number, request)| match &request.data {
            Data::Objects(objects) => Some((number, objects)),
            _ => None,
        });
        let asked: Vec<_> = asked.collect();
        let loads = |mode| matches!(mode, Mode::ReadWrite | Mode::Read);
        let trigger = match asked.iter().any(|(_, it)| loads(it.spec.mode)) {
            true => Trigger::ReadWrite,
            false => Trigger::Write,
        };
        let length = asked.iter().map(|(_, it)| cell_length(it.shape.length)).max();
        let Some(length) = length else { return };
        let first = self.watches.len();
        let watch = Watch { address: Watch::PENDING, length, trigger };
        let left = capacity.saturating_sub(self.in_use());
        for _ in 0..left.min(KEPT_MAX) {
            let sees =
                asked.iter().map(|(request, _)| Sees::Objects { request: *request });
            let place = |(request, _): &(usize, _)| Place {
                request: *request,
                role: Role::Objects,
                piece: 0,
                before: 0,
            };
            self.watches.push(watch);
            self.sees.push(sees.collect());
            self.places.push(asked.iter().map(place).collect());
            self.seats.push(Seat { pinned: true, weight: 1, scope: Scope::Tasks });
        }
        self.for_objects = first..self.watches.len();
    }

    /// The watches that are kept for objects, and the length of each.
    pub(crate) fn for_objects(&self) -> Option<(Range<usize>, u32)> {
        let first = self.watches.get(self.for_objects.clone())?.first()?;
        Some((self.for_objects.clone(), first.length))
    }
}

/// The bytes of a register for objects of a length: those of others that may be beside
/// them in it cost hits.
fn cell_length(object: Option<u32>) -> u32 {
    match object {
        Some(length @ (1 | 2 | 4)) => length,
        _ => FIELD_BYTES as u32,
    }
}
