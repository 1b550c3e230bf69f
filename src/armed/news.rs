//! What happens to processes that asks for an answer.

use hwtrace_runtime::event::Event;

use crate::instances::{Instance, Place};
use crate::session::{Data, Request};

/// Something that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A process executes another image.
    Executed {
        /// The process.
        pid: u32,
        /// CLOCK_MONOTONIC in nanoseconds.
        time: u64,
    },
    /// A process has mapped a file.
    Mapped {
        /// The process.
        pid: u32,
        /// CLOCK_MONOTONIC in nanoseconds.
        time: u64,
    },
    /// A thread was born.
    Born {
        /// Its process.
        pid: u32,
        /// The thread.
        tid: u32,
        /// CLOCK_MONOTONIC in nanoseconds.
        time: u64,
    },
    /// A pointer was stored to that data is reached by.
    Stored {
        /// The process.
        pid: u32,
        /// The request for the data.
        request: usize,
    },
}

/// What of it is of interest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interest {
    /// By request: whether its data is in a library.
    libraries: Vec<bool>,
    /// Whether threads have data of their own.
    threads: bool,
    /// Whether any pointer is followed.
    pointers: bool,
}

impl Interest {
    pub(crate) fn of(requests: &[Request]) -> Self {
        let libraries = requests.iter().map(|request| match &request.data {
            Data::Process(data) => data.expression.module().is_some(),
            Data::Kernel(_) => false,
        });
        let follows = |request: &Request| match &request.data {
            Data::Process(data) => data.follow,
            Data::Kernel(_) => false,
        };
        Self {
            libraries: libraries.collect(),
            threads: false,
            pointers: requests.iter().any(follows),
        }
    }

    /// What a process makes interesting.
    pub(crate) fn note(&mut self, instance: &Instance) {
        for (request, place) in instance.places.iter().enumerate() {
            match place {
                Place::EachThread(_) => self.threads = true,
                // A library may bring it.
                Place::Pending { .. } => self.libraries[request] = true,
                _ => {}
            }
        }
    }

    pub(crate) fn in_library(&self, request: usize) -> bool {
        self.libraries.get(request).copied().unwrap_or(false)
    }

    /// Whether memory is waited for that nothing reports.
    pub(crate) fn waits(&self) -> bool {
        self.pointers
    }

    /// What an event means. An exec is answered when it comes in its turn, as the
    /// engine then knows of it.
    pub(crate) fn in_event(&self, event: &Event<'_>) -> Option<News> {
        match *event {
            Event::Mmap { time, pid, .. } if self.libraries.contains(&true) => {
                Some(News::Mapped { pid, time })
            }
            Event::Fork { time, pid, tid, .. } if self.threads && pid != tid => {
                Some(News::Born { pid, tid, time })
            }
            _ => None,
        }
    }
}
