//! The one door to the kernel: every system call of arming, draining,
//! disarming, launching a target and reading from it.
//!
//! [`linux::Linux`] is the real kernel; [`fake::Fake`] a scripted one in plain
//! memory, with which tests make any call fail and see that nothing leaks.
//!
//! What BPF takes is in [`Bpf`], what ptrace takes in [`Ptrace`], what our own rights are in
//! [`Rights`], parts of it.
//!
//! All errors are the kernel's `errno`. Which of them mean what is decided by
//! the callers, who know what they were about.

mod bpf;
pub mod fake;
pub mod linux;
mod ptrace;
pub mod rights;

use std::ffi::{CStr, CString};
use std::os::fd::RawFd;
use std::time::Duration;

pub use bpf::Bpf;
pub use nix::errno::Errno;
pub use ptrace::{Go, GuardianEnds, Guarding, Ptrace, TRAP_FLAG, UserRegisters};
pub use rights::Rights;

use crate::attr::EventSpec;
use crate::ring::RingMemory;

/// Stands for all tasks, or all CPUs, where a number is asked for.
pub const EVERY: u32 = u32::MAX;

/// What a system call gives.
pub type Result<T> = std::result::Result<T, Errno>;

/// A perf event's counter as read(2) gives it (perf_event_open(2), "Reading
/// results").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counter {
    /// How often the event happened, inherited children included.
    pub value: u64,
    /// Records for which there was no room in the ring; None where the kernel
    /// does not tell (PERF_FORMAT_LOST came with Linux 6.0).
    pub lost: Option<u64>,
}

/// How a child changed state (wait(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nothing new.
    Running,
    /// It ended by exit(2).
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal killed it.
    Signaled {
        /// The signal.
        signal: i32,
        /// Whether it dumped core.
        core: bool,
    },
    /// It stopped. For a traced child `event` is the PTRACE_EVENT_ number, 0
    /// in a signal-delivery-stop and for children that are not traced.
    Stopped {
        /// The signal of the stop.
        signal: i32,
        /// The ptrace event, or 0.
        event: i32,
    },
}

/// A child that waits to be told to execute its program.
#[derive(Debug)]
pub struct Forked {
    /// The child, leader of a process group of its own.
    pub pid: u32,
    /// Write end of a pipe: one byte lets it execute; so does closing.
    pub go: RawFd,
    /// Read end of a pipe: the four bytes of `errno` where execve(2) fails,
    /// end of file where it succeeds.
    pub failure: RawFd,
}

/// What [`Kernel::take_signals`] changed, to be undone for us and for children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Signals that the thread blocks, and did not before.
    pub blocked: Vec<i32>,
    /// SIGCHLD was ignored, and is not now.
    pub child_was_ignored: bool,
}

/// What hwtrace asks of the kernel. Descriptors are given out bare: who got
/// one closes it with [`Kernel::close`], by way of a guard.
pub trait Kernel: Bpf + Ptrace + Rights {
    /// Opens a perf event on thread `tid` (0: the calling thread, [`EVERY`]: all
    /// tasks) and `cpu` ([`EVERY`]: all of them), close-on-exec
    /// (perf_event_open(2)).
    ///
    /// # Errors
    /// EACCES or EPERM without permission, ENOSPC where no debug register is
    /// free, EINVAL for attributes this kernel does not take, ESRCH where the
    /// thread has ended, EMFILE at the limit of descriptors.
    fn perf_event_open(&self, spec: &EventSpec, tid: u32, cpu: u32) -> Result<RawFd>;

    /// Starts an event and all children that inherited it
    /// (PERF_EVENT_IOC_ENABLE).
    ///
    /// # Errors
    /// As ioctl(2).
    fn perf_enable(&self, event: RawFd) -> Result<()>;

    /// Stops an event and all children that inherited it
    /// (PERF_EVENT_IOC_DISABLE). When the call returns no CPU is still
    /// counting for it.
    ///
    /// # Errors
    /// As ioctl(2).
    fn perf_disable(&self, event: RawFd) -> Result<()>;

    /// Has an open event, and all children that inherited it, be as `spec` says
    /// from now on, at work or not (PERF_EVENT_IOC_MODIFY_ATTRIBUTES, Linux
    /// 4.17). Of a breakpoint the watch can change, and nothing else.
    ///
    /// # Errors
    /// EINVAL for what may not change, or for an address that may not be
    /// watched; the event is off then, or as it was.
    fn perf_change(&self, event: RawFd, spec: &EventSpec, on: bool) -> Result<()>;

    /// Which of these events are over for good: their thread has ended, or an
    /// exec removed them, and nobody is left who inherited them (poll(2),
    /// POLLHUP). What reads the rings by poll(2) is to read them once after.
    ///
    /// # Errors
    /// EINVAL, ENOMEM.
    fn perf_over(&self, events: &[RawFd], over: &mut [bool]) -> Result<()>;

    /// The identifier that records of the event carry (PERF_EVENT_IOC_ID).
    ///
    /// # Errors
    /// As ioctl(2).
    fn perf_id(&self, event: RawFd) -> Result<u64>;

    /// Redirects the records of `event` into the ring of `owner`
    /// (PERF_EVENT_IOC_SET_OUTPUT).
    ///
    /// # Errors
    /// EINVAL where CPU or clock differ, or `owner` has no ring.
    fn perf_set_output(&self, event: RawFd, owner: RawFd) -> Result<()>;

    /// Reads the counter of an event opened from `spec`.
    ///
    /// # Errors
    /// As read(2).
    fn perf_read(&self, event: RawFd, spec: &EventSpec) -> Result<Counter>;

    /// Maps a ring of `data_pages` pages, a power of two, plus its head page.
    ///
    /// # Errors
    /// EPERM where the user's locked memory is used up
    /// (kernel.perf_event_mlock_kb, RLIMIT_MEMLOCK), ENOMEM, EINVAL.
    fn map_ring(&self, owner: RawFd, data_pages: usize) -> Result<RingMemory>;

    /// Unmaps a ring. To be called before its owner is closed: a mapping
    /// keeps the event alive.
    fn unmap_ring(&self, memory: RingMemory);

    /// Closes a descriptor.
    fn close(&self, descriptor: RawFd);

    /// Now, in nanoseconds of CLOCK_MONOTONIC: the clock of all events.
    fn clock(&self) -> u64;

    /// Does nothing for a while.
    fn sleep(&self, duration: Duration);

    /// Waits until one of the descriptors is readable or hung up, or the time
    /// is up (none: for as long as it takes); `ready` tells which, one each. A
    /// signal handler ends the wait early, with none ready (poll(2)).
    ///
    /// # Errors
    /// EINVAL, ENOMEM.
    fn poll(
        &self,
        descriptors: &[RawFd],
        ready: &mut [bool],
        timeout: Option<Duration>,
    ) -> Result<()>;

    /// Keeps signals from the calling thread, and gives a descriptor that is
    /// readable when one has come (signalfd(2)).
    ///
    /// Signals that are ignored stay so: nohup(1), or a shell that started us
    /// in the background of a script, wants them to do nothing. But SIGCHLD,
    /// which then would not come at all, is taken.
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    fn take_signals(&self, signals: &[i32]) -> Result<(RawFd, Taken)>;

    /// The next signal that has come, by number; none where there is none.
    ///
    /// # Errors
    /// As read(2).
    fn read_signal(&self, descriptor: RawFd) -> Result<Option<i32>>;

    /// Undoes [`Kernel::take_signals`] for the calling thread.
    ///
    /// # Errors
    /// As sigprocmask(2).
    fn release_signals(&self, taken: &Taken) -> Result<()>;

    /// A descriptor that is readable as long as one of these signals waits
    /// for the calling thread, which blocks it. None is ever read from it.
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    fn watch_signals(&self, signals: &[i32]) -> Result<RawFd>;

    /// Bytes of a page.
    fn page_size(&self) -> usize;

    /// Numbers of the CPUs that are online, ascending.
    ///
    /// # Errors
    /// As reading `/sys/devices/system/cpu/online`; EINVAL for a list that
    /// makes no sense.
    fn online_cpus(&self) -> Result<Vec<u32>>;

    /// Threads of `pid`, from one pass over `/proc/PID/task`. The pass is no
    /// snapshot: see [`crate::engine::perf`] for what may be concluded.
    ///
    /// # Errors
    /// ENOENT or ESRCH where there is no such process.
    fn threads(&self, pid: u32) -> Result<Vec<u32>>;

    /// Number of threads of `pid` as the kernel counts them.
    ///
    /// # Errors
    /// As [`Kernel::threads`].
    fn thread_count(&self, pid: u32) -> Result<u32>;

    /// Name of a thread, up to 15 bytes, without the final newline.
    ///
    /// # Errors
    /// ENOENT or ESRCH where the thread has ended.
    fn thread_name(&self, pid: u32, tid: u32) -> Result<Vec<u8>>;

    /// The first `limit` bytes of a file, for the small ones of `/proc` and
    /// `/sys`.
    ///
    /// # Errors
    /// As open(2) and read(2).
    fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>>;

    /// Copies memory of a process; gives how many bytes could be read from
    /// the start on (process_vm_readv(2)).
    ///
    /// # Errors
    /// EFAULT where not even the first byte is mapped, EPERM, ESRCH.
    fn read_memory(&self, pid: u32, address: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Soft and hard limit of open descriptors (RLIMIT_NOFILE).
    ///
    /// # Errors
    /// As getrlimit(2).
    fn descriptor_limit(&self) -> Result<(u64, u64)>;

    /// Sets the soft limit of open descriptors.
    ///
    /// # Errors
    /// EINVAL above the hard limit.
    fn set_descriptor_limit(&self, soft: u64) -> Result<()>;

    /// Sets the nice value of this thread, which is run the sooner the lower it is
    /// (sched(7)), and gives the one before. Threads and processes that it creates do
    /// not inherit one below 0.
    ///
    /// # Errors
    /// EPERM, EACCES without CAP_SYS_NICE for one below the present one.
    fn set_nice(&self, nice: i32) -> Result<i32>;

    /// A descriptor that is readable once process `pid` has ended
    /// (pidfd_open(2), Linux 5.3).
    ///
    /// # Errors
    /// ESRCH where there is no such process, EINVAL for a thread that leads
    /// none, ENOSYS on older kernels.
    fn pidfd_open(&self, pid: u32) -> Result<RawFd>;

    /// Sends a signal to the process of a descriptor from
    /// [`Kernel::pidfd_open`], and to no other (pidfd_send_signal(2), Linux
    /// 5.1).
    ///
    /// # Errors
    /// ESRCH where it has ended, EPERM, EINVAL for numbers that are none.
    fn pidfd_send_signal(&self, process: RawFd, signal: i32) -> Result<()>;

    /// Forks a child that will execute the file `program` with these
    /// arguments, the first of which is its name. It has its own process group
    /// and waits at [`Forked::go`]. Signals are blocked and ignored for it as
    /// they were for us at our start, before any were `taken`.
    ///
    /// # Errors
    /// EAGAIN, ENOMEM of fork(2), EMFILE of pipe(2).
    fn fork_exec(
        &self,
        program: &CStr,
        arguments: &[CString],
        taken: &Taken,
    ) -> Result<Forked>;

    /// Writes bytes to a pipe.
    ///
    /// # Errors
    /// As write(2).
    fn write(&self, descriptor: RawFd, bytes: &[u8]) -> Result<usize>;

    /// Writes some of `bytes`, at least one, to a pipe or socket once there is
    /// room; gives 0 where there is none and `signals` is readable.
    ///
    /// # Errors
    /// As write(2); EPIPE where nobody can read it any more.
    fn write_unless(
        &self,
        descriptor: RawFd,
        bytes: &[u8],
        signals: RawFd,
    ) -> Result<usize>;

    /// Reads bytes from a pipe; 0 at its end.
    ///
    /// # Errors
    /// As read(2).
    fn read(&self, descriptor: RawFd, buffer: &mut [u8]) -> Result<usize>;

    /// Begins to trace a child, to stop when it has executed a program
    /// (PTRACE_SEIZE with PTRACE_O_TRACEEXEC). The child goes on if the
    /// tracer dies.
    ///
    /// # Errors
    /// EPERM, ESRCH.
    fn ptrace_seize(&self, pid: u32) -> Result<()>;

    /// Lets a stopped traced child run on, `signal` delivered unless 0
    /// (PTRACE_CONT).
    ///
    /// # Errors
    /// ESRCH where it is not stopped.
    fn ptrace_continue(&self, pid: u32, signal: i32) -> Result<()>;

    /// Lets a stopped traced child go for good (PTRACE_DETACH).
    ///
    /// # Errors
    /// ESRCH where it is not stopped.
    fn ptrace_detach(&self, pid: u32) -> Result<()>;

    /// Why a stopped traced child is about to get its signal: `si_code` of
    /// sigaction(2) (PTRACE_GETSIGINFO).
    ///
    /// # Errors
    /// EINVAL where no signal stopped it, ESRCH where it is not stopped.
    fn ptrace_signal_code(&self, pid: u32) -> Result<i32>;

    /// Address of the list of robust mutexes of a thread (get_robust_list(2)),
    /// which the C library keeps within the thread's own block; 0 where it set
    /// none.
    ///
    /// # Errors
    /// ESRCH, EPERM.
    fn robust_list(&self, tid: u32) -> Result<u64>;

    /// Waits for a child's change of state, stops included; with `block`
    /// false gives [`Wait::Running`] at once where there is none.
    ///
    /// # Errors
    /// ECHILD where it is no child of ours.
    fn wait(&self, pid: u32, block: bool) -> Result<Wait>;

    /// Waits until a child that is stopped was continued, or has ended.
    ///
    /// # Errors
    /// ECHILD where it is no child of ours.
    fn wait_continued(&self, pid: u32) -> Result<()>;

    /// Sends a signal to a process; to the group with `group`.
    ///
    /// # Errors
    /// ESRCH, EPERM.
    fn kill(&self, pid: u32, group: bool, signal: i32) -> Result<()>;

    /// Process group in the foreground of our controlling terminal
    /// (tcgetpgrp(3) on `/dev/tty`).
    ///
    /// # Errors
    /// ENXIO where there is no terminal.
    fn terminal_foreground(&self) -> Result<u32>;

    /// Puts a process group into the foreground of our controlling terminal;
    /// does not stop us with SIGTTOU if we are in the background.
    ///
    /// # Errors
    /// ENXIO where there is no terminal, EPERM where the group is of another
    /// session.
    fn set_terminal_foreground(&self, group: u32) -> Result<()>;

    /// Our own process group.
    fn own_group(&self) -> u32;

    /// Stops our own process group as this signal does, SIGTSTP or SIGTTIN;
    /// returns once it was continued. False where it was not stopped: the
    /// signal is ignored, or nobody could ever continue the group, which then
    /// is an orphan (setpgid(2)).
    ///
    /// # Errors
    /// As kill(2).
    fn stop_own_group(&self, signal: i32) -> Result<bool>;
}
