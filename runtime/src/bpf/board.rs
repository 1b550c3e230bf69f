//! What the programs at hits share with us, in one array: where everything lies, in
//! bytes from its start.
//!
//! - For each watch, counters.
//! - For each register that watches take turns on, whose turn it is.
//! - Rules: what instructions do, by owner and address. We write them, programs
//!   read them.
//! - Shadows: the value that the last hit left, by process (or thread) and watch.
//! - For each CPU a frame: the registers of the user and what was found out of the hit. No
//!   two programs run on one CPU at once (kernel/events/core.c,
//!   `bpf_overflow_handler`: `bpf_prog_active`).
//! - For each CPU a draft, where records have stacks: there they are put together, as
//!   nobody knows how long they become.
//!
//! Rules and shadows are tables of fixed size, in which a key has its place, or
//! one of the few that follow.

use super::insn::{Alu, Instruction, Register, alu_constant};
use crate::attr::REGISTERS;

/// How many watches there are counters for.
pub const WATCHES: usize = 4096;
const _: () = assert!(WATCHES.is_power_of_two());
/// After its place, in so many in all a key may be.
pub const PROBES: usize = 4;

/// Bytes of a watch's counters.
const COUNTERS_BYTES: usize = 1 << COUNTERS_SHIFT;
/// The same as a shift.
pub(super) const COUNTERS_SHIFT: i32 = 5;
/// Hits that a filter left out, within them.
pub const DROPPED: usize = 0;
/// Hits for which there was no room.
pub const LOST: usize = 8;
/// Hits that took a number at a gate.
pub const TICKETS: usize = 16;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    start: usize,
    /// Bits of an index.
    bits: u32,
    /// Bytes of an entry, as a shift.
    entry_shift: u32,
}

/// What keys are multiplied with, so that the upper bits depend on all: 2^64 by the
/// golden ratio.
pub(super) const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Table {
    /// Offset of the first entry in which this key may be.
    pub fn place(&self, key: u64) -> usize {
        let index = key.wrapping_mul(SPREAD) >> (64 - self.bits);
        self.start + ((index as usize) << self.entry_shift)
    }

    /// Offsets of all entries in which this key may be.
    pub fn places(&self, key: u64) -> impl Iterator<Item = usize> {
        let (first, bytes) = (self.place(key), self.entry_bytes());
        (0..PROBES).map(move |probe| first + probe * bytes)
    }

    /// Offsets of all entries.
    pub fn all(&self) -> impl Iterator<Item = usize> {
        (self.start..self.end()).step_by(self.entry_bytes())
    }

    /// Number of an entry.
    pub fn index(&self, offset: usize) -> usize {
        (offset - self.start) >> self.entry_shift
    }

    /// Bytes of an entry.
    pub fn entry_bytes(&self) -> usize {
        1 << self.entry_shift
    }

    /// Where it begins.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The last key may be behind the last place.
    const fn entries(&self) -> usize {
        (1 << self.bits) + PROBES - 1
    }

    const fn end(&self) -> usize {
        self.start + (self.entries() << self.entry_shift)
    }

    /// Turns a spread key into the offset from the table's start.
    pub(super) fn scale(&self, key: Register) -> [Instruction; 2] {
        let down = 64 - self.bits as i32;
        [
            alu_constant(Alu::ShiftRight, key, down),
            alu_constant(Alu::ShiftLeft, key, self.entry_shift as i32),
        ]
    }
}

/// What is there of a register that watches take turns on, in bytes from its start.
pub mod turn {
    /// So many registers there are.
    pub const REGISTERS: usize = crate::slots::CAPACITY;
    /// Number of the watch whose turn it is.
    pub const WATCH: i16 = 0;
    /// Index of the program that is run for it; [`NONE`] where it is nobody's turn.
    pub const PROGRAM: i16 = 8;
    /// No program.
    pub const NONE: u64 = u32::MAX as u64;
    /// Where it is in the processes, the rest as the last; the first is 0 where these do
    /// not suffice, and hits are compared with [`SHADOW_PLACE`](super::SHADOW_PLACE).
    pub const ADDRESSES: i16 = 16;
    /// How many that are.
    pub const PLACES: usize = 4;
    /// Hits that were nobody's.
    pub const STRAYS: i16 = ADDRESSES + 8 * PLACES as i16;
    /// All of it.
    pub const BYTES: usize = 64;
}

/// Offset of what is there of a register.
pub const fn turn(register: usize) -> usize {
    WATCHES * COUNTERS_BYTES + register * turn::BYTES
}

/// The rules.
pub const RULES: Table = Table { start: turn(turn::REGISTERS), bits: 12, entry_shift: 6 };
/// The shadows.
pub const SHADOWS: Table = Table { start: RULES.end(), bits: 13, entry_shift: 5 };
/// The frames.
pub const FRAMES: usize = SHADOWS.end().next_multiple_of(FRAME_BYTES);
/// Bytes of a frame, as a shift.
pub(super) const FRAME_SHIFT: i32 = 10;
const FRAME_BYTES: usize = 1 << FRAME_SHIFT;

/// Where the drafts begin, behind frames for CPUs with numbers below `cpus`.
pub fn drafts(cpus: usize) -> usize {
    FRAMES + cpus * FRAME_BYTES
}

/// Bytes of it all, with drafts of so many bytes.
pub fn bytes(cpus: usize, draft_bytes: usize) -> usize {
    // What is read last may, as far as the verifier sees, go over a draft's end by as
    // much as is read at once.
    let over = if draft_bytes > 0 { READ_AT_ONCE } else { 0 };
    drafts(cpus) + cpus * draft_bytes + over
}

/// Bytes of a stack that are read at once at most: a page, as pages are there or not.
pub(super) const READ_AT_ONCE: usize = 4096;

/// Offset of a counter of a watch, [`DROPPED`], [`LOST`] or [`TICKETS`].
pub fn counter(watch: usize, which: usize) -> usize {
    watch * COUNTERS_BYTES + which
}

/// Within a rule: the address after the instruction; 0 where there is none.
pub const RULE_IP: usize = 0;
/// The owner's number, and in the upper half that of the lesson.
pub const RULE_OWNER: usize = 8;
/// What is added to the operand's address.
pub const RULE_DISPLACEMENT: usize = 16;
/// Everything small ([`packed`]).
pub const RULE_PACKED: usize = 24;
/// A number of the instruction.
pub const RULE_NUMBER: usize = 32;

/// The key by which a rule has its place.
pub fn rule_key(owner: u32, ip: u64) -> u64 {
    ip ^ u64::from(owner) << 32
}

/// Within a shadow: its key ([`shadow_key`]); 0 where there is none.
pub const SHADOW_KEY: usize = 0;
/// The value; upper bits that are not watched may hold anything.
pub const SHADOW_VALUE: usize = 8;
/// Whether it is known.
pub const SHADOW_KNOWN: usize = 16;
/// What it is then: told by an instruction, or read from memory, which may have held
/// what another CPU stored since.
pub mod known {
    /// Told.
    pub const TOLD: i32 = 1;
    /// Read.
    pub const READ: i32 = 2;
}

/// Where the watch is there, if it may be elsewhere: hits of another address leave the
/// shadow alone. 0 where it is not known.
pub const SHADOW_PLACE: usize = 24;

/// The key of a shadow: of a process, or of the thread whose own watch it is.
pub fn shadow_key(owner: u32, watch: u32) -> u64 {
    u64::from(owner) << 32 | u64::from(watch + 1)
}

/// The parts of [`RULE_PACKED`], as shifts.
pub mod packed {
    /// Index of the base among the registers of a frame, or
    /// [`NO_REGISTER`](super::NO_REGISTER), 8 bits each.
    pub const BASE: u32 = 0;
    /// Of the index's.
    pub const INDEX: u32 = 8;
    /// By how much that is shifted.
    pub const SCALE: u32 = 16;
    /// What is known of the value ([`super::Way`]).
    pub const WAY: u32 = 24;
    /// Index of the one with the value.
    pub const VALUE: u32 = 32;
    /// By how much that is shifted to the right.
    pub const SHIFT: u32 = 40;
    /// Bytes of the operand.
    pub const SIZE: u32 = 48;
    /// An [`AccessKind`](crate::schema::AccessKind).
    pub const KIND: u32 = 56;
}

/// What is known of an operand, as in a [`Rule`](crate::plan::Rule).
#[allow(missing_docs, reason = "each is the `RuleValue` of the same name")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Register,
    Immediate,
    Memory,
    AddImmediate,
    AddRegister,
    CompareExchange,
    Exchange,
}

/// Words of a frame, by index.
pub mod frame {
    /// The user's registers: those of [`REGISTERS`](crate::attr::REGISTERS) in their
    /// order, and the instruction pointer.
    pub const USER: usize = 0;
    /// How many these are.
    pub const REGISTER_COUNT: usize = 18;
    /// The watched bytes before the access.
    pub const OLD: usize = USER + REGISTER_COUNT;
    /// After it.
    pub const NEW: usize = OLD + 1;
    /// The process.
    pub const PID: usize = NEW + 1;
    /// The thread.
    pub const TID: usize = PID + 1;
    /// The CPU.
    pub const CPU: usize = TID + 1;
    /// The first watched byte.
    pub const ADDRESS: usize = CPU + 1;
    /// Whether the thread made the access itself.
    pub const USER_MODE: usize = ADDRESS + 1;
    /// What it was.
    pub const ACCESS: usize = USER_MODE + 1;
    /// What is known, flags of a [record](super::super::hit::flag).
    pub const FLAGS: usize = ACCESS + 1;
    /// Owner and number of the rule.
    pub const RULE: usize = FLAGS + 1;
    /// The rule's number.
    pub const NUMBER: usize = RULE + 1;
    /// The system call, or a negative number.
    pub const SYSCALL: usize = NUMBER + 1;
    /// A shadow for hits that have none: four words.
    pub const SHADOW: usize = SYSCALL + 1;
    /// Bytes of records since the ring was last asked how full it is.
    pub const UNASKED: usize = SHADOW + 4;
    /// How many bytes of the draft are written, as callers are appended.
    pub const WRITTEN: usize = UNASKED + 1;
    /// The watch, where several take turns.
    pub const WATCH: usize = WRITTEN + 1;
    /// The slots of filters and reads.
    pub const SLOTS: usize = WATCH + 1;
    /// All of them.
    pub const WORDS: usize = SLOTS + crate::plan::SLOTS_MAX as usize;
}

const _: () = assert!(frame::WORDS * 8 <= FRAME_BYTES);

/// Stands in a rule for a register that there is not: it is 0.
pub const NO_REGISTER: usize = frame::REGISTER_COUNT;

/// The place of a register among those in a frame, by perf's number; none for one
/// that is not there.
pub fn register_index(number: u8) -> Option<usize> {
    /// The instruction pointer.
    const IP: u8 = 8;
    if number == IP {
        return Some(frame::REGISTER_COUNT - 1);
    }
    let bit = 1u64.checked_shl(number.into())?;
    (REGISTERS & bit != 0).then(|| (REGISTERS & (bit - 1)).count_ones() as usize)
}

/// Where `struct pt_regs` has the registers of a frame, in bytes
/// (arch/x86/include/asm/ptrace.h).
pub(super) const PT_REGS: [i16; frame::REGISTER_COUNT] =
    [80, 40, 88, 96, 104, 112, 32, 152, 144, 72, 64, 56, 48, 24, 16, 8, 0, 128];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_in_the_order_of_samples() {
        let numbers = (0..64).filter(|bit| REGISTERS >> bit & 1 == 1);
        let indices: Vec<_> = numbers.map(|it| register_index(it as u8)).collect();
        assert_eq!(indices, (0..17).map(Some).collect::<Vec<_>>());
        assert_eq!((register_index(8), register_index(10)), (Some(17), None));
        assert_eq!(register_index(200), None);
    }

    #[test]
    fn tables_lie_apart() {
        for (table, end) in [(RULES, SHADOWS.start()), (SHADOWS, FRAMES)] {
            let last = table.all().last().expect("entries");
            assert!(last + table.entry_bytes() <= end);
            for key in [0, 1, u64::MAX, SPREAD, u64::MAX / 3] {
                assert!(table.places(key).all(|it| table.start() <= it && it <= last));
            }
        }
    }
}
