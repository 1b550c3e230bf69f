//! How much of the time each watch had a register, and what its hits stand for then.

use std::iter::Sum;
use std::ops::Add;

/// The times of all watches, and what was counted of them.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    watches: Vec<Times>,
    tallies: Vec<Tally>,
}

/// Hits of some kind on one watch.
#[derive(Clone, Copy, Debug)]
struct Tally {
    watch: usize,
    seen: u64,
}

/// When a watch was wanted, and when it had a register.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    wanted: Span,
    on: Span,
}

/// Time that goes on or stands still.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    since: Option<u64>,
    /// Nanoseconds before.
    before: u64,
}

/// What some hits stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Hits that were seen.
    pub seen: u64,
    /// Nanoseconds in which they could be seen, of all watches together.
    pub on_ns: u64,
    /// Nanoseconds in which they were wanted.
    pub wanted_ns: u64,
    /// How many there were, seen or not, if the rest of the time was alike.
    pub estimated: f64,
    /// The variance of that; none where too little was seen to tell.
    pub variance: Option<f64>,
}

impl Estimate {
    /// The share of the time in which hits could be seen, 0 to 1; 1 where there was no time.
    pub fn coverage(&self) -> f64 {
        if self.wanted_ns == 0 { 1.0 } else { self.on_ns as f64 / self.wanted_ns as f64 }
    }

    /// What the number is off by at most, in 95 of 100 cases; none where that can not be
    /// told.
    pub fn error(&self) -> Option<f64> {
        self.variance.map(|variance| 1.96 * variance.sqrt())
    }
}

impl Add for Estimate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let variance = self.variance.zip(other.variance).map(|(own, other)| own + other);
        Self {
            seen: self.seen + other.seen,
            on_ns: self.on_ns + other.on_ns,
            wanted_ns: self.wanted_ns + other.wanted_ns,
            estimated: self.estimated + other.estimated,
            variance,
        }
    }
}

impl Sum for Estimate {
    fn sum<I: Iterator<Item = Self>>(estimates: I) -> Self {
        let none = Self { variance: Some(0.0), ..Self::default() };
        estimates.fold(none, Add::add)
    }
}

impl Span {
    fn set(&mut self, on: bool, now: u64) {
        match (self.since, on) {
            (None, true) => self.since = Some(now),
            (Some(since), false) => {
                self.before += now.saturating_sub(since);
                self.since = None;
            }
            _ => {}
        }
    }

    fn until(&self, now: u64) -> u64 {
        self.before + self.since.map_or(0, |since| now.saturating_sub(since))
    }
}

impl Coverage {
    /// Of so many watches, none of which is wanted yet.
    pub fn new(watches: usize) -> Self {
        Self { watches: vec![Times::default(); watches], tallies: Vec::new() }
    }

    /// One more watch; gives its number.
    pub fn add_watch(&mut self) -> usize {
        self.watches.push(Times::default());
        self.watches.len() - 1
    }

    /// Hits of a watch are wanted from now on, or not; `now` is CLOCK_MONOTONIC in
    /// nanoseconds.
    pub fn want(&mut self, watch: usize, wanted: bool, now: u64) {
        self.watches[watch].wanted.set(wanted, now);
    }

    /// A watch has a register that is on from now on, or not.
    pub fn turn(&mut self, watch: usize, on: bool, now: u64) {
        self.watches[watch].on.set(on, now);
    }

    /// Hits of some kind on a watch are to be counted; gives the number for
    /// [`Coverage::hit`].
    pub fn tally(&mut self, watch: usize) -> usize {
        self.tallies.push(Tally { watch, seen: 0 });
        self.tallies.len() - 1
    }

    /// One of them; they come in the order of time.
    pub fn hit(&mut self, tally: usize, _time: u64) {
        self.tallies[tally].seen += 1;
    }

    /// The share of the time since it is wanted in which a watch had a register, 0 to 1.
    pub fn share(&self, watch: usize, now: u64) -> f64 {
        let times = &self.watches[watch];
        let (on, wanted) = (times.on.until(now), times.wanted.until(now));
        if wanted == 0 { 1.0 } else { (on as f64 / wanted as f64).min(1.0) }
    }

    /// What was counted stands for this.
    pub fn estimate(&self, tally: usize, now: u64) -> Estimate {
        let Tally { watch, seen } = self.tallies[tally];
        let times = &self.watches[watch];
        let share = self.share(watch, now);
        Estimate {
            seen,
            on_ns: times.on.until(now),
            wanted_ns: times.wanted.until(now),
            estimated: if share > 0.0 { seen as f64 / share } else { 0.0 },
            variance: (share == 1.0).then_some(0.0),
        }
    }
}
