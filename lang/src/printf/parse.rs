//! From the text of a format to its pieces.

use std::ops::Range;

use super::{Conversion, Count, Directive, Flags, Format, Piece};
use crate::code::Code;

/// Widths and precisions beyond the longest string make no sense.
const COUNT_MAX: u32 = 4096;

/// A format that was taken apart, with the place of each directive in it.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The pieces that are in order.
    pub(crate) format: Format,
    /// For each directive of `format` its bytes in the text.
    pub(crate) ranges: Vec<Range<usize>>,
    /// What is wrong.
    pub(crate) errors: Vec<FormatError>,
}

/// Something wrong in a format.
#[derive(Debug)]
pub(crate) struct FormatError {
    pub(crate) code: Code,
    pub(crate) range: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Takes a format apart.
pub(crate) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(length) = text[at..].find('%') {
        literal.push_str(&text[at..at + length]);
        let start = at + length;
        if text[start..].starts_with("%%") {
            literal.push('%');
            at = start + 2;
            continue;
        }
        let mut cursor = Cursor { text, at: start + 1 };
        let directive = cursor.directive(start);
        at = cursor.at;
        match directive {
            Ok(directive) => {
                flush(&mut literal, &mut parsed.format);
                parsed.format.pieces.push(Piece::Directive(directive));
                parsed.ranges.push(start..at);
            }
            Err(error) => parsed.errors.push(error),
        }
    }
    literal.push_str(&text[at..]);
    flush(&mut literal, &mut parsed.format);
    parsed
}

fn flush(literal: &mut String, format: &mut Format) {
    if !literal.is_empty() {
        format.pieces.push(Piece::Literal(std::mem::take(literal)));
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found) * wanted.len_utf8();
        found
    }

    /// What follows a `%` at `start`.
    fn directive(&mut self, start: usize) -> Result<Directive, FormatError> {
        let flags = self.flags();
        let width = self.count(start)?;
        let precision = if self.take('.') {
            Some(self.count(start)?.unwrap_or(Count::Fixed(0)))
        } else {
            None
        };
        let modifiers = self.at;
        while matches!(self.peek(), Some('h' | 'l' | 'L' | 'q' | 'j' | 'z' | 't')) {
            self.at += 1;
        }
        let modified = self.at > modifiers;
        let Some(char) = self.peek() else {
            return Err(self.error(
                start,
                "a directive has no conversion",
                "write `%%` for a percent sign",
            ));
        };
        self.at += char.len_utf8();
        let Some(conversion) = conversion(char) else {
            return Err(self.unknown(start, char));
        };
        if conversion == Conversion::Bytes
            && let Some(Count::Fixed(bytes)) = width
            && !matches!(bytes, 1 | 2 | 4 | 8)
        {
            let help = "write `%1b`, `%2b`, `%4b` or `%8b`";
            return Err(self.error(start, "`%b` prints 1, 2, 4 or 8 bytes", help));
        }
        if modified {
            let help = format!("every number has 64 bits: write `%{char}`");
            return Err(self.error(start, "directives have no length modifiers", &help));
        }
        Ok(Directive { flags, width, precision, conversion })
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        while let Some(char) = self.peek() {
            match char {
                '-' => flags.left = true,
                '+' => flags.plus = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                '#' => flags.alternate = true,
                _ => break,
            }
            self.at += 1;
        }
        flags
    }

    fn count(&mut self, start: usize) -> Result<Option<Count>, FormatError> {
        if self.take('*') {
            return Ok(Some(Count::Argument));
        }
        let from = self.at;
        while self.peek().is_some_and(|char| char.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == from {
            return Ok(None);
        }
        match self.text[from..self.at].parse() {
            Ok(count) if count <= COUNT_MAX => Ok(Some(Count::Fixed(count))),
            _ => {
                let help = format!("at most {COUNT_MAX} columns are printed");
                Err(self.error(start, "a width or precision is too large", &help))
            }
        }
    }

    fn unknown(&self, start: usize, char: char) -> FormatError {
        let shown = &self.text[start..self.at];
        let known = "known are %d %i %u %x %X %o %p %c %b %m %M %f %g %e %s %%";
        match char {
            ' ' => self.error(
                start,
                "a directive has no conversion",
                "write `%%` for a percent sign",
            ),
            _ => self.error(
                start,
                &format!("`{}` is no directive", shown.escape_debug()),
                known,
            ),
        }
    }

    fn error(&self, start: usize, message: &str, help: &str) -> FormatError {
        FormatError {
            code: Code::BadFormat,
            range: start..self.at,
            message: message.to_owned(),
            help: help.to_owned(),
        }
    }
}

fn conversion(char: char) -> Option<Conversion> {
    Some(match char {
        'd' | 'i' => Conversion::Signed,
        'u' => Conversion::Unsigned,
        'x' => Conversion::HexLower,
        'X' => Conversion::HexUpper,
        'o' => Conversion::Octal,
        'p' => Conversion::Pointer,
        'c' => Conversion::Char,
        's' => Conversion::String,
        'b' => Conversion::Bytes,
        'm' => Conversion::Memory,
        'M' => Conversion::MemoryHex,
        'f' => Conversion::Fixed,
        'e' => Conversion::Exponent,
        'g' => Conversion::General,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directives(text: &str) -> Vec<Directive> {
        let pieces = parse(text).format.pieces;
        pieces
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Directive(directive) => Some(directive),
                Piece::Literal(_) => None,
            })
            .collect()
    }

    #[test]
    fn flags_width_and_precision() {
        let found = directives("%-+ 0#12.3d|%*.*s|%.c");
        let all =
            Flags { left: true, plus: true, space: true, zero: true, alternate: true };
        assert_eq!(found[0].flags, all);
        assert_eq!(found[0].width, Some(Count::Fixed(12)));
        assert_eq!(found[0].precision, Some(Count::Fixed(3)));
        assert_eq!(found[1].width, Some(Count::Argument));
        assert_eq!(found[1].precision, Some(Count::Argument));
        assert_eq!(found[2].precision, Some(Count::Fixed(0)));
    }

    #[test]
    fn literals_join_around_percent_signs() {
        assert_eq!(parse("a%%b").format.pieces, [Piece::Literal("a%b".into())]);
        assert_eq!(parse("").format.pieces, []);
        let parsed = parse("é%d");
        assert_eq!(parsed.ranges.first(), Some(&(2..4)));
    }

    #[test]
    fn errors_have_their_place() {
        let message = |text| {
            let parsed = parse(text);
            (parsed.errors[0].message.clone(), parsed.errors[0].range.clone())
        };
        assert_eq!(message("x%ld"), ("directives have no length modifiers".into(), 1..4));
        assert_eq!(message("100%"), ("a directive has no conversion".into(), 3..4));
        assert_eq!(message("%y"), ("`%y` is no directive".into(), 0..2));
        assert_eq!(message("%5000d"), ("a width or precision is too large".into(), 0..5));
        assert_eq!(message("%3b"), ("`%b` prints 1, 2, 4 or 8 bytes".into(), 0..3));
    }
}
