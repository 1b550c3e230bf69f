//! What a session counts of what was armed after its start, for its last lines.

use std::collections::BTreeMap;
use std::time::Duration;

use hwtrace_probes::resolve::ResolveError;
use hwtrace_runtime::engine;

use super::Refused;
use crate::report::counted;
use crate::session::Request;

/// Counted as it happens.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// What was armed before the target went on.
    pub(crate) at_start: engine::Armed,
    /// By request: how often its watches moved with a pointer.
    pub(crate) moved: Vec<u64>,
    /// Processes that executed another image, which has none of the data.
    pub(crate) executed: u64,
    /// Processes that were armed after the start, and their threads.
    processes: Later,
    pub(crate) threads_of_processes: u64,
    /// Threads whose own data was armed after their birth.
    threads: Later,
    /// By request: libraries that were armed after they were mapped.
    libraries: BTreeMap<usize, Later>,
    /// Why something was not armed, with how often.
    refused: BTreeMap<String, u64>,
}

/// How often something was armed late, and by how much at most.
#[derive(Clone, Copy, Debug, Default)]
struct Later {
    count: u64,
    /// Nanoseconds.
    most: u64,
}

impl Later {
    fn note(&mut self, after: Option<u64>) {
        self.count += 1;
        self.most = self.most.max(after.unwrap_or(0));
    }
}

impl Figures {
    pub(crate) fn new(requests: usize) -> Self {
        Self { moved: vec![0; requests], ..Self::default() }
    }

    pub(crate) fn later_process(&mut self, armed: engine::Armed, after: Option<u64>) {
        self.processes.note(after);
        self.threads_of_processes += u64::from(armed.threads);
    }

    pub(crate) fn later_thread(&mut self, after: Option<u64>) {
        self.threads.note(after);
    }

    pub(crate) fn later_library(&mut self, request: usize, after: Option<u64>) {
        self.libraries.entry(request).or_default().note(after);
    }

    pub(crate) fn refused(&mut self, refused: &Refused) {
        let text = format!("process {} was not armed: {}", refused.pid, refused.error);
        *self.refused.entry(text).or_default() += 1;
    }

    pub(crate) fn unknown_thread(&mut self, why: &ResolveError) {
        *self.refused.entry(why.to_string()).or_default() += 1;
    }

    /// What is to be said of it at the end.
    pub(crate) fn remarks(&self, requests: &[Request]) -> Vec<String> {
        let mut remarks = Vec::new();
        for (request, count) in requests.iter().zip(&self.moved) {
            if *count > 0 {
                let times = counted(*count, "time");
                remarks
                    .push(format!("`{}` moved {times} with its pointers", request.data));
            }
        }
        let late = |what: String, after: u64, since: &str| {
            let after = Duration::from_nanos(after);
            format!(
                "{what} armed up to {after:.1?} after {since}; what touched the data before \
                 that was not seen"
            )
        };
        for (request, later) in &self.libraries {
            let what = format!("`{}` was", requests[*request].data);
            remarks.push(late(what, later.most, "its library was mapped"));
        }
        for (later, noun, since) in [
            (self.processes, "process", "its start"),
            (self.threads, "thread", "its birth"),
        ] {
            if later.count > 0 {
                let what =
                    format!("{} that came later, each", counted(later.count, noun));
                remarks.push(late(what, later.most, since));
            }
        }
        let times = |(text, count): (&String, &u64)| match count {
            1 => text.clone(),
            more => format!("{text} ({more} times)"),
        };
        remarks.extend(self.refused.iter().map(times));
        remarks
    }
}
