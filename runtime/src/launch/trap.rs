//! What stops a program at an address, with nothing written into it.

use std::time::Duration;

use crate::attr::{EventSpec, Features, Role};
use crate::kernel::{EVERY, Errno, Go, Kernel};

/// `si_code` of a SIGTRAP from a perf event, and from a debug register
/// (include/uapi/asm-generic/siginfo.h); of a single step.
const TRAP_PERF: i32 = 6;
const TRAP_HWBKPT: i32 = 4;
const TRAP_TRACE: i32 = 2;
/// That of a step that entered or left a system call, and of a debug trap that names no
/// register.
const TRAP_BRKPT: i32 = 1;
const HANDLER_ENTERED: i32 = libc::SIGTRAP;

/// DR7, and it with DR0 on for the execution of what is at its address (SDM vol. 3B,
/// "Debug Control Register").
const CONTROL: usize = 7;
const EXECUTION: u64 = 1;

/// So often it is looked whether a program that runs to an address is there.
const LOOK_EVERY: Duration = Duration::from_micros(200);

/// The best there is: an event of perf, whose register is free again after; where perf
/// is refused a debug register by ptrace(2), which the thread keeps; where there is none,
/// single steps.
pub(super) enum Trap<'a> {
    /// Closed when it goes.
    Event(&'a dyn Kernel, std::os::fd::RawFd),
    Register,
    Steps,
}

impl<'a> Trap<'a> {
    /// For a stopped thread that we trace.
    pub(super) fn set(kernel: &'a dyn Kernel, tid: u32, address: u64) -> Self {
        if let Ok(event) = event(kernel, tid, address) {
            return event;
        }
        let register = kernel.set_debug_register(tid, 0, address);
        match register.and_then(|()| kernel.set_debug_register(tid, CONTROL, EXECUTION)) {
            Ok(()) => Self::Register,
            Err(_) => Self::Steps,
        }
    }

    /// Lets the thread go on, with a signal.
    ///
    /// # Errors
    /// ESRCH where it was killed.
    pub(super) fn go_on(
        &self,
        kernel: &dyn Kernel,
        tid: u32,
        signal: i32,
    ) -> Result<(), Errno> {
        match self {
            Self::Steps => kernel.ptrace_go(tid, Go::Step, signal),
            _ => kernel.ptrace_continue(tid, signal),
        }
    }

    /// How long to wait before it is looked again. A step takes less than any pause.
    pub(super) fn pause(&self) -> Duration {
        match self {
            Self::Steps => Duration::ZERO,
            _ => LOOK_EVERY,
        }
    }

    /// What a SIGTRAP means for which the thread has stopped.
    pub(super) fn met(&self, kernel: &dyn Kernel, tid: u32, address: u64) -> Met {
        let code = kernel.ptrace_signal_code(tid);
        let is_there = || {
            let registers = kernel.ptrace_registers(tid);
            registers.is_ok_and(|registers| registers.ip() == address)
        };
        match (self, code) {
            (Self::Event(..), Ok(TRAP_PERF)) | (Self::Register, Ok(TRAP_HWBKPT)) => {
                Met::There
            }
            (Self::Steps, Ok(TRAP_TRACE | TRAP_BRKPT | HANDLER_ENTERED)) => {
                if is_there() { Met::There } else { Met::OnTheWay }
            }
            // A hypervisor lost DR6, see the head of [`crate::engine::perf`].
            (Self::Register, Ok(TRAP_BRKPT)) if is_there() => Met::There,
            _ => Met::Own,
        }
    }

    /// Takes it from a stopped thread.
    pub(super) fn take(self, kernel: &dyn Kernel, tid: u32) {
        // One that was killed needs neither.
        let _ = match self {
            Self::Event(..) => Ok(()),
            Self::Register => kernel.set_debug_register(tid, CONTROL, 0),
            Self::Steps => kernel.ptrace_clear_trap_flag(tid),
        };
    }
}

impl Drop for Trap<'_> {
    fn drop(&mut self) {
        if let Self::Event(kernel, descriptor) = *self {
            kernel.close(descriptor);
        }
    }
}

/// What a SIGTRAP means.
pub(super) enum Met {
    /// The thread is at the address.
    There,
    /// It has made a step.
    OnTheWay,
    /// It is the program's own.
    Own,
}

fn event(kernel: &dyn Kernel, tid: u32, address: u64) -> Result<Trap<'_>, Errno> {
    let role = Role::Trap { address };
    let spec = EventSpec { role, features: Features::NONE };
    let descriptor = kernel.perf_event_open(&spec, tid, EVERY)?;
    let trap = Trap::Event(kernel, descriptor);
    kernel.perf_enable(descriptor)?;
    Ok(trap)
}
