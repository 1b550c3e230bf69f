//! When watches that are hit too often are on, and when off: figures only.

/// A watch that is hit too often is on for so long at least.
const WINDOW_NS: u64 = 1_000_000;
/// And off: what takes less goes on until it has taken more, as switching takes time, too.
const OFF_LEAST_NS: u64 = 4_000_000;
/// One that takes no more than it may for so long is looked at no closer than others.
const CALM_NS: u64 = 100_000_000;
/// Others are looked at so often, after a first short while.
const CHECK_NS: u64 = 20_000_000;
/// Looking at the counts takes one part in so many of the time at most.
const LOOK_PARTS: u64 = 50;

/// Keeps the hits of all watches together below a share of a processor's time.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    /// The share, above 0.
    bound: f64,
    /// What a hit takes, nanoseconds.
    cost: f64,
    watches: Vec<Watched>,
}

/// What is known of a watch. Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Watched {
    on: bool,
    /// Whether it is hit too often.
    hot: bool,
    /// Since when hits are looked at, of which there had been so many by then.
    since: u64,
    before: u64,
    /// When it is looked at next.
    next: u64,
    /// How long it is until others are looked at again.
    check: u64,
    /// The share of a processor's time that its hits took when it was looked at last.
    share: f64,
    /// Of the time in which it was on and hit too often: hits, and how long it was.
    hot_hits: u64,
    hot_ns: u64,
}

/// A watch is to be switched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Switch {
    pub(crate) watch: usize,
    pub(crate) on: bool,
    /// What the hits took since it was on; 0 where it is only on from now on.
    pub(crate) took_ns: u64,
}

/// How a watch was that was hit too often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hot {
    /// Hits a second while it was on.
    pub(crate) rate: f64,
    /// The share of a processor's time that they took then.
    pub(crate) share: f64,
}

impl Throttle {
    /// Of so many watches, all of them on from now on.
    pub(crate) fn new(bound: f64, cost_ns: f64, watches: usize, now: u64) -> Self {
        let watched = Watched {
            on: true,
            hot: false,
            since: now,
            before: 0,
            next: now + WINDOW_NS,
            check: WINDOW_NS,
            share: 0.0,
            hot_hits: 0,
            hot_ns: 0,
        };
        Self { bound, cost: cost_ns, watches: vec![watched; watches] }
    }

    /// In how many nanoseconds it is time for [`Throttle::look`].
    pub(crate) fn due_in(&self, now: u64) -> u64 {
        let next = self.watches.iter().map(|watch| watch.next).min();
        next.map_or(u64::MAX, |next| next.saturating_sub(now))
    }

    /// The watches of which something is to be decided now, with so many hits of each
    /// until now: what is to be switched.
    pub(crate) fn look(&mut self, now: u64, hits: &[u64]) -> Vec<Switch> {
        for (watch, hits) in self.watches.iter_mut().zip(hits) {
            watch.measure(now, *hits, self.cost);
        }
        self.heat();
        let allowed = self.allowed();
        let mut switches = Vec::new();
        let all = self.watches.iter_mut().zip(hits).enumerate();
        for (number, (watch, hits)) in all.filter(|(_, (watch, _))| watch.next <= now) {
            let took_ns = (hits.saturating_sub(watch.before) as f64 * self.cost) as u64;
            if watch.decide(now, *hits, took_ns, allowed) {
                let (on, took_ns) = (watch.on, if watch.on { 0 } else { took_ns });
                switches.push(Switch { watch: number, on, took_ns });
            }
        }
        switches
    }

    /// Looking took so long.
    pub(crate) fn looked(&mut self, took_ns: u64, now: u64) {
        for watch in &mut self.watches {
            watch.next = watch.next.max(now.saturating_add(took_ns * LOOK_PARTS));
        }
    }

    /// A watch was switched at this time, after so many hits.
    pub(crate) fn switched(&mut self, watch: usize, now: u64, hits: u64) {
        let watch = &mut self.watches[watch];
        if watch.on {
            (watch.since, watch.before, watch.next) = (now, hits, now + WINDOW_NS);
        }
    }

    /// How a watch was that was hit too often at some time.
    pub(crate) fn hot(&self, watch: usize) -> Option<Hot> {
        let watch = &self.watches[watch];
        let seconds = watch.hot_ns as f64 / 1e9;
        let rate = watch.hot_hits as f64 / seconds;
        (watch.hot_ns > 0).then(|| Hot { rate, share: rate * self.cost / 1e9 })
    }

    /// Hits of those that are not hit too often.
    fn cool_share(&self) -> f64 {
        self.watches.iter().filter(|it| !it.hot).map(|it| it.share).sum()
    }

    fn count_hot(&self) -> f64 {
        self.watches.iter().filter(|watch| watch.hot).count() as f64
    }

    /// Finds those that are hit too often: while the others leave no room for all that are
    /// so already and one more, the one that takes most.
    fn heat(&mut self) {
        while self.cool_share() > self.bound / (self.count_hot() + 1.0) {
            let cool = self.watches.iter_mut().filter(|watch| !watch.hot);
            match cool.max_by(|one, other| one.share.total_cmp(&other.share)) {
                Some(most) => most.hot = true,
                None => return,
            }
        }
    }

    /// The share of each that is hit too often.
    fn allowed(&self) -> f64 {
        let hot = self.count_hot().max(1.0);
        let left = self.bound - self.cool_share();
        left.max(self.bound / (hot + 1.0)) / hot
    }
}

impl Watched {
    /// Looks what share its hits take, where it is time to.
    fn measure(&mut self, now: u64, hits: u64, cost: f64) {
        let lasted = now.saturating_sub(self.since);
        if self.next <= now && self.on && lasted > 0 {
            self.share = hits.saturating_sub(self.before) as f64 * cost / lasted as f64;
        }
    }

    /// Gives whether it is switched.
    fn decide(&mut self, now: u64, hits: u64, took_ns: u64, allowed: f64) -> bool {
        let lasted = now.saturating_sub(self.since);
        if !self.on {
            self.on = true;
            return true;
        }
        if self.hot && self.share > allowed {
            let whole = (took_ns as f64 / allowed) as u64;
            let off = whole.saturating_sub(lasted);
            if off < OFF_LEAST_NS {
                self.next = now + WINDOW_NS;
                return false;
            }
            self.count(hits, lasted);
            (self.on, self.next) = (false, now + off);
            return true;
        }
        if self.hot && lasted < CALM_NS {
            self.next = now + WINDOW_NS;
            return false;
        }
        if self.hot {
            self.count(hits, lasted);
            self.hot = false;
        }
        self.check = (self.check * 2).min(CHECK_NS);
        (self.since, self.before, self.next) = (now, hits, now + self.check);
        false
    }

    fn count(&mut self, hits: u64, lasted: u64) {
        self.hot_hits += hits.saturating_sub(self.before);
        self.hot_ns += lasted;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const COST: f64 = 3000.0;

    /// Watches that are hit so often a second, by somebody whom each hit keeps up.
    struct Simulated {
        throttle: Throttle,
        now: u64,
        on: Vec<bool>,
        hits: Vec<f64>,
        on_ns: Vec<u64>,
        seed: u64,
    }

    impl Simulated {
        fn new(bound: f64, watches: usize, seed: u64) -> Self {
            Self {
                throttle: Throttle::new(bound, COST, watches, 0),
                now: 0,
                on: vec![true; watches],
                hits: vec![0.0; watches],
                on_ns: vec![0; watches],
                seed: seed | 1,
            }
        }

        /// By so much we are woken late.
        fn late(&mut self) -> u64 {
            self.seed ^= self.seed << 13;
            self.seed ^= self.seed >> 7;
            self.seed ^= self.seed << 17;
            self.seed % 300_000
        }

        fn run(&mut self, rates: &[f64], until: u64) {
            while self.now < until {
                let wait = self.throttle.due_in(self.now) + self.late();
                self.now += wait;
                for (watch, rate) in rates.iter().enumerate() {
                    if self.on[watch] {
                        let seconds = wait as f64 / 1e9;
                        self.hits[watch] += seconds * rate / (1.0 + rate * COST / 1e9);
                        self.on_ns[watch] += wait;
                    }
                }
                let hits: Vec<u64> = self.hits.iter().map(|hits| *hits as u64).collect();
                for Switch { watch, on, .. } in self.throttle.look(self.now, &hits) {
                    self.on[watch] = on;
                    self.throttle.switched(watch, self.now, hits[watch]);
                }
            }
        }

        /// The share of a processor's time that all hits took.
        fn share(&self) -> f64 {
            self.hits.iter().sum::<f64>() * COST / self.now as f64
        }
    }

    proptest! {
        #[test]
        fn the_bound_is_kept_by_any_rate(
            rates in prop::collection::vec(prop_oneof![0.0..100.0, 0.0..1e6], 1..6),
            bound in 0.01..0.5_f64,
            seed in any::<u64>(),
        ) {
            let mut simulated = Simulated::new(bound, rates.len(), seed);
            simulated.run(&rates, 20 * SECOND);
            let share = simulated.share();
            prop_assert!(share <= bound * 1.05, "{share} of {bound}");
            let all: f64 = rates.iter().map(|rate| rate * COST / 1e9).sum();
            if all < bound / 2.0 {
                // What takes less than it may is watched all the time.
                prop_assert!(simulated.on_ns.iter().all(|on| *on == simulated.now));
            }
            for (rate, on) in rates.iter().zip(&simulated.on_ns) {
                prop_assert!(*on > 0, "{rate}");
            }
        }

        #[test]
        fn one_that_cools_down_is_watched_all_the_time_again(
            rate in 1e5..1e6_f64,
            bound in 0.01..0.2_f64,
            seed in any::<u64>(),
        ) {
            let mut simulated = Simulated::new(bound, 2, seed);
            simulated.run(&[rate, 10.0], 5 * SECOND);
            prop_assert!(simulated.throttle.hot(0).is_some_and(|hot| hot.share > bound));
            prop_assert!(simulated.throttle.hot(1).is_none());
            simulated.run(&[10.0, 10.0], 7 * SECOND);
            let (begun, before) = (simulated.now, simulated.on_ns[0]);
            simulated.run(&[10.0, 10.0], 12 * SECOND);
            prop_assert_eq!(simulated.on_ns[0] - before, simulated.now - begun);
        }
    }

    #[test]
    fn one_alone_has_the_whole_share() {
        let mut simulated = Simulated::new(0.05, 3, 7);
        simulated.run(&[4e5, 0.0, 0.0], 10 * SECOND);
        let share = simulated.share();
        assert!((0.035..0.0525).contains(&share), "{share}");
        assert_eq!(simulated.throttle.hot(1), None);
    }

    #[test]
    fn where_looking_takes_long_it_is_done_less_often() {
        let mut throttle = Throttle::new(0.05, COST, 1, 0);
        throttle.looked(1_000_000, 10);
        assert_eq!(throttle.due_in(10), 50_000_000);
    }
}
