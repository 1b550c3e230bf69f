//! Watches that take turns on registers: when, and what is to be done for those that come
//! and those that go.

use std::time::Duration;

use hwtrace_runtime::engine::{Pass, Passed, Turn};
use hwtrace_runtime::slots::turns::Turns;

use super::Armed;

/// Passing registers on takes one part in so many of the time at most: where it takes long,
/// as there are many threads, turns are longer.
const COST_PARTS: u64 = 50;

/// That is the least of so many.
const COSTS: usize = 8;

/// Whose turn it is, and until when.
pub(crate) struct Rotation {
    turns: Turns,
    slice: Duration,
    /// How long the last ones took to begin, nanoseconds.
    costs: [u64; COSTS],
    /// Whether other watches are wanted than when registers were passed on last.
    changed: bool,
    /// When the turn ends, nanoseconds of CLOCK_MONOTONIC; none before the first begins.
    until: Option<u64>,
}

impl Rotation {
    /// Turns of `slice` at least.
    pub(crate) fn new(turns: Turns, slice: Duration) -> Self {
        Self { turns, slice, costs: [0; COSTS], changed: false, until: None }
    }

    /// How each watch has a register at first.
    pub(crate) fn first(&self) -> Vec<Turn> {
        let stays = |watch| !self.turns.rotates() || self.turns.keeps(watch);
        let carried = self.turns.carried().iter().enumerate();
        let turn = |(watch, carried): (usize, &bool)| match (stays(watch), carried) {
            (true, _) => Turn::Stays,
            (false, true) => Turn::Has,
            (false, false) => Turn::Waits,
        };
        carried.map(turn).collect()
    }

    /// Hits of a watch are wanted from now on, or not.
    pub(super) fn want(&mut self, watch: usize, wants: bool) {
        self.turns.want(watch, wants);
        self.changed = true;
    }

    /// Whether a watch has a register now.
    fn carries(&self, watch: usize) -> bool {
        self.turns.carried().get(watch).copied().unwrap_or(true)
    }
}

impl Armed {
    /// Everything is armed: from now on time is counted.
    pub(crate) fn begin_counting(&self) {
        let now = self.surroundings.kernel.clock();
        let carries = |watch| self.carries(watch);
        self.counts.borrow_mut().begin(self.registers.sees(), carries, now);
    }

    /// Whether a watch has a register now.
    pub(crate) fn carries(&self, watch: usize) -> bool {
        self.rotation.as_ref().is_none_or(|it| it.carries(watch))
    }

    /// In how many nanoseconds the turn ends; none where nobody takes turns.
    pub(crate) fn turn_ends_in(&self, now: u64) -> Option<u64> {
        let rotation = self.rotation.as_ref().filter(|it| it.turns.rotates())?;
        Some(rotation.until.map_or(0, |until| until.saturating_sub(now)))
    }

    /// Ends the turn, if it is over: passes registers on to those who are next.
    pub(crate) fn take_turns(&mut self, now: u64) {
        if self.turn_ends_in(now) != Some(0) {
            return;
        }
        let Some(rotation) = &mut self.rotation else { return };
        // The first turn begins when the target goes on.
        let passes = match rotation.until {
            Some(_) => rotation.turns.advance(),
            None => Vec::new(),
        };
        self.pass_on(&passes);
        self.begin_turn(now);
    }

    /// Passes the registers of those whom nobody wants any more to others that wait.
    pub(crate) fn give_way(&mut self) {
        let Some(rotation) = &mut self.rotation else { return };
        if std::mem::take(&mut rotation.changed) {
            let passes = rotation.turns.relieve();
            self.pass_on(&passes);
        }
    }

    fn pass_on(&mut self, passes: &[Pass]) {
        if passes.is_empty() {
            return;
        }
        let mut held = Vec::new();
        for pass in passes {
            held.extend(self.tracker.comes_back(pass.to, &mut self.memory));
        }
        self.tell(&held);
        match self.engine.pass(passes) {
            Ok(passed) => self.passed(passes, &passed),
            Err(error) => self.figures.not_passed(&error),
        }
    }

    fn passed(&mut self, passes: &[Pass], passed: &Passed) {
        for (pass, on) in passes.iter().zip(&passed.on) {
            let doubtful =
                self.tracker.came_back(pass.to, passed.since, &mut self.memory);
            for held in doubtful {
                self.engine.doubt(held.whose, held.watch);
            }
            let comes = self.on[pass.to] && !passed.failed.contains(&pass.to);
            let coverage = &mut self.counts.borrow_mut().coverage;
            coverage.turn(pass.from, false, passed.off);
            coverage.turn(pass.to, comes, *on);
            if let Some(relief) = &mut self.relief {
                relief.turn(pass.from, false, passed.off);
                relief.turn(pass.to, true, *on);
            }
        }
        for watch in &passed.failed {
            for sees in &self.registers.sees()[*watch] {
                let data = self.requests[sees.request()].data.to_string();
                self.figures.turn_failed(&data);
            }
        }
    }

    /// The next turn is longer where it took long to come to it.
    fn begin_turn(&mut self, asked: u64) {
        let now = self.surroundings.kernel.clock();
        let Some(rotation) = &mut self.rotation else { return };
        rotation.costs.rotate_right(1);
        rotation.costs[0] = now.saturating_sub(asked);
        // What took longer once in a while was not the work.
        let cost = rotation.costs.iter().min().copied().unwrap_or(0);
        let least = Duration::from_nanos(cost.saturating_mul(COST_PARTS));
        let slice = rotation.turns.slice(rotation.slice.max(least));
        let slice = u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX);
        rotation.until = Some(now.saturating_add(slice));
    }
}
