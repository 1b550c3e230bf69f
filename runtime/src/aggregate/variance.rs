//! The variance of a sample, in integers, as SystemTap computes it.

/// The most bits behind the point (SystemTap's limit on `@variance`'s shift).
const SHIFT_MAX: u32 = 62;

/// Welford's running mean and sum of squared distances from it, in numbers
/// that are shifted to the left.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Variance {
    mean: i128,
    squares: i128,
}

impl Variance {
    /// Adds `value`, the sample number `count` (from 1).
    pub(super) fn add(&mut self, shift: u32, count: i64, value: i64) {
        let value = shifted(shift, value);
        if count == 1 {
            *self = Self { mean: value, squares: 0 };
            return;
        }
        let distance = value - self.mean;
        self.mean += divide(distance, count);
        let squared = distance.saturating_mul(value - self.mean);
        self.squares = self.squares.saturating_add(squared);
    }

    /// The variance of `count` samples, at least one, whose sum is `sum`.
    ///
    /// SystemTap corrects the running mean, which was rounded at each step, by
    /// the mean of all.
    pub(super) fn value(&self, shift: u32, count: i64, sum: i64) -> i64 {
        if count < 2 {
            return 0;
        }
        let others = i128::from(count - 1);
        let within = (self.squares / others).saturating_mul(others);
        let between = self.between(shifted(shift, sum) / i128::from(count), count);
        let variance = between.saturating_add(within) / others;
        let variance = variance >> (2 * shift.min(SHIFT_MAX));
        variance.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    /// Adds the samples of `other`; counts and sums are those before.
    pub(super) fn merge(
        &mut self,
        shift: u32,
        other: &Self,
        counts: (i64, i64),
        sums: (i64, i64),
    ) {
        if counts.1 == 0 {
            return;
        }
        if counts.0 == 0 {
            *self = other.clone();
            return;
        }
        let sum = sums.0.wrapping_add(sums.1);
        let mean = shifted(shift, sum) / i128::from(counts.0 + counts.1);
        let squares = self.between(mean, counts.0).saturating_add(self.squares);
        let squares = squares
            .saturating_add(other.between(mean, counts.1))
            .saturating_add(other.squares);
        *self = Self { mean, squares };
    }

    /// What `count` samples that lie around this mean add to the squares
    /// around another one.
    fn between(&self, mean: i128, count: i64) -> i128 {
        let distance = self.mean - mean;
        distance.saturating_mul(distance).saturating_mul(i128::from(count))
    }
}

fn shifted(shift: u32, value: i64) -> i128 {
    i128::from(value) << shift.min(SHIFT_MAX)
}

/// A division that is cheap for what fits into 64 bits.
fn divide(value: i128, by: i64) -> i128 {
    match i64::try_from(value) {
        Ok(value) => i128::from(value / by),
        Err(_) => value / i128::from(by),
    }
}
