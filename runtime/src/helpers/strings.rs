//! Strings and regular expressions.

use super::{Context, enter, give, settle};
use crate::abi::{FaultCode, text};
use crate::strings::StringHandle;

pub(super) extern "C" fn global_get_string(context: Context, slot: i64) -> u64 {
    let (world, _) = enter(context);
    // Copied: the handler may change the global while it holds the value.
    let text = world.texts.get(slot as usize).map_or(&[][..], |text| text);
    settle(context, world.strings.temporary(text)).0
}

pub(super) extern "C" fn global_set_string(context: Context, slot: i64, value: u64) {
    let (world, _) = enter(context);
    if let Some(text) = world.texts.get_mut(slot as usize) {
        text.clear();
        text.extend_from_slice(world.strings.get(StringHandle(value)));
    }
}

pub(super) extern "C" fn string_compare(context: Context, left: u64, right: u64) -> i64 {
    let (world, _) = enter(context);
    world.strings.compare(StringHandle(left), StringHandle(right)) as i64
}

pub(super) extern "C" fn string_concat(context: Context, left: u64, right: u64) -> u64 {
    let (world, _) = enter(context);
    settle(context, world.strings.concat(StringHandle(left), StringHandle(right))).0
}

pub(super) extern "C" fn strlen(context: Context, text: u64) -> i64 {
    enter(context).0.strings.get(StringHandle(text)).len() as i64
}

/// `length` bytes from `start`; what lies outside the text is left out.
pub(super) extern "C" fn substr(
    context: Context,
    text: u64,
    start: i64,
    length: i64,
) -> u64 {
    let (world, _) = enter(context);
    let range = match (usize::try_from(start), usize::try_from(length)) {
        (Ok(start), Ok(length)) => start..start.saturating_add(length),
        _ => 0..0,
    };
    settle(context, world.strings.part(StringHandle(text), range)).0
}

/// Bytes that are compared in about the time of one step.
pub(super) const COMPARED_AT_ONCE: usize = 16;

/// Bytes that are gone through one by one in about the time of one step.
const PASSED_AT_ONCE: usize = 4;

/// Counts work; whether that may be. A fault that is noted later would hide the
/// one noted here, which nothing catches.
fn counted(context: Context, work: usize) -> bool {
    let counted = enter(context).0.work(work);
    settle(context, counted);
    counted.is_ok()
}

fn length(context: Context, text: u64) -> usize {
    enter(context).0.strings.get(StringHandle(text)).len()
}

/// Counts a search: at worst each byte of the one is compared with each of
/// the other.
fn search_counted(context: Context, text: u64, part: u64) -> bool {
    let compared = length(context, text).saturating_mul(length(context, part));
    counted(context, compared / COMPARED_AT_ONCE)
}

/// Counts going through a text.
fn pass_counted(context: Context, text: u64) -> bool {
    counted(context, length(context, text) / PASSED_AT_ONCE)
}

/// Counts what a match costs at worst.
fn match_counted(context: Context, text: u64, regex: i64) -> bool {
    let length = length(context, text);
    counted(context, enter(context).0.regexes.cost(regex as usize, length))
}

pub(super) extern "C" fn isinstr(context: Context, text: u64, part: u64) -> i64 {
    (strpos(context, text, part) >= 0).into()
}

pub(super) extern "C" fn strpos(context: Context, text: u64, part: u64) -> i64 {
    if !search_counted(context, text, part) {
        return 0;
    }
    let strings = &enter(context).0.strings;
    let (text, part) = (StringHandle(text), StringHandle(part));
    text::strpos(strings.get(text), strings.get(part))
}

pub(super) extern "C" fn strtol(context: Context, text: u64, base: i64) -> i64 {
    if !pass_counted(context, text) {
        return 0;
    }
    text::strtol(enter(context).0.strings.get(StringHandle(text)), base)
}

pub(super) extern "C" fn stringat(context: Context, text: u64, position: i64) -> i64 {
    let (world, _) = enter(context);
    let byte = text::stringat(world.strings.get(StringHandle(text)), position);
    let byte = match byte {
        Some(byte) => Ok(byte),
        None => world.fail(FaultCode::UserError, b"Position out of bounds"),
    };
    settle(context, byte)
}

pub(super) extern "C" fn str_replace(
    context: Context,
    text: u64,
    from: u64,
    to: u64,
) -> u64 {
    if !search_counted(context, text, from) {
        return 0;
    }
    let strings = &enter(context).0.strings;
    let get = |handle| strings.get(StringHandle(handle));
    let most = strings.length_max();
    give(context, &text::str_replace(get(text), get(from), get(to), most))
}

pub(super) extern "C" fn text_str(context: Context, text: u64) -> u64 {
    if !pass_counted(context, text) {
        return 0;
    }
    let strings = &enter(context).0.strings;
    give(context, &text::text_str(strings.get(StringHandle(text))))
}

pub(super) extern "C" fn text_strn(
    context: Context,
    text: u64,
    most: i64,
    quoted: i64,
) -> u64 {
    if !pass_counted(context, text) {
        return 0;
    }
    let strings = &enter(context).0.strings;
    give(context, &text::text_strn(strings.get(StringHandle(text)), most, quoted != 0))
}

pub(super) extern "C" fn string_quoted(context: Context, text: u64) -> u64 {
    if !pass_counted(context, text) {
        return 0;
    }
    let strings = &enter(context).0.strings;
    let most = strings.length_max() as i64;
    give(context, &text::string_quoted(strings.get(StringHandle(text)), most))
}

pub(super) extern "C" fn tokenize(context: Context, text: u64, delimiters: u64) -> u64 {
    if !pass_counted(context, text) || !pass_counted(context, delimiters) {
        return 0;
    }
    let (world, _) = enter(context);
    let get = |handle| world.strings.get(StringHandle(handle)).to_vec();
    let (text, delimiters) = (get(text), get(delimiters));
    let token = world.tokens.token(&text, &delimiters);
    settle(context, world.strings.temporary(token)).0
}

/// `text =~ regex`, for scripts that ask what matched.
pub(super) extern "C" fn regex_match(context: Context, text: u64, regex: i64) -> i64 {
    if !match_counted(context, text, regex) {
        return 0;
    }
    let (world, _) = enter(context);
    let text = StringHandle(text);
    world.matched = Some(text);
    let whole = world.strings.get(text);
    world.regexes.is_match(regex as usize, whole, &mut world.groups).into()
}

/// `text =~ regex`, for scripts that do not.
pub(super) extern "C" fn regex_find(context: Context, text: u64, regex: i64) -> i64 {
    if !match_counted(context, text, regex) {
        return 0;
    }
    let (world, _) = enter(context);
    world.regexes.is_found(regex as usize, world.strings.get(StringHandle(text))).into()
}

/// A group of the last match of this run; empty where it took no part.
pub(super) extern "C" fn matched(context: Context, number: i64) -> u64 {
    let (world, _) = enter(context);
    let number = usize::try_from(number).ok();
    let range = number.and_then(|number| world.groups.get(number));
    match (world.matched, range) {
        (Some(text), Some(range)) => settle(context, world.strings.part(text, range)).0,
        _ => StringHandle::EMPTY.0,
    }
}
