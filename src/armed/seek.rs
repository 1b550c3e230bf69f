//! Looks for processes that nobody reports: without the right to see what all tasks do.

use hwtrace_probes::process::processes_of;

use crate::session::Request;

/// How often, in nanoseconds.
const EVERY_NS: u64 = 100_000_000;

/// What is looked for, and when.
pub(crate) struct Seek {
    executables: Vec<String>,
    /// CLOCK_MONOTONIC in nanoseconds.
    next: u64,
}

impl Seek {
    /// Looks for what requests ask for.
    pub(crate) fn of(requests: &[Request]) -> Self {
        let executables = requests.iter().filter_map(|request| request.data.executable());
        let mut executables: Vec<_> = executables.map(str::to_owned).collect();
        executables.sort_unstable();
        executables.dedup();
        Self { executables, next: 0 }
    }

    /// The processes that run any of it, where it is time to look.
    pub(crate) fn look(&mut self, now: u64) -> Vec<u32> {
        if now < self.next {
            return Vec::new();
        }
        self.next = now + EVERY_NS;
        self.executables.iter().flat_map(|executable| processes_of(executable)).collect()
    }

    /// What is to be said of it at the end.
    pub(crate) fn remark(&self) -> String {
        let milliseconds = EVERY_NS / 1_000_000;
        format!(
            "processes that start were looked for every {milliseconds} ms, as this user may \
             not see them start: run as root to miss less of them"
        )
    }
}
