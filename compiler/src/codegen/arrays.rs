//! Arrays, walks and statistics: calls with an array, its keys as words in
//! the frame, and more.

use cranelift_codegen::ir::{self as clif, InstBuilder, types};
use hwtrace_runtime::abi::MERGED;

use super::Translator;
use super::instruction::Outcome;
use crate::ir::{Aggregate, Histogram, Op, Type, Value, WalkOrder};

impl<M: cranelift_module::Module> Translator<'_, M> {
    pub(super) fn array(&mut self, op: &Op, result: Option<Value>, site: u32) -> Outcome {
        match op {
            Op::GetElement(array, keys) => self.get_element(*array, keys, result, site),
            Op::SetElement(array, keys, value) => {
                self.set_element(*array, keys, *value, site)
            }
            Op::AddElement(array, keys, value) => {
                let value = self.get(*value);
                self.element("array_add", *array, keys, &[value], site)
            }
            Op::HasElement(array, keys) => {
                self.element("array_contains", *array, keys, &[], site)
            }
            Op::DeleteElement(array, keys) => {
                self.element("array_delete", *array, keys, &[], site)
            }
            Op::HasMatch(array, slice) => {
                self.matching("array_contains_match", *array, slice, site)
            }
            Op::DeleteMatches(array, slice) => {
                self.matching("array_delete_matches", *array, slice, site)
            }
            Op::Clear(array) => {
                let array = self.long(i64::from(*array));
                self.call("array_clear", &[array], site)
            }
            Op::WalkBegin { array, order, slice, limit } => {
                self.walk(*array, *order, slice, *limit, site)
            }
            Op::WalkNext => self.call("walk_next", &[], site),
            Op::WalkKey(position) => {
                let position = self.long(i64::from(*position));
                let word = self.call("walk_key", &[position], site)?;
                Ok(self.typed(word, result))
            }
            Op::WalkEnd => self.call("walk_end", &[], site),
            _ => self.statistics(op, site),
        }
    }

    fn get_element(
        &mut self,
        array: u32,
        keys: &[Value],
        result: Option<Value>,
        site: u32,
    ) -> Outcome {
        let string = result.is_some_and(|result| self.ty(result) == Type::String);
        let name = if string { "array_get_string" } else { "array_get" };
        let word = self.element(name, array, keys, &[], site)?;
        Ok(self.typed(word, result))
    }

    fn set_element(
        &mut self,
        array: u32,
        keys: &[Value],
        value: Value,
        site: u32,
    ) -> Outcome {
        let word = self.get(value);
        let (name, word) = match self.ty(value) {
            Type::String => ("array_set_string", word),
            Type::Double => ("array_set", self.as_word(word)),
            Type::Long | Type::Stack | Type::Stats => ("array_set", word),
        };
        self.element(name, array, keys, &[word], site)
    }

    /// A helper's word as what the result is.
    fn typed(
        &mut self,
        word: Option<clif::Value>,
        result: Option<Value>,
    ) -> Option<clif::Value> {
        match (word, result) {
            (Some(word), Some(result)) if self.ty(result) == Type::Double => {
                Some(self.as_double(word))
            }
            _ => word,
        }
    }

    fn walk(
        &mut self,
        array: u32,
        order: WalkOrder,
        slice: &[Option<Value>],
        limit: Option<Value>,
        site: u32,
    ) -> Outcome {
        let (order, descending) = match order {
            WalkOrder::Insertion => (0, false),
            WalkOrder::Value { descending } => (1, descending),
            WalkOrder::Key { position, descending } => {
                (2 + i64::from(position), descending)
            }
            WalkOrder::Extractor { extractor, descending } => {
                (!(extractor as i64), descending)
            }
        };
        let limit = self.limit(limit);
        let (words, mask) = self.lay_down(slice.iter().copied());
        let args = [
            self.long(i64::from(array)),
            self.long(order),
            self.long(descending.into()),
            limit,
            words,
            mask,
        ];
        self.call("walk_begin", &args, site)
    }

    fn limit(&mut self, limit: Option<Value>) -> clif::Value {
        match limit {
            Some(limit) => self.get(limit),
            None => self.long(i64::MAX),
        }
    }

    fn element(
        &mut self,
        helper: &'static str,
        array: u32,
        keys: &[Value],
        more: &[clif::Value],
        site: u32,
    ) -> Outcome {
        let (words, _) = self.lay_down(keys.iter().copied().map(Some));
        let mut args = vec![self.long(i64::from(array)), words];
        args.extend(more);
        self.call(helper, &args, site)
    }

    fn matching(
        &mut self,
        helper: &'static str,
        array: u32,
        slice: &[Option<Value>],
        site: u32,
    ) -> Outcome {
        let (words, mask) = self.lay_down(slice.iter().copied());
        let args = [self.long(i64::from(array)), words, mask];
        self.call(helper, &args, site)
    }

    /// Lays keys down in the frame; gives their address, and which of them
    /// are given as bits.
    fn lay_down(
        &mut self,
        keys: impl Iterator<Item = Option<Value>>,
    ) -> (clif::Value, clif::Value) {
        let slot = self.key_slot();
        let mut mask = 0;
        for (position, key) in keys.enumerate() {
            let word = match key {
                Some(key) => {
                    mask |= 1i64 << position;
                    self.key(key)
                }
                None => self.long(0),
            };
            self.builder.ins().stack_store(types::I64, word, slot, 8 * position as i32);
        }
        let words = self.builder.ins().stack_addr(types::I64, slot, 0);
        (words, self.long(mask))
    }

    /// A key as a word; 0 and -0 are one key, as they are equal.
    fn key(&mut self, key: Value) -> clif::Value {
        let value = self.get(key);
        if self.ty(key) != Type::Double {
            return value;
        }
        let zero = self.builder.ins().f64const(0.0);
        let sum = self.builder.ins().fadd(value, zero);
        self.as_word(sum)
    }

    fn statistics(&mut self, op: &Op, site: u32) -> Outcome {
        match op {
            Op::Accumulate(aggregate, value) => {
                let value = self.get(*value);
                self.aggregate("stats_add", aggregate, &[value], site)
            }
            Op::Extract(extractor, aggregate) => {
                let extractor = self.long(*extractor as i64);
                self.aggregate("stats_extract", aggregate, &[extractor], site)
            }
            Op::Percentile(aggregate, percentage) => {
                let percentage = self.get(*percentage);
                self.aggregate("stats_percentile", aggregate, &[percentage], site)
            }
            Op::Bucket(aggregate, histogram, index) => {
                let histogram = self.histogram(aggregate, *histogram);
                let index = self.get(*index);
                self.aggregate("stats_bucket", aggregate, &[histogram, index], site)
            }
            Op::PrintHistogram { aggregate, histogram, newline } => {
                let histogram = self.histogram(aggregate, *histogram);
                let newline = self.long((*newline).into());
                self.aggregate("stats_print", aggregate, &[histogram, newline], site)
            }
            Op::WalkBuckets { aggregate, histogram, limit } => {
                let histogram = self.histogram(aggregate, *histogram);
                let limit = self.limit(*limit);
                self.aggregate("walk_buckets", aggregate, &[histogram, limit], site)
            }
            Op::ClearStatistics(slot) => {
                let slot = self.long(i64::from(*slot));
                self.call("stats_clear", &[slot], site)
            }
            _ => unreachable!("`op` does all others"),
        }
    }

    /// Calls a helper with an aggregate: an array and its keys, `!slot`, or what
    /// was merged just before.
    fn aggregate(
        &mut self,
        helper: &'static str,
        aggregate: &Aggregate,
        more: &[clif::Value],
        site: u32,
    ) -> Outcome {
        let (which, words) = match aggregate {
            Aggregate::Scalar(slot) => (self.long(!i64::from(*slot)), self.long(0)),
            Aggregate::Element(array, keys) => {
                let (words, _) = self.lay_down(keys.iter().copied().map(Some));
                (self.long(i64::from(*array)), words)
            }
            Aggregate::Merged(array, slice) => {
                self.matching("stats_merge", *array, slice, site)?;
                (self.long(MERGED), self.long(0))
            }
        };
        let mut args = vec![which, words];
        args.extend(more);
        self.call(helper, &args, site)
    }

    /// The number of a histogram among those that the aggregate keeps.
    fn histogram(&mut self, aggregate: &Aggregate, histogram: Histogram) -> clif::Value {
        let layout = &self.module.layout;
        let shape = match aggregate {
            Aggregate::Scalar(slot) => &layout.statistics[*slot as usize],
            Aggregate::Element(array, _) | Aggregate::Merged(array, _) => {
                &layout.arrays[*array as usize].statistics
            }
        };
        let number = match histogram {
            Histogram::Log => None,
            Histogram::Linear { low, high, step } => {
                shape.linear.iter().position(|linear| *linear == (low, high, step))
            }
        };
        self.long(number.map_or(-1, |number| number as i64))
    }
}
