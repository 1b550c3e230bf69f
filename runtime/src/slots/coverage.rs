//! How much of the time each watch had a register, and what its hits stand for then.
//!
//! The turns of a watch are a sample of the time in which it is wanted. Each stands for
//! itself and for half of the time to the turns before and after it: that follows what is
//! watched when it does more at some times than at others, also where it is watched less at
//! those (the trapezoidal rule). How much turns differ from the rate of all tells how far
//! that may be off (Cochran, "Sampling Techniques", chapter 6, ratio estimates).

pub mod pooled;
pub mod strata;

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
    /// When it ended; 0 while it goes on.
    end: u64,
    /// Of all turns before.
    before: Sums,
}

/// Of what was counted in turns.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// What it stands for.
    estimated: f64,
    /// Squares of that, and products with the time that the turn stands for.
    squares: f64,
    products: f64,
    /// Squares of the counts.
    counts_squared: f64,
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
    /// How many there were, and how long those took together that have ended,
    /// nanoseconds.
    turns: u64,
    length: u64,
    /// Squares of the nanoseconds that each stands for, but for the last.
    squares: f64,
    /// Whether the next has nothing to do with the last, though nothing was missed.
    apart: bool,
}

/// A time in which a watch was wanted and had a register. Such times bear the number of the
/// one before, and count as one with it, where that was too short to stand for much, or
/// where nothing was missed in between.
#[derive(Clone, Copy, Debug)]
struct Turn {
    number: u64,
    /// When it began and ended, CLOCK_MONOTONIC; none while it goes on.
    start: u64,
    end: Option<u64>,
    /// How long those of its number that have ended took, this one too.
    length: u64,
    /// From when on it stands for the time, and when it ended, in nanoseconds in which the
    /// watch was wanted.
    from: u64,
    to: u64,
}

/// A turn of less stands for nothing by itself.
const SHORT_NS: u64 = 500_000;

/// So many of the last turns are known one by one: more than begin in the 20 ms by which
/// hits come late.
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
    /// By how much it may be off besides, for a reason that others may share: such errors
    /// add up, while those that the variance tells of balance.
    pub bias: f64,
}

impl Estimate {
    /// The share of the time in which hits could be seen, 0 to 1; 1 where there was no time.
    pub fn coverage(&self) -> f64 {
        if self.wanted_ns == 0 { 1.0 } else { self.on_ns as f64 / self.wanted_ns as f64 }
    }

    /// What the number is off by at most, in 95 of 100 cases; none where that can not be
    /// told.
    pub fn error(&self) -> Option<f64> {
        self.variance.map(|variance| Z * variance.sqrt() + self.bias)
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
            bias: self.bias + other.bias,
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
        let is_open = self.recent.back().is_some_and(|turn| turn.end.is_none());
        if on && !is_open {
            self.begin(now);
            self.forget(tallies);
        }
        let wanted = self.wanted.until(now);
        if let Some(turn) = self.recent.back_mut().filter(|_| is_open && !on) {
            let length = now.saturating_sub(turn.start);
            (turn.end, turn.to) = (Some(now), wanted);
            turn.length += length;
            self.length += length;
        }
    }

    fn begin(&mut self, now: u64) {
        let wanted = self.wanted.until(now);
        let next = Turn { number: 0, start: now, end: None, length: 0, from: 0, to: 0 };
        let apart = std::mem::take(&mut self.apart);
        let goes_on =
            |last: &Turn| last.length < SHORT_NS || (last.to == wanted && !apart);
        let next = match self.recent.back() {
            Some(last) if goes_on(last) => Turn { start: now, end: None, ..*last },
            Some(last) => {
                // What is between the two is shared between them.
                let from = last.to + (wanted - last.to) / 2;
                self.squares += ((from - last.from) as f64).powi(2);
                self.turns += 1;
                Turn { number: last.number + 1, from, ..next }
            }
            None => {
                self.turns += 1;
                next
            }
        };
        self.recent.push_back(next);
    }

    /// Forgets the oldest turn, where there are too many: what was counted in it last is
    /// summed up.
    fn forget(&mut self, tallies: &mut [Tally]) {
        let Some(oldest) = self.recent.front().filter(|_| self.recent.len() > RECENT)
        else {
            return;
        };
        let number = oldest.number;
        let stands_for = self.stands_for(number, oldest.start);
        self.recent.pop_front();
        if self.recent.front().is_some_and(|next| next.number == number) {
            return;
        }
        for tally in &self.tallies {
            let tally = &mut tallies[*tally];
            if let Some(of) = stands_for.filter(|_| tally.turn == Some(number)) {
                tally.before = tally.before.and(std::mem::take(&mut tally.count), of);
                tally.turn = None;
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

    /// The nanoseconds that a turn took, and those that it stands for.
    fn stands_for(&self, number: u64, now: u64) -> Option<(f64, f64)> {
        let next = self.recent.partition_point(|turn| turn.number <= number);
        let turn = self.recent.get(next.checked_sub(1)?)?;
        let going_on = turn.end.map_or(now.saturating_sub(turn.start), |_| 0);
        let until =
            self.recent.get(next).map_or(self.wanted.until(now), |next| next.from);
        let stands_for = until.saturating_sub(turn.from);
        Some(((turn.length + going_on) as f64, stands_for as f64))
    }
}

impl Sums {
    /// With what was counted in a turn, which took so long and stands for so long.
    fn and(self, count: u64, (length, stands_for): (f64, f64)) -> Self {
        let count = count as f64;
        let estimated = count * (stands_for / length.max(1.0));
        Self {
            estimated: self.estimated + estimated,
            squares: self.squares + estimated * estimated,
            products: self.products + estimated * stands_for,
            counts_squared: self.counts_squared + count * count,
        }
    }
}

impl Tally {
    /// Of all turns until now.
    fn sums(&self, times: &Times, now: u64) -> Sums {
        let last = self.turn.and_then(|turn| times.stands_for(turn, now));
        last.map_or(self.before, |last| self.before.and(self.count, last))
    }

    /// Goes on to another turn, if it is one.
    fn enter(&mut self, turn: &Turn, times: &Times) {
        self.end = turn.end.unwrap_or(0);
        if self.turn != Some(turn.number) {
            self.before = self.sums(times, turn.start);
            (self.turn, self.count) = (Some(turn.number), 0);
        }
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

    /// What comes next of a watch is of other times than what was: the next turn stands
    /// for them alone.
    pub fn part(&mut self, watch: usize) {
        self.watches[watch].apart = true;
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
    /// before it; one that came before all of them stands for itself.
    pub fn hit(&mut self, tally: usize, time: u64) {
        let tally = &mut self.tallies[tally];
        tally.seen += 1;
        let times = &self.watches[tally.watch];
        if time >= tally.end
            && let Some(turn) = times.turn_at(time)
        {
            if turn.start > time && turn.number == 0 {
                tally.before.estimated += 1.0;
                return;
            }
            tally.enter(turn, times);
        }
        tally.count += 1;
    }

    /// Nanoseconds in which a watch was wanted and had a register that was on.
    pub fn on_ns(&self, watch: usize, now: u64) -> u64 {
        self.watches[watch].on_ns(now)
    }

    /// The share of the time since it is wanted in which a watch had a register, 0 to 1.
    pub fn share(&self, watch: usize, now: u64) -> f64 {
        let times = &self.watches[watch];
        let (on, wanted) = (times.on_ns(now), times.wanted.until(now));
        if wanted == 0 { 1.0 } else { (on as f64 / wanted as f64).min(1.0) }
    }

    /// How many times as dense as on the average hits came in the turn of the average hit:
    /// 1 where they come all the time alike, more where they come in heaps.
    pub fn density(&self, tally: usize, now: u64) -> f64 {
        let tally = &self.tallies[tally];
        let times = &self.watches[tally.watch];
        let seen = tally.seen as f64;
        // Of each hit the others in its turn; of hits at random as many as in any turn.
        let others = tally.sums(times, now).counts_squared - seen;
        let dense = others * times.turns as f64 / (seen * seen).max(1.0);
        dense.max(1.0)
    }

    /// What was counted stands for this.
    pub fn estimate(&self, tally: usize, now: u64) -> Estimate {
        let tally = &self.tallies[tally];
        let (times, seen) = (&self.watches[tally.watch], tally.seen);
        let share = self.share(tally.watch, now);
        let sums = tally.sums(times, now);
        let (estimated, variance) = match share {
            1.0 => (seen as f64, Some(0.0)),
            _ => {
                (sums.estimated.max(seen as f64), times.variance(seen, sums, share, now))
            }
        };
        let (on_ns, wanted_ns) = (times.on_ns(now), times.wanted.until(now));
        Estimate { seen, on_ns, wanted_ns, estimated, variance, bias: 0.0 }
    }
}

impl Times {
    /// Of what is estimated where it had a register such a share of the time, and so many
    /// hits were seen.
    fn variance(&self, seen: u64, sums: Sums, share: f64, now: u64) -> Option<f64> {
        let turns = self.turns as f64;
        let known = Known { turns, seen: seen as f64, heaps: sums.counts_squared, share };
        known.variance(|| {
            let wanted = self.wanted.until(now) as f64;
            let last = self.recent.back().map_or(0, |last| last.from);
            let squares = self.squares + (wanted - last as f64).powi(2);
            let rate = sums.estimated / wanted;
            let spread =
                sums.squares - 2.0 * rate * sums.products + rate * rate * squares;
            turns / (turns - 1.0) * spread.max(0.0) * student(turns)
        })
    }
}

/// Of few turns the spread itself is not known well: the variance of Student's t.
fn student(turns: f64) -> f64 {
    (turns - 1.0) / (turns - 3.0).max(0.4)
}

/// What there is to tell an error by.
#[derive(Clone, Copy, Debug)]
struct Known {
    turns: f64,
    seen: f64,
    /// Squares of what was seen in each turn.
    heaps: f64,
    /// The share of the time in which it was watched, below 1.
    share: f64,
}

impl Known {
    /// The variance of what is estimated, where turns tell enough; given is what it is if
    /// they are few of many.
    fn variance(self, between: impl FnOnce() -> f64) -> Option<f64> {
        let Self { turns, seen, heaps, share } = self;
        let missed = (1.0 - share) / (share * share);
        if share > NEARLY_ALL && turns < TURNS_MIN {
            // As if what was seen had been twice as dense where it was not.
            return Some((2.0 * (1.0 - share) * (seen + 3.0) / Z).powi(2));
        }
        if turns < TURNS_MIN || share == 0.0 {
            return None;
        }
        if seen == 0.0 {
            // With three expected in 95 of 100 cases one is seen at least.
            return Some((3.0 / Z).powi(2) * missed);
        }
        // In a few heaps: how many of these were missed nobody knows, where that is most.
        if share < 0.5 && heaps > 2.0 * seen && seen * seen < HEAPS_MIN * heaps {
            return None;
        }
        Some((between() * (1.0 - share)).max(seen * missed))
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
