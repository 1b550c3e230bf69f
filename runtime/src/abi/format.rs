//! How one value is written: the meaning of printf's directives, shared by
//! native handlers and the evaluator.
//!
//! Integers, doubles and strings are written as C's printf writes them;
//! `%b %m %M` and `%#c`, which C lacks, as SystemTap's does (runtime/vsprintf.c).

mod double;
#[cfg(test)]
mod tests;

pub use double::{double, shortest};

/// A directive without its width and precision, packed for the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Directive {
    /// How the value is written.
    pub conversion: Conversion,
    /// `-`: pad on the right.
    pub left: bool,
    /// `+`: a sign in front of positive numbers too.
    pub plus: bool,
    /// ` `: a space where the sign of a positive number would be.
    pub space: bool,
    /// `0`: pad with zeros.
    pub zero: bool,
    /// `#`: `0x` or `0` in front of numbers, escapes in strings.
    pub alternate: bool,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Conversion {
    /// `%d %i`
    Signed = 0,
    /// `%u`
    Unsigned = 1,
    /// `%x`
    HexLower = 2,
    /// `%X`
    HexUpper = 3,
    /// `%o`
    Octal = 4,
    /// `%p`: as `%#x`, also for 0.
    Pointer = 5,
    /// `%c`: the lowest byte.
    Char = 6,
    /// `%s`
    String = 7,
    /// `%b`: the bytes of a number, the lowest first.
    Binary = 8,
    /// `%m`: bytes of memory.
    Memory = 9,
    /// `%M`: bytes of memory in hexadecimal.
    MemoryHex = 10,
    /// `%f`
    Fixed = 11,
    /// `%e`
    Exponent = 12,
    /// `%g`
    General = 13,
}

impl Conversion {
    const ALL: [Self; 14] = [
        Self::Signed,
        Self::Unsigned,
        Self::HexLower,
        Self::HexUpper,
        Self::Octal,
        Self::Pointer,
        Self::Char,
        Self::String,
        Self::Binary,
        Self::Memory,
        Self::MemoryHex,
        Self::Fixed,
        Self::Exponent,
        Self::General,
    ];
}

impl Directive {
    /// `%d` and its like without flags.
    pub fn plain(conversion: Conversion) -> Self {
        Self {
            conversion,
            left: false,
            plus: false,
            space: false,
            zero: false,
            alternate: false,
        }
    }

    /// The directive as one word.
    pub fn pack(self) -> i64 {
        let flags = [self.left, self.plus, self.space, self.zero, self.alternate];
        let bits = flags.iter().rev().fold(0, |bits, flag| bits << 1 | i64::from(*flag));
        bits << 8 | self.conversion as i64
    }

    /// The directive a word stands for. Only words from [`Directive::pack`]
    /// have a meaning; others give some directive.
    pub fn unpack(word: i64) -> Self {
        let flag = |bit: u32| word >> (8 + bit) & 1 == 1;
        Self {
            conversion: Conversion::ALL[(word & 0xff) as usize % Conversion::ALL.len()],
            left: flag(0),
            plus: flag(1),
            space: flag(2),
            zero: flag(3),
            alternate: flag(4),
        }
    }
}

/// A width or precision that is not given.
pub const NONE: i64 = -1;

/// The widest padding that is written; wider ones are cut to it, so that a
/// script can not ask for gigabytes of spaces.
pub const WIDEST: usize = 4096;

/// Writes `value` as C's printf does for a 64-bit argument.
///
/// A width below 0 other than [`NONE`] pads on the right, a precision below 0
/// is none (ISO C 7.23.6.1 on `*`). A directive for doubles takes the number as
/// one, one for memory writes it as `%d` does.
pub fn long(
    out: &mut Vec<u8>,
    directive: Directive,
    width: i64,
    precision: i64,
    value: i64,
) {
    let unsigned = value as u64;
    let (sign, digits) = match directive.conversion {
        Conversion::Char => return character(out, directive, width, value as u8),
        Conversion::Binary => return binary(out, directive, width, precision, value),
        Conversion::Fixed | Conversion::Exponent | Conversion::General => {
            return double(out, directive, width, precision, value as f64);
        }
        Conversion::Signed
        | Conversion::String
        | Conversion::Memory
        | Conversion::MemoryHex => {
            if is_plain(directive, width, precision) {
                return decimal(out, value);
            }
            (signed_prefix(directive, value), value.unsigned_abs().to_string())
        }
        Conversion::Unsigned => ("", unsigned.to_string()),
        Conversion::HexLower => (prefix(directive, "0x"), format!("{unsigned:x}")),
        Conversion::HexUpper => (prefix(directive, "0X"), format!("{unsigned:X}")),
        // 0 is its own prefix.
        Conversion::Octal if value == 0 => ("", "0".to_owned()),
        Conversion::Octal => (prefix(directive, "0"), format!("{unsigned:o}")),
        Conversion::Pointer => ("0x", format!("{unsigned:x}")),
    };
    let mut digits = digits.into_bytes();
    let wanted = usize::try_from(precision).unwrap_or(0).min(WIDEST);
    if precision == 0 && value == 0 {
        digits.clear();
    }
    if digits.len() < wanted {
        let zeros = wanted - digits.len();
        digits.splice(0..0, std::iter::repeat_n(b'0', zeros));
    }
    let zero = directive.zero && precision < 0;
    pad(out, directive, width, sign.as_bytes(), &digits, zero);
}

/// Writes `text` as `%s` does; with `#` its control characters, quotes and
/// backslashes escaped as in C.
pub fn string(
    out: &mut Vec<u8>,
    directive: Directive,
    width: i64,
    precision: i64,
    text: &[u8],
) {
    let escaped;
    let mut text = text;
    if directive.alternate {
        escaped = escape(text);
        text = &escaped;
    }
    if let Ok(most) = usize::try_from(precision) {
        text = &text[..most.min(text.len())];
    }
    pad(out, directive, width, &[], text, false);
}

/// Writes the lowest bytes of `value`, the lowest first, as `%b` does: as many
/// as the precision says, 1, 2, 4 or 8; else as the width says; else 8. A
/// larger width is filled up with zero bytes, in front or with `-` behind.
pub fn binary(
    out: &mut Vec<u8>,
    directive: Directive,
    width: i64,
    precision: i64,
    value: i64,
) {
    let size = |given: i64| matches!(given, 1 | 2 | 4 | 8).then_some(given as usize);
    let columns = columns(width);
    let size = size(precision).or(size(columns as i64)).unwrap_or(8);
    let zeros = columns.saturating_sub(size);
    let left = directive.left || width < NONE;
    if !left {
        out.extend(std::iter::repeat_n(0, zeros));
    }
    out.extend_from_slice(&value.to_le_bytes()[..size]);
    if left {
        out.extend(std::iter::repeat_n(0, zeros));
    }
}

/// How many bytes of memory a `%m` or `%M` with this precision wants: as many
/// as that, one without. Nothing above [`WIDEST`] (SystemTap's error "… is too
/// many bytes for a memory dump").
pub fn memory_length(precision: i64) -> Option<usize> {
    let length = usize::try_from(precision).unwrap_or(1).max(1);
    (length <= WIDEST).then_some(length)
}

/// Writes `bytes` as they are for `%m`, each as two hexadecimal digits for
/// `%M`, padded to the width. The caller has read them where the argument
/// points, [`memory_length`] of them.
pub fn memory(out: &mut Vec<u8>, directive: Directive, width: i64, bytes: &[u8]) {
    if directive.conversion != Conversion::MemoryHex {
        return pad(out, directive, width, &[], bytes, false);
    }
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble & 15)];
    let hex = |byte: &u8| [digit(byte >> 4), digit(*byte)];
    let hex: Vec<u8> = bytes.iter().flat_map(hex).collect();
    pad(out, directive, width, &[], &hex, false);
}

/// Writes `byte` as `%c` does; with `#` escaped where it is not printable, a
/// `'` or a backslash.
fn character(out: &mut Vec<u8>, directive: Directive, width: i64, byte: u8) {
    if !directive.alternate {
        return pad(out, directive, width, &[], &[byte], false);
    }
    let escaped = match byte {
        b'"' => vec![byte],
        b'\'' => b"\\'".to_vec(),
        0x80.. => format!("\\{byte:03o}").into_bytes(),
        _ => escape(&[byte]),
    };
    pad(out, directive, width, &[], &escaped, false);
}

fn is_plain(directive: Directive, width: i64, precision: i64) -> bool {
    width == NONE && precision == NONE && !directive.plus && !directive.space
}

/// The common case without any allocation.
fn decimal(out: &mut Vec<u8>, value: i64) {
    let mut buffer = [0; 20];
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&buffer[at..]);
}

fn signed_prefix(directive: Directive, value: i64) -> &'static str {
    match (value < 0, directive.plus, directive.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

/// SystemTap's `#` has the prefix in front of 0, too, unlike C's
/// (runtime/vsprintf.c).
fn prefix(directive: Directive, text: &'static str) -> &'static str {
    if directive.alternate { text } else { "" }
}

/// The columns a width asks for.
fn columns(width: i64) -> usize {
    if width == NONE {
        return 0;
    }
    usize::try_from(width.unsigned_abs()).unwrap_or(WIDEST).min(WIDEST)
}

fn pad(
    out: &mut Vec<u8>,
    directive: Directive,
    width: i64,
    sign: &[u8],
    body: &[u8],
    zero: bool,
) {
    let left = directive.left || width < NONE;
    let missing = columns(width).saturating_sub(sign.len() + body.len());
    let spaces = |out: &mut Vec<u8>, byte| out.extend(std::iter::repeat_n(byte, missing));
    if !left && !zero {
        spaces(out, b' ');
    }
    out.extend_from_slice(sign);
    if !left && zero {
        spaces(out, b'0');
    }
    out.extend_from_slice(body);
    if left {
        spaces(out, b' ');
    }
}

fn escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0b => out.extend_from_slice(b"\\v"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x20..=0x7e | 0x80.. => out.push(byte),
            _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
    out
}
