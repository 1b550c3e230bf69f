//! Kernel, processor, debug registers.

use std::rc::Rc;

use hwtrace_probes::process::{HolderKind, register_holders};
use hwtrace_runtime::attr::{EventSpec, Features, Role, Sampled};
use hwtrace_runtime::event::{Trigger, Watch};
use hwtrace_runtime::kernel::{EVERY, Errno, Kernel};
use hwtrace_runtime::slots::CAPACITY;

use super::{Finding, Group, State};

pub(super) fn findings(kernel: &Rc<dyn Kernel>) -> Vec<Finding> {
    vec![release(&**kernel), registers(kernel)]
}

/// What came with which kernel is asked of the kernel where it is used; older ones than
/// this lack something that nothing else can stand for.
const OLDEST_FULL: (u32, u32) = (5, 15);

fn release(kernel: &dyn Kernel) -> Finding {
    let text = kernel.read_file("/proc/sys/kernel/osrelease", 256).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let finding = Finding::new(Group::Machine, "kernel", "all engines");
    let finding = finding.because(format!("Linux {text}, {}", std::env::consts::ARCH));
    match version(&text) {
        _ if std::env::consts::ARCH != "x86_64" => {
            finding.but(State::Part, "values are told of x86-64 alone")
        }
        Some(version) if version < OLDEST_FULL => finding.but(
            State::Part,
            "Linux 5.15 and later run programs at hits and end watches at an exec",
        ),
        _ => finding,
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|char: char| !char.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// How many are free for a thread of ours, on all CPUs, now.
fn registers(kernel: &Rc<dyn Kernel>) -> Finding {
    let finding =
        Finding::new(Group::Machine, "debug registers", "watching, up to 8 bytes each");
    let mut open = Vec::new();
    let refused = (0..CAPACITY as u64).find_map(|number| {
        let watch = Watch { address: 8 + 8 * number, length: 8, trigger: Trigger::Write };
        let role = Role::ThreadBreakpoint { watch, sampled: Sampled::ALL };
        let spec = EventSpec { role, features: Features::NONE };
        kernel.perf_event_open(&spec, 0, EVERY).map(|event| open.push(event)).err()
    });
    let free = open.len();
    open.into_iter().for_each(|event| kernel.close(event));
    let finding = finding.because(format!("{free} of {CAPACITY} are free"));
    match refused {
        None => finding,
        Some(Errno::ENOSPC | Errno::EBUSY) => {
            let state = if free == 0 { State::No } else { State::Part };
            finding.but(state, holders())
        }
        Some(errno) => finding
            .because(format!("perf does not give them: {}", errno.desc()))
            .but(State::No, "see the engines below: some take them by other ways"),
    }
}

fn holders() -> String {
    let holders = register_holders(std::process::id());
    let named = holders.found.iter().map(|holder| match holder.kind {
        HolderKind::Tracer => {
            format!("{} (process {}, a tracer)", holder.name, holder.pid)
        }
        HolderKind::PerfEvents { count, .. } => {
            format!("{} (process {}, {count} perf events)", holder.name, holder.pid)
        }
    });
    match named.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "end who holds the others; no process of yours is \
                                    seen to: look again with `sudo hwtrace doctor`"
            .to_owned(),
        names => format!("end who may hold the others: {names}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hwtrace_runtime::kernel::fake::{Call, Fake, Holdings};

    fn asked(prepare: impl Fn(&Fake)) -> (State, String) {
        let fake = Rc::new(Fake::new(1, &[]));
        prepare(&fake);
        let kernel: Rc<dyn Kernel> = fake.clone();
        let found = registers(&kernel);
        assert_eq!(fake.holdings(), Holdings::default());
        (found.state, found.why)
    }

    #[test]
    fn registers_are_counted_and_given_back() {
        assert_eq!(asked(|_| {}), (State::Ok, "4 of 4 are free".to_owned()));
        let one = asked(|fake| fake.fail(Call::PerfEventOpen, 1, Errno::ENOSPC));
        assert_eq!(one, (State::Part, "1 of 4 are free".to_owned()));
        let none = asked(|fake| fake.fail(Call::PerfEventOpen, 0, Errno::ENOSPC));
        assert_eq!(none, (State::No, "0 of 4 are free".to_owned()));
        let (state, why) = asked(|fake| fake.fail(Call::PerfEventOpen, 0, Errno::EPERM));
        assert_eq!(state, State::No);
        assert!(why.starts_with("perf does not give them"), "{why}");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("6.18.44-fc-v782"), Some((6, 18)));
        assert!(version("5.4.0") < Some(OLDEST_FULL));
        assert_eq!(version("unknown"), None);
    }
}
