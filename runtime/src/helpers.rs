//! The functions that native handlers call, and the table of them.
//!
//! A helper never unwinds and never keeps a reference past its return. What
//! goes wrong it writes into the context's fault; the handler looks at it
//! after each helper that the table calls fallible.
#![allow(unsafe_code)] // Called from machine code: raw pointers in, words out.

use crate::abi::format::{self, Directive};
use crate::abi::{AbiType, FaultCode, HandlerContext, Helper};
use crate::map::{Array, KEYS_MAX, SortBy, Walk};
use crate::schema::{AccessKind, HitRecord};
use crate::strings::StringHandle;
use crate::world::{SymbolForm, World};

type Context = *mut HandlerContext;

/// Elements that are moved in about the time of one step.
const MOVED_AT_ONCE: usize = 64;
/// Bytes that are compared in about the time of one step.
const COMPARED_AT_ONCE: usize = 16;

/// One row of the table: `name(params) -> result`, `!` where it may fault.
macro_rules! row {
    ($name:literal, $function:ident, ($($param:ident),*) $(-> $result:ident)? $(, $fault:tt)?) => {
        Helper {
            name: $name,
            params: &[$(AbiType::$param),*],
            returns: row!(@result $($result)?),
            fallible: row!(@fallible $($fault)?),
            address: || $function as *const u8,
        }
    };
    (@result $result:ident) => { Some(AbiType::$result) };
    (@result) => { None };
    (@fallible !) => { true };
    (@fallible) => { false };
}

/// Every function native code may call.
pub static HELPERS: &[Helper] = &[
    row!("access", access, () -> String),
    row!("array_add", array_add, (Long, Words, Long) -> Long, !),
    row!("array_clear", array_clear, (Long), !),
    row!("array_contains", array_contains, (Long, Words) -> Long),
    row!("array_delete", array_delete, (Long, Words), !),
    row!("array_get", array_get, (Long, Words) -> Long),
    row!("array_get_string", array_get_string, (Long, Words) -> String, !),
    row!("array_set", array_set, (Long, Words, Long), !),
    row!("array_set_string", array_set_string, (Long, Words, String), !),
    row!("capture_begin", capture_begin, ()),
    row!("capture_end", capture_end, () -> String, !),
    row!("data_name", data_name, () -> String),
    row!("emit_long", emit_long, (Long, Long, Long, Long), !),
    row!("emit_string", emit_string, (Long, Long, Long, String), !),
    row!("emit_text", emit_text, (String), !),
    row!("exit", exit, ()),
    row!("gettimeofday_ms", gettimeofday_ms, () -> Long),
    row!("gettimeofday_ns", gettimeofday_ns, () -> Long),
    row!("gettimeofday_s", gettimeofday_s, () -> Long),
    row!("gettimeofday_us", gettimeofday_us, () -> Long),
    row!("global_get_string", global_get_string, (Long) -> String, !),
    row!("global_set_string", global_set_string, (Long, String)),
    row!("isinstr", isinstr, (String, String) -> Long, !),
    row!("pp", pp, () -> String),
    row!("string_compare", string_compare, (String, String) -> Long),
    row!("string_concat", string_concat, (String, String) -> String, !),
    row!("strlen", strlen, (String) -> Long),
    row!("strtol", strtol, (String, Long) -> Long),
    row!("substr", substr, (String, Long, Long) -> String, !),
    row!("target", target, () -> Long),
    row!("usymdata", usymdata, (Long) -> String, !),
    row!("usymname", usymname, (Long) -> String, !),
    row!("walk_begin", walk_begin, (Long, Long, Long, Long), !),
    row!("walk_end", walk_end, ()),
    row!("walk_key", walk_key, (Long) -> Long),
    row!("walk_next", walk_next, () -> Long),
];

/// The world and the record of the running handler.
fn enter<'a>(context: Context) -> (&'a mut World, &'a HitRecord) {
    // SAFETY: native code passes on the context that `World::run` gave it,
    // and `World::run` made it from live references that nothing else uses
    // while the handler runs. The references end with the helper's call.
    unsafe { (&mut *(*context).world, &*(*context).record) }
}

/// The result, or the fault noted and a value that nobody will use.
fn settle<T: Default>(context: Context, result: Result<T, FaultCode>) -> T {
    result.unwrap_or_else(|code| {
        // SAFETY: as in `enter`; the fields before `world` are plain words.
        unsafe { (*context).fault = code as u32 };
        T::default()
    })
}

impl Default for StringHandle {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// A key as arrays want it: strings interned.
struct Key {
    words: [u64; KEYS_MAX],
    length: usize,
}

impl Key {
    fn words(&self) -> &[u64] {
        &self.words[..self.length]
    }
}

/// Reads the key at `words` for `array`; `text` says what a string becomes.
fn key(
    world: &mut World,
    array: usize,
    words: *const u64,
    text: impl Fn(&mut World, StringHandle) -> Result<u64, FaultCode>,
) -> Result<Key, FaultCode> {
    let length =
        world.arrays.get(array).map_or(0, |array| array.shape().string_keys.len());
    let mut key = Key { words: [0; KEYS_MAX], length };
    for position in 0..length {
        // SAFETY: the handler has as many words there as the array has keys;
        // the verifier of the intermediate representation checks it.
        let word = unsafe { words.add(position).read() };
        key.words[position] = if world.arrays[array].shape().string_keys[position] {
            text(world, StringHandle(word))?
        } else {
            word
        };
    }
    Ok(key)
}

/// The key for a store: its strings are kept.
fn key_to_store(
    world: &mut World,
    array: i64,
    words: *const u64,
) -> Result<Key, FaultCode> {
    key(world, array as usize, words, |world, handle| {
        world.strings.keep(handle).map(|handle| handle.0)
    })
}

/// The key for a look-up: a string that no key can have becomes a number that
/// no handle has.
fn key_to_find(world: &mut World, array: i64, words: *const u64) -> Key {
    let unknown = u64::MAX;
    key(world, array as usize, words, |world, handle| {
        Ok(world.strings.known(handle).map_or(unknown, |handle| handle.0))
    })
    .unwrap_or(Key { words: [unknown; KEYS_MAX], length: 0 })
}

extern "C" fn array_get(context: Context, array: i64, words: *const u64) -> i64 {
    let (world, _) = enter(context);
    let key = key_to_find(world, array, words);
    world.arrays.get(array as usize).map_or(0, |array| array.get(key.words()))
}

extern "C" fn array_get_string(context: Context, array: i64, words: *const u64) -> u64 {
    let (world, _) = enter(context);
    let key = key_to_find(world, array, words);
    let text =
        world.arrays.get(array as usize).map_or(&[][..], |array| array.text(key.words()));
    settle(context, world.strings.temporary(text)).0
}

extern "C" fn array_set(context: Context, array: i64, words: *const u64, value: i64) {
    let (world, _) = enter(context);
    let done = key_to_store(world, array, words).and_then(|key| {
        *world.arrays[array as usize].cell(key.words())? = value as u64;
        Ok(())
    });
    settle(context, done);
}

extern "C" fn array_set_string(
    context: Context,
    array: i64,
    words: *const u64,
    value: u64,
) {
    let (world, _) = enter(context);
    let done = key_to_store(world, array, words).and_then(|key| {
        let text = world.strings.get(StringHandle(value));
        world.arrays[array as usize].set_text(key.words(), text)
    });
    settle(context, done);
}

extern "C" fn array_add(
    context: Context,
    array: i64,
    words: *const u64,
    delta: i64,
) -> i64 {
    let (world, _) = enter(context);
    let sum = key_to_store(world, array, words).and_then(|key| {
        let cell = world.arrays[array as usize].cell(key.words())?;
        *cell = cell.wrapping_add(delta as u64);
        Ok(*cell as i64)
    });
    settle(context, sum)
}

extern "C" fn array_contains(context: Context, array: i64, words: *const u64) -> i64 {
    let (world, _) = enter(context);
    let key = key_to_find(world, array, words);
    world
        .arrays
        .get(array as usize)
        .is_some_and(|array| array.contains(key.words()))
        .into()
}

extern "C" fn array_delete(context: Context, array: i64, words: *const u64) {
    let (world, _) = enter(context);
    let key = key_to_find(world, array, words);
    let Some(array) = world.arrays.get_mut(array as usize) else { return };
    // What comes behind the element moves up, many at a time.
    let moved = array.len() / MOVED_AT_ONCE;
    array.remove(key.words());
    settle(context, world.work(moved));
}

extern "C" fn array_clear(context: Context, array: i64) {
    let (world, _) = enter(context);
    let Some(array) = world.arrays.get_mut(array as usize) else { return };
    let removed = array.len();
    array.clear();
    settle(context, world.work(removed));
}

/// `order`: 0 insertion, 1 value, 2 + n key n. `limit` below 0: none.
extern "C" fn walk_begin(
    context: Context,
    array: i64,
    order: i64,
    descending: i64,
    limit: i64,
) {
    let (world, _) = enter(context);
    if world.walks.len() == world.walks_open {
        world.walks.push(Walk::default());
    }
    let by = match order {
        0 => SortBy::Insertion,
        1 => SortBy::Value,
        key => SortBy::Key(key as usize - 2),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let number = array as usize;
    let elements = world.arrays.get(number).map_or(0, Array::len);
    if let Err(code) = world.work(elements) {
        return settle(context, Err(code));
    }
    let (walks, arrays) = (&mut world.walks, &world.arrays);
    if let (Some(walk), Some(array)) =
        (walks.get_mut(world.walks_open), arrays.get(number))
    {
        walk.start(number, array, &world.strings, by, descending != 0, limit);
    }
    world.walks_open += 1;
}

extern "C" fn walk_next(context: Context) -> i64 {
    let (world, _) = enter(context);
    let innermost = world.walks_open.wrapping_sub(1);
    let Some(walk) = world.walks.get_mut(innermost) else {
        return 0;
    };
    let Some(array) = world.arrays.get(walk.array()) else {
        return 0;
    };
    walk.advance(array).into()
}

/// The key at a position of the element the innermost walk is at: a long or
/// an interned string.
extern "C" fn walk_key(context: Context, position: i64) -> i64 {
    let (world, _) = enter(context);
    let innermost = world.walks_open.wrapping_sub(1);
    let key = world.walks.get(innermost).map_or(&[][..], Walk::current);
    key.get(position as usize).map_or(0, |word| *word as i64)
}

extern "C" fn walk_end(context: Context) {
    let (world, _) = enter(context);
    world.walks_open = world.walks_open.saturating_sub(1);
}

extern "C" fn emit_text(context: Context, text: u64) {
    let (world, _) = enter(context);
    world.out.extend_from_slice(world.strings.get(StringHandle(text)));
    settle(context, world.output_fits());
}

extern "C" fn emit_long(
    context: Context,
    directive: i64,
    width: i64,
    precision: i64,
    value: i64,
) {
    let (world, _) = enter(context);
    format::long(&mut world.out, Directive::unpack(directive), width, precision, value);
    settle(context, world.output_fits());
}

extern "C" fn emit_string(
    context: Context,
    directive: i64,
    width: i64,
    precision: i64,
    text: u64,
) {
    let (world, _) = enter(context);
    let text = world.strings.get(StringHandle(text));
    format::string(&mut world.out, Directive::unpack(directive), width, precision, text);
    settle(context, world.output_fits());
}

extern "C" fn capture_begin(context: Context) {
    let (world, _) = enter(context);
    world.capture = world.out.len();
}

/// What was printed since `capture_begin`, as a string instead.
extern "C" fn capture_end(context: Context) -> u64 {
    let (world, _) = enter(context);
    let text = world.strings.temporary(&world.out[world.capture.min(world.out.len())..]);
    world.out.truncate(world.capture);
    settle(context, text).0
}

extern "C" fn global_get_string(context: Context, slot: i64) -> u64 {
    let (world, _) = enter(context);
    // Copied: the handler may change the global while it holds the value.
    let text = world.texts.get(slot as usize).map_or(&[][..], |text| text);
    settle(context, world.strings.temporary(text)).0
}

extern "C" fn global_set_string(context: Context, slot: i64, value: u64) {
    let (world, _) = enter(context);
    if let Some(text) = world.texts.get_mut(slot as usize) {
        text.clear();
        text.extend_from_slice(world.strings.get(StringHandle(value)));
    }
}

extern "C" fn string_compare(context: Context, left: u64, right: u64) -> i64 {
    let (world, _) = enter(context);
    world.strings.compare(StringHandle(left), StringHandle(right)) as i64
}

extern "C" fn string_concat(context: Context, left: u64, right: u64) -> u64 {
    let (world, _) = enter(context);
    settle(context, world.strings.concat(StringHandle(left), StringHandle(right))).0
}

extern "C" fn strlen(context: Context, text: u64) -> i64 {
    enter(context).0.strings.get(StringHandle(text)).len() as i64
}

/// `length` bytes from `start`; what lies outside the text is left out.
extern "C" fn substr(context: Context, text: u64, start: i64, length: i64) -> u64 {
    let (world, _) = enter(context);
    let whole = world.strings.get(StringHandle(text));
    let part = crate::abi::text::substr(whole, start, length).to_vec();
    settle(context, world.strings.temporary(&part)).0
}

extern "C" fn isinstr(context: Context, text: u64, part: u64) -> i64 {
    let (world, _) = enter(context);
    let (text, part) = (StringHandle(text), StringHandle(part));
    let (text, part) = (world.strings.get(text), world.strings.get(part));
    let found = crate::abi::text::contains(text, part);
    // At worst each byte of the one is compared with each of the other.
    let compared = text.len().saturating_mul(part.len()) / COMPARED_AT_ONCE;
    settle(context, world.work(compared));
    found.into()
}

extern "C" fn strtol(context: Context, text: u64, base: i64) -> i64 {
    crate::abi::text::strtol(enter(context).0.strings.get(StringHandle(text)), base)
}

extern "C" fn access(context: Context) -> u64 {
    let (world, record) = enter(context);
    world.access_name(AccessKind::from_number(record.access)).0
}

extern "C" fn data_name(context: Context) -> u64 {
    let (world, record) = enter(context);
    world.data_names.get(record.watch as usize).copied().unwrap_or_default().0
}

extern "C" fn pp(context: Context) -> u64 {
    enter(context).0.probe.0
}

extern "C" fn target(context: Context) -> i64 {
    enter(context).0.target
}

extern "C" fn exit(context: Context) {
    enter(context).0.exit = true;
}

/// Whose address is meant: the process's that made the hit, and outside of
/// hits the target's.
fn asked_of(world: &World, record: &HitRecord) -> u32 {
    if record.data_length == 0 { world.target as u32 } else { record.pid }
}

extern "C" fn usymname(context: Context, address: i64) -> u64 {
    let (world, record) = enter(context);
    settle(
        context,
        world.symbol(SymbolForm::Name, asked_of(world, record), address as u64),
    )
    .0
}

extern "C" fn usymdata(context: Context, address: i64) -> u64 {
    let (world, record) = enter(context);
    settle(
        context,
        world.symbol(SymbolForm::Data, asked_of(world, record), address as u64),
    )
    .0
}

/// The record's time as time of day: the hit's, not the printing's.
fn time_of_day(context: Context, unit_ns: i64) -> i64 {
    let (world, record) = enter(context);
    (record.time as i64).wrapping_add(world.time_of_day_offset_ns) / unit_ns
}

extern "C" fn gettimeofday_ns(context: Context) -> i64 {
    time_of_day(context, 1)
}

extern "C" fn gettimeofday_us(context: Context) -> i64 {
    time_of_day(context, 1_000)
}

extern "C" fn gettimeofday_ms(context: Context) -> i64 {
    time_of_day(context, 1_000_000)
}

extern "C" fn gettimeofday_s(context: Context) -> i64 {
    time_of_day(context, 1_000_000_000)
}
