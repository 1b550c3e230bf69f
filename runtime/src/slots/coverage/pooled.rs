//! Things that come and go, each of which has too few turns to stand for itself.
//!
//! They are put together by how much of a register they were to have: within such a stratum
//! it is chance who has one, so that what is seen of those that have it stands for all, and
//! for those that never had one. The units are turns, of any of them (Cochran, "Sampling
//! Techniques", chapter 6, ratio estimates, separately by stratum).

use super::{Estimate, Known, student};

/// Times of several things together, some of which go on. Nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spans {
    open: u64,
    /// The sum of when those began that go on.
    since: u128,
    /// What the others took.
    before: u64,
}

impl Spans {
    /// One more begins.
    pub fn begin(&mut self, now: u64) {
        self.open += 1;
        self.since += u128::from(now);
    }

    /// One ends that began then.
    pub fn end(&mut self, begun: u64, now: u64) {
        self.open = self.open.saturating_sub(1);
        self.since = self.since.saturating_sub(begun.into());
        self.before += now.saturating_sub(begun);
    }

    /// One that has ended was so much shorter.
    pub fn shorten(&mut self, by: u64) {
        self.before = self.before.saturating_sub(by);
    }

    /// All of them until now.
    pub fn until(&self, now: u64) -> u64 {
        let open = u128::from(self.open) * u128::from(now);
        let open = open.saturating_sub(self.since);
        self.before.saturating_add(u64::try_from(open).unwrap_or(u64::MAX))
    }
}

/// What was counted in a stratum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Hits that were seen.
    pub seen: u64,
    /// Nanoseconds in which they could be seen.
    pub on_ns: u64,
    /// Nanoseconds in which they were wanted.
    pub wanted_ns: u64,
    /// Over its turns: how many there were, squares of how long they took and of what was
    /// seen in them, and products of these.
    turns: u64,
    lengths_squared: f64,
    counts_squared: f64,
    products: f64,
}

/// Fewer turns are not a stratum by themselves.
const TURNS_ENOUGH: u64 = 8;

impl Sums {
    /// With a turn that took so long, and what was seen in it. What all took together and
    /// what was seen is told apart.
    pub fn turn(&mut self, length: u64, count: u64) {
        let (length, count) = (length as f64, count as f64);
        self.turns += 1;
        self.lengths_squared += length * length;
        self.counts_squared += count * count;
        self.products += length * count;
    }

    /// Whether it tells enough by itself.
    pub fn is_enough(&self) -> bool {
        self.turns >= TURNS_ENOUGH && self.on_ns > 0
    }

    /// Two strata as one.
    pub fn join(&mut self, other: &Self) {
        self.seen += other.seen;
        self.on_ns += other.on_ns;
        self.wanted_ns += other.wanted_ns;
        self.turns += other.turns;
        self.lengths_squared += other.lengths_squared;
        self.counts_squared += other.counts_squared;
        self.products += other.products;
    }

    /// The share of the time in which hits could be seen.
    fn share(&self) -> f64 {
        match self.wanted_ns {
            0 => 1.0,
            wanted => (self.on_ns as f64 / wanted as f64).min(1.0),
        }
    }

    fn estimated(&self) -> f64 {
        let share = self.share();
        if share > 0.0 { self.seen as f64 / share } else { self.seen as f64 }
    }

    /// The variance of that, if turns differ by chance and few were seen of all.
    fn between(&self) -> f64 {
        let (turns, share) = (self.turns as f64, self.share());
        if self.turns < 2 || share == 0.0 {
            return 0.0;
        }
        let rate = self.seen as f64 / self.on_ns as f64;
        let spread = self.counts_squared - 2.0 * rate * self.products
            + rate * rate * self.lengths_squared;
        student(turns) * turns / (turns - 1.0) * spread.max(0.0) / (share * share)
    }
}

/// What strata stand for, given by group and in an order in which neighbours are alike: those
/// that tell too little go with others of their group, or with all that are left over.
pub fn estimate<G: PartialEq>(strata: impl IntoIterator<Item = (G, Sums)>) -> Estimate {
    let mut all: Vec<Sums> = Vec::new();
    let mut rest = Sums::default();
    let mut group: Option<G> = None;
    let (mut own, mut few) = (false, Sums::default());
    for (next, sums) in strata {
        if group.as_ref() != Some(&next) {
            leave(own, std::mem::take(&mut few), &mut all, &mut rest);
            (group, own) = (Some(next), false);
        }
        few.join(&sums);
        if few.is_enough() {
            all.push(std::mem::take(&mut few));
            own = true;
        }
    }
    leave(own, few, &mut all, &mut rest);
    match all.iter_mut().max_by_key(|sums| sums.wanted_ns) {
        Some(most) if !rest.is_enough() => most.join(&rest),
        _ => all.push(rest),
    }
    together(&all)
}

/// What is too little at the end of a group.
fn leave(own: bool, few: Sums, all: &mut [Sums], rest: &mut Sums) {
    match all.last_mut() {
        Some(last) if own => last.join(&few),
        _ => rest.join(&few),
    }
}

fn together(strata: &[Sums]) -> Estimate {
    let mut sums = Sums::default();
    strata.iter().for_each(|stratum| sums.join(stratum));
    let known = Known {
        turns: sums.turns as f64,
        seen: sums.seen as f64,
        heaps: sums.counts_squared,
        share: sums.share(),
    };
    let between = || strata.iter().map(Sums::between).sum();
    Estimate {
        seen: sums.seen,
        on_ns: sums.on_ns,
        wanted_ns: sums.wanted_ns,
        estimated: strata.iter().map(Sums::estimated).sum(),
        variance: if known.share < 1.0 { known.variance(between) } else { Some(0.0) },
        bias: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many turns of 10 in 100 each, with so many hits each.
    fn stratum(turns: u64, hits: u64) -> Sums {
        let (on_ns, wanted_ns) = (10 * turns, 100 * turns);
        let mut sums = Sums { seen: hits * turns, on_ns, wanted_ns, ..Sums::default() };
        (0..turns).for_each(|_| sums.turn(10, hits));
        sums
    }

    #[test]
    fn strata_stand_for_themselves_where_they_tell_enough() {
        let never = Sums { wanted_ns: 400, ..Sums::default() };
        let found = estimate([(1, stratum(20, 5)), (1, never), (2, stratum(8, 1))]);
        // Those that had no turn go with the others of their group.
        assert_eq!((found.seen, found.on_ns, found.wanted_ns), (108, 280, 3200));
        assert!((found.estimated - (100.0 * 12.0 + 80.0)).abs() < 1e-9, "{found:?}");
        assert!(found.error().is_some_and(|error| error > 0.0));
        let alone = estimate([(1, stratum(20, 5)), (2, stratum(8, 1)), (3, never)]);
        assert_eq!(alone, found, "and else with the greatest of all");
    }

    #[test]
    fn too_few_turns_tell_nothing() {
        assert_eq!(estimate([(1, stratum(2, 5))]).variance, None);
        assert!(estimate([(1, stratum(2, 1)), (2, stratum(1, 1))]).variance.is_some());
        let never = Sums { wanted_ns: 400, ..Sums::default() };
        assert_eq!(estimate([(1, never)]).variance, None);
        let none = estimate::<u32>([]);
        assert_eq!(
            (none.estimated, none.variance, none.coverage()),
            (0.0, Some(0.0), 1.0)
        );
    }

    #[test]
    fn spans_add_up() {
        let mut spans = Spans::default();
        spans.begin(10);
        spans.begin(30);
        assert_eq!((spans.until(50), spans.until(5)), (60, 0));
        spans.end(10, 40);
        spans.shorten(5);
        assert_eq!(spans.until(50), 25 + 20);
    }
}
