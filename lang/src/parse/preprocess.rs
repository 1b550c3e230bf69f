//! `%( condition %? tokens %: tokens %)` and `@define` macros, on tokens, as
//! SystemTap has them: before the grammar sees anything.

pub(crate) mod condition;
pub(super) mod map;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::arguments::Arguments;
use super::scan::{Kind, Token};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::suggest;
use map::{Map, Origin};

/// Macros may bring so many bytes; more is a mistake that doubles itself.
const EXPANDED_LEN_MAX: usize = 4 << 20;

/// Macros and conditions may be nested this deep.
const NESTING_MAX: usize = 64;

/// Gives the value of an option of the kernel's configuration.
pub type Config<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What `%( … %)` can ask of the system a script is for.
#[derive(Clone, Copy)]
pub struct Platform<'a> {
    /// The machine, as SystemTap calls it: `x86_64`, `arm64`.
    pub arch: &'a str,
    /// `uname -r`: `6.1.0-18-amd64`. Tested by `kernel_vr`, and by `kernel_v`
    /// up to the first `-`.
    pub kernel_release: &'a str,
    /// The value of an option of the kernel's configuration: `y`, `m`, a
    /// number or text; none where it is not set. None altogether where the
    /// configuration can not be read: options are then "", with a warning.
    pub config: Option<&'a Config<'a>>,
}

impl std::fmt::Debug for Platform<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform")
            .field("arch", &self.arch)
            .field("kernel_release", &self.kernel_release)
            .finish_non_exhaustive()
    }
}

/// The machine that this program was built for, no kernel.
impl Default for Platform<'_> {
    fn default() -> Self {
        let arch = match std::env::consts::ARCH {
            "aarch64" => "arm64",
            "x86" => "i386",
            arch => arch,
        };
        Self { arch, kernel_release: "", config: None }
    }
}

/// A script without macros and conditions.
pub(super) struct Expanded<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) tokens: Vec<Token>,
    /// From its places to those of the script.
    pub(super) map: Map,
    pub(super) warnings: Vec<Diagnostic>,
}

type Failure = Box<Diagnostic>;

/// A token on its way through.
#[derive(Clone, Copy, Debug)]
struct Piece<'a> {
    text: &'a str,
    kind: Kind,
    origin: Origin,
    /// A line ends between this token and the one before.
    line: bool,
}

impl Piece<'_> {
    fn span(&self) -> Span {
        match self.origin {
            Origin::Verbatim(start) => {
                Span::new(start as usize, start as usize + self.text.len())
            }
            Origin::Call(span) => span,
        }
    }
}

/// Writes macros out and chooses between the sides of conditions.
///
/// # Errors
/// A condition or macro that is malformed or that can not be known.
pub(super) fn expand<'a>(
    text: &'a str,
    tokens: Vec<Token>,
    arguments: &mut Arguments<'_>,
    platform: &Platform<'_>,
) -> Result<Expanded<'a>, Failure> {
    if !tokens.iter().any(|token| is_preprocessor(&text[token.span.range()])) {
        let (text, map) = (Cow::Borrowed(text), Map::identity());
        return Ok(Expanded { text, tokens, map, warnings: Vec::new() });
    }
    let pieces = pieces(text, &tokens);
    let mut run = Preprocessor {
        platform,
        arguments,
        macros: HashMap::new(),
        active: Vec::new(),
        depth: 0,
        spent: 0,
        config_missing: None,
    };
    let mut out = Vec::new();
    run.run(&pieces, &mut out)?;
    let warnings = run.config_missing.into_iter().map(no_config).collect();
    Ok(assemble(text, &out, warnings))
}

fn is_preprocessor(token: &str) -> bool {
    matches!(token, "%(" | "@define")
}

fn pieces<'a>(text: &'a str, tokens: &[Token]) -> Vec<Piece<'a>> {
    let mut end = 0;
    let piece = |token: &Token| {
        let range = token.span.range();
        let line = text[end..range.start].contains('\n');
        end = range.end;
        let origin = Origin::Verbatim(token.span.start);
        Piece { text: &text[range], kind: token.kind, origin, line }
    };
    tokens.iter().map(piece).collect()
}

/// Tokens to text: what was neighbours stays so, blanks included.
fn assemble<'a>(
    source: &'a str,
    pieces: &[Piece<'_>],
    warnings: Vec<Diagnostic>,
) -> Expanded<'a> {
    let mut text = String::new();
    let mut map = Map::default();
    let mut tokens = Vec::with_capacity(pieces.len());
    let mut copied_to: Option<usize> = None;
    for piece in pieces {
        let start = match piece.origin {
            Origin::Verbatim(start) => Some(start as usize),
            Origin::Call(_) => None,
        };
        // Comments in a gap are harmless; other tokens in it are not wanted.
        let gap = copied_to.zip(start).and_then(|(from, to)| source.get(from..to));
        match gap.filter(|gap| gap.bytes().all(|byte| byte.is_ascii_whitespace())) {
            Some(gap) => text.push_str(gap),
            None => text.push(if piece.line { '\n' } else { ' ' }),
        }
        map.push(text.len(), piece.origin);
        let from = text.len();
        text.push_str(piece.text);
        tokens.push(Token { kind: piece.kind, span: Span::new(from, text.len()) });
        copied_to = start.map(|start| start + piece.text.len());
    }
    Expanded { text: Cow::Owned(text), tokens, map, warnings }
}

/// A macro of the script.
#[derive(Debug)]
struct Macro<'a> {
    params: Vec<&'a str>,
    body: Vec<Piece<'a>>,
}

struct Preprocessor<'p, 'g, 'a> {
    platform: &'p Platform<'p>,
    arguments: &'p mut Arguments<'g>,
    macros: HashMap<&'a str, Rc<Macro<'a>>>,
    /// The macros that are being written out.
    active: Vec<&'a str>,
    depth: usize,
    /// Bytes that came out so far, and tokens that were looked at for them.
    spent: usize,
    /// Where an option of an unknown configuration was asked for.
    config_missing: Option<Span>,
}

impl<'a> Preprocessor<'_, '_, 'a> {
    fn run(
        &mut self,
        pieces: &[Piece<'a>],
        out: &mut Vec<Piece<'a>>,
    ) -> Result<(), Failure> {
        self.depth += 1;
        let mut at = 0;
        while let Some(piece) = pieces.get(at) {
            if self.depth > NESTING_MAX {
                return Err(super::scan::too_deep(piece.span()));
            }
            at = match piece.text {
                "%(" => self.condition(pieces, at, out)?,
                "@define" => self.define(pieces, at)?,
                "%?" | "%:" | "%)" => return Err(stray(piece)),
                _ if self.macro_named(piece).is_some() => self.call(pieces, at, out)?,
                _ => {
                    self.push(*piece, out)?;
                    at + 1
                }
            };
        }
        self.depth -= 1;
        Ok(())
    }

    /// Counts what comes out and what is looked at for it, as macros can double
    /// even what comes to nothing.
    fn spend(&mut self, amount: usize, span: Span) -> Result<(), Failure> {
        self.spent += amount;
        if self.spent <= EXPANDED_LEN_MAX * 2 {
            return Ok(());
        }
        let message = "macros make this script too long";
        Err(Diagnostic::new(Code::ScriptTooLong, span, message)
            .label("here it becomes too much")
            .help("write a function for what macros repeat")
            .into())
    }

    fn push(
        &mut self,
        piece: Piece<'a>,
        out: &mut Vec<Piece<'a>>,
    ) -> Result<(), Failure> {
        self.spend(piece.text.len() + 1, piece.span())?;
        out.push(piece);
        Ok(())
    }

    fn macro_named(&self, piece: &Piece<'a>) -> Option<&Macro<'a>> {
        if piece.kind != Kind::At {
            return None;
        }
        self.macros.get(piece.text.strip_prefix('@')?).map(|known| &**known)
    }

    /// `%( condition %? yes %: no %)` at `at`; where it goes on.
    fn condition(
        &mut self,
        pieces: &[Piece<'a>],
        at: usize,
        out: &mut Vec<Piece<'a>>,
    ) -> Result<usize, Failure> {
        let begin = &pieces[at];
        let question = pieces[at..].iter().position(|piece| piece.text == "%?");
        let Some(question) = question.map(|offset| at + offset) else {
            return Err(malformed(begin, "`%(` has no condition with `%?` behind it")
                .help("a remainder of something in parentheses needs a space: `a % (b)`")
                .into());
        };
        let holds = self.evaluate(&pieces[at + 1..question], begin)?;
        let Some((middle, end)) = sides(pieces, question) else {
            return Err(malformed(begin, "`%(` is never closed")
                .help("close it with `%)`")
                .into());
        };
        let yes = &pieces[question + 1..middle];
        let no = &pieces[(middle + 1).min(end)..end];
        let (taken, left) = if holds { (yes, no) } else { (no, yes) };
        for piece in left.iter().filter(|piece| piece.kind == Kind::Argument) {
            self.arguments.mark(piece.text);
        }
        self.run(taken, out)?;
        Ok(end + 1)
    }

    /// `@define name(params) %( body %)` at `at`; where it goes on.
    fn define(&mut self, pieces: &[Piece<'a>], at: usize) -> Result<usize, Failure> {
        let wrong = |why: &str| {
            Box::new(
                Diagnostic::new(Code::BadMacro, pieces[at].span(), why)
                    .label("this definition")
                    .help("write `@define NAME %( … %)` or `@define NAME(a, b) %( @a + @b %)`"),
            )
        };
        let word = |at: usize| pieces.get(at).map_or("", |piece| piece.text);
        let name = match pieces.get(at + 1) {
            Some(piece) if piece.kind == Kind::Word => piece,
            _ => return Err(wrong("`@define` needs a name")),
        };
        if self.macros.contains_key(name.text) || super::foreign::is_at_word(name.text) {
            return Err(wrong(&format!("`@{}` is defined already", name.text)));
        }
        let mut params = Vec::new();
        let mut next = at + 2;
        if word(next) == "(" {
            while word(next) != ")" {
                match pieces.get(next + 1) {
                    Some(piece) if piece.kind == Kind::Word => params.push(piece.text),
                    _ => return Err(wrong("a parameter of a macro must be a name")),
                }
                next += 2;
                if !matches!(word(next), "," | ")") {
                    return Err(wrong("parameters of a macro are separated by `,`"));
                }
            }
            next += 1;
        }
        if word(next) != "%(" {
            return Err(wrong("the text of a macro stands between `%(` and `%)`"));
        }
        let Some(end) = matching(pieces, next) else {
            return Err(wrong("the text of this macro is never closed"));
        };
        let body = pieces[next + 1..end].to_vec();
        self.macros.insert(name.text, Rc::new(Macro { params, body }));
        Ok(end + 1)
    }

    /// The call of a macro at `at`; where it goes on.
    fn call(
        &mut self,
        pieces: &[Piece<'a>],
        at: usize,
        out: &mut Vec<Piece<'a>>,
    ) -> Result<usize, Failure> {
        let begin = &pieces[at];
        let name = begin.text.trim_start_matches('@');
        if self.active.contains(&name) {
            let message = format!("macro `@{name}` uses itself");
            return Err(bad_macro(begin.span(), message)
                .label("would never end")
                .help("write a function: a function may call itself")
                .into());
        }
        let known = match self.macros.get(name) {
            Some(known) => Rc::clone(known),
            None => unreachable!("only calls of known macros come here"),
        };
        self.spend(1, begin.span())?;
        let takes = !known.params.is_empty();
        let (values, end) = match pieces.get(at + 1) {
            Some(piece) if piece.text == "(" && takes => call_arguments(pieces, at + 1)?,
            _ => (Vec::new(), at + 1),
        };
        if values.len() != known.params.len() {
            return Err(wrong_count(begin.span(), name, &known.params, values.len()));
        }
        let span = begin.span().to(pieces[end - 1].span());
        let mut bound: HashMap<&str, Vec<Piece<'a>>> = HashMap::new();
        for (param, value) in known.params.iter().zip(values) {
            let mut expanded = Vec::new();
            self.run(value, &mut expanded)?;
            bound.insert(param, expanded);
        }
        let mut body = Vec::new();
        for piece in &known.body {
            let param = piece.text.strip_prefix('@').and_then(|name| bound.get(name));
            self.spend(param.map_or(1, Vec::len), span)?;
            match param {
                Some(value) => body.extend_from_slice(value),
                None => body.push(Piece { origin: Origin::Call(span), ..*piece }),
            }
        }
        self.active.push(name);
        self.run(&body, out)?;
        self.active.pop();
        Ok(end)
    }
}

/// The arguments of a call whose `(` is at `open`, and what is behind it.
fn call_arguments<'s, 'a>(
    pieces: &'s [Piece<'a>],
    open: usize,
) -> Result<(Vec<&'s [Piece<'a>]>, usize), Failure> {
    let (mut values, mut depth, mut from) = (Vec::new(), 0usize, open + 1);
    for (at, piece) in pieces.iter().enumerate().skip(open) {
        match piece.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth -= 1;
                if depth == 0 {
                    if at > open + 1 {
                        values.push(&pieces[from..at]);
                    }
                    return Ok((values, at + 1));
                }
            }
            "," if depth == 1 => {
                values.push(&pieces[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    Err(bad_macro(pieces[open].span(), "the arguments of a macro are never closed")
        .label("opened here")
        .help("close them with `)`")
        .into())
}

/// The `%:` (or the end) and the `%)` of a condition whose `%?` is at
/// `question`.
fn sides(pieces: &[Piece<'_>], question: usize) -> Option<(usize, usize)> {
    let (mut depth, mut middle) = (0usize, None);
    for (at, piece) in pieces.iter().enumerate().skip(question + 1) {
        match piece.text {
            "%(" => depth += 1,
            "%:" if depth == 0 && middle.is_none() => middle = Some(at),
            "%)" if depth == 0 => return Some((middle.unwrap_or(at), at)),
            "%)" => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The `%)` of the `%(` at `open`.
fn matching(pieces: &[Piece<'_>], open: usize) -> Option<usize> {
    sides(pieces, open).map(|(_, end)| end)
}

fn malformed(piece: &Piece<'_>, message: &str) -> Diagnostic {
    Diagnostic::new(Code::BadPreprocessor, piece.span(), message).label("begins here")
}

fn stray(piece: &Piece<'_>) -> Failure {
    let message = format!("`{}` belongs to no `%(`", piece.text);
    Box::new(
        Diagnostic::new(Code::BadPreprocessor, piece.span(), message)
            .label("nothing is open here")
            .help("write `%( CONDITION %? … %: … %)`"),
    )
}

fn bad_macro(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::BadMacro, span, message)
}

fn wrong_count(span: Span, name: &str, params: &[&str], given: usize) -> Failure {
    let wanted = params.len();
    let message = format!("macro `@{name}` takes {wanted} arguments, not {given}");
    let call = match suggest::join(
        &params.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(),
    ) {
        None => format!("@{name}"),
        Some(_) => format!("@{name}({})", params.join(", ")),
    };
    bad_macro(span, message).label("called here").help(format!("write `{call}`")).into()
}

fn no_config(span: Span) -> Diagnostic {
    let message = "the configuration of the kernel could not be read";
    Diagnostic::new(Code::NoKernelConfig, span, message)
        .label("counts as \"\"")
        .help("it is in /proc/config.gz or in /boot/config-RELEASE")
}
