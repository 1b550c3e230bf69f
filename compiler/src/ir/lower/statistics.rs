//! Statistics. What is asked of an aggregate anywhere in the script is what
//! it keeps.

use hwtrace_lang::span::Span;
use hwtrace_lang::typed::{self, Expression, Place};
use hwtrace_runtime::aggregate::Shape;

use super::super::{Aggregate, Extractor, Histogram, Local, Op, Type, Value};
use super::{Builder, Slot};

impl Builder<'_> {
    pub(super) fn aggregate(&mut self, place: &Place) -> Aggregate {
        match place {
            Place::Global(global) => match self.slot(*global) {
                Slot::Statistics(slot) => Aggregate::Scalar(slot),
                _ => unreachable!("the checker lets only statistics be extracted from"),
            },
            Place::Element { array, keys } => {
                let keys = self.expressions(keys);
                let (array, _) = self.array(*array);
                Aggregate::Element(array, keys)
            }
            Place::Merged { array, keys } => {
                let slice = self.slice(keys);
                let (array, _) = self.array(*array);
                Aggregate::Merged(array, slice)
            }
            Place::Local(_) => unreachable!("no local holds statistics"),
        }
    }

    /// What the aggregates of a variable keep.
    fn shape(&mut self, aggregate: &Aggregate) -> &mut Shape {
        let layout = &mut self.pool.module.layout;
        match aggregate {
            Aggregate::Scalar(slot) => &mut layout.statistics[*slot as usize],
            Aggregate::Element(array, _) | Aggregate::Merged(array, _) => {
                &mut layout.arrays[*array as usize].statistics
            }
        }
    }

    fn keep(&mut self, aggregate: &Aggregate, what: &Shape) {
        self.shape(aggregate).merge(what);
    }

    pub(super) fn extract(
        &mut self,
        asked: typed::Extractor,
        place: &Place,
        span: Span,
    ) -> Value {
        let aggregate = self.aggregate(place);
        self.keep(&aggregate, &needs(asked));
        self.value(Type::Long, Op::Extract(extractor(asked), aggregate), span)
    }

    /// An array is sorted by this.
    pub(super) fn sorted_by(&mut self, array: u32, asked: typed::Extractor) -> Extractor {
        self.keep(&Aggregate::Element(array, Vec::new()), &needs(asked));
        extractor(asked)
    }

    pub(super) fn percentile(
        &mut self,
        place: &Place,
        percentage: &Expression,
        span: Span,
    ) -> Value {
        let aggregate = self.aggregate(place);
        self.keep(&aggregate, &Shape { percentiles: true, ..Shape::default() });
        let mut value = self.expression(percentage);
        if percentage.ty == Type::Long {
            value = self.value(Type::Double, Op::ToDouble(value), span);
        }
        self.value(Type::Long, Op::Percentile(aggregate, value), span)
    }

    /// An aggregate of which a histogram is wanted.
    fn histogram(
        &mut self,
        place: &Place,
        histogram: typed::Histogram,
    ) -> (Aggregate, Histogram) {
        let aggregate = self.aggregate(place);
        let mut needs = Shape::default();
        let histogram = match histogram {
            typed::Histogram::Log => {
                needs.log = true;
                Histogram::Log
            }
            typed::Histogram::Linear { low, high, step } => {
                needs.linear.push((low, high, step));
                Histogram::Linear { low, high, step }
            }
        };
        self.keep(&aggregate, &needs);
        (aggregate, histogram)
    }

    pub(super) fn bucket(
        &mut self,
        place: &Place,
        histogram: typed::Histogram,
        index: &Expression,
        span: Span,
    ) -> Value {
        let (aggregate, histogram) = self.histogram(place, histogram);
        let index = self.expression(index);
        self.value(Type::Long, Op::Bucket(aggregate, histogram, index), span)
    }

    pub(super) fn print_histogram(
        &mut self,
        place: &Place,
        histogram: typed::Histogram,
        newline: bool,
        span: Span,
    ) {
        let (aggregate, histogram) = self.histogram(place, histogram);
        self.effect(Op::PrintHistogram { aggregate, histogram, newline }, span);
    }

    pub(super) fn foreach_bucket(
        &mut self,
        index: typed::LocalId,
        (place, histogram): (&Place, typed::Histogram),
        limit: Option<&Expression>,
        body: &typed::Block,
        span: Span,
    ) {
        let (aggregate, histogram) = self.histogram(place, histogram);
        let limit = limit.map(|limit| self.expression(limit));
        self.effect(Op::WalkBuckets { aggregate, histogram, limit }, span);
        self.walk(body, span, |builder| {
            let key = builder.value(Type::Long, Op::WalkKey(0), span);
            builder.effect(Op::SetLocal(Local::from(index), key), span);
        });
    }

    pub(super) fn accumulate(&mut self, place: &Place, value: &Expression, span: Span) {
        let aggregate = self.aggregate(place);
        let value = self.expression(value);
        self.effect(Op::Accumulate(aggregate, value), span);
    }
}

fn extractor(asked: typed::Extractor) -> Extractor {
    match asked {
        typed::Extractor::Count => Extractor::Count,
        typed::Extractor::Sum => Extractor::Sum,
        typed::Extractor::Min => Extractor::Min,
        typed::Extractor::Max => Extractor::Max,
        typed::Extractor::Avg => Extractor::Avg,
        typed::Extractor::Variance { .. } => Extractor::Variance,
    }
}

/// What an aggregate must keep for an extractor.
fn needs(asked: typed::Extractor) -> Shape {
    let variance_shift = match asked {
        typed::Extractor::Variance { shift } => Some(shift),
        _ => None,
    };
    Shape { variance_shift, ..Shape::default() }
}
