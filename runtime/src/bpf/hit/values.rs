//! What the access did: the watched bytes before and after it.

use std::ops::Range;

use super::{Hit, Labels, context, flag};
use crate::bpf::assembler::Label;
use crate::bpf::board::{
    self, NO_REGISTER, PROBES, PT_REGS, RULE_DISPLACEMENT, RULE_IP, RULE_NUMBER,
    RULE_OWNER, RULE_PACKED, RULES, SHADOW_KEY, SHADOW_KNOWN, SHADOW_PLACE, SHADOW_VALUE,
    SHADOWS, SPREAD, Table, Way, frame, known, packed, turn,
};
use crate::bpf::insn::{
    Alu, Atomic, FRAME, Helper, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, Register, Test,
    Width, add, alu, alu_constant, atomic, call, copy, copy_low, load, set, set_address,
    set_wide, store, store_constant,
};
use crate::bpf::steps::at;
use crate::bpf::walk;
use crate::schema::AccessKind;

/// Where parts of it begin.
#[derive(Clone, Copy)]
struct Values {
    /// Memory is asked.
    memory: Label,
    /// What was done is not known: memory is asked, and everything recorded.
    unknown: Label,
    /// Memory can not be read either.
    unread: Label,
    /// The new value is in R1 and in the frame, and the flags in R3: the shadow takes
    /// it.
    exchange: Label,
}

/// The index of FLAGS among the registers of a frame, and its zero flag.
const FLAGS: usize = 8;
const ZERO_FLAG: i32 = 1 << 6;
/// Operands that begin further before the watched bytes than this have no rules.
const BEFORE_MAX: i32 = 247;

impl Hit<'_> {
    /// Writes it; goes on at the filter, or where that can not be asked at the
    /// record.
    pub(super) fn values(&mut self) {
        let mut label = || self.asm.label();
        let labels = Values {
            memory: label(),
            unknown: label(),
            unread: label(),
            exchange: label(),
        };
        // What is not found out is 0.
        for word in [frame::OLD, frame::NEW, frame::ACCESS] {
            self.asm.put([store_constant(Width::Double, R7, at(word), 0)]);
        }
        self.shadow();
        if self.tells_place() {
            self.place(labels);
        }
        self.rule(labels);
        self.operand(labels);
        self.by_way(labels);
        self.without_rule(labels);
        self.exchange(labels);
    }

    /// `to` = the first place of the key `spread`, which is lost.
    fn first_place(&mut self, table: Table, to: Register, spread: Register) {
        self.asm.put(set_wide(R3, SPREAD));
        self.asm.put([alu(Alu::Multiply, spread, R3)]);
        self.asm.put(table.scale(spread));
        self.asm.put(set_address(to, self.maps.board, table.start()));
        self.asm.put([alu(Alu::Add, to, spread)]);
    }

    /// Sets [`R9`] to the shadow, a new one where there is none; where there is no
    /// place for one to three words that hold nothing.
    fn shadow(&mut self) {
        let owner = if self.watched.own { frame::TID } else { frame::PID };
        self.asm.put([
            load(Width::Double, R1, R7, at(owner)),
            alu_constant(Alu::ShiftLeft, R1, 32),
            self.number(R2),
            add(R2, 1),
            alu(Alu::Or, R1, R2),
            copy(R2, R1),
        ]);
        self.first_place(SHADOWS, R9, R2);
        let found: [Label; PROBES] = [(); PROBES].map(|()| self.asm.label());
        let ready = self.asm.label();
        let entry = |probe: usize| (probe * SHADOWS.entry_bytes() + SHADOW_KEY) as i16;
        for (probe, found) in found.iter().enumerate() {
            self.asm.put([load(Width::Double, R3, R9, entry(probe))]);
            self.asm.jump_if_both(Test::Equal, R3, R1, *found);
        }
        for (probe, found) in found.iter().enumerate() {
            self.asm
                .put([set(R0, 0), atomic(Atomic::CompareExchange, R9, entry(probe), R1)]);
            self.asm.jump_if(Test::Equal, R0, 0, *found);
            // Another CPU may have been faster.
            self.asm.jump_if_both(Test::Equal, R0, R1, *found);
        }
        let spare = at(frame::SHADOW);
        self.asm.put([copy(R9, R7), add(R9, spare.into())]);
        self.asm.put([store_constant(Width::Double, R9, SHADOW_KNOWN as i16, 0)]);
        self.asm.jump(ready);
        // The first comes last, as nothing is to be done there: nearly always it is it.
        for (probe, found) in found.iter().enumerate().skip(1) {
            self.asm.place(*found);
            self.asm.put([add(R9, entry(probe).into())]);
            self.asm.jump(ready);
        }
        let [first, ..] = found;
        self.asm.place(first);
        self.asm.put([add(R9, entry(0).into())]);
        self.asm.place(ready);
    }

    /// Goes on where the watch is at the hit's address for certain. Of any other hit memory
    /// alone is known, and the shadow is left alone: whose it is is found out later.
    fn place(&mut self, labels: Values) {
        let placed = self.asm.label();
        if let Some(register) = self.watched.register.filter(|_| !self.moves) {
            // They were compared before, unless there are too many.
            let addresses = board::turn(register as usize) + turn::ADDRESSES as usize;
            self.asm.put(set_address(R1, self.maps.board, addresses));
            self.asm.put([load(Width::Double, R1, R1, 0)]);
            self.asm.jump_if(Test::NotEqual, R1, 0, placed);
        }
        self.asm.put([
            load(Width::Double, R1, R9, SHADOW_PLACE as i16),
            load(Width::Double, R2, R7, at(frame::ADDRESS)),
        ]);
        self.asm.jump_if_both(Test::Equal, R1, R2, placed);
        self.asm.put([
            copy(R9, R7),
            add(R9, at(frame::SHADOW).into()),
            store_constant(Width::Double, R9, SHADOW_KNOWN as i16, 0),
        ]);
        self.asm.jump(labels.unknown);
        self.asm.place(placed);
    }

    /// Finds the rule; then [`R8`] is what is packed in it, and R1 what is added to
    /// the operand's address. A rule may be changed meanwhile: its owner's word is
    /// what changes first, and is looked at first and last.
    fn rule(&mut self, labels: Values) {
        let [owned, found] = [(); 2].map(|()| self.asm.label());
        self.asm.put([
            load(Width::Double, R1, R6, context::IP),
            load(Width::Double, R4, R7, at(frame::USER_MODE)),
        ]);
        // The kernel's code is nobody's: 0.
        self.asm.jump_if(Test::Equal, R4, 0, owned);
        self.asm.put([load(Width::Double, R4, R7, at(frame::PID))]);
        self.asm.place(owned);
        self.asm.put([
            copy(R2, R4),
            alu_constant(Alu::ShiftLeft, R2, 32),
            alu(Alu::Xor, R2, R1),
        ]);
        self.first_place(RULES, R8, R2);
        for probe in 0..PROBES {
            let next = self.asm.label();
            if probe > 0 {
                self.asm.put([add(R8, RULES.entry_bytes() as i32)]);
            }
            self.asm.put([
                load(Width::Double, R2, R8, RULE_OWNER as i16),
                load(Width::Double, R3, R8, RULE_IP as i16),
            ]);
            self.asm.jump_if_both(Test::NotEqual, R3, R1, next);
            self.asm.put([copy_low(R5, R2)]);
            self.asm.jump_if_both(Test::Equal, R5, R4, found);
            self.asm.place(next);
        }
        self.asm.jump(labels.unknown);
        self.asm.place(found);
        self.asm.put([
            load(Width::Double, R1, R8, RULE_DISPLACEMENT as i16),
            load(Width::Double, R3, R8, RULE_NUMBER as i16),
            load(Width::Double, R5, R8, RULE_PACKED as i16),
            load(Width::Double, R4, R8, RULE_OWNER as i16),
        ]);
        self.asm.jump_if_both(Test::NotEqual, R4, R2, labels.unknown);
        self.asm.put([
            store(Width::Double, R7, at(frame::RULE), R2),
            store(Width::Double, R7, at(frame::NUMBER), R3),
            copy(R8, R5),
            alu_constant(Alu::ShiftRight, R5, packed::KIND as i32),
            store(Width::Double, R7, at(frame::ACCESS), R5),
        ]);
        if self.watched.stores {
            // A load has not done it: it was another instruction.
            self.asm.jump_if(Test::Equal, R5, AccessKind::Read as i32, labels.unknown);
        }
    }

    /// `to` = a small part of the rule.
    fn part(&mut self, to: Register, shift: u32, mask: i32) {
        self.asm.put([copy(to, R8)]);
        if shift > 0 {
            self.asm.put([alu_constant(Alu::ShiftRight, to, shift as i32)]);
        }
        self.asm.put([alu_constant(Alu::And, to, mask)]);
    }

    /// `to` = the register that the rule names there. It is found by halves: to take
    /// one from the context by its number is not allowed, and to copy all takes longer.
    fn named(&mut self, to: Register, shift: u32) {
        self.part(to, shift, 31);
        let done = self.asm.label();
        self.one_of(to, 0..NO_REGISTER + 1, done);
        self.asm.place(done);
    }

    /// `to` = the register of which it holds the index, one of these.
    fn one_of(&mut self, to: Register, indices: Range<usize>, done: Label) {
        let Range { start, end } = indices;
        let middle = start.midpoint(end);
        if middle == start {
            self.asm.put([match PT_REGS.get(start) {
                Some(offset) => load(Width::Double, to, R6, *offset),
                None => set(to, 0),
            }]);
            return self.asm.jump(done);
        }
        let upper = self.asm.label();
        self.asm.jump_if(Test::AboveOrEqual, to, middle as i32, upper);
        self.one_of(to, start..middle, done);
        self.asm.place(upper);
        self.one_of(to, middle..end, done);
    }

    /// Where the operand is: it must hold all watched bytes. Then R2 is how many bits
    /// of it come before them.
    fn operand(&mut self, labels: Values) {
        // Data at a fixed address has neither base nor index, most else no index.
        let placed = self.asm.label();
        let none = NO_REGISTER as i32;
        self.part(R2, packed::BASE, 0xffff);
        self.asm.jump_if(Test::Equal, R2, none << packed::INDEX | none, placed);
        self.named(R2, packed::BASE);
        self.asm.put([alu(Alu::Add, R1, R2)]);
        self.part(R2, packed::INDEX, 0xff);
        self.asm.jump_if(Test::Equal, R2, none, placed);
        self.named(R2, packed::INDEX);
        self.part(R3, packed::SCALE, 3);
        self.asm.put([alu(Alu::ShiftLeft, R2, R3), alu(Alu::Add, R1, R2)]);
        self.asm.place(placed);
        self.asm.put([
            load(Width::Double, R2, R7, at(frame::ADDRESS)),
            alu(Alu::Subtract, R2, R1),
        ]);
        self.asm.jump_if(Test::Above, R2, BEFORE_MAX, labels.unknown);
        self.part(R4, packed::SIZE, 0xff);
        self.asm.put([copy(R3, R2), add(R3, self.watched.length as i32)]);
        self.asm.jump_if_both(Test::Above, R3, R4, labels.unknown);
        self.asm.put([alu_constant(Alu::ShiftLeft, R2, 3)]);
    }

    /// R1 = the register that a value comes from, as far as it lies in the operand.
    fn source(&mut self) {
        self.named(R1, packed::VALUE);
        self.part(R4, packed::SHIFT, 63);
        self.asm.put([alu(Alu::ShiftRight, R1, R4)]);
    }

    /// The value, by what is known of it.
    fn by_way(&mut self, labels: Values) {
        let mut label = || self.asm.label();
        let [immediate, add_number, add_register] = [(); 3].map(|()| label());
        let [compare_exchange, exchange, found] = [(); 3].map(|()| label());
        let [register, other] = [(); 2].map(|()| label());
        self.part(R3, packed::WAY, 0xff);
        self.asm.jump_if(Test::NotEqual, R3, Way::Register as i32, other);
        self.asm.place(register);
        self.source();
        self.asm.place(found);
        self.asm.put([alu(Alu::ShiftRight, R1, R2)]);
        self.set_new(flag::TOLD | flag::EXACT);
        self.asm.jump(labels.exchange);
        self.asm.place(other);
        for (way, to) in [
            (Way::Immediate, immediate),
            (Way::Memory, labels.memory),
            (Way::AddImmediate, add_number),
            (Way::AddRegister, add_register),
            (Way::CompareExchange, compare_exchange),
            (Way::Exchange, exchange),
        ] {
            self.asm.jump_if(Test::Equal, R3, way as i32, to);
        }
        self.asm.jump(register);
        self.asm.place(immediate);
        self.asm.put([load(Width::Double, R1, R7, at(frame::NUMBER))]);
        self.asm.jump(found);
        self.asm.place(add_number);
        self.add(false, labels);
        self.asm.place(add_register);
        self.add(true, labels);
        self.asm.place(compare_exchange);
        self.compare_exchange(labels);
        self.asm.place(exchange);
        self.source();
        self.asm.put([alu(Alu::ShiftRight, R1, R2)]);
        self.set_old(R1);
        self.read(labels);
        self.set_new(flag::TOLD | flag::OLD | flag::MEMORY);
        self.asm.jump(labels.exchange);
    }

    /// The shadow and a number. Of an operand with other bytes besides the watched
    /// ones the carry is not known.
    fn add(&mut self, register: bool, labels: Values) {
        self.asm.jump_if(Test::NotEqual, R2, 0, labels.memory);
        self.part(R4, packed::SIZE, 0xff);
        let length = self.watched.length as i32;
        self.asm.jump_if(Test::NotEqual, R4, length, labels.memory);
        let told = self.asm.label();
        self.asm.put([load(Width::Double, R5, R9, SHADOW_KNOWN as i16)]);
        self.asm.jump_if(Test::Equal, R5, 0, labels.memory);
        if register {
            self.source();
        } else {
            self.asm.put([load(Width::Double, R1, R7, at(frame::NUMBER))]);
        }
        self.asm.jump_if(Test::Equal, R5, known::TOLD, told);
        self.confirm(labels);
        self.asm.place(told);
        self.asm.put([
            copy(R3, R1),
            atomic(Atomic::FetchAdd, R9, SHADOW_VALUE as i16, R3),
            alu(Alu::Add, R1, R3),
        ]);
        self.set_old(R3);
        self.set_new(flag::TOLD | flag::OLD);
        self.asm.jump(self.labels.filter);
    }

    /// What the shadow holds was read: it may be of later. Where memory is what comes
    /// of it and R1, it was not, and all is told from here on.
    fn confirm(&mut self, labels: Values) {
        self.asm.put([
            load(Width::Double, R3, R9, SHADOW_VALUE as i16),
            alu(Alu::Add, R1, R3),
        ]);
        self.set_old(R3);
        self.cut(R1);
        self.asm.put([store(Width::Double, R7, at(frame::NUMBER), R1)]);
        self.read(labels);
        self.asm.put([copy(R4, R1), load(Width::Double, R2, R7, at(frame::NUMBER))]);
        self.set_new(flag::TOLD | flag::MEMORY);
        self.asm.jump_if_both(Test::NotEqual, R4, R2, labels.exchange);
        self.asm.put([
            store(Width::Double, R9, SHADOW_VALUE as i16, R4),
            store_constant(Width::Double, R9, SHADOW_KNOWN as i16, known::TOLD),
        ]);
        self.set_new(flag::TOLD | flag::OLD);
        self.asm.jump(self.labels.filter);
    }

    /// The accumulator holds what was there; where they were equal the register was
    /// stored.
    fn compare_exchange(&mut self, labels: Values) {
        let same = self.asm.label();
        self.asm.put([
            // AX is the first.
            load(Width::Double, R3, R6, PT_REGS[0]),
            alu(Alu::ShiftRight, R3, R2),
        ]);
        self.set_old(R3);
        self.asm.put([
            copy(R1, R3),
            load(Width::Double, R4, R6, PT_REGS[FLAGS]),
            alu_constant(Alu::And, R4, ZERO_FLAG),
        ]);
        self.asm.jump_if(Test::Equal, R4, 0, same);
        self.source();
        self.asm.put([alu(Alu::ShiftRight, R1, R2)]);
        self.asm.place(same);
        self.set_new(flag::TOLD | flag::EXACT | flag::OLD);
        self.asm.jump(labels.exchange);
    }

    /// R1 = what memory holds, where it may be read.
    fn read(&mut self, labels: Values) {
        if self.forbidden().is_some() {
            let Some(walk) = &self.maps.insight.walk else {
                return self.asm.jump(labels.unread);
            };
            self.asm.put([load(Width::Double, R1, R7, at(frame::ADDRESS))]);
            walk::read(&mut self.asm, walk, R1, self.watched.length, labels.unread);
            return;
        }
        self.asm.put([
            copy(R1, FRAME),
            add(R1, -8),
            set(R2, self.watched.length as i32),
            load(Width::Double, R3, R7, at(frame::ADDRESS)),
            call(Helper::ProbeReadUser),
        ]);
        self.asm.jump_if(Test::NotEqual, R0, 0, labels.unread);
        self.asm.put([load(Width::of(self.watched.length), R1, FRAME, -8)]);
    }

    /// What a rule leaves to memory, and what no rule tells.
    fn without_rule(&mut self, labels: Values) {
        self.asm.place(labels.memory);
        self.read(labels);
        self.set_new(flag::TOLD | flag::MEMORY);
        self.asm.jump(labels.exchange);
        self.asm.place(labels.unknown);
        self.read(labels);
        self.set_new(flag::MEMORY);
        self.asm.jump(labels.exchange);
        self.asm.place(labels.unread);
        self.asm.put([
            store_constant(Width::Double, R9, SHADOW_KNOWN as i16, 0),
            store_constant(Width::Double, R7, at(frame::FLAGS), 0),
        ]);
        self.asm.jump(self.labels.filter);
    }

    /// The shadow takes the new value and gives the old one, unless the instruction
    /// told that. Whether it is known is looked at before, and said after, so that
    /// what another CPU finds in between is not taken for a value.
    fn exchange(&mut self, labels: Values) {
        let Labels { filter, .. } = self.labels;
        let [read, done, sure] = [(); 3].map(|()| self.asm.label());
        self.asm.place(labels.exchange);
        self.asm.put([
            load(Width::Double, R2, R9, SHADOW_KNOWN as i16),
            atomic(Atomic::Exchange, R9, SHADOW_VALUE as i16, R1),
        ]);
        let know = |what| store_constant(Width::Double, R9, SHADOW_KNOWN as i16, what);
        self.asm.jump_if(Test::AnyBit, R3, flag::MEMORY, read);
        self.asm.put([know(known::TOLD)]);
        self.asm.jump(done);
        self.asm.place(read);
        self.asm.put([know(known::READ)]);
        self.asm.place(done);
        self.asm.jump_if(Test::Equal, R2, 0, filter);
        self.asm.jump_if(Test::AnyBit, R3, flag::OLD, filter);
        self.set_old(R1);
        self.asm.put([alu_constant(Alu::Or, R3, flag::OLD)]);
        self.asm.jump_if(Test::Equal, R2, known::TOLD, sure);
        self.asm.put([alu_constant(Alu::Or, R3, flag::OLD_READ)]);
        self.asm.place(sure);
        self.asm.put([store(Width::Double, R7, at(frame::FLAGS), R3)]);
    }

    /// The watched bytes of a register, which are the lowest, were there before.
    fn set_old(&mut self, from: Register) {
        self.cut(from);
        self.asm.put([store(Width::Double, R7, at(frame::OLD), from)]);
    }

    /// Those of R1 are there after, and this is known of them; R3 = that.
    fn set_new(&mut self, flags: i32) {
        self.cut(R1);
        self.asm.put([
            set(R3, flags),
            store(Width::Double, R7, at(frame::NEW), R1),
            store(Width::Double, R7, at(frame::FLAGS), R3),
        ]);
    }

    /// Leaves the watched bytes alone.
    fn cut(&mut self, register: Register) {
        let rest = 64 - 8 * self.watched.length as i32;
        if rest > 0 {
            self.asm.put([
                alu_constant(Alu::ShiftLeft, register, rest),
                alu_constant(Alu::ShiftRight, register, rest),
            ]);
        }
    }
}
