//! What is done to the process at a hit: signals, before its next instruction.

use super::{Hit, flag};
use crate::bpf::board::frame;
use crate::bpf::filter::{self, Ends};
use crate::bpf::insn::{
    Alu, Helper, R0, R1, R7, Test, Width, alu_constant, call, load, set, store,
};
use crate::bpf::steps::at;
use crate::plan::{Act, Input};

impl Hit<'_> {
    /// Writes them. A hit whose record finds no room is acted upon all the same.
    pub(super) fn acts(&mut self) {
        self.asm.place(self.labels.record);
        for (number, act) in std::mem::take(&mut self.acts) {
            self.act(number, act);
        }
    }

    fn act(&mut self, number: usize, act: &Act) {
        let [now, next] = [(); 2].map(|()| self.asm.label());
        for known in known(act) {
            let all: i32 = known.iter().sum();
            self.asm.put([
                load(Width::Double, R1, R7, at(frame::FLAGS)),
                alu_constant(Alu::And, R1, all),
            ]);
            self.asm.jump_if(Test::Equal, R1, 0, next);
        }
        let ends = Ends { pass: now, drop: next, unknown: next };
        let forbidden = self.forbidden();
        filter::write(&mut self.asm, &act.when, forbidden, ends);
        self.asm.place(now);
        self.asm.put([set(R1, act.signal), call(Helper::SendSignal)]);
        // The first process of a namespace is spared, and an interrupted program may
        // have a signal of its own on the way.
        self.asm.jump_if(Test::NotEqual, R0, 0, next);
        self.asm.put([
            load(Width::Double, R1, R7, at(frame::FLAGS)),
            alu_constant(Alu::Or, R1, flag::ACTED << number),
            store(Width::Double, R7, at(frame::FLAGS), R1),
        ]);
        self.asm.place(next);
    }
}

/// What must be known of the hit to decide: of each, one of these flags.
fn known(act: &Act) -> impl Iterator<Item = &'static [i32]> {
    let takes = |input: Input| {
        filter::inputs(filter::steps(&act.when)).any(|taken| taken == input)
    };
    let old = takes(Input::Old).then_some(&[flag::OLD][..]);
    // Memory may hold what another CPU stored since. A stop can be taken back; else
    // the access is to be known, which is no part of one then, either.
    let new = takes(Input::New).then_some(&[flag::TOLD, flag::MEMORY][..]);
    let access = takes(Input::Access) || !act.is_stop();
    let access = access.then_some(&[flag::TOLD][..]);
    [old, new, access].into_iter().flatten()
}
