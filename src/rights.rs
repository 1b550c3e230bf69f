//! The capabilities that hwtrace uses, and for how long: what it was given besides, and
//! what nothing needs any more, it gives up. Root keeps all of its own: it could take
//! them back.

use hwtrace_runtime::kernel::rights::{Capabilities, bit, number};
use hwtrace_runtime::kernel::{Kernel, Result};

/// A capability that hwtrace has a use for (capabilities(7)).
#[derive(Debug)]
pub struct Capability {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// What hwtrace does with it.
    pub what_for: &'static str,
    /// Whether a session that is armed may still need it.
    needed: fn(&Uses) -> bool,
}

/// What a session that is armed may still do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Arm: threads, programs that processes execute, processes that start.
    pub arming: bool,
    /// The same with programs at hits.
    pub programs: bool,
    /// Look into processes of other users.
    pub others: bool,
    /// Read or watch the kernel's data.
    pub kernel: bool,
    /// Signal processes.
    pub signals: bool,
}

impl Uses {
    /// The uses of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            arming: self.arming | other.arming,
            programs: self.programs | other.programs,
            others: self.others | other.others,
            kernel: self.kernel | other.kernel,
            signals: self.signals | other.signals,
        }
    }
}

/// All of them.
pub static CAPABILITIES: &[Capability] = &[
    Capability {
        number: number::BPF,
        name: "CAP_BPF",
        what_for: "programs at hits (engine bpf), and reading the kernel's memory",
        needed: |uses| uses.programs || uses.kernel,
    },
    Capability {
        number: number::PERFMON,
        name: "CAP_PERFMON",
        what_for: "programs at hits, accesses that the kernel makes, and programs that \
                   others start",
        needed: |uses| uses.arming || uses.kernel,
    },
    Capability {
        number: number::SYS_ADMIN,
        name: "CAP_SYS_ADMIN",
        what_for: "the kernel's data",
        needed: |uses| uses.kernel,
    },
    Capability {
        number: number::SYS_PTRACE,
        name: "CAP_SYS_PTRACE",
        what_for: "processes of other users",
        needed: |uses| uses.others,
    },
    Capability {
        number: number::SYSLOG,
        name: "CAP_SYSLOG",
        what_for: "names and addresses of the kernel",
        needed: |uses| uses.arming || uses.kernel,
    },
    Capability {
        number: number::IPC_LOCK,
        name: "CAP_IPC_LOCK",
        what_for: "rings beyond kernel.perf_event_mlock_kb",
        needed: |_| false,
    },
    Capability {
        number: number::SYS_NICE,
        name: "CAP_SYS_NICE",
        what_for: "reading before others run, so that fewer hits are lost",
        needed: |_| false,
    },
    Capability {
        number: number::KILL,
        name: "CAP_KILL",
        what_for: "signals to processes of other users",
        needed: |uses| uses.signals && uses.others,
    },
];

/// The capability that watching and reading the kernel's data takes.
pub(crate) const KERNEL_DATA: u32 = number::SYS_ADMIN;

/// Gives up what hwtrace has no use for. To be called first of all, by the program
/// itself: a library's rights are its owner's.
///
/// # Errors
/// As `Rights::set_capabilities`.
pub fn keep_useful(kernel: &dyn Kernel) -> Result<()> {
    keep(kernel, |_| true)
}

/// Gives up what an armed session will not use.
///
/// # Errors
/// As `Rights::set_capabilities`.
pub fn keep_for(kernel: &dyn Kernel, uses: &Uses) -> Result<()> {
    keep(kernel, |capability| (capability.needed)(uses))
}

fn keep(kernel: &dyn Kernel, wanted: impl Fn(&Capability) -> bool) -> Result<()> {
    if kernel.effective_user() == 0 {
        return Ok(());
    }
    let own = kernel.capabilities()?;
    let wanted = CAPABILITIES.iter().filter(|capability| wanted(capability));
    let left = own.only(wanted.fold(0, |bits, it| bits | bit(it.number)));
    if left == own { Ok(()) } else { kernel.set_capabilities(&left) }
}

/// Names of those that count, of all that hwtrace uses.
pub fn held(own: &Capabilities) -> Vec<&'static str> {
    let held = CAPABILITIES.iter().filter(|capability| own.has(capability.number));
    held.map(|capability| capability.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hwtrace_runtime::kernel::fake::{Call, Fake};
    use hwtrace_runtime::kernel::{Errno, Rights};

    const EVERYTHING: u64 = (1 << 41) - 1;

    fn user_with(permitted: u64, ambient: u64) -> Fake {
        let fake = Fake::new(1, &[]);
        let effective = permitted;
        fake.become_user(
            1000,
            Capabilities { effective, permitted, inheritable: 0, ambient },
        );
        fake
    }

    fn left(fake: &Fake) -> Vec<&'static str> {
        let own = fake.capabilities().expect("made to work");
        assert_eq!(own.effective, own.permitted);
        held(&own)
    }

    #[test]
    fn only_what_is_of_use_is_kept() {
        let fake = user_with(EVERYTHING, 0);
        keep_useful(&fake).expect("fewer");
        assert_eq!(left(&fake).len(), CAPABILITIES.len());
        let bits = fake.capabilities().expect("made to work").permitted;
        assert_eq!(bits.count_ones() as usize, CAPABILITIES.len());
    }

    #[test]
    fn an_armed_session_keeps_what_it_may_need_again() {
        let left = |uses: Uses| {
            let fake = user_with(EVERYTHING, bit(10));
            keep_for(&fake, &uses).expect("fewer");
            assert!(fake.capabilities().expect("made to work").has(10), "ambient");
            left(&fake)
        };
        assert_eq!(left(Uses::default()), [""; 0]);
        let own = Uses { arming: true, ..Uses::default() };
        assert_eq!(left(own), ["CAP_PERFMON", "CAP_SYSLOG"]);
        let programs = left(Uses { programs: true, ..own });
        assert_eq!(programs, ["CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG"]);
        assert!(left(Uses { others: true, ..own }).contains(&"CAP_SYS_PTRACE"));
        let kernel = left(Uses { kernel: true, ..Uses::default() });
        assert_eq!(kernel, ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN", "CAP_SYSLOG"]);
    }

    #[test]
    fn what_can_not_be_given_up_is_an_error() {
        for call in [Call::Capabilities, Call::SetCapabilities] {
            let fake = user_with(EVERYTHING, 0);
            fake.fail(call, 0, Errno::EPERM);
            assert_eq!(keep_useful(&fake), Err(Errno::EPERM), "{call:?}");
        }
        // Nothing is set where nothing changes.
        let fake = user_with(0, 0);
        fake.fail(Call::SetCapabilities, 0, Errno::EPERM);
        assert_eq!(keep_useful(&fake), Ok(()));
    }

    #[test]
    fn roots_are_left_alone() {
        let fake = user_with(EVERYTHING, 0);
        let all = fake.capabilities().expect("made to work");
        fake.become_user(0, all);
        keep_for(&fake, &Uses::default()).expect("nothing to do");
        assert_eq!(fake.capabilities(), Ok(all));
    }
}
