//! How watches share registers that do not suffice for all.

use std::time::Duration;

/// How watches share registers that do not suffice for all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sharing {
    /// Whether they take turns; else it is an error that there are too few.
    pub rotate: bool,
    /// How long a turn is at least.
    pub slice: Duration,
    /// Whether threads without a free register are left out; else it is an error that there
    /// are any.
    pub partial: bool,
    /// The share of a processor's time that hits may take, above 0: watches that are hit more
    /// often are watched part of the time. None: they may take all.
    pub max_overhead: Option<f64>,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { rotate: true, slice: SLICE, partial: false, max_overhead: None }
    }
}

/// How long a turn is, unless asked for otherwise.
pub const SLICE: Duration = Duration::from_millis(10);
