//! How long turns are. Times are nanoseconds of one clock.

use std::time::Duration;

use hwtrace_runtime::slots::turns::Turns;

/// Passing registers on takes one part in so many of the time at most: where it takes long,
/// as there are many threads, turns are longer.
const COST_PARTS: u64 = 50;

/// That is the least of so many.
const COSTS: usize = 8;

/// When the turn ends of those who share registers.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    slice: Duration,
    /// How long the last ones took to begin.
    costs: [u64; COSTS],
    /// When the turn ends; none before the first begins.
    until: Option<u64>,
}

impl Pace {
    /// Turns of `slice`, or longer.
    pub(crate) fn new(slice: Duration) -> Self {
        Self { slice, costs: [u64::MAX; COSTS], until: None }
    }

    /// Whether the first turn has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.until.is_some()
    }

    /// Nobody waits: the next turn is a first one.
    pub(crate) fn rest(&mut self) {
        self.until = None;
    }

    /// In how many nanoseconds the turn ends; 0 where it is over, or none has begun.
    pub(crate) fn ends_in(&self, now: u64) -> u64 {
        self.until.map_or(0, |until| until.saturating_sub(now))
    }

    /// The next turn begins now, after registers were passed on from `asked` on. By the chance
    /// of `turns` it is somewhat shorter or longer.
    pub(crate) fn begin(&mut self, asked: u64, now: u64, turns: &mut Turns) {
        self.costs.rotate_right(1);
        self.costs[0] = now.saturating_sub(asked);
        // What took longer once in a while was not the work.
        let cost = self.costs.iter().min().copied().unwrap_or(0);
        let least = Duration::from_nanos(cost.saturating_mul(COST_PARTS));
        let slice = turns.slice(self.slice.max(least)).as_nanos();
        let slice = u64::try_from(slice).unwrap_or(u64::MAX);
        self.until = Some(now.saturating_add(slice));
    }
}

#[cfg(test)]
mod tests {
    use hwtrace_runtime::slots::Slots;

    use super::*;

    const MS: u64 = 1_000_000;

    /// How long turns are to which it takes so long to come.
    fn lengths(cost: u64) -> Vec<f64> {
        let mut pace = Pace::new(Duration::from_millis(8));
        let mut turns = Turns::new(&[], Slots::default(), 9);
        assert!(!pace.has_begun() && pace.ends_in(5) == 0);
        let mut now = 0;
        let length = |_| {
            now += cost;
            pace.begin(now - cost, now, &mut turns);
            let length = pace.ends_in(now);
            now += length;
            assert!(
                pace.has_begun() && pace.ends_in(now) == 0 && pace.ends_in(now + 1) == 0
            );
            length as f64 / MS as f64
        };
        (0..1000).map(length).skip(COSTS).collect()
    }

    #[test]
    fn turns_are_a_quarter_longer_or_shorter() {
        let lengths = lengths(100);
        let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
        let least = lengths.iter().copied().fold(f64::MAX, f64::min);
        let most = lengths.iter().copied().fold(0.0, f64::max);
        assert!((6.0..6.1).contains(&least) && (9.9..=10.0).contains(&most));
        assert!((mean - 8.0).abs() < 0.1, "{mean}");
    }

    #[test]
    fn coming_to_a_turn_takes_a_fiftieth_at_most() {
        let lengths = lengths(2 * MS);
        let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
        assert!((mean - 100.0).abs() < 2.0, "{mean}");
    }

    #[test]
    fn after_a_rest_the_next_turn_is_a_first_one() {
        let mut pace = Pace::new(Duration::from_millis(8));
        let mut turns = Turns::new(&[], Slots::default(), 9);
        pace.begin(0, 10, &mut turns);
        pace.rest();
        assert!(!pace.has_begun() && pace.ends_in(20) == 0);
        pace.begin(1000 * MS, 1000 * MS, &mut turns);
        assert!(pace.has_begun() && pace.ends_in(1000 * MS) >= 6 * MS);
    }

    #[test]
    fn one_that_took_long_makes_no_difference() {
        let mut pace = Pace::new(Duration::from_millis(8));
        let mut turns = Turns::new(&[], Slots::default(), 9);
        (0..COSTS as u64).for_each(|turn| pace.begin(turn, turn + 10, &mut turns));
        pace.begin(0, 1000 * MS, &mut turns);
        assert!(pace.ends_in(1000 * MS) <= 10 * MS);
    }
}
