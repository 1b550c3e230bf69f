//! The conditions of `%( … %?`.

use super::{Failure, Piece, Preprocessor, malformed};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::parse::arguments::Token;
use crate::parse::literal::{self, TextBuilder};
use crate::parse::scan::Kind;
use crate::span::Span;
use std::cmp::Ordering;

/// The version of SystemTap whose language this is.
const SYSTEMTAP_VERSION: &str = "5.1";

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// `kernel_v` and the like, compared part by part.
    Version(String),
    /// `arch`, `CONFIG_X`: told only whether it is equal; the other side may
    /// have wildcards.
    Word(String),
    Text(String),
    Number(i64),
}

/// A condition that is being read.
struct Reader<'s, 'a> {
    pieces: &'s [Piece<'a>],
    at: usize,
    begin: Piece<'a>,
}

impl<'a> Reader<'_, 'a> {
    fn word(&self) -> &'a str {
        self.pieces.get(self.at).map_or("", |piece| piece.text)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.word() == text;
        self.at += usize::from(found);
        found
    }

    /// The error at the token in work.
    fn error(&self, message: &str) -> Diagnostic {
        let place = self.pieces.get(self.at).or(self.pieces.last());
        let piece = place.copied().unwrap_or(self.begin);
        Diagnostic::new(Code::BadPreprocessor, piece.span(), message)
            .label("in this condition")
            .help("write for example `%( kernel_v >= \"5.10\" && arch == \"x86_64\" %? … %: … %)`")
    }
}

impl<'a> Preprocessor<'_, '_, 'a> {
    /// Whether a condition holds.
    pub(super) fn evaluate(
        &mut self,
        pieces: &[Piece<'a>],
        begin: &Piece<'a>,
    ) -> Result<bool, Failure> {
        if pieces.is_empty() {
            return Err(malformed(begin, "a condition is missing between `%(` and `%?`")
                .help("write for example `%( arch == \"x86_64\" %? … %: … %)`")
                .into());
        }
        let mut reader = Reader { pieces, at: 0, begin: *begin };
        let holds = self.either(&mut reader, 0)?;
        if reader.at < pieces.len() {
            return Err(reader.error("the condition does not end here").into());
        }
        Ok(holds)
    }

    fn either(
        &mut self,
        reader: &mut Reader<'_, 'a>,
        depth: usize,
    ) -> Result<bool, Failure> {
        let mut holds = self.both(reader, depth)?;
        while reader.take("||") {
            holds |= self.both(reader, depth)?;
        }
        Ok(holds)
    }

    fn both(
        &mut self,
        reader: &mut Reader<'_, 'a>,
        depth: usize,
    ) -> Result<bool, Failure> {
        let mut holds = self.comparison(reader, depth)?;
        while reader.take("&&") {
            holds &= self.comparison(reader, depth)?;
        }
        Ok(holds)
    }

    fn comparison(
        &mut self,
        reader: &mut Reader<'_, 'a>,
        depth: usize,
    ) -> Result<bool, Failure> {
        if depth > super::NESTING_MAX {
            return Err(reader.error("the condition is nested too deeply").into());
        }
        if reader.take("(") {
            let holds = self.either(reader, depth + 1)?;
            if !reader.take(")") {
                return Err(reader.error("`(` is not closed in this condition").into());
            }
            return Ok(holds);
        }
        let left = self.value(reader)?;
        let op = reader.word();
        if !matches!(op, "==" | "!=" | "<" | "<=" | ">" | ">=") {
            return Err(reader.error("a comparison is missing in a condition").into());
        }
        reader.at += 1;
        let from = reader.at;
        let right = self.value(reader)?;
        compare(&left, op, &right).ok_or_else(|| {
            reader.at = from;
            reader.error("these two can not be compared like this").into()
        })
    }

    fn value(&mut self, reader: &mut Reader<'_, 'a>) -> Result<Value, Failure> {
        let negative = reader.take("-");
        let Some(piece) = reader.pieces.get(reader.at).copied() else {
            return Err(reader.error("the condition ends too early").into());
        };
        let value = match piece.kind {
            Kind::Number => {
                let value = literal::integer(piece.text, piece.span())?;
                Value::Number(if negative { value.wrapping_neg() } else { value })
            }
            _ if negative => return Err(reader.error("`-` needs a number").into()),
            Kind::String => Value::Text(string(piece.text, piece.span())?),
            Kind::Argument => self.argument(&piece)?,
            Kind::Word => self.property(reader, &piece)?,
            _ => return Err(reader.error("this can not be compared").into()),
        };
        reader.at += 1;
        Ok(value)
    }

    fn argument(&mut self, piece: &Piece<'a>) -> Result<Value, Failure> {
        let (text, span) = (piece.text, piece.span());
        if text == "@#" {
            return Ok(Value::Text(self.arguments.count().to_string()));
        }
        if text.starts_with('@') {
            return Ok(Value::Text(self.arguments.text(text, span)?.to_owned()));
        }
        Ok(match self.arguments.token(text, span)? {
            Token::Integer(value) => Value::Number(value),
            Token::Name(text) | Token::String(text) => Value::Text(text),
        })
    }

    /// What the platform or this program says.
    fn property(
        &mut self,
        reader: &Reader<'_, 'a>,
        piece: &Piece<'a>,
    ) -> Result<Value, Failure> {
        let release = self.platform.kernel_release;
        Ok(match piece.text {
            "kernel_vr" => Value::Version(release.to_owned()),
            "kernel_v" => {
                let base = release.split_once('-').map_or(release, |(base, _)| base);
                Value::Version(base.to_owned())
            }
            "systemtap_v" => Value::Version(SYSTEMTAP_VERSION.to_owned()),
            "arch" => Value::Word(self.platform.arch.to_owned()),
            "runtime" => Value::Word("hwtrace".to_owned()),
            "systemtap_privilege" => Value::Word("stapdev".to_owned()),
            "guru_mode" => Value::Number(0),
            option if option.starts_with("CONFIG_") => {
                let Some(config) = self.platform.config else {
                    self.config_missing.get_or_insert(piece.span());
                    return Ok(Value::Word(String::new()));
                };
                Value::Word(config(option).unwrap_or_default())
            }
            other => {
                let known = [
                    "kernel_v",
                    "kernel_vr",
                    "arch",
                    "systemtap_v",
                    "runtime",
                    "guru_mode",
                ];
                let message = format!("a condition can not ask for `{other}`");
                let error = reader.error(&message);
                return Err(match crate::suggest::did_you_mean(other, known) {
                    Some(near) => error.help(near),
                    None => error.help("it can ask for `kernel_v`, `kernel_vr`, `arch`, `systemtap_v` and `CONFIG_…`"),
                }
                .into());
            }
        })
    }
}

fn string(text: &str, span: Span) -> Result<String, Failure> {
    let mut builder = TextBuilder::default();
    let inside = &text[1..text.len() - 1];
    builder.push_expanded(inside, span)?;
    builder.finish(span).map(|text| text.value)
}

/// Whether the comparison holds; none where it makes no sense.
fn compare(left: &Value, op: &str, right: &Value) -> Option<bool> {
    let ordering = match (left, right) {
        (Value::Word(word), Value::Text(pattern)) => return equality(op, word, pattern),
        (Value::Version(version), Value::Text(pattern)) => {
            if matches!(op, "==" | "!=") && pattern.contains(['*', '?']) {
                return equality(op, version, pattern);
            }
            versions(version, pattern)
        }
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => left.cmp(right),
        _ => return None,
    };
    Some(match op {
        "==" => ordering == Ordering::Equal,
        "!=" => ordering != Ordering::Equal,
        "<" => ordering == Ordering::Less,
        "<=" => ordering != Ordering::Greater,
        ">" => ordering == Ordering::Greater,
        _ => ordering != Ordering::Less,
    })
}

fn equality(op: &str, text: &str, pattern: &str) -> Option<bool> {
    match op {
        "==" => Some(glob(pattern.as_bytes(), text.as_bytes())),
        "!=" => Some(!glob(pattern.as_bytes(), text.as_bytes())),
        _ => None,
    }
}

/// Whether a pattern, in which `*` stands for any bytes and `?` for one, fits the
/// whole text. Linear but for the way back to the last `*`.
///
/// ```
/// use hwtrace_lang::parse::glob;
/// assert!(glob(b"user_*", b"user_int"));
/// assert!(!glob(b"user_?", b"user_int"));
/// ```
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, t) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Versions part by part: digits as numbers, all else as text.
fn versions(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        let ordering = match (left.first(), right.first()) {
            (None, None) => return Ordering::Equal,
            (Some(l), Some(r)) if l.is_ascii_digit() && r.is_ascii_digit() => {
                number(&mut left).cmp(&number(&mut right))
            }
            (Some(l), Some(r)) => {
                let ordering = l.cmp(r);
                (left, right) = (&left[1..], &right[1..]);
                ordering
            }
            (l, r) => l.cmp(&r),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// The number at the start, which it takes off.
fn number(text: &mut &[u8]) -> u128 {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = text[..length].iter().fold(0u128, |value, digit| {
        value.saturating_mul(10).saturating_add(u128::from(digit - b'0'))
    });
    *text = &text[length..];
    value
}
