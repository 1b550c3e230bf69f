//! The numbers that hits take at a gate: programs and we take of the same ones.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Board;
use crate::bpf::board::{TICKETS, WATCHES, counter};

/// Where the numbers of an engine's watches are: on the board of its programs, once there
/// is one.
#[derive(Clone, Default)]
pub(in crate::engine) struct Counters(Rc<RefCell<Option<Rc<Board>>>>);

/// The numbers of a watch's [gate](crate::plan::Gate).
#[derive(Clone)]
pub struct Tickets {
    counters: Counters,
    at: usize,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Counters {
    /// From now on they are on this board.
    pub(super) fn set(&self, board: &Rc<Board>) {
        *self.0.borrow_mut() = Some(Rc::clone(board));
    }

    /// Those of a watch; none where its program has no counters.
    pub(in crate::engine) fn of(&self, watch: usize) -> Option<Tickets> {
        let at = counter(watch, TICKETS);
        (watch < WATCHES).then(|| Tickets { counters: self.clone(), at })
    }
}

impl Tickets {
    /// Takes one for a hit; the first is 1.
    pub fn take(&self) -> u64 {
        self.word(|word| word.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// How many were taken.
    pub fn taken(&self) -> u64 {
        self.word(|word| word.load(Ordering::Relaxed))
    }

    /// Nothing was taken where no program was loaded yet.
    fn word(&self, does: impl Fn(&AtomicU64) -> u64) -> u64 {
        let board = self.counters.0.borrow();
        let memory = board.as_ref().and_then(|board| board.memory.as_ref());
        memory.map_or(0, |memory| does(memory.word(self.at)))
    }
}
