//! Debug registers that nobody holds.

use std::thread::sleep;
use std::time::{Duration, Instant};

use hwtrace_runtime::attr::{EventSpec, Features, Role, Sampled};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::linux::Linux;
use hwtrace_runtime::kernel::{EVERY, Kernel};
use hwtrace_runtime::slots::CAPACITY;

use super::target::HANGS;

/// How many a thread has.
pub(crate) fn free_registers(tid: u32) -> usize {
    let watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };
    let role = Role::ThreadBreakpoint { watch, sampled: Sampled::ALL };
    let spec = EventSpec { role, features: Features::NONE };
    let open = || Linux.perf_event_open(&spec, tid, EVERY).ok();
    let open: Vec<_> = std::iter::from_fn(open).take(CAPACITY).collect();
    open.iter().for_each(|event| Linux.close(*event));
    open.len()
}

/// Waits until a thread has all of them: those that another test has, it will give back; what
/// a session has left behind stays. None where the thread has ended.
#[track_caller]
pub(crate) fn all_are_free(tid: u32) -> Option<()> {
    let begun = Instant::now();
    while free_registers(tid) < CAPACITY {
        if has_ended(tid) {
            return None;
        }
        assert!(begun.elapsed() < HANGS, "{} free", free_registers(tid));
        sleep(Duration::from_millis(20));
    }
    Some(())
}

/// The same as [`super::live`], for tests that need all registers of a thread: others may hold
/// some of each CPU for a while.
pub(crate) fn live_and_free() -> bool {
    super::live() && all_are_free(nix::unistd::gettid().as_raw() as u32).is_some()
}

/// Waits until one of each CPU is free, for what is watched in all tasks.
#[track_caller]
pub(crate) fn one_is_free_on_each_cpu() {
    let watch = Watch { address: 0x1000, length: 8, trigger: Trigger::Write };
    let role = Role::ThreadBreakpoint { watch, sampled: Sampled::ALL };
    let spec = EventSpec { role, features: Features::NONE };
    let cpus = Linux.online_cpus().unwrap();
    let is_free = |cpu: &u32| {
        let event = Linux.perf_event_open(&spec, EVERY, *cpu);
        event.map(|event| Linux.close(event)).is_ok()
    };
    let begun = Instant::now();
    while !cpus.iter().all(is_free) {
        assert!(begun.elapsed() < HANGS, "another program has all registers");
        sleep(Duration::from_millis(20));
    }
}

/// Whether it is gone, or only its parent was not told yet.
fn has_ended(tid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{tid}/stat"));
    stat.map_or(true, |stat| {
        stat.rsplit_once(") ").is_none_or(|it| it.1.starts_with('Z'))
    })
}
