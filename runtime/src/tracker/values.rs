//! What a watch held before and after a hit: as the instruction or the engine tells it,
//! or as memory has it.

use super::slot::{Doubt, Reading, Shadow, Slot};
use super::{Memory, Recovered};
use crate::event::{RawHit, Watch};
use crate::schema::{AccessKind, UNKNOWN_NEW, UNSURE_NEW};

/// What was there before, as the engine saw it. What it read then is for sure only
/// where nobody else stores; else it is better known here, where all hits come.
pub(super) fn seen(hit: &RawHit<'_>, alone: bool, all: bool) -> Option<Shadow> {
    let value = hit.at_hit.old?;
    let sure = !hit.at_hit.old_read || alone;
    (sure || !all).then_some(Shadow { value, sure })
}

/// The value before the access: as it tells itself, or as the shadow has it. Of the first
/// hit since its register was on that is what was read `before`, where what was read later
/// is what this very hit left: it was `armed` meanwhile, or stored just that.
pub(super) fn value_before(
    recovered: &Recovered,
    shadow: Shadow,
    before: Option<u64>,
    armed: bool,
) -> Shadow {
    let stored = armed || recovered.new == Some(shadow.value);
    match (recovered.old, before.filter(|_| stored)) {
        (Some(value), _) => Shadow { value, sure: true },
        (None, Some(value)) => Shadow { value, sure: false },
        (None, None) => shadow,
    }
}

/// The value after the access, and how far it can be relied on.
pub(super) fn value_after(
    hit: &RawHit<'_>,
    watch: &Watch,
    recovered: &Recovered,
    (old, alone): (Shadow, bool),
    memory: &mut dyn Memory,
) -> (Shadow, u32) {
    // What memory held at the hit may be what another CPU stored since.
    let read = hit
        .at_hit
        .memory
        .map(|value| (Shadow { value, sure: alone }, if alone { 0 } else { UNSURE_NEW }));
    match (recovered.new, read) {
        (_, Some(read)) if hit.at_hit.told.is_some() => read,
        (Some(value), _) if recovered.exact || old.sure => {
            (Shadow { value, sure: true }, 0)
        }
        // The registers say so, though not for sure where it was.
        (Some(value), _) if !recovered.leans => {
            (Shadow { value, sure: false }, UNSURE_NEW)
        }
        (_, Some(read)) => read,
        // Memory is asked after the last part.
        _ if recovered.goes_on => (Shadow { sure: false, ..old }, UNKNOWN_NEW),
        // It leans on an old value that is not sure: memory knows better.
        (leaning, None) => match (read_at(watch, hit.pid, memory, false), leaning) {
            (Some(now), _) => (now, UNSURE_NEW),
            (None, Some(value)) => (Shadow { value, sure: false }, UNSURE_NEW),
            (None, None) => (Shadow { sure: false, ..old }, UNKNOWN_NEW),
        },
    }
}

/// The value at a watch as memory has it.
pub(super) fn read_at(
    watch: &Watch,
    pid: u32,
    memory: &mut dyn Memory,
    sure: bool,
) -> Option<Shadow> {
    let value = match watch.is_kernel() {
        true => memory.read_kernel(watch.address, watch.length)?,
        false => memory.read(pid, watch.address, watch.length)?,
    };
    Some(Shadow { value, sure })
}

/// The value of a slot as memory has it; none where it is nowhere.
pub(super) fn read(
    slot: &Slot,
    like: Watch,
    pid: u32,
    memory: &mut dyn Memory,
    sure: bool,
) -> Option<Shadow> {
    let there = slot.is_placed().then(|| slot.watch(like))?;
    read_at(&there, pid, memory, sure)
}

/// Compares a shadow with memory; one that differs is not sure.
pub(super) fn confirm(slot: &mut Slot, like: Watch, pid: u32, memory: &mut dyn Memory) {
    let shadow = read(slot, like, pid, memory, true);
    slot.armed(Reading { shadow, until: memory.clock() });
}

/// The value after a hit that was when it was armed: one that was made of the value before
/// is worth nothing. What was read then has this hit's, and perhaps others'.
pub(super) fn value_of_doubtful(
    recovered: &Recovered,
    doubt: Option<Doubt>,
) -> Option<(Shadow, u32)> {
    let made = recovered.kind == AccessKind::Update && !recovered.exact;
    let shadow = doubt?.now.filter(|_| made || recovered.leans)?;
    Some((shadow, UNSURE_NEW))
}
