//! Who else may use the debug registers, for the message when none is free.
//!
//! The kernel does not tell. Debuggers use them through ptrace, and perf and other
//! tracers through perf events; which of those are breakpoints, and of which
//! thread, cannot be seen from outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Process;

/// A process that may hold debug registers of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its name (`comm`).
    pub name: String,
    /// How it may hold them.
    pub kind: HolderKind,
}

/// How a process may hold debug registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderKind {
    /// It traces the target (a debugger).
    Tracer,
    /// It has perf events open.
    PerfEvents {
        /// How many, as far as they were counted.
        count: u32,
    },
}

/// The scan of `/proc` ends after this time, with what it has found: it only
/// makes a message better.
const TIME_LIMIT: Duration = Duration::from_millis(250);
/// Descriptors looked at in one process.
const MAX_DESCRIPTORS: usize = 4096;

/// Lists who may hold debug registers of `pid`: its tracer, and all processes with
/// perf events, as far as we may look into them. Own ones are left out.
pub fn register_holders(pid: u32) -> Vec<Holder> {
    let mut holders = tracers(pid);
    let deadline = Instant::now() + TIME_LIMIT;
    for other in processes() {
        if Instant::now() > deadline {
            break;
        }
        if other == std::process::id() {
            continue;
        }
        let count = perf_events(other);
        if count > 0 {
            holders.push(Holder {
                pid: other,
                name: name(other),
                kind: HolderKind::PerfEvents { count },
            });
        }
    }
    holders
}

/// Who traces the process or one of its threads.
fn tracers(pid: u32) -> Vec<Holder> {
    let Ok(process) = Process::open(pid) else {
        return Vec::new();
    };
    let mut tracers = BTreeSet::new();
    tracers.extend(process.tracer().ok().flatten());
    for task in process.directory.tasks().into_iter().flatten().flatten() {
        let status = fs::read(format!("/proc/{pid}/task/{}/status", task.tid));
        let status = status.unwrap_or_default();
        let tracer = super::status_field(&status, "TracerPid");
        tracers.extend(tracer.and_then(|id| id.parse::<u32>().ok()));
    }
    let holder = |pid: u32| Holder { pid, name: name(pid), kind: HolderKind::Tracer };
    let others = |pid: &u32| *pid != 0 && *pid != std::process::id();
    tracers.into_iter().filter(others).map(holder).collect()
}

/// All process ids in `/proc`.
fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// How many perf events a process has open; 0 if we may not look.
fn perf_events(pid: u32) -> u32 {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"));
    let entries = entries.into_iter().flatten().flatten().take(MAX_DESCRIPTORS);
    let is_event = |entry: &fs::DirEntry| {
        let event = Path::new("anon_inode:[perf_event]");
        fs::read_link(entry.path()).is_ok_and(|target| target == event)
    };
    u32::try_from(entries.filter(is_event).count()).unwrap_or(u32::MAX)
}

fn name(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
}

/// `kernel.perf_event_paranoid`: above 2, some distributions let nobody without
/// privilege use perf events (perf_event_open(2)). `None` if it cannot be read.
pub fn perf_event_paranoid() -> Option<i32> {
    number("/proc/sys/kernel/perf_event_paranoid")
}

/// `kernel.yama.ptrace_scope`: from 1 on, one may look into own descendants only
/// (Documentation/admin-guide/LSM/Yama.rst). `None` where Yama is not in use.
pub fn yama_ptrace_scope() -> Option<i32> {
    number("/proc/sys/kernel/yama/ptrace_scope")
}

fn number(path: &str) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_traces_this_test() {
        let holders = register_holders(std::process::id());
        assert!(holders.iter().all(|holder| holder.pid != std::process::id()));
        assert!(
            register_holders(u32::MAX)
                .iter()
                .all(|holder| { matches!(holder.kind, HolderKind::PerfEvents { .. }) })
        );
    }

    #[test]
    fn settings_are_read() {
        assert!(perf_event_paranoid().is_some());
        assert_eq!(number("/no/such/file"), None);
    }
}
