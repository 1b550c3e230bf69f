//! User, capabilities, filters.

use std::rc::Rc;

use hwtrace_probes::process::{perf_event_paranoid, yama_ptrace_scope};
use hwtrace_runtime::kernel::Kernel;

use super::{Finding, Group, State, takes};
use crate::rights::held;

pub(super) fn findings(kernel: &Rc<dyn Kernel>) -> Vec<Finding> {
    vec![capabilities(&**kernel), paranoid(), yama(), filter(&**kernel)]
}

fn finding(name: &'static str, what_for: &'static str) -> Finding {
    Finding::new(Group::Rights, name, what_for)
}

fn capabilities(kernel: &dyn Kernel) -> Finding {
    let finding = finding("user and capabilities", "what is not one's own");
    let user = kernel.effective_user();
    match kernel.capabilities().map(|own| held(&own)) {
        Ok(held) if held.is_empty() => finding
            .because(format!("user {user}, with none that hwtrace uses"))
            .but(State::Part, takes(kernel, &["bpf", "perfmon"])),
        Ok(held) => finding.because(format!("user {user}, with {}", held.join(", "))),
        Err(errno) => finding
            .because(format!("user {user}, with unknown ones: {}", errno.desc()))
            .but(State::Part, "have capget(2) permitted"),
    }
}

fn paranoid() -> Finding {
    let finding = finding("kernel.perf_event_paranoid", "perf without privilege");
    match perf_event_paranoid() {
        Some(level @ ..=2) => finding.because(format!("{level}: all may use perf")),
        Some(level) => finding.because(format!("{level}: root alone may use perf")).but(
            State::Part,
            "`sudo sysctl kernel.perf_event_paranoid=2`, for users without privilege",
        ),
        None => finding
            .because("not there: a kernel without perf, or /proc is hidden")
            .but(State::No, "run hwtrace on the host"),
    }
}

fn yama() -> Finding {
    let finding =
        finding("kernel.yama.ptrace_scope", "`-c`, `-p`, and memory read later");
    match yama_ptrace_scope() {
        None => finding.because("not there: users may trace their own processes"),
        Some(0) => finding.because("0: users may trace their own processes"),
        Some(1) => finding.because("1: users may trace what they start").but(
            State::Part,
            "`sudo sysctl kernel.yama.ptrace_scope=0`, for memory of processes of `-p`",
        ),
        Some(2) => finding
            .because("2: root alone may trace")
            .but(State::Part, "`sudo sysctl kernel.yama.ptrace_scope=1`"),
        Some(level) => finding
            .because(format!("{level}: nobody may trace, until the next start"))
            .but(State::No, "set it to 1 in sysctl.d(5), and restart the machine"),
    }
}

/// A filter may forbid nothing that is used here: what it does the engines tell.
fn filter(kernel: &dyn Kernel) -> Finding {
    let finding =
        finding("filter of system calls", "keeping programs within a container");
    let status = kernel.read_file("/proc/self/status", 4096).unwrap_or_default();
    match mode(&status) {
        Some(0) => finding.because("no seccomp filter"),
        Some(_) => finding
            .because("there is a seccomp filter")
            .but(State::Part, "where an engine does not work, see what is said of it"),
        None => finding
            .because("not known")
            .but(State::Part, "see what is said of each engine"),
    }
}

/// `Seccomp` of proc(5).
fn mode(status: &[u8]) -> Option<u32> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let mode = lines.find_map(|line| line.strip_prefix(b"Seccomp:"))?;
    std::str::from_utf8(mode).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hwtrace_runtime::kernel::fake::Fake;
    use hwtrace_runtime::kernel::rights::{Capabilities, bit};

    #[test]
    fn a_filter_is_seen_in_the_status() {
        assert_eq!(mode(b"NoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n"), Some(2));
        assert_eq!(mode(b"Name:\tSeccomp:\n"), None);
        let fake = Fake::new(1, &[]);
        assert_eq!(filter(&fake).state, State::Part);
        fake.set_file("/proc/self/status", "Seccomp:\t0\n");
        assert_eq!(filter(&fake).state, State::Ok);
    }

    #[test]
    fn capabilities_are_named() {
        let fake = Fake::new(1, &[]);
        fake.become_user(7, Capabilities::default());
        assert_eq!(capabilities(&fake).why, "user 7, with none that hwtrace uses");
        let effective = bit(38) | bit(39) | bit(10);
        let some = Capabilities { effective, permitted: effective, ..Default::default() };
        fake.become_user(7, some);
        assert_eq!(capabilities(&fake).why, "user 7, with CAP_BPF, CAP_PERFMON");
    }
}
