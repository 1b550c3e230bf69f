//! Small BPF programs of our own: what else nobody may read of the kernel.
//!
//! - [`KernelReader`] reads its memory, also where there is no /proc/kcore.
//! - [`Walk`] says how to read memory of a process that is watched, unseen.
//! - [`Tasks`] finds the `task_struct` of each thread.
//! - The programs of [`hit`] are run at each hit of a watch; what they share with
//!   us is on a [`board`].
//!
//! The programs are instructions put together here ([`insn`]) and loaded by
//! bpf(2) alone: no compiler, no libbpf. The kernel's verifier proves each of them
//! harmless before it runs; of what is not ours they only read.

use std::fmt;
use std::os::fd::RawFd;
use std::rc::Rc;

use crate::kernel::{Errno, Kernel};

mod assembler;
pub mod attr;
pub mod board;
pub mod filter;
pub mod hit;
pub mod insn;
mod reader;
pub mod shared;
mod steps;
mod tasks;
mod walk;

pub use attr::{Map, Program, Role};
pub use reader::KernelReader;
pub(crate) use reader::Request;
pub use tasks::{Task, TaskLayout, Tasks};
pub use walk::Walk;

/// Why a BPF program cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BpfError {
    /// It takes more privilege.
    #[error("BPF programs take root, or the capabilities CAP_BPF and CAP_PERFMON")]
    NotPermitted,
    /// The kernel has no BPF, or not what is needed of it.
    #[error("this kernel was built without {0}")]
    Missing(&'static str),
    /// The kernel does not take the program.
    #[error("the kernel refuses the BPF program that {what}: {errno}{}", said(.log))]
    Refused {
        /// What the program does.
        what: &'static str,
        /// What bpf(2) gave.
        errno: Errno,
        /// The last that the verifier said; empty where it said nothing.
        log: String,
    },
    /// Running it failed.
    #[error("the BPF program that {what} cannot run: {errno}")]
    Failed {
        /// What the program does.
        what: &'static str,
        /// What the kernel gave.
        errno: Errno,
    },
}

fn said(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!(" ({log})") }
}

/// Inode of the first pid namespace (include/linux/proc_ns.h, `PROC_PID_INIT_INO`).
pub const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

/// Room for what the verifier says, of which the end counts.
const LOG_BYTES: usize = 1 << 20;

/// A loaded program, closed when dropped.
pub(crate) struct Loaded {
    kernel: Rc<dyn Kernel>,
    descriptor: RawFd,
}

impl Loaded {
    pub(crate) fn descriptor(&self) -> RawFd {
        self.descriptor
    }

    /// Loads a program; only one that is refused is loaded again, to hear why.
    pub(crate) fn new(
        kernel: &Rc<dyn Kernel>,
        program: &Program,
        what: &'static str,
    ) -> Result<Self, BpfError> {
        let descriptor = kernel.bpf_load(program, &mut []).or_else(|errno| {
            let mut log = match errno {
                Errno::EPERM | Errno::ENOSYS => Vec::new(),
                _ => vec![0; LOG_BYTES],
            };
            kernel.bpf_load(program, &mut log).map_err(|errno| match errno {
                Errno::EPERM => BpfError::NotPermitted,
                Errno::ENOSYS => BpfError::Missing("CONFIG_BPF_SYSCALL"),
                _ => BpfError::Refused { what, errno, log: last_line(&log) },
            })
        })?;
        Ok(Self { kernel: Rc::clone(kernel), descriptor })
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.kernel.close(self.descriptor);
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("descriptor", &self.descriptor).finish()
    }
}

/// The last thing that the verifier says before its statistics: what is wrong.
fn last_line(log: &[u8]) -> String {
    let text = log.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().rev().filter(|line| !line.starts_with("processed "));
    lines.next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
