//! Watches that take turns on registers: when, and what is to be done for those that come
//! and those that go.

mod pace;

use hwtrace_runtime::engine::{Pass, Passed, Turn};
use hwtrace_runtime::slots::turns::Turns;

pub(crate) use pace::Pace;

use super::{Armed, most_ns};

/// Whose turn it is, and until when.
pub(crate) struct Rotation {
    turns: Turns,
    /// When the turn ends, by CLOCK_MONOTONIC.
    pace: Pace,
    /// Whether other watches are wanted than when registers were passed on last.
    changed: bool,
}

impl Rotation {
    pub(crate) fn new(turns: Turns, pace: Pace) -> Self {
        Self { turns, pace, changed: false }
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

    /// Whether there is anybody to take turns with.
    pub(crate) fn rotates(&self) -> bool {
        self.turns.rotates()
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
        let cost = most_ns(self.engine.learns());
        self.counts.borrow_mut().begin(self.registers.sees(), carries, cost, now);
    }

    /// Whether a watch may have a register at some times only.
    pub(crate) fn takes_turns(&self, watch: usize) -> bool {
        let rotation = self.rotation.as_ref().filter(|it| it.turns.rotates());
        rotation.is_some_and(|it| !it.turns.keeps(watch))
    }

    /// Whether a watch has a register now.
    pub(crate) fn carries(&self, watch: usize) -> bool {
        self.rotation.as_ref().is_none_or(|it| it.carries(watch))
    }

    /// In how many nanoseconds the turn ends; none where nobody takes turns.
    pub(super) fn turn_ends_in(&self, now: u64) -> Option<u64> {
        let rotation = self.rotation.as_ref().filter(|it| it.turns.rotates())?;
        Some(rotation.pace.ends_in(now))
    }

    /// Ends the turn, if it is over: passes registers on to those who are next.
    pub(super) fn take_turns(&mut self) {
        let now = self.surroundings.kernel.clock();
        if self.turn_ends_in(now) != Some(0) {
            return;
        }
        let Some(rotation) = &mut self.rotation else { return };
        // The first turn begins when the target goes on.
        let passes = match rotation.pace.has_begun() {
            true => rotation.turns.advance(),
            false => Vec::new(),
        };
        self.pass_on(&passes);
        if let Some(rotation) = &mut self.rotation {
            let begun = self.surroundings.kernel.clock();
            rotation.pace.begin(now, begun, &mut rotation.turns);
        }
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
        let times = passed.off.iter().zip(&passed.on);
        for (pass, (off, on)) in passes.iter().zip(times) {
            let held = self.tracker.came_back(pass.to, passed.since, &mut self.memory);
            self.settle(&held);
            let comes = self.on[pass.to] && !passed.failed.contains(&pass.to);
            let coverage = &mut self.counts.borrow_mut().coverage;
            coverage.turn(pass.from, false, *off);
            coverage.turn(pass.to, comes, *on);
            if let Some(relief) = &mut self.relief {
                relief.turn(pass.from, false, *off);
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
}
