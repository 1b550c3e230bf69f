//! Whose turn it is where there are fewer registers than watches.
//!
//! Each watch has a time of its own that goes on with each turn it has, the slower the
//! greater its weight, and those who are behind are next. Of those who are equal chance
//! decides, anew each time, so that each meets every other.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Scope, Slots};
use crate::engine::Pass;

/// How a watch takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Whether it keeps its register once it has it.
    pub pinned: bool,
    /// How much of the time it has one, compared to others; at least 1.
    pub weight: u32,
    /// With whom it shares.
    pub scope: Scope,
}

/// Which watches have a register, and who is next. There is as many who have one from the
/// beginning on: a register is passed on and never given back.
#[derive(Clone, Debug)]
pub struct Turns {
    watches: Vec<Watch>,
    carried: Vec<bool>,
    /// Those of processes, and those of the kernel.
    rounds: [Round; 2],
    chance: Chance,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    seat: Seat,
    wanted: bool,
    /// Its place among those of its scope, while it is wanted.
    at: At,
}

/// Who is next: the least. Its own time, then chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    time: u64,
    chance: u64,
    watch: usize,
}

/// Those who share registers.
#[derive(Clone, Debug, Default)]
struct Round {
    /// Who wants one, whether it has one or not.
    order: BTreeSet<At>,
    /// Who has one, wanted or not.
    carried: Vec<usize>,
    /// How far those are who had their turn last.
    time: u64,
}

/// Of the rounds.
fn index(scope: Scope) -> usize {
    usize::from(scope == Scope::Kernel)
}

/// How far a turn takes a watch of weight 1.
const STEP: u64 = 1 << 32;

impl Seat {
    /// Whether it takes no turns.
    fn keeps(&self) -> bool {
        self.pinned || self.scope == Scope::Own
    }
}

impl Turns {
    /// Of these watches, all of which are wanted; so many of those that are not pinned
    /// have a register at a time. Equal seeds give equal orders.
    pub fn new(seats: &[Seat], slots: Slots, seed: u64) -> Self {
        let mut turns = Self {
            watches: Vec::new(),
            carried: Vec::new(),
            rounds: Default::default(),
            chance: Chance::new(seed),
        };
        seats.iter().for_each(|seat| turns.push(*seat));
        for (scope, slots) in [(Scope::Tasks, slots.tasks), (Scope::Kernel, slots.kernel)]
        {
            let first = turns.choose(scope, slots, true);
            first.iter().for_each(|watch| turns.carried[*watch] = true);
            turns.round(scope).carried = first;
        }
        turns
    }

    /// By watch: whether it has a register.
    pub fn carried(&self) -> &[bool] {
        &self.carried
    }

    /// Whether a watch has a register all of the time.
    pub fn keeps(&self, watch: usize) -> bool {
        self.watches.get(watch).is_none_or(|watch| watch.seat.keeps())
    }

    /// Whether there is anybody to take turns with.
    pub fn rotates(&self) -> bool {
        let rotates = |round: &Round| {
            !round.carried.is_empty() && round.order.len() > round.carried.len()
        };
        self.rounds.iter().any(rotates)
    }

    /// The next turn: who goes, and who comes. The others stay; all of them where nobody
    /// waits.
    pub fn advance(&mut self) -> Vec<Pass> {
        let mut passes = Vec::new();
        for scope in [Scope::Tasks, Scope::Kernel] {
            let slots = self.round(scope).carried.len();
            let chosen = self.choose(scope, slots, true);
            self.pass(scope, &chosen, |watch, _| !chosen.contains(&watch), &mut passes);
        }
        passes
    }

    /// Within a turn: those whom nobody wants any more give way to others, where these
    /// wait. All others stay.
    pub fn relieve(&mut self) -> Vec<Pass> {
        let mut passes = Vec::new();
        for scope in [Scope::Tasks, Scope::Kernel] {
            let carried = self.round(scope).carried.clone();
            let unwanted = carried.iter().filter(|watch| !self.watches[**watch].wanted);
            let coming = self.choose(scope, unwanted.count(), false);
            self.pass(scope, &coming, |_, wanted| !wanted, &mut passes);
        }
        passes
    }

    /// Somebody wants the hits of a watch from now on, or nobody. Who has a register keeps
    /// it until it is passed on.
    pub fn want(&mut self, watch: usize, wanted: bool) {
        let Watch { seat, wanted: before, at } = self.watches[watch];
        self.watches[watch].wanted = wanted;
        if seat.keeps() || before == wanted {
            return;
        }
        if wanted {
            // What it did not have while nobody wanted it, it does not get later.
            let time = at.time.max(self.round(seat.scope).time);
            self.enter(watch, time);
        } else {
            self.round(seat.scope).order.remove(&at);
        }
    }

    /// One more watch, which is wanted; gives its number. It waits for a register, and is
    /// not pinned; of [`Scope::Own`] it has one.
    pub fn add(&mut self, seat: Seat) -> usize {
        self.push(Seat { pinned: false, ..seat });
        self.watches.len() - 1
    }

    /// Nobody will want a watch any more. Its register it keeps until that is passed on.
    pub fn remove(&mut self, watch: usize) {
        self.want(watch, false);
    }

    /// Gives a watch another weight, at least 1, from its next turn on.
    pub fn set_weight(&mut self, watch: usize, weight: u32) {
        self.watches[watch].seat.weight = weight.max(1);
    }

    /// How long the next turn is to be: a quarter shorter or longer than `base` at most, by
    /// chance, so that it does not keep step with what is watched.
    pub fn slice(&mut self, base: Duration) -> Duration {
        const PARTS: u64 = 1 << 16;
        let part = self.chance.next() % (PARTS + 1);
        base.mul_f64(0.75 + 0.5 * (part as f64 / PARTS as f64))
    }

    fn push(&mut self, seat: Seat) {
        let seat = Seat { weight: seat.weight.max(1), ..seat };
        let watch = self.watches.len();
        self.watches.push(Watch { seat, wanted: false, at: At::default() });
        self.carried.push(seat.keeps());
        self.want(watch, true);
    }

    fn round(&mut self, scope: Scope) -> &mut Round {
        &mut self.rounds[index(scope)]
    }

    /// Gives a watch its place among those of its scope.
    fn enter(&mut self, watch: usize, time: u64) {
        let at = At { time, chance: self.chance.next(), watch };
        self.watches[watch].at = at;
        self.round(self.watches[watch].seat.scope).order.insert(at);
    }

    /// Gives so many of those who want a register a turn, with those who have one or
    /// without.
    fn choose(&mut self, scope: Scope, slots: usize, all: bool) -> Vec<usize> {
        let waits = |at: &&At| !self.carried[at.watch];
        let order = self.rounds[index(scope)].order.iter();
        let chosen: Vec<_> =
            order.filter(|at| all || waits(at)).take(slots).copied().collect();
        let round = self.round(scope);
        let time = chosen.last().map_or(round.time, |last| last.time.max(round.time));
        round.time = time;
        for at in &chosen {
            self.round(scope).order.remove(at);
            let step = STEP / u64::from(self.watches[at.watch].seat.weight);
            // Who always has one and still gets less than by its weight does not save
            // that up; others are never that far behind.
            let behind = time.saturating_sub(2 * STEP);
            self.enter(at.watch, at.time.max(behind) + step);
        }
        chosen.into_iter().map(|at| at.watch).collect()
    }

    /// Passes the registers of those who go, told by number and whether they are wanted, to
    /// those of the chosen who have none.
    fn pass(
        &mut self,
        scope: Scope,
        chosen: &[usize],
        goes: impl Fn(usize, bool) -> bool,
        passes: &mut Vec<Pass>,
    ) {
        let waits = |watch: &usize| !self.carried[*watch];
        let coming: Vec<_> = chosen.iter().copied().filter(waits).collect();
        let watches = &self.watches;
        let slots = self.rounds[index(scope)].carried.iter_mut();
        let going = slots.filter(|slot| goes(**slot, watches[**slot].wanted));
        for (slot, to) in going.zip(coming) {
            let from = std::mem::replace(slot, to);
            (self.carried[from], self.carried[to]) = (false, true);
            passes.push(Pass { from, to });
        }
    }
}

/// Numbers by chance: xorshift64* (Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators, scrambled", 2016).
#[derive(Clone, Debug)]
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        // Near seeds are to give other numbers, and 0 would give 0 for ever.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests;
