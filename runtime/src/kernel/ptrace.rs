//! The part of the door to the kernel that ptrace(2) takes: holding threads, their
//! registers, and the process that does so.
//!
//! A tracer is a thread: all of these are to be called by the one that seized.

use std::os::fd::RawFd;

use super::{Result, Wait};

/// How a stopped thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// It runs (PTRACE_CONT).
    On,
    /// It runs, and stops where it enters and leaves system calls (PTRACE_SYSCALL).
    ToSyscall,
    /// By one instruction (PTRACE_SINGLESTEP).
    Step,
    /// It stays in its group-stop, and tells when that ends (PTRACE_LISTEN).
    Listen,
}

/// The general registers of a stopped thread (x86-64: `struct user_regs_struct`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserRegisters {
    /// By perf's number (arch/x86/include/uapi/asm/perf_regs.h), those of segments 0.
    pub general: [u64; 24],
    /// First address of the segments FS and GS.
    pub segments: [u64; 2],
    /// The system call that the thread is in, or −1 (`orig_rax`).
    pub syscall: u64,
}

impl UserRegisters {
    /// The instruction pointer.
    pub fn ip(&self) -> u64 {
        self.general[crate::abi::registers::IP as usize]
    }

    /// The flags.
    pub fn flags(&self) -> u64 {
        self.general[9]
    }

    /// The stack pointer.
    pub fn sp(&self) -> u64 {
        self.general[7]
    }
}

/// The flag of RFLAGS by which a thread goes by single steps (SDM vol. 1, 3.4.3).
pub const TRAP_FLAG: u64 = 1 << 8;

/// Whom [`Ptrace::fork_guardian`] made.
#[derive(Debug, PartialEq, Eq)]
pub struct Guarding {
    /// Its process.
    pub pid: u32,
    /// Our end of the socket for commands and answers.
    pub socket: RawFd,
    /// Our end of the pipe that it reports by; reads do not wait.
    pub reports: RawFd,
}

/// The guardian's ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardianEnds {
    /// Of the socket for commands and answers.
    pub socket: RawFd,
    /// Of the pipe for reports; writes do not wait.
    pub reports: RawFd,
}

/// What hwtrace asks of the kernel to trace by ptrace(2).
pub trait Ptrace {
    /// Forks a process that does `run` and ends. It is in a session of its own, blocks
    /// all signals, and has no descriptors but these two, and /dev/null.
    ///
    /// # Errors
    /// EAGAIN, ENOMEM of fork(2), EMFILE of pipe(2) and socketpair(2).
    fn fork_guardian(&self, run: &mut dyn FnMut(GuardianEnds)) -> Result<Guarding>;

    /// Begins to trace a thread, and what it creates: clones, forks and executions
    /// stop it (PTRACE_SEIZE). It goes on if the tracer dies.
    ///
    /// # Errors
    /// EPERM without permission, and where it has a tracer or is ending; ESRCH.
    fn ptrace_follow(&self, tid: u32) -> Result<()>;

    /// Has a thread stop soon (PTRACE_INTERRUPT).
    ///
    /// # Errors
    /// ESRCH where it has ended.
    fn ptrace_interrupt(&self, tid: u32) -> Result<()>;

    /// Lets a stopped thread go on, `signal` delivered unless 0.
    ///
    /// # Errors
    /// ESRCH where it is not stopped any more: it was killed.
    fn ptrace_go(&self, tid: u32, go: Go, signal: i32) -> Result<()>;

    /// Lets a stopped thread go for good, `signal` delivered unless 0
    /// (PTRACE_DETACH).
    ///
    /// # Errors
    /// ESRCH as [`Ptrace::ptrace_go`].
    fn ptrace_let_go(&self, tid: u32, signal: i32) -> Result<()>;

    /// Sends a signal to one thread of a process (tgkill(2)): process, thread.
    ///
    /// # Errors
    /// ESRCH, EPERM.
    fn signal_thread(&self, thread: (u32, u32), signal: i32) -> Result<()>;

    /// What a stop by an event tells besides: the new thread, or which one executed
    /// (PTRACE_GETEVENTMSG).
    ///
    /// # Errors
    /// ESRCH.
    fn ptrace_message(&self, tid: u32) -> Result<u64>;

    /// Whether a SIGTRAP of the processor's waits for the thread (PTRACE_PEEKSIGINFO,
    /// Linux 3.10).
    ///
    /// # Errors
    /// ESRCH.
    fn ptrace_trap_waits(&self, tid: u32) -> Result<bool>;

    /// Has a stopped thread not block SIGTRAP (PTRACE_GETSIGMASK, PTRACE_SETSIGMASK, Linux
    /// 3.11).
    ///
    /// # Errors
    /// ESRCH.
    fn ptrace_unblock_trap(&self, tid: u32) -> Result<()>;

    /// Registers of a stopped thread (PTRACE_GETREGS).
    ///
    /// # Errors
    /// ESRCH.
    fn ptrace_registers(&self, tid: u32) -> Result<UserRegisters>;

    /// Takes the flag of single steps from a stopped thread, where the kernel does not know
    /// that it is not the program's own: it forgets that when it steps an instruction that
    /// loads the flags (arch/x86/kernel/step.c, `enable_single_step`), and then leaves it
    /// set. Measured on Linux 6.18.
    ///
    /// # Errors
    /// ESRCH.
    fn ptrace_clear_trap_flag(&self, tid: u32) -> Result<()> {
        match self.ptrace_registers(tid)?.flags() {
            flags if flags & TRAP_FLAG == 0 => Ok(()),
            flags => self.ptrace_set_flags(tid, flags & !TRAP_FLAG),
        }
    }

    /// Sets the flags of a stopped thread (PTRACE_POKEUSER).
    ///
    /// # Errors
    /// ESRCH.
    fn ptrace_set_flags(&self, tid: u32, flags: u64) -> Result<()>;

    /// A debug register of a stopped thread (PTRACE_PEEKUSER).
    ///
    /// # Errors
    /// ESRCH; EIO for numbers that are none.
    fn debug_register(&self, tid: u32, number: usize) -> Result<u64>;

    /// Sets it (PTRACE_POKEUSER).
    ///
    /// # Errors
    /// ENOSPC where others hold all, EINVAL for what can not be watched, ESRCH.
    fn set_debug_register(&self, tid: u32, number: usize, value: u64) -> Result<()>;

    /// Writes a word into the memory of a stopped thread (PTRACE_POKEDATA).
    ///
    /// # Errors
    /// EIO or EFAULT where there is none, ESRCH.
    fn ptrace_write(&self, tid: u32, address: u64, word: u64) -> Result<()>;

    /// Which of the threads that we trace has changed its state, and how; none where
    /// none has (waitpid(2) with __WALL and WNOHANG). Not for processes that have
    /// children besides: it reaps them.
    ///
    /// # Errors
    /// ECHILD where nobody is traced.
    fn wait_any(&self) -> Result<Option<(u32, Wait)>>;
}
