//! Script arguments: `$1` and `@1` in a script, and what the user gave.

use crate::ast::{Argument, ArgumentValue, Expression, ExpressionKind};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::Span;

use super::literal;

/// The arguments of a script and which of them it has used.
pub(super) struct Arguments<'a> {
    values: &'a [String],
    used: Vec<bool>,
    last_use: Option<Span>,
}

/// What `$N` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Integer(i64),
    Name(String),
    String(String),
}

impl Token {
    /// The argument as an expression.
    pub(super) fn into_expression(self, span: Span) -> ExpressionKind {
        match self {
            Self::Integer(value) => ExpressionKind::Integer(value),
            Self::Name(name) => ExpressionKind::Variable(name),
            Self::String(value) => ExpressionKind::String(crate::ast::Text {
                value,
                anchors: Vec::new(),
                span,
            }),
        }
    }
}

impl<'a> Arguments<'a> {
    pub(super) fn new(values: &'a [String]) -> Self {
        Self { values, used: vec![false; values.len()], last_use: None }
    }

    /// `$#` and `@#`: how many there are.
    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    /// The text of `$N` or `@N`, spelled as in the script.
    ///
    /// # Errors
    /// There is no such argument.
    pub(super) fn text(
        &mut self,
        spelling: &str,
        span: Span,
    ) -> Result<&'a str, Box<Diagnostic>> {
        self.last_use = Some(span);
        let number: usize = spelling[1..].parse().unwrap_or(usize::MAX);
        let given = number
            .checked_sub(1)
            .and_then(|at| self.values.get(at).map(|text| (at, text)));
        let Some((at, text)) = given else {
            return Err(missing(spelling, number, self.values.len(), span));
        };
        self.used[at] = true;
        Ok(text)
    }

    /// The token that `$N` stands for.
    ///
    /// # Errors
    /// There is no such argument, or it is neither a number nor a name nor a
    /// quoted string.
    pub(super) fn token(
        &mut self,
        spelling: &str,
        span: Span,
    ) -> Result<Token, Box<Diagnostic>> {
        if spelling == "$#" {
            return Ok(Token::Integer(i64::try_from(self.count()).unwrap_or(i64::MAX)));
        }
        let text = self.text(spelling, span)?.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if digits.starts_with(|char: char| char.is_ascii_digit())
            && let Ok(value) = literal::integer(digits, span)
        {
            return Ok(Token::Integer(if negative {
                value.wrapping_neg()
            } else {
                value
            }));
        }
        if is_name(text) {
            return Ok(Token::Name(text.to_owned()));
        }
        match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inside) => Ok(Token::String(inside.to_owned())),
            None => Err(bad(spelling, text, span)),
        }
    }

    /// Takes note of a use in a part of the script that `%( … %)` leaves out.
    pub(super) fn mark(&mut self, spelling: &str) {
        let number: usize = spelling[1..].parse().unwrap_or(0);
        if let Some(used) = number.checked_sub(1).and_then(|at| self.used.get_mut(at)) {
            *used = true;
        }
    }

    /// An error for each argument that the script never used.
    pub(super) fn left_over(&self) -> Vec<Diagnostic> {
        let unused = self.values.iter().zip(&self.used).enumerate();
        unused
            .filter(|(_, (_, used))| !**used)
            .map(|(at, (text, _))| {
                let message = format!("the script does not use argument {}: `{text}`", at + 1);
                let mut error = Diagnostic::new(Code::LeftOverArgument, self.last_use, message)
                    .help(format!(
                        "leave it out, or use it as `${0}` (a number or name) or `@{0}` (a string)",
                        at + 1
                    ));
                if self.last_use.is_some() {
                    error = error.label("the last argument in use");
                }
                error
            })
            .collect()
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|char: char| char.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !super::foreign::KEYWORDS.contains(&text)
}

fn missing(spelling: &str, number: usize, given: usize, span: Span) -> Box<Diagnostic> {
    let error = Diagnostic::new(
        Code::MissingArgument,
        span,
        format!("script argument `{spelling}` is not given"),
    );
    let given = match given {
        0 => "no argument was given".to_owned(),
        1 => "1 argument was given".to_owned(),
        many => format!("{many} arguments were given"),
    };
    let help = match number {
        0 => "arguments are counted from 1: `$1`".to_owned(),
        _ => "append it to the command line, behind the script: `hwtrace SCRIPT.hwt ARGUMENT…`".to_owned(),
    };
    Box::new(error.label("needed here").note(given).help(help))
}

fn bad(spelling: &str, text: &str, span: Span) -> Box<Diagnostic> {
    let shown: String = text.chars().take(40).collect();
    let message = format!("argument `{shown}` is neither a number nor a name");
    let error = Diagnostic::new(Code::BadArgument, span, message).label("pasted here");
    let help = format!("write `@{}` to have it as a string", &spelling[1..]);
    Box::new(error.help(help))
}

/// The error for `$1` where only a number or string can stand, and it is a
/// name.
pub(super) fn not_a_literal(name: &str, span: Span) -> Box<Diagnostic> {
    let message = format!("argument `{name}` is no number");
    Box::new(
        Diagnostic::new(Code::BadArgument, span, message)
            .label("pasted here")
            .help("write `@1` in place of `$1` to have it as a string"),
    )
}

/// A literal as the argument of a part of a probe point.
///
/// # Errors
/// It has a fraction.
pub(super) fn of_point(literal: Expression) -> Result<Argument, Box<Diagnostic>> {
    let value = match literal.kind {
        ExpressionKind::Integer(value) => ArgumentValue::Long(value),
        ExpressionKind::String(text) => ArgumentValue::String(text.value),
        _ => {
            let message = "an argument of a probe point is a whole number or a string";
            return Err(Box::new(
                Diagnostic::new(Code::Syntax, literal.span, message)
                    .label("neither")
                    .help("take a smaller unit: `timer.ms(1500)` for 1.5 seconds"),
            ));
        }
    };
    Ok(Argument { value, span: literal.span })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn arguments_become_tokens() {
        let given: Vec<String> =
            ["7", "-0x10", "counter", "\"a b\"", "a b"].map(String::from).to_vec();
        let mut arguments = Arguments::new(&given);
        let mut token = |spelling| arguments.token(spelling, Span::default());
        assert_eq!(token("$1").unwrap(), Token::Integer(7));
        assert_eq!(token("$2").unwrap(), Token::Integer(-16));
        assert_eq!(token("$3").unwrap(), Token::Name("counter".into()));
        assert_eq!(token("$4").unwrap(), Token::String("a b".into()));
        assert_eq!(token("$5").unwrap_err().code, Code::BadArgument);
        assert_eq!(token("$#").unwrap(), Token::Integer(5));
        assert_eq!(token("$6").unwrap_err().code, Code::MissingArgument);
        assert_eq!(token("$0").unwrap_err().code, Code::MissingArgument);
    }

    #[test]
    fn what_is_not_used_is_told() {
        let given = vec!["1".to_owned(), "2".to_owned()];
        let mut arguments = Arguments::new(&given);
        arguments.text("@2", Span::default()).unwrap();
        let left = arguments.left_over();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].message, "the script does not use argument 1: `1`");
    }
}
