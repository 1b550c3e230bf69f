//! Statistics. `which` is the number of an array, whose key follows, `!slot` of
//! a scalar, or [`MERGED`]; for the last two the key says nothing.

use super::arrays::{key_to_find, open_walk, store};
use super::{Context, enter, settle};
use crate::abi::{FaultCode, MERGED};
use crate::aggregate::{Aggregate, Histogram, Shape};
use crate::map::{Extractor, KEYS_MAX, Slice};
use crate::world::World;

/// `which <<< value`: one look-up.
pub(super) extern "C" fn stats_add(
    context: Context,
    which: i64,
    words: *const u64,
    value: i64,
) {
    let (world, _) = enter(context);
    if which < 0 {
        world.accumulate(!which as usize, value);
        return;
    }
    store(context, which, words, |world, array, key| {
        world.arrays.get_mut(array).map_or(Ok(()), |array| array.accumulate(key, value))
    });
}

/// Adds up the elements of an array whose keys are equal where `mask` says so,
/// to be asked as [`MERGED`].
pub(super) extern "C" fn stats_merge(
    context: Context,
    number: i64,
    words: *const u64,
    mask: i64,
) {
    let (world, _) = enter(context);
    let number = number as usize;
    let mut buffer = [0; KEYS_MAX];
    let keys = key_to_find(world, number, words, &mut buffer);
    let Some(array) = world.arrays.get(number) else { return };
    let steps = array.len().saturating_mul(array.shape().statistics.merge_steps());
    let merged = array.merged(Slice { keys, mask: mask as u64 });
    world.merged = Some((number, merged));
    settle(context, world.work(steps));
}

/// The aggregate, none where there is no element, and what it keeps.
fn find(
    world: &World,
    which: i64,
    words: *const u64,
) -> Option<(Option<&Aggregate>, &Shape)> {
    if which == MERGED {
        let (array, merged) = world.merged.as_ref()?;
        return Some((Some(merged), &world.arrays.get(*array)?.shape().statistics));
    }
    if which < 0 {
        let slot = !which as usize;
        let shape = world.layout().statistics.get(slot)?;
        return Some((world.statistics.get(slot), shape));
    }
    let mut buffer = [0; KEYS_MAX];
    let key = key_to_find(world, which as usize, words, &mut buffer);
    let array = world.arrays.get(which as usize)?;
    Some((array.aggregate(key), &array.shape().statistics))
}

/// Histogram number `number` of a shape: the linear ones from 0 on, the
/// logarithmic one below.
fn histogram(shape: &Shape, number: i64) -> Histogram {
    let linear = usize::try_from(number).ok().and_then(|number| shape.linear.get(number));
    match linear {
        Some(&(low, high, step)) => Histogram::Linear { low, high, step },
        None => Histogram::Log,
    }
}

/// The aggregate where it has values.
fn filled(aggregate: Option<&Aggregate>) -> Result<&Aggregate, FaultCode> {
    aggregate.filter(|aggregate| aggregate.count() > 0).ok_or(FaultCode::EmptyAggregate)
}

pub(super) extern "C" fn stats_extract(
    context: Context,
    which: i64,
    words: *const u64,
    extractor: i64,
) -> i64 {
    let (world, _) = enter(context);
    let extractor = Extractor::ALL.get(extractor as usize).copied();
    let extractor = extractor.unwrap_or(Extractor::Count);
    let value =
        find(world, which, words).and_then(|(aggregate, shape)| match aggregate {
            Some(aggregate) => extractor.of(aggregate, shape),
            None => extractor.of_none(),
        });
    settle(context, value.ok_or(FaultCode::EmptyAggregate))
}

pub(super) extern "C" fn stats_percentile(
    context: Context,
    which: i64,
    words: *const u64,
    percentage: f64,
) -> i64 {
    let (world, _) = enter(context);
    let value = find(world, which, words)
        .and_then(|(aggregate, _)| aggregate?.percentile(percentage));
    settle(context, value.ok_or(FaultCode::EmptyAggregate))
}

pub(super) extern "C" fn stats_bucket(
    context: Context,
    which: i64,
    words: *const u64,
    number: i64,
    index: i64,
) -> i64 {
    let (world, _) = enter(context);
    let Some((aggregate, shape)) = find(world, which, words) else {
        return 0;
    };
    let count = filled(aggregate).and_then(|aggregate| {
        let count = aggregate.bucket(shape, histogram(shape, number), index);
        count.ok_or(FaultCode::BadBucket)
    });
    settle(context, count)
}

/// Draws a histogram; `newline`: an empty line behind it.
pub(super) extern "C" fn stats_print(
    context: Context,
    which: i64,
    words: *const u64,
    number: i64,
    newline: i64,
) {
    let (world, _) = enter(context);
    let mut out = std::mem::take(&mut world.out);
    let drawn = find(world, which, words).map_or(Ok(()), |(aggregate, shape)| {
        filled(aggregate)?.render(shape, histogram(shape, number), &mut out);
        if newline != 0 {
            out.push(b'\n');
        }
        Ok(())
    });
    world.out = out;
    settle(context, drawn.and_then(|()| world.output_fits()));
}

pub(super) extern "C" fn stats_clear(context: Context, slot: i64) {
    if let Some(aggregate) = enter(context).0.statistics.get_mut(slot as usize) {
        aggregate.clear();
    }
}

/// Starts a walk over the buckets, the empty ones too; over none where there are
/// no values.
pub(super) extern "C" fn walk_buckets(
    context: Context,
    which: i64,
    words: *const u64,
    number: i64,
    limit: i64,
) {
    let (world, _) = enter(context);
    let limit = usize::try_from(limit).unwrap_or(0);
    open_walk(world, |world, walk| {
        if let Some((aggregate, shape)) = find(world, which, words) {
            let has_values = aggregate.is_some_and(|aggregate| aggregate.count() > 0);
            let limit = if has_values { limit } else { 0 };
            walk.start_buckets(histogram(shape, number), limit);
        }
    });
}
