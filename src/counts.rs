//! What each request saw, and what that stands for where its watches shared registers with
//! others.

mod objects;
use std::cell::RefCell;
use std::rc::Rc;

use hwtrace_runtime::slots::coverage::Estimate;
use hwtrace_runtime::slots::coverage::strata::Strata;
use hwtrace_runtime::world;

use crate::armed::USUAL_NS;
use crate::registers::Sees;

/// What each request saw.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub(crate) coverage: Strata,
    /// By request: its watches, in order, with their tallies.
    tallies: Vec<Vec<(u32, usize)>>,
    /// By watch: of its windows, where it is sampled.
    windows: Vec<Windows>,
    /// The share of the time in which the target waited for a processor.
    waits: f64,
    objects: objects::Objects,
    /// By request: how often its probe fires at most.
    limits: Vec<u64>,
    /// Hits that were seen, of all watches.
    seen: u64,
    /// From when on and until when it was counted, nanoseconds of CLOCK_MONOTONIC; none as
    /// long as it goes on.
    began: u64,
    ended: Option<u64>,
}

/// Nanoseconds of the windows in which a watch was on, and for which hits of all watches
/// kept the target up in them.
#[derive(Clone, Copy, Debug, Default)]
struct Windows {
    kept_up: f64,
    on: f64,
}

impl Counts {
    /// All watches are armed and wanted; given is who looks at each, and which of them
    /// have a register now.
    pub(crate) fn begin(
        &mut self,
        sees: &[Vec<Sees>],
        carries: impl Fn(usize) -> bool,
        now: u64,
    ) {
        *self = Self { began: now, ..Self::default() };
        for (watch, sees) in sees.iter().enumerate() {
            self.coverage.add_watch();
            self.coverage.want(watch, true, now);
            self.coverage.turn(watch, carries(watch), now);
            for sees in sees.iter().filter(|sees| matches!(sees, Sees::Data { .. })) {
                self.add(sees.request(), watch);
            }
        }
    }

    /// Counts the time from now on.
    pub(crate) fn restart(&mut self, now: u64) {
        self.began = now;
        self.coverage.restart(now);
    }

    /// A request looks at the hits of a watch.
    fn add(&mut self, request: usize, watch: usize) {
        if self.tallies.len() <= request {
            self.tallies.resize(request + 1, Vec::new());
        }
        let tally = self.coverage.tally(watch);
        self.tallies[request].push((watch as u32, tally));
    }

    /// Objects came that lie in a cell, which waits for a register; gives by what number
    /// hits on it are counted.
    pub(crate) fn add_cell(&mut self, now: u64) -> u32 {
        self.objects.add(now)
    }

    /// A request looks at the hits on a cell.
    pub(crate) fn join_cell(&mut self, cell: u32, request: usize) {
        self.objects.join(cell, request);
    }

    /// A cell has a register from now on, or not.
    pub(crate) fn turn_cell(&mut self, cell: u32, on: bool, now: u64) {
        self.objects.turn(cell, on, now);
    }

    /// Nobody watches a cell any more.
    pub(crate) fn remove_cell(&mut self, cell: u32, now: u64) {
        self.objects.remove(cell, now);
    }

    /// All is disarmed.
    pub(crate) fn end(&mut self, now: u64) {
        self.ended = Some(now);
    }

    /// A request's probe fired at a hit of a watch, at a time in nanoseconds of
    /// CLOCK_MONOTONIC.
    pub fn fired(&mut self, request: usize, watch: u32, time: u64) {
        self.seen += 1;
        if objects::Objects::has(watch) {
            return self.objects.fired(request, watch, time);
        }
        if let Some(tally) = self.tally(request, watch) {
            self.coverage.hit(tally, time);
        }
    }

    /// Where a request's hits of a watch are counted.
    fn tally(&self, request: usize, watch: u32) -> Option<usize> {
        let tallies = self.tallies.get(request)?;
        let at = tallies.binary_search_by_key(&watch, |(own, _)| *own).ok()?;
        Some(tallies[at].1)
    }

    /// A request's probe fires so often at most.
    pub(crate) fn limit(&mut self, request: usize, limit: u64) {
        if self.limits.len() <= request {
            self.limits.resize(request + 1, u64::MAX);
        }
        self.limits[request] = limit;
    }

    /// The target waited for a processor in such a share of the time, 0 to 1.
    pub(crate) fn waits(&mut self, share: f64) {
        self.waits = share;
    }

    /// In all the windows of a watch, which took so long together, hits of all watches kept
    /// the target up for so long.
    pub(crate) fn keeps_up(&mut self, watch: usize, kept_up_ns: u64, on_ns: u64) {
        let watches = self.windows.len().max(watch + 1);
        self.windows.resize(watches, Windows::default());
        self.windows[watch] = Windows { kept_up: kept_up_ns as f64, on: on_ns as f64 };
    }

    /// What a request saw, and what that stands for, up to now.
    pub fn of(&self, request: usize, now: u64) -> Estimate {
        let now = self.ended.unwrap_or(now);
        let watches = self.tallies.get(request).into_iter().flatten();
        let estimate = |(watch, tally): &(u32, usize)| self.estimate(*watch, *tally, now);
        let objects = self.objects.of(request, now);
        let objects = self.slowed_down(objects, self.kept_up_objects(&objects, now));
        let sum: Estimate = watches.map(estimate).chain([objects]).sum();
        match self.limits.get(request) {
            Some(limit) if sum.seen >= *limit => {
                let estimated = sum.seen as f64;
                Estimate { estimated, variance: Some(0.0), bias: 0.0, ..sum }
            }
            Some(limit) => {
                Estimate { estimated: sum.estimated.min(*limit as f64), ..sum }
            }
            None => sum,
        }
    }

    /// What was counted of a watch stands for. While it is watched hits keep the target up,
    /// which then does less than when it is not: by so much at most as they take.
    /// Whether it could do more nobody knows; so what is told lies between, and is off by
    /// half of that at most besides. Where that could be all of it, what is told is what
    /// it does when it is slowed down, and nothing of how far that is off.
    fn estimate(&self, watch: u32, tally: usize, now: u64) -> Estimate {
        let [usual, sampled] = self.coverage.estimates(tally, now);
        let windows = self.windows.get(watch as usize).copied().unwrap_or_default();
        self.slowed_down(usual, self.kept_up(&usual, now))
            + self.slowed_down(sampled, windows.kept_up)
    }

    /// For how many nanoseconds hits kept the target up while a watch was on, if others are
    /// hit as often then as they are while it is not.
    fn kept_up(&self, estimate: &Estimate, now: u64) -> f64 {
        let whole = now.saturating_sub(self.began).max(1);
        let others = self.seen as f64 * estimate.on_ns as f64 / whole as f64;
        (estimate.seen as f64 + others) * USUAL_NS
    }

    /// The same of objects: whatever register has one, it is at most as in the windows of
    /// any.
    fn kept_up_objects(&self, estimate: &Estimate, now: u64) -> f64 {
        let shares = self.windows.iter().map(|it| it.kept_up / it.on.max(1.0));
        let most = shares.fold(0.0, f64::max) * estimate.on_ns as f64;
        self.kept_up(estimate, now).max(most)
    }

    /// The estimate of a stratum, where hits kept the target up for so many nanoseconds.
    fn slowed_down(&self, stratum: Estimate, kept_up_ns: f64) -> Estimate {
        if stratum.coverage() >= 1.0 {
            return stratum;
        }
        let half = self.more(&stratum, kept_up_ns) * stratum.estimated / 2.0;
        match half <= stratum.estimated / 2.0 {
            true => {
                Estimate { estimated: stratum.estimated + half, bias: half, ..stratum }
            }
            false => Estimate { variance: None, ..stratum },
        }
    }

    /// By which part more the target does while a watch is off than while it is on, at most.
    fn more(&self, stratum: &Estimate, kept_up_ns: f64) -> f64 {
        // It can do nothing while it waits for a processor, with hits or without.
        let runs = 1.0 - self.waits;
        let (on, wanted) = (runs * stratum.on_ns as f64, runs * stratum.wanted_ns as f64);
        if on == 0.0 || wanted == 0.0 {
            return 0.0;
        }
        let kept_up = kept_up_ns.min(on * MOST_KEPT_UP);
        on / (on - kept_up) * ((wanted - kept_up) / wanted) - 1.0
    }

    /// The share of the time in which all of them together had registers, 0 to 1.
    pub fn whole(&self, now: u64) -> f64 {
        let all = (0..self.tallies.len()).map(|request| self.of(request, now));
        all.sum::<Estimate>().coverage()
    }

    /// The share of the time in which a watch had a register, 0 to 1.
    pub fn share(&self, watch: u32, now: u64) -> f64 {
        let now = self.ended.unwrap_or(now);
        match objects::Objects::has(watch) {
            true => self.objects.share(watch, now),
            false => self.coverage.share(watch as usize, now),
        }
    }

    /// How many hits one that a request saw of a watch stands for.
    pub fn weight(&self, request: usize, watch: u32, now: u64) -> f64 {
        let now = self.ended.unwrap_or(now);
        let share = self.share(watch, now);
        let tally = self.tally(request, watch);
        let estimate = tally.map(|tally| self.estimate(watch, tally, now));
        match estimate.filter(|estimate| estimate.seen > 0) {
            Some(estimate) => estimate.estimated / estimate.seen as f64,
            None if share > 0.0 => 1.0 / share,
            None => 1.0,
        }
    }

    /// Whether any request was watched part of the time only.
    pub fn is_partial(&self, now: u64) -> bool {
        let requests = self.tallies.len().max(self.objects.requests());
        (0..requests).any(|request| self.of(request, now).coverage() < 1.0)
    }
}

/// What little is left of the time beside hits can not be measured.
const MOST_KEPT_UP: f64 = 0.9;

/// The counts of a session, as its handlers ask for them.
pub(crate) struct SharedCounts(pub(crate) Rc<RefCell<Counts>>);

impl world::Counts for SharedCounts {
    fn of(&self, request: usize, now: u64) -> Estimate {
        self.0.borrow().of(request, now)
    }

    fn share(&self, watch: Option<u32>, now: u64) -> f64 {
        let counts = self.0.borrow();
        watch.map_or_else(|| counts.whole(now), |watch| counts.share(watch, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A request that sees a watch in one of four turns of 10 ms each, so many hits each
    /// time.
    fn seen(hits: u64) -> Counts {
        let mut counts = Counts::default();
        counts.coverage.add_watch();
        counts.coverage.want(0, true, 0);
        counts.add(0, 0);
        for turn in 0..100 {
            let begin = turn * 40 * MS;
            counts.coverage.turn(0, true, begin);
            for hit in 0..hits {
                counts.fired(0, 0, begin + hit);
            }
            counts.coverage.turn(0, false, begin + 10 * MS);
        }
        counts
    }

    #[test]
    fn what_hits_may_keep_the_target_from_is_in_the_error() {
        // Of each turn of 10 ms these take 0.03, 1.5 and 6 ms.
        for (hits, told) in [(10, true), (500, true), (2000, false)] {
            let estimate = seen(hits).of(0, 4000 * MS);
            let least = 4.0 * 100.0 * hits as f64;
            assert_eq!((estimate.seen, estimate.coverage()), (100 * hits, 0.25));
            assert!(estimate.estimated >= least, "{estimate:?}");
            assert_eq!(estimate.error().is_some(), told, "{estimate:?}");
            let low = estimate.error().map_or(0.0, |error| estimate.estimated - error);
            assert!(low <= least, "nobody knows whether it could do more: {estimate:?}");
        }
    }

    #[test]
    fn what_hits_keep_the_target_from_adds_up() {
        let one = seen(500).of(0, 4000 * MS);
        let eight: Estimate = (0..8).map(|_| one).sum();
        let low = eight.estimated - eight.error().expect("an error");
        assert!(low <= 8.0 * 4.0 * 50_000.0, "{eight:?}");
    }

    #[test]
    fn hits_on_objects_slow_down_too() {
        for (hits, told) in [(10, true), (2000, false)] {
            let mut counts = Counts::default();
            let cell = counts.add_cell(0);
            counts.join_cell(cell, 0);
            for turn in 0..100 {
                let begin = turn * 40 * MS;
                counts.turn_cell(cell, true, begin);
                (0..hits).for_each(|hit| counts.fired(0, cell, begin + hit));
                counts.turn_cell(cell, false, begin + 10 * MS);
            }
            let estimate = counts.of(0, 4000 * MS);
            assert_eq!((estimate.seen, estimate.error().is_some()), (100 * hits, told));
        }
        let mut sampled = seen(10);
        let cell = sampled.add_cell(0);
        sampled.join_cell(cell, 1);
        sampled.turn_cell(cell, true, 0);
        sampled.turn_cell(cell, false, 10 * MS);
        sampled.fired(1, cell, 5);
        sampled.keeps_up(7, 80, 100);
        assert_eq!(sampled.of(1, 4000 * MS).error(), None, "as in windows of a register");
    }

    #[test]
    fn while_the_target_waits_hits_keep_nobody_up() {
        let (mut waits, now) = (seen(500), 4000 * MS);
        let runs = waits.of(0, now);
        waits.waits(0.5);
        assert!(waits.of(0, now).error() > runs.error(), "they took more of the rest");
        waits.waits(0.8);
        let estimate = waits.of(0, now);
        assert_eq!((estimate.estimated, estimate.error()), (200_000.0, None));
    }

    #[test]
    fn a_limit_that_was_reached_is_no_estimate() {
        let mut counts = seen(3);
        counts.limit(0, 1000);
        assert_eq!(counts.of(0, 4000 * MS).estimated, 1000.0, "of some 1,200");
        counts.limit(0, 300);
        let estimate = counts.of(0, 4000 * MS);
        assert_eq!((estimate.estimated, estimate.error()), (300.0, Some(0.0)));
    }

    #[test]
    fn what_one_hit_stands_for_adds_up_to_all() {
        let counts = seen(500);
        let estimate = counts.of(0, 4000 * MS);
        let sum = counts.weight(0, 0, 4000 * MS) * estimate.seen as f64;
        assert!((sum - estimate.estimated).abs() < 1.0, "{sum} and {estimate:?}");
    }
}
