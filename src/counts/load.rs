//! How hits slow the target down, while a watch is on and while it is off.

use std::collections::HashMap;

/// What hits take of the target's time. Rates are hits a nanosecond.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// What a hit takes, nanoseconds.
    cost_ns: f64,
    /// By watch, over all the time.
    watches: Vec<Watch>,
    /// Of those that take turns: the rates of all together, and on how many registers.
    turning: f64,
    registers: f64,
    /// Of all others.
    staying: f64,
    threads: Threads,
    activity: Activity,
}

/// What the target's threads do, as shares of the time, 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Activity {
    /// They wait for a processor.
    pub(crate) waits: f64,
    /// They wait for one, or have one: else they sleep.
    pub(crate) busy: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    rate: f64,
    /// The share of the time in which it had a register, where it takes turns.
    share: Option<f64>,
    /// Of its windows, where it is sampled: the share of the time that hits of all took
    /// when one was seen.
    window: f64,
}

/// Which threads hits are of, by some of them.
#[derive(Clone, Debug, Default)]
struct Threads {
    hits: u64,
    by_thread: HashMap<u32, u64>,
}

/// By what factor the target goes on while a watch is off, of what it does while it is on:
/// 1 where hits make no difference, none where they take so much of the time that nobody
/// knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Faster {
    /// Where threads are kept up by their own hits only.
    pub(super) alone: Option<f64>,
    /// Where those that sleep wait for one another, as for a mutex: each hit keeps up all.
    pub(super) together: Option<f64>,
}

impl Faster {
    const NONE: Self = Self { alone: Some(1.0), together: Some(1.0) };
}

/// One hit of so many is looked at.
const LOOKS_EVERY: u64 = 16;
/// More threads are not told apart.
const THREADS_MAX: usize = 4096;

/// Where less is left of the time beside hits nobody knows how much it is.
const LEAST_LEFT: f64 = 0.25;

/// What is left of the time in windows; none where that is too little to be known.
fn most_left(left: f64) -> Option<f64> {
    Some(left).filter(|left| *left >= 0.5)
}

impl Load {
    pub(super) fn new(cost_ns: f64) -> Self {
        Self { cost_ns, ..Self::default() }
    }

    /// A hit of a thread.
    pub(super) fn hit(&mut self, tid: u32) {
        let Threads { hits, by_thread } = &mut self.threads;
        *hits += 1;
        if *hits % LOOKS_EVERY != 1 {
            return;
        }
        if by_thread.len() < THREADS_MAX || by_thread.contains_key(&tid) {
            *by_thread.entry(tid).or_default() += 1;
        }
    }

    /// The target's threads did this all the time.
    pub(super) fn set_activity(&mut self, activity: Activity) {
        self.activity = activity;
    }

    /// In which share of the time they did not sleep, 0 to 1.
    pub(super) fn busy(&self) -> f64 {
        self.activity.busy
    }

    /// In the windows of a watch hits of all took such a share of the time, 0 to 1.
    pub(super) fn window(&mut self, watch: usize, share: f64) {
        let watches = self.watches.len().max(watch + 1);
        self.watches.resize(watches, Watch::default());
        self.watches[watch].window = share;
    }

    /// So many hits of each watch the engine counted in so many nanoseconds, of which it
    /// had a register in such a share.
    pub(super) fn counted(
        &mut self,
        hits: &[u64],
        ns: u64,
        share: impl Fn(usize) -> f64,
    ) {
        self.watches.resize(self.watches.len().max(hits.len()), Watch::default());
        (self.turning, self.registers, self.staying) = (0.0, 0.0, 0.0);
        for (number, (watch, hits)) in self.watches.iter_mut().zip(hits).enumerate() {
            let share = share(number);
            watch.rate = *hits as f64 / ns.max(1) as f64;
            // What is sampled is on and off at times of its own.
            watch.share = Some(share).filter(|share| *share < 1.0 && watch.window == 0.0);
            match watch.share {
                Some(share) => {
                    self.turning += watch.rate;
                    self.registers += share;
                }
                None => self.staying += watch.rate,
            }
        }
    }

    /// How much faster the target goes on while a watch is off, which is on in such a share
    /// of the time.
    pub(super) fn usual(&self, watch: u32, coverage: f64) -> Faster {
        let Some(own) = self.watches.get(watch as usize) else { return Faster::NONE };
        let Some(share) = own.share.filter(|share| *share > 0.0) else {
            let others = self.turning + self.staying - own.rate;
            return self.both(coverage, |asleep| {
                self.faster(self.left(others, asleep), others + own.rate, asleep)
            });
        };
        // All registers have another watch: of one that is not this one the rate is that.
        let (registers, others) = (self.registers.ceil(), self.registers - share);
        let other = match others > 0.0 {
            true => (self.turning - own.rate).max(0.0) / others,
            false => 0.0,
        };
        let on = own.rate / share + other * (registers - 1.0) + self.staying;
        let off = other * registers + self.staying;
        // While registers are passed on none is on.
        let none = 1.0 - self.registers / registers;
        let none = (none / (1.0 - share)).clamp(0.0, 1.0);
        self.both(coverage, |asleep| {
            let [staying, off] = [self.staying, off].map(|rate| self.left(rate, asleep));
            self.faster(none * staying + (1.0 - none) * off, on, asleep)
        })
    }

    /// The same at times when a watch is hit so many times as often as on the average, and
    /// no other may be hit.
    pub(super) fn dense(&self, watch: u32, density: f64, coverage: f64) -> Faster {
        let Some(own) = self.watches.get(watch as usize) else { return Faster::NONE };
        let share = own.share.filter(|share| *share > 0.0).unwrap_or(1.0);
        let on = own.rate / share * density + self.staying;
        let staying = if own.share.is_some() { self.staying } else { 0.0 };
        self.both(coverage, |asleep| self.faster(self.left(staying, asleep), on, asleep))
    }

    /// The same while it is sampled.
    pub(super) fn sampled(&self, watch: u32, coverage: f64) -> Faster {
        let Some(own) = self.watches.get(watch as usize) else { return Faster::NONE };
        let others = self.turning + self.staying - own.rate;
        self.both(coverage, |asleep| {
            let left = most_left(1.0 - self.keeps_up(own.window, asleep));
            left.map(|left| self.left(others, asleep) / left)
        })
    }

    /// The same of objects that are hit so often while they are on, whatever register they
    /// have then.
    pub(super) fn objects(&self, rate: f64, coverage: f64) -> Faster {
        let others = self.turning + self.staying;
        let windows = self.watches.iter().map(|watch| watch.window);
        let windows = windows.fold(0.0, f64::max);
        self.both(coverage, |asleep| {
            let sampled = 1.0 / most_left(1.0 - self.keeps_up(windows, asleep))?;
            let left = self.left(others - rate, asleep);
            let usual = self.faster(left, others + rate, asleep)?;
            Some(usual.max(sampled))
        })
    }

    /// A factor where threads sleep for their own reasons, and where they do for those of
    /// others: it is given for how much of the time they may sleep because of hits. In the
    /// times when a watch is on that is no more than they sleep in all.
    fn both(&self, coverage: f64, factor: impl Fn(f64) -> Option<f64>) -> Faster {
        let asleep = (1.0 - self.activity.busy).max(0.0) / coverage.max(1e-9);
        Faster { alone: factor(0.0), together: factor(asleep) }
    }

    /// By what factor it goes on where so much of the time is left than with hits at a rate.
    fn faster(&self, left: f64, on: f64, asleep: f64) -> Option<f64> {
        let on = self.left(on, asleep);
        (on >= LEAST_LEFT).then(|| left / on)
    }

    /// What is left of the time with hits at such a rate, of what the target runs.
    fn left(&self, rate: f64, asleep: f64) -> f64 {
        let runs = (1.0 - self.activity.waits).max(0.1);
        let took = rate.max(0.0) * self.cost_ns / runs;
        (1.0 - self.keeps_up(took, asleep)).max(0.0)
    }

    /// For what share of its time hits that take such a share of a processor's keep a thread
    /// up, its own and those of others for which it may sleep.
    fn keeps_up(&self, took: f64, asleep: f64) -> f64 {
        let own = took / self.threads();
        own + (took - own).min(asleep)
    }

    /// As how many threads that are hit equally often: one keeps up itself alone (Simpson,
    /// "Measurement of Diversity", Nature 163).
    fn threads(&self) -> f64 {
        let hits = self.threads.by_thread.values().map(|hits| *hits as f64);
        let (sum, squares) =
            hits.fold((0.0, 0.0), |(sum, squares), it| (sum + it, squares + it * it));
        if squares > 0.0 { sum * sum / squares } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Watches that are hit so often a second, 1 microsecond each, and have a register in
    /// such a share of the time.
    fn load(watches: &[(u64, f64)]) -> Load {
        let mut load = Load::new(1000.0);
        let hits: Vec<_> = watches.iter().map(|watch| watch.0).collect();
        load.counted(&hits, SECOND, |watch| watches[watch].1);
        load
    }

    fn about(found: Faster, wanted: f64) {
        let found = found.alone;
        let near = found.is_some_and(|found| (found - wanted).abs() < 1e-9);
        assert!(near, "{found:?} and not {wanted}");
    }

    #[test]
    fn one_alone_goes_on_faster_while_it_is_off() {
        // 200,000 a second while it is on. Nobody has its register else.
        about(load(&[(100_000, 0.5)]).usual(0, 0.5), 1.0 / 0.8);
        about(load(&[(0, 0.5)]).usual(0, 0.5), 1.0);
        about(load(&[]).usual(7, 0.5), 1.0);
        assert_eq!(load(&[(400_000, 0.5)]).usual(0, 0.5).alone, None);
    }

    #[test]
    fn while_a_light_one_is_off_a_heavy_one_may_be_on() {
        let load = load(&[(200_000, 0.5), (10_000, 0.5)]);
        about(load.usual(0, 0.5), 0.98 / 0.6);
        about(load.usual(1, 0.5), 0.6 / 0.98);
    }

    #[test]
    fn of_many_on_several_registers_each_sees_the_others() {
        let all = load(&[(50_000, 0.5); 8]);
        // Four are on at any time, 100,000 a second each.
        about(all.usual(3, 0.5), 1.0);
        // And none in a tenth of it.
        let gaps = load(&[(45_000, 0.45); 8]);
        let (on, none) = (0.6, 0.1 / 0.55);
        about(gaps.usual(3, 0.5), ((1.0 - none) * on + none) / on);
        let fixed = load(&[(50_000, 0.5), (50_000, 0.5), (100_000, 1.0)]);
        about(fixed.usual(0, 0.5), 1.0);
    }

    #[test]
    fn threads_keep_up_themselves_alone_and_those_that_wait_nobody() {
        let mut load = load(&[(100_000, 0.5)]);
        (0..1600).for_each(|hit| load.hit(hit / 16 % 4));
        about(load.usual(0, 0.5), 1.0 / 0.95);
        let waits = |waits| Activity { waits, busy: 1.0 };
        load.set_activity(waits(0.5));
        about(load.usual(0, 0.5), 1.0 / 0.9);
        load.set_activity(waits(1.0));
        assert_eq!(load.usual(0, 0.5).alone, Some(2.0));
    }

    #[test]
    fn who_sleeps_may_wait_for_others_that_are_kept_up() {
        let mut load = load(&[(100_000, 0.5)]);
        (0..1600).for_each(|hit| load.hit(hit / 16 % 4));
        let together = |load: &Load, busy: f64| {
            let mut load = load.clone();
            load.set_activity(Activity { waits: 0.0, busy });
            let Faster { alone, together } = load.usual(0, 0.5);
            assert_eq!(alone, Some(1.0 / 0.95));
            (together.expect("known") * 1e6).round() / 1e6
        };
        let factor = |left: f64| (1e6 / left).round() / 1e6;
        assert_eq!(together(&load, 0.1), factor(0.8), "as if there were one thread");
        assert_eq!(together(&load, 0.95), factor(0.85), "they sleep a tenth of its time");
        assert_eq!(together(&load, 1.0), factor(0.95), "nobody sleeps");
        load.set_activity(Activity { waits: 0.0, busy: 0.1 });
        load.window(0, 0.77);
        let Faster { alone, together } = load.sampled(0, 0.03);
        assert!(alone.is_some() && together.is_none(), "{alone:?} {together:?}");
    }

    #[test]
    fn in_windows_it_is_known() {
        let mut load = load(&[(10_000, 0.05), (100_000, 1.0)]);
        load.window(0, 0.5);
        load.counted(&[10_000, 100_000], SECOND, |it| if it == 0 { 0.05 } else { 1.0 });
        about(load.sampled(0, 0.05), 0.9 / 0.5);
        about(load.objects(1e-6, 0.05), 2.0);
        load.window(0, 1.0);
        let found = [load.sampled(0, 0.05), load.objects(1e-6, 0.05)];
        assert_eq!(found.map(|found| found.alone), [None, None]);
    }
}
