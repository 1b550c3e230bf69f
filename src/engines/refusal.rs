//! Why an engine can not be used here, and what it would take.

use std::fmt;
use std::rc::Rc;

use hwtrace_probes::process::perf_event_paranoid;
use hwtrace_runtime::bpf::BpfError;
use hwtrace_runtime::engine::ptrace::{self, Unusable};
use hwtrace_runtime::engine::{bpf, perf};
use hwtrace_runtime::kernel::rights::number;
use hwtrace_runtime::kernel::{Errno, Kernel};

/// Why an engine can not be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the kernel says to it.
    pub why: String,
    /// The command, setting or option with which it could be used.
    pub help: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.why, self.help)
    }
}

/// It could be used, but does not do at the hit itself what a script asks for.
pub(super) fn too_late() -> Refusal {
    Refusal {
        why: "`stop()` and `signal()` come some milliseconds after the hit".to_owned(),
        help: "where that will do, take it by name".to_owned(),
    }
}

/// What lifts the filter of a container.
const NO_FILTER: &str = "start the container with `--security-opt seccomp=unconfined`, or with \
                         `--cap-add PERFMON --cap-add BPF` where its filter follows these";

/// Whether samples of breakpoints can be had: opens one.
pub(super) fn of_perf(kernel: &Rc<dyn Kernel>) -> Result<(), Refusal> {
    perf::probe(kernel).map_err(|errno| without_perf(errno, perf_event_paranoid()))
}

fn without_perf(errno: Errno, paranoid: Option<i32>) -> Refusal {
    let refusal = |why: String, help: &str| Refusal { why, help: help.to_owned() };
    match (errno, paranoid) {
        (Errno::EACCES | Errno::EPERM, Some(level @ 3..)) => refusal(
            format!(
                "perf_event_open(2) is for root alone (kernel.perf_event_paranoid is {level})"
            ),
            "allow it for one's own processes with `sudo sysctl \
             kernel.perf_event_paranoid=2`, or run hwtrace with `sudo`",
        ),
        (Errno::EACCES | Errno::EPERM, _) => refusal(
            "perf_event_open(2) is not permitted, as in containers with a seccomp filter"
                .to_owned(),
            NO_FILTER,
        ),
        (Errno::ENOSYS, _) => refusal(
            "there is no perf_event_open(2): a kernel without CONFIG_PERF_EVENTS, or a \
             sandbox that has no perf"
                .to_owned(),
            "run hwtrace on the host",
        ),
        (Errno::ENOENT | Errno::EOPNOTSUPP | Errno::ENODEV | Errno::EINVAL, _) => refusal(
            "there are no hardware breakpoints, as in virtual machines that hide them"
                .to_owned(),
            "run hwtrace on the host, or have the virtual machine pass debug registers on",
        ),
        (errno, _) => refusal(
            format!("perf_event_open(2) failed: {}", errno.desc()),
            "see perf_event_open(2), \"ERRORS\"",
        ),
    }
}

/// Whether programs can be run at the hits of breakpoints: opens one, and loads one.
pub(super) fn of_bpf(kernel: &Rc<dyn Kernel>) -> Result<(), Refusal> {
    of_perf(kernel)?;
    bpf::probe(kernel).map_err(|error| {
        let own = kernel.capabilities().unwrap_or_default();
        let may = (own.has(number::BPF) && own.has(number::PERFMON))
            || own.has(number::SYS_ADMIN);
        without_bpf(&error, may, kernel.effective_user() == 0)
    })
}

fn without_bpf(error: &BpfError, may: bool, is_root: bool) -> Refusal {
    let refusal = |why: &str, help: &str| Refusal { why: why.into(), help: help.into() };
    match error {
        BpfError::NotPermitted if may => refusal(
            "bpf(2) is not permitted, as in containers with a seccomp filter",
            NO_FILTER,
        ),
        BpfError::NotPermitted if is_root => refusal(
            "it takes CAP_BPF and CAP_PERFMON, which root lacks here",
            "start the container with `--cap-add BPF --cap-add PERFMON`",
        ),
        BpfError::NotPermitted => refusal(
            "it takes CAP_BPF and CAP_PERFMON",
            &format!("run hwtrace with `sudo`, or once {}", setcap(BEST)),
        ),
        BpfError::Missing("CONFIG_BPF_SYSCALL") => refusal(
            "there is no bpf(2): a kernel without CONFIG_BPF_SYSCALL, or a sandbox",
            "run hwtrace on the host",
        ),
        error => refusal(&error.to_string(), "use a newer kernel"),
    }
}

/// Whether debug registers can be set by ptrace: of a child that does nothing.
pub(super) fn of_ptrace(kernel: &Rc<dyn Kernel>) -> Result<(), Refusal> {
    let tried = ptrace::probe(kernel);
    tried.map_err(|unusable| without_ptrace(unusable, "debug registers can not be set"))
}

/// Whether threads can be stepped: a child that does nothing.
pub(super) fn of_step(kernel: &Rc<dyn Kernel>) -> Result<(), Refusal> {
    let tried = ptrace::probe_steps(kernel);
    tried.map_err(|unusable| without_ptrace(unusable, "threads can not be stepped"))
}

fn without_ptrace(unusable: Unusable, what: &str) -> Refusal {
    let refusal = |why: String, help: &str| Refusal { why, help: help.to_owned() };
    match unusable {
        Unusable::NoChild(errno) => refusal(
            format!("no process can be created: {}", errno.desc()),
            "raise the limit with `ulimit -u unlimited`, or that of the container",
        ),
        Unusable::Refused(Errno::EPERM | Errno::EACCES) => refusal(
            "ptrace(2) of one's own child is not permitted".to_owned(),
            "start the container with `--cap-add SYS_PTRACE`; on a host, \
             `sudo sysctl kernel.yama.ptrace_scope=1`, and `sudo setsebool deny_ptrace 0` \
             where SELinux is",
        ),
        Unusable::Refused(errno) => refusal(
            format!("ptrace(2) failed: {}", errno.desc()),
            "run hwtrace outside of this sandbox",
        ),
        Unusable::Other(errno) => refusal(
            format!("{what} by ptrace(2): {}", errno.desc()),
            "run hwtrace on the host, or outside of this sandbox",
        ),
    }
}

/// What the best engine takes, as setcap(8) has it.
pub(crate) const BEST: &str = "cap_bpf,cap_perfmon";

/// The command that gives hwtrace's file capabilities.
pub(crate) fn setcap(capabilities: &str) -> String {
    format!("`sudo setcap {capabilities}+ep {}`", own())
}

/// The path of hwtrace, for commands.
pub(crate) fn own() -> String {
    let path = std::env::current_exe();
    path.map_or_else(|_| "hwtrace".to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_tells_what_it_would_take() {
        for (errno, paranoid, part) in [
            (Errno::EACCES, Some(4), "sysctl kernel.perf_event_paranoid=2"),
            (Errno::EPERM, Some(2), "seccomp=unconfined"),
            (Errno::EPERM, None, "--cap-add PERFMON"),
            (Errno::ENOSYS, Some(2), "on the host"),
            (Errno::EOPNOTSUPP, Some(2), "pass debug registers on"),
            (Errno::EMFILE, Some(2), "perf_event_open(2)"),
        ] {
            let refusal = without_perf(errno, paranoid);
            assert!(refusal.help.contains(part), "{refusal}");
            assert!(!refusal.why.ends_with('.'), "{refusal}");
        }
        for (may, is_root, part) in [
            (true, true, "seccomp=unconfined"),
            (false, true, "--cap-add BPF --cap-add PERFMON"),
            (false, false, "sudo setcap cap_bpf,cap_perfmon+ep /"),
        ] {
            let refusal = without_bpf(&BpfError::NotPermitted, may, is_root);
            assert!(refusal.help.contains(part), "{refusal}");
        }
        for (unusable, part) in [
            (Unusable::Refused(Errno::EPERM), "--cap-add SYS_PTRACE"),
            (Unusable::Refused(Errno::ENOSYS), "outside of this sandbox"),
            (Unusable::Other(Errno::EIO), "on the host"),
            (Unusable::NoChild(Errno::EAGAIN), "ulimit -u"),
        ] {
            let refusal = without_ptrace(unusable, "it can not be done");
            assert!(refusal.help.contains(part), "{refusal}");
        }
        let missing = without_bpf(&BpfError::Missing("CONFIG_BPF_SYSCALL"), true, true);
        assert!(missing.help.contains("on the host"), "{missing}");
    }
}
