//! `hwtrace fmt`: a script in the house style.
//!
//! One statement a line, four blanks for each level, `{` behind what it
//! belongs to, blanks around operators with two sides. Comments stay where
//! they are, line breaks inside of statements too, and of several empty lines
//! one. What `%( … %)`, `@define` and macros without arguments are part of is
//! left as it is.

use crate::diagnostic::Diagnostic;
use crate::parse::layout::{Before, Chunk, Layout, Mark, layout};
use crate::parse::scan;
use crate::span::Source;

/// Blanks for each level.
const INDENT: usize = 4;

/// Formats a script. The result parses to the same program, and formatting it
/// again changes nothing.
///
/// # Errors
/// The script does not parse.
///
/// ```
/// use hwtrace_lang::{format::format, span::Source};
/// let source = Source::new("x.hwt", "probe begin{x=1 # one\nif(x)print( x )}");
/// let text = "probe begin {\n    x = 1 # one\n    if (x)\n        print(x)\n}\n";
/// assert_eq!(format(&source).unwrap(), text);
/// ```
pub fn format(source: &Source) -> Result<String, Vec<Diagnostic>> {
    let text = source.text.as_str();
    let layout = layout(text)?;
    let formatted = Writer::new(text, &layout).run();
    // Whatever a style is worth, a changed program is worth less.
    Ok(if same_tokens(text, &layout, &formatted) { formatted } else { text.to_owned() })
}

fn same_tokens(text: &str, layout: &Layout, formatted: &str) -> bool {
    let Ok(tokens) = scan::tokens(formatted) else {
        return false;
    };
    let before = layout.tokens.iter().map(|token| &text[token.span.range()]);
    let after = tokens.iter().map(|token| &formatted[token.span.range()]);
    before.eq(after)
}

/// Whether two tokens remain two without a blank between them.
fn separate(left: &str, right: &str) -> bool {
    let joined = format!("{left}{right}");
    matches!(scan::tokens(&joined), Ok(tokens)
        if tokens.len() == 2 && tokens[0].span.range().len() == left.len())
}

/// A comment between two tokens.
struct Comment<'a> {
    text: &'a str,
    /// Line ends between it and what is before.
    lines_before: usize,
}

/// The comments of a gap and the line ends behind the last of them.
fn comments(gap: &str) -> (Vec<Comment<'_>>, usize) {
    let mut found = Vec::new();
    let (mut rest, mut lines) = (gap, 0);
    while let Some(char) = rest.chars().next() {
        let length = if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if char == '#' || rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            lines += usize::from(char == '\n');
            rest = &rest[char.len_utf8()..];
            continue;
        };
        found.push(Comment { text: rest[..length].trim_end(), lines_before: lines });
        lines = 0;
        rest = &rest[length..];
    }
    (found, lines)
}

struct Writer<'a> {
    text: &'a str,
    layout: &'a Layout,
    out: String,
    /// How deep the line in work is indented.
    depth: usize,
    /// Where the last token ends.
    end: usize,
    last: &'a str,
    tight: bool,
}

impl<'a> Writer<'a> {
    fn new(text: &'a str, layout: &'a Layout) -> Self {
        let out = String::with_capacity(text.len() + text.len() / 4);
        Self { text, layout, out, depth: 0, end: 0, last: "", tight: false }
    }

    fn run(mut self) -> String {
        let layout = self.layout;
        for chunk in &layout.chunks {
            if chunk.verbatim {
                self.verbatim(chunk);
                continue;
            }
            for token in &layout.tokens[chunk.tokens.clone()] {
                let mark =
                    layout.marks.get(&token.span.start).copied().unwrap_or_default();
                let range = token.span.range();
                self.token(range.start, &self.text[range.clone()], mark);
                self.end = range.end;
            }
        }
        let (rest, _) = comments(&self.text[self.end..]);
        for comment in rest {
            self.comment(&comment, 0);
        }
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out
    }

    fn verbatim(&mut self, chunk: &Chunk) {
        let tokens = &self.layout.tokens[chunk.tokens.clone()];
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return };
        let range = first.span.to(last.span).range();
        let mark = Mark { before: Before::Line(0), ..Mark::default() };
        self.token(range.start, &self.text[range.clone()], mark);
        self.end = range.end;
    }

    /// Writes a token with the comments in front of it.
    fn token(&mut self, start: usize, token: &'a str, mark: Mark) {
        let (comments, lines) = comments(&self.text[self.end..start]);
        // A comment in front of `}` belongs to what is inside.
        let depth = match mark.before {
            Before::Line(depth) => depth + usize::from(mark.closes),
            _ => self.depth + 1,
        };
        for comment in &comments {
            self.comment(comment, depth);
        }
        let commented = comments.last().map(|comment| comment.text);
        let broken = commented.is_some_and(|text| !text.starts_with("/*"));
        match mark.before {
            Before::Line(_) if mark.closes && self.last == "{" && commented.is_none() => {
            }
            Before::Line(depth) => {
                let empty = lines > 1 && !mark.closes && self.last != "{";
                self.line(depth, empty);
            }
            _ if broken || (commented.is_some() && lines > 0) => {
                self.continuation(self.depth + 1);
            }
            Before::Glued if commented.is_none() && separate(self.last, token) => {}
            _ if self.tight && commented.is_none() && separate(self.last, token) => {
                if lines > 0 && matches!(self.last, "(" | "[") {
                    self.continuation(self.depth + 1);
                }
            }
            Before::Space if lines > 0 => self.continuation(self.depth + 1),
            _ => self.out.push(' '),
        }
        self.out.push_str(token);
        self.last = token;
        self.tight = mark.tight;
    }

    /// A comment stays on the line of the token before it or on its own.
    fn comment(&mut self, comment: &Comment<'_>, depth: usize) {
        if comment.lines_before == 0 && !self.out.is_empty() {
            self.out.push(' ');
        } else {
            let empty = comment.lines_before > 1 && self.last != "{";
            self.continuation_after(depth, empty);
        }
        self.out.push_str(comment.text);
        // What is behind a comment is behind no brace.
        self.last = "";
    }

    /// Begins a line; `depth` is remembered for what it goes on with.
    fn line(&mut self, depth: usize, empty: bool) {
        self.depth = depth;
        self.continuation_after(depth, empty);
    }

    fn continuation(&mut self, depth: usize) {
        self.continuation_after(depth, false);
    }

    fn continuation_after(&mut self, depth: usize, empty: bool) {
        if !self.out.is_empty() {
            self.out.push_str(if empty { "\n\n" } else { "\n" });
        }
        self.out.extend(std::iter::repeat_n(' ', depth * INDENT));
    }
}
