//! Numbers and strings: from their spelling to their value.

use crate::ast::Text;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// The value of an integer literal; above the largest long it wraps, as in
/// SystemTap.
///
/// # Errors
/// Digits that its base has not, or more than 64 bits.
pub(super) fn integer(text: &str, span: Span) -> Result<i64, Box<Diagnostic>> {
    let (digits, base, name) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16, "hexadecimal"),
        [b'0', _, ..] => (&text[1..], 8, "octal"),
        _ => (text, 10, "decimal"),
    };
    let is_digit = |char: char| char.is_digit(base);
    if digits.is_empty() || !digits.chars().all(is_digit) {
        let message = format!("`{text}` is no {name} number");
        return Err(Box::new(
            Diagnostic::new(Code::BadInteger, span, message).label("not a number").help(
                "numbers are written 42, 0x2a, 052 or 1.5e3; names do not begin with a digit",
            ),
        ));
    }
    match u64::from_str_radix(digits, base) {
        Ok(value) => Ok(value.cast_signed()),
        Err(_) => Err(Box::new(
            Diagnostic::new(
                Code::BadInteger,
                span,
                format!("`{text}` has more than 64 bits"),
            )
            .label("too large")
            .help("the largest number is 0xffffffffffffffff, which is -1"),
        )),
    }
}

/// The value of a floating point literal.
///
/// # Errors
/// It is larger than any double.
pub(super) fn double(text: &str, span: Span) -> Result<f64, Box<Diagnostic>> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Box::new(
            Diagnostic::new(
                Code::BadInteger,
                span,
                format!("`{text}` is larger than any double"),
            )
            .label("too large")
            .help(format!("the largest double is {:e}", f64::MAX)),
        )),
    }
}

/// Collects the text of adjacent string literals.
#[derive(Default)]
pub(super) struct TextBuilder {
    bytes: Vec<u8>,
    anchors: Vec<(u32, u32)>,
}

impl TextBuilder {
    /// Appends text that stands nowhere in the script.
    pub(super) fn push_argument(&mut self, text: &str, span: Span) {
        self.anchor(span.start as usize);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Appends a literal; `start` is the place of its first byte inside the
    /// quotes.
    ///
    /// # Errors
    /// An escape that does not exist.
    pub(super) fn push_literal(
        &mut self,
        inside: &str,
        start: usize,
    ) -> Result<(), Box<Diagnostic>> {
        self.anchor(start);
        let mut at = 0;
        while let Some(length) = inside[at..].find('\\') {
            self.bytes.extend_from_slice(&inside.as_bytes()[at..at + length]);
            let from = at + length;
            at = from + self.escape(&inside[from..], start + from)?;
            self.anchor(start + at);
        }
        self.bytes.extend_from_slice(&inside.as_bytes()[at..]);
        Ok(())
    }

    /// Appends a literal that a macro brought to `span`.
    ///
    /// # Errors
    /// An escape that does not exist.
    pub(super) fn push_expanded(
        &mut self,
        inside: &str,
        span: Span,
    ) -> Result<(), Box<Diagnostic>> {
        let known = self.anchors.len();
        let pushed = self.push_literal(inside, 0).map_err(|mut error| {
            error.span = Some(span);
            error
        });
        self.anchors.truncate(known);
        self.anchor(span.start as usize);
        pushed
    }

    /// The joined text.
    ///
    /// # Errors
    /// Escapes gave bytes that are no UTF-8.
    pub(super) fn finish(self, span: Span) -> Result<Text, Box<Diagnostic>> {
        match String::from_utf8(self.bytes) {
            Ok(value) => Ok(Text { value, anchors: self.anchors, span }),
            Err(_) => Err(Box::new(
                Diagnostic::new(
                    Code::BadEscape,
                    span,
                    "the bytes of this string are no text",
                )
                .label("not UTF-8")
                .help("escapes above \\x7f must together form a character of UTF-8"),
            )),
        }
    }

    fn anchor(&mut self, script: usize) {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        self.anchors.push((clamp(self.bytes.len()), clamp(script)));
    }

    /// Resolves the escape at the start of `text`; its length in the script.
    fn escape(&mut self, text: &str, start: usize) -> Result<usize, Box<Diagnostic>> {
        let tail = &text[1..];
        let char = tail.chars().next();
        let simple = match char {
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('r') => b'\r',
            Some('a') => 0x07,
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('v') => 0x0b,
            Some('e') => 0x1b,
            Some(quoted @ ('\\' | '"' | '\'' | '?')) => quoted as u8,
            // A line goes on behind a backslash at its end.
            Some('\n') => return Ok(2),
            Some('0'..='7') => return self.numeric(tail, 0, 3, 8, start),
            Some('x') => return self.numeric(tail, 1, 2, 16, start),
            _ => return Err(bad_escape(text, start, 1 + char.map_or(0, char::len_utf8))),
        };
        self.bytes.push(simple);
        Ok(2)
    }

    /// `\123` and `\x1b`.
    fn numeric(
        &mut self,
        tail: &str,
        skip: usize,
        digits_max: usize,
        base: u32,
        start: usize,
    ) -> Result<usize, Box<Diagnostic>> {
        let digits: String = tail[skip..]
            .chars()
            .take(digits_max)
            .take_while(|char| char.is_digit(base))
            .collect();
        match u8::from_str_radix(&digits, base) {
            Ok(byte) => {
                self.bytes.push(byte);
                Ok(1 + skip + digits.len())
            }
            Err(_) => {
                Err(bad_escape(&format!("\\{tail}"), start, 1 + skip + digits.len()))
            }
        }
    }
}

fn bad_escape(text: &str, start: usize, length: usize) -> Box<Diagnostic> {
    let shown = text.get(..length).unwrap_or("\\");
    let span = Span::new(start, start + length);
    Box::new(
        Diagnostic::new(Code::BadEscape, span, format!("`{shown}` is no escape"))
            .label("not known")
            .help("escapes are \\n \\t \\r \\a \\b \\f \\v \\e \\\\ \\\" \\123 \\x1b; a backslash is `\\\\`"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn integers_wrap_above_the_largest_long_only() {
        let value = |text| integer(text, Span::default()).map_err(|error| error.message);
        assert_eq!(value("0x2a"), Ok(42));
        assert_eq!(value("052"), Ok(42));
        assert_eq!(value("0"), Ok(0));
        assert_eq!(value("18446744073709551615"), Ok(-1));
        assert_eq!(value("9223372036854775808"), Ok(i64::MIN));
        assert!(value("18446744073709551616").is_err());
        assert!(value("08").is_err() && value("0x").is_err() && value("12ab").is_err());
    }

    #[test]
    fn text_knows_its_place() {
        let mut builder = TextBuilder::default();
        builder.push_literal(r"a\tb\x41", 10).unwrap();
        builder.push_literal("cd", 30).unwrap();
        let text = builder.finish(Span::new(9, 33)).unwrap();
        assert_eq!(text.value, "a\tbAcd");
        assert_eq!(text.span_of(0..1), Span::new(10, 11));
        assert_eq!(text.span_of(2..3), Span::new(13, 14));
        assert_eq!(text.span_of(4..6), Span::new(30, 32));
        assert_eq!(text.span_of(5..6), Span::new(31, 32));
    }

    #[test]
    fn bad_escapes_are_marked() {
        let error = TextBuilder::default().push_literal(r"ab\q", 5).unwrap_err();
        assert_eq!((error.code, error.span), (Code::BadEscape, Some(Span::new(7, 9))));
        assert!(TextBuilder::default().push_literal(r"\xg", 0).is_err());
        assert!(TextBuilder::default().push_literal(r"\777", 0).is_err());
    }
}
