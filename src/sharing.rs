//! How watches share registers that do not suffice for all.

use std::time::Duration;

use crate::engines::Taken;

/// How watches share registers that do not suffice for all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sharing {
    /// Whether they take turns; else it is an error that there are too few.
    pub rotate: bool,
    /// How long a turn is at least.
    pub slice: Duration,
    /// How many debug registers of each thread are taken at most, so that the others are
    /// left to debuggers and other tracers; at least 1. None: all that there are.
    pub registers: Option<usize>,
    /// Whether threads without a free register are left out; else it is an error that there
    /// are any.
    pub partial: bool,
    /// The share of a processor's time that hits may take, above 0: watches that are hit more
    /// often are watched part of the time. None: they may take all.
    pub max_overhead: Option<f64>,
}

impl Default for Sharing {
    fn default() -> Self {
        Self {
            rotate: true,
            slice: SLICE,
            registers: None,
            partial: false,
            max_overhead: None,
        }
    }
}

impl Sharing {
    /// How many watches a thread can have at a time.
    pub(crate) fn capacity(&self, taken: &Taken) -> usize {
        let allowed = self.registers.filter(|_| taken.has_registers());
        taken.capacity().min(allowed.unwrap_or(usize::MAX))
    }

    /// What is asked for and means nothing to an engine, as sentences.
    pub(crate) fn unserved(&self, taken: &Taken) -> Vec<String> {
        if taken.has_registers() {
            return Vec::new();
        }
        let (no_registers, steps) =
            ("takes no registers", "takes its time for each instruction, hit or not");
        let asked = [
            (self.registers.is_some(), "--registers", no_registers),
            (self.partial, "--partial", no_registers),
            (self.max_overhead.is_some(), "--max-overhead", steps),
        ];
        let engine = taken.name();
        let asked = asked.iter().filter(|(asked, ..)| *asked);
        let options = asked.map(|(_, option, why)| {
            format!("`{option}` makes no difference: the engine `{engine}` {why}")
        });
        options.collect()
    }
}

/// How watches may share, and whether an engine serves it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Means {
    /// What is asked for.
    pub(crate) sharing: Sharing,
    /// Whether the engine has watches take turns.
    pub(crate) passes: bool,
}

impl Means {
    /// Whether watches take turns where registers are too few.
    pub(crate) fn take_turns(&self) -> bool {
        self.sharing.rotate && self.passes
    }
}

/// How long a turn is, unless asked for otherwise.
pub const SLICE: Duration = Duration::from_millis(10);
