//! The meaning of the string functions, shared by native handlers and the
//! evaluator. Semantics are SystemTap's (tapset/string.stp).
//!
//! A string is a sequence of bytes; a zero byte is one like the others and
//! ends nothing, unlike in SystemTap. Results are not cut: the bound on
//! strings is the caller's.

mod indent;
mod quote;
mod regexes;
#[cfg(test)]
mod tests;
mod time;
mod tokens;

pub use indent::Indent;
pub use quote::{string_quoted, text_str, text_strn};
pub use regexes::{Groups, Regexes};
pub use time::{CtimeError, ctime};
pub use tokens::Tokenizer;

/// `length` bytes of `text` from `start`; what lies outside is left out.
pub fn substr(text: &[u8], start: i64, length: i64) -> &[u8] {
    let (Ok(start), Ok(length)) = (usize::try_from(start), usize::try_from(length))
    else {
        return &[];
    };
    let end = start.saturating_add(length).min(text.len());
    text.get(start..end).unwrap_or_default()
}

/// Whether `part` occurs in `text`.
pub fn contains(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}

/// `strpos`: where `part` first occurs in `text`, -1 where it does not.
pub fn strpos(text: &[u8], part: &[u8]) -> i64 {
    find(text, part).map_or(-1, |position| position as i64)
}

/// `stringat`: the byte at `position`, nothing outside of the text
/// (SystemTap's error "Position out of bounds").
pub fn stringat(text: &[u8], position: i64) -> Option<i64> {
    let position = usize::try_from(position).ok()?;
    text.get(position).map(|byte| i64::from(*byte))
}

/// `str_replace`: `text` with each `from` in it replaced by `to`, from the
/// left, without looking at what was put in; as it is where `from` is empty.
/// Ends soon after `most` bytes: what is behind them the caller cuts off.
pub fn str_replace(text: &[u8], from: &[u8], to: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while !from.is_empty()
        && out.len() <= most
        && let Some(position) = find(rest, from)
    {
        out.extend_from_slice(&rest[..position]);
        out.extend_from_slice(to);
        rest = &rest[position + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Where `part` first occurs in `text`; an empty one is at the start.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let Some(first) = part.first() else {
        return Some(0);
    };
    let mut start = 0;
    loop {
        let candidates = text.get(start..)?;
        start += candidates.iter().position(|byte| byte == first)?;
        if text[start..].starts_with(part) {
            return Some(start);
        }
        start += 1;
    }
}

/// The number at the start of `text`, to `base` (0: by its prefix `0x` or
/// `0`), as C's strtol: leading blanks and a sign, 0 where there is none, and
/// the nearest long where it is too large.
pub fn strtol(text: &[u8], base: i64) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (base, digits) = match (base, text) {
        (0 | 16, [b'0', b'x' | b'X', rest @ ..])
            if rest.first().is_some_and(u8::is_ascii_hexdigit) =>
        {
            (16, rest)
        }
        (0, [b'0', ..]) => (8, text),
        (0, _) => (10, text),
        (2..=36, _) => (base as u32, text),
        _ => return 0,
    };
    let mut value = 0i128;
    for byte in digits {
        let Some(digit) = char::from(*byte).to_digit(base) else {
            break;
        };
        value = (value * i128::from(base) + i128::from(digit)).min(1 << 64);
    }
    let value = if negative { -value } else { value };
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}
