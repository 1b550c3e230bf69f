//! Whether the engines can be used here, tried on a child that does nothing.

use std::rc::Rc;

use crate::kernel::{Errno, Go, Kernel, Result, Taken, Wait};

/// DR7 with the first register on, for stores to one byte.
const FIRST_ON: u64 = 1 | 1 << 16;

/// Whether processes can be traced by debug registers.
///
/// # Errors
/// What the kernel refuses.
pub fn probe(kernel: &Rc<dyn Kernel>) -> std::result::Result<(), Unusable> {
    with_child(&**kernel, |kernel, child| {
        kernel.set_debug_register(child, 0, 0x1000)?;
        kernel.set_debug_register(child, 7, FIRST_ON)?;
        kernel.set_debug_register(child, 7, 0)
    })
}

/// Whether processes can be traced by single steps.
///
/// # Errors
/// What the kernel refuses.
pub fn probe_steps(kernel: &Rc<dyn Kernel>) -> std::result::Result<(), Unusable> {
    with_child(&**kernel, |kernel, child| {
        kernel.ptrace_go(child, Go::Step, 0)?;
        // It is in a system call, which is made again.
        kernel.ptrace_interrupt(child)?;
        stopped(kernel, child)
    })
}

/// Why an engine that traces can not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No process can be created.
    #[error("no process can be created: {0}")]
    NoChild(Errno),
    /// A child can not be traced.
    #[error("a child can not be traced: {0}")]
    Refused(Errno),
    /// What is asked of the one that is traced is refused.
    #[error("what is asked of a child that is traced is refused: {0}")]
    Other(Errno),
}

fn with_child(
    kernel: &dyn Kernel,
    act: impl FnOnce(&dyn Kernel, u32) -> Result<()>,
) -> std::result::Result<(), Unusable> {
    // It never comes to execute anything.
    let child =
        kernel.fork_exec(c"/", &[], &Taken::default()).map_err(Unusable::NoChild)?;
    let seized = kernel
        .ptrace_follow(child.pid)
        .and_then(|()| kernel.ptrace_interrupt(child.pid))
        .and_then(|()| stopped(kernel, child.pid));
    let tried = match seized {
        Ok(()) => act(kernel, child.pid).map_err(Unusable::Other),
        Err(errno) => Err(Unusable::Refused(errno)),
    };
    if kernel.kill(child.pid, false, libc::SIGKILL).is_ok() {
        while matches!(
            kernel.wait(child.pid, true),
            Ok(Wait::Stopped { .. } | Wait::Running)
        ) {}
    }
    kernel.close(child.go);
    kernel.close(child.failure);
    tried
}

/// Waits until the child has stopped.
fn stopped(kernel: &dyn Kernel, child: u32) -> Result<()> {
    match kernel.wait(child, true)? {
        Wait::Stopped { .. } => Ok(()),
        _ => Err(Errno::ESRCH),
    }
}
