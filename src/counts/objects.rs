//! Counts of objects that come and go: each cell has its own as long as it is there, and
//! what it saw stays.

use std::collections::HashMap;

use hwtrace_runtime::slots::coverage::{Coverage, Estimate};

/// The numbers of cells, apart from those of watches.
const FIRST: u32 = 1 << 31;

/// Counts of the cells that objects lie in.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    cells: HashMap<u32, Cell>,
    given: u32,
    /// By request: what those that have gone saw.
    gone: Vec<Estimate>,
}

/// The only watch of its coverage.
const WATCH: usize = 0;

#[derive(Clone, Debug)]
struct Cell {
    coverage: Coverage,
    /// By request, as far as one looks at it.
    tallies: Vec<(usize, usize)>,
}

impl Objects {
    /// A cell that waits for a register; gives its number.
    pub(super) fn add(&mut self, now: u64) -> u32 {
        let mut coverage = Coverage::new(1);
        coverage.want(WATCH, true, now);
        let number = FIRST | self.given;
        self.given = (self.given + 1) & !FIRST;
        self.cells.insert(number, Cell { coverage, tallies: Vec::new() });
        number
    }

    /// A request looks at a cell.
    pub(super) fn join(&mut self, number: u32, request: usize) {
        let Some(cell) = self.cells.get_mut(&number) else { return };
        if cell.tallies.iter().all(|(own, _)| *own != request) {
            cell.tallies.push((request, cell.coverage.tally(WATCH)));
        }
    }

    /// A cell has a register from now on, or not.
    pub(super) fn turn(&mut self, number: u32, on: bool, now: u64) {
        if let Some(cell) = self.cells.get_mut(&number) {
            cell.coverage.turn(WATCH, on, now);
        }
    }

    /// Nobody watches a cell any more, since a time at which it may not have had its last
    /// turn yet.
    pub(super) fn remove(&mut self, number: u32, now: u64) {
        let Some(mut cell) = self.cells.remove(&number) else { return };
        cell.coverage.turn(WATCH, false, now);
        cell.coverage.want(WATCH, false, now);
        for (request, tally) in cell.tallies {
            if self.gone.len() <= request {
                let none = || [].into_iter().sum::<Estimate>();
                self.gone.resize_with(request + 1, none);
            }
            let estimate = cell.coverage.estimate(tally, now);
            // A turn may have ended after it went, before that was known.
            let on_ns = estimate.on_ns.min(estimate.wanted_ns);
            self.gone[request] = self.gone[request] + Estimate { on_ns, ..estimate };
        }
    }

    /// Whether a number is that of a cell.
    pub(super) fn has(number: u32) -> bool {
        number >= FIRST
    }

    pub(super) fn fired(&mut self, request: usize, number: u32, time: u64) {
        let Some(cell) = self.cells.get_mut(&number) else { return };
        let tally = cell.tallies.iter().find(|(own, _)| *own == request);
        if let Some((_, tally)) = tally {
            cell.coverage.hit(*tally, time);
        }
    }

    /// What a request saw of all cells; nothing where it never looked at any.
    pub(super) fn of(&self, request: usize, now: u64) -> Estimate {
        let cells = self.cells.values();
        let estimates = cells.filter_map(|cell| {
            let (_, tally) = cell.tallies.iter().find(|(own, _)| *own == request)?;
            Some(cell.coverage.estimate(*tally, now))
        });
        estimates.chain(self.gone.get(request).copied()).sum()
    }

    pub(super) fn share(&self, number: u32, now: u64) -> f64 {
        self.cells.get(&number).map_or(1.0, |cell| cell.coverage.share(WATCH, now))
    }

    /// How many requests may have looked at any.
    pub(super) fn requests(&self) -> usize {
        let tallies = self.cells.values().flat_map(|cell| &cell.tallies);
        let most = tallies.map(|(request, _)| request + 1).max();
        most.unwrap_or(0).max(self.gone.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_stays_when_the_object_has_gone() {
        let mut objects = Objects::default();
        let (first, second) = (objects.add(0), objects.add(0));
        objects.join(first, 1);
        objects.join(second, 1);
        objects.join(second, 1);
        objects.turn(first, true, 0);
        for time in 1..=10 {
            objects.fired(1, first, time);
            objects.fired(0, first, time);
            objects.fired(1, second, time);
        }
        objects.turn(second, true, 50);
        let both = objects.of(1, 100);
        assert_eq!((both.seen, both.on_ns, both.wanted_ns), (20, 150, 200));
        objects.remove(first, 100);
        objects.remove(first, 100);
        assert_eq!(objects.of(1, 100), both);
        assert_eq!(objects.of(1, 200).wanted_ns, 300);
        assert_eq!((objects.of(0, 100).seen, objects.requests()), (0, 2));
        assert!(Objects::has(first) && !Objects::has(1000));
    }

    #[test]
    fn what_is_watched_in_vain_once_it_has_gone_does_not_count() {
        let mut objects = Objects::default();
        let cell = objects.add(0);
        objects.join(cell, 0);
        // It goes at 80, which is known at 200 only.
        objects.turn(cell, true, 60);
        objects.remove(cell, 80);
        let late = objects.add(100);
        objects.join(late, 0);
        objects.turn(late, true, 150);
        objects.remove(late, 120);
        let ended = objects.add(100);
        objects.join(ended, 0);
        objects.turn(ended, true, 110);
        objects.turn(ended, false, 150);
        objects.remove(ended, 120);
        let all = objects.of(0, 200);
        assert_eq!((all.on_ns, all.wanted_ns), (20 + 20, 80 + 20 + 20));
    }
}
