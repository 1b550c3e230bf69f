//! Who takes a number, and goes on by it.

use super::{Hit, flag};
use crate::bpf::board::{TICKETS, frame};
use crate::bpf::filter::Ends;
use crate::bpf::insn::{
    Alu, Atomic, R1, R2, R3, R4, R7, Test, Width, add, alu, alu_constant, atomic, copy,
    load, set, set_wide, store,
};
use crate::bpf::steps::at;
use crate::plan::{Filter, Gate};

impl Hit<'_> {
    /// Writes it: who passes the filter for certain, and is no part of an access, takes a
    /// number.
    pub(super) fn gate(&mut self, gate: &Gate, filter: Option<&Filter>) {
        let super::Labels { record, undecided, dropped, .. } = self.labels;
        let passed = self.asm.label();
        self.asm.put([
            load(Width::Double, R1, R7, at(frame::FLAGS)),
            alu_constant(Alu::And, R1, flag::TOLD),
        ]);
        self.asm.jump_if(Test::Equal, R1, 0, undecided);
        if let Some(filter) = filter {
            self.ask(filter, Ends { pass: passed, drop: dropped, unknown: undecided });
        }
        self.asm.place(passed);
        self.take_number();
        self.let_through(gate);
        if let Some(then) = super::then(gate) {
            self.ask(then, Ends { pass: record, drop: dropped, unknown: record });
        }
    }

    /// [`R2`] = the number.
    fn take_number(&mut self) {
        self.counter(TICKETS);
        self.asm.put([set(R2, 1), atomic(Atomic::FetchAdd, R1, 0, R2), add(R2, 1)]);
    }

    /// Goes on with those who may.
    fn let_through(&mut self, gate: &Gate) {
        let dropped = self.labels.dropped;
        self.asm.put(set_wide(R3, gate.every.get()));
        self.asm.put([copy(R4, R2), alu(Alu::Remainder, R4, R3)]);
        self.asm.jump_if(Test::NotEqual, R4, 0, dropped);
        if let Some(limit) = gate.limit {
            self.asm.put(set_wide(R1, limit.get()));
            self.asm.put([alu(Alu::Divide, R2, R3)]);
            self.asm.jump_if_both(Test::Above, R2, R1, dropped);
        }
        self.asm.put([
            load(Width::Double, R1, R7, at(frame::FLAGS)),
            alu_constant(Alu::Or, R1, flag::LET_THROUGH),
            store(Width::Double, R7, at(frame::FLAGS), R1),
        ]);
    }
}
