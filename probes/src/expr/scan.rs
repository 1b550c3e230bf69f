//! How far a name, a number or a bracket reaches.
//!
//! Names are those of ELF files and of demanglers: `Grid<int, -1>::cells`,
//! `(anonymous namespace)::n`, `Pool::get() const::count`, `app::{closure#0}::N`,
//! `name[abi:cxx11]`, `state@dir/u1.c`, `stdout@GLIBC_2.2.5`.

use crate::symbols::SOURCE_EXTENSIONS;
use crate::symbols::demangle::ABI_TAG;

/// How C++ demanglers write the unnamed namespace.
pub(super) const ANONYMOUS: &str = "(anonymous namespace)";

/// The length of the name at the start of `text`; 0 where there is none.
pub(super) fn name(text: &str) -> usize {
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let step = match next {
            '@' if at > 0 => return at + suffix(rest),
            _ if is_word(next) => Some(next.len_utf8()),
            ':' if rest.starts_with("::") => Some(2),
            '<' | '{' => bracketed(rest),
            '(' if at > 0 || rest.starts_with(ANONYMOUS) => parameters(rest),
            '[' if rest.starts_with(ABI_TAG) => rest.find(']').map(|end| end + 1),
            ' ' if at > 0 && path_goes_on(rest) => Some(1),
            _ => None,
        };
        match step {
            Some(step) => at += step,
            None => break,
        }
    }
    at
}

/// The length of the letters and digits at the start of `text`.
pub(super) fn word(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The length of what is between the bracket at the start of `text` and its other
/// end, with both. Brackets of any kind hide what is in them: `Grid<-1>::cells`
/// has no offset. `None` if the bracket is not closed.
pub(super) fn bracketed(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = '\0';
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '{' => depth += 1,
            // The `>` of `->` closes nothing.
            '>' if before == '-' => {}
            '>' | ')' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(at + c.len_utf8());
        }
        before = c;
    }
    None
}

/// Parentheses in a name are a function's, and its variable follows.
fn parameters(text: &str) -> Option<usize> {
    let length = bracketed(text)?;
    let behind = &text[length..];
    (behind.starts_with("::") || path_goes_on(behind)).then_some(length)
}

/// Demanglers put blanks in names: is there more of the path behind this one?
fn path_goes_on(text: &str) -> bool {
    let Some(tail) = text.strip_prefix(' ') else { return false };
    let end = tail.find(['+', '-', '.', '*', '&', '[', ',']).unwrap_or(tail.len());
    tail.starts_with(is_word) && tail[..end].contains("::")
}

/// The length of `@file.c` or `@@VERSION`.
fn suffix(text: &str) -> usize {
    if let Some(end) = source_file(&text[1..]) {
        return 1 + end;
    }
    let version = |c: char| is_word(c) || c == '.' || c == '@';
    text.find(|c| !version(c)).unwrap_or(text.len())
}

/// The length of the source file's name at the start of `text`: up to the first
/// ending that is one.
fn source_file(text: &str) -> Option<usize> {
    let foreign = |c: char| !c.is_alphanumeric() && !"._-+/ ".contains(c);
    let text = &text[..text.find(foreign).unwrap_or(text.len())];
    let dots = text.match_indices('.').map(|(dot, _)| dot + 1);
    let mut ends = dots.filter_map(|start| {
        let end = start + word(&text[start..]);
        let extension = &text[start..end];
        let known = |known: &&str| known.eq_ignore_ascii_case(extension);
        let source = SOURCE_EXTENSIONS.iter().any(|it| known(&it));
        (source && start > 1 && !text[end..].starts_with('/')).then_some(end)
    });
    ends.next()
}

/// The length of `libz.so.1` before `:var`, without the colon.
pub(super) fn module(text: &str) -> Option<usize> {
    let end = text.find(|c| !is_of_module(c))?;
    let colon = &text[end..];
    (end > 0 && colon.starts_with(':') && !colon.starts_with("::")).then_some(end)
}

fn is_of_module(c: char) -> bool {
    c.is_alphanumeric() || "_.+-/~".contains(c)
}

/// Can the file's name be written without quotes?
pub(super) fn is_bare_module(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_of_module)
}
