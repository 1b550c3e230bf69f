//! What is to be watched, and for whom.

use std::fmt;
use std::rc::Rc;

use hwtrace_lang::span::Span;
use hwtrace_probes::spec::{DataSpec, KernelDataSpec, Mode, Only, ProcessRef};

/// What is to be watched, and for whom.
#[derive(Clone, Debug)]
pub struct Request {
    /// What, and at which accesses.
    pub data: Data,
    /// Where a script asks for it.
    pub span: Option<Span>,
    /// Where the data does not exist, it is left out.
    pub optional: bool,
    /// Requests in front of it: left out where the data of one of them exists.
    pub instead_of: Vec<usize>,
    /// Of an element of a range: the whole range as it is written, one for all of its
    /// elements.
    pub range: Option<Rc<str>>,
}

/// Data of processes or of the kernel.
#[derive(Clone, Debug)]
pub enum Data {
    /// Of processes.
    Process(DataSpec),
    /// Of the kernel.
    Kernel(KernelDataSpec),
}

impl From<DataSpec> for Data {
    fn from(data: DataSpec) -> Self {
        Self::Process(data)
    }
}

impl Data {
    /// At which accesses it is of interest.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Process(data) => data.mode,
            Self::Kernel(data) => data.mode,
        }
    }

    /// At which of those.
    pub fn only(&self) -> Only {
        match self {
            Self::Process(data) => data.only,
            Self::Kernel(data) => data.only,
        }
    }

    /// Whether its watches never give their registers to others.
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Process(data) => data.pinned,
            Self::Kernel(data) => data.pinned,
        }
    }

    /// Whether it is that of the process of `-c` or `-p`.
    pub fn is_of_target(&self) -> bool {
        matches!(self, Self::Process(DataSpec { process: ProcessRef::Target, .. }))
    }

    /// The executable whose processes have it, also those that start later.
    pub fn executable(&self) -> Option<&str> {
        match self {
            Self::Process(DataSpec { process: ProcessRef::Path(path), .. }) => Some(path),
            _ => None,
        }
    }

    /// Whether its watches move with the pointers on the way to it.
    pub fn follows(&self) -> bool {
        matches!(self, Self::Process(DataSpec { follow: true, .. }))
    }

    /// Of processes: what it is.
    pub fn of_process(&self) -> Option<&DataSpec> {
        match self {
            Self::Process(data) => Some(data),
            Self::Kernel(_) => None,
        }
    }
}

/// As it is named: `cfg.limit`, `kernel.data("jiffies")`.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(data) => data.expression.fmt(f),
            Self::Kernel(data) => data.object.fmt(f),
        }
    }
}
