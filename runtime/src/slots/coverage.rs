//! How much of the time each watch had a register, and what its hits stand for then.
//!
//! The turns of a watch are a sample of the time in which it is wanted. What was counted in
//! them, by the time that they took, is the rate of all of it; how much turns differ from
//! that tells how far it may be off (Cochran, "Sampling Techniques", chapter 6, ratio
//! estimates).

use std::collections::VecDeque;
use std::iter::Sum;
use std::ops::Add;

/// The times of all watches, and what was counted of them.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    watches: Vec<Times>,
    tallies: Vec<Tally>,
}

/// Hits of some kind on one watch.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    watch: usize,
    seen: u64,
    /// The turn that hits fall into, by number, and how many did.
    turn: Option<u64>,
    count: u64,
    /// Nanoseconds it took, and when it ended; 0 while it goes on.
    length: u64,
    end: u64,
    /// Over all turns before: squares of counts, and counts times lengths.
    counts_squared: f64,
    counts_lengths: f64,
}

/// When a watch was wanted, and when it had a register.
#[derive(Clone, Debug, Default)]
struct Times {
    wanted: Span,
    /// Whether it has a register that is on.
    on: bool,
    tallies: Vec<usize>,
    /// The last turns, in which hits may still fall.
    recent: VecDeque<Turn>,
    /// Of all that have ended: their number, nanoseconds, and squares of these.
    ended: u64,
    length: u64,
    lengths_squared: f64,
}

/// A time in which a watch was wanted and had a register.
#[derive(Clone, Copy, Debug)]
struct Turn {
    number: u64,
    start: u64,
    /// None while it goes on.
    end: Option<u64>,
}

/// So many of the last turns are known one by one. Hits come some 20 ms late: nothing that
/// takes turns that fast is watched in vain.
const RECENT: usize = 1024;

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
        self.variance.map(|variance| Z * variance.sqrt())
    }
}

impl Estimate {
    /// The same, where it may be off by so much besides.
    #[must_use]
    pub fn widened(self, by: f64) -> Self {
        let variance = self.variance.map(|variance| variance + (by / Z).powi(2));
        Self { variance, ..self }
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

impl Times {
    /// A turn begins or ends where that is so.
    fn settle(&mut self, now: u64, tallies: &mut [Tally]) {
        let on = self.on && self.wanted.since.is_some();
        let open = self.recent.back().filter(|turn| turn.end.is_none()).copied();
        match (open, on) {
            (None, true) => {
                let number = self.recent.back().map_or(0, |last| last.number + 1);
                self.recent.push_back(Turn { number, start: now, end: None });
                if self.recent.len() > RECENT {
                    self.recent.pop_front();
                }
            }
            (Some(turn), false) => self.end(turn, now, tallies),
            _ => {}
        }
    }

    fn end(&mut self, turn: Turn, now: u64, tallies: &mut [Tally]) {
        let length = now.saturating_sub(turn.start);
        if let Some(last) = self.recent.back_mut() {
            last.end = Some(now);
        }
        self.ended += 1;
        self.length += length;
        self.lengths_squared += (length as f64).powi(2);
        for tally in &self.tallies {
            let tally = &mut tallies[*tally];
            if tally.turn == Some(turn.number) {
                (tally.length, tally.end) = (length, now);
            }
        }
    }

    /// How long the turn has lasted that goes on.
    fn open(&self, now: u64) -> Option<u64> {
        let last = self.recent.back().filter(|turn| turn.end.is_none())?;
        Some(now.saturating_sub(last.start))
    }

    fn on_ns(&self, now: u64) -> u64 {
        self.length + self.open(now).unwrap_or(0)
    }

    /// The turn in which a hit was; the last before it where it was in none.
    fn turn_at(&self, time: u64) -> Option<&Turn> {
        let last = self.recent.back().filter(|turn| turn.start <= time);
        last.or_else(|| {
            let later = self.recent.partition_point(|turn| turn.start <= time);
            self.recent.get(later.saturating_sub(1))
        })
    }
}

impl Tally {
    /// Goes on to another turn, if it is one.
    fn enter(&mut self, turn: &Turn) {
        if self.turn == Some(turn.number) {
            return;
        }
        let count = std::mem::take(&mut self.count) as f64;
        self.counts_squared += count * count;
        self.counts_lengths += count * self.length as f64;
        self.turn = Some(turn.number);
        self.end = turn.end.unwrap_or(0);
        self.length = self.end.saturating_sub(turn.start);
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
        let times = &mut self.watches[watch];
        times.wanted.set(wanted, now);
        times.settle(now, &mut self.tallies);
    }

    /// A watch has a register that is on from now on, or not.
    pub fn turn(&mut self, watch: usize, on: bool, now: u64) {
        let times = &mut self.watches[watch];
        times.on = on;
        times.settle(now, &mut self.tallies);
    }

    /// Forgets what was until now, but for what is wanted and has a register.
    pub fn restart(&mut self, now: u64) {
        for times in &mut self.watches {
            let (wanted, on) = (times.wanted.since.is_some(), times.on);
            let tallies = std::mem::take(&mut times.tallies);
            *times = Times { on, tallies, ..Times::default() };
            times.wanted.set(wanted, now);
            times.settle(now, &mut self.tallies);
        }
        for tally in &mut self.tallies {
            *tally = Tally { watch: tally.watch, ..Tally::default() };
        }
    }

    /// Hits of some kind on a watch are to be counted; gives the number for
    /// [`Coverage::hit`].
    pub fn tally(&mut self, watch: usize) -> usize {
        let number = self.tallies.len();
        self.tallies.push(Tally { watch, ..Tally::default() });
        self.watches[watch].tallies.push(number);
        number
    }

    /// One of them; they come in the order of time. One that came in no turn is of the last
    /// before it.
    pub fn hit(&mut self, tally: usize, time: u64) {
        let tally = &mut self.tallies[tally];
        tally.seen += 1;
        if time >= tally.end
            && let Some(turn) = self.watches[tally.watch].turn_at(time)
        {
            tally.enter(turn);
        }
        tally.count += 1;
    }

    /// The share of the time since it is wanted in which a watch had a register, 0 to 1.
    pub fn share(&self, watch: usize, now: u64) -> f64 {
        let times = &self.watches[watch];
        let (on, wanted) = (times.on_ns(now), times.wanted.until(now));
        if wanted == 0 { 1.0 } else { (on as f64 / wanted as f64).min(1.0) }
    }

    /// What was counted stands for this.
    pub fn estimate(&self, tally: usize, now: u64) -> Estimate {
        let Tally { watch, seen, .. } = self.tallies[tally];
        let times = &self.watches[watch];
        let share = self.share(watch, now);
        Estimate {
            seen,
            on_ns: times.on_ns(now),
            wanted_ns: times.wanted.until(now),
            estimated: if share > 0.0 { seen as f64 / share } else { 0.0 },
            variance: if share == 1.0 { Some(0.0) } else { self.variance(tally, now) },
        }
    }

    /// Of the estimate of a watch that had a register part of the time.
    fn variance(&self, tally: usize, now: u64) -> Option<f64> {
        let tally = &self.tallies[tally];
        let times = &self.watches[tally.watch];
        let open = times.open(now);
        let turns = (times.ended + u64::from(open.is_some())) as f64;
        let (share, on) = (self.share(tally.watch, now), times.on_ns(now) as f64);
        let missed = (1.0 - share) / (share * share);
        let seen = tally.seen as f64;
        if share > NEARLY_ALL && turns < TURNS_MIN {
            // As if what was seen had been twice as dense where it was not.
            return Some((2.0 * (1.0 - share) * (seen + 3.0) / Z).powi(2));
        }
        if turns < TURNS_MIN || share == 0.0 {
            return None;
        }
        if tally.seen == 0 {
            // With three expected in 95 of 100 cases one is seen at least.
            return Some((3.0 / Z).powi(2) * missed);
        }
        let length = if tally.end == 0 { open.unwrap_or(0) } else { tally.length };
        let (count, length) = (tally.count as f64, length as f64);
        let squares = tally.counts_squared + count * count;
        // In a few heaps: how many of these were missed nobody knows.
        if squares > 2.0 * seen && seen * seen < HEAPS_MIN * squares {
            return None;
        }
        let rate = seen / on;
        let open = open.unwrap_or(0) as f64;
        let spread = squares - 2.0 * rate * (tally.counts_lengths + count * length)
            + rate * rate * (times.lengths_squared + open * open);
        // Of few turns the spread itself is not known well: the variance of Student's t.
        let student = (turns - 1.0) / (turns - 3.0).max(0.4);
        let between = turns / (turns - 1.0) * spread.max(0.0) * student;
        Some(between.max(seen) * missed)
    }
}

/// Of what was watched for so long little can have been missed.
const NEARLY_ALL: f64 = 0.99;

/// Fewer turns do not tell how much they differ.
const TURNS_MIN: f64 = 3.0;

/// Turns in which hits were, weighted by how many: fewer tell nothing of others.
const HEAPS_MIN: f64 = 4.0;

/// So many standard deviations hold 95 of 100 cases.
const Z: f64 = 1.96;

#[cfg(test)]
mod tests;
