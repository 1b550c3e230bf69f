//! Statistics: what `v <<< n` keeps and what `@count` … `@percentile` read.
//!
//! Meanings are SystemTap's (`stap(1)`, "STATISTICS"; runtime/stat-common.c
//! and runtime/stat.c), with values of 64 bits throughout. What an aggregate
//! must keep beyond count, sum, minimum and maximum is a [`Shape`], known when
//! the script is compiled; an aggregate is always used with the shape that it
//! was made with.
//!
//! # Memory
//!
//! An aggregate never grows with the number of its samples. It has 40 bytes,
//! and where its shape asks for more: 64 bytes, 8 a bucket (1024 for the
//! logarithmic histogram, at most 1024 for a linear one), and for percentiles
//! 944 bytes and 512 for each power of two that its samples touch, at most
//! 61,360. [`Shape::bytes_max`] is the sum.

mod draw;
mod histogram;
mod sketch;
#[cfg(test)]
mod tests;
mod variance;

pub use histogram::{BUCKETS_MAX, Histogram};
use sketch::Sketch;
use variance::Variance;

/// What aggregates of one variable must keep, from all extractors that the
/// script uses on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// `@variance(v, shift)`: with how many bits behind the point, 0 for
    /// `@variance(v)`.
    pub variance_shift: Option<u32>,
    /// `@hist_log(v)`.
    pub log: bool,
    /// `@hist_linear(v, low, high, step)`.
    pub linear: Vec<(i64, i64, i64)>,
    /// `@p50`, `@percentile(v, p)` and their like.
    pub percentiles: bool,
}

impl Shape {
    /// Asks for what `other` asks for, too. Of two shifts of the variance the
    /// larger, which is the more exact, stays.
    pub fn merge(&mut self, other: &Self) {
        self.variance_shift = self.variance_shift.max(other.variance_shift);
        self.log |= other.log;
        self.percentiles |= other.percentiles;
        for linear in &other.linear {
            if !self.linear.contains(linear) {
                self.linear.push(*linear);
            }
        }
    }

    /// The most memory one aggregate of this shape takes, in bytes.
    pub fn bytes_max(&self) -> usize {
        let mut bytes = size_of::<Aggregate>();
        if !self.is_plain() {
            bytes += size_of::<Extra>() + self.slots() * size_of::<i64>();
        }
        if self.percentiles {
            bytes += Sketch::BYTES_MAX;
        }
        bytes
    }

    /// About how long one more aggregate takes to merge, in steps.
    pub(crate) fn merge_steps(&self) -> usize {
        const BYTES_A_STEP: usize = 64;
        1 + self.bytes_max() / BYTES_A_STEP
    }

    fn is_plain(&self) -> bool {
        self.variance_shift.is_none()
            && !self.log
            && self.linear.is_empty()
            && !self.percentiles
    }

    /// The histograms in the order in which their buckets are laid out.
    fn histograms(&self) -> impl Iterator<Item = Histogram> {
        let linear = self.linear.iter();
        let linear =
            linear.map(|&(low, high, step)| Histogram::Linear { low, high, step });
        self.log.then_some(Histogram::Log).into_iter().chain(linear)
    }

    /// The number of all buckets.
    fn slots(&self) -> usize {
        self.histograms().filter_map(Histogram::bucket_count).sum()
    }
}

/// What `v <<< n` adds to.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    count: i64,
    sum: i64,
    min: i64,
    max: i64,
    extra: Option<Box<Extra>>,
}

/// What few variables need, kept apart so that the others stay small.
#[derive(Clone, Debug, PartialEq)]
struct Extra {
    variance: Variance,
    /// The buckets of all histograms, one after the other.
    counts: Box<[i64]>,
    sketch: Option<Box<Sketch>>,
}

impl Aggregate {
    /// One without samples.
    pub fn new(shape: &Shape) -> Self {
        let extra = (!shape.is_plain()).then(|| {
            Box::new(Extra {
                variance: Variance::default(),
                counts: vec![0; shape.slots()].into(),
                sketch: shape.percentiles.then(Box::default),
            })
        });
        Self { count: 0, sum: 0, min: i64::MAX, max: i64::MIN, extra }
    }

    /// `v <<< value`.
    #[inline]
    pub fn add(&mut self, shape: &Shape, value: i64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if let Some(extra) = &mut self.extra {
            extra.add(shape, self.count, value);
        }
    }

    /// `@count(v)`
    pub fn count(&self) -> i64 {
        self.count
    }

    /// `@sum(v)`: wraps as all sums of longs do.
    pub fn sum(&self) -> i64 {
        self.sum
    }

    /// `@min(v)`, nothing without samples (SystemTap: "empty aggregate").
    pub fn min(&self) -> Option<i64> {
        (self.count > 0).then_some(self.min)
    }

    /// `@max(v)`, nothing without samples.
    pub fn max(&self) -> Option<i64> {
        (self.count > 0).then_some(self.max)
    }

    /// `@avg(v)`: the sum by the count, towards 0, nothing without samples.
    pub fn avg(&self) -> Option<i64> {
        (self.count > 0).then(|| self.sum / self.count)
    }

    /// `@variance(v)`: of a sample, so divided by one less than the count; 0
    /// for one sample, nothing without any and where the shape has none.
    ///
    /// As SystemTap's, in integers by Welford's method, where the shift says
    /// how many bits the running mean has behind the point. SystemTap adds up
    /// in 64 bits and overflows; this does not, and gives the largest long for
    /// what is larger.
    pub fn variance(&self, shape: &Shape) -> Option<i64> {
        let shift = shape.variance_shift?;
        let extra = self.extra.as_ref()?;
        (self.count > 0).then(|| extra.variance.value(shift, self.count, self.sum))
    }

    /// The value below or at which `percent` of 100 samples lie (nearest
    /// rank), nothing without samples and where the shape has none.
    ///
    /// At most 1/128 of it away from the exact one, exact where that lies
    /// between -127 and 127 or is the minimum or maximum.
    pub fn percentile(&self, percent: f64) -> Option<i64> {
        let sketch = self.extra.as_ref()?.sketch.as_ref()?;
        if self.count == 0 || percent.is_nan() {
            return None;
        }
        let rank = (percent / 100.0 * self.count as f64).ceil() as i64;
        if rank <= 1 {
            return Some(self.min);
        }
        if rank >= self.count {
            return Some(self.max);
        }
        Some(sketch.at(rank as u64).clamp(self.min, self.max))
    }

    /// `@hist_log(v)[index]`: how many samples are in that bucket; nothing for
    /// an index that the histogram does not have (SystemTap: "histogram index
    /// out of range"). What the indices mean is said at [`Histogram`].
    pub fn bucket(&self, shape: &Shape, histogram: Histogram, index: i64) -> Option<i64> {
        let index = usize::try_from(index).ok()?;
        self.counts(shape, histogram).get(index).copied()
    }

    /// `foreach (b in @hist_log(v))`: the indices of all buckets, ascending,
    /// the empty ones too, as SystemTap's loop has them (`visit_foreach_loop`
    /// in translate.cxx).
    pub fn buckets(
        &self,
        shape: &Shape,
        histogram: Histogram,
    ) -> impl Iterator<Item = i64> + use<> {
        0..self.counts(shape, histogram).len() as i64
    }

    /// `print(@hist_log(v))`: the histogram as SystemTap draws it, an empty
    /// line behind it. Nothing without samples.
    pub fn render(&self, shape: &Shape, histogram: Histogram, out: &mut Vec<u8>) {
        draw::draw(histogram, self.counts(shape, histogram), out);
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        (self.count, self.sum, self.min, self.max) = (0, 0, i64::MAX, i64::MIN);
        if let Some(extra) = &mut self.extra {
            extra.variance = Variance::default();
            extra.counts.fill(0);
            if let Some(sketch) = &mut extra.sketch {
                **sketch = Sketch::default();
            }
        }
    }

    /// Adds the samples of `other`, which has the same shape. All is as if
    /// they had been added one by one; only the variance, whose running mean
    /// is rounded at each sample, may differ in its last digits.
    pub fn merge(&mut self, shape: &Shape, other: &Self) {
        let counts = (self.count, other.count);
        let sums = (self.sum, other.sum);
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        let (Some(ours), Some(theirs)) = (&mut self.extra, &other.extra) else {
            return;
        };
        if let Some(shift) = shape.variance_shift {
            ours.variance.merge(shift, &theirs.variance, counts, sums);
        }
        for (ours, theirs) in ours.counts.iter_mut().zip(&theirs.counts) {
            *ours += theirs;
        }
        if let (Some(ours), Some(theirs)) = (&mut ours.sketch, &theirs.sketch) {
            ours.merge(theirs);
        }
    }

    /// The buckets of one histogram, none where the shape lacks it.
    fn counts(&self, shape: &Shape, histogram: Histogram) -> &[i64] {
        let mut start = 0;
        for candidate in shape.histograms() {
            let length = candidate.bucket_count().unwrap_or(0);
            if candidate == histogram {
                let counts = self.extra.as_ref().map_or(&[][..], |extra| &extra.counts);
                return counts.get(start..start + length).unwrap_or_default();
            }
            start += length;
        }
        &[]
    }
}

impl Extra {
    fn add(&mut self, shape: &Shape, count: i64, value: i64) {
        if let Some(shift) = shape.variance_shift {
            self.variance.add(shift, count, value);
        }
        let mut start = 0;
        for histogram in shape.histograms() {
            let Some(length) = histogram.bucket_count() else { continue };
            let index = start + histogram.bucket_of(length, value);
            if let Some(count) = self.counts.get_mut(index) {
                *count += 1;
            }
            start += length;
        }
        if let Some(sketch) = &mut self.sketch {
            sketch.add(value);
        }
    }
}
