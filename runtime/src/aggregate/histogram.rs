//! Which bucket a value belongs to.

/// The most buckets a histogram has, those for what is outside included
/// (SystemTap's `STP_MAX_BUCKETS`).
pub const BUCKETS_MAX: usize = 128;

/// The logarithmic bucket of 0.
const LOG_ZERO: usize = 64;

/// A histogram, and by it the meaning of bucket indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Histogram {
    /// `@hist_log(v)`: 128 buckets. Bucket 64 is for 0, 64 + k for 2^(k-1) up
    /// to below 2^k, 64 - k for the same below 0.
    Log,
    /// `@hist_linear(v, low, high, step)`: bucket 0 is for what is below
    /// `low`, 1 + k for `low + k * step` up to below the next, the last for
    /// what lies behind; `(high - low) / step + 3` buckets, as SystemTap
    /// counts, so that there is one that starts at `high`, too, or contains
    /// it.
    Linear {
        /// Where the first bucket starts.
        low: i64,
        /// What the last but one bucket contains.
        high: i64,
        /// How much a bucket spans.
        step: i64,
    },
}

impl Histogram {
    /// The number of buckets, nothing for a linear histogram that SystemTap
    /// refuses: the step not positive, the end before the start, or more than
    /// [`BUCKETS_MAX`].
    pub fn bucket_count(self) -> Option<usize> {
        let Self::Linear { low, high, step } = self else {
            return Some(BUCKETS_MAX);
        };
        if step <= 0 || high < low {
            return None;
        }
        let steps = high.abs_diff(low) / step.unsigned_abs();
        usize::try_from(steps.saturating_add(3))
            .ok()
            .filter(|steps| *steps <= BUCKETS_MAX)
    }

    /// The index of the bucket for `value`, of `length` ones.
    pub(super) fn bucket_of(self, length: usize, value: i64) -> usize {
        match self {
            Self::Log => {
                let bits = 64 - value.unsigned_abs().leading_zeros() as usize;
                if value < 0 { LOG_ZERO - bits } else { LOG_ZERO + bits }
            }
            Self::Linear { low, .. } if value < low => 0,
            Self::Linear { low, step, .. } => {
                let steps = value.abs_diff(low) / step.unsigned_abs().max(1);
                usize::try_from(steps)
                    .map_or(length - 1, |steps| steps.saturating_add(1).min(length - 1))
            }
        }
    }

    /// The value that stands beside a bucket of `length` ones: the one nearest
    /// to 0 that belongs to it, or the bound for what is outside.
    pub(super) fn label(self, length: usize, index: usize) -> i64 {
        match self {
            Self::Log if index == LOG_ZERO => 0,
            Self::Log if index < LOG_ZERO => i64::MIN >> index,
            Self::Log => 1 << (index - LOG_ZERO - 1).min(62),
            Self::Linear { low, .. } if index == 0 => low,
            Self::Linear { low, step, .. } => {
                let behind = usize::from(index == length - 1);
                low.wrapping_add(step.wrapping_mul((index - 1 - behind) as i64))
            }
        }
    }

    /// The first bucket that is drawn where `first` is the first with samples:
    /// up to two empty ones in front, but a logarithmic histogram shows no
    /// negative values where there are none.
    pub(super) fn margin(self, first: usize) -> usize {
        match self {
            Self::Log if first >= LOG_ZERO => first.saturating_sub(2).max(LOG_ZERO),
            _ => first.saturating_sub(2),
        }
    }
}
