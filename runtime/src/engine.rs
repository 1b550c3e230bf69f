//! What every engine does: arm, drain, disarm, account.

pub mod perf;

use crate::event::{Event, Watch};

/// A source of hits. The session drives it: arm once, drain often, disarm,
/// drain what is left.
pub trait Engine {
    /// Name as `--engine` takes it.
    fn name(&self) -> &'static str;

    /// Arms the watches on every thread of `pid`, and on each thread and
    /// child that appears later. All or nothing: on an error nothing is armed
    /// and nothing leaks.
    ///
    /// # Errors
    /// [`ArmError`] says which watch or thread, and why.
    fn arm(&mut self, pid: u32, watches: &[Watch]) -> Result<Armed, ArmError>;

    /// Hands on what has been reported, in the order of time, up to the point
    /// that no other CPU can still precede; with `all` everything that is
    /// there (after [`Engine::disarm`]).
    ///
    /// # Errors
    /// Only where the kernel breaks its own format.
    fn drain(
        &mut self,
        all: bool,
        sink: &mut dyn FnMut(Event<'_>) -> Flow,
    ) -> std::io::Result<()>;

    /// Takes or takes no hits of a watch from now on; its register stays
    /// reserved. After arming all watches are on.
    ///
    /// # Errors
    /// As the system call that does it; nothing is known to make it fail.
    fn switch(&mut self, watch: usize, on: bool) -> std::io::Result<()>;

    /// Stops all hits; what was reported before can still be drained.
    fn disarm(&mut self);

    /// What was counted, from the kernel's own figures.
    fn account(&mut self) -> Account;

    /// Descriptors that become readable when there is something to drain.
    fn wake_fds(&self) -> Vec<std::os::fd::RawFd>;
}

/// Whether to go on draining.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Stop here, the event is consumed.
    Stop,
}

/// What arming achieved.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Armed {
    /// Threads that were there and are armed now.
    pub threads: u32,
    /// Debug registers used on each.
    pub slots: u32,
    /// Debug registers each has.
    pub capacity: u32,
}

/// What happened to the hits.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Account {
    /// Hits that the kernel counted, per watch.
    pub counted: Vec<u64>,
    /// Hits for which there was no room in a ring.
    pub lost: u64,
    /// Names, births, ends and mappings for which there was no room.
    pub lost_sideband: u64,
    /// Records handed on out of the order of time.
    pub late: u64,
}

/// Why nothing could be armed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArmError {
    /// The process is not there any more.
    #[error("process {pid} has ended")]
    Gone {
        /// The process.
        pid: u32,
    },
    /// All debug registers of a thread are taken.
    #[error("no free debug register on thread {tid} for watch {watch}")]
    NoFreeRegister {
        /// The thread.
        tid: u32,
        /// Index of the watch.
        watch: usize,
    },
    /// The kernel refuses to let us trace the process.
    #[error("not permitted to trace process {pid}")]
    Permission {
        /// The process.
        pid: u32,
        /// EACCES or EPERM.
        errno: i32,
    },
    /// The kernel or machine can not do it at all.
    #[error("this machine has no usable hardware breakpoints: {reason}")]
    Unsupported {
        /// What the kernel answered.
        reason: String,
    },
    /// The kernel refused the watch's address, length or mode.
    #[error("the kernel refuses watch {watch}")]
    BadWatch {
        /// Index of the watch.
        watch: usize,
    },
    /// A limit of the process was reached.
    #[error("{limit} is too low: {needed} needed")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// How much is needed.
        needed: u64,
    },
    /// Threads come and go faster than they can be armed.
    #[error("threads of process {pid} come and go faster than they can be armed")]
    Unstable {
        /// The process.
        pid: u32,
    },
    /// Any other failure of a system call.
    #[error("{call} failed: {error}")]
    System {
        /// The call.
        call: &'static str,
        /// What it said.
        error: std::io::Error,
    },
}
