//! What the guardian reports: records of words, written into a pipe as there is room,
//! and taken apart by hwtrace.
//!
//! A record begins with a word of its kind and its number of words. The threads are
//! stopped while their hits are reported, so that who does not read holds the target
//! up; for a while, then hits are counted as lost.

use std::os::fd::RawFd;
use std::time::Duration;

use crate::attr::REGISTERS;
use crate::event::{AtHit, Event, RawHit, Registers, Told, UserStack};
use crate::kernel::{Errno, Kernel, UserRegisters};
use crate::ring::as_bytes;
use crate::schema::AccessKind;

/// So many bytes may wait for room in the pipe.
const WAITING_MAX: usize = 4 << 20;
/// And so many, once names, births, ends and mappings are among them.
const SIDEBAND_MAX: usize = WAITING_MAX + (1 << 20);
/// So often it is looked for room, a millisecond each, until a hit is lost.
const LOOKS: u32 = 100;
/// What is less than this may wait for more.
const WORTH_A_WRITE: usize = 16 << 10;

const NOTHING: u64 = 0;
const HIT: u64 = 1;
const COMM: u64 = 2;
const FORK: u64 = 3;
const EXIT: u64 = 4;
const MMAP: u64 = 5;
const LOST: u64 = 6;

/// Words of a hit before the registers.
const HIT_WORDS: usize = 12;
/// Registers of a hit.
const REGISTER_WORDS: usize = REGISTERS.count_ones() as usize;

/// A hit of which a record is made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hit<'a> {
    pub(super) watch: u32,
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) cpu: u32,
    pub(super) ip: u64,
    pub(super) kernel: bool,
    pub(super) syscall: Option<u32>,
    pub(super) registers: UserRegisters,
    pub(super) at_hit: AtHit,
    pub(super) callers: &'a [u64],
    pub(super) stack: &'a [u64],
}

/// What waits to be written.
pub(super) struct Reports {
    pipe: RawFd,
    words: Vec<u64>,
    /// Bytes of them that were written.
    written: usize,
    /// Hits for which there was no room since the last that had some.
    lost_now: u64,
    lost: u64,
    lost_sideband: u64,
    /// Whether nobody reads any more.
    broken: bool,
}

impl Reports {
    pub(super) fn new(pipe: RawFd) -> Self {
        Self {
            pipe,
            words: Vec::new(),
            written: 0,
            lost_now: 0,
            lost: 0,
            lost_sideband: 0,
            broken: false,
        }
    }

    /// Hits that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Names, births, ends and mappings that were lost.
    pub(super) fn lost_sideband(&self) -> u64 {
        self.lost_sideband
    }

    /// Counts hits as lost.
    pub(super) fn lose(&mut self, count: u64) {
        self.lost += count;
        self.lost_now += count;
    }

    /// What waits, taken.
    #[cfg(test)]
    pub(super) fn take_words(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.words)
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.words.len() * size_of::<u64>() - self.written
    }

    /// Whether it is time to write.
    pub(super) fn is_worth_a_write(&self) -> bool {
        self.waiting() >= WORTH_A_WRITE
    }

    /// Writes what there is room for.
    pub(super) fn flush(&mut self, kernel: &dyn Kernel) {
        while self.waiting() > 0 && !self.broken {
            match kernel.write(self.pipe, &as_bytes(&self.words)[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::EAGAIN) => break,
                Err(_) => self.broken = true,
            }
        }
        if self.waiting() == 0 || self.broken {
            self.words.clear();
            self.written = 0;
        }
    }

    /// Reports a hit, or loses it.
    pub(super) fn hit(&mut self, kernel: &dyn Kernel, time: u64, hit: &Hit<'_>) {
        if !self.has_room(kernel) {
            self.lose(1);
            return;
        }
        self.report_lost();
        let AtHit { old, memory, told, acted, .. } = hit.at_hit;
        let flags = u64::from(hit.kernel)
            | u64::from(memory.is_some()) << 1
            | u64::from(old.is_some()) << 2
            | u64::from(told.is_some()) << 3
            | u64::from(told.is_some_and(|told| told.exact)) << 4
            | u64::from(told.map_or(0, |told| told.kind as u8)) << 8
            | u64::from(acted) << 16
            | u64::from(hit.syscall.map_or(0, |number| number.saturating_add(1))) << 32;
        let [callers, stack] = [hit.callers, hit.stack].map(<[u64]>::len);
        self.begin(HIT, HIT_WORDS + REGISTER_WORDS + callers + stack, time);
        self.words.extend([
            pair(hit.pid, hit.tid),
            pair(hit.watch, hit.cpu),
            hit.ip,
            flags,
            memory.unwrap_or(0),
            old.unwrap_or(0),
            told.map_or(0, |told| told.instruction),
            told.map_or(0, |told| told.new),
            callers as u64,
            stack as u64,
        ]);
        let general = hit.registers.general.iter().enumerate();
        let sampled = general.filter(|(number, _)| REGISTERS >> number & 1 == 1);
        self.words.extend(sampled.map(|(_, value)| *value));
        self.words.extend(hit.callers);
        self.words.extend(hit.stack);
    }

    /// A thread has a name.
    pub(super) fn comm(
        &mut self,
        time: u64,
        (pid, tid): (u32, u32),
        name: &[u8],
        exec: bool,
    ) {
        // Who executes waits until that was read: there are not many of those.
        if !exec && self.is_full() {
            return;
        }
        self.begin(COMM, 4 + name.len().div_ceil(8), time);
        self.words.push(pair(pid, tid));
        self.words.push(u64::from(exec) << 32 | name.len() as u64);
        self.text(name);
    }

    /// A thread was created.
    pub(super) fn fork(&mut self, time: u64, parent: (u32, u32), child: (u32, u32)) {
        if self.is_full() {
            return;
        }
        self.begin(FORK, 4, time);
        self.words.extend([pair(child.0, child.1), pair(parent.0, parent.1)]);
    }

    /// A thread ended.
    pub(super) fn exit(&mut self, time: u64, (pid, tid): (u32, u32)) {
        if self.is_full() {
            return;
        }
        self.begin(EXIT, 3, time);
        self.words.push(pair(pid, tid));
    }

    /// A process mapped a file executable: its address, length and offset in the file.
    pub(super) fn mmap(&mut self, time: u64, pid: u32, range: [u64; 3], path: &[u8]) {
        if self.is_full() {
            return;
        }
        self.begin(MMAP, 7 + path.len().div_ceil(8), time);
        self.words.push(pair(pid, 0));
        self.words.extend(range);
        self.words.push(path.len() as u64);
        self.text(path);
    }

    /// Nothing, to wake who reads.
    pub(super) fn nothing(&mut self) {
        self.begin(NOTHING, 2, 0);
    }

    /// Reports what was lost, if anything was.
    pub(super) fn report_lost(&mut self) {
        match std::mem::take(&mut self.lost_now) {
            0 => {}
            count => {
                self.begin(LOST, 3, 0);
                self.words.push(count);
            }
        }
    }

    /// Whether there is no room for what is no hit; it is lost then, and nobody waited for.
    fn is_full(&mut self) -> bool {
        let is_full = self.waiting() >= SIDEBAND_MAX;
        self.lost_sideband += u64::from(is_full);
        is_full
    }

    fn begin(&mut self, kind: u64, words: usize, time: u64) {
        self.words.extend([kind << 32 | words as u64, time]);
    }

    fn text(&mut self, bytes: &[u8]) {
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        };
        self.words.extend(bytes.chunks(8).map(word));
    }

    /// Waits for room, for a while; who found none is not waited for again until
    /// there is.
    fn has_room(&mut self, kernel: &dyn Kernel) -> bool {
        let looks = if self.lost_now > 0 { 0 } else { LOOKS };
        for look in 0..=looks {
            if self.waiting() < WAITING_MAX {
                return true;
            }
            self.flush(kernel);
            if self.waiting() >= WAITING_MAX && look < looks {
                kernel.sleep(Duration::from_millis(1));
            }
        }
        self.waiting() < WAITING_MAX
    }
}

fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn unpair(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// The number of words of the record that begins here; none where it is not all there.
pub(super) fn record(words: &[u64]) -> Option<&[u64]> {
    let length = usize::try_from(*words.first()? & 0xffff_ffff).ok()?.max(2);
    words.get(..length)
}

/// What a record means; none where that is nothing.
pub(super) fn event(record: &[u64]) -> Option<Event<'_>> {
    let [head, time, rest @ ..] = record else { return None };
    let time = *time;
    match (head >> 32, rest) {
        (HIT, _) => hit(time, rest).map(Event::Hit),
        (COMM, [who, name, text @ ..]) => {
            let ((pid, tid), exec) = (unpair(*who), name >> 32 != 0);
            let name = as_bytes(text).get(..*name as u32 as usize)?;
            Some(Event::Comm { time, pid, tid, name, exec })
        }
        (FORK, [child, parent]) => {
            let ((pid, tid), (parent_pid, parent_tid)) =
                (unpair(*child), unpair(*parent));
            Some(Event::Fork { time, pid, tid, parent_pid, parent_tid })
        }
        (EXIT, [who]) => {
            let (pid, tid) = unpair(*who);
            Some(Event::Exit { time, pid, tid })
        }
        (MMAP, [who, address, length, offset, bytes, text @ ..]) => {
            let (pid, _) = unpair(*who);
            let path = as_bytes(text).get(..usize::try_from(*bytes).ok()?)?;
            let (address, length, offset) = (*address, *length, *offset);
            Some(Event::Mmap { time, pid, address, length, offset, path })
        }
        (LOST, [count]) => Some(Event::Lost { count: *count }),
        _ => None,
    }
}

fn hit(time: u64, words: &[u64]) -> Option<RawHit<'_>> {
    let (head, rest) = words.split_first_chunk::<{ HIT_WORDS - 2 }>()?;
    let [who, place, ip, flags, memory, old, instruction, new, callers, stack] = *head;
    let (values, rest) = rest.split_at_checked(REGISTER_WORDS)?;
    let (callers, rest) = rest.split_at_checked(usize::try_from(callers).ok()?)?;
    let stack = rest.get(..usize::try_from(stack).ok()?)?;
    let ((pid, tid), (watch, cpu)) = (unpair(who), unpair(place));
    let has = |bit: u32| flags >> bit & 1 == 1;
    let kind = AccessKind::from_number(u32::from((flags >> 8) as u8));
    let told = Told { instruction, kind, new, exact: has(4) };
    Some(RawHit {
        watch,
        pid,
        tid,
        cpu,
        time,
        ip,
        kernel: has(0),
        registers: Registers { mask: REGISTERS, values },
        user_stack: UserStack { callers, bytes: as_bytes(stack) },
        syscall: ((flags >> 32) as u32).checked_sub(1),
        at_hit: AtHit {
            old: has(2).then_some(old),
            old_read: false,
            memory: has(1).then_some(memory),
            told: has(3).then_some(told),
            acted: (flags >> 16) as u8,
            let_through: false,
        },
        ..RawHit::default()
    })
}
