//! The program of a register that watches take turns on: it runs that of the watch whose
//! turn it is.
//!
//! A register that a new thread inherits while it is passed on may still be where it was
//! (kernel/events/core.c, `inherit_event`, which copies the event and adds it to those that
//! are changed later). So it is asked where it is: what is not where the watch is to be,
//! in any process, is a stray.
//!
//! Which program comes from memory, which the kernel takes as a jump through a
//! table. It would write one that it knows into the code, of which each change interrupts
//! all CPUs (kernel/bpf/arraymap.c, `prog_array_map_poke_run`).

use super::context;
use crate::bpf::assembler::Assembler;
use crate::bpf::board::{self, turn};
use crate::bpf::insn::{
    Atomic, Helper, R0, R1, R2, R3, R4, R5, R6, R7, Test, Width, atomic, call, copy,
    exit, load, set, set_address, set_map,
};
use crate::bpf::{Program, Role};

/// The program of a register, by number below [`turn::REGISTERS`]. `board` and `programs`
/// are descriptors of maps.
pub fn program(register: usize, board: i32, programs: i32) -> Option<Program> {
    let mut asm = Assembler::default();
    let [run, end] = [(); 2].map(|()| asm.label());
    asm.put([copy(R6, R1)]);
    asm.put(set_address(R7, board, board::turn(register)));
    // Written in the other order: addresses are those of this turn, or of a later one.
    asm.put([
        load(Width::Double, R3, R7, turn::PROGRAM),
        load(Width::Double, R5, R6, context::ADDRESS),
        load(Width::Double, R4, R7, turn::ADDRESSES),
    ]);
    // They are too many to be compared.
    asm.jump_if(Test::Equal, R4, 0, run);
    for place in 0..turn::PLACES {
        asm.put([load(Width::Double, R4, R7, turn::ADDRESSES + 8 * place as i16)]);
        asm.jump_if_both(Test::Equal, R4, R5, run);
    }
    asm.jump(end);
    asm.place(run);
    asm.put([copy(R1, R6)]);
    asm.put(set_map(R2, programs));
    // It does not come back, but where it is nobody's turn.
    asm.put([call(Helper::TailCall)]);
    asm.place(end);
    asm.put([set(R2, 1), atomic(Atomic::Add, R7, turn::STRAYS, R2), set(R0, 0), exit()]);
    Some(Program { role: Role::Hit, instructions: asm.finish()? })
}
