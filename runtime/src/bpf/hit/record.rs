//! The record of a hit: how it is written, and what is where in it.
//!
//! Words: the time; process and thread; watch and flags; the instruction pointer;
//! the value before; the one after; the rule's number and the system call; how long the
//! stacks are, where there are any. Then what was read, and registers: of the code that
//! made the access, of the user, as the flags say; before these, where the watch may be
//! elsewhere, the address of the hit. Last the stacks.

use super::{Hit, Rings, context, flag as flags};
use crate::bpf::assembler::Label;
use crate::bpf::board::{PT_REGS, frame};
use crate::bpf::filter;
use crate::bpf::insn::{
    Alu, FRAME, Helper, R0, R1, R2, R3, R6, R7, R8, R9, Test, Width, add, alu,
    alu_constant, call, copy, load, set, set_map, store, store_constant,
};
use crate::bpf::steps::at;

/// Words before what was read.
pub const BODY: usize = 7;
/// Bytes of the ring's own before each record.
pub const HEAD_BYTES: usize = 8;
/// Registers of a kind in a record, by their index in a frame: in the order of samples
/// ([`STACK_REGISTERS`](crate::attr::STACK_REGISTERS)).
const REGISTERS: [usize; frame::REGISTER_COUNT] =
    [0, 1, 2, 3, 4, 5, 6, 7, INSTRUCTION_POINTER, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// This one has only a record with stacks.
const INSTRUCTION_POINTER: usize = frame::REGISTER_COUNT - 1;

/// What is known of a hit: bits of the upper half of a record's third word, above
/// the lowest, which says that the thread made the access itself.
pub mod flag {
    /// The value before the access.
    pub const OLD: i32 = 1;
    /// The one after it is what memory held.
    pub const MEMORY: i32 = 2;
    /// A rule told what the access was.
    pub const TOLD: i32 = 4;
    /// The value after it is what this very instruction stored or loaded.
    pub const EXACT: i32 = 8;
    /// The record has the registers of the code that made the access.
    pub const CODE: i32 = 16;
    /// And those of the user besides, of a hit in the kernel.
    pub const USER: i32 = 32;
    /// The value before is what memory held at the hit before.
    pub const OLD_READ: i32 = 64;
    /// The record has stacks, and a word that says how long they are.
    pub const STACKS: i32 = 128;
    /// The record tells where the hit was.
    pub const ADDRESS: i32 = 1 << (ACTED_BIT + crate::plan::ACTS_MAX as u32 + 1);
    /// The first act was done; those of the next are the bits above.
    pub const ACTED: i32 = 1 << ACTED_BIT;
    /// Which bit that is.
    pub const ACTED_BIT: u32 = 8;
    /// It took a number at the gate, which let it through.
    pub const LET_THROUGH: i32 = 1 << (ACTED_BIT + crate::plan::ACTS_MAX as u32);
}

/// What is asked of a ring, `BPF_RB_AVAIL_DATA`: bytes that nobody has read.
const AVAILABLE: i32 = 0;
/// A ring is asked that when this part of it was filled since: one of so many.
const PARTS: i32 = 128;
/// `BPF_RB_NO_WAKEUP`, and the other way (include/uapi/linux/bpf.h).
const NO_WAKEUP: i32 = 1;
const FORCE_WAKEUP: i32 = 2;

impl Hit<'_> {
    /// Writes it.
    pub(super) fn record(&mut self) {
        self.asm.place(self.labels.undecided);
        let lost = self.labels.lost;
        let [small, code, both, written] = [(); 4].map(|()| self.asm.label());
        match self.stacks {
            Some(_) => self.draft(lost),
            None => self.ring(lost),
        }
        self.choose(small, code, both);
        self.reserve(small, 0, written);
        self.reserve(code, flags::CODE, written);
        self.reserve(both, flags::CODE | flags::USER, written);
        self.asm.place(written);
        self.body();
        if self.tells_place() {
            self.address();
        }
        let forbidden = self.forbidden();
        let read = self.read_at();
        filter::write_reads(&mut self.asm, self.reads, forbidden, read);
        match self.stacks {
            Some(stacks) => self.put(stacks),
            None => self.submit(),
        }
    }

    /// The word in which what is read begins.
    fn read_at(&self) -> usize {
        BODY + usize::from(self.stacks.is_some())
    }

    /// The registers that a record has of each kind.
    fn kept(&self) -> impl Iterator<Item = usize> + use<> {
        let all = self.stacks.is_some();
        REGISTERS.into_iter().filter(move |it| all || *it != INSTRUCTION_POINTER)
    }

    /// [`R8`] = the ring of this CPU.
    pub(super) fn ring(&mut self, lost: Label) {
        self.asm.put([load(Width::Double, R1, R7, at(frame::CPU))]);
        match self.maps.rings {
            Rings::Few(rings) => {
                let found = self.asm.label();
                for (cpu, ring) in rings.iter().filter(|it| it.0 != Rings::NONE) {
                    let other = self.asm.label();
                    self.asm.jump_if(Test::NotEqual, R1, *cpu as i32, other);
                    self.asm.put(set_map(R8, *ring));
                    self.asm.jump(found);
                    self.asm.place(other);
                }
                self.asm.jump(lost);
                self.asm.place(found);
            }
            Rings::Many(rings) => {
                self.asm.put([
                    store(Width::Word, FRAME, -8, R1),
                    copy(R2, FRAME),
                    add(R2, -8),
                ]);
                self.asm.put(set_map(R1, rings));
                self.asm.put([call(Helper::MapLookup)]);
                self.asm.jump_if(Test::Equal, R0, 0, lost);
                self.asm.put([copy(R8, R0)]);
            }
        }
    }

    /// Which registers it has: those that somebody asks for; and where no rule tells
    /// what the code did, that code's.
    fn choose(&mut self, small: Label, code: Label, both: Label) {
        if self.needs.registers || self.needs.user_stack {
            self.asm.put([load(Width::Double, R1, R7, at(frame::USER_MODE))]);
            self.asm.jump_if(Test::NotEqual, R1, 0, code);
            self.asm.jump(both);
        } else if self.values {
            self.jump_if_flag(flags::TOLD, small);
            self.asm.jump(code);
        } else {
            self.asm.jump(small);
        }
    }

    /// Words of a record with these flags, without stacks.
    fn words(&self, flags: i32) -> usize {
        let kinds = [flags::CODE, flags::USER].map(|flag| usize::from(flags & flag != 0));
        let registers = kinds.iter().sum::<usize>() * self.kept().count();
        self.registers_at() + registers
    }

    /// The word in which registers begin.
    fn registers_at(&self) -> usize {
        self.read_at() + self.reads.words() + usize::from(self.tells_place())
    }

    /// Takes room for it, [`R9`], and writes the registers.
    fn reserve(&mut self, begin: Label, flags: i32, written: Label) {
        self.asm.place(begin);
        let bytes = (self.words(flags) * 8) as i32;
        if self.stacks.is_some() {
            self.asm.put([set(R8, bytes)]);
        } else {
            self.asm.put([copy(R1, R8), set(R2, bytes), set(R3, 0)]);
            self.asm.put([call(Helper::RecordReserve)]);
            self.asm.jump_if(Test::Equal, R0, 0, self.labels.lost);
            self.asm.put([copy(R9, R0), set(R1, bytes)]);
            self.filled();
        }
        let mut to = self.registers_at();
        for flag in [flags::CODE, flags::USER] {
            for index in self.kept().filter(|_| flags & flag != 0) {
                self.asm.put([
                    match flag {
                        flags::CODE => load(Width::Double, R1, R6, PT_REGS[index]),
                        _ => load(Width::Double, R1, R7, at(frame::USER + index)),
                    },
                    store(Width::Double, R9, at(to), R1),
                ]);
                to += 1;
            }
        }
        let stacks = if self.stacks.is_some() { flags::STACKS } else { 0 };
        let address = if self.tells_place() { flags::ADDRESS } else { 0 };
        self.asm.put([
            load(Width::Double, R2, R7, at(frame::FLAGS)),
            alu_constant(Alu::Or, R2, flags | stacks | address),
        ]);
        self.asm.jump(written);
    }

    /// Counts a record of R1 bytes as what the ring was not asked since.
    pub(super) fn filled(&mut self) {
        self.asm.put([
            load(Width::Double, R2, R7, at(frame::UNASKED)),
            alu(Alu::Add, R1, R2),
            add(R1, HEAD_BYTES as i32),
            store(Width::Double, R7, at(frame::UNASKED), R1),
        ]);
    }

    /// Writes the first words; R2 is the flags.
    fn body(&mut self) {
        self.asm.put([
            load(Width::Double, R1, R7, at(frame::USER_MODE)),
            alu_constant(Alu::ShiftLeft, R2, 1),
            alu(Alu::Or, R1, R2),
            alu_constant(Alu::ShiftLeft, R1, 32),
            self.number(R3),
            alu(Alu::Or, R1, R3),
            store(Width::Double, R9, at(2), R1),
            call(Helper::Clock),
            store(Width::Double, R9, at(0), R0),
            load(Width::Double, R1, R7, at(frame::PID)),
            load(Width::Double, R2, R7, at(frame::TID)),
            alu_constant(Alu::ShiftLeft, R2, 32),
            alu(Alu::Or, R1, R2),
            store(Width::Double, R9, at(1), R1),
            load(Width::Double, R1, R6, context::IP),
            store(Width::Double, R9, at(3), R1),
        ]);
        for (word, from) in [(4, frame::OLD), (5, frame::NEW)] {
            self.asm.put([
                load(Width::Double, R1, R7, at(from)),
                store(Width::Double, R9, at(word), R1),
            ]);
        }
        self.asm.put([
            load(Width::Double, R1, R7, at(frame::RULE)),
            alu_constant(Alu::ShiftRight, R1, 32),
            load(Width::Double, R2, R7, at(frame::SYSCALL)),
            alu_constant(Alu::ShiftLeft, R2, 32),
            alu(Alu::Or, R1, R2),
            store(Width::Double, R9, at(6), R1),
        ]);
    }

    /// Writes where the hit was.
    fn address(&mut self) {
        let at_word = self.registers_at() - 1;
        self.asm.put([
            load(Width::Double, R1, R7, at(frame::ADDRESS)),
            store(Width::Double, R9, at(at_word), R1),
        ]);
    }

    /// Hands it over.
    fn submit(&mut self) {
        let longest = self.words(flags::CODE | flags::USER) * 8 + HEAD_BYTES;
        self.wakes(longest);
        self.asm.put([copy(R1, R9), call(Helper::RecordSubmit)]);
        self.asm.jump(self.labels.end);
    }

    /// R2 = whether it wakes who waits for the ring in [`R8`]: once, when a quarter of it
    /// is full. The ring is not asked at each record, but whenever a small part of it
    /// was filled. `longest` is how long a record is at most.
    pub(super) fn wakes(&mut self, longest: usize) {
        let known = self.asm.label();
        let ring = self.maps.ring_bytes as i32;
        let (quarter, part) = (ring / 4, ring / PARTS);
        self.asm
            .put([set(R2, NO_WAKEUP), load(Width::Double, R1, R7, at(frame::UNASKED))]);
        self.asm.jump_if(Test::Below, R1, part, known);
        self.asm.put([
            store_constant(Width::Double, R7, at(frame::UNASKED), 0),
            copy(R1, R8),
            set(R2, AVAILABLE),
            call(Helper::RecordsQuery),
            set(R2, NO_WAKEUP),
        ]);
        self.asm.jump_if(Test::Below, R0, quarter, known);
        // No more than this can have come since it was asked before.
        let passed = quarter + part + longest as i32;
        self.asm.jump_if(Test::AboveOrEqual, R0, passed, known);
        self.asm.put([set(R2, FORCE_WAKEUP)]);
        self.asm.place(known);
    }
}
