//! The numbers that hits take at a gate: programs and we take of the same ones.

use std::fmt;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::Board;
use crate::bpf::board::{TICKETS, WATCHES, counter};

/// The numbers of a watch's [gate](crate::plan::Gate).
#[derive(Clone)]
pub struct Tickets {
    board: Rc<Board>,
    at: usize,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Tickets {
    /// None of a watch whose program has no counters.
    pub(super) fn new(board: &Rc<Board>, watch: usize) -> Option<Self> {
        let there = watch < WATCHES && board.memory.is_some();
        there.then(|| Self { board: Rc::clone(board), at: counter(watch, TICKETS) })
    }

    /// Takes one for a hit; the first is 1.
    pub fn take(&self) -> u64 {
        let memory = self.board.memory.as_ref();
        memory.map_or(0, |it| it.word(self.at).fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// How many were taken.
    pub fn taken(&self) -> u64 {
        let memory = self.board.memory.as_ref();
        memory.map_or(0, |it| it.word(self.at).load(Ordering::Relaxed))
    }
}
