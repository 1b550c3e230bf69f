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

impl News {
    /// Adds it to others that wait for an answer, unless that answers this one, too:
    /// where data is, is looked at as it is then, however often it was told of.
    pub(crate) fn note(self, all: &mut Vec<Self>) {
        if !all.iter().any(|other| other.answers(&self)) {
            all.push(self);
        }
    }

    fn answers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mapped { pid, .. }, Self::Mapped { pid: other, .. }) => pid == other,
            (Self::Stored { .. }, Self::Stored { .. }) => self == other,
            _ => false,
        }
    }
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
            Data::Kernel(_) | Data::Objects(_) => false,
        });
        let follows = |request: &Request| match &request.data {
            Data::Process(data) => data.follow,
            Data::Kernel(_) | Data::Objects(_) => false,
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

    /// Whether pointers are followed: they may come to lead somewhere without a store
    /// that is reported.
    pub(crate) fn follows(&self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_data_is_is_looked_for_once_a_round() {
        let stored = |pid, request| News::Stored { pid, request };
        let mapped = |pid, time| News::Mapped { pid, time };
        let born = News::Born { pid: 1, tid: 2, time: 3 };
        let told = [
            (stored(1, 0), true),
            (mapped(1, 5), true),
            (stored(1, 1), true),
            (stored(1, 0), false),
            (mapped(1, 6), false),
            (mapped(2, 6), true),
            (born, true),
            (born, true),
        ];
        let mut news = Vec::new();
        told.iter().for_each(|(one, _)| one.note(&mut news));
        let kept = told.iter().filter(|(_, kept)| *kept).map(|(one, _)| *one);
        assert_eq!(news, kept.collect::<Vec<_>>());
    }
}
