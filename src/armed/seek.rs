//! Looks for processes that nobody reports: without the right to see what all tasks do.

use hwtrace_probes::process::processes_of;

use crate::session::Request;

/// How often, in nanoseconds.
const EVERY_NS: u64 = 100_000_000;

/// What is looked for, and when.
pub(crate) struct Seek {
    executables: Vec<String>,
    /// When it was last looked for, in nanoseconds of CLOCK_MONOTONIC.
    last: u64,
}

impl Seek {
    /// Looks for what requests ask for.
    pub(crate) fn of(requests: &[Request], now: u64) -> Self {
        let executables = requests.iter().filter_map(|request| request.data.executable());
        let mut executables: Vec<_> = executables.map(str::to_owned).collect();
        executables.sort_unstable();
        executables.dedup();
        Self { executables, last: now }
    }

    /// The processes that run any of it, where it is time to look, with the time
    /// since when they may have been there.
    pub(crate) fn look(&mut self, now: u64) -> Vec<(u32, u64)> {
        if now < self.last + EVERY_NS {
            return Vec::new();
        }
        let since = std::mem::replace(&mut self.last, now);
        let found = self.executables.iter().flat_map(|path| processes_of(path));
        found.map(|pid| (pid, since)).collect()
    }

    /// What is to be said of it at the end.
    pub(crate) fn remark(&self) -> String {
        let milliseconds = EVERY_NS / 1_000_000;
        format!(
            "processes that start were looked for every {milliseconds} ms, as this user may \
             not see them start: run as root, or with CAP_PERFMON, to miss less of them"
        )
    }
}
