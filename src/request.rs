//! What is to be watched, and for whom.

use std::fmt;
use std::rc::Rc;

use hwtrace_lang::span::Span;
use hwtrace_probes::spec::{
    DataSpec, KernelDataSpec, Mode, ObjectsSpec, Only, ProcessRef,
};

use crate::environment::ObjectShape;

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
    /// Objects of processes, which the consumer names while the session runs.
    Objects(Objects),
}

/// Objects that are watched by a name.
#[derive(Clone, Debug)]
pub struct Objects {
    /// Whose, by which name, and at which accesses.
    pub spec: ObjectsSpec,
    /// What is known of all of them.
    pub shape: ObjectShape,
    /// The number of the name, by which the consumer tells of them; none where it never
    /// does.
    pub number: Option<u32>,
}

impl From<DataSpec> for Data {
    fn from(data: DataSpec) -> Self {
        Self::Process(data)
    }
}

impl Data {
    /// The same; objects with the number of their name among these.
    pub(crate) fn numbered(mut self, names: &[String]) -> Self {
        if let Self::Objects(objects) = &mut self {
            let number = names.iter().position(|name| *name == objects.spec.name);
            objects.number = number.and_then(|number| u32::try_from(number).ok());
        }
        self
    }

    /// At which accesses it is of interest.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Process(data) => data.mode,
            Self::Kernel(data) => data.mode,
            Self::Objects(objects) => objects.spec.mode,
        }
    }

    /// At which of those.
    pub fn only(&self) -> Only {
        match self {
            Self::Process(data) => data.only,
            Self::Kernel(data) => data.only,
            Self::Objects(objects) => objects.spec.only,
        }
    }

    /// Whether its watches never give their registers to others.
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Process(data) => data.pinned,
            Self::Kernel(data) => data.pinned,
            Self::Objects(_) => false,
        }
    }

    /// Whether it is that of the process of `-c` or `-p`.
    pub fn is_of_target(&self) -> bool {
        matches!(self.process(), Some(ProcessRef::Target))
    }

    /// The executable whose processes have it, also those that start later.
    pub fn executable(&self) -> Option<&str> {
        match self.process() {
            Some(ProcessRef::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// Whether its watches move with the pointers on the way to it.
    pub fn follows(&self) -> bool {
        matches!(self, Self::Process(DataSpec { follow: true, .. }))
    }

    /// Of processes: of which.
    pub fn process(&self) -> Option<&ProcessRef> {
        match self {
            Self::Process(data) => Some(&data.process),
            Self::Objects(objects) => Some(&objects.spec.process),
            Self::Kernel(_) => None,
        }
    }

    /// Of processes, and named by the request: what it is.
    pub fn of_process(&self) -> Option<&DataSpec> {
        match self {
            Self::Process(data) => Some(data),
            Self::Kernel(_) | Self::Objects(_) => None,
        }
    }
}

/// As it is named: `cfg.limit`, `kernel.data("jiffies")`.
impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(data) => data.expression.fmt(f),
            Self::Kernel(data) => data.object.fmt(f),
            Self::Objects(objects) => write!(f, "watch({:?})", objects.spec.name),
        }
    }
}
