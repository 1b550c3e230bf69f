//! The engines there are, and which of them is taken.

use std::rc::Rc;

use hwtrace_runtime::engine::perf::{self, PerfEngine, PerfOptions};
use hwtrace_runtime::engine::ptrace::{self, PtraceEngine};
use hwtrace_runtime::engine::{Engine, bpf};
use hwtrace_runtime::kernel::Kernel;
use hwtrace_runtime::slots;

/// An engine, as `--engine` knows it.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it is, for help and for the line that says which was taken.
    pub what: &'static str,
    /// Whether it does at the hit itself what plans say.
    at_hits: bool,
    /// Watches that a thread can have.
    capacity: usize,
    /// Why it can not be used here.
    usable: fn(&Rc<dyn Kernel>) -> Result<(), String>,
    open: fn(&Rc<dyn Kernel>, PerfOptions) -> Box<dyn Engine>,
}

/// All engines, the best first.
pub static ENGINES: &[Row] = &[
    Row {
        name: "bpf",
        what: "programs that filter and read at the hit itself",
        at_hits: true,
        capacity: slots::CAPACITY,
        usable: |kernel| bpf::probe(kernel).map_err(|error| error.to_string()),
        open: |kernel, options| {
            Box::new(PerfEngine::with_programs(Rc::clone(kernel), options))
        },
    },
    Row {
        name: "perf",
        what: "samples of perf's hardware breakpoints",
        at_hits: false,
        capacity: slots::CAPACITY,
        usable: |kernel| perf::probe(&**kernel),
        open: |kernel, options| Box::new(PerfEngine::new(Rc::clone(kernel), options)),
    },
    Row {
        name: "ptrace",
        what: "debug registers by ptrace, which stops the thread at each hit",
        at_hits: false,
        capacity: slots::CAPACITY,
        usable: ptrace::probe,
        open: |kernel, options| {
            Box::new(PtraceEngine::new(Rc::clone(kernel)).prompt(options.prompt))
        },
    },
    Row {
        name: "step",
        what: "single steps, some tens of microseconds for each instruction",
        at_hits: false,
        capacity: usize::MAX,
        usable: ptrace::probe_steps,
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
    pub fn take(self, kernel: &Rc<dyn Kernel>) -> Result<Taken, String> {
        let mut refused = Vec::new();
        let wanted = match self {
            Self::Auto => ENGINES,
            Self::Only(row) => std::slice::from_ref(row),
        };
        for row in wanted {
            match (row.usable)(kernel) {
                Ok(()) => return Ok(Taken { row, refused }),
                Err(why) => refused.push(format!("not {}: {why}", row.name)),
            }
        }
        Err(refused.join("; "))
    }
}

/// An engine that is taken.
#[derive(Debug)]
pub struct Taken {
    row: &'static Row,
    /// Why those were not that are better.
    refused: Vec<String>,
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
        !self.refused.is_empty()
    }

    /// Which, and why: `engine perf, samples of …; not bpf: …`.
    pub fn why(&self) -> String {
        let mut line = format!("engine {}, {}", self.row.name, self.row.what);
        for refused in &self.refused {
            line.push_str("; ");
            line.push_str(refused);
        }
        line
    }
}
