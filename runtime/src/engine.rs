//! What every engine does: arm, drain, disarm, account.

pub mod bpf;
pub mod perf;
pub mod ptrace;

use crate::event::{Event, Watch};
use crate::kernel::Errno;
use crate::plan::{Lesson, Plan};

/// A source of hits. The session drives it: arm once, drain often, disarm,
/// drain what is left.
pub trait Engine {
    /// Name as `--engine` takes it.
    fn name(&self) -> &'static str;

    /// What is done at the hits of each watch, by number, from the next arming on;
    /// where this is not called, records hold everything. Engines do as much of
    /// it as they can.
    fn set_plans(&mut self, _plans: &[Plan]) {}

    /// A watch holds this value, and is off there, or not armed yet: what is
    /// [`AtHit::old`](crate::event::AtHit) of the next hit.
    fn tell(&mut self, _whose: Whose, _watch: usize, _value: u64) {}

    /// What was told may be wrong: the next hit has no
    /// [`AtHit::old`](crate::event::AtHit).
    fn doubt(&mut self, _whose: Whose, _watch: usize) {}

    /// What it takes for the value of a watch now; none where it keeps none.
    fn held(&self, _whose: Whose, _watch: usize) -> Option<u64> {
        None
    }

    /// Tells what an instruction does whose hit had no
    /// [`Told`](crate::event::Told).
    fn teach(&mut self, _lesson: &Lesson) {}

    /// A process has other code than before: what was taught of it is void.
    fn forget_code(&mut self, _pid: u32) {}

    /// The numbers that hits of a watch take at its plan's [gate](crate::plan::Gate), where
    /// that is done at the hit.
    fn tickets(&self, _watch: usize) -> Option<bpf::Tickets> {
        None
    }

    /// Whether it can be taught.
    fn learns(&self) -> bool {
        false
    }

    /// Takes over a child that its parent holds by ptrace(2), before it is armed: a
    /// process has one tracer. An engine that traces by that, too, calls `let_go`, which
    /// has the child stop (SIGSTOP) and lets it go; its parent continues it (SIGCONT), or
    /// if that dies the engine does. Others leave it held.
    ///
    /// # Errors
    /// As `let_go`, and where the engine can not trace.
    fn take_over(
        &mut self,
        _pid: u32,
        _let_go: &mut dyn FnMut() -> Result<(), Errno>,
    ) -> Result<(), ArmError> {
        Ok(())
    }

    /// Arms the watches on every thread of `pid`, and on each thread and
    /// child that appears later. All or nothing: on an error nothing is armed
    /// and nothing leaks.
    ///
    /// # Errors
    /// [`ArmError`] says which watch or thread, and why.
    fn arm(&mut self, pid: u32, watches: &[Watch]) -> Result<Armed, ArmError>;

    /// Opens what reports births, ends, names and mappings of all tasks, where the
    /// engine was set up so: before any process is armed.
    ///
    /// # Errors
    /// [`ArmError::SystemPermission`], and those of opening the rings.
    fn listen(&mut self) -> Result<(), ArmError>;

    /// Arms one more process, or one that executes another image since it was
    /// armed: the same watches by number, at the addresses that they have
    /// there; none for those that mean nothing there. One that is not
    /// [placed](Watch::is_placed) keeps a register and hits nothing until
    /// [`Engine::retarget`]. Drain before, so that what is known of the process
    /// is known here, too. All or nothing, as [`Engine::arm`].
    ///
    /// Once it has ended, and all who inherited its watches, what it took is
    /// given back; what was counted stays.
    ///
    /// # Errors
    /// As [`Engine::arm`]; [`ArmError::Armed`] where the process inherited or
    /// was given watches that its image still has.
    fn attach(&mut self, pid: u32, watches: &[Option<Watch>]) -> Result<Armed, ArmError>;

    /// Whether what threads create that are left out is left out, too.
    fn leaves_out_heirs(&self) -> bool {
        true
    }

    /// Arms a watch on one thread alone, for data of which each thread has its
    /// own; threads and children that it creates do not inherit it. The number
    /// may be used for any number of threads. Ends with the thread, or its
    /// image.
    ///
    /// # Errors
    /// As [`Engine::arm`], for the thread.
    fn arm_thread(
        &mut self,
        thread: (u32, u32),
        number: usize,
        watch: Watch,
    ) -> Result<(), ArmError>;

    /// Arms watches on the kernel's data, whoever accesses it, by number; none
    /// for numbers of other watches. Births, ends and names of all tasks come
    /// only where the engine was set up so.
    ///
    /// # Errors
    /// [`ArmError::KernelPermission`] without CAP_SYS_ADMIN,
    /// [`ArmError::NoFreeRegister`] on thread 0 where a CPU has none left.
    fn arm_kernel(&mut self, watches: &[Option<Watch>]) -> Result<Armed, ArmError>;

    /// Has a watch of a process, and of the children that inherited it, be at
    /// another address from now on, or nowhere. Gives the time from which on
    /// hits are of that address, nanoseconds of CLOCK_MONOTONIC: the moment at
    /// which all of its registers were off, so that no hit is of the wrong one.
    /// What is stored while it moves hits nothing.
    ///
    /// # Errors
    /// [`ArmError::Gone`] where the process has no such watch, or it ended;
    /// [`ArmError::BadWatch`] for an address that can not be watched. The watch
    /// is nowhere then.
    fn retarget(
        &mut self,
        pid: u32,
        watch: usize,
        address: Option<u64>,
    ) -> Result<u64, ArmError>;

    /// Which watches take turns, by number, before anything is armed. Where this is not
    /// called, and of numbers that are not in the list, none does.
    fn set_turns(&mut self, _turns: &[Turn]) {}

    /// Whether it can [pass](Engine::pass) registers on.
    fn passes(&self) -> bool {
        false
    }

    /// Passes registers on, in all processes: who had one waits from now on, and who waited
    /// has it. Watches of processes go to such, those of the kernel's data to such. A hit is
    /// of one or the other for certain; what is stored while registers move hits nothing.
    ///
    /// # Errors
    /// [`ArmError::Unable`] where the engine can not, or they are no such watches: then
    /// nothing happened.
    fn pass(&mut self, _passes: &[Pass]) -> Result<Passed, ArmError> {
        Err(ArmError::Unable { engine: self.name(), what: "pass registers on" })
    }

    /// Ends what was armed for a process, for the children that inherited it,
    /// too. What was counted stays.
    fn detach(&mut self, pid: u32);

    /// Whether a process that executes another image, and is followed, waits until it was
    /// decided whether that is armed: between [`Engine::drain`] handing on that it did and
    /// what is called next but [`Engine::attach`].
    fn holds_executed(&self) -> bool {
        false
    }

    /// Shows births, ends, names and mappings as soon as they are reported, by
    /// CPU and not by time, to be acted on at once; [`Engine::drain`] hands them
    /// on in their turn all the same. Nothing where the engine was not set up
    /// for it.
    ///
    /// # Errors
    /// As [`Engine::drain`].
    fn news(&mut self, sink: &mut dyn FnMut(Event<'_>)) -> std::io::Result<()>;

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

    /// Instructions that were executed one by one, once it is disarmed; none of an
    /// engine that does not go by steps.
    fn steps(&self) -> Option<u64> {
        None
    }

    /// Descriptors that become readable when there is something to drain.
    fn wake_fds(&self) -> Vec<std::os::fd::RawFd>;
}

/// Whose a watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// That of a process.
    Process(u32),
    /// That of a thread alone, see [`Engine::arm_thread`].
    Thread(u32),
    /// On the kernel's data.
    Kernel,
}

impl Whose {
    /// The number of the process or thread.
    pub fn owner(self) -> Option<u32> {
        match self {
            Self::Process(owner) | Self::Thread(owner) => Some(owner),
            Self::Kernel => None,
        }
    }
}

/// How a watch has a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// All the time.
    #[default]
    Stays,
    /// At first, until it is [passed](Engine::pass) on.
    Has,
    /// Once one is passed to it.
    Waits,
}

/// A register goes from one watch to another, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Who has it, and waits then.
    pub from: usize,
    /// Who waits, and has it then.
    pub to: usize,
}

/// When registers were passed on, in nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// All of them were off: hits of those who had them are older, and of those who have
    /// them now none is.
    pub since: u64,
    /// When each went off, by pass: on the average of all threads, of which there may be
    /// thousands.
    pub off: Vec<u64>,
    /// When each went on, likewise.
    pub on: Vec<u64>,
    /// Watches that have one now which could not be put there, in some process: it is off
    /// until it is passed on.
    pub failed: Vec<usize>,
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
    /// Watches, where some of them take turns on the registers; 0 where each has one.
    pub watches: u32,
    /// Threads that were left out, where that was asked for: too few of their registers
    /// are free.
    pub left_out: Shortfall,
}

/// Threads that have fewer free registers than are needed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Shortfall {
    /// Registers that each thread needs.
    pub needed: u32,
    /// How many threads have fewer.
    pub threads: u32,
    /// Of how many threads.
    pub of: u32,
    /// The first of those that have fewer, and how many each has.
    pub listed: Vec<(u32, u32)>,
}

impl Shortfall {
    /// So many are listed at most.
    pub const LISTED_MAX: usize = 8;

    /// Those of another process, too.
    pub fn merge(&mut self, other: &Self) {
        self.needed = self.needed.max(other.needed);
        self.threads += other.threads;
        self.of += other.of;
        let room = Self::LISTED_MAX.saturating_sub(self.listed.len());
        self.listed.extend(other.listed.iter().take(room));
    }

    /// One more thread has fewer.
    pub fn add(&mut self, tid: u32, free: u32) {
        self.threads += 1;
        if self.listed.len() < Self::LISTED_MAX {
            self.listed.push((tid, free));
        }
    }
}

/// What happened to the hits.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Account {
    /// Hits that the kernel counted, per watch.
    pub counted: Vec<u64>,
    /// Hits that the filter of a plan left out, per watch; fewer of them where no
    /// more watches have any.
    pub filtered: Vec<u64>,
    /// Hits for which there was no room in a ring.
    pub lost: u64,
    /// Hits where a register no longer was to be: of threads that were born while it was
    /// passed on. They are of nobody's turn.
    pub strays: u64,
    /// Names, births, ends and mappings for which there was no room.
    pub lost_sideband: u64,
    /// Threads that were born where others hold their registers: they have no watches.
    pub unarmed: u64,
    /// Records handed on out of the order of time.
    pub late: u64,
    /// Processes that go on and are reported no more: they executed a program
    /// that runs with another user's rights, at which the kernel ends all their
    /// events, whoever opened them (fs/exec.c, `begin_new_exec`).
    pub dropped: u64,
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
        /// The thread, of several the one that has the fewest.
        tid: u32,
        /// Index of the watch.
        watch: usize,
        /// So many watches could be opened on that thread.
        free: u32,
        /// All that have too few; nobody where that is not known.
        short: Shortfall,
    },
    /// The kernel refuses to let us trace the process.
    #[error("not permitted to trace process {pid}")]
    Permission {
        /// The process.
        pid: u32,
        /// EACCES or EPERM.
        errno: i32,
    },
    /// We may not look into the process as a debugger may, whatever perf allows
    /// (ptrace(2), "Ptrace access mode checking").
    #[error("process {pid} may not be looked into")]
    NoAccess {
        /// The process.
        pid: u32,
    },
    /// The kernel, or something of its that keeps watch (Yama, SELinux, seccomp), refuses
    /// ptrace(2) of the process.
    #[error("not permitted to trace process {pid} by ptrace")]
    PtracePermission {
        /// The process.
        pid: u32,
        /// EACCES or EPERM.
        errno: i32,
    },
    /// Another process traces it by ptrace(2), which is for one alone.
    #[error("process {pid} is traced by process {tracer}, and can have one tracer only")]
    Traced {
        /// The process.
        pid: u32,
        /// Who traces it.
        tracer: u32,
    },
    /// The process has watches of ours already.
    #[error("process {pid} is watched already")]
    Armed {
        /// The process.
        pid: u32,
    },
    /// The kernel does not let us watch its own data: that needs CAP_SYS_ADMIN.
    #[error("not permitted to watch the kernel's data")]
    KernelPermission {
        /// EACCES or EPERM.
        errno: i32,
    },
    /// The kernel does not let us see what all tasks do: that needs CAP_PERFMON,
    /// or kernel.perf_event_paranoid at most 0.
    #[error("not permitted to see the programs that others start")]
    SystemPermission {
        /// EACCES or EPERM.
        errno: i32,
    },
    /// It is nothing that this engine can do.
    #[error("the engine `{engine}` can not {what}")]
    Unable {
        /// Its name.
        engine: &'static str,
        /// What is asked for.
        what: &'static str,
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
    /// What is to run at the hits can not.
    #[error(transparent)]
    Program(#[from] crate::bpf::BpfError),
    /// Any other failure of a system call.
    #[error("{call} failed: {error}")]
    System {
        /// The call.
        call: &'static str,
        /// What it said.
        error: std::io::Error,
    },
}
