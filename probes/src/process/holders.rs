//! Who else may use the debug registers, for the message when none is free.
//!
//! The kernel does not tell. Debuggers use them through ptrace, and perf and other
//! tracers through perf events; which of those are breakpoints, and of which
//! thread, cannot be seen from outside. What can: who traces the target, who has perf
//! events open, and what that one's arguments and children are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Process;
use super::facts::arguments;

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

/// How a process may hold debug registers; first those by which it is likely to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HolderKind {
    /// It traces the target (a debugger).
    Tracer,
    /// It has perf events open.
    PerfEvents {
        /// What tells of whom they are.
        aim: Aim,
        /// How many, as far as they were counted.
        count: u32,
    },
}

/// What is known of whom a process with perf events watches; first what speaks for the
/// target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aim {
    /// Its arguments name the target, a thread of it or who started it, as in `-p 7`.
    Named {
        /// The number that is there.
        number: u32,
    },
    /// It started the target, or who did.
    Started,
    /// Nothing.
    Unknown,
    /// Its arguments name another process.
    Other {
        /// The number that is there.
        number: u32,
    },
}

/// Who may hold debug registers of a process.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Holders {
    /// Those who are likely to first.
    pub found: Vec<Holder>,
    /// Whether there are processes that could not be looked into, as those of other users.
    pub hidden: bool,
}

/// The scan of `/proc` ends after this time, with what it has found: it only
/// makes a message better.
const TIME_LIMIT: Duration = Duration::from_millis(250);
/// Descriptors looked at in one process.
const MAX_DESCRIPTORS: usize = 4096;
/// So far it is looked who started whom.
const MAX_ANCESTORS: usize = 64;

/// Lists who may hold debug registers of `pid`: its tracer, and all processes with
/// perf events, as far as we may look into them. Own ones are left out.
pub fn register_holders(pid: u32) -> Holders {
    let mut holders = Holders { found: tracers(pid), hidden: false };
    let ancestors = ancestors(pid);
    let mut names: BTreeSet<u32> = ancestors.iter().copied().collect();
    names.extend(threads(pid));
    let deadline = Instant::now() + TIME_LIMIT;
    let own = std::process::id();
    for other in processes().filter(|other| *other != own) {
        if Instant::now() > deadline {
            holders.hidden = true;
            break;
        }
        match perf_events(other) {
            Some(0) => {}
            None => holders.hidden = true,
            Some(count) => {
                let named = numbers(&arguments(other).unwrap_or_default());
                let aim = aim(&named, &names, ancestors.contains(&other));
                let kind = HolderKind::PerfEvents { aim, count };
                holders.found.push(Holder { pid: other, name: name(other), kind });
            }
        }
    }
    holders.found.sort_by_key(|holder| (holder.kind, holder.pid));
    holders
}

/// What speaks for the target, which goes by these numbers.
fn aim(named: &[u32], target: &BTreeSet<u32>, started: bool) -> Aim {
    match named.iter().find(|number| target.contains(number)) {
        Some(number) => Aim::Named { number: *number },
        None if started => Aim::Started,
        None => {
            named.first().map_or(Aim::Unknown, |number| Aim::Other { number: *number })
        }
    }
}

/// The processes and threads that a command line names: behind `-p`, `-x`, `-t`, `--pid` or
/// `--tid`, as hwtrace, perf, bpftrace, stap and gdb take them.
fn numbers(arguments: &[u8]) -> Vec<u32> {
    let text = String::from_utf8_lossy(arguments);
    let mut numbers = Vec::new();
    let mut words = text.split('\0');
    while let Some(word) = words.next() {
        const SHORT: [&str; 3] = ["-p", "-x", "-t"];
        const LONG: [&str; 2] = ["--pid", "--tid"];
        let long =
            LONG.iter().find_map(|option| word.strip_prefix(option)?.strip_prefix('='));
        let short = SHORT.iter().find_map(|option| word.strip_prefix(option));
        let list = match long.or(short) {
            Some(value) if !value.is_empty() => value,
            None if !LONG.contains(&word) => continue,
            _ => words.clone().next().unwrap_or_default(),
        };
        // What is no list of numbers is something else.
        let list: Option<Vec<u32>> = list.split(',').map(|it| it.parse().ok()).collect();
        numbers.extend(list.into_iter().flatten());
    }
    numbers
}

/// Who traces the process or one of its threads.
fn tracers(pid: u32) -> Vec<Holder> {
    let Ok(process) = Process::open(pid) else {
        return Vec::new();
    };
    let mut tracers = BTreeSet::new();
    tracers.extend(process.tracer().ok().flatten());
    tracers.extend(
        threads(pid)
            .iter()
            .filter_map(|tid| number_in(&format!("{pid}/task/{tid}"), "TracerPid")),
    );
    let holder = |pid: u32| Holder { pid, name: name(pid), kind: HolderKind::Tracer };
    let others = |pid: &u32| *pid != 0 && *pid != std::process::id();
    tracers.into_iter().filter(others).map(holder).collect()
}

/// Who started the process, and who did that one; itself first.
fn ancestors(pid: u32) -> Vec<u32> {
    let parent = |pid: &u32| number_in(&pid.to_string(), "PPid");
    let first = Some(pid).filter(|pid| *pid != 0);
    let all = std::iter::successors(first, parent).take_while(|pid| *pid > 1);
    all.take(MAX_ANCESTORS).collect()
}

/// A field of a status file in `/proc`.
fn number_in(of: &str, field: &str) -> Option<u32> {
    let status = fs::read(format!("/proc/{of}/status")).ok()?;
    super::status_field(&status, field)?.parse().ok()
}

/// All process ids in `/proc`.
fn processes() -> impl Iterator<Item = u32> {
    ids("/proc")
}

/// All threads of a process.
fn threads(pid: u32) -> Vec<u32> {
    ids(&format!("/proc/{pid}/task")).collect()
}

fn ids(directory: &str) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// How many perf events a process has open; none if we may not look.
fn perf_events(pid: u32) -> Option<u32> {
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries.flatten().take(MAX_DESCRIPTORS),
        // It is gone, and what it held.
        Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => {
            return Some(0);
        }
        Err(_) => return None,
    };
    let is_event = |entry: &fs::DirEntry| {
        let event = Path::new("anon_inode:[perf_event]");
        fs::read_link(entry.path()).is_ok_and(|target| target == event)
    };
    Some(u32::try_from(entries.filter(is_event).count()).unwrap_or(u32::MAX))
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
        let holders = register_holders(std::process::id()).found;
        assert!(holders.iter().all(|holder| holder.pid != std::process::id()));
        let of_nobody = register_holders(u32::MAX).found;
        let likely = of_nobody.iter().filter(|it| match it.kind {
            HolderKind::Tracer => true,
            HolderKind::PerfEvents { aim, .. } => aim < Aim::Unknown,
        });
        assert_eq!(likely.count(), 0);
    }

    #[test]
    fn who_starts_a_process_is_an_ancestor() {
        let own = ancestors(std::process::id());
        assert_eq!(own[..2], [std::process::id(), std::os::unix::process::parent_id()]);
        assert_eq!(ancestors(0), []);
    }

    #[test]
    fn command_lines_name_processes() {
        let of = |text: &str| numbers(text.replace(' ', "\0").as_bytes());
        assert_eq!(of("hwtrace -q -p 7 -e x"), [7]);
        assert_eq!(of("hwtrace -p7"), [7]);
        assert_eq!(of("perf stat --pid=7,9 -t 11 sleep 1"), [7, 9, 11]);
        assert_eq!(of("stap -x 12 --tid 13"), [12, 13]);
        assert_eq!(of("prog -p --pid -x name -p 1,two -pipe --pidfile 7"), []);
        assert_eq!(of(""), []);
    }

    #[test]
    fn who_is_told_to_watch_the_target_comes_first() {
        let target = BTreeSet::from([7, 8]);
        assert_eq!(aim(&[3, 8], &target, true), Aim::Named { number: 8 });
        assert_eq!(aim(&[3], &target, true), Aim::Started);
        assert_eq!(aim(&[3], &target, false), Aim::Other { number: 3 });
        assert_eq!(aim(&[], &target, false), Aim::Unknown);
        let perf = |aim| HolderKind::PerfEvents { aim, count: 1 };
        let kinds = [
            HolderKind::Tracer,
            perf(Aim::Named { number: 8 }),
            perf(Aim::Started),
            perf(Aim::Unknown),
            perf(Aim::Other { number: 3 }),
        ];
        assert!(kinds.is_sorted());
    }

    #[test]
    fn settings_are_read() {
        assert!(perf_event_paranoid().is_some());
        assert_eq!(number("/no/such/file"), None);
    }
}
