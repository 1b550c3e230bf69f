//! What the session sets and asks.

use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Counts, Layout, ProcessInfo, Signals, Symbols, UserMemory, World};
use crate::abi::FaultCode;
use crate::abi::objects::Objects;
use crate::abi::registers::IP;
use crate::aggregate::Aggregate;
use crate::event::{Captured, RawHit};
use crate::strings::StringHandle;

impl World {
    /// The layout it was made from.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Sets who names addresses from now on.
    pub fn set_symbols(&mut self, symbols: Box<dyn Symbols>) {
        self.outside.symbols = symbols;
    }

    /// Sets who knows the processes from now on.
    pub fn set_process_info(&mut self, processes: Box<dyn ProcessInfo>) {
        self.outside.processes = processes;
    }

    /// Sets who reads memory from now on.
    pub fn set_memory(&mut self, memory: Box<dyn UserMemory>) {
        self.outside.memory = memory;
    }

    /// Sets who sends signals from now on.
    pub fn set_signals(&mut self, signals: Box<dyn Signals>) {
        self.outside.signals = signals;
    }

    /// Sets who knows from now on how much was seen, and of what: names with the numbers
    /// of their data, of which the first counts.
    pub fn set_counts<'n>(
        &mut self,
        counts: Box<dyn Counts>,
        names: impl Iterator<Item = (&'n str, Range<usize>)>,
    ) {
        self.outside.counts = counts;
        for (name, numbers) in names {
            // One beyond the bound on kept text no script can have.
            if let Ok(name) = self.strings.intern(name.as_bytes()) {
                self.outside.counted.push((name, numbers));
            }
        }
    }

    /// Sets the registers that the next run finds, to be called only where
    /// [`Layout::registers`] says so. The instruction pointer is the sampled
    /// one; of a hit in the kernel the other registers are those that the
    /// thread entered it with.
    pub fn set_registers(&mut self, hit: &RawHit<'_>) {
        for (number, register) in self.registers.iter_mut().enumerate() {
            *register = hit.registers.get(number as u32).unwrap_or_default();
        }
        self.registers[IP as usize] = hit.ip;
    }

    /// Sets what was read at the hit that the next runs are for, made by process
    /// `pid`: handlers that read it find it as it was then. To be called at each
    /// hit, and with nothing before what no hit runs.
    pub fn set_captured(&mut self, pid: u32, captured: Captured<'_>) {
        self.outside.at_hit.set(pid, captured);
    }

    /// The pictures of a wide object, to be filled before a handler of it runs: what
    /// it was before the access, and what it is after. Handlers read them at
    /// [`PICTURE_OLD`](crate::abi::PICTURE_OLD) and
    /// [`PICTURE_NEW`](crate::abi::PICTURE_NEW).
    pub fn pictures(&mut self) -> &mut [Vec<u8>; 2] {
        self.outside.pictures()
    }

    /// Sets what `target()` gives: the process of `-c` or `-p`.
    pub fn set_target(&mut self, pid: u32) {
        self.target = i64::from(pid);
    }

    /// Sets what is added to a record's time to get the time of day, in
    /// nanoseconds: CLOCK_REALTIME less CLOCK_MONOTONIC.
    pub fn set_time_of_day_offset(&mut self, offset_ns: i64) {
        self.time_of_day_offset_ns = offset_ns;
    }

    /// Sets where the numbers of `randint()` start, so that they come again.
    pub fn set_random_seed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    /// A handle for a name that records carry (`execname`, `data_name`). Names beyond the
    /// bound on kept text read as empty.
    pub fn intern(&mut self, text: &[u8]) -> u64 {
        self.strings.intern(text).unwrap_or(StringHandle::EMPTY).0
    }

    /// The text behind a handle from [`World::intern`] or a record.
    pub fn text(&self, handle: u64) -> &[u8] {
        self.strings.get(StringHandle(handle))
    }

    /// Forgets what is known of a process: its addresses may mean others now.
    pub fn forget_process(&mut self, pid: u32) {
        self.outside.forget(pid);
    }

    /// How many objects could not be watched, as `watch()` said.
    pub fn refused_objects(&self) -> u64 {
        self.objects.refused()
    }

    /// How many found no register, where they are not to take turns.
    pub fn short_objects(&self) -> u64 {
        self.objects.short()
    }

    /// The objects that handlers watch.
    pub fn objects(&mut self) -> &mut Objects {
        &mut self.objects
    }

    /// Ends the session, as a handler's `exit()` does.
    pub fn request_exit(&mut self) {
        self.exit = true;
    }

    /// Whether a handler called `exit()` or `abort()`.
    pub fn exit_requested(&self) -> bool {
        self.exit
    }

    /// What handlers have printed and nobody has taken yet.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// What handlers have to say to the user (`warn()`) and nobody has taken
    /// yet: for standard error.
    pub fn messages(&mut self) -> &mut Vec<u8> {
        &mut self.messages
    }

    /// The commands of `system()` that nobody has run yet, in order.
    pub fn commands(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.commands
    }

    /// The text of the last fault that has one of its own:
    /// [`FaultCode::UserError`], [`FaultCode::BadAddress`].
    pub fn fault_text(&self) -> &[u8] {
        &self.fault_text
    }

    /// Of which process memory could not be read at the last [`FaultCode::BadAddress`]; none
    /// where that was the kernel's.
    pub fn unread_process(&self) -> Option<u32> {
        self.unread
    }

    /// What a script is told of a fault that just happened.
    pub(crate) fn caught_text(&self, code: FaultCode) -> &[u8] {
        match code.caught() {
            "" => &self.fault_text,
            text => text.as_bytes(),
        }
    }

    /// How many strings were cut at the limit.
    pub fn truncated_strings(&self) -> u64 {
        self.strings.truncated()
    }

    /// The scalar longs and, by their bits, doubles, in slot order.
    pub fn longs(&self) -> &[i64] {
        &self.longs
    }

    /// The scalar statistics, in slot order.
    pub fn statistics(&self) -> &[Aggregate] {
        &self.statistics
    }
}

/// Pseudo-random numbers (xorshift64*): for sampling, not for secrets.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // 0 would stay 0.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Other numbers at each start.
    pub fn from_clock() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self::new(now.map_or(1, |now| now.as_nanos() as u64))
    }

    /// A number from 0 to below `n`; 0 where that is empty.
    pub fn below(&mut self, n: i64) -> i64 {
        let Ok(n @ 1..) = u64::try_from(n) else {
            return 0;
        };
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((u128::from(number) * u128::from(n)) >> 64) as i64
    }
}
