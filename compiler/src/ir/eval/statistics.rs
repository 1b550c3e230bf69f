//! Statistics of the evaluator: all that was added, asked in the end.

use hwtrace_runtime::abi::FaultCode;
use hwtrace_runtime::aggregate::{Aggregate as Runtime, Shape};

use super::super::{Aggregate, Extractor, Histogram, Op, Value};
use super::arrays::{key, matches};
use super::{Datum, Frame, Run, Trap};

/// What an extractor gives of these values, nothing where it faults.
pub(super) fn extract(
    extractor: Extractor,
    samples: &[i64],
    shape: &Shape,
) -> Option<i64> {
    let sum = samples.iter().fold(0i64, |sum, value| sum.wrapping_add(*value));
    let count = samples.len() as i64;
    match extractor {
        Extractor::Count => Some(count),
        Extractor::Sum => Some(sum),
        Extractor::Min => samples.iter().min().copied(),
        Extractor::Max => samples.iter().max().copied(),
        Extractor::Avg => sum.checked_div(count),
        // Its rounding is that of the one way to compute it.
        Extractor::Variance => aggregate(samples, shape).variance(shape),
    }
}

/// The values added to a new aggregate of this shape.
fn aggregate(samples: &[i64], shape: &Shape) -> Runtime {
    let mut aggregate = Runtime::new(shape);
    samples.iter().for_each(|value| aggregate.add(shape, *value));
    aggregate
}

/// What an aggregate keeps for this histogram alone.
fn shape_for(histogram: Histogram) -> Shape {
    match histogram {
        Histogram::Log => Shape { log: true, ..Shape::default() },
        Histogram::Linear { low, high, step } => {
            Shape { linear: vec![(low, high, step)], ..Shape::default() }
        }
    }
}

impl Run<'_, '_> {
    pub(super) fn statistics(&mut self, op: &Op, frame: &Frame) -> Result<Datum, Trap> {
        match op {
            Op::Accumulate(aggregate, value) => {
                let value = frame.long(*value);
                self.accumulate(aggregate, value, frame)?;
                Ok(Datum::Long(0))
            }
            Op::Extract(extractor, aggregate) => {
                let layout = &self.state.module.layout;
                let shape = match aggregate {
                    Aggregate::Scalar(slot) => &layout.statistics[*slot as usize],
                    Aggregate::Element(array, _) | Aggregate::Merged(array, _) => {
                        &layout.arrays[*array as usize].statistics
                    }
                };
                let value = match (extractor, aggregate) {
                    (Extractor::Variance, Aggregate::Merged(array, slice)) => {
                        self.merged(*array, slice, shape, frame).variance(shape)
                    }
                    _ => extract(*extractor, &self.samples(aggregate, frame), shape),
                };
                Ok(Datum::Long(value.ok_or(FaultCode::EmptyAggregate)?))
            }
            Op::Percentile(of, percentage) => {
                let shape = Shape { percentiles: true, ..Shape::default() };
                let aggregate = aggregate(&self.samples(of, frame), &shape);
                let value = aggregate.percentile(frame.get(*percentage).double());
                Ok(Datum::Long(value.ok_or(FaultCode::EmptyAggregate)?))
            }
            Op::ClearStatistics(slot) => {
                self.state.statistics[*slot as usize].clear();
                Ok(Datum::Long(0))
            }
            _ => self.histogram(op, frame),
        }
    }

    fn histogram(&mut self, op: &Op, frame: &Frame) -> Result<Datum, Trap> {
        let (Op::Bucket(of, histogram, _)
        | Op::PrintHistogram { aggregate: of, histogram, .. }
        | Op::WalkBuckets { aggregate: of, histogram, .. }) = op
        else {
            unreachable!("`op` does all others");
        };
        let shape = shape_for(*histogram);
        let samples = self.samples(of, frame);
        let whole = aggregate(&samples, &shape);
        if samples.is_empty() && !matches!(op, Op::WalkBuckets { .. }) {
            return Err(FaultCode::EmptyAggregate.into());
        }
        let count = |index| whole.bucket(&shape, *histogram, index);
        match op {
            Op::Bucket(_, _, index) => {
                let count = count(frame.long(*index));
                return Ok(Datum::Long(count.ok_or(FaultCode::BadBucket)?));
            }
            Op::PrintHistogram { newline, .. } => {
                whole.render(&shape, *histogram, &mut self.state.output);
                if *newline {
                    self.state.output.push(b'\n');
                }
            }
            Op::WalkBuckets { limit, .. } => {
                let limit = limit.map_or(i64::MAX, |limit| frame.long(limit));
                let limit = usize::try_from(limit).unwrap_or(0);
                let limit = if whole.count() == 0 { 0 } else { limit };
                let indices = whole.buckets(&shape, *histogram).take(limit);
                let keys = indices.map(|index| vec![Datum::Long(index)]);
                self.start(None, keys.collect());
            }
            _ => {}
        }
        Ok(Datum::Long(0))
    }

    fn accumulate(
        &mut self,
        aggregate: &Aggregate,
        value: i64,
        frame: &Frame,
    ) -> Result<(), Trap> {
        match aggregate {
            Aggregate::Scalar(slot) => {
                self.state.statistics[*slot as usize].push(value);
            }
            Aggregate::Element(array, keys) => {
                let cell = self.cell(*array, key(frame, keys))?;
                if let Datum::Statistics(samples) = cell {
                    samples.push(value);
                }
            }
            Aggregate::Merged(..) => unreachable!("the verifier lets it be asked only"),
        }
        Ok(())
    }

    /// What was added to an aggregate.
    fn samples(&self, aggregate: &Aggregate, frame: &Frame) -> Vec<i64> {
        match aggregate {
            Aggregate::Scalar(slot) => self.state.statistics[*slot as usize].clone(),
            Aggregate::Element(array, keys) => {
                let elements = &self.state.arrays[*array as usize];
                let element = elements.get(&key(frame, keys));
                element.map_or(Vec::new(), |element| element.samples().to_vec())
            }
            Aggregate::Merged(array, slice) => {
                let elements = self.state.arrays[*array as usize].iter();
                let matching = elements.filter(|(key, _)| matches(frame, slice, key));
                matching.flat_map(|(_, element)| element.samples().to_vec()).collect()
            }
        }
    }

    /// Elements added up as aggregates: their variance depends on the order and
    /// on how they are put together.
    fn merged(
        &self,
        array: u32,
        slice: &[Option<Value>],
        shape: &Shape,
        frame: &Frame,
    ) -> Runtime {
        let mut merged = Runtime::new(shape);
        for (key, element) in &self.state.arrays[array as usize] {
            if matches(frame, slice, key) {
                merged.merge(shape, &aggregate(element.samples(), shape));
            }
        }
        merged
    }
}
