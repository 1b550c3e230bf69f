//! Steps of plans as instructions. Slots and what is known of the hit are in a
//! frame ([`R7`]); all else is scratch from one step to the next, but [`R6`], [`R8`]
//! and, where something is kept, the record in [`R9`].

use super::assembler::{Assembler, Label};
use super::board::{frame, register_index};
use super::insn::{
    Alu, FRAME, Helper, R0, R1, R2, R3, R4, R7, R9, Register, Test, Width, add, alu,
    alu_constant, call, copy, load, negate, set, set_wide, store, store_constant,
};
use crate::event::Captured;
use crate::plan::{Binary, Comparison, Does, Input, Load, Slot, Space, Step, Unary};

/// The offset of a word of a frame, or of a record.
pub(super) fn at(word: usize) -> i16 {
    (word * 8) as i16
}

/// Where on the stack functions write what they read.
const BUFFER: i16 = -8;

fn slot(slot: Slot) -> i16 {
    at(frame::SLOTS + usize::from(slot.0))
}

/// The word of a frame that an input is in; none for a register that is not there.
pub(super) fn input(input: Input) -> Option<usize> {
    Some(match input {
        Input::Old => frame::OLD,
        Input::New => frame::NEW,
        Input::Pid => frame::PID,
        Input::Tid => frame::TID,
        Input::Cpu => frame::CPU,
        Input::DataAddress => frame::ADDRESS,
        Input::UserMode => frame::USER_MODE,
        Input::Access => frame::ACCESS,
        Input::Register(number) => frame::USER + register_index(number)?,
    })
}

/// What writes steps.
pub(super) struct Steps<'a> {
    pub(super) asm: &'a mut Assembler,
    /// Where to go on where something can not be computed; none: it is 0.
    pub(super) fails: Option<Label>,
    /// How many bytes at the watch may not be read.
    pub(super) forbidden: Option<u32>,
    /// The word of the record in which the next entry begins.
    pub(super) entry: usize,
}

impl Steps<'_> {
    /// Writes a step.
    pub(super) fn step(&mut self, step: &Step) {
        match step.does {
            Does::Constant(number) => self.asm.put(set_wide(R0, number.cast_unsigned())),
            Does::Input(of) => match input(of) {
                Some(word) => self.asm.put([load(Width::Double, R0, R7, at(word))]),
                None => self.asm.put([set(R0, 0)]),
            },
            Does::Copy(from) => self.take(R0, from),
            Does::Unary(operator, from) => {
                self.take(R0, from);
                self.unary(operator);
            }
            Does::Binary(operator, left, right) => {
                self.take(R0, left);
                self.take(R1, right);
                self.binary(operator);
            }
            Does::Compare(how, left, right) => {
                self.take(R1, left);
                self.take(R2, right);
                self.truth(|asm, yes| asm.jump_if_both(test(how), R1, R2, yes));
            }
            Does::Load { address, load, keep } => self.load(address, load, keep),
            Does::Keep { address, bytes, text, space } => {
                self.keep(address, bytes.into(), text, space);
                self.asm.put([set(R0, 0)]);
            }
        }
        self.asm.put([store(Width::Double, R7, slot(step.to), R0)]);
    }

    fn take(&mut self, to: Register, from: Slot) {
        self.asm.put([load(Width::Double, to, R7, slot(from))]);
    }

    /// 1 where the jump is taken, else 0.
    fn truth(&mut self, jump: impl FnOnce(&mut Assembler, Label)) {
        let done = self.asm.label();
        self.asm.put([set(R0, 1)]);
        jump(self.asm, done);
        self.asm.put([set(R0, 0)]);
        self.asm.place(done);
    }

    fn unary(&mut self, operator: Unary) {
        match operator {
            Unary::Negate => self.asm.put([negate(R0)]),
            Unary::Complement => self.asm.put([alu_constant(Alu::Xor, R0, -1)]),
            Unary::Not => {
                self.asm.put([copy(R1, R0)]);
                self.truth(|asm, yes| asm.jump_if(Test::Equal, R1, 0, yes));
            }
        }
    }

    fn binary(&mut self, operator: Binary) {
        let simple = match operator {
            Binary::Add => Alu::Add,
            Binary::Subtract => Alu::Subtract,
            Binary::Multiply => Alu::Multiply,
            Binary::And => Alu::And,
            Binary::Or => Alu::Or,
            Binary::Xor => Alu::Xor,
            Binary::Divide => return self.divide(false),
            Binary::Remainder => return self.divide(true),
            Binary::ShiftLeft => return self.shift(Alu::ShiftLeft),
            Binary::ShiftRight => return self.shift(Alu::ShiftRightSigned),
            Binary::ShiftRightLogical => return self.shift(Alu::ShiftRight),
        };
        self.asm.put([alu(simple, R0, R1)]);
    }

    /// What is shifted by more than 63 has nothing left but its sign.
    fn shift(&mut self, operator: Alu) {
        let [far, done] = [self.asm.label(), self.asm.label()];
        self.asm.jump_if(Test::Above, R1, 63, far);
        self.asm.put([alu(operator, R0, R1)]);
        self.asm.jump(done);
        self.asm.place(far);
        self.asm.put([match operator {
            Alu::ShiftRightSigned => alu_constant(operator, R0, 63),
            _ => set(R0, 0),
        }]);
        self.asm.place(done);
    }

    /// Divides with signs, which BPF can by itself only since Linux 6.6: by those of
    /// the numbers, and of what they are without.
    fn divide(&mut self, remainder: bool) {
        let [nothing, first, second] = [(); 3].map(|()| self.asm.label());
        let [signed, done] = [(); 2].map(|()| self.asm.label());
        self.asm.jump_if(Test::Equal, R1, 0, self.fails.unwrap_or(nothing));
        // The sign of what comes out.
        self.asm.put([copy(R2, R0)]);
        if !remainder {
            self.asm.put([alu(Alu::Xor, R2, R1)]);
        }
        for (number, positive) in [(R0, first), (R1, second)] {
            self.asm.jump_if(Test::GreaterOrEqual, number, 0, positive);
            self.asm.put([negate(number)]);
            self.asm.place(positive);
        }
        let operator = if remainder { Alu::Remainder } else { Alu::Divide };
        self.asm.put([alu(operator, R0, R1)]);
        self.asm.jump_if(Test::GreaterOrEqual, R2, 0, signed);
        self.asm.put([negate(R0)]);
        self.asm.place(signed);
        self.asm.jump(done);
        self.asm.place(nothing);
        self.asm.put([set(R0, 0)]);
        self.asm.place(done);
    }

    /// A number in memory, to R0.
    fn load(&mut self, address: Slot, how: Load, keep: bool) {
        let failed = self.asm.label();
        let done = self.asm.label();
        self.take(R3, address);
        if keep {
            self.asm.put([store(Width::Double, R9, at(self.entry), R3)]);
        }
        let size = how.size.into();
        let fails = self.fails.filter(|_| !keep).unwrap_or(failed);
        self.spare(size, fails);
        self.asm.put([copy(R1, FRAME), add(R1, BUFFER.into()), set(R2, size)]);
        self.asm.put([call(match how.space {
            Space::User => Helper::ProbeReadUser,
            Space::Kernel => Helper::ProbeReadKernel,
        })]);
        self.asm.jump_if(Test::NotEqual, R0, 0, fails);
        self.asm.put([load(Width::of(size as u32), R0, FRAME, BUFFER), set(R4, size)]);
        self.asm.jump(done);
        self.asm.place(failed);
        self.asm.put([set(R0, 0), set(R4, 0)]);
        self.asm.place(done);
        if keep {
            self.extent(1);
            self.asm.put([store(Width::Double, R9, at(self.entry + 2), R0)]);
            self.entry += 3;
        }
        let sign = 64 - 8 * size;
        if how.signed && sign > 0 {
            self.asm.put([
                alu_constant(Alu::ShiftLeft, R0, sign),
                alu_constant(Alu::ShiftRightSigned, R0, sign),
            ]);
        }
    }

    /// Fails where so many bytes at R3 overlap those that may not be read.
    fn spare(&mut self, size: i32, fails: Label) {
        let Some(forbidden) = self.forbidden else { return };
        self.asm.put([
            load(Width::Double, R1, R7, at(frame::ADDRESS)),
            copy(R2, R3),
            alu(Alu::Subtract, R2, R1),
            alu(Alu::Subtract, R1, R3),
        ]);
        self.asm.jump_if(Test::Below, R2, forbidden as i32, fails);
        self.asm.jump_if(Test::Below, R1, size, fails);
    }

    /// The second word of an entry with so many words, of which R4 bytes were read.
    fn extent(&mut self, words: usize) {
        let none = Captured::extent(0, words as u32);
        self.asm.put(set_wide(R1, none));
        self.asm.put([
            alu(Alu::Or, R1, R4),
            store(Width::Double, R9, at(self.entry + 1), R1),
        ]);
    }

    /// Bytes for the record. The kernel writes zeros where they can not be read.
    fn keep(&mut self, address: Slot, bytes: usize, text: bool, space: Space) {
        let words = bytes.div_ceil(8);
        self.take(R3, address);
        self.asm.put([store(Width::Double, R9, at(self.entry), R3)]);
        if words > 0 {
            // The last word may be filled in part.
            let last = at(self.entry + 1 + words);
            self.asm.put([store_constant(Width::Double, R9, last, 0)]);
        }
        let [failed, done] = [(); 2].map(|()| self.asm.label());
        self.spare(bytes as i32, failed);
        let to = at(self.entry + 2).into();
        self.asm.put([copy(R1, R9), add(R1, to), set(R2, bytes as i32)]);
        self.asm.put([call(match (space, text) {
            (Space::User, false) => Helper::ProbeReadUser,
            (Space::Kernel, false) => Helper::ProbeReadKernel,
            (Space::User, true) => Helper::ProbeReadUserText,
            (Space::Kernel, true) => Helper::ProbeReadKernelText,
        })]);
        if text {
            // What is as long as it may be was perhaps cut: its last byte is a zero
            // of the kernel's then.
            self.asm.jump_if(Test::LessOrEqual, R0, 0, failed);
            self.asm.put([copy(R4, R0)]);
            self.asm.jump_if(Test::NotEqual, R0, bytes as i32, done);
            self.asm.put([set(R4, bytes as i32 - 1)]);
        } else {
            self.asm.jump_if(Test::NotEqual, R0, 0, failed);
            self.asm.put([set(R4, bytes as i32)]);
        }
        self.asm.jump(done);
        self.asm.place(failed);
        self.asm.put([set(R4, 0)]);
        self.asm.place(done);
        self.extent(words);
        self.entry += 2 + words;
    }
}

fn test(how: Comparison) -> Test {
    match how {
        Comparison::Equal => Test::Equal,
        Comparison::NotEqual => Test::NotEqual,
        Comparison::Less => Test::Less,
        Comparison::LessOrEqual => Test::LessOrEqual,
        Comparison::Greater => Test::Greater,
        Comparison::GreaterOrEqual => Test::GreaterOrEqual,
    }
}
