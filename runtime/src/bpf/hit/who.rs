//! Who made the access: process and thread.
//!
//! A function of the kernel tells, but a return from one costs some 20 ns where the
//! processor must not guess where returns go to ("Safe RET"). So of a hit in the
//! user's code it is followed where the kernel keeps it, if its BTF tells: from the
//! event to the thread that it counts for. In the kernel's it may be another one for
//! a moment: threads pass events on shortly before they switch
//! (kernel/events/core.c, `perf_event_context_sched_out`).

use super::Hit;
use crate::bpf::board::frame;
use crate::bpf::insn::{
    Alu, FRAME, Helper, R0, R1, R2, R3, R4, R6, R7, Test, Width, add, alu_constant, call,
    call_numbered, copy, copy_low, load, set, set_wide, store,
};
use crate::bpf::steps::at;

/// What has to be known of this kernel, from its BTF, to find out without a call who
/// runs. Members are told by where they are, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// The number of the function `bpf_cast_to_kern_ctx` (Linux 6.2), which is no
    /// call in the end.
    pub function: u32,
    /// `event` in `struct bpf_perf_event_data_kern`.
    pub event: u16,
    /// `ctx` in `struct perf_event`.
    pub context: u16,
    /// `task` in `struct perf_event_context`.
    pub task: u16,
    /// `pid` in `struct task_struct`.
    pub pid: u16,
    /// `tgid` in `struct task_struct`.
    pub tgid: u16,
}

impl Hit<'_> {
    /// Finds it out; [`R1`] is whether it is a hit in the user's code. A hit of
    /// somebody who has no number in our pid namespace is lost.
    pub(super) fn who(&mut self) {
        let known = self.asm.label();
        match self.maps.namespace {
            Some(namespace) => self.ask_in(namespace),
            None => {
                let ask = self.asm.label();
                if let Some(current) = self.maps.insight.current {
                    self.asm.jump_if(Test::Equal, R1, 0, ask);
                    self.follow(current);
                    // The event is not one of a thread.
                    self.asm.jump_if(Test::NotEqual, R1, 0, known);
                }
                self.asm.place(ask);
                self.asm.put([
                    call(Helper::PidTgid),
                    copy_low(R1, R0),
                    alu_constant(Alu::ShiftRight, R0, 32),
                ]);
            }
        }
        self.asm.place(known);
        self.asm.put([
            store(Width::Double, R7, at(frame::PID), R0),
            store(Width::Double, R7, at(frame::TID), R1),
        ]);
    }

    /// R0 and R1 = process and thread; what can not be read is 0.
    fn follow(&mut self, current: Current) {
        let Current { function, event, context, task, pid, tgid } = current;
        let [event, context, task, pid, tgid] =
            [event, context, task, pid, tgid].map(u16::cast_signed);
        self.asm.put([
            copy(R1, R6),
            call_numbered(function),
            load(Width::Double, R1, R0, event),
            load(Width::Double, R1, R1, context),
            load(Width::Double, R2, R1, task),
            load(Width::Word, R0, R2, tgid),
            load(Width::Word, R1, R2, pid),
        ]);
    }

    /// The same as numbers of a pid namespace.
    fn ask_in(&mut self, (device, inode): (u64, u64)) {
        const TID: i16 = -8;
        const PID: i16 = -4;
        self.asm.put(set_wide(R1, device));
        self.asm.put(set_wide(R2, inode));
        self.asm.put([copy(R3, FRAME), add(R3, TID.into()), set(R4, 8)]);
        self.asm.put([call(Helper::NamespacePidTgid)]);
        self.asm.jump_if(Test::NotEqual, R0, 0, self.labels.lost);
        self.asm
            .put([load(Width::Word, R0, FRAME, PID), load(Width::Word, R1, FRAME, TID)]);
    }
}
