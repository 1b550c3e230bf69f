//! The real kernel.

#![allow(unsafe_code, reason = "the one file that makes system calls by hand")]

mod bpf;
mod environment;
mod ptrace;
mod rights;

use std::ffi::{CStr, CString, c_char};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use perf_event_open_sys as perf;

use super::{Counter, EVERY, Errno, Forked, Kernel, Result, Taken, Wait};
use crate::attr::EventSpec;
use crate::ring::RingMemory;
pub use rights::be_traceable;

/// The kernel that runs us.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

/// Upper bound of the small files of `/proc` and `/sys` read here.
const SMALL_FILE: usize = 4096;

/// The result of a call that gives −1 and errno on failure.
fn check(result: i32) -> Result<i32> {
    Errno::result(result)
}

fn from_io(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn pid_of(pid: u32) -> Result<Pid> {
    i32::try_from(pid).map(Pid::from_raw).map_err(|_| Errno::ESRCH)
}

fn signal_set(signals: &[i32]) -> Result<SigSet> {
    signals.iter().map(|signal| Signal::try_from(*signal)).collect()
}

/// Calls again as long as signals interrupt.
fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// A perf ioctl on a descriptor of ours.
fn perf_ioctl(
    event: RawFd,
    call: unsafe fn(libc::c_int, libc::c_uint) -> libc::c_int,
) -> Result<()> {
    // SAFETY: these ioctls take a number and touch no memory of ours.
    retry(|| check(unsafe { call(event, 0) })).map(drop)
}

/// `struct sched_attr` (include/uapi/linux/sched/types.h), as far as Linux 3.14 had
/// it.
#[repr(C)]
#[derive(Default)]
struct SchedulingAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// `SCHED_FLAG_RESET_ON_FORK`
const RESET_ON_FORK: u64 = 1;

impl Kernel for Linux {
    fn perf_event_open(&self, spec: &EventSpec, tid: u32, cpu: u32) -> Result<RawFd> {
        let mut attr = spec.to_attr();
        let number = |of| match of {
            EVERY => Ok(-1),
            of => i32::try_from(of).map_err(|_| Errno::EINVAL),
        };
        let (tid, cpu) = (number(tid)?, number(cpu)?);
        let flags = u64::from(perf::bindings::PERF_FLAG_FD_CLOEXEC);
        retry(|| {
            // SAFETY: the kernel reads attr, and writes its size into it on
            // E2BIG; it lives across the call.
            check(unsafe { perf::perf_event_open(&mut attr, tid, cpu, -1, flags as _) })
        })
    }

    fn perf_enable(&self, event: RawFd) -> Result<()> {
        perf_ioctl(event, perf::ioctls::ENABLE)
    }

    fn perf_disable(&self, event: RawFd) -> Result<()> {
        perf_ioctl(event, perf::ioctls::DISABLE)
    }

    fn perf_change(&self, event: RawFd, spec: &EventSpec, on: bool) -> Result<()> {
        let mut attr = spec.to_changed_attr(on);
        // SAFETY: the kernel reads attr, which lives across the call.
        retry(|| check(unsafe { perf::ioctls::MODIFY_ATTRIBUTES(event, &mut attr) }))
            .map(drop)
    }

    fn perf_over(&self, events: &[RawFd], over: &mut [bool]) -> Result<()> {
        let entry = |fd: &RawFd| libc::pollfd { fd: *fd, events: 0, revents: 0 };
        let mut entries: Vec<_> = events.iter().map(entry).collect();
        let count = entries.len() as libc::nfds_t;
        // SAFETY: as many entries as said, which live across the call.
        retry(|| check(unsafe { libc::poll(entries.as_mut_ptr(), count, 0) }))?;
        for (over, entry) in over.iter_mut().zip(&entries) {
            *over = entry.revents & libc::POLLHUP != 0;
        }
        Ok(())
    }

    fn perf_id(&self, event: RawFd) -> Result<u64> {
        let mut id = 0;
        // SAFETY: the kernel writes one u64 to the place given.
        check(unsafe { perf::ioctls::ID(event, &mut id) })?;
        Ok(id)
    }

    fn perf_set_output(&self, event: RawFd, owner: RawFd) -> Result<()> {
        // SAFETY: takes a descriptor by value.
        check(unsafe { perf::ioctls::SET_OUTPUT(event, owner) }).map(drop)
    }

    fn perf_read(&self, event: RawFd, spec: &EventSpec) -> Result<Counter> {
        // Value, identifier and, where asked for, lost records.
        let mut words = [0u8; 24];
        let expected = if spec.features.format_lost { 24 } else { 16 };
        let got = self.read(event, &mut words[..expected])?;
        if got != expected {
            return Err(Errno::EIO);
        }
        let (words, _) = words.as_chunks::<8>();
        let word = |index: usize| u64::from_ne_bytes(words[index]);
        let lost = spec.features.format_lost.then(|| word(2));
        Ok(Counter { value: word(0), lost })
    }

    fn map_ring(&self, owner: RawFd, data_pages: usize) -> Result<RingMemory> {
        let page = self.page_size();
        if !data_pages.is_power_of_two() {
            return Err(Errno::EINVAL);
        }
        let data = data_pages.checked_mul(page).ok_or(Errno::EINVAL)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            let null = std::ptr::null_mut();
            libc::mmap(null, page + data, protection, libc::MAP_SHARED, owner, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let base = NonNull::new(base.cast()).ok_or(Errno::EFAULT)?;
        // SAFETY: just mapped with that size, writable and so not in
        // overwrite mode; unmapped only by `unmap_ring`, which consumes it.
        Ok(unsafe { RingMemory::new(base, page, data) })
    }

    fn unmap_ring(&self, memory: RingMemory) {
        // SAFETY: the mapping that `map_ring` made; no slice of it outlives
        // the value, which was moved in here.
        unsafe { libc::munmap(memory.base().as_ptr().cast(), memory.mapped_bytes()) };
    }

    fn close(&self, descriptor: RawFd) {
        // SAFETY: the caller owns it and gives it up. An error leaves it
        // closed all the same (close(2)).
        unsafe { libc::close(descriptor) };
    }

    fn clock(&self) -> u64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel writes one timespec. CLOCK_MONOTONIC is always
        // there, so it does not fail.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn poll(
        &self,
        descriptors: &[RawFd],
        ready: &mut [bool],
        timeout: Option<Duration>,
    ) -> Result<()> {
        let entry =
            |fd: &RawFd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 };
        let mut entries: Vec<_> = descriptors.iter().map(entry).collect();
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let count = entries.len() as libc::nfds_t;
        // SAFETY: the entries are as many as said, and they and the timeout
        // live until the call returns; no signal mask is given.
        let found = unsafe {
            libc::ppoll(entries.as_mut_ptr(), count, timeout, std::ptr::null())
        };
        match check(found) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        for (ready, entry) in ready.iter_mut().zip(&entries) {
            *ready = entry.revents != 0;
        }
        Ok(())
    }

    fn take_signals(&self, signals: &[i32]) -> Result<(RawFd, Taken)> {
        let mut taken = Taken::default();
        let mut wanted = Vec::with_capacity(signals.len());
        for &signal in signals {
            match (is_ignored(signal), signal) {
                (true, libc::SIGCHLD) => {
                    set_disposition(signal, libc::SIG_DFL);
                    taken.child_was_ignored = true;
                }
                (true, _) => continue,
                (false, _) => {}
            }
            wanted.push(signal);
        }
        let set = signal_set(&wanted)?;
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
        let newly = set.iter().filter(|signal| !before.contains(*signal));
        taken.blocked = newly.map(|signal| signal as i32).collect();
        match self.watch_signals(&wanted) {
            Ok(descriptor) => Ok((descriptor, taken)),
            Err(errno) => self.release_signals(&taken).and(Err(errno)),
        }
    }

    fn read_signal(&self, descriptor: RawFd) -> Result<Option<i32>> {
        let mut bytes = [0; size_of::<libc::signalfd_siginfo>()];
        match self.read(descriptor, &mut bytes) {
            // `ssi_signo` is the first member (signalfd(2)).
            Ok(_) => {
                Ok(Some(i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
            }
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn release_signals(&self, taken: &Taken) -> Result<()> {
        if taken.child_was_ignored {
            set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        }
        pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&signal_set(&taken.blocked)?), None)
    }

    fn watch_signals(&self, signals: &[i32]) -> Result<RawFd> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&signal_set(signals)?, flags)?;
        Ok(OwnedFd::from(signals).into_raw_fd())
    }

    fn page_size(&self) -> usize {
        // SAFETY: no memory involved.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).unwrap_or(4096)
    }

    fn online_cpus(&self) -> Result<Vec<u32>> {
        let text = self.read_file("/sys/devices/system/cpu/online", SMALL_FILE)?;
        parse_cpu_list(&text).ok_or(Errno::EINVAL)
    }

    fn threads(&self, pid: u32) -> Result<Vec<u32>> {
        let entries = std::fs::read_dir(format!("/proc/{pid}/task"));
        let mut threads = Vec::new();
        for entry in entries.map_err(|error| from_io(&error))? {
            let entry = entry.map_err(|error| from_io(&error))?;
            let name = entry.file_name();
            threads.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(threads)
    }

    fn thread_count(&self, pid: u32) -> Result<u32> {
        // Links: the directory itself, its parent and one for each thread
        // (fs/proc/base.c, proc_task_getattr).
        let directory = std::fs::metadata(format!("/proc/{pid}/task"));
        let links = directory.map_err(|error| from_io(&error))?.nlink();
        u32::try_from(links.saturating_sub(2)).map_err(|_| Errno::ERANGE)
    }

    fn thread_name(&self, pid: u32, tid: u32) -> Result<Vec<u8>> {
        let mut name = self.read_file(&format!("/proc/{pid}/task/{tid}/comm"), 64)?;
        name.pop_if(|last| *last == b'\n');
        Ok(name)
    }

    fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>> {
        let file = File::open(path).map_err(|error| from_io(&error))?;
        let mut bytes = Vec::new();
        let read = file.take(limit as u64).read_to_end(&mut bytes);
        read.map_err(|error| from_io(&error))?;
        Ok(bytes)
    }

    fn read_memory(&self, pid: u32, address: u64, buffer: &mut [u8]) -> Result<usize> {
        let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
        let remote = nix::sys::uio::RemoteIoVec { base, len: buffer.len() };
        let mut local = [std::io::IoSliceMut::new(buffer)];
        nix::sys::uio::process_vm_readv(pid_of(pid)?, &mut local, &[remote])
    }

    fn set_nice(&self, nice: i32) -> Result<i32> {
        let mut attributes = SchedulingAttributes::default();
        let size = size_of::<SchedulingAttributes>() as u32;
        // SAFETY: the kernel writes no more than `size` bytes, which there are.
        let got = unsafe {
            libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0)
        };
        Errno::result(got)?;
        let before = attributes.nice;
        attributes.size = size;
        attributes.nice = nice;
        if nice < 0 {
            attributes.flags |= RESET_ON_FORK;
        } else {
            attributes.flags &= !RESET_ON_FORK;
        }
        // SAFETY: the kernel reads as many bytes as `size` in them says.
        let set = unsafe {
            libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0)
        };
        Errno::result(set).map(|_| before)
    }

    fn descriptor_limit(&self) -> Result<(u64, u64)> {
        getrlimit(Resource::RLIMIT_NOFILE)
    }

    fn set_descriptor_limit(&self, soft: u64) -> Result<()> {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard)
    }

    fn pidfd_open(&self, pid: u32) -> Result<RawFd> {
        let pid = pid_of(pid)?.as_raw();
        // SAFETY: takes numbers only. The kernel sets close-on-exec.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        check(descriptor as i32)
    }

    fn pidfd_send_signal(&self, process: RawFd, signal: i32) -> Result<()> {
        let (information, flags) = (std::ptr::null::<libc::siginfo_t>(), 0);
        // SAFETY: takes numbers, and no pointer to anything.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                process,
                signal,
                information,
                flags,
            )
        };
        check(sent as i32).map(drop)
    }

    fn fork_exec(
        &self,
        program: &CStr,
        arguments: &[CString],
        taken: &Taken,
    ) -> Result<Forked> {
        let inherited = Inherited {
            release: signal_set(&taken.blocked)?,
            pipe_ignored: PIPE_WAS_IGNORED.load(Ordering::Relaxed),
            child_ignored: taken.child_was_ignored,
        };
        let (go_read, go) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let (failure, failure_write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let mut pointers: Vec<*const c_char> =
            arguments.iter().map(|argument| argument.as_ptr()).collect();
        pointers.push(std::ptr::null());
        let environment = environment::first();
        let environment = environment.as_deref().map(environment::strings_of);
        let parent = std::process::id();
        // Everything is prepared: between fork and exec the child of a
        // process with threads must not allocate.
        // SAFETY: the child calls `child`, which keeps to that and does not
        // return.
        let pid = check(unsafe { libc::fork() })?;
        if pid == 0 {
            let go = (go_read.as_raw_fd(), go.as_raw_fd());
            let environment = environment.as_ref().map(|it| it.as_ptr());
            let program = (program, &*pointers, environment);
            let pipes = (go, failure_write.as_raw_fd());
            child(program, &inherited, parent, pipes);
        }
        // Its group is not to be used before it is made, nor the child traced before it
        // lets us. Where it was killed by then there is no byte: we hold no write end.
        drop(failure_write);
        let _ = retry(|| nix::unistd::read(&failure, &mut [0]));
        let (go, failure) = (go.into_raw_fd(), failure.into_raw_fd());
        Ok(Forked { pid: pid as u32, go, failure })
    }

    fn write(&self, descriptor: RawFd, bytes: &[u8]) -> Result<usize> {
        let (from, count) = (bytes.as_ptr().cast(), bytes.len());
        let written = retry(|| {
            // SAFETY: the kernel reads that many bytes of the slice.
            Errno::result(unsafe { libc::write(descriptor, from, count) })
        })?;
        Ok(written as usize)
    }

    fn write_unless(
        &self,
        descriptor: RawFd,
        bytes: &[u8],
        signals: RawFd,
    ) -> Result<usize> {
        loop {
            match write_now(descriptor, bytes) {
                Err(Errno::EAGAIN) => {}
                // Pipes know this since Linux 6.4. Before, room for PIPE_BUF
                // is what poll(2) promises; only others who write to the same
                // pipe can take it from us.
                Err(Errno::EOPNOTSUPP) => {
                    if !writable_before_signal(descriptor, signals)? {
                        return Ok(0);
                    }
                    let chunk = bytes.len().min(libc::PIPE_BUF);
                    return self.write(descriptor, &bytes[..chunk]);
                }
                written => return written,
            }
            if !writable_before_signal(descriptor, signals)? {
                return Ok(0);
            }
        }
    }

    fn read(&self, descriptor: RawFd, buffer: &mut [u8]) -> Result<usize> {
        let (to, count) = (buffer.as_mut_ptr().cast(), buffer.len());
        let got = retry(|| {
            // SAFETY: the kernel writes at most that many bytes to the slice.
            Errno::result(unsafe { libc::read(descriptor, to, count) })
        })?;
        Ok(got as usize)
    }

    fn ptrace_seize(&self, pid: u32) -> Result<()> {
        use nix::sys::ptrace::{Options, seize};
        seize(pid_of(pid)?, Options::PTRACE_O_TRACEEXEC)
    }

    fn ptrace_continue(&self, pid: u32, signal: i32) -> Result<()> {
        let pid = pid_of(pid)?.as_raw();
        let address = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: PTRACE_CONT takes a signal number and no memory of ours.
        let result = unsafe {
            libc::ptrace(libc::PTRACE_CONT, pid, address, signal as libc::c_long)
        };
        Errno::result(result).map(drop)
    }

    fn ptrace_detach(&self, pid: u32) -> Result<()> {
        nix::sys::ptrace::detach(pid_of(pid)?, None)
    }

    fn ptrace_signal_code(&self, pid: u32) -> Result<i32> {
        nix::sys::ptrace::getsiginfo(pid_of(pid)?).map(|information| information.si_code)
    }

    fn robust_list(&self, tid: u32) -> Result<u64> {
        let tid = pid_of(tid)?.as_raw();
        let (mut head, mut length) = (0u64, 0usize);
        // SAFETY: the kernel writes an address and a size to the places given.
        let result = unsafe {
            libc::syscall(libc::SYS_get_robust_list, tid, &raw mut head, &raw mut length)
        };
        check(result as i32).map(|_| head)
    }

    fn wait(&self, pid: u32, block: bool) -> Result<Wait> {
        let mut flags = WaitPidFlag::WUNTRACED;
        flags.set(WaitPidFlag::WNOHANG, !block);
        let pid = pid_of(pid)?;
        Ok(match retry(|| waitpid(pid, Some(flags)))? {
            WaitStatus::Exited(_, code) => Wait::Exited { code },
            WaitStatus::Signaled(_, signal, core) => {
                Wait::Signaled { signal: signal as i32, core }
            }
            WaitStatus::Stopped(_, signal) => {
                Wait::Stopped { signal: signal as i32, event: 0 }
            }
            WaitStatus::PtraceEvent(_, signal, event) => {
                Wait::Stopped { signal: signal as i32, event }
            }
            _ => Wait::Running,
        })
    }

    fn wait_continued(&self, pid: u32) -> Result<()> {
        let flags = WaitPidFlag::WCONTINUED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        let pid = pid_of(pid)?;
        retry(|| waitid(Id::Pid(pid), flags)).map(drop)
    }

    fn kill(&self, pid: u32, group: bool, signal: i32) -> Result<()> {
        let pid = pid_of(pid)?.as_raw();
        // SAFETY: no memory involved.
        check(unsafe { libc::kill(if group { -pid } else { pid }, signal) }).map(drop)
    }

    fn terminal_foreground(&self) -> Result<u32> {
        let group = nix::unistd::tcgetpgrp(terminal()?)?;
        u32::try_from(group.as_raw()).map_err(|_| Errno::ENOTTY)
    }

    fn set_terminal_foreground(&self, group: u32) -> Result<()> {
        let terminal = terminal()?;
        let group = pid_of(group)?;
        // From the background the call would stop us (SIGTTOU) unless that
        // is blocked (tcsetpgrp(3)).
        let mut block = SigSet::empty();
        block.add(Signal::SIGTTOU);
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&block), Some(&mut before))?;
        let set = nix::unistd::tcsetpgrp(terminal, group);
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
        set
    }

    fn own_group(&self) -> u32 {
        nix::unistd::getpgrp().as_raw() as u32
    }

    fn stop_own_group(&self, signal: i32) -> Result<bool> {
        // Blocked, the signal that continues us stays for us to see, whatever
        // its disposition (signal(7)).
        let continued = SigSet::from(Signal::SIGCONT);
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&continued), Some(&mut before))?;
        take_waiting(&continued);
        // SAFETY: no memory involved. We are stopped before the call returns.
        let sent = check(unsafe { libc::kill(0, signal) });
        let stopped = take_waiting(&continued);
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
        sent.map(|_| stopped)
    }
}

/// Whether our file gave us more than our user has (getauxval(3)).
fn is_secure() -> bool {
    // SAFETY: no memory involved.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Whether the signal is ignored.
fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zero is a sigaction; the kernel writes one to the place
    // given.
    unsafe {
        let mut now = std::mem::zeroed::<libc::sigaction>();
        libc::sigaction(signal, std::ptr::null(), &mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Sets a signal to SIG_DFL or SIG_IGN. Safe in a child that was forked.
fn set_disposition(signal: i32, disposition: libc::sighandler_t) {
    // SAFETY: neither is a function of ours.
    unsafe { libc::signal(signal, disposition) };
}

/// Takes a signal of the set that waits for us; false where there is none.
fn take_waiting(signals: &SigSet) -> bool {
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let nothing = std::ptr::null_mut();
    // SAFETY: the kernel reads set and time, which live across the call.
    unsafe { libc::sigtimedwait(signals.as_ref(), nothing, &at_once) > 0 }
}

/// Writes what there is room for, and never waits. EAGAIN where there is no
/// room, EOPNOTSUPP where the kernel can not but wait.
fn write_now(descriptor: RawFd, bytes: &[u8]) -> Result<usize> {
    let from = bytes.as_ptr().cast_mut().cast();
    let vector = libc::iovec { iov_base: from, iov_len: bytes.len() };
    let written = retry(|| {
        // SAFETY: one vector, of which the kernel reads that many bytes.
        let written =
            unsafe { libc::pwritev2(descriptor, &vector, 1, -1, libc::RWF_NOWAIT) };
        Errno::result(written)
    })?;
    Ok(written as usize)
}

/// Waits until a descriptor can be written to, or has lost its reader; false
/// where a signal is there first.
fn writable_before_signal(descriptor: RawFd, signals: RawFd) -> Result<bool> {
    let entry = |fd, events| libc::pollfd { fd, events, revents: 0 };
    let mut entries = [entry(descriptor, libc::POLLOUT), entry(signals, libc::POLLIN)];
    // SAFETY: two entries, which live across the call.
    retry(|| check(unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) }))?;
    Ok(entries[0].revents != 0)
}

/// Whether SIGPIPE was ignored when the process began. What Rust does before
/// `main` is to ignore it, and what it was is forgotten then.
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_pipe() {
    PIPE_WAS_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
}

// SAFETY: an entry of the section is a function that the C library calls
// before `main` (System V ABI, "Initialization and Termination Functions").
// It allocates nothing and needs nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_PIPE: extern "C" fn() = note_pipe;

/// Our controlling terminal.
fn terminal() -> Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    nix::fcntl::open("/dev/tty", flags, nix::sys::stat::Mode::empty())
}

/// Numbers of a list like `0-3,8`.
fn parse_cpu_list(text: &[u8]) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for range in std::str::from_utf8(text).ok()?.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        // More than any kernel has; bounds what a strange file may cost.
        if last < first || last >= 1 << 16 {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// Signals as they were at our start, for a child.
struct Inherited {
    /// To be blocked no longer.
    release: SigSet,
    pipe_ignored: bool,
    child_ignored: bool,
}

/// What a child executes: the file, its arguments, and its environment where that is not
/// ours.
type Command<'a> = (&'a CStr, &'a [*const c_char], Option<*const *const c_char>);

/// The child's way from fork to exec. Only async-signal-safe calls, no
/// allocation (fork(2), signal-safety(7)).
fn child(
    (program, arguments, environment): Command<'_>,
    inherited: &Inherited,
    parent: u32,
    (go, failure): ((RawFd, RawFd), RawFd),
) -> ! {
    // Handlers go with execve(2), what is ignored stays: only that needs care.
    if !inherited.pipe_ignored {
        set_disposition(libc::SIGPIPE, libc::SIG_DFL);
    }
    if inherited.child_ignored {
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
    }
    // SAFETY: numbers, and places on this stack; `arguments` and `environment` end with a
    // null pointer and their strings live in memory that the fork copied.
    unsafe {
        // Our copy of the write end must not keep the pipe open.
        libc::close(go.1);
        libc::setpgid(0, 0);
        // With Yama those may trace it who descend from hwtrace, and not only hwtrace
        // (Documentation/admin-guide/LSM/Yama.rst). EINVAL without.
        libc::prctl(libc::PR_SET_PTRACER, libc::c_ulong::from(parent));
        // A program with capabilities of its file is nobody's to trace, and so is its copy,
        // up to the exec (ptrace(2), "Ptrace access mode checking"). That is for the copy
        // to change: of the states that we may have, one can not be set again. It does not
        // open it to others: who has fewer capabilities may not trace it.
        libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(true));
        let mut byte = 0u8;
        // Before signals come, of which one may stop us: hwtrace waits for it.
        libc::write(failure, (&raw const byte).cast(), 1);
        let release = inherited.release.as_ref();
        libc::sigprocmask(libc::SIG_UNBLOCK, release, std::ptr::null_mut());
        // Whatever it gives: at its end hwtrace has died, and we go on.
        while libc::read(go.0, (&raw mut byte).cast(), 1) == -1
            && Errno::last() == Errno::EINTR
        {}
        match environment {
            Some(environment) => {
                libc::execve(program.as_ptr(), arguments.as_ptr(), environment)
            }
            None => libc::execv(program.as_ptr(), arguments.as_ptr()),
        };
        let errno = (Errno::last() as i32).to_ne_bytes();
        libc::write(failure, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        assert_eq!(parse_cpu_list(b"0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse_cpu_list(b"7"), Some(vec![7]));
        for nonsense in [&b""[..], b"3-1", b"0-4294967295", b"a", b"\xff", b"-"] {
            assert_eq!(parse_cpu_list(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn our_own_threads_are_listed_and_counted() {
        let pid = std::process::id();
        let threads = Linux.threads(pid).expect("we are there");
        assert!(threads.contains(&pid));
        // Other tests come and go: only the order of magnitude is sure.
        assert!(Linux.thread_count(pid).expect("we are there") >= 1);
        assert_eq!(Linux.threads(0x7fff_ffff), Err(Errno::ENOENT));
    }

    #[test]
    fn our_own_memory_can_be_read() {
        let value = 0x1234_5678_9abc_def0u64;
        let mut bytes = [0; 8];
        let address = (&raw const value) as u64;
        assert_eq!(Linux.read_memory(std::process::id(), address, &mut bytes), Ok(8));
        assert_eq!(u64::from_ne_bytes(bytes), value);
        let nowhere = Linux.read_memory(std::process::id(), 8, &mut bytes);
        assert_eq!(nowhere, Err(Errno::EFAULT));
    }
}
