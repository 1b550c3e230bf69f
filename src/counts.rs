//! What each request saw, and what that stands for where its watches shared registers with
//! others.

mod load;
mod objects;

use std::cell::RefCell;
use std::rc::Rc;

use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::slots::coverage::Estimate;
use hwtrace_runtime::slots::coverage::strata::Strata;
use hwtrace_runtime::world;

use crate::registers::Sees;
pub(crate) use load::Activity;
use load::Faster;

/// What each request saw.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub(crate) coverage: Strata,
    /// By request: its watches, in order, with their tallies.
    tallies: Vec<Vec<(u32, usize)>>,
    load: load::Load,
    objects: objects::Objects,
    /// By request: how often its probe fires at most.
    limits: Vec<u64>,
    /// From when on and until when it was counted, nanoseconds of CLOCK_MONOTONIC; none as
    /// long as it goes on.
    began: u64,
    ended: Option<u64>,
}

/// Hits that come so many times as dense as on the average come in heaps.
const HEAPED: f64 = 1.5;

impl Counts {
    /// All watches are armed and wanted; given is who looks at each, which of them have a
    /// register now, and what a hit takes, nanoseconds.
    pub(crate) fn begin(
        &mut self,
        sees: &[Vec<Sees>],
        carries: impl Fn(usize) -> bool,
        cost_ns: f64,
        now: u64,
    ) {
        *self = Self { began: now, load: load::Load::new(cost_ns), ..Self::default() };
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

    /// Objects of a process came that lie in a cell, which waits for a register, of which it
    /// is to have so much; gives by what number hits on it are counted.
    pub(crate) fn add_cell(&mut self, root: u32, weight: u32) -> u32 {
        self.objects.add(root, weight)
    }

    /// A request looks at the hits on a cell from then on.
    pub(crate) fn join_cell(&mut self, cell: u32, request: usize, since: u64) {
        self.objects.join(cell, request, since);
    }

    /// A cell was chosen to have a register, and is to have so much of one from now on.
    pub(crate) fn weigh_cell(&mut self, cell: u32, weight: u32, now: u64) {
        self.objects.weigh(cell, weight, now);
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

    /// A request's probe fired at a hit.
    pub fn fired(&mut self, request: usize, record: &HitRecord) {
        let HitRecord { watch, time, tid, .. } = *record;
        self.load.hit(tid);
        if objects::Objects::has(watch) {
            return self.objects.fired(request, watch, time);
        }
        if let Some(tally) = self.tally(request, watch) {
            self.coverage.hit(tally, time);
        }
    }

    /// Whether a watch was sampled at a time, nanoseconds of CLOCK_MONOTONIC.
    pub(crate) fn sampled(&self, watch: u32, time: u64) -> bool {
        self.coverage.was_sampled(watch as usize, time)
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

    /// The engine counted so many hits of each watch until now, those that no probe fires at,
    /// too; and the target's threads did this meanwhile.
    pub(crate) fn loaded(&mut self, hits: &[u64], activity: Activity, now: u64) {
        let Self { load, coverage, .. } = self;
        load.set_activity(activity);
        let share = |watch| coverage.share(watch, now);
        load.counted(hits, now.saturating_sub(self.began), share);
    }

    /// When a hit was seen in the windows of a watch, hits of all took such a share of the
    /// time, 0 to 1.
    pub(crate) fn keeps_up(&mut self, watch: usize, share: f64) {
        self.load.window(watch, share);
    }

    /// What a request saw, and what that stands for, up to now.
    pub fn of(&self, request: usize, now: u64) -> Estimate {
        let now = self.ended.unwrap_or(now);
        let watches = self.tallies.get(request).into_iter().flatten();
        let estimate = |(watch, tally): &(u32, usize)| self.estimate(*watch, *tally, now);
        let objects = self.objects.of(request, now);
        let rate = objects.seen as f64 / objects.on_ns.max(1) as f64;
        let faster = self.load.objects(rate, objects.coverage());
        let objects = slowed_down(objects, faster, 0.0);
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

    /// What was counted of a watch stands for: while it was not sampled, and while it was.
    fn estimates(&self, watch: u32, tally: usize, now: u64) -> [Estimate; 2] {
        let [usual, sampled] = self.coverage.estimates(tally, now);
        let heaped = self.heaped(usual, watch, self.coverage.density(tally, now));
        let faster = [
            self.load.usual(watch, usual.coverage()),
            self.load.sampled(watch, sampled.coverage()),
        ];
        let busy = self.load.busy();
        [slowed_down(heaped, faster[0], busy), slowed_down(sampled, faster[1], busy)]
    }

    /// What is estimated of hits that come in heaps, in which they may slow the target down
    /// far more than on the average.
    fn heaped(&self, estimate: Estimate, watch: u32, density: f64) -> Estimate {
        if density < HEAPED {
            return estimate;
        }
        let faster = self.load.dense(watch, density, estimate.coverage());
        slowed_down(estimate, faster, 0.0)
    }

    fn estimate(&self, watch: u32, tally: usize, now: u64) -> Estimate {
        self.estimates(watch, tally, now).into_iter().sum()
    }

    /// The share of the time in which all of them together had registers, 0 to 1.
    pub fn whole(&self, now: u64) -> f64 {
        let all = (0..self.requests()).map(|request| self.of(request, now));
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

    /// How many hits one stands for that a request saw of a watch while that was sampled, or
    /// was not.
    pub fn weight(&self, request: usize, watch: u32, sampled: bool, now: u64) -> f64 {
        let now = self.ended.unwrap_or(now);
        let share = self.share(watch, now);
        let tally = self.tally(request, watch);
        let estimates = tally.map(|tally| self.estimates(watch, tally, now));
        let estimate = estimates.map(|it| it[usize::from(sampled)]);
        match estimate.filter(|estimate| estimate.seen > 0) {
            Some(estimate) => estimate.estimated / estimate.seen as f64,
            None if share > 0.0 => 1.0 / share,
            None => 1.0,
        }
    }

    /// Whether any request was watched part of the time only.
    pub fn is_partial(&self, now: u64) -> bool {
        (0..self.requests()).any(|request| self.of(request, now).coverage() < 1.0)
    }

    fn requests(&self) -> usize {
        self.tallies.len().max(self.objects.requests())
    }
}

/// What is estimated, where the target may go on so many times as fast while the watch is
/// off. Who computes does; who sleeps, since it waits for the clock or for others, goes
/// on alike, unless hits keep up those others. As nobody knows, the error holds all of it;
/// where it is half or twice as much, nothing is told of how far it is off. `likely`: how
/// much of what computes is likely, 0 to 1. While an object is off another is on, which may
/// be hit as often.
fn slowed_down(estimate: Estimate, faster: Faster, likely: f64) -> Estimate {
    if estimate.coverage() >= 1.0 {
        return estimate;
    }
    let known = |faster: Option<f64>| faster.filter(|it| (0.5..=2.0).contains(it));
    let factors = known(faster.alone).zip(known(faster.together));
    let Some((alone, together)) = factors else {
        return Estimate { variance: None, ..estimate };
    };
    let missed = estimate.estimated - estimate.seen as f64;
    let more = likely * missed * (alone - 1.0);
    let off = |factor: f64| (missed * (factor - 1.0) - more).abs();
    let bias = [1.0, alone, together].map(off).into_iter().fold(estimate.bias, f64::max);
    Estimate { estimated: estimate.estimated + more, bias, ..estimate }
}

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

    fn hit(watch: u32, time: u64) -> HitRecord {
        HitRecord { watch, time, tid: 7, ..HitRecord::default() }
    }

    /// A request that sees a watch in one of four turns of 10 ms each, so many hits each
    /// time.
    fn seen(hits: u64) -> Counts {
        seen_in(|_| hits)
    }

    /// The same, with so many hits in each of a hundred turns.
    fn seen_in(hits: impl Fn(u64) -> u64) -> Counts {
        let mut counts = Counts::default();
        counts.begin(&[Vec::new()], |_| false, 3000.0, 0);
        counts.add(0, 0);
        for turn in 0..100 {
            let begin = turn * 40 * MS;
            counts.coverage.turn(0, true, begin);
            let numbers = 0..hits(turn);
            numbers.for_each(|number| counts.fired(0, &hit(0, begin + number)));
            counts.coverage.turn(0, false, begin + 10 * MS);
        }
        let all = (0..100).map(hits).sum();
        counts.loaded(&[all], Activity::default(), 4000 * MS);
        counts
    }

    #[test]
    fn what_hits_may_keep_the_target_from_is_in_the_error() {
        // Of each turn of 10 ms these take 0.03, 1.5 and 6 ms.
        for (hits, told) in [(10, true), (500, true), (2000, false)] {
            let estimate = seen(hits).of(0, 4000 * MS);
            let least = 4.0 * 100.0 * hits as f64;
            assert_eq!((estimate.seen, estimate.coverage()), (100 * hits, 0.25));
            assert!((estimate.estimated / least - 1.0).abs() < 0.01, "{estimate:?}");
            assert_eq!(estimate.error().is_some(), told, "{estimate:?}");
            // As if it did as much in the time that hits take.
            let took = 0.003 * hits as f64 / 10.0;
            let most = 100.0 * hits as f64 * (1.0 + 3.0 / (1.0 - took));
            let high = estimate.error().map_or(most, |error| estimate.estimated + error);
            assert!(high >= 0.99 * most, "nobody knows: {estimate:?}, {most}");
        }
    }

    #[test]
    fn who_never_sleeps_would_do_more() {
        let (mut counts, now) = (seen(500), 4000 * MS);
        let sleeps = counts.of(0, now);
        counts.loaded(&[50_000], Activity { waits: 0.0, busy: 1.0 }, now);
        let computes = counts.of(0, now);
        assert_eq!(computes.estimated, sleeps.estimated + computes.bias);
        assert_eq!(computes.bias, sleeps.bias);
        counts.loaded(&[50_000], Activity { waits: 0.0, busy: 0.5 }, now);
        assert_eq!(counts.of(0, now).bias, sleeps.bias / 2.0);
    }

    /// Three threads, and all of them wait for one mutex while one has a hit.
    #[test]
    fn who_sleeps_may_wait_for_one_that_is_hit() {
        let (mut counts, now) = (seen(500), 4000 * MS);
        let one = counts.of(0, now);
        let others = |tid| HitRecord { watch: 9, tid, ..HitRecord::default() };
        (0..48 * 500).for_each(|number| counts.fired(0, &others(8 + number / 16 % 2)));
        let three = counts.of(0, now);
        assert_eq!(three.estimated, one.estimated);
        assert_eq!(
            three.bias, one.bias,
            "nobody knows whether they wait for one another"
        );
        counts.loaded(&[50_000], Activity { waits: 0.0, busy: 1.0 }, now);
        assert!(counts.of(0, now).bias < one.bias / 2.0, "they do not wait");
        counts.loaded(&[220_000], Activity { waits: 0.0, busy: 0.5 }, now);
        assert_eq!(counts.of(0, now).error(), None, "66 % of the time of a mutex");
    }

    /// The same number of hits in each fifth turn as before in all five.
    #[test]
    fn in_heaps_hits_slow_down_more_than_on_the_average() {
        let heaped = |hits: u64| {
            let counts = seen_in(|turn| if turn % 5 == 0 { 5 * hits } else { 0 });
            counts.of(0, 4000 * MS)
        };
        let (alike, few) = (seen(200).of(0, 4000 * MS), heaped(200));
        assert_eq!(alike.seen, few.seen);
        // 3 ms of 10, and not 0.6.
        let missed = few.estimated - few.seen as f64;
        assert!((few.bias / missed - 3.0 / 7.0).abs() < 0.01, "{few:?}");
        assert!(alike.bias < few.bias / 4.0, "{alike:?}");
        assert_eq!(heaped(400).error(), None, "6 ms of 10");
    }

    #[test]
    fn what_hits_keep_the_target_from_adds_up() {
        let one = seen(500).of(0, 4000 * MS);
        let eight: Estimate = (0..8).map(|_| one).sum();
        assert_eq!(eight.bias, 8.0 * one.bias);
        assert!(eight.error().expect("an error") > eight.bias);
    }

    #[test]
    fn hits_that_no_probe_fires_at_slow_down_too() {
        let mut counts = seen(10);
        let before = counts.of(0, 4000 * MS).error();
        counts.loaded(&[200_000], Activity::default(), 4000 * MS);
        assert!(before.is_some() && counts.of(0, 4000 * MS).error().is_none());
    }

    #[test]
    fn hits_on_objects_slow_down_too() {
        for (hits, told) in [(10, true), (2000, false)] {
            let mut counts = Counts::default();
            counts.begin(&[Vec::new()], |_| true, 3000.0, 0);
            let cell = counts.add_cell(7, 1);
            counts.join_cell(cell, 0, 0);
            assert_eq!(counts.whole(10), 0.0, "of objects, too");
            for turn in 0..100 {
                let begin = turn * 40 * MS;
                counts.turn_cell(cell, true, begin);
                (0..hits).for_each(|number| counts.fired(0, &hit(cell, begin + number)));
                counts.turn_cell(cell, false, begin + 10 * MS);
            }
            counts.loaded(&[100 * hits], Activity::default(), 4000 * MS);
            let estimate = counts.of(0, 4000 * MS);
            assert_eq!((estimate.seen, estimate.error().is_some()), (100 * hits, told));
        }
    }

    #[test]
    fn while_the_target_waits_hits_keep_nobody_up() {
        let (mut counts, now) = (seen(500), 4000 * MS);
        let runs = counts.of(0, now);
        let waits = |waits| Activity { waits, busy: waits };
        counts.loaded(&[50_000], waits(0.5), now);
        assert!(counts.of(0, now).error() > runs.error(), "they took more of the rest");
        counts.loaded(&[50_000], waits(0.8), now);
        assert_eq!(counts.of(0, now).error(), None);
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
        let sum = counts.weight(0, 0, false, 4000 * MS) * estimate.seen as f64;
        assert!((sum - estimate.estimated).abs() < 1.0, "{sum} and {estimate:?}");
    }
}
