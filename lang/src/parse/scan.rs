//! The first look at a script: tokens, loosely, and the items they form.
//!
//! What a grammar is bad at happens here: cutting the text into items, so that
//! an error in one does not hide the others; brackets that do not match, with
//! both places; bounds on nesting, so that the recursive stages behind need no
//! fear for their stack. `probe`, `global` and `function` are reserved words,
//! so that each of them begins an item, whatever is left open before it.

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// Brackets may be nested this deep.
pub(super) const BRACKET_DEPTH_MAX: usize = 64;

/// So many `if`, `else`, `while`, `for` may follow one another without an end
/// of a statement between them.
const STATEMENT_RUN_MAX: usize = 512;

/// What a token is, as far as recognition needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a keyword.
    Word,
    /// Digits and what follows them: `1`, `0x2a`, `1.5`, `10ms`.
    Number,
    /// `"…"`
    String,
    /// `'…'`, which hwt has not.
    Quoted,
    /// `$name`, `$$name`, with `$` behind it perhaps.
    Target,
    /// `$1`, `@1`, `$#`, `@#`
    Argument,
    /// `@name`
    At,
    /// `%{ … %}`, the C of SystemTap.
    Embedded,
    /// An operator or a bracket.
    Punctuation,
}

/// A token with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// What begins an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemKind {
    Probe,
    Global,
    Function,
    Private,
    /// Text that no keyword begins.
    Stray,
}

/// An item of the script: a run of tokens.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: ItemKind,
    pub(super) tokens: std::ops::Range<usize>,
}

/// Operators of more than one character, longest first.
const OPERATORS: &[&str] = &[
    "<<<", ">>>", "<<=", ">>=", "===", "!==", "->", "++", "--", "<<", ">>", "<=", ">=",
    "==", "!=", "=~", "!~", "&&", "||", "+=", "-=", "*=", "/=", "%=", "&=", "^=", "|=",
    ".=", "%(", "%)", "%?", "%:",
];

/// Takes the script apart.
///
/// # Errors
/// A string or comment without an end, or a character that no token has; the
/// text behind it can not be trusted.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Box<Diagnostic>> {
    let mut scanner = Scanner { text, at: 0 };
    let mut tokens = Vec::new();
    while scanner.skip_blank()? {
        let start = scanner.at;
        let kind = scanner.token()?;
        tokens.push(Token { kind, span: Span::new(start, scanner.at) });
    }
    Ok(tokens)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take_while(&mut self, accepted: impl Fn(u8) -> bool) {
        while self.byte().is_some_and(&accepted) {
            self.at += 1;
        }
    }

    /// Skips white space and comments; whether something follows.
    fn skip_blank(&mut self) -> Result<bool, Box<Diagnostic>> {
        loop {
            self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
            let rest = self.rest();
            if rest.starts_with('#') || rest.starts_with("//") {
                self.take_while(|byte| byte != b'\n');
            } else if let Some(inside) = rest.strip_prefix("/*") {
                match inside.find("*/") {
                    Some(length) => self.at += length + 4,
                    None => return Err(unterminated_comment(self.at)),
                }
            } else {
                return Ok(!rest.is_empty());
            }
        }
    }

    fn token(&mut self) -> Result<Kind, Box<Diagnostic>> {
        let start = self.at;
        match self.byte() {
            Some(b'"') => self.quoted(b'"').map(|()| Kind::String),
            Some(b'\'') => self.quoted(b'\'').map(|()| Kind::Quoted),
            Some(byte) if byte.is_ascii_digit() => {
                self.number();
                Ok(Kind::Number)
            }
            Some(byte) if is_word(byte) => {
                self.take_while(is_word);
                Ok(Kind::Word)
            }
            Some(b'$' | b'@') => Ok(self.sigil()),
            _ => self.operator(start),
        }
    }

    fn operator(&mut self, start: usize) -> Result<Kind, Box<Diagnostic>> {
        let rest = self.rest();
        if let Some(inside) = rest.strip_prefix("%{") {
            // Whatever C has in there, no token of it is hwt's.
            self.at += inside.find("%}").map_or(rest.len(), |length| length + 4);
            return Ok(Kind::Embedded);
        }
        if let Some(operator) = OPERATORS.iter().find(|op| rest.starts_with(**op)) {
            self.at += operator.len();
            return Ok(Kind::Punctuation);
        }
        match rest.chars().next() {
            Some(char) if "+-*/%&|^!~=<>?:;,.()[]{}".contains(char) => {
                self.at += 1;
                Ok(Kind::Punctuation)
            }
            char => {
                let char = char.unwrap_or(' ');
                let span = Span::new(start, start + char.len_utf8());
                let message = format!("unexpected character `{}`", char.escape_debug());
                Err(Box::new(
                    Diagnostic::new(Code::Syntax, span, message)
                        .label("no hwt token has it")
                        .help(match char {
                            '`' => "there are no backticks; `system(\"…\")` runs a command, with --unsafe",
                            _ => "outside strings and comments a script is plain ASCII",
                        }),
                ))
            }
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<(), Box<Diagnostic>> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.byte() {
            match byte {
                b'\n' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
            self.at += 1;
            if byte == quote {
                return Ok(());
            }
        }
        let span = Span::new(start, self.at.min(self.text.len()));
        Err(Box::new(
            Diagnostic::new(Code::UnterminatedString, span, "a string is never closed")
                .label("begins here and ends on no quote on its line")
                .help("close it with `\"`; adjacent strings join: \"one \" \"two\""),
        ))
    }

    /// A number and letters stuck to it; a fraction, where digits follow, and
    /// an exponent.
    fn number(&mut self) {
        let start = self.at;
        self.take_while(is_word);
        let digit_follows =
            self.text.as_bytes().get(self.at + 1).is_some_and(u8::is_ascii_digit);
        if self.byte() == Some(b'.') && digit_follows {
            self.at += 1;
            self.take_while(is_word);
        }
        // `1.5e-3`, but not `0x1e-3`.
        let number = &self.text.as_bytes()[start..self.at];
        let open = number.last().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e'));
        let decimal = number[..number.len() - 1]
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
        let signed = matches!(self.byte(), Some(b'+' | b'-'));
        let digit_follows =
            self.text.as_bytes().get(self.at + 1).is_some_and(u8::is_ascii_digit);
        if open && decimal && signed && digit_follows {
            self.at += 1;
            self.take_while(is_word);
        }
    }

    fn sigil(&mut self) -> Kind {
        let at_sign = self.byte() == Some(b'@');
        self.at += 1;
        match self.byte() {
            Some(b'#') => {
                self.at += 1;
                Kind::Argument
            }
            Some(byte) if byte.is_ascii_digit() => {
                self.take_while(is_word);
                Kind::Argument
            }
            _ if at_sign => {
                self.take_while(is_word);
                Kind::At
            }
            _ => {
                self.take_while(|byte| byte == b'$');
                self.take_while(is_word);
                self.take_while(|byte| byte == b'$');
                Kind::Target
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn unterminated_comment(at: usize) -> Box<Diagnostic> {
    let span = Span::new(at, at + 2);
    Box::new(
        Diagnostic::new(Code::UnterminatedComment, span, "a comment is never closed")
            .label("begins here")
            .help("close it with `*/`"),
    )
}

/// Cuts the tokens into items.
pub(super) fn items(text: &str, tokens: &[Token]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for at in 0..tokens.len() {
        let kind = item_kind(text, tokens, at);
        let goes_on = |item: &Item| match kind {
            ItemKind::Stray => true,
            // `private global x`, `private function f`
            _ => item.kind == ItemKind::Private && item.tokens.len() == 1,
        };
        match items.last_mut() {
            Some(item) if goes_on(item) => item.tokens.end = at + 1,
            _ => items.push(Item { kind, tokens: at..at + 1 }),
        }
    }
    items
}

fn item_kind(text: &str, tokens: &[Token], at: usize) -> ItemKind {
    let token = &tokens[at];
    let after_dot = at > 0 && &text[tokens[at - 1].span.range()] == ".";
    if token.kind != Kind::Word || after_dot {
        return ItemKind::Stray;
    }
    match &text[token.span.range()] {
        "probe" => ItemKind::Probe,
        "global" => ItemKind::Global,
        "function" => ItemKind::Function,
        "private" => ItemKind::Private,
        _ => ItemKind::Stray,
    }
}

/// Checks that the brackets of one item match and that it is not nested too
/// deeply.
///
/// # Errors
/// The first bracket that does not match, or the place where it is too deep.
pub(super) fn check_nesting(text: &str, tokens: &[Token]) -> Result<(), Box<Diagnostic>> {
    let mut open: Vec<Token> = Vec::new();
    let mut run = 0;
    for token in tokens {
        match &text[token.span.range()] {
            "(" | "[" | "{" => {
                run = if text[token.span.range()].starts_with('{') { 0 } else { run };
                open.push(*token);
            }
            closing @ (")" | "]" | "}") => {
                run = if closing == "}" { 0 } else { run };
                close(text, &mut open, token.span)?;
            }
            ";" => run = 0,
            "if" | "else" | "while" | "for" | "foreach" if token.kind == Kind::Word => {
                run += 1
            }
            _ => {}
        }
        if open.len() > BRACKET_DEPTH_MAX || run > STATEMENT_RUN_MAX {
            return Err(too_deep(token.span));
        }
    }
    match open.last() {
        None => Ok(()),
        Some(token) => Err(never_closed(text, tokens, token.span)),
    }
}

fn close(text: &str, open: &mut Vec<Token>, span: Span) -> Result<(), Box<Diagnostic>> {
    let closing = &text[span.range()];
    let Some(opening) = open.pop() else {
        let message = format!("`{closing}` closes nothing");
        return Err(Box::new(
            Diagnostic::new(Code::UnbalancedBracket, span, message)
                .label("nothing is open here")
                .help(format!(
                    "remove it, or open it with `{}` before",
                    partner(closing)
                )),
        ));
    };
    let opened = &text[opening.span.range()];
    if partner(opened) == closing {
        return Ok(());
    }
    let message = format!("`{closing}` does not close `{opened}`");
    Err(Box::new(
        Diagnostic::new(Code::UnbalancedBracket, span, message)
            .label(format!("expected `{}`", partner(opened)))
            .related(opening.span, "opened here")
            .help(format!("close `{opened}` with `{}` first", partner(opened))),
    ))
}

fn never_closed(text: &str, tokens: &[Token], span: Span) -> Box<Diagnostic> {
    let opened = &text[span.range()];
    let message = format!("`{opened}` is never closed");
    let error = Diagnostic::new(Code::UnbalancedBracket, span, message)
        .label("opened here")
        .help(format!("close it with `{}`", partner(opened)));
    // What ended the item may have been meant to be inside of it.
    let end = tokens.last().map_or(0, |token| token.span.range().end);
    let next = text[end..].split_whitespace().next();
    Box::new(match next {
        Some(word @ ("global" | "function" | "probe")) => error.help(format!(
            "`{word}` stands at the top of a script, not inside of braces"
        )),
        _ => error,
    })
}

/// The error for nesting beyond the bound.
pub(super) fn too_deep(span: Span) -> Box<Diagnostic> {
    Box::new(
        Diagnostic::new(Code::TooDeep, span, "the script is nested too deeply here")
            .label("too deep")
            .note(format!(
                "brackets may be nested {BRACKET_DEPTH_MAX} deep, operators and statements {}",
                super::DEPTH_MAX
            ))
            .help("keep a part of it in a variable, or split it over several statements"),
    )
}

fn partner(bracket: &str) -> &'static str {
    match bracket {
        "(" => ")",
        "[" => "]",
        "{" => "}",
        ")" => "(",
        "]" => "[",
        _ => "{",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn split(text: &str) -> Vec<(ItemKind, &str)> {
        let tokens = tokens(text).unwrap();
        items(text, &tokens)
            .into_iter()
            .map(|item| {
                let first = tokens[item.tokens.start].span;
                let last = tokens[item.tokens.end - 1].span;
                (item.kind, &text[first.to(last).range()])
            })
            .collect()
    }

    #[test]
    fn an_item_begins_at_each_keyword_even_inside_open_brackets() {
        let text = "global a probe begin { x( probe end {}";
        assert_eq!(
            split(text),
            [
                (ItemKind::Global, "global a"),
                (ItemKind::Probe, "probe begin { x("),
                (ItemKind::Probe, "probe end {}"),
            ]
        );
        assert_eq!(split("probe process.function(\"f\") {}").len(), 1);
        assert_eq!(split("private global x").len(), 1);
        assert_eq!(split("probefoo {}"), [(ItemKind::Stray, "probefoo {}")]);
        assert_eq!(split("# probe in a comment\n\"probe\"").len(), 1);
    }

    #[test]
    fn brackets_are_matched_with_both_places() {
        let text = "probe begin { f(a] }";
        let error = check_nesting(text, &tokens(text).unwrap()).unwrap_err();
        assert_eq!(error.message, "`]` does not close `(`");
        assert_eq!(error.related[0].0, Span::new(15, 16));
    }

    #[test]
    fn strings_end_on_their_line() {
        assert_eq!(tokens("\"a\nb\"").unwrap_err().code, Code::UnterminatedString);
        assert_eq!(tokens("\"a\\").unwrap_err().code, Code::UnterminatedString);
        assert_eq!(tokens("/* x").unwrap_err().code, Code::UnterminatedComment);
    }
}
