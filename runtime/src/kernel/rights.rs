//! The part of the door to the kernel that our own rights take.

use super::Result;

/// Capabilities of a thread, a bit for each by its number (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Those that count.
    pub effective: u64,
    /// Those that it may make count.
    pub permitted: u64,
    /// Those that an executed file may have it keep.
    pub inheritable: u64,
    /// Those that each program keeps that it executes.
    pub ambient: u64,
}

impl Capabilities {
    /// Whether one of them counts.
    pub fn has(&self, number: u32) -> bool {
        self.effective & bit(number) != 0
    }

    /// The same without those that are not in `kept`. What is ambient is left alone: the
    /// user gives it to everything that is started, programs of `-c` as well, and the
    /// kernel would take it from these (capabilities(7), "Ambient").
    #[must_use]
    pub fn only(&self, kept: u64) -> Self {
        let kept = kept | self.ambient;
        let (effective, permitted) = (self.effective & kept, self.permitted & kept);
        Self { effective, permitted, ..*self }
    }
}

/// The bit of a capability.
pub const fn bit(number: u32) -> u64 {
    1 << number
}

/// Numbers of capabilities (include/uapi/linux/capability.h); capabilities(7) tells what
/// each is for.
#[allow(missing_docs, reason = "each is the capability of the same name")]
pub mod number {
    pub const KILL: u32 = 5;
    pub const IPC_LOCK: u32 = 14;
    pub const SYS_PTRACE: u32 = 19;
    pub const SYS_ADMIN: u32 = 21;
    pub const SYS_NICE: u32 = 23;
    pub const SYSLOG: u32 = 34;
    pub const PERFMON: u32 = 38;
    pub const BPF: u32 = 39;
}

/// What hwtrace asks of the kernel about itself.
pub trait Rights {
    /// The capabilities of the calling thread (capget(2)).
    ///
    /// # Errors
    /// Nothing is known to make it fail, but a filter of system calls.
    fn capabilities(&self) -> Result<Capabilities>;

    /// Sets those of the calling thread (capset(2)); the ambient ones follow from the
    /// others.
    ///
    /// # Errors
    /// EPERM for more than it has.
    fn set_capabilities(&self, capabilities: &Capabilities) -> Result<()>;

    /// The user as whom we act.
    fn effective_user(&self) -> u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ambient_is_left_alone() {
        let all =
            Capabilities { effective: 7, permitted: 15, inheritable: 3, ambient: 1 };
        let left = all.only(bit(1));
        assert_eq!(left, Capabilities { effective: 3, permitted: 3, ..all });
        assert!(left.has(0) && left.has(1) && !left.has(2));
    }
}
