//! Births that are under way while events are opened.
//!
//! A thread that is being created has inherited what it inherits some time before it is
//! in any listing (kernel/fork.c, `copy_process`: `perf_event_init_task` long before
//! `list_add_tail_rcu`); on a busy machine its creator may have to wait for a CPU just then.
//! So it can lack events that were opened meanwhile and programs that were set, and be
//! seen by nobody. Hence, once the events are open, and again once they are on, each thread
//! is waited for that may be creating another: until it sleeps elsewhere or has run for
//! longer than that takes.

use std::time::Duration;

use crate::kernel::{Errno, Kernel};

/// How long is waited between two looks,
const PAUSE: Duration = Duration::from_micros(100);
/// and how often is looked. Who had no CPU for so long may not have one for long.
const LOOKS: usize = 1000;
/// So long no birth takes of a CPU, nanoseconds.
const RUN_NS: u64 = 1_000_000;
/// The system calls that create: clone, fork, vfork and clone3
/// (arch/x86/entry/syscalls/syscall_64.tbl).
const CREATING: [&[u8]; 4] = [b"56", b"57", b"58", b"435"];
/// What is read of a file is a line.
const LINE_BYTES: usize = 256;

/// Waits until no birth is under way that began before, as far as one can tell, by any of
/// these threads of a process.
pub(super) fn settle(kernel: &dyn Kernel, pid: u32, threads: &[u32]) {
    let begun = |tid: u32| (tid, run_time(kernel, pid, tid));
    let running = |tid: &u32| may_be_creating(kernel, pid, *tid);
    let mut left: Vec<_> = threads.iter().copied().filter(running).map(begun).collect();
    for _ in 0..LOOKS {
        if left.is_empty() {
            return;
        }
        kernel.sleep(PAUSE);
        left.retain(|(tid, begun)| {
            let ran = run_time(kernel, pid, *tid).zip(*begun);
            ran.is_none_or(|(now, begun)| now.saturating_sub(begun) < RUN_NS)
                && may_be_creating(kernel, pid, *tid)
        });
    }
}

/// The same of all threads that a process has now.
///
/// # Errors
/// Where these are not told; not that it has ended, who creates nobody.
pub(super) fn settle_all(kernel: &dyn Kernel, pid: u32) -> Result<(), Errno> {
    match kernel.threads(pid) {
        Ok(threads) => settle(kernel, pid, &threads),
        Err(Errno::ENOENT | Errno::ESRCH) => {}
        Err(errno) => return Err(errno),
    }
    Ok(())
}

/// Whether a thread may be creating another: it runs, or waits for a CPU, or sleeps in a
/// system call that creates.
fn may_be_creating(kernel: &dyn Kernel, pid: u32, tid: u32) -> bool {
    let Ok(line) = line(kernel, pid, tid, "syscall") else { return false };
    let first = line.split(|byte| byte.is_ascii_whitespace()).next();
    first.is_some_and(|first| first == b"running" || CREATING.contains(&first))
}

/// How long a thread has run, nanoseconds, as of when the kernel last looked.
fn run_time(kernel: &dyn Kernel, pid: u32, tid: u32) -> Option<u64> {
    let line = line(kernel, pid, tid, "schedstat").ok()?;
    let first = line.split(|byte| byte.is_ascii_whitespace()).next()?;
    str::from_utf8(first).ok()?.parse().ok()
}

fn line(kernel: &dyn Kernel, pid: u32, tid: u32, file: &str) -> Result<Vec<u8>, Errno> {
    kernel.read_file(&format!("/proc/{pid}/task/{tid}/{file}"), LINE_BYTES)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;
    use crate::kernel::fake::Fake;

    /// How often was slept while these were the lines of thread 11.
    fn slept(syscall: &str) -> u32 {
        let fake = Fake::new(1, &[10, 11]);
        fake.set_file("/proc/10/task/10/syscall", "202 0x1 0x2 0x7ffc 0x401000\n");
        fake.set_file("/proc/10/task/11/syscall", syscall);
        fake.set_file("/proc/10/task/11/schedstat", "123 4 5\n");
        settle(&fake, 10, &[10, 11, 12]);
        fake.slept()
    }

    #[test]
    fn who_may_be_creating_is_waited_for() {
        for syscall in ["running\n", "56 0x1\n", "57 0x1\n", "58 0\n", "435 0x1\n"] {
            assert_eq!(slept(syscall), LOOKS as u32, "{syscall}");
        }
        for syscall in ["202 0x1\n", "-1 0x7ffc 0x401000\n", "5 0x1\n", "561 0\n", ""] {
            assert_eq!(slept(syscall), 0, "{syscall}");
        }
    }

    #[test]
    fn who_has_run_for_long_is_not() {
        use crate::kernel::linux::Linux;

        let pid = std::process::id();
        let over = AtomicBool::new(false);
        let rounds = AtomicU64::new(0);
        let compute = || {
            while !over.load(Ordering::Relaxed) {
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        };
        std::thread::scope(|scope| {
            let (send, receive) = std::sync::mpsc::channel();
            scope.spawn(move || {
                send.send(nix::unistd::gettid().as_raw() as u32).expect("heard");
                compute();
            });
            let tid = receive.recv().expect("a thread");
            // Who meets a page fault on its way there sleeps elsewhere.
            while rounds.load(Ordering::Relaxed) < 1000 {
                std::thread::yield_now();
            }
            let begun = std::time::Instant::now();
            let before = run_time(&Linux, pid, tid);
            settle(&Linux, pid, &[tid]);
            let after = run_time(&Linux, pid, tid);
            over.store(true, Ordering::Relaxed);
            let ran = before.zip(after).map(|(before, after)| after - before);
            let patience = PAUSE * LOOKS as u32;
            assert!(ran >= Some(RUN_NS) || begun.elapsed() >= patience, "{ran:?}");
        });
    }
}
