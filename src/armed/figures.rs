//! What a session counts of what was armed after its start, for its last lines.

use std::collections::BTreeMap;
use std::time::Duration;

use hwtrace_probes::resolve::ResolveError;
use hwtrace_runtime::engine::{self, ArmError, Shortfall};

use super::Refused;
use crate::instances::Place;
use crate::report::{self, counted};
use crate::session::Request;

/// Counted as it happens.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// What was armed before the target went on.
    pub(crate) at_start: engine::Armed,
    /// Registers that others hold on some thread.
    pub(crate) held: usize,
    /// Registers that hold what is the kernel's.
    kernel: u32,
    /// Registers that hold what is a process's, at most.
    shared: u32,
    /// Registers that hold what is a thread's own, at most.
    own: u32,
    /// By request: whether its data was ever there, and why not.
    came: Vec<Came>,
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
    /// By request: how many threads were given their own data after they had started.
    rooms: BTreeMap<usize, u64>,
    /// Threads that were left out, by process, the first of these; and whether what they
    /// create is, too.
    left_out: Vec<(u32, Shortfall, bool)>,
    /// How many there are in all.
    left_out_threads: u64,
    /// Why something was not armed, with how often.
    refused: BTreeMap<String, u64>,
    /// How often something was not armed besides.
    refused_besides: u64,
}

/// So many reasons are told of: each may name a process of its own.
const REASONS_MAX: usize = 16;

/// Whether some data was ever there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Came {
    /// Nobody had it who could.
    #[default]
    NoProcess,
    /// It might have come.
    NotYet(String),
    /// It did.
    Yes,
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
        let came = vec![Came::default(); requests];
        Self { moved: vec![0; requests], came, ..Self::default() }
    }

    /// Where the data is in a process, by request.
    pub(crate) fn places(&mut self, places: &[Place]) {
        for (request, place) in places.iter().enumerate() {
            self.place(request, place);
        }
    }

    /// Where the data of a request is in a process.
    pub(crate) fn place(&mut self, request: usize, place: &Place) {
        let came = &mut self.came[request];
        match place {
            Place::At(_) | Place::EachThread(_) | Place::Told => *came = Came::Yes,
            Place::Pending { why, .. } if *came != Came::Yes => {
                *came = Came::NotYet(why.to_string());
            }
            _ => {}
        }
    }

    /// Threads of a process were left out, and with `heirs` what they create.
    pub(crate) fn leave_out(&mut self, pid: u32, short: &Shortfall, heirs: bool) {
        self.left_out_threads += u64::from(short.threads);
        if short.threads > 0 && self.left_out.len() < REASONS_MAX {
            self.left_out.push((pid, short.clone(), heirs));
        }
    }

    /// Threads that were left out.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out_threads
    }

    /// A process has so many registers in use.
    pub(crate) fn shared(&mut self, slots: u32) {
        self.shared = self.shared.max(slots);
    }

    /// Registers in use, at most.
    pub(crate) fn slots(&self) -> u32 {
        self.kernel + self.shared + self.own
    }

    /// All CPUs have so many registers in use for the kernel's data.
    pub(crate) fn kernel_registers(&mut self, slots: u32) {
        self.kernel = slots;
    }

    pub(crate) fn later_process(&mut self, armed: engine::Armed, after: Option<u64>) {
        self.processes.note(after);
        self.threads_of_processes += u64::from(armed.threads);
    }

    /// So many registers hold what is a thread's own.
    pub(crate) fn own_registers(&mut self, count: usize) {
        self.own = self.own.max(count as u32);
    }

    pub(crate) fn later_thread(&mut self, after: Option<u64>) {
        self.threads.note(after);
    }

    pub(crate) fn room_came(&mut self, request: usize) {
        *self.rooms.entry(request).or_default() += 1;
    }

    pub(crate) fn later_library(&mut self, request: usize, after: Option<u64>) {
        self.libraries.entry(request).or_default().note(after);
    }

    pub(crate) fn refused(&mut self, refused: &Refused) {
        self.reason(format!("process {} was not armed: {}", refused.pid, refused.error));
    }

    /// Registers could not be passed on.
    pub(crate) fn not_passed(&mut self, error: &ArmError) {
        self.reason(format!("watches could not take their turns: {error}"));
    }

    /// A watch could not be put where it is when it was its turn.
    pub(crate) fn turn_failed(&mut self, name: &str) {
        self.reason(format!("`{name}` could not be watched at its turn"));
    }

    pub(crate) fn unknown_thread(&mut self, why: &ResolveError) {
        self.reason(why.to_string());
    }

    fn reason(&mut self, text: String) {
        let is_full = self.refused.len() == REASONS_MAX;
        match is_full && !self.refused.contains_key(&text) {
            true => self.refused_besides += 1,
            false => *self.refused.entry(text).or_default() += 1,
        }
    }

    /// What is to be said of it at the end.
    pub(crate) fn remarks(&self, requests: &[Request], asked: &[bool]) -> Vec<String> {
        let asked = asked.iter().zip(requests.iter().zip(&self.came));
        let asked = asked.filter(|(asked, _)| **asked).map(|(_, request)| request);
        let mut remarks: Vec<_> =
            asked.filter_map(|(request, came)| never_came(request, came)).collect();
        for (request, count) in requests.iter().zip(&self.moved) {
            if *count > 0 && request.data.follows() {
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
            let data = &requests[*request].data;
            let what = match later.count {
                1 => format!("`{data}` was"),
                more => format!("`{data}` came {more} times, each"),
            };
            remarks.push(late(what, later.most, "its library was mapped"));
        }
        for (later, noun, since) in [
            (self.processes, "program", "its start"),
            (self.threads, "thread", "its birth"),
        ] {
            if later.count > 0 {
                let what =
                    format!("{} that started later, each", counted(later.count, noun));
                remarks.push(late(what, later.most, since));
            }
        }
        for (request, count) in &self.rooms {
            let (data, threads) = (&requests[*request].data, counted(*count, "thread"));
            remarks.push(format!(
                "{threads} got `{data}` at the first access to it, which was not seen"
            ));
        }
        if self.held > 0 {
            remarks.push(format!(
                "others hold {}: watches took turns on the rest",
                counted(self.held as u64, "debug register")
            ));
        }
        let left_out = self.left_out.iter();
        remarks.extend(left_out.map(|(pid, short, heirs)| {
            format!(
                "{} of process {pid} not watched{}: {}",
                counted(short.threads.into(), "thread"),
                if *heirs { ", nor what they create" } else { "" },
                report::shortfall(short)
            )
        }));
        let times = |(text, count): (&String, &u64)| match count {
            1 => text.clone(),
            more => format!("{text} ({more} times)"),
        };
        remarks.extend(self.refused.iter().map(times));
        if self.refused_besides > 0 {
            let more = counted(self.refused_besides, "more such remark");
            remarks.push(format!("{more} left out"));
        }
        remarks
    }
}

/// What is said of data that was not there all the time.
fn never_came(request: &Request, came: &Came) -> Option<String> {
    let data = &request.data;
    match came {
        Came::Yes => None,
        Came::NotYet(why) => Some(format!("`{data}` never came: {why}")),
        Came::NoProcess => {
            let executable = data.executable()?;
            Some(format!("`{data}` never came: nothing ran `{executable}`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_refusals_has_a_bound() {
        let mut figures = Figures::new(0);
        let refused = |pid| Refused { pid, error: ArmError::Gone { pid } };
        (0..20).chain([0, 0]).for_each(|pid| figures.refused(&refused(pid)));
        let remarks = figures.remarks(&[], &[]);
        assert_eq!(remarks.len(), REASONS_MAX + 1);
        assert!(remarks[0].ends_with("(3 times)"), "{remarks:?}");
        assert_eq!(
            remarks.last().map(String::as_str),
            Some("4 more such remarks left out")
        );
    }
}
