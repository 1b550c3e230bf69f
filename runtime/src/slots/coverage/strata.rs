//! Watches that are sampled at some times, and watched as well as it goes at others.
//!
//! When a watch is sampled depends on how often it is hit. So the times of either kind are
//! strata: what was counted in one stands for that one alone (Cochran, "Sampling
//! Techniques", chapter 5).

use std::collections::VecDeque;

use super::{Coverage, Estimate};

/// Coverage by watch and stratum.
#[derive(Clone, Debug, Default)]
pub struct Strata {
    /// Of each watch two: as it is usually, and while it is sampled.
    coverage: Coverage,
    watches: Vec<Watched>,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    wanted: bool,
    /// From when on it was sampled, or was not any more; the oldest first.
    changes: VecDeque<(u64, bool)>,
}

/// So many changes are remembered. Hits come some 20 ms late, and a watch is not sampled
/// for less than 100.
const CHANGES_MAX: usize = 64;

impl Watched {
    fn is_sampled(&self) -> bool {
        self.changes.back().is_some_and(|last| last.1)
    }

    fn was_sampled(&self, time: u64) -> bool {
        let then = self.changes.iter().rev().find(|(since, _)| *since <= time);
        match (then, self.changes.front()) {
            (Some(then), _) => then.1,
            // Before the first change it was the other way round.
            (None, first) => first.is_some_and(|first| !first.1),
        }
    }
}

/// Where a watch has its coverage.
fn stratum(watch: usize, sampled: bool) -> usize {
    2 * watch + usize::from(sampled)
}

impl Strata {
    /// One more watch, which is not sampled; gives its number.
    pub fn add_watch(&mut self) -> usize {
        self.coverage.add_watch();
        self.coverage.add_watch();
        self.watches.push(Watched::default());
        self.watches.len() - 1
    }

    /// As [`Coverage::want`].
    pub fn want(&mut self, watch: usize, wanted: bool, now: u64) {
        let watched = &mut self.watches[watch];
        watched.wanted = wanted;
        self.coverage.want(stratum(watch, watched.is_sampled()), wanted, now);
    }

    /// As [`Coverage::turn`].
    pub fn turn(&mut self, watch: usize, on: bool, now: u64) {
        for sampled in [false, true] {
            self.coverage.turn(stratum(watch, sampled), on, now);
        }
    }

    /// A watch is sampled from now on, or not any more.
    pub fn sample(&mut self, watch: usize, sampled: bool, now: u64) {
        let watched = &mut self.watches[watch];
        if watched.is_sampled() == sampled {
            return;
        }
        if watched.changes.len() == CHANGES_MAX {
            watched.changes.pop_front();
        }
        watched.changes.push_back((now, sampled));
        self.coverage.want(stratum(watch, !sampled), false, now);
        self.coverage.part(stratum(watch, sampled));
        self.coverage.want(stratum(watch, sampled), watched.wanted, now);
    }

    /// As [`Coverage::restart`].
    pub fn restart(&mut self, now: u64) {
        self.coverage.restart(now);
    }

    /// As [`Coverage::tally`].
    pub fn tally(&mut self, watch: usize) -> usize {
        let usual = self.coverage.tally(stratum(watch, false));
        self.coverage.tally(stratum(watch, true));
        usual
    }

    /// As [`Coverage::hit`].
    pub fn hit(&mut self, tally: usize, time: u64) {
        let watch = self.coverage.tallies[tally].watch / 2;
        let sampled = self.watches[watch].was_sampled(time);
        self.coverage.hit(tally + usize::from(sampled), time);
    }

    /// Whether a watch was sampled at a time.
    pub fn was_sampled(&self, watch: usize, time: u64) -> bool {
        self.watches.get(watch).is_some_and(|watch| watch.was_sampled(time))
    }

    /// As [`Coverage::share`], of all the time.
    pub fn share(&self, watch: usize, now: u64) -> f64 {
        let times =
            [false, true].map(|sampled| &self.coverage.watches[stratum(watch, sampled)]);
        let on: u64 = times.iter().map(|it| it.on_ns(now)).sum();
        let wanted: u64 = times.iter().map(|it| it.wanted.until(now)).sum();
        if wanted == 0 { 1.0 } else { (on as f64 / wanted as f64).min(1.0) }
    }

    /// Nanoseconds in which a watch was wanted and had a register that was on.
    pub fn on_ns(&self, watch: usize, now: u64) -> u64 {
        let on = |sampled| self.coverage.on_ns(stratum(watch, sampled), now);
        on(false) + on(true)
    }

    /// As [`Coverage::estimate`], of the times when it was not sampled, and when it was.
    pub fn estimates(&self, tally: usize, now: u64) -> [Estimate; 2] {
        [tally, tally + 1].map(|tally| self.coverage.estimate(tally, now))
    }

    /// As [`Coverage::density`], of what was counted while a watch was not sampled.
    pub fn density(&self, tally: usize, now: u64) -> f64 {
        self.coverage.density(tally, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Busy and idle by turns, and sampled only while it is busy.
    #[test]
    fn what_is_sampled_stands_for_nothing_else() {
        let mut strata = Strata::default();
        strata.add_watch();
        let tally = strata.tally(0);
        strata.want(0, true, 0);
        strata.turn(0, true, 0);
        let mut there = 0;
        for second in 0..10 {
            let begin = second * 1000 * MS;
            strata.sample(0, true, begin);
            for window in 0..25 {
                let begin = begin + window * 20 * MS;
                strata.turn(0, true, begin);
                (0..10).for_each(|hit| strata.hit(tally, begin + hit));
                strata.turn(0, false, begin + MS);
                there += 200;
            }
            strata.turn(0, true, begin + 500 * MS);
            strata.sample(0, false, begin + 500 * MS);
            strata.hit(tally, begin + 700 * MS);
            there += 1;
        }
        let now = 10_000 * MS;
        let [usual, sampled] = strata.estimates(tally, now);
        assert_eq!((usual.seen, usual.coverage()), (10, 1.0));
        assert_eq!((sampled.seen, sampled.coverage()), (2500, 0.05));
        let all = usual + sampled;
        let off = all.estimated / f64::from(there) - 1.0;
        assert!(off.abs() < 0.01, "{all:?} and not {there}");
        assert!(all.error().is_some_and(|error| error < 2000.0), "{all:?}");
        assert_eq!(strata.share(0, now), 0.525);
        assert_eq!(strata.on_ns(0, now), 5250 * MS);
    }

    /// Told late: when it is not sampled any more.
    #[test]
    fn a_hit_is_of_the_stratum_in_which_it_was() {
        let mut strata = Strata::default();
        strata.add_watch();
        let tally = strata.tally(0);
        strata.want(0, true, 0);
        strata.turn(0, true, 0);
        strata.sample(0, true, 100);
        strata.sample(0, true, 120);
        strata.sample(0, false, 200);
        [50, 100, 199, 200].into_iter().for_each(|time| strata.hit(tally, time));
        let [usual, sampled] = strata.estimates(tally, 300);
        assert_eq!((usual.seen, sampled.seen), (2, 2));
        assert_eq!((usual.wanted_ns, sampled.wanted_ns), (200, 100));
        strata.want(0, false, 300);
        strata.sample(0, true, 350);
        assert_eq!(strata.estimates(tally, 400)[1].wanted_ns, 100, "nobody wants it");
    }
}
