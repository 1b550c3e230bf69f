//! The meaning of the string functions, shared by native handlers and the
//! evaluator. Semantics are SystemTap's (tapset/string.stp).

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
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strtol_follows_c() {
        assert_eq!(strtol(b"  -42x", 10), -42);
        assert_eq!(strtol(b"0x1f", 0), 31);
        assert_eq!(strtol(b"0x1f", 16), 31);
        assert_eq!(strtol(b"017", 0), 15);
        assert_eq!(strtol(b"99999999999999999999", 10), i64::MAX);
        assert_eq!(strtol(b"-99999999999999999999", 10), i64::MIN);
        assert_eq!(strtol(b"0xg", 0), 0);
        assert_eq!(strtol(b"z", 37), 0);
    }

    #[test]
    fn substr_stays_inside_the_text() {
        assert_eq!(substr(b"hello", 1, 3), b"ell");
        assert_eq!(substr(b"hello", 3, 9), b"lo");
        assert_eq!(substr(b"hello", 9, 1), b"");
        assert_eq!(substr(b"hello", -1, 2), b"");
        assert_eq!(substr(b"hello", 1, i64::MAX), b"ello");
    }
}
