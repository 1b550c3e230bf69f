//! When watches that are hit too often are on, and when off: figures only.
//!
//! One that is hit too often is sampled: it is on in windows. How long a window is, and how
//! long it is off after it, follows from what hits took in windows on average, and not from
//! what was seen in this one: else it would be on longest where least happens, and what was
//! seen would stand for too little. For the same reason a watch that takes turns is found to
//! be hit too often only when its turn is over.

/// A window is so long at least.
const WINDOW_NS: u64 = 1_000_000;
/// And a watch is off for so long at least, as switching takes time, too: windows are longer
/// instead.
const OFF_LEAST_NS: u64 = 4_000_000;
/// One that takes no more than it may for so long is looked at no closer than others.
const CALM_NS: u64 = 100_000_000;
/// Others are looked at so often, after a first short while.
const CHECK_NS: u64 = 20_000_000;
/// Looking at the counts takes one part in so many of the time at most.
const LOOK_PARTS: u64 = 50;
/// What the average of windows keeps of those before, at each.
const KEEPS: f64 = 0.875;
/// So much of what they may take hits are to take: rates change, and so does what a hit
/// takes, with what is in the caches.
const AIM: f64 = 0.75;

/// Keeps the hits of all watches together below a share of a processor's time.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    /// The share, above 0.
    bound: f64,
    /// What a hit takes, nanoseconds.
    cost: f64,
    watches: Vec<Watched>,
    /// For times that are not in step with anything.
    random: u64,
}

/// What was seen of a watch up to some time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) hits: u64,
    /// Those of all watches together.
    pub(crate) all_hits: u64,
    /// Nanoseconds in which it had a register that was on.
    pub(crate) on_ns: u64,
}

/// What is known of a watch. Times are nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Watched {
    on: bool,
    /// Whether it takes turns, and whether others have its register, so that nothing is to
    /// be decided.
    turns: bool,
    away: bool,
    /// Whether it is hit too often.
    hot: bool,
    /// Since when hits are looked at, and what had been seen by then.
    since: u64,
    before: Seen,
    /// When it is looked at next.
    next: u64,
    /// How long it is until others are looked at again; of one that is hit too often, how
    /// long a window is.
    check: u64,
    /// The share of a processor's time that its hits took when it was looked at last.
    share: f64,
    /// Of its windows, of which older ones count less: what hits took, and how long they
    /// were.
    took: f64,
    lasted: f64,
    /// For so long it is to be off for what hits had taken before the first window.
    owed: f64,
    /// For how long it has taken no more than it may.
    calm: u64,
    /// Of its windows: what was seen, for how long hits of all kept the target up, and the
    /// products of that with the share of the window that it was.
    in_windows: Seen,
    kept_up: f64,
    kept_up_shares: f64,
}

/// A watch is to be switched, or is sampled from now on, or not any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Switch {
    pub(crate) watch: usize,
    pub(crate) on: bool,
    pub(crate) sampled: bool,
}

/// How a watch was that was hit too often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hot {
    /// Hits a second while it was on.
    pub(crate) rate: f64,
    /// The share of a processor's time that they took then.
    pub(crate) share: f64,
    /// The share of the time for which hits of all watches kept the target up when one was
    /// seen: where it waited for a processor, none was.
    pub(crate) kept_up: f64,
}

impl Throttle {
    /// Of so many watches, all of them on from now on.
    pub(crate) fn new(bound: f64, cost_ns: f64, watches: usize, now: u64) -> Self {
        let watched = Watched {
            on: true,
            turns: false,
            away: false,
            hot: false,
            since: now,
            before: Seen::default(),
            next: now + WINDOW_NS,
            check: WINDOW_NS,
            share: 0.0,
            took: 0.0,
            lasted: 0.0,
            owed: 0.0,
            calm: 0,
            in_windows: Seen::default(),
            kept_up: 0.0,
            kept_up_shares: 0.0,
        };
        let watches = vec![watched; watches];
        Self { bound, cost: cost_ns, watches, random: now | 1 }
    }

    /// In how many nanoseconds it is time for [`Throttle::look`].
    pub(crate) fn due_in(&self, now: u64) -> u64 {
        let next = self.watches.iter().map(|watch| watch.next).min();
        next.map_or(u64::MAX, |next| next.saturating_sub(now))
    }

    /// The watches of which something is to be decided now, with what was seen of each
    /// until now: what is to be switched.
    pub(crate) fn look(&mut self, now: u64, seen: &[Seen]) -> Vec<Switch> {
        for (watch, seen) in self.watches.iter_mut().zip(seen) {
            watch.measure(now, *seen, self.cost);
        }
        let before: Vec<_> = self.watches.iter().map(|it| (it.on, it.hot)).collect();
        self.heat();
        let allowed = self.allowed();
        let random = self.random();
        for (watch, seen) in self.watches.iter_mut().zip(seen) {
            if watch.is_due(now) {
                watch.decide((now, *seen), self.cost, allowed, random);
            }
        }
        let all = self.watches.iter().zip(before).enumerate();
        let changed = all.filter(|(_, (watch, before))| (watch.on, watch.hot) != *before);
        let switch = |(watch, (it, _)): (usize, (&Watched, _))| Switch {
            watch,
            on: it.on,
            sampled: it.hot,
        };
        changed.map(switch).collect()
    }

    /// 0.75 to 1.25 (xorshift: Marsaglia, Journal of Statistical Software 8, 14).
    fn random(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        0.75 + (self.random % 1024) as f64 / 2048.0
    }

    /// Looking took so long.
    pub(crate) fn looked(&mut self, took_ns: u64, now: u64) {
        // A window does not wait for that: it ends when it is to.
        for watch in self.watches.iter_mut().filter(|watch| !watch.on || !watch.hot) {
            watch.next = watch.next.max(now.saturating_add(took_ns * LOOK_PARTS));
        }
    }

    /// A watch was switched at this time, when so much had been seen of it.
    pub(crate) fn switched(&mut self, watch: usize, now: u64, seen: Seen) {
        let watch = &mut self.watches[watch];
        if watch.on {
            (watch.since, watch.before, watch.next) = (now, seen, now + watch.check);
        }
    }

    /// A watch that takes turns has a register from now on, or others have it.
    pub(crate) fn turn(&mut self, watch: usize, comes: bool, now: u64) {
        let watch = &mut self.watches[watch];
        (watch.turns, watch.away) = (true, !comes);
        watch.next = match (comes, watch.on) {
            // What is seen in a turn must not end it.
            (true, true) if !watch.hot => u64::MAX,
            (true, true) => now + watch.check,
            (false, true) => now,
            (_, false) => watch.next,
        };
    }

    /// How a watch was that was hit too often at some time.
    pub(crate) fn hot(&self, watch: usize) -> Option<Hot> {
        let watch = &self.watches[watch];
        let Seen { hits, on_ns, .. } = watch.in_windows;
        let rate = hits as f64 / (on_ns as f64 / 1e9);
        let share = rate * self.cost / 1e9;
        let kept_up = watch.kept_up_shares / watch.kept_up.max(1.0);
        (on_ns > 0).then_some(Hot { rate, share, kept_up })
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
                // Others are not to make up for one whose turn is not over.
                Some(most) if most.may_heat() => most.heats(),
                _ => return,
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
    fn is_due(&self, now: u64) -> bool {
        self.next <= now
    }

    /// Whether it may be found to be hit too often now.
    fn may_heat(&self) -> bool {
        self.away || !self.turns
    }

    /// What was seen since it is looked at.
    fn since(&self, seen: Seen) -> Seen {
        let Seen { hits, all_hits, on_ns } = self.before;
        Seen {
            hits: seen.hits.saturating_sub(hits),
            all_hits: seen.all_hits.saturating_sub(all_hits),
            on_ns: seen.on_ns.saturating_sub(on_ns),
        }
    }

    /// Looks what share its hits take, where it is time to.
    fn measure(&mut self, now: u64, seen: Seen, cost: f64) {
        let lasted = now.saturating_sub(self.since);
        if self.is_due(now) && self.on && lasted > 0 {
            self.share = self.since(seen).hits as f64 * cost / lasted as f64;
        }
    }

    /// It is hit too often from now on.
    fn heats(&mut self) {
        self.hot = true;
        (self.took, self.lasted, self.calm, self.check) = (0.0, 0.0, 0, WINDOW_NS);
    }

    fn decide(&mut self, (now, seen): (u64, Seen), cost: f64, allowed: f64, random: f64) {
        match (self.on, self.hot) {
            (false, _) => self.on = true,
            // It is looked at when its next turn is over.
            (true, false) if self.turns => {
                (self.since, self.before, self.next) = (now, seen, u64::MAX);
            }
            // A window begins with its next turn.
            (true, true) if self.away => {
                if self.lasted == 0.0 {
                    self.begin_windows((now, seen), cost, allowed);
                }
                self.next = u64::MAX;
            }
            (true, true) => self.end_window((now, seen), cost, allowed, random),
            (true, false) => {
                self.check = (self.check * 2).min(CHECK_NS);
                (self.since, self.before, self.next) = (now, seen, now + self.check);
            }
        }
    }

    /// From here on there are windows. What was seen before is counted as it is.
    fn begin_windows(&mut self, (now, seen): (u64, Seen), cost: f64, allowed: f64) {
        let Seen { hits, on_ns, .. } = self.since(seen);
        let took = hits as f64 * cost;
        self.owed = took / (AIM * allowed) - now.saturating_sub(self.since) as f64;
        (self.took, self.lasted) = (took, on_ns.max(1) as f64);
        (self.since, self.before, self.next) = (now, seen, now + WINDOW_NS);
    }

    /// Goes on, or off for a while, or is not hit too often any more.
    fn end_window(
        &mut self,
        (now, seen): (u64, Seen),
        cost: f64,
        allowed: f64,
        random: f64,
    ) {
        let Seen { hits, all_hits, on_ns: lasted } = self.since(seen);
        if self.lasted == 0.0 {
            return self.begin_windows((now, seen), cost, allowed);
        }
        self.took = KEEPS * self.took + hits as f64 * cost;
        self.lasted = KEEPS * self.lasted + lasted as f64;
        self.in_windows.hits += hits;
        self.in_windows.on_ns += lasted;
        let kept_up = all_hits as f64 * cost;
        self.kept_up += kept_up;
        self.kept_up_shares += kept_up * (kept_up / lasted.max(1) as f64).min(1.0);
        (self.since, self.before) = (now, seen);
        // For each nanosecond on so many off.
        let times = self.took / self.lasted.max(1.0) / (AIM * allowed) - 1.0;
        if times <= 0.0 {
            self.calm += lasted;
            self.hot = self.calm < CALM_NS;
            self.next = now + WINDOW_NS;
            return;
        }
        self.calm = 0;
        let longer = OFF_LEAST_NS as f64 / times;
        self.check = (random * longer.clamp(WINDOW_NS as f64, CALM_NS as f64)) as u64;
        let owed = std::mem::take(&mut self.owed).max(0.0);
        let off = (lasted as f64 * times * random + owed) as u64;
        (self.on, self.next) = (false, now + off.max(OFF_LEAST_NS));
    }
}

#[cfg(test)]
mod tests {
    use hwtrace_runtime::slots::coverage::Estimate;
    use hwtrace_runtime::slots::coverage::strata::Strata;
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
                let all_hits = self.hits.iter().sum::<f64>() as u64;
                let seen = self.hits.iter().zip(&self.on_ns);
                let seen = seen.map(|(hits, on_ns)| {
                    let (hits, on_ns) = (*hits as u64, *on_ns);
                    Seen { hits, all_hits, on_ns }
                });
                let seen: Vec<_> = seen.collect();
                for Switch { watch, on, .. } in self.throttle.look(self.now, &seen) {
                    self.on[watch] = on;
                    self.throttle.switched(watch, self.now, seen[watch]);
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

    /// What is estimated of hits each so many nanoseconds while somebody runs, which is
    /// by turns of a length by chance and so long on average; as a share of the truth.
    fn estimated(run_ns: f64, seed: u64) -> f64 {
        const STEP: u64 = 20_000;
        let mut random = Throttle::new(0.5, COST, 0, seed << 20);
        let mut length = || -(random.random() * 2.0 - 1.499).ln() * run_ns;
        let mut throttle = Throttle::new(0.02, COST, 1, 0);
        let mut strata = Strata::default();
        strata.add_watch();
        let tally = strata.tally(0);
        strata.want(0, true, 0);
        strata.turn(0, true, 0);
        let (mut runs, mut until, mut on, mut there) = (false, 0, true, 0);
        let mut seen = Seen::default();
        for now in (0..30 * SECOND).step_by(STEP as usize) {
            while until <= now {
                (runs, until) = (!runs, until + length() as u64);
            }
            there += u64::from(runs);
            if runs && on {
                strata.hit(tally, now);
                seen.hits += 1;
                seen.all_hits += 1;
            }
            seen.on_ns += STEP * u64::from(on);
            if throttle.due_in(now) > 0 {
                continue;
            }
            for switch in throttle.look(now, &[seen]) {
                strata.sample(0, switch.sampled, now);
                strata.turn(0, switch.on, now);
                on = switch.on;
                throttle.switched(0, now, seen);
            }
        }
        let estimate: Estimate = strata.estimates(tally, 30 * SECOND).into_iter().sum();
        assert!(estimate.coverage() < 0.9, "it is sampled");
        estimate.estimated / there as f64
    }

    #[test]
    fn windows_are_where_nothing_happens_as_often_as_where_much_does() {
        for run_ns in [0.3e6, 3e6, 30e6, 300e6] {
            let tries = 20;
            let shares: Vec<_> =
                (1..=tries).map(|seed| estimated(run_ns, seed)).collect();
            let mean = shares.iter().sum::<f64>() / tries as f64;
            assert!((0.93..1.07).contains(&mean), "{run_ns}: {mean}, {shares:.2?}");
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
