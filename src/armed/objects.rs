//! Objects that a session's consumer names while it runs.
//!
//! A session keeps some registers for them, all of one length, in each process. What an
//! object lies in, aligned bytes of this length, takes turns on them ([`pool`]).

mod pool;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use hwtrace_probes::process::{Process, ProcessError};
use hwtrace_runtime::abi::objects::{Gone, Missed, Object, Room};
use hwtrace_runtime::engine::ArmError;
use hwtrace_runtime::schema::{
    AccessKind, ByteRange, HitRecord, UNKNOWN_NEW, UNSURE_NEW, UNSURE_OLD,
};
use hwtrace_runtime::tracker::Memory;
use hwtrace_runtime::view::View;

use super::{Armed, Pace, Placed, Refused};
use crate::counts::Counts;
use crate::registers::Registers;
use crate::report::counted;
use crate::session::{Consumer, Data, Request};
use crate::sharing::Sharing;
use pool::{Move, Pool};

/// The objects of a session.
pub(crate) struct Objects {
    /// The registers for them, by watch number.
    registers: Vec<usize>,
    /// The bytes of each.
    length: u64,
    /// By number of the name.
    names: Vec<Name>,
    known: HashMap<u64, Known>,
    /// By process.
    pools: BTreeMap<u32, Pool>,
    /// Cells that have a register again, with what they held then.
    back: VecDeque<Back>,
    /// Whether they take turns; else each has a register of its own.
    rotate: bool,
    /// When the turn ends, by CLOCK_MONOTONIC: that of all processes.
    pace: Pace,
    /// From when on it counts which are watched: when `begin` had run.
    counted_from: Option<u64>,
    counts: Rc<RefCell<Counts>>,
    figures: Figures,
}

/// What is done at the objects of a name.
#[derive(Clone, Debug, Default)]
struct Name {
    requests: Vec<usize>,
    /// The handle of its text.
    text: u64,
    /// Whether they are read from a picture.
    pictured: bool,
}

/// An object that is watched.
struct Known {
    object: Object,
    /// The process that was armed and has its memory, or whose child has.
    root: u32,
    /// What was last seen of all of it; empty where nobody asks.
    picture: Vec<u8>,
}

struct Back {
    since: u64,
    root: u32,
    address: u64,
    held: u64,
    /// Whether nothing was stored there while the register moved.
    sure: bool,
}

#[derive(Debug, Default)]
struct Figures {
    /// How many there were at a time, at most.
    most: usize,
    /// How many could not be armed.
    refused: u64,
    /// The process of so many had ended.
    ended: u64,
    /// So many came and went, or the session did, before they could be armed.
    missed: u64,
    /// How many cells went that had no turn.
    without_turn: u64,
    /// For how many no register was left, and they were not to take turns.
    short: u64,
}

impl Objects {
    /// Those that requests ask for; none where the session keeps no registers for any.
    pub(crate) fn of(
        requests: &[Request],
        registers: &Registers,
        sharing: Sharing,
        counts: &Rc<RefCell<Counts>>,
        intern: &mut dyn FnMut(&[u8]) -> u64,
    ) -> Option<Self> {
        let (numbers, length) = registers.for_objects()?;
        let mut names: Vec<Name> = Vec::new();
        for (request, asked) in requests.iter().enumerate() {
            let Data::Objects(objects) = &asked.data else { continue };
            let Some(number) = objects.number else { continue };
            let number = number as usize;
            if names.len() <= number {
                names.resize(number + 1, Name::default());
            }
            names[number].requests.push(request);
            names[number].text = intern(objects.spec.name.as_bytes());
            names[number].pictured = objects.shape.pictured;
        }
        Some(Self {
            registers: numbers.collect(),
            length: length.into(),
            names,
            known: HashMap::new(),
            pools: BTreeMap::new(),
            back: VecDeque::new(),
            rotate: sharing.rotate,
            pace: Pace::new(sharing.slice),
            counted_from: None,
            counts: Rc::clone(counts),
            figures: Figures::default(),
        })
    }

    /// In how many nanoseconds the turn ends; none where nobody waits for one.
    pub(super) fn turn_ends_in(&self, now: u64) -> Option<u64> {
        let rotates = self.pools.values().any(Pool::rotates);
        rotates.then(|| self.pace.ends_in(now))
    }

    /// Whether the turn is over. The first one begins when the first has to wait.
    fn turn_is_over(&mut self, now: u64) -> bool {
        if self.turn_ends_in(now).is_none() {
            self.pace.rest();
        }
        self.turn_ends_in(now) == Some(0)
    }

    /// From when on the time of an object counts.
    fn counts_from(&self, object: &Object, now: u64) -> u64 {
        object.since.max(self.counted_from.unwrap_or(now)).min(now)
    }

    /// A cell has a register that is on from now on, or not.
    fn turn(&mut self, root: u32, address: Option<u64>, on: bool, now: u64) {
        let pool = self.pools.get_mut(&root).zip(address);
        if let Some(cell) = pool.and_then(|(pool, address)| pool.cell(address)) {
            cell.had_turn |= on;
            let mut counts = self.counts.borrow_mut();
            if on {
                counts.weigh_cell(cell.count, cell.weight, now);
            }
            counts.turn_cell(cell.count, on, now);
        }
    }

    /// Objects came and went before they were known: as if a cell had waited in vain.
    fn miss(&mut self, missed: &Missed, now: u64) {
        self.figures.missed += missed.objects;
        let name = self.names.get(missed.name as usize);
        let requests = name.map_or(&[][..], |name| &name.requests);
        let mut counts = self.counts.borrow_mut();
        let count = counts.add_cell(0, pool::WEIGHT_OF_NEW);
        let since = now.saturating_sub(missed.wanted_ns);
        requests.iter().for_each(|request| counts.join_cell(count, *request, since));
        counts.remove_cell(count, now);
    }

    /// A cell is watched no more.
    fn forget_cell(&mut self, cell: &pool::Cell, now: u64) {
        self.figures.without_turn += u64::from(!cell.had_turn);
        self.counts.borrow_mut().remove_cell(cell.count, now);
    }

    /// How many objects a process can have, where they are not to take turns.
    pub(crate) fn room(&self) -> Option<Room> {
        let room = Room { registers: self.registers.len(), bytes: self.length };
        (!self.rotate).then_some(room)
    }

    /// Whether there are registers for an object of a process, or it may wait for one.
    fn finds_room(&self, root: u32, object: &Object) -> bool {
        let Some(Room { registers, bytes }) = self.room() else { return true };
        let pool = self.pools.get(&root);
        let new = object.cells(bytes).filter(|cell| pool.is_none_or(|it| !it.has(*cell)));
        pool.map_or(0, Pool::len) + new.count() <= registers
    }

    /// The objects that lie where a register was hit, whose memory that of process `root`
    /// is; notes what it holds now.
    pub(crate) fn at(&mut self, root: u32, record: &HitRecord, out: &mut Vec<u64>) {
        out.clear();
        let holds = (record.doubts & UNKNOWN_NEW == 0).then_some(record.new);
        let Self { pools, known, .. } = self;
        let pool = pools.get_mut(&root);
        let cell = pool.and_then(|pool| pool.hit(record.data_address, holds));
        // A child has the registers of its parent, and memory of its own.
        let own = |id: &&u64| known.get(id).is_some_and(|it| it.object.pid == record.pid);
        out.extend(cell.into_iter().flat_map(|cell| &cell.objects).filter(own));
    }

    /// The record of a hit as one who watches an object sees it; none where it touched
    /// other bytes.
    pub(crate) fn narrow(&mut self, id: u64, record: &HitRecord) -> Option<HitRecord> {
        let Known { object, root, .. } = self.known.get(&id)?;
        let name = self.names.get(object.name as usize)?;
        let cell = record.data_address;
        let end = object.address + u64::from(object.length);
        let start = object.address.max(cell) - cell;
        let window = ByteRange {
            start: u8::try_from(start).ok()?,
            end: u8::try_from(end.min(cell + self.length) - cell).ok()?,
        };
        let view = View { window, whole: true, name: name.text, ..View::default() };
        let narrow = view.narrow(record)?;
        let count = self.pools.get_mut(root)?.cell(cell)?.count;
        Some(HitRecord {
            data_address: object.address,
            data_length: object.length,
            watch: count,
            ..narrow
        })
    }

    /// The requests that look at an object.
    pub(crate) fn requests(&self, id: u64) -> &[usize] {
        let name =
            self.known.get(&id).and_then(|it| self.names.get(it.object.name as usize));
        name.map_or(&[], |name| &name.requests)
    }

    /// Puts together what all of an object was and is at a hit, where handlers read it from
    /// a picture: what is not in the register comes from memory, and what it was from the
    /// hit before. `cell` is where the register was, `narrow` the object's part of the hit.
    pub(crate) fn picture(
        &mut self,
        (id, cell): (u64, u64),
        narrow: &mut HitRecord,
        memory: &mut dyn Memory,
        [old, new]: &mut [Vec<u8>; 2],
    ) -> bool {
        let Some(known) = self.known.get_mut(&id) else { return false };
        let Known { object, picture, .. } = known;
        if !self.names.get(object.name as usize).is_some_and(|name| name.pictured) {
            return false;
        }
        new.clear();
        new.resize(object.length as usize, 0);
        let read = memory.read_bytes(narrow.pid, object.address, new);
        let whole = object.length as u64 <= self.length && cell <= object.address;
        if read < new.len() || !whole {
            // What is beside the register may have changed since.
            narrow.exact = 0;
            narrow.doubts |= UNSURE_OLD;
        }
        old.clear();
        old.extend_from_slice(if picture.is_empty() { new } else { picture });
        let start = (cell.max(object.address) - object.address) as usize;
        for (bytes, word) in [(&mut *old, narrow.old), (&mut *new, narrow.new)] {
            let there = bytes.iter_mut().skip(start).take(self.length as usize);
            let end = cell + self.length - cell.max(object.address);
            let part = there.take(end as usize);
            part.zip(word.to_le_bytes()).for_each(|(byte, from)| *byte = from);
        }
        picture.clone_from(new);
        true
    }

    /// A change that was found when a cell had a register again, up to this time, at which
    /// all hits of before have been handed on. Asked until there is none. The record is one
    /// of the register.
    pub(crate) fn away(&mut self, bound: u64) -> Option<HitRecord> {
        while let Some(back) = self.back.pop_front_if(|back| back.since <= bound) {
            let Back { since, root, address, held, sure } = back;
            let cell = self.pools.get_mut(&root).and_then(|pool| pool.cell(address));
            let Some(cell) = cell else { continue };
            let before = cell.last.replace(held).filter(|before| *before != held);
            let (Some(old), Some(watch)) = (before, self.registers.first()) else {
                continue;
            };
            return Some(HitRecord {
                time: since,
                data_address: address,
                data_length: self.length as u32,
                old,
                new: held,
                pid: root,
                watch: *watch as u32,
                access: AccessKind::Away as u32,
                doubts: if sure { 0 } else { UNSURE_NEW },
                touched: ByteRange::differing(old, held),
                ..HitRecord::default()
            });
        }
        None
    }

    /// What is to be said at the end.
    pub(super) fn remarks(&self, now: u64) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.figures.refused > 0 {
            let refused = counted(self.figures.refused, "object");
            remarks.push(format!(
                "{refused} not watched: in no memory that can be read, or in a process without \
                 a probe for objects"
            ));
        }
        if self.figures.ended > 0 {
            let ended = counted(self.figures.ended, "object");
            remarks.push(format!("{ended} not watched: in a process that had ended"));
        }
        if self.figures.missed > 0 {
            let missed = counted(self.figures.missed, "object");
            remarks.push(format!(
                "{missed} not watched: unwatch() or the end came before a debug register was there"
            ));
        }
        if self.figures.short > 0 {
            let short = counted(self.figures.short, "object");
            remarks.push(format!(
                "{short} not watched: no debug register was left, and with `--no-rotate` they do \
                 not take turns"
            ));
        }
        let registers = self.registers.len();
        if self.figures.most > registers {
            let requests = self.names.iter().flat_map(|name| &name.requests);
            let counts = self.counts.borrow();
            let seen = requests.map(|request| counts.of(*request, now));
            let seen: hwtrace_runtime::slots::coverage::Estimate = seen.sum();
            let share = 100.0 * seen.coverage();
            remarks.push(format!(
                "up to {} places with objects took turns on {}: each was watched {share:.1} % \
                 of the time on average{}",
                self.figures.most,
                counted(registers as u64, "debug register"),
                self.without_turn(),
            ));
        }
        remarks
    }

    /// What is to be said of those that had no turn.
    fn without_turn(&self) -> String {
        let waiting: usize = self.pools.values().map(Pool::without_turn).sum();
        match self.figures.without_turn + waiting as u64 {
            0 => String::new(),
            none => format!("; {none} of all that came had none"),
        }
    }
}

impl Armed {
    /// Follows what the consumer wants of objects.
    pub(crate) fn follow_objects(&mut self, consumer: &mut dyn Consumer) {
        if self.objects.is_none() {
            return;
        }
        let wishes = consumer.wishes();
        let now = self.surroundings.kernel.clock();
        if let Some(objects) = &mut self.objects {
            wishes.missed.iter().for_each(|missed| objects.miss(missed, now));
        }
        for Gone { id, until } in wishes.gone {
            self.unwatch_object(id, until);
        }
        for object in wishes.come {
            if !self.watch_object(object) {
                self.unwatch_object(object.id, now);
                consumer.refuse_object(object.id);
            }
        }
        let now = self.surroundings.kernel.clock();
        if let Some(objects) = &mut self.objects {
            objects.counted_from.get_or_insert(now);
        }
    }

    /// Nothing is armed any more: those that were named last were never watched.
    pub(crate) fn leave_objects(&mut self, consumer: &mut dyn Consumer) {
        let now = self.surroundings.kernel.clock();
        let Some(objects) = &mut self.objects else { return };
        let wishes = consumer.wishes();
        wishes.missed.iter().for_each(|missed| objects.miss(missed, now));
        let new = |object: &Object| !objects.known.contains_key(&object.id);
        let new: Vec<_> = wishes.come.into_iter().filter(new).collect();
        for Object { name, pid, since, .. } in new {
            if has_ended(pid) {
                objects.figures.ended += 1;
            } else {
                let wanted_ns = now.saturating_sub(since);
                objects.miss(&Missed { name, objects: 1, wanted_ns }, now);
            }
        }
    }

    /// Ends the turn of objects, if it is over: others have their registers then.
    pub(super) fn take_turns_of_objects(&mut self) {
        let now = self.surroundings.kernel.clock();
        let Some(objects) = &mut self.objects else { return };
        if !objects.turn_is_over(now) {
            return;
        }
        if objects.pace.has_begun() {
            for root in objects.pools.keys().copied().collect::<Vec<_>>() {
                self.turn_objects(root, now);
            }
        }
        let begun = self.surroundings.kernel.clock();
        let Some(Objects { pools, pace, .. }) = &mut self.objects else { return };
        if let Some(pool) = pools.values_mut().next() {
            pace.begin(now, begun, pool.turns());
        }
    }

    fn turn_objects(&mut self, root: u32, now: u64) {
        let Some(objects) = &mut self.objects else { return };
        let pool = objects.pools.get_mut(&root).filter(|pool| pool.rotates());
        let Some(pool) = pool else { return };
        let moves = pool.turn(now);
        for cell in pool.chosen() {
            objects.counts.borrow_mut().weigh_cell(cell.count, cell.weight, now);
        }
        for moved in moves {
            self.move_cell(root, moved);
        }
    }

    /// Watches an object, or one that is watched with another length; gives whether that can
    /// be.
    fn watch_object(&mut self, object: Object) -> bool {
        let root = self.tracker.root(object.pid).unwrap_or(object.pid);
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..object.length as usize];
        let there = self.memory.read_bytes(object.pid, object.address, bytes);
        let now = self.surroundings.kernel.clock();
        let Some(objects) = &mut self.objects else { return false };
        let name = objects.names.get(object.name as usize);
        let asked =
            self.instances.get(&root).zip(name).is_some_and(|(instance, name)| {
                name.requests.iter().any(|request| instance.is_told(*request))
            });
        if there < bytes.len() || !asked {
            let figures = &mut objects.figures;
            match has_ended(object.pid) {
                true => figures.ended += 1,
                false => figures.refused += 1,
            }
            return false;
        }
        if !objects.finds_room(root, &object) {
            objects.figures.short += 1;
            return false;
        }
        let known = Known { object, root, picture: Vec::new() };
        let before = objects.known.insert(object.id, known);
        let before = before.map(|it| it.object.cells(objects.length));
        let before: Vec<_> = before.into_iter().flatten().collect();
        let cells: Vec<_> = object.cells(objects.length).collect();
        let registers = objects.registers.len();
        let since = objects.counts_from(&object, now);
        let mut moves = Vec::new();
        for address in cells.iter().copied().filter(|cell| !before.contains(cell)) {
            let requests = &objects.names[object.name as usize].requests;
            let pool = objects.pools.entry(root);
            let pool = pool.or_insert_with(|| Pool::new(registers, now));
            let mut counts = objects.counts.borrow_mut();
            if !pool.join(address, object.id) {
                let count = counts.add_cell(root, pool::WEIGHT_OF_NEW);
                moves.extend(pool.add(address, object.id, count, now));
            }
            let count = pool.cell(address).map_or(0, |cell| cell.count);
            let join = |request: &usize| counts.join_cell(count, *request, since);
            requests.iter().for_each(join);
        }
        let most = objects.pools.values().map(Pool::len).sum();
        objects.figures.most = objects.figures.most.max(most);
        let mut all = true;
        for moved in moves {
            all &= self.move_cell(root, moved);
        }
        let left = before.into_iter().filter(|cell| !cells.contains(cell));
        self.leave_cells(root, object.id, left, now);
        all
    }

    /// An object is not to be watched any more, since a time that may be the future's.
    fn unwatch_object(&mut self, id: u64, until: u64) {
        let Some(objects) = &mut self.objects else { return };
        let Some(Known { object, root, .. }) = objects.known.remove(&id) else { return };
        let cells = object.cells(objects.length);
        self.leave_cells(root, id, cells, until);
    }

    /// An object has no bytes in these cells any more.
    fn leave_cells(
        &mut self,
        root: u32,
        id: u64,
        cells: impl Iterator<Item = u64>,
        until: u64,
    ) {
        let until = until.min(self.surroundings.kernel.clock());
        let Some(objects) = &mut self.objects else { return };
        let mut moves = Vec::new();
        for address in cells {
            let Some(pool) = objects.pools.get_mut(&root) else { return };
            if let Some((cell, moved)) = pool.remove(address, id) {
                objects.forget_cell(&cell, until);
                moves.extend(moved);
            }
        }
        for moved in moves {
            self.move_cell(root, moved);
        }
    }

    /// A register for objects is off for a while, or on again: so is what it holds.
    pub(super) fn switched_cells(&mut self, watch: usize, on: bool) {
        let now = self.surroundings.kernel.clock();
        let Some(objects) = &mut self.objects else { return };
        let Some(register) = objects.registers.iter().position(|own| *own == watch)
        else {
            return;
        };
        for root in objects.pools.keys().copied().collect::<Vec<_>>() {
            let held = objects.pools[&root].of_register(register);
            objects.turn(root, held, on, now);
        }
    }

    /// Moves a register for objects of a process; gives whether that went well.
    fn move_cell(&mut self, root: u32, moved: Move) -> bool {
        let Move { register, left, address } = moved;
        let Some(watch) = self.objects.as_ref().map(|it| it.registers[register]) else {
            return false;
        };
        let placed = self.place(root, watch, address);
        let on = self.relief.as_ref().is_none_or(|it| !it.keeps_off(watch));
        let now = self.surroundings.kernel.clock();
        let Some(objects) = &mut self.objects else { return false };
        // Until then hits were those of the cell that it leaves.
        let until = placed.as_ref().map_or(now, |placed| placed.since);
        objects.turn(root, left, false, until);
        match (placed, address) {
            (Ok(Placed { since, held, sure }), Some(address)) => {
                objects.turn(root, Some(address), on, since);
                if let Some(held) = held {
                    let back = Back { since, root, address, held, sure };
                    objects.back.push_back(back);
                }
                true
            }
            (Ok(_), None) | (Err(ArmError::Gone { .. }), _) => true,
            (Err(error), _) => {
                self.figures.refused(&Refused { pid: root, error });
                false
            }
        }
    }

    /// A process has ended or executes another image, and its objects are gone.
    pub(super) fn forget_objects(&mut self, pid: u32, consumer: &mut dyn Consumer) {
        consumer.forget_objects(pid);
        let Some(objects) = &self.objects else { return };
        let known = objects.known.iter();
        let own = known.filter(|(_, known)| known.object.pid == pid).map(|(id, _)| *id);
        let now = self.surroundings.kernel.clock();
        for id in own.collect::<Vec<_>>() {
            self.unwatch_object(id, now);
        }
        let Some(objects) = &mut self.objects else { return };
        let Some(pool) = objects.pools.remove(&pid) else { return };
        // Those of children, which were watched by way of it.
        for known in objects.known.values().filter(|known| known.root == pid) {
            consumer.forget_objects(known.object.pid);
        }
        objects.known.retain(|_, known| known.root != pid);
        for cell in pool.into_cells() {
            objects.forget_cell(&cell, now);
        }
    }

    /// The processes with objects that are followed no more.
    pub(super) fn forget_ended_objects(&mut self, consumer: &mut dyn Consumer) {
        let Some(objects) = &self.objects else { return };
        let owners = objects.known.values().map(|known| known.object.pid);
        let owners = objects.pools.keys().copied().chain(owners);
        let ended: BTreeSet<_> =
            owners.filter(|pid| !self.tracker.follows(*pid)).collect();
        for pid in ended {
            self.forget_objects(pid, consumer);
        }
    }
}

/// Whether a process has ended, also where its parent has not noticed yet.
fn has_ended(pid: u32) -> bool {
    matches!(
        Process::open(pid),
        Err(ProcessError::Gone { .. } | ProcessError::Zombie { .. })
    )
}

#[cfg(test)]
mod tests;
