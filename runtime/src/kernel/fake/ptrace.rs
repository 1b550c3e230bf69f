//! The fake's ptrace(2): threads that run and stop, with debug registers and signals.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::RawFd;

use super::{Call, Fake, Open};
use crate::kernel::{
    Errno, Go, GuardianEnds, Guarding, Ptrace, Result, UserRegisters, Wait,
};

/// A thread that is traced.
#[derive(Clone, Debug, Default)]
pub(super) struct Traced {
    stopped: bool,
    debug: [u64; 8],
    registers: UserRegisters,
    /// What a stop by an event tells.
    message: u64,
    /// `si_code` of a SIGTRAP that waits.
    trap_waits: bool,
}

/// All that is traced.
#[derive(Debug, Default)]
pub(super) struct Tracing {
    threads: BTreeMap<u32, Traced>,
    waits: VecDeque<(u32, Wait)>,
    /// How threads went on: with which signal.
    went: Vec<(u32, Go, i32)>,
    /// Who was let go: with which signal, and whether a register was on.
    let_go: Vec<(u32, i32, bool)>,
}

impl Fake {
    /// A thread that is traced stops, and `wait_any` says so. `message` as
    /// [`Ptrace::ptrace_message`] gives it.
    pub fn stop(&self, tid: u32, signal: i32, event: i32, message: u64) {
        let mut tracing = self.tracing.borrow_mut();
        let thread = tracing.threads.entry(tid).or_default();
        (thread.stopped, thread.message) = (true, message);
        tracing.waits.push_back((tid, Wait::Stopped { signal, event }));
    }

    /// A debug register of a thread that is traced hits: it stops by a SIGTRAP.
    pub fn trap(&self, tid: u32, status: u64, registers: UserRegisters) {
        const TRAP_HWBKPT: i32 = 4;
        self.set_signal_code(TRAP_HWBKPT);
        let mut tracing = self.tracing.borrow_mut();
        let thread = tracing.threads.entry(tid).or_default();
        (thread.debug[6], thread.registers) = (status, registers);
        drop(tracing);
        self.stop(tid, libc::SIGTRAP, 0, 0);
    }

    /// A thread that is traced ends.
    pub fn end_traced(&self, tid: u32) {
        let mut tracing = self.tracing.borrow_mut();
        tracing.threads.remove(&tid);
        tracing.waits.push_back((tid, Wait::Exited { code: 0 }));
    }

    /// Lets a trap wait for a thread, or no more.
    pub fn set_trap_waits(&self, tid: u32, waits: bool) {
        let mut tracing = self.tracing.borrow_mut();
        tracing.threads.entry(tid).or_default().trap_waits = waits;
    }

    /// The debug registers of a thread; none where it is not traced.
    pub fn debug_registers(&self, tid: u32) -> Option<[u64; 8]> {
        self.tracing.borrow().threads.get(&tid).map(|thread| thread.debug)
    }

    /// How threads went on since this was last asked.
    pub fn went(&self) -> Vec<(u32, Go, i32)> {
        std::mem::take(&mut self.tracing.borrow_mut().went)
    }

    /// Who was let go since this was last asked: with which signal, and whether with a
    /// register on.
    pub fn let_go(&self) -> Vec<(u32, i32, bool)> {
        std::mem::take(&mut self.tracing.borrow_mut().let_go)
    }

    /// Who is traced.
    pub fn traced(&self) -> Vec<u32> {
        self.tracing.borrow().threads.keys().copied().collect()
    }

    /// A thread is traced, and stands.
    pub(super) fn hold(&self, tid: u32) {
        self.tracing.borrow_mut().threads.entry(tid).or_default().stopped = true;
    }

    /// Sets the registers of a thread that is traced.
    pub fn set_user_registers(&self, tid: u32, registers: UserRegisters) {
        self.tracing.borrow_mut().threads.entry(tid).or_default().registers = registers;
    }

    fn stopped<T>(&self, tid: u32, act: impl FnOnce(&mut Traced) -> T) -> Result<T> {
        let mut tracing = self.tracing.borrow_mut();
        let thread = tracing.threads.get_mut(&tid).filter(|thread| thread.stopped);
        thread.map(act).ok_or(Errno::ESRCH)
    }
}

impl Ptrace for Fake {
    fn fork_guardian(&self, _run: &mut dyn FnMut(GuardianEnds)) -> Result<Guarding> {
        self.call(Call::ForkGuardian)?;
        let socket: RawFd = self.give(Open::Other)?;
        let reports = self.give(Open::Other)?;
        self.children.set(self.children.get() + 1);
        Ok(Guarding { pid: 101, socket, reports })
    }

    fn ptrace_follow(&self, tid: u32) -> Result<()> {
        self.call(Call::PtraceFollow)?;
        self.tracing.borrow_mut().threads.entry(tid).or_default();
        Ok(())
    }

    fn ptrace_interrupt(&self, tid: u32) -> Result<()> {
        self.call(Call::PtraceInterrupt)?;
        let running =
            self.tracing.borrow().threads.get(&tid).is_some_and(|it| !it.stopped);
        if running {
            self.stop(tid, libc::SIGTRAP, libc::PTRACE_EVENT_STOP, 0);
        }
        Ok(())
    }

    fn ptrace_go(&self, tid: u32, go: Go, signal: i32) -> Result<()> {
        self.call(Call::PtraceGo)?;
        self.stopped(tid, |thread| thread.stopped = false)?;
        self.tracing.borrow_mut().went.push((tid, go, signal));
        Ok(())
    }

    fn ptrace_let_go(&self, tid: u32, signal: i32) -> Result<()> {
        self.call(Call::PtraceLetGo)?;
        let armed = self.stopped(tid, |thread| thread.debug[7] != 0)?;
        let mut tracing = self.tracing.borrow_mut();
        tracing.threads.remove(&tid);
        tracing.let_go.push((tid, signal, armed));
        Ok(())
    }

    fn signal_thread(&self, (_, tid): (u32, u32), signal: i32) -> Result<()> {
        self.call(Call::Kill)?;
        self.killed.borrow_mut().push((tid, false, signal));
        Ok(())
    }

    fn ptrace_message(&self, tid: u32) -> Result<u64> {
        self.call(Call::PtraceMessage)?;
        self.stopped(tid, |thread| thread.message)
    }

    fn ptrace_trap_waits(&self, tid: u32) -> Result<bool> {
        self.call(Call::PtraceTrapWaits)?;
        self.stopped(tid, |thread| thread.trap_waits)
    }

    fn ptrace_unblock_trap(&self, tid: u32) -> Result<()> {
        self.call(Call::PtraceUnblockTrap)?;
        self.stopped(tid, |_| ())
    }

    fn ptrace_registers(&self, tid: u32) -> Result<UserRegisters> {
        self.call(Call::PtraceRegisters)?;
        self.stopped(tid, |thread| thread.registers)
    }

    fn ptrace_set_flags(&self, tid: u32, flags: u64) -> Result<()> {
        self.call(Call::PtraceSetFlags)?;
        self.stopped(tid, |thread| thread.registers.general[9] = flags)
    }

    fn debug_register(&self, tid: u32, number: usize) -> Result<u64> {
        self.call(Call::DebugRegister)?;
        self.stopped(tid, |thread| thread.debug[number])
    }

    fn set_debug_register(&self, tid: u32, number: usize, value: u64) -> Result<()> {
        self.call(Call::SetDebugRegister)?;
        self.stopped(tid, |thread| thread.debug[number] = value)
    }

    fn ptrace_write(&self, tid: u32, _address: u64, _word: u64) -> Result<()> {
        self.call(Call::PtraceWrite)?;
        self.stopped(tid, |_| ())
    }

    fn wait_any(&self) -> Result<Option<(u32, Wait)>> {
        self.call(Call::WaitAny)?;
        Ok(self.tracing.borrow_mut().waits.pop_front())
    }
}
