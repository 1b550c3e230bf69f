//! Syntax errors in words: what was expected, what stands there instead.

use super::scan::{Kind, Token};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::suggest;

/// At most so many kinds of tokens are listed as expected.
const EXPECTED_MAX: usize = 5;

/// The error where the grammar could not go on at byte `offset` of `text`,
/// inside the item made of `tokens`.
pub(super) fn unexpected(
    text: &str,
    tokens: &[Token],
    offset: usize,
    expected: &[&'static str],
) -> Diagnostic {
    let at = tokens.partition_point(|token| token.span.range().end <= offset);
    let words = expected_words(expected);
    let first = words.first().cloned().unwrap_or_default();
    let expected = suggest::join(&words).unwrap_or_default();
    let Some(token) = tokens.get(at) else {
        return at_end(tokens, &expected);
    };
    let found = found_words(text, *token);
    let message = format!("expected {expected}, found {found}");
    let mut error =
        Diagnostic::new(Code::Syntax, token.span, message).label("not expected here");
    // What is missing at the end of a line is best shown there.
    if let Some(before) = at.checked_sub(1).and_then(|at| tokens.get(at))
        && text[before.span.range().end..token.span.range().start].contains('\n')
    {
        error = error.related(before.span, "the script is complete up to here");
    }
    let help = hint(text, tokens, at);
    error.help(help.unwrap_or_else(|| format!("write {first} here, or remove {found}")))
}

fn at_end(tokens: &[Token], expected: &str) -> Diagnostic {
    let span = tokens.last().map(|token| token.span);
    let message = format!("expected {expected}, but the text ends");
    let error = Diagnostic::new(Code::Syntax, span, message);
    match span {
        Some(_) => error.label("missing behind this"),
        None => error,
    }
    .help("a probe is complete with its block: `probe begin { … }`")
}

/// The words without repetition, sorted for reading: things first, signs last.
fn expected_words(expected: &[&'static str]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut sorted = expected.to_vec();
    sorted.sort_by_key(|word| (word.starts_with('`'), *word));
    for word in sorted {
        if words.iter().all(|known| known != word) {
            words.push(word.to_owned());
        }
    }
    // Whoever expects a statement also expects all that it can begin with.
    if words.iter().any(|word| word == "a statement") {
        words.retain(|word| {
            word == "a statement" || word == "`}`" || word == "an operator"
        });
    } else if words.iter().any(|word| word == "an expression") {
        words.retain(|word| {
            !matches!(word.as_str(), "a name" | "a number" | "a string" | "`(`" | "`[`")
        });
    }
    if words.iter().any(|word| word == "an operator") {
        words.retain(|word| !matches!(word.as_str(), "`.`" | "`=`" | "`in`"));
    }
    words.truncate(EXPECTED_MAX);
    if words.is_empty() {
        words.push("something else".to_owned());
    }
    words
}

fn found_words(text: &str, token: Token) -> String {
    let shown: String = text[token.span.range()].chars().take(40).collect();
    match token.kind {
        Kind::String => format!("the string {shown}"),
        Kind::Number => format!("the number `{shown}`"),
        Kind::Word if super::foreign::KEYWORDS.contains(&shown.as_str()) => {
            format!("the reserved word `{shown}`")
        }
        _ => format!("`{shown}`"),
    }
}

/// A next step for mistakes that have one.
fn hint(text: &str, tokens: &[Token], at: usize) -> Option<String> {
    let word = |at: usize| tokens.get(at).map_or("", |token| &text[token.span.range()]);
    let before = at.checked_sub(1).map_or("", word);
    let reserved = super::foreign::KEYWORDS.contains(&word(at));
    let back = |count: usize| at.checked_sub(count).map_or("", word);
    match (before, word(at)) {
        (name, ")") if back(2) == "in" && back(4) == "(" && back(5) == "for" => {
            let key = back(3);
            Some(format!("walk an array with `foreach`: `foreach ({key} in {name}) …`"))
        }
        (key, ",") if back(2) == "(" && back(3) == "foreach" => Some(format!(
            "several keys stand in brackets, `foreach ([{key}, …] in a)`; the value in front: \
             `foreach (value = {key} in a)`"
        )),
        ("?" | "!", ".") => {
            Some(format!("`{before}` stands behind the whole point: `a.b{before}`"))
        }
        ("(", name) if back(3) == "." && is_name(name) => {
            Some(format!("put names into quotes: `{}(\"{name}\")`", back(2)))
        }
        (_, "else") => {
            Some("`else` belongs right behind the statement of its `if`".to_owned())
        }
        ("if" | "while" | "for" | "foreach", _) => {
            Some(format!("put what `{before}` tests into parentheses: `{before} (…)`"))
        }
        ("probe", "{") => Some("name the probe point: `probe begin { … }`".to_owned()),
        ("$new" | "$old", _) => {
            Some(format!("`{before}` is a value; it has no parts yet"))
        }
        _ if reserved => Some(format!("`{}` can not be used as a name", word(at))),
        _ => None,
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// The error for text that belongs to no item.
pub(super) fn stray(text: &str, tokens: &[Token]) -> Diagnostic {
    let token = tokens.first().copied();
    let found = token.map_or_else(String::new, |token| found_words(text, token));
    let word = token.map_or("", |token| &text[token.span.range()]);
    let message = format!("expected `probe`, `global` or `function`, found {found}");
    let error = Diagnostic::new(Code::Syntax, token.map(|token| token.span), message)
        .label("begins no item of a script");
    let near = suggest::did_you_mean(word, ["probe", "global", "function", "private"]);
    error.help(near.unwrap_or_else(|| {
        "statements stand in a handler: `probe begin { … }`".to_owned()
    }))
}

/// The error for a script beyond the bound.
pub(super) fn too_long(length: usize, length_max: usize) -> Diagnostic {
    let message = format!("the script has {length} bytes; at most {length_max} are read");
    Diagnostic::new(Code::ScriptTooLong, None, message)
        .help("scripts are small; is this the right file?")
}

/// The error where the parser gave up on an item for its size.
pub(super) fn item_too_long(span: Span) -> Diagnostic {
    Diagnostic::new(Code::ScriptTooLong, span, "this probe is too long to be parsed")
        .label("too long")
        .help("split it into several probes with the same probe point")
}
