//! Probe points as this crate takes them and what they mean.
//!
//! The language hands over a probe point as components (`process`, `data("x")`,
//! `write`); [`crate::provider::parse`] turns them into a [`Spec`] or a
//! [`SpecError`] that says which component is wrong and what could stand there.

use std::fmt;
use std::num::NonZeroU64;

use crate::address::AbsAddr;
use crate::expr::{ExprError, Expression};
use crate::kernel::{Path, PathError};

/// One component of a probe point: a name and what is in its parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component<'a> {
    /// The name as written.
    pub name: &'a str,
    /// The argument, where there are parentheses.
    pub argument: Option<ArgumentRef<'a>>,
}

/// The literal argument of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentRef<'a> {
    /// An integer. Addresses above 2⁶³ are negative, as in the language.
    Long(i64),
    /// A string.
    Str(&'a str),
}

impl fmt::Display for Component<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.argument {
            None => f.write_str(self.name),
            Some(ArgumentRef::Long(number)) => write!(f, "{}({number})", self.name),
            Some(ArgumentRef::Str(text)) => write!(f, "{}({text:?})", self.name),
        }
    }
}

/// What a probe point asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spec {
    /// When the session starts; lower priorities run first.
    Begin {
        /// The argument, 0 without one.
        priority: i64,
    },
    /// When the session ends; lower priorities run first.
    End {
        /// The argument, 0 without one.
        priority: i64,
    },
    /// When a run-time error ends the session; lower priorities run first.
    Error {
        /// The argument, 0 without one.
        priority: i64,
    },
    /// When the session starts, which then ends.
    Oneshot,
    /// Never.
    Never,
    /// Each time a period has passed.
    Timer(Timer),
    /// At accesses to data of a process.
    Data(DataSpec),
    /// At accesses to data of the kernel.
    KernelData(KernelDataSpec),
    /// At accesses to objects that handlers watch.
    Objects(ObjectsSpec),
    /// What the language has and this version cannot arm.
    Later(Later),
}

/// A period of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The period in nanoseconds, at least 1.
    pub period_ns: u64,
    /// How much longer or shorter each period is at most, by chance; in
    /// nanoseconds, less than the period.
    pub random_ns: u64,
}

/// A probe point that nothing can arm yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// Index of the component that cannot be armed.
    pub index: usize,
    /// What cannot be armed, where it is not the whole probe point: a modifier
    /// or a form of data expression, as a noun phrase.
    pub part: Option<String>,
    /// What to write for now.
    pub instead: &'static str,
    /// Whether it fires at accesses to data.
    pub is_data: bool,
}

/// A watch on data of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSpec {
    /// Whose data.
    pub process: ProcessRef,
    /// What is watched.
    pub expression: Expression,
    /// The length asked for by `.length(N)`: 1 byte or more.
    pub length: Option<u32>,
    /// At which accesses the probe fires.
    pub mode: Mode,
    /// And at which of those.
    pub only: Only,
    /// `.pinned`: it never gives its registers to others.
    pub pinned: bool,
    /// `.follow`: the watch moves when a pointer on the way to the data is stored
    /// to.
    pub follow: bool,
}

/// Watches on objects of processes, which handlers name while they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectsSpec {
    /// Whose objects.
    pub process: ProcessRef,
    /// By which name they are watched.
    pub name: String,
    /// At which accesses the probe fires.
    pub mode: Mode,
    /// And at which of those.
    pub only: Only,
}

/// A watch on data of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelDataSpec {
    /// What is watched.
    pub object: KernelObject,
    /// The length asked for by `.length(N)`: 1, 2, 4 or 8 bytes.
    pub length: Option<u32>,
    /// At which accesses the probe fires.
    pub mode: Mode,
    /// And at which of those.
    pub only: Only,
    /// `.pinned`: it never gives its registers to others.
    pub pinned: bool,
}

/// At which of the accesses that its mode asks for a data probe fires: everywhere where
/// nothing is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// `.thread(TID)`: at those of this thread.
    pub thread: Option<u32>,
    /// `.cpu(N)`: at those on this CPU.
    pub cpu: Option<u32>,
    /// `.user`, `.kernel`: at those that this side makes.
    pub maker: Option<Maker>,
    /// `.every(N)`: at each N-th of what is left by the others, the N-th first.
    pub every: Option<NonZeroU64>,
    /// `.limit(N)`: at the first N of what is left by all.
    pub limit: Option<NonZeroU64>,
}

/// Who makes an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The process itself.
    User,
    /// The kernel, on its behalf or on its own.
    Kernel,
}

/// Data of the kernel, as it is named; [`crate::kernel::KernelNames`] finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelObject {
    /// A variable, or something in it or behind it.
    Variable {
        /// The variable's name.
        name: String,
        /// The way from there.
        path: Path,
    },
    /// What lies at an address.
    Address(AbsAddr),
    /// Something of a thread.
    Task {
        /// The thread's id, that of a process for its first thread.
        tid: u32,
        /// The way from its `task_struct`.
        path: Path,
    },
}

/// As scripts write it: `kernel.data("jiffies")`.
impl fmt::Display for KernelObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KernelObject::Variable { name, path } => {
                write!(f, "kernel.data(\"{name}{path}\")")
            }
            KernelObject::Address(address) => write!(f, "kernel.data({address})"),
            KernelObject::Task { tid, path } => {
                write!(f, "kernel.task({tid}).data(\"{path}\")")
            }
        }
    }
}

/// Which process a probe point means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessRef {
    /// The target of `-c` or `-p`.
    Target,
    /// Processes that run this executable.
    Path(String),
    /// The process with this id.
    Pid(u32),
}

/// At which accesses a data probe fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// At each store, also one of the same value.
    Write,
    /// At each store that changes the value.
    Change,
    /// At each store and each load.
    ReadWrite,
    /// At each load, and at no store.
    Read,
}

impl Mode {
    /// The component's name in a probe point.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Write => "write",
            Mode::Change => "change",
            Mode::ReadWrite => "rw",
            Mode::Read => "read",
        }
    }
}

/// A probe point that means nothing, or nothing yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct SpecError {
    /// Index of the component to underline. Past the end only for a probe point
    /// without components.
    pub index: usize,
    /// What is wrong with it.
    #[source]
    pub kind: SpecErrorKind,
}

/// What is wrong with a component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecErrorKind {
    /// No probe point has this component here.
    #[error("there is no {}", unknown_name(.name, .after.as_deref()))]
    Unknown {
        /// The component's name.
        name: String,
        /// The name of the component before it.
        after: Option<String>,
        /// What could stand here, nearest spelling first: components, or whole
        /// probe points for a first component. Empty if nothing is near.
        nearest: Vec<String>,
    },
    /// The probe point was complete before this component.
    #[error("`{after}` takes no `.{name}`")]
    Trailing {
        /// The component's name.
        name: String,
        /// The component before it.
        after: String,
    },
    /// The probe point ends too early.
    #[error("the probe point is not complete: after `{after}` comes {}", one_of(.next))]
    Incomplete {
        /// The last component's name.
        after: String,
        /// What can follow, each with its dot.
        next: Vec<String>,
    },
    /// The argument is of the wrong kind or out of range.
    #[error("`{name}` takes {expected}")]
    BadArgument {
        /// The component's name.
        name: String,
        /// What it takes, as a noun phrase.
        expected: String,
    },
    /// The parentheses are missing.
    #[error("`{name}` needs an argument: {expected}")]
    MissingArgument {
        /// The component's name.
        name: String,
        /// What it takes, as a noun phrase.
        expected: String,
    },
    /// There should be no parentheses.
    #[error("`{name}` takes no argument")]
    UnexpectedArgument {
        /// The component's name.
        name: String,
    },
    /// A length that nothing has.
    #[error("a watch is at least 1 byte long, not {length}")]
    BadLength {
        /// The length asked for.
        length: i64,
    },
    /// No access is made by both sides.
    #[error("no access is of both `.user` and `.kernel`")]
    NothingLeft,
    /// Elements of a range, of which each is at a place of its own.
    #[error("`.follow` moves one watch, and `{expression}` is several")]
    FollowedRange {
        /// The expression.
        expression: String,
    },
    /// The argument of `data` does not name data.
    #[error(transparent)]
    Expression(#[from] ExprError),
    /// The argument of `data` does not name data of the kernel.
    #[error(transparent)]
    KernelPath(#[from] PathError),
}

fn unknown_name(name: &str, after: Option<&str>) -> String {
    match after {
        None => format!("probe point `{name}`"),
        Some(after) => format!("`.{name}` after `{after}`"),
    }
}

/// `.write, .change or .rw`
fn one_of(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
