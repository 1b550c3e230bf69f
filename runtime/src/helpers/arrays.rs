//! Arrays and walks over them.

use super::{Context, enter, frame, settle};
use crate::abi::FaultCode;
use crate::map::{Array, Extractor, KEYS_MAX, Kind, Route, Slice, SortBy, Walk};
use crate::strings::StringHandle;
use crate::world::World;

/// Room for a key whose strings are replaced by interned ones.
pub(super) type Buffer = [u64; KEYS_MAX];

/// Stands for a string that no key can have: no handle has this number.
const UNKNOWN: u64 = u64::MAX;

/// The key for a store: its strings are kept.
pub(super) fn key_to_store<'k>(
    world: &mut World,
    array: usize,
    words: *const u64,
    buffer: &'k mut Buffer,
) -> Result<&'k [u64], FaultCode> {
    let Some(meant) = world.arrays.get(array) else {
        return Ok(&[]);
    };
    let kinds = &meant.shape().keys;
    let words = frame(words, kinds.len());
    if !meant.has_string_keys() {
        return Ok(words);
    }
    for (to, (kind, word)) in buffer.iter_mut().zip(kinds.iter().zip(words)) {
        *to = match kind {
            Kind::String => world.strings.keep(StringHandle(*word))?.0,
            _ => *word,
        };
    }
    Ok(&buffer[..words.len().min(KEYS_MAX)])
}

/// The key for a look-up: text that no key has need not be kept.
pub(super) fn key_to_find<'k>(
    world: &World,
    array: usize,
    words: *const u64,
    buffer: &'k mut Buffer,
) -> &'k [u64] {
    let Some(meant) = world.arrays.get(array) else {
        return &[];
    };
    let kinds = &meant.shape().keys;
    let words = frame(words, kinds.len());
    if !meant.has_string_keys() {
        return words;
    }
    for (to, (kind, word)) in buffer.iter_mut().zip(kinds.iter().zip(words)) {
        let known = || world.strings.known(StringHandle(*word));
        *to = match kind {
            Kind::String => known().map_or(UNKNOWN, |handle| handle.0),
            _ => *word,
        };
    }
    &buffer[..words.len().min(KEYS_MAX)]
}

/// Uses a key to look something up in the array of this number.
#[inline]
fn find<T>(
    context: Context,
    array: i64,
    words: *const u64,
    using: impl FnOnce(&mut World, usize, &[u64]) -> T,
) -> T {
    let (world, _) = enter(context);
    let array = array as usize;
    let mut buffer = [0; KEYS_MAX];
    let key = key_to_find(world, array, words, &mut buffer);
    using(world, array, key)
}

/// Uses a key to store something in the array of this number; the fault is noted.
#[inline]
pub(super) fn store<T: Default>(
    context: Context,
    array: i64,
    words: *const u64,
    using: impl FnOnce(&mut World, usize, &[u64]) -> Result<T, FaultCode>,
) -> T {
    let (world, _) = enter(context);
    let array = array as usize;
    let mut buffer = [0; KEYS_MAX];
    let key = key_to_store(world, array, words, &mut buffer);
    settle(context, key.and_then(|key| using(world, array, key)))
}

pub(super) extern "C" fn array_get(
    context: Context,
    array: i64,
    words: *const u64,
) -> i64 {
    find(context, array, words, |world, array, key| {
        world.arrays.get(array).map_or(0, |array| array.get(key) as i64)
    })
}

pub(super) extern "C" fn array_get_string(
    context: Context,
    array: i64,
    words: *const u64,
) -> u64 {
    let text = find(context, array, words, |world, array, key| {
        let text = world.arrays.get(array).map_or(&[][..], |array| array.text(key));
        world.strings.temporary(text)
    });
    settle(context, text).0
}

pub(super) extern "C" fn array_set(
    context: Context,
    array: i64,
    words: *const u64,
    value: i64,
) {
    store(context, array, words, |world, array, key| {
        if let Some(array) = world.arrays.get_mut(array) {
            *array.cell(key)? = value as u64;
        }
        Ok(())
    });
}

pub(super) extern "C" fn array_set_string(
    context: Context,
    array: i64,
    words: *const u64,
    value: u64,
) {
    store(context, array, words, |world, array, key| {
        let text = world.strings.get(StringHandle(value));
        world.arrays.get_mut(array).map_or(Ok(()), |array| array.set_text(key, text))
    });
}

pub(super) extern "C" fn array_add(
    context: Context,
    array: i64,
    words: *const u64,
    delta: i64,
) -> i64 {
    store(context, array, words, |world, array, key| {
        let Some(array) = world.arrays.get_mut(array) else {
            return Ok(0);
        };
        let cell = array.cell(key)?;
        *cell = cell.wrapping_add(delta as u64);
        Ok(*cell as i64)
    })
}

pub(super) extern "C" fn array_contains(
    context: Context,
    array: i64,
    words: *const u64,
) -> i64 {
    find(context, array, words, |world, array, key| {
        world.arrays.get(array).is_some_and(|array| array.contains(key)).into()
    })
}

/// Whether there is an element whose keys are equal where `mask` says so.
pub(super) extern "C" fn array_contains_match(
    context: Context,
    array: i64,
    words: *const u64,
    mask: i64,
) -> i64 {
    let passed = find(context, array, words, |world, array, keys| {
        let slice = Slice { keys, mask: mask as u64 };
        let found =
            world.arrays.get(array).is_some_and(|array| array.contains_match(slice));
        pass(world, array).map(|()| i64::from(found))
    });
    settle(context, passed)
}

/// Counts the elements of an array that was passed through.
fn pass(world: &mut World, array: usize) -> Result<(), FaultCode> {
    let elements = world.arrays.get(array).map_or(0, Array::len);
    world.work(elements)
}

/// Counts what it takes to start a walk: sorting compares more often than once.
fn start(world: &mut World, array: usize, by: SortBy) -> Result<(), FaultCode> {
    let elements = world.arrays.get(array).map_or(0, Array::len);
    let each = match by {
        SortBy::Insertion => 1,
        _ => elements.checked_ilog2().map_or(1, |log| log as usize + 1),
    };
    world.work(elements.saturating_mul(each))
}

pub(super) extern "C" fn array_delete(context: Context, array: i64, words: *const u64) {
    find(context, array, words, |world, array, key| {
        if let Some(array) = world.arrays.get_mut(array) {
            array.remove(key);
        }
    });
}

/// Removes the elements whose keys are equal where `mask` says so.
pub(super) extern "C" fn array_delete_matches(
    context: Context,
    array: i64,
    words: *const u64,
    mask: i64,
) {
    let done = find(context, array, words, |world, array, keys| {
        pass(world, array)?;
        if let Some(array) = world.arrays.get_mut(array) {
            array.remove_matches(Slice { keys, mask: mask as u64 });
        }
        Ok(())
    });
    settle(context, done);
}

pub(super) extern "C" fn array_clear(context: Context, array: i64) {
    let (world, _) = enter(context);
    settle(context, pass(world, array as usize));
    if let Some(array) = world.arrays.get_mut(array as usize) {
        array.clear();
    }
}

/// Starts a walk, the innermost from then on.
pub(super) fn open_walk(world: &mut World, start: impl FnOnce(&World, &mut Walk)) {
    if world.walks.len() == world.walks_open {
        world.walks.push(Walk::default());
    }
    let open = world.walks_open;
    if let Some(walk) = world.walks.get_mut(open) {
        // Out and back in: it looks at the world while it starts.
        let mut walk = std::mem::take(walk);
        start(world, &mut walk);
        world.walks[open] = walk;
    }
    world.walks_open += 1;
}

/// `order`: 0 insertion, 1 value, 2 + n key n, -1 - n extractor n. `limit`
/// below 0: as 0. Only elements whose keys are equal where `mask` says so.
pub(super) extern "C" fn walk_begin(
    context: Context,
    number: i64,
    order: i64,
    descending: i64,
    limit: i64,
    words: *const u64,
    mask: i64,
) {
    let (world, _) = enter(context);
    let by = match order {
        0 => SortBy::Insertion,
        1 => SortBy::Value,
        2.. => SortBy::Key(order as usize - 2),
        _ => SortBy::Extractor(
            Extractor::ALL.get(!order as usize).copied().unwrap_or(Extractor::Count),
        ),
    };
    let number = number as usize;
    if let Err(code) = start(world, number, by) {
        return settle(context, Err(code));
    }
    open_walk(world, |world, walk| {
        let mut buffer = [0; KEYS_MAX];
        let slice = if mask == 0 {
            Slice::ALL
        } else {
            let keys = key_to_find(world, number, words, &mut buffer);
            Slice { keys, mask: mask as u64 }
        };
        let limit = usize::try_from(limit).unwrap_or(0);
        let route = Route { by, descending: descending != 0, limit, slice };
        if let Some(array) = world.arrays.get(number) {
            walk.start(number, array, &world.strings, route);
        }
    });
}

pub(super) extern "C" fn walk_next(context: Context) -> i64 {
    let (world, _) = enter(context);
    let innermost = world.walks_open.wrapping_sub(1);
    let Some(walk) = world.walks.get_mut(innermost) else {
        return 0;
    };
    let array = walk.array().and_then(|array| world.arrays.get(array));
    walk.advance(array).into()
}

/// The key at a position of the element the innermost walk is at: a long, a
/// double's bits or an interned string.
pub(super) extern "C" fn walk_key(context: Context, position: i64) -> i64 {
    let (world, _) = enter(context);
    let innermost = world.walks_open.wrapping_sub(1);
    let key = world.walks.get(innermost).map_or(&[][..], Walk::current);
    key.get(position as usize).map_or(0, |word| *word as i64)
}

pub(super) extern "C" fn walk_end(context: Context) {
    let (world, _) = enter(context);
    world.walks_open = world.walks_open.saturating_sub(1);
}
