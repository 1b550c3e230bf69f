//! What ptrace(2) takes of the real kernel.

#![allow(unsafe_code, reason = "makes system calls by hand, and forks")]

use std::mem::offset_of;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::ptr::null_mut;

use libc::{c_long, c_void};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::{Linux, check, pid_of, retry};
use crate::kernel::{
    Errno, Go, GuardianEnds, Guarding, Ptrace, Result, UserRegisters, Wait,
};

/// Clones, forks and executions stop the thread, and new threads are traced from
/// their birth on; stops at system calls are told from signals.
const OPTIONS: i32 = libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACEVFORKDONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACESYSGOOD;

/// Bytes that the pipe for reports is to hold (pipe(7): what everybody may have).
const PIPE_BYTES: i32 = 1 << 20;

/// Signals of a thread that are looked at for a trap, at once.
const SIGNALS_MAX: usize = 8;

/// From include/uapi/linux/ptrace.h.
const PTRACE_GETSIGMASK: libc::c_uint = 0x420a;
const PTRACE_SETSIGMASK: libc::c_uint = 0x420b;

/// `struct ptrace_peeksiginfo_args` (include/uapi/linux/ptrace.h).
#[repr(C)]
struct Peek {
    offset: u64,
    flags: u32,
    count: i32,
}

/// Requests that take numbers, and no memory of ours.
fn plain(request: libc::c_uint, tid: u32, address: u64, data: u64) -> Result<()> {
    let tid = pid_of(tid)?.as_raw();
    // SAFETY: the callers give requests by which the kernel touches no memory of ours.
    let result = unsafe {
        libc::ptrace(request, tid, address as *mut c_void, data as *mut c_void)
    };
    Errno::result(result).map(drop)
}

/// Requests by which the kernel writes one `T` to a place of ours.
///
/// # Safety
/// `request` writes no more than a `T`, for which all bytes are good.
unsafe fn fetch<T>(request: libc::c_uint, tid: u32, address: u64) -> Result<T> {
    let tid = pid_of(tid)?.as_raw();
    let mut place = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: as the caller says.
    let result =
        unsafe { libc::ptrace(request, tid, address as *mut c_void, place.as_mut_ptr()) };
    Errno::result(result)?;
    // SAFETY: zeroed, and written by the kernel.
    Ok(unsafe { place.assume_init() })
}

/// Where ptrace(2) finds a debug register.
fn debug_offset(number: usize) -> u64 {
    (offset_of!(libc::user, u_debugreg) + number * size_of::<u64>()) as u64
}

impl Ptrace for Linux {
    fn fork_guardian(&self, run: &mut dyn FnMut(GuardianEnds)) -> Result<Guarding> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::Stream,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let (reports, writes) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // Smaller where the user has used up what all may have.
        let _ = fcntl(&writes, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
        let ends = GuardianEnds { socket: 3, reports: 4 };
        // All signals are blocked across the fork: none finds the child with handlers
        // of ours.
        let mut before = nix::sys::signal::SigSet::empty();
        let all = nix::sys::signal::SigSet::all();
        let set = nix::sys::signal::SigmaskHow::SIG_SETMASK;
        nix::sys::signal::pthread_sigmask(set, Some(&all), Some(&mut before))?;
        // SAFETY: the child does `run` alone and does not return. Where we have more
        // threads it may use no lock but the allocator's, which the C library frees
        // in the child (malloc(3), fork handlers).
        let forked = check(unsafe { libc::fork() });
        if forked == Ok(0) {
            guardian(theirs.as_raw_fd(), writes.as_raw_fd(), ends, run);
        }
        nix::sys::signal::pthread_sigmask(set, Some(&before), None)?;
        let (socket, reports) = (ours.into_raw_fd(), reports.into_raw_fd());
        match forked {
            Ok(pid) => Ok(Guarding { pid: pid as u32, socket, reports }),
            Err(errno) => {
                use crate::kernel::Kernel;
                self.close(socket);
                self.close(reports);
                Err(errno)
            }
        }
    }

    fn ptrace_follow(&self, tid: u32) -> Result<()> {
        plain(libc::PTRACE_SEIZE, tid, 0, OPTIONS as u64)
    }

    fn ptrace_interrupt(&self, tid: u32) -> Result<()> {
        plain(libc::PTRACE_INTERRUPT, tid, 0, 0)
    }

    fn ptrace_go(&self, tid: u32, go: Go, signal: i32) -> Result<()> {
        let request = match go {
            Go::On => libc::PTRACE_CONT,
            Go::ToSyscall => libc::PTRACE_SYSCALL,
            Go::Step => libc::PTRACE_SINGLESTEP,
            Go::Listen => libc::PTRACE_LISTEN,
        };
        plain(request, tid, 0, signal as u64)
    }

    fn ptrace_let_go(&self, tid: u32, signal: i32) -> Result<()> {
        plain(libc::PTRACE_DETACH, tid, 0, signal as u64)
    }

    fn signal_thread(&self, (pid, tid): (u32, u32), signal: i32) -> Result<()> {
        let (pid, tid) = (pid_of(pid)?.as_raw(), pid_of(tid)?.as_raw());
        // SAFETY: no memory involved.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) };
        Errno::result(sent).map(drop)
    }

    fn ptrace_message(&self, tid: u32) -> Result<u64> {
        // SAFETY: the kernel writes an unsigned long.
        unsafe { fetch(libc::PTRACE_GETEVENTMSG, tid, 0) }
    }

    fn ptrace_trap_waits(&self, tid: u32) -> Result<bool> {
        let tid = pid_of(tid)?.as_raw();
        let is_trap =
            |it: &libc::siginfo_t| it.si_signo == libc::SIGTRAP && it.si_code > 0;
        for offset in (0u64..).step_by(SIGNALS_MAX) {
            let peek = Peek { offset, flags: 0, count: SIGNALS_MAX as i32 };
            // SAFETY: all zero is a siginfo.
            let mut found: [libc::siginfo_t; SIGNALS_MAX] = unsafe { std::mem::zeroed() };
            // SAFETY: the kernel reads `peek`, and writes at most as many as it says.
            let count = unsafe {
                libc::ptrace(
                    libc::PTRACE_PEEKSIGINFO,
                    tid,
                    &raw const peek,
                    found.as_mut_ptr(),
                )
            };
            let count = Errno::result(count)? as usize;
            if found.iter().take(count).any(is_trap) {
                return Ok(true);
            }
            if count < SIGNALS_MAX {
                break;
            }
        }
        Ok(false)
    }

    fn ptrace_unblock_trap(&self, tid: u32) -> Result<()> {
        const TRAP: u64 = 1 << (libc::SIGTRAP - 1);
        let tid = pid_of(tid)?.as_raw();
        let mut mask = 0u64;
        let size = size_of_val(&mask);
        // SAFETY: the kernel writes as many bytes as said to the place given.
        let got = unsafe { libc::ptrace(PTRACE_GETSIGMASK, tid, size, &raw mut mask) };
        Errno::result(got)?;
        if mask & TRAP == 0 {
            return Ok(());
        }
        let mask = mask & !TRAP;
        // SAFETY: the kernel reads as many bytes as said from the place given.
        let set = unsafe { libc::ptrace(PTRACE_SETSIGMASK, tid, size, &raw const mask) };
        Errno::result(set).map(drop)
    }

    fn ptrace_registers(&self, tid: u32) -> Result<UserRegisters> {
        // SAFETY: the kernel writes one such structure.
        let it: libc::user_regs_struct = unsafe { fetch(libc::PTRACE_GETREGS, tid, 0) }?;
        let mut general = [0; 24];
        general[..10].copy_from_slice(&[
            it.rax, it.rbx, it.rcx, it.rdx, it.rsi, it.rdi, it.rbp, it.rsp, it.rip,
            it.eflags,
        ]);
        general[16..].copy_from_slice(&[
            it.r8, it.r9, it.r10, it.r11, it.r12, it.r13, it.r14, it.r15,
        ]);
        let segments = [it.fs_base, it.gs_base];
        Ok(UserRegisters { general, segments, syscall: it.orig_rax })
    }

    fn ptrace_set_flags(&self, tid: u32, flags: u64) -> Result<()> {
        let offset =
            offset_of!(libc::user, regs) + offset_of!(libc::user_regs_struct, eflags);
        plain(libc::PTRACE_POKEUSER, tid, offset as u64, flags)
    }

    fn debug_register(&self, tid: u32, number: usize) -> Result<u64> {
        let (tid, address) = (pid_of(tid)?.as_raw(), debug_offset(number));
        Errno::clear();
        // SAFETY: the C library gives the word itself; no memory of ours is touched.
        let word = unsafe {
            libc::ptrace(
                libc::PTRACE_PEEKUSER,
                tid,
                address as *mut c_void,
                null_mut::<c_void>(),
            )
        };
        match (word, Errno::last_raw()) {
            (-1, raw) if raw != 0 => Err(Errno::from_raw(raw)),
            _ => Ok(word.cast_unsigned()),
        }
    }

    fn set_debug_register(&self, tid: u32, number: usize, value: u64) -> Result<()> {
        plain(libc::PTRACE_POKEUSER, tid, debug_offset(number), value)
    }

    fn ptrace_write(&self, tid: u32, address: u64, word: u64) -> Result<()> {
        plain(libc::PTRACE_POKEDATA, tid, address, word)
    }

    fn wait_any(&self) -> Result<Option<(u32, Wait)>> {
        let (mut status, flags) = (0, libc::__WALL | libc::WNOHANG);
        let tid = retry(|| {
            // SAFETY: the kernel writes the status to the place given.
            check(unsafe { libc::waitpid(-1, &mut status, flags) })
        })?;
        Ok((tid > 0).then(|| (tid as u32, wait_of(status))))
    }
}

/// What a status of waitpid(2) means. By hand, since signals may be real-time ones.
fn wait_of(status: i32) -> Wait {
    if libc::WIFSTOPPED(status) {
        return Wait::Stopped { signal: libc::WSTOPSIG(status), event: status >> 16 };
    }
    if libc::WIFSIGNALED(status) {
        let core = libc::WCOREDUMP(status);
        return Wait::Signaled { signal: libc::WTERMSIG(status), core };
    }
    match libc::WIFEXITED(status) {
        true => Wait::Exited { code: libc::WEXITSTATUS(status) },
        false => Wait::Running,
    }
}

/// The guardian's life.
fn guardian(
    socket: RawFd,
    reports: RawFd,
    ends: GuardianEnds,
    run: &mut dyn FnMut(GuardianEnds),
) -> ! {
    let run = std::panic::AssertUnwindSafe(|| {
        settle_in(socket, reports, ends);
        run(ends);
    });
    // A panic would go on in the code that forked. The kernel lets all go whom it
    // traced; that is a bug of ours.
    let ended = std::panic::catch_unwind(run);
    // SAFETY: ends the process, without what was to be done at the end of hwtrace.
    unsafe { libc::_exit(i32::from(ended.is_err())) }
}

/// Leaves hwtrace's session, and everything of hwtrace's that is open.
fn settle_in(socket: RawFd, reports: RawFd, ends: GuardianEnds) {
    // SAFETY: numbers, and a path; what fails leaves something open that nobody uses.
    unsafe {
        libc::setsid();
        // No file system is kept from being unmounted.
        libc::chdir(c"/".as_ptr());
        // Higher than both, so that neither is overwritten by the other.
        let above = ends.reports + 1;
        let socket = libc::fcntl(socket, libc::F_DUPFD, above);
        let reports = libc::fcntl(reports, libc::F_DUPFD, above);
        libc::dup2(socket, ends.socket);
        libc::dup2(reports, ends.reports);
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        for standard in 0..3 {
            libc::dup2(null, standard);
        }
        let (first, flags) = ((ends.reports + 1) as c_long, 0);
        let closed =
            libc::syscall(libc::SYS_close_range, first, c_long::from(u32::MAX), flags);
        if closed != 0 {
            // Before Linux 5.9.
            for descriptor in first..1 << 16 {
                libc::close(descriptor as i32);
            }
        }
        libc::prctl(libc::PR_SET_NAME, c"hwt-guardian".as_ptr());
    }
}
