//! From what an engine captured to what a handler sees: which instruction,
//! which access, which values, whose.
//!
//! Events come in the order of time, so a plain shadow of the last value a
//! process saw at each watch gives `$old`. A forked child has its own memory
//! and so its own shadow, which starts as its parent's. The kernel's memory is
//! everybody's, and has one shadow.

mod away;
pub mod image;
mod moves;
mod parts;
mod slot;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashMap;

use foldhash::fast::RandomState;

use self::away::Away;
pub use self::image::Piece;
use self::parts::Parts;
use self::slot::{Place, Shadow, Slot};
use self::values::{
    confirm, read, read_at, seen, value_after, value_before, value_of_doubtful,
};
use crate::access::{
    Access, Arrival, Beyond, CodeSource, Decoder, KERNEL, Recovered, Window,
};
use crate::engine::Whose;
use crate::event::{RawHit, Trigger, Watch};
use crate::plan::{Lesson, Plan};
use crate::schema::{AccessKind, ByteRange, HitRecord, UNKNOWN_NEW, UNSURE_OLD};

/// What a watch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose it is.
    pub whose: Whose,
    /// Its number.
    pub watch: usize,
    /// The watched bytes.
    pub value: u64,
}

/// A process that has ended with its last thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub pid: u32,
    /// Whether it ever touched what is watched. If not, nobody will ask for it
    /// again.
    pub hit: bool,
}

/// Reads the memory of traced processes.
pub trait Memory {
    /// The unsigned integer of `length` bytes (1, 2, 4 or 8) at `address`;
    /// none where it can not be read.
    fn read(&mut self, pid: u32, address: u64, length: u32) -> Option<u64>;

    /// The same of the kernel's memory; none where it can not be read, or not by
    /// this.
    fn read_kernel(&mut self, _address: u64, _length: u32) -> Option<u64> {
        None
    }

    /// CLOCK_MONOTONIC in nanoseconds: what was read is not of later. 0 where there are no
    /// hits meanwhile.
    fn clock(&mut self) -> u64 {
        0
    }

    /// Reads bytes of a process from `address` on; gives how many could be read.
    fn read_bytes(&mut self, _pid: u32, _address: u64, _bytes: &mut [u8]) -> usize {
        0
    }
}

type Map<K, V> = HashMap<K, V, RandomState>;

/// Follows processes and threads, and completes their hits.
#[derive(Debug)]
pub struct Tracker {
    /// By number. Length and accesses are the same in all processes; the address
    /// is that of processes of which nothing else is known.
    watches: Vec<Watch>,
    processes: Map<u32, Process>,
    threads: Map<u32, Thread>,
    /// Watches that single threads have.
    own: Map<u32, Vec<Own>>,
    /// Watches on the kernel's data, at their numbers.
    kernel: Vec<Slot>,
    /// By watch.
    wanted: Vec<Wanted>,
    decoder: Decoder,
    parts: Parts,
    /// Watches that have a register again, and what they had changed to.
    away: Away,
    /// What the engine can be taught of the hit that was completed last.
    lesson: Option<Lesson>,
    /// Where else that access was.
    beyond: Beyond,
    threads_seen: u64,
    values_unread: u64,
    /// Values for which memory was asked after the hit.
    values_late: u64,
    unseen_stores: u64,
}

#[derive(Clone, Debug)]
struct Process {
    /// The process that was armed and whose watches it has: itself, or who
    /// forked it.
    root: u32,
    /// By watch.
    slots: Vec<Slot>,
    threads: u32,
    /// Whether it ever touched what is watched.
    hit: bool,
    /// Whether it is the session's target, or descends from it.
    of_target: bool,
}

impl Process {
    /// One of which no value is known, nor any thread.
    fn unknown(pid: u32, watches: &[Watch]) -> Self {
        let slots = watches.iter().map(|watch| Slot::at(watch.address)).collect();
        Self { root: pid, slots, threads: 0, hit: false, of_target: false }
    }
}

#[derive(Clone, Copy, Debug)]
struct Thread {
    pid: u32,
    /// Its name, as a string handle.
    name: u64,
    /// Whether it is among the threads of its process: that may be followed only
    /// later.
    counted: bool,
}

/// A watch that one thread has.
#[derive(Clone, Debug)]
struct Own {
    pid: u32,
    watch: usize,
    slot: Slot,
}

/// What is wanted of the hits of a watch.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// What the instruction did, and the values.
    access: bool,
    /// All of them come: else the engine may know of values that are not known
    /// here.
    all: bool,
    /// Whether the access was at bytes beside it, too.
    beyond: bool,
}

impl Tracker {
    /// Follows nobody yet; `watches` are those that there are, by number.
    pub fn new(watches: &[Watch]) -> Self {
        Self {
            watches: watches.to_vec(),
            processes: Map::default(),
            threads: Map::default(),
            own: Map::default(),
            kernel: watches.iter().map(|watch| Slot::at(watch.address)).collect(),
            wanted: vec![
                Wanted { access: true, all: true, beyond: false };
                watches.len()
            ],
            decoder: Decoder::new(),
            parts: Parts::default(),
            away: Away::default(),
            lesson: None,
            beyond: Beyond::default(),
            threads_seen: 0,
            values_unread: 0,
            values_late: 0,
            unseen_stores: 0,
        }
    }

    /// What is wanted of the hits of each watch, by number: everything, unless this
    /// says otherwise. `filtered`: whether hits are left out already.
    pub fn set_plans(&mut self, plans: &[Plan], filtered: bool) {
        let wanted = self.wanted.iter_mut().zip(&self.watches);
        for ((wanted, watch), plan) in wanted.zip(plans) {
            // All hits on the kernel's data are samples.
            let left_out = plan.filter.is_some() || plan.gate.is_some();
            let all = !filtered || watch.is_kernel() || !left_out;
            *wanted = Wanted { access: plan.needs.access, all, ..*wanted };
        }
    }

    /// By watch: whether it is to be known of hits if they were [beyond](Tracker::beyond)
    /// it.
    pub fn look_beyond(&mut self, watches: impl Iterator<Item = bool>) {
        for (wanted, beyond) in self.wanted.iter_mut().zip(watches) {
            wanted.beyond = beyond;
        }
    }

    /// Where the access that was completed last was, besides at its watch.
    pub fn beyond(&self) -> Beyond {
        self.beyond
    }

    /// What the watches that somebody has hold, as far as it is known.
    pub fn values(&self, whose: Whose) -> Vec<Held> {
        let held = |(watch, slot): (usize, &Slot)| slot.held(whose, watch);
        match whose {
            Whose::Process(pid) => {
                let slots = self.processes.get(&pid).map(|process| &process.slots);
                slots.into_iter().flatten().enumerate().filter_map(held).collect()
            }
            Whose::Thread(tid) => {
                let own = self.own.get(&tid).into_iter().flatten();
                own.filter_map(|own| held((own.watch, &own.slot))).collect()
            }
            Whose::Kernel => self.kernel.iter().enumerate().filter_map(held).collect(),
        }
    }

    /// What a watch holds, whosever it is.
    pub fn values_of(&self, watch: usize) -> Vec<Held> {
        let held = |whose, slot: Option<&Slot>| slot?.held(whose, watch);
        let processes = self.processes.iter();
        let processes = processes
            .filter_map(|(pid, it)| held(Whose::Process(*pid), it.slots.get(watch)));
        let own = self.own.iter().filter_map(|(tid, own)| {
            let own = own.iter().find(|own| own.watch == watch);
            held(Whose::Thread(*tid), own.map(|own| &own.slot))
        });
        let kernel = held(Whose::Kernel, self.kernel.get(watch));
        processes.chain(own).chain(kernel).collect()
    }

    /// Follows a process with its own addresses of the watches, none for those
    /// that mean nothing there, and reads the values that it has now, before it
    /// is armed: the first hits' `$old`. Of a process that is followed already
    /// and has executed another image the watches are new.
    pub fn add_process(
        &mut self,
        pid: u32,
        watches: &[Option<Watch>],
        memory: &mut dyn Memory,
    ) {
        let slots = self.watches.iter().enumerate().map(|(index, like)| {
            let watch = watches.get(index).copied().flatten();
            let mut slot = Slot::at(watch.map_or(Watch::PENDING, |watch| watch.address));
            slot.holds(read(&slot, *like, pid, memory, true));
            slot
        });
        let slots: Vec<_> = slots.collect();
        let known = self.processes.remove(&pid);
        let mut process = Process { slots, ..Process::unknown(pid, &[]) };
        if let Some(known) = known {
            process.threads = known.threads;
            (process.hit, process.of_target) = (known.hit, known.of_target);
        }
        self.processes.insert(pid, process);
    }

    /// A process is the session's target; whom it forks is of it, too, whatever
    /// they execute.
    pub fn set_target(&mut self, pid: u32) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.of_target = true;
        }
    }

    /// Whether a process is the session's target, or descends from it.
    pub fn is_of_target(&self, pid: u32) -> bool {
        self.processes.get(&pid).is_some_and(|process| process.of_target)
    }

    /// Reads them again, once it is armed: what was stored in between nobody
    /// saw, so that a value that differs is not sure.
    pub fn confirm_process(&mut self, pid: u32, memory: &mut dyn Memory) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        for (watch, slot) in self.watches.iter().zip(&mut process.slots) {
            confirm(slot, *watch, pid, memory);
        }
    }

    /// Follows a watch that one thread has, and reads its value, before it is
    /// armed. [`Tracker::confirm_thread`] reads it again after.
    pub fn add_own(
        &mut self,
        (pid, tid): (u32, u32),
        watch: usize,
        address: u64,
        memory: &mut dyn Memory,
    ) {
        let Some(like) = self.watches.get(watch) else { return };
        let mut slot = Slot::at(address);
        slot.holds(read(&slot, *like, pid, memory, true));
        let own = self.own.entry(tid).or_default();
        own.retain(|own| own.watch != watch);
        own.push(Own { pid, watch, slot });
    }

    /// Reads the values of a thread's own watches again, once they are armed.
    pub fn confirm_thread(&mut self, tid: u32, memory: &mut dyn Memory) {
        for Own { pid, watch, slot } in self.own.get_mut(&tid).into_iter().flatten() {
            confirm(slot, self.watches[*watch], *pid, memory);
        }
    }

    /// Reads the values of the watches on the kernel's data, before they are
    /// armed.
    pub fn add_kernel(&mut self, memory: &mut dyn Memory) {
        for (watch, slot) in self.watches.iter().zip(&mut self.kernel) {
            if watch.is_kernel() {
                slot.holds(read(slot, *watch, 0, memory, true));
            }
        }
    }

    /// Records are missing: any value may have changed.
    pub fn lost(&mut self) {
        self.parts.end_all();
        let slots = self.processes.values_mut().flat_map(|process| &mut process.slots);
        let own = self.own.values_mut().flatten().map(|own| &mut own.slot);
        slots.chain(own).chain(&mut self.kernel).for_each(Slot::lost);
    }

    /// A thread that was there before its process was armed, or was born.
    pub fn add_thread(&mut self, pid: u32, tid: u32, name: u64) {
        let known = self.threads.get(&tid).is_some_and(|it| it.pid == pid && it.counted);
        let process = self.processes.get_mut(&pid).filter(|_| !known);
        let counted = known || process.is_some();
        self.threads.insert(tid, Thread { pid, name, counted });
        if let Some(process) = process {
            process.threads += 1;
            self.threads_seen += 1;
        }
    }

    /// Whether a process is followed.
    pub fn follows(&self, pid: u32) -> bool {
        self.processes.contains_key(&pid)
    }

    /// Where a watch is in a process; [`Watch::PENDING`] where it is nowhere.
    pub fn address(&self, pid: u32, watch: usize) -> Option<u64> {
        Some(self.processes.get(&pid)?.slots.get(watch)?.address())
    }

    /// Whether a thread has watches of its own.
    pub fn has_own(&self, tid: u32) -> bool {
        self.own.contains_key(&tid)
    }

    /// Whether the name of a thread is known.
    pub fn knows_thread(&self, tid: u32) -> bool {
        self.threads.contains_key(&tid)
    }

    /// A thread was created; it has its creator's name, and if it is a new
    /// process a copy of its memory. Says whether it is a new process. `time` as
    /// in the event.
    pub fn fork(&mut self, time: u64, parent: (u32, u32), child: (u32, u32)) -> bool {
        let ((parent_pid, parent_tid), (pid, tid)) = (parent, child);
        // A number that was in use may be given out again.
        let new_process = pid == tid && pid != parent_pid;
        if new_process {
            self.processes.remove(&pid);
            if let Some(mut process) = self.processes.get(&parent_pid).cloned() {
                (process.threads, process.hit) = (0, false);
                for (slot, wanted) in process.slots.iter_mut().zip(&self.wanted) {
                    slot.inherit(time, wanted.all);
                }
                self.processes.insert(pid, process);
            }
        }
        let name = self.threads.get(&parent_tid).map_or(0, |thread| thread.name);
        self.add_thread(pid, tid, name);
        new_process
    }

    /// A thread has a new name.
    pub fn rename(&mut self, pid: u32, tid: u32, name: u64) {
        let unknown = Thread { pid, name, counted: false };
        self.threads.entry(tid).or_insert(unknown).name = name;
    }

    /// A process executes another image: its code is no longer what was
    /// decoded, and its watches move with nobody else's any more. The thread that
    /// executes takes the process's number, whichever it was, and is its only
    /// one.
    pub fn exec(&mut self, pid: u32) {
        self.decoder.forget(pid);
        // Of the thread that executes no end is told by its old number.
        self.own.retain(|_, own| own.iter().all(|own| own.pid != pid));
        self.threads.retain(|tid, thread| thread.pid != pid || *tid == pid);
        if let Some(process) = self.processes.get_mut(&pid) {
            (process.root, process.threads) = (pid, 1);
        }
    }

    /// A process has new code at some address.
    pub fn mapped(&mut self, pid: u32) {
        self.decoder.forget(pid);
    }

    /// A thread ended; with the last one its process is forgotten, and told of.
    pub fn exit(&mut self, tid: u32) -> Option<Ended> {
        self.parts.end(tid);
        self.own.remove(&tid);
        let Thread { pid, .. } = self.threads.remove(&tid)?;
        let process = self.processes.get_mut(&pid)?;
        process.threads = process.threads.saturating_sub(1);
        if process.threads > 0 {
            return None;
        }
        let hit = process.hit;
        self.processes.remove(&pid);
        if hit {
            self.decoder.forget(pid);
        }
        Some(Ended { pid, hit })
    }

    /// The threads there are: of which process, and which.
    pub fn threads(&self) -> impl Iterator<Item = (u32, u32)> {
        self.threads.iter().map(|(tid, thread)| (thread.pid, *tid))
    }

    /// How many threads there were, ended ones too.
    pub fn threads_seen(&self) -> u64 {
        self.threads_seen
    }

    /// How many processes besides `pid` are there now.
    pub fn processes_besides(&self, pid: u32) -> u64 {
        let others = self.processes.iter();
        others.filter(|(other, process)| **other != pid && process.threads > 0).count()
            as u64
    }

    /// How many values memory was asked for after the hit: the sooner hits are looked
    /// at, the better.
    pub fn values_late(&self) -> u64 {
        self.values_late
    }

    /// How many values could neither be decoded nor read from memory, since
    /// the process had ended when its hit was looked at.
    pub fn values_unread(&self) -> u64 {
        self.values_unread
    }

    /// How often the value had changed when it was loaded or stored to, although
    /// no store was seen, in processes with one thread: the kernel, another
    /// process or another mapping stored.
    pub fn unseen_stores(&self) -> u64 {
        self.unseen_stores
    }

    /// What the engine can be taught of the hit that was completed last; once.
    pub fn lesson(&mut self) -> Option<Lesson> {
        self.lesson.take()
    }

    /// Completes a hit: finds the instruction and its access, takes the value
    /// from it or from memory, and moves the shadow on. None where it is a part of an
    /// access of which more will come.
    pub fn complete(
        &mut self,
        hit: &RawHit<'_>,
        code: &mut dyn CodeSource,
        memory: &mut dyn Memory,
    ) -> Option<HitRecord> {
        let like = self.watches[hit.watch as usize];
        let wanted = self.wanted[hit.watch as usize];
        self.beyond = Beyond::default();
        let mut holders = (&mut self.processes, &mut self.own, &mut self.kernel);
        let (slot, alone) = slot_of(hit, &self.watches, &mut holders);
        let Place { address, belated, doubt: doubted, shadow: kept } =
            slot.place(hit.time);
        let watch = Watch { address, ..like };
        if !wanted.access && !is_repeated(hit, &mut self.decoder, code, &mut self.lesson)
        {
            let name = self.threads.get(&hit.tid).map_or(0, |thread| thread.name);
            let bare = HitRecord { execname: name, ..bare(hit, &watch) };
            return self.parts.take(bare, false);
        }
        // A shadow that is of later is not sure here, and stays as it is.
        let shadow = seen(hit, alone, wanted.all)
            .or(kept.map(|it| it.sure_if(wanted.all)))
            .or_else(|| read_at(&watch, hit.pid, memory, false))
            .map_or(Shadow { value: 0, sure: false }, |it| {
                it.sure_if(!belated && doubted.is_none())
            });
        let recovered = match hit.at_hit.told {
            Some(told) => {
                let decoder = wanted.beyond.then_some(&mut self.decoder);
                let beyond = decoder.map_or_else(Beyond::default, |decoder| {
                    beyond(hit, told.instruction, &watch, decoder, code)
                });
                Recovered { beyond, ..Recovered::told(&told, &watch) }
            }
            None => {
                let (decoder, lesson) = (&mut self.decoder, &mut self.lesson);
                find_out(hit, watch, shadow, decoder, (code, memory), lesson)
            }
        };
        self.beyond = recovered.beyond;
        let doubtful = value_of_doubtful(&recovered, doubted);
        let before = doubted.and_then(|it| it.before);
        let old = value_before(&recovered, shadow, before, doubtful.is_some());
        self.unseen_stores +=
            u64::from(shadow.sure && old.value != shadow.value && alone);
        let (new, doubt) = doubtful.unwrap_or_else(|| {
            value_after(hit, &watch, &recovered, (old, alone), memory)
        });
        self.values_unread += u64::from(doubt == UNKNOWN_NEW && !recovered.goes_on);
        self.values_late += u64::from(doubt != 0);
        if !belated {
            *kept = Some(new);
        }
        let syscall = hit.syscall.or_else(|| syscall(hit, &mut self.decoder, code));
        let record = HitRecord {
            syscall: syscall.map_or(0, |number| number.saturating_add(1)),
            execname: self.threads.get(&hit.tid).map_or(0, |thread| thread.name),
            ..record(hit, &watch, &recovered, (old, new, doubt))
        };
        self.parts.take(record, recovered.goes_on)
    }

    /// A part of an access, told before, that nothing came of: to be handed on before
    /// what is completed next. Asked until there is none.
    pub fn broken(&mut self) -> Option<HitRecord> {
        self.parts.broken()
    }

    /// No more hits come.
    pub fn finish(&mut self) {
        self.parts.end_all();
    }

    /// How many hits were parts of accesses and are told with these.
    pub fn folded(&self) -> u64 {
        self.parts.folded()
    }
}

/// The record of a hit, but for the name of its thread and the system call.
fn record(
    hit: &RawHit<'_>,
    watch: &Watch,
    recovered: &Recovered,
    (old, new, doubt): (Shadow, Shadow, u32),
) -> HitRecord {
    HitRecord {
        time: hit.time,
        address: recovered.address.unwrap_or(hit.ip),
        data_address: watch.address,
        old: old.value,
        new: new.value,
        execname: 0,
        data_name: 0,
        pid: hit.pid,
        tid: hit.tid,
        cpu: hit.cpu,
        watch: hit.watch,
        data_length: watch.length,
        access: access_kind(recovered.kind, watch.trigger) as u32,
        exact: recovered.exact.into(),
        doubts: if old.sure { doubt } else { doubt | UNSURE_OLD },
        user_mode: (!hit.kernel).into(),
        count: 1,
        syscall: 0,
        touched: recovered.touched,
        told: if doubt == 0 { recovered.told } else { ByteRange::default() },
    }
}

/// Where else an access was that covered all of a watch.
fn beyond(
    hit: &RawHit<'_>,
    instruction: u64,
    watch: &Watch,
    decoder: &mut Decoder,
    code: &mut dyn CodeSource,
) -> Beyond {
    let access = decoded(hit, decoder, code);
    match access.is_some_and(|it| it.is_longer_than(watch.length, instruction)) {
        true => Beyond::SOMEWHERE,
        false => Beyond::default(),
    }
}

/// Whether it may be a part of an access with others.
fn is_repeated(
    hit: &RawHit<'_>,
    decoder: &mut Decoder,
    code: &mut dyn CodeSource,
    lesson: &mut Option<Lesson>,
) -> bool {
    if hit.at_hit.told.is_some() {
        return false;
    }
    let access = decoded(hit, decoder, code);
    *lesson = self::lesson(hit, access);
    access.is_some_and(Access::is_repeated)
}

/// A hit of which nobody asks what the instruction did.
fn bare(hit: &RawHit<'_>, watch: &Watch) -> HitRecord {
    HitRecord {
        count: 1,
        time: hit.time,
        address: hit.ip,
        data_address: watch.address,
        pid: hit.pid,
        tid: hit.tid,
        cpu: hit.cpu,
        watch: hit.watch,
        data_length: watch.length,
        access: access_kind(AccessKind::Unknown, watch.trigger) as u32,
        doubts: UNSURE_OLD | UNKNOWN_NEW,
        user_mode: (!hit.kernel).into(),
        ..HitRecord::default()
    }
}

/// Who has watches: processes, threads, the kernel.
type Holders<'t> =
    (&'t mut Map<u32, Process>, &'t mut Map<u32, Vec<Own>>, &'t mut Vec<Slot>);

/// The watch that was hit, as it is where it was hit; and whether nobody but
/// this thread, the kernel and other processes can store there.
fn slot_of<'t>(
    hit: &RawHit<'_>,
    watches: &[Watch],
    (processes, own, kernel): &'t mut Holders<'_>,
) -> (&'t mut Slot, bool) {
    let index = hit.watch as usize;
    if watches[index].is_kernel() {
        return (&mut kernel[index], false);
    }
    let process = processes.entry(hit.pid);
    let process = process.or_insert_with(|| Process::unknown(hit.pid, watches));
    process.hit = true;
    let mut own = own.get_mut(&hit.tid).into_iter().flatten();
    match own.find(|own| own.watch == index) {
        Some(own) => (&mut own.slot, false),
        None => (&mut process.slots[index], process.threads <= 1),
    }
}

/// The access at a hit. Of the kernel's own it is known where the registers of its
/// code are.
fn decoded<'d>(
    hit: &RawHit<'_>,
    decoder: &'d mut Decoder,
    code: &mut dyn CodeSource,
) -> Option<&'d Access> {
    let owner = match hit.kernel {
        true if hit.interrupted.mask == 0 => return None,
        true => KERNEL,
        false => hit.pid,
    };
    decoder.decode(owner, hit.ip, code)
}

/// What the engine can be taught of it.
fn lesson(hit: &RawHit<'_>, access: Option<&Access>) -> Option<Lesson> {
    let pid = if hit.kernel { KERNEL } else { hit.pid };
    Some(Lesson { pid, ip: hit.ip, rule: access?.rule()? })
}

/// What the instruction tells of the access. A load can not have
/// fired a register that watches stores: then it was another instruction.
fn recover(
    hit: &RawHit<'_>,
    access: Option<&Access>,
    watch: &Watch,
    old: u64,
) -> Recovered {
    let Some(access) = access else { return Recovered::default() };
    let registers = if hit.kernel { &hit.interrupted } else { &hit.registers };
    let recovered = access.recover(registers, watch.address, watch.length, old);
    match (recovered.kind, watch.trigger) {
        (AccessKind::Read, Trigger::Write) => Recovered::default(),
        _ => recovered,
    }
}

/// What made the access: the instruction before the sampled address, or the one at it, or
/// what came from elsewhere.
fn find_out(
    hit: &RawHit<'_>,
    watch: Watch,
    shadow: Shadow,
    decoder: &mut Decoder,
    (code, memory): (&mut dyn CodeSource, &mut dyn Memory),
    lesson: &mut Option<Lesson>,
) -> Recovered {
    let access = decoded(hit, decoder, code);
    // Of code that somebody may write at any time nothing is taught.
    *lesson = self::lesson(hit, access);
    let access = match access {
        None if !hit.kernel => {
            let read =
                |address, bytes: &mut [u8]| memory.read_bytes(hit.pid, address, bytes);
            Window::read(hit.ip, read)
                .and_then(|window| decoder.decode_window(hit.pid, hit.ip, &window))
        }
        access => access,
    };
    let fell = recover(hit, access, &watch, shadow.value);
    let Some(access) = access.filter(|_| !hit.kernel && fell.kind == AccessKind::Unknown)
    else {
        return fell;
    };
    match access.reaches(&hit.registers, watch.address, watch.length) {
        true => fell,
        false => {
            let access = *access;
            arrived(hit, &access, watch, shadow, decoder, code)
        }
    }
}

/// The system call in which the kernel made the access, where the engine does not
/// tell: it was entered by the instruction before the address that this leaves in RCX,
/// and has RFLAGS in R11 (SDM vol. 2B, SYSCALL) and -ENOSYS in RAX (Linux:
/// arch/x86/entry/entry_64.S).
fn syscall(
    hit: &RawHit<'_>,
    decoder: &mut Decoder,
    code: &mut dyn CodeSource,
) -> Option<u32> {
    const NOT_YET: u64 = -(libc::ENOSYS as i64) as u64;
    let [ax, cx, flags, r11] =
        [0, 2, 9, 19].map(|number| hit.kernel.then(|| hit.registers.get(number))?);
    let entered = ax == Some(NOT_YET) && flags.is_some() && flags == r11;
    decoder.syscall(hit.pid, cx.filter(|_| entered)?, code)
}

/// What came to the address of the hit and made the access, where no instruction before
/// it can have.
fn arrived(
    hit: &RawHit<'_>,
    access: &Access,
    watch: Watch,
    shadow: Shadow,
    decoder: &mut Decoder,
    code: &mut dyn CodeSource,
) -> Recovered {
    let value = shadow.sure.then_some(shadow.value).or(hit.at_hit.memory);
    let arrival = Arrival { ip: hit.ip, registers: &hit.registers, watch, value };
    let arrived = arrival.access(access);
    let pushed = (arrived.kind == AccessKind::Write && arrival.is_pushed())
        .then_some(hit.at_hit.memory)
        .flatten();
    pushed
        .and_then(|value| {
            let behind = decoder.decode(hit.pid, value, code)?;
            arrival.call(behind, value)
        })
        .unwrap_or(arrived)
}

/// A register that watches stores reports nothing else.
fn access_kind(decoded: AccessKind, trigger: Trigger) -> AccessKind {
    match (decoded, trigger) {
        (AccessKind::Unknown, Trigger::Write) => AccessKind::Write,
        (kind, _) => kind,
    }
}
