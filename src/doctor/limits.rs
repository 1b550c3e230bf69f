//! Limits of the process.

use std::rc::Rc;

use hwtrace_runtime::attr::{EventSpec, Features, Role};
use hwtrace_runtime::engine::perf::PerfOptions;
use hwtrace_runtime::kernel::{Errno, Kernel};

use super::{Finding, Group, State, takes};

pub(super) fn findings(kernel: &Rc<dyn Kernel>) -> Vec<Finding> {
    vec![descriptors(&**kernel), rings(&**kernel), priority(&**kernel)]
}

fn finding(name: &'static str, what_for: &'static str) -> Finding {
    Finding::new(Group::Limits, name, what_for)
}

/// The engines of perf take one for each watch, thread and CPU.
fn descriptors(kernel: &dyn Kernel) -> Finding {
    /// Of a hundred threads on eight CPUs with four watches.
    const MANY: u64 = 4096;
    let finding =
        finding("open files (RLIMIT_NOFILE)", "one for each watch, thread and CPU");
    let help = "`sudo prlimit --pid $$ --nofile=65536` for this shell, or limits.conf(5)";
    match kernel.descriptor_limit() {
        Ok((_, hard)) if hard >= MANY => finding.because(format!("up to {hard}")),
        Ok((_, hard)) => finding.because(format!("up to {hard}")).but(State::Part, help),
        Err(errno) => finding
            .because(format!("not known: {}", errno.desc()))
            .but(State::Part, "have getrlimit(2) permitted"),
    }
}

/// Maps a ring as engines do on each CPU, and gives it back.
fn rings(kernel: &dyn Kernel) -> Finding {
    let finding = finding("locked memory", "a ring of hits on each CPU");
    let page = kernel.page_size();
    let cpus = kernel.online_cpus().unwrap_or_default();
    let pages = PerfOptions::default().data_pages(page, cpus.len().max(1), 0);
    match mapped(kernel, &cpus, pages) {
        Ok(()) => {
            let kib = pages * page / 1024;
            finding.because(format!("rings of {kib} KiB can be mapped"))
        }
        Err(RingError::Map) => {
            // A page more is the ring's head.
            let kib = (pages + 1) * page / 1024;
            finding
                .because(format!(
                    "less than {kib} KiB for each CPU: rings are smaller, and full sooner"
                ))
                .but(
                    State::Part,
                    format!("`sudo sysctl kernel.perf_event_mlock_kb={kib}`"),
                )
        }
        Err(RingError::Open(errno)) => finding
            .because(format!("perf gives no ring: {}", errno.desc()))
            .but(State::No, "see what is said of engine perf"),
    }
}

/// Why there is no ring.
enum RingError {
    Open(Errno),
    Map,
}

fn mapped(kernel: &dyn Kernel, cpus: &[u32], pages: usize) -> Result<(), RingError> {
    let role = Role::RingOwner { watermark: 1 };
    let spec = EventSpec { role, features: Features::NONE };
    // All at once: what may be locked is counted over all CPUs.
    let mut open = Vec::new();
    let mapped = cpus.iter().try_for_each(|&cpu| {
        let event = kernel.perf_event_open(&spec, 0, cpu).map_err(RingError::Open)?;
        let ring = kernel.map_ring(event, pages);
        let errno = ring.as_ref().err().copied();
        open.push((event, ring.ok()));
        errno.map_or(Ok(()), |_| Err(RingError::Map))
    });
    for (event, ring) in open {
        ring.into_iter().for_each(|ring| kernel.unmap_ring(ring));
        kernel.close(event);
    }
    mapped
}

/// Tries the priority at which a session reads.
fn priority(kernel: &dyn Kernel) -> Finding {
    const NICE: i32 = -15;
    let what_for = "losing fewer hits of who hits as fast as all CPUs can";
    let finding = finding("priority (nice)", what_for);
    match kernel.set_nice(NICE) {
        Ok(before) => {
            // What could be lowered can be raised again.
            let _ = kernel.set_nice(before);
            finding.because("may be raised")
        }
        Err(errno) => finding
            .because(format!("may not be raised: {}", errno.desc()))
            .but(State::Part, takes(kernel, &["sys_nice"])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hwtrace_runtime::kernel::fake::{Call, Fake, Holdings};

    #[test]
    fn what_is_mapped_is_given_back() {
        for (failure, state) in [
            (None, State::Ok),
            (Some((Call::MapRing, Errno::EPERM)), State::Part),
            (Some((Call::PerfEventOpen, Errno::EPERM)), State::No),
        ] {
            let fake = Fake::new(2, &[]);
            if let Some((call, errno)) = failure {
                fake.fail(call, 1, errno);
            }
            assert_eq!(rings(&fake).state, state, "{failure:?}");
            assert_eq!(fake.holdings(), Holdings::default());
        }
    }

    #[test]
    fn few_descriptors_are_few() {
        let fake = Fake::new(1, &[]);
        fake.set_limit(256, 1024);
        assert_eq!(descriptors(&fake).state, State::Part);
        fake.set_limit(256, 1 << 20);
        assert_eq!(descriptors(&fake).state, State::Ok);
    }
}
