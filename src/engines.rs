//! The engines there are, and which of them is taken.

mod refusal;

use std::fmt;
use std::rc::Rc;

use hwtrace_runtime::engine::Engine;
use hwtrace_runtime::engine::perf::{PerfEngine, PerfOptions};
use hwtrace_runtime::engine::ptrace::PtraceEngine;
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::slots;

pub use refusal::Refusal;
pub(crate) use refusal::{BEST, own, setcap};

/// An engine, as `--engine` knows it.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it is, for help and for the line that says which was taken.
    pub what: &'static str,
    /// Whether it does at the hit itself what plans say.
    at_hits: bool,
    /// Whether it sends signals at the hit itself.
    acts: bool,
    /// Watches that a thread can have.
    capacity: usize,
    /// Whether more of them can take turns.
    passes: bool,
    /// Why it can not be used here.
    usable: fn(&Rc<dyn Kernel>) -> Result<(), Refusal>,
    open: fn(&Rc<dyn Kernel>, PerfOptions) -> Box<dyn Engine>,
}

/// All engines, the best first.
pub static ENGINES: &[Row] = &[
    Row {
        name: "bpf",
        what: "programs that filter and read at the hit itself",
        at_hits: true,
        acts: true,
        capacity: slots::CAPACITY,
        passes: true,
        usable: refusal::of_bpf,
        open: |kernel, options| {
            Box::new(PerfEngine::with_programs(Rc::clone(kernel), options))
        },
    },
    Row {
        name: "perf",
        what: "samples of perf's hardware breakpoints",
        at_hits: false,
        acts: false,
        capacity: slots::CAPACITY,
        passes: true,
        usable: refusal::of_perf,
        open: |kernel, options| Box::new(PerfEngine::new(Rc::clone(kernel), options)),
    },
    Row {
        name: "ptrace",
        what: "debug registers by ptrace, which stops the thread at each hit",
        at_hits: false,
        acts: true,
        capacity: slots::CAPACITY,
        passes: false,
        usable: refusal::of_ptrace,
        open: |kernel, options| {
            let engine = PtraceEngine::new(Rc::clone(kernel)).prompt(options.prompt);
            Box::new(engine.partial(options.partial))
        },
    },
    Row {
        name: "step",
        what: "single steps, some tens of microseconds for each instruction",
        at_hits: false,
        acts: true,
        capacity: usize::MAX,
        passes: false,
        usable: refusal::of_step,
        open: |kernel, _| Box::new(PtraceEngine::with_steps(Rc::clone(kernel))),
    },
];

/// Which engine is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub enum Choice {
    /// The best that works.
    #[default]
    Auto,
    /// This one.
    Only(&'static Row),
}

/// Every name that [`Choice::named`] takes.
pub fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once("auto").chain(ENGINES.iter().map(|row| row.name))
}

impl Row {
    /// Whether it can be used here.
    ///
    /// # Errors
    /// Why not, and what it would take.
    pub fn usable(&self, kernel: &Rc<dyn Kernel>) -> Result<(), Refusal> {
        (self.usable)(kernel)
    }
}

impl Choice {
    /// That of a name; none where there is no such engine.
    pub fn named(name: &str) -> Option<Self> {
        if name == "auto" {
            return Some(Self::Auto);
        }
        ENGINES.iter().find(|row| row.name == name).map(Self::Only)
    }

    /// Whether plans are followed at the hit itself by the engine that is meant.
    pub fn works_at_hits(self, kernel: &Rc<dyn Kernel>) -> bool {
        match self {
            Self::Auto => self.take(kernel).is_ok_and(|taken| taken.row.at_hits),
            Self::Only(row) => row.at_hits,
        }
    }

    /// Takes an engine.
    ///
    /// # Errors
    /// Why the one that is wanted can not be used, or none of them.
    pub fn take(self, kernel: &Rc<dyn Kernel>) -> Result<Taken, NoEngine> {
        self.take_for(kernel, false)
    }

    /// Takes an engine; where something is to be done at hits (`acts`) rather one that
    /// does, if any can be used.
    ///
    /// # Errors
    /// As [`Choice::take`].
    pub fn take_for(
        self,
        kernel: &Rc<dyn Kernel>,
        acts: bool,
    ) -> Result<Taken, NoEngine> {
        let best = self.first(kernel, |row| row.acts || !acts);
        match best {
            Err(_) if acts => self.first(kernel, |_| true),
            best => best,
        }
    }

    fn first(
        self,
        kernel: &Rc<dyn Kernel>,
        serves: impl Fn(&Row) -> bool,
    ) -> Result<Taken, NoEngine> {
        let mut refused = Vec::new();
        let wanted = match self {
            Self::Auto => ENGINES,
            Self::Only(row) => std::slice::from_ref(row),
        };
        for row in wanted {
            match (row.usable)(kernel) {
                Ok(()) if !serves(row) => refused.push((row.name, refusal::too_late())),
                Ok(()) => return Ok(Taken { row, refused: NoEngine(refused) }),
                Err(refusal) => refused.push((row.name, refusal)),
            }
        }
        Err(NoEngine(refused))
    }
}

/// Engines that can not be used here, the best first, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoEngine(Vec<(&'static str, Refusal)>);

impl NoEngine {
    /// Each reason once, with the names of all engines that it holds for:
    /// `bpf and perf`.
    pub fn reasons(&self) -> Vec<(String, &Refusal)> {
        let mut reasons: Vec<(String, &Refusal)> = Vec::new();
        for (name, refusal) in &self.0 {
            match reasons.iter_mut().find(|(_, known)| *known == refusal) {
                Some((names, _)) => *names = format!("{names} and {name}"),
                None => reasons.push(((*name).to_owned(), refusal)),
            }
        }
        reasons
    }
}

/// `not bpf: …; not perf: …`
impl fmt::Display for NoEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = self.reasons();
        let reasons =
            reasons.iter().map(|(names, refusal)| format!("not {names}: {refusal}"));
        f.write_str(&reasons.collect::<Vec<_>>().join("; "))
    }
}

/// An engine that is taken.
#[derive(Debug)]
pub struct Taken {
    row: &'static Row,
    /// Why those were not that are better.
    refused: NoEngine,
}

impl Taken {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.row.name
    }

    /// Whether it runs programs at hits.
    pub(crate) fn runs_programs(&self) -> bool {
        self.row.at_hits
    }

    /// Watches that a thread can have.
    pub(crate) fn capacity(&self) -> usize {
        self.row.capacity
    }

    /// Whether watches take debug registers.
    pub(crate) fn has_registers(&self) -> bool {
        self.row.capacity != usize::MAX
    }

    /// Whether more of them can take turns.
    pub(crate) fn passes(&self) -> bool {
        self.row.passes
    }

    /// A new one of it, not armed yet.
    pub(crate) fn open(
        &self,
        kernel: &Rc<dyn Kernel>,
        options: PerfOptions,
    ) -> Box<dyn Engine> {
        (self.row.open)(kernel, options)
    }

    /// Whether a better one can not be used here.
    pub fn is_second_best(&self) -> bool {
        !self.refused.0.is_empty()
    }

    /// Which, and what a better one would take: `engine perf, samples of …; not bpf: …`.
    pub fn why(&self) -> String {
        let Self { row, refused } = self;
        let line = format!("engine {}, {}", row.name, row.what);
        if self.is_second_best() { format!("{line}; {refused}") } else { line }
    }
}
