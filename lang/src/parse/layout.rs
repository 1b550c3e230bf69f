//! What the formatter needs to know of a script's tokens: which begins a line,
//! which sticks to its neighbour. Read off pest's pairs, so that it needs no
//! script arguments and no meaning.

use std::collections::HashMap;
use std::ops::Range;

use pest::Token as Event;
use pest::iterators::Pairs;

use super::grammar::{self, Rule};
use super::scan::{self, ItemKind, Kind, Token};
use super::{SCRIPT_LEN_MAX, error, foreign};
use crate::diagnostic::Diagnostic;

/// How a token stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Before {
    /// A blank between them; a line break stays one.
    #[default]
    Space,
    /// A blank between them, never a line break.
    SameLine,
    /// Nothing between them.
    Glued,
    /// It begins a line, indented so deep.
    Line(usize),
}

/// What is known of the token at an offset.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    pub(crate) before: Before,
    /// Nothing stands behind it but the next token.
    pub(crate) tight: bool,
    /// It ends a block.
    pub(crate) closes: bool,
}

/// A run of tokens.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) tokens: Range<usize>,
    /// Left as it is: the preprocessor decides what it means.
    pub(crate) verbatim: bool,
}

/// The tokens of a script and all that is known of them.
pub(crate) struct Layout {
    pub(crate) tokens: Vec<Token>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) marks: HashMap<u32, Mark>,
}

/// Reads a script.
///
/// # Errors
/// It does not parse, where the preprocessor has no say.
pub(crate) fn layout(text: &str) -> Result<Layout, Vec<Diagnostic>> {
    if text.len() > SCRIPT_LEN_MAX {
        return Err(vec![error::too_long(text.len(), SCRIPT_LEN_MAX)]);
    }
    let tokens = scan::tokens(text).map_err(|error| vec![*error])?;
    let chunks = chunks(text, &tokens);
    let (mut marks, mut errors) = (HashMap::new(), Vec::new());
    for chunk in chunks.iter().filter(|chunk| !chunk.verbatim) {
        if let Err(found) = item(text, &tokens[chunk.tokens.clone()], &mut marks) {
            errors.extend(found);
        }
    }
    if errors.is_empty() { Ok(Layout { tokens, chunks, marks }) } else { Err(errors) }
}

/// Items, cut off from what the preprocessor reads.
fn chunks(text: &str, tokens: &[Token]) -> Vec<Chunk> {
    let touched = touched(text, tokens);
    let mut chunks: Vec<Chunk> = Vec::new();
    for item in scan::items(text, tokens) {
        let range = item.tokens.clone();
        let end = match item.kind {
            ItemKind::Stray => range.start,
            _ => range.start + complete(text, &tokens[range.clone()]),
        };
        let clean = |range: Range<usize>| touched[range].iter().all(|touched| !touched);
        let parts = match clean(range.clone()) {
            true => [(range.clone(), false), (range.end..range.end, true)],
            false if clean(range.start..end) => {
                [(range.start..end, false), (end..range.end, true)]
            }
            false => [(range.clone(), true), (range.end..range.end, true)],
        };
        for (tokens, verbatim) in parts.into_iter().filter(|(part, _)| !part.is_empty()) {
            match chunks.last_mut() {
                Some(last) if last.verbatim && verbatim => last.tokens.end = tokens.end,
                _ => chunks.push(Chunk { tokens, verbatim }),
            }
        }
    }
    chunks
}

/// Which tokens belong to a condition, a definition or a use of a macro.
fn touched(text: &str, tokens: &[Token]) -> Vec<bool> {
    let word = |at: usize| tokens.get(at).map_or("", |it| &text[it.span.range()]);
    let (mut depth, mut definition) = (0usize, false);
    let touch = |(at, token): (usize, &Token)| {
        match word(at) {
            "@define" => definition = true,
            "%(" => {
                depth += 1;
                definition = false;
            }
            "%)" => {
                depth = depth.saturating_sub(1);
                return true;
            }
            "%?" | "%:" => return true,
            _ => {}
        }
        let name = word(at).trim_start_matches('@');
        let bare = token.kind == Kind::At && word(at + 1) != "(";
        let macro_use = bare && !foreign::is_at_word(name);
        depth > 0 || definition || macro_use || token.kind == Kind::Embedded
    };
    tokens.iter().enumerate().map(touch).collect()
}

/// How many tokens the probe or function at the start has, up to the `}` of
/// its last block.
fn complete(text: &str, tokens: &[Token]) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", |it| &text[it.span.range()]);
    let mut depth = 0usize;
    for at in 0..tokens.len() {
        match word(at) {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && word(at + 1) != "," && !word(at + 1).starts_with('.') {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

fn item(
    text: &str,
    tokens: &[Token],
    marks: &mut HashMap<u32, Mark>,
) -> Result<(), Vec<Diagnostic>> {
    scan::check_nesting(text, tokens).map_err(|error| vec![*error])?;
    let kind = scan::items(text, tokens).first().map(|item| item.kind);
    if kind.is_none_or(|kind| kind == ItemKind::Stray) {
        return Err(vec![error::stray(text, tokens)]);
    }
    let span = tokens[0].span.to(tokens[tokens.len() - 1].span);
    match grammar::run(text, span, tokens) {
        Ok(pairs) => {
            let base = span.start;
            Walk { base, marks, rules: Vec::new(), depth: 0, hangs: Vec::new(), name: 0 }
                .run(pairs);
            marks.entry(base).or_default().before = Before::Line(0);
            Ok(())
        }
        Err(error) => {
            // What other languages write has better answers.
            let known = scan::items(text, tokens);
            let found = known.iter().flat_map(|item| foreign::find(text, item, tokens));
            let found: Vec<_> = found.collect();
            Err(if found.is_empty() { vec![*error] } else { found })
        }
    }
}

/// A walk over pest's pairs, flat.
struct Walk<'m> {
    base: u32,
    marks: &'m mut HashMap<u32, Mark>,
    /// The rules that are open.
    rules: Vec<Rule>,
    depth: usize,
    /// For each open statement whether it is indented by itself.
    hangs: Vec<bool>,
    /// Where the part of a probe point's name begins.
    name: usize,
}

impl Walk<'_> {
    fn run(&mut self, pairs: Pairs<'_, Rule>) {
        // An `else` without a `}` before it needs to know what it follows.
        let mut before = Rule::EOI;
        let mut events = pairs.tokens().peekable();
        while let Some(event) = events.next() {
            match event {
                Event::Start { rule, pos } => {
                    let first = match events.peek() {
                        Some(Event::Start { rule, .. }) => *rule,
                        _ => rule,
                    };
                    self.start(rule, pos.pos(), first, before);
                }
                Event::End { rule, pos } => {
                    self.end(rule, pos.pos());
                    before = match rule {
                        Rule::close_brace | Rule::kw_else => rule,
                        // Nodes end with their last token.
                        _ if is_node(rule) => before,
                        _ => rule,
                    };
                }
            }
        }
    }

    fn mark(&mut self, at: usize) -> &mut Mark {
        let at = self.base + u32::try_from(at).unwrap_or(u32::MAX);
        self.marks.entry(at).or_default()
    }

    fn start(&mut self, rule: Rule, at: usize, first: Rule, before: Rule) {
        let parent = self.rules.last().copied().unwrap_or(Rule::item);
        self.rules.push(rule);
        match rule {
            Rule::statement => self.statement(at, parent, first, before),
            Rule::open_brace => {
                let mark = self.mark(at);
                if !matches!(mark.before, Before::Line(_)) {
                    mark.before = Before::SameLine;
                }
                self.depth += 1;
            }
            Rule::close_brace => {
                self.depth = self.depth.saturating_sub(1);
                let depth = self.depth;
                let mark = self.mark(at);
                mark.before = Before::Line(depth);
                mark.closes = true;
            }
            Rule::kw_else | Rule::kw_catch => {
                let depth = self.depth;
                self.mark(at).before = match before {
                    Rule::close_brace => Before::SameLine,
                    _ => Before::Line(depth),
                };
            }
            Rule::component_name => self.name = at,
            _ => self.token(rule, at, parent),
        }
    }

    /// A statement begins a line, but for what follows `else` or a head.
    fn statement(&mut self, at: usize, parent: Rule, first: Rule, before: Rule) {
        let body = parent != Rule::block;
        let chained = first == Rule::if_statement && before == Rule::kw_else;
        let same_line = body && (matches!(first, Rule::block | Rule::empty) || chained);
        self.depth += usize::from(body && !same_line);
        self.hangs.push(body && !same_line);
        let depth = self.depth;
        self.mark(at).before =
            if same_line { Before::SameLine } else { Before::Line(depth) };
    }

    /// Tokens that stick to a neighbour.
    fn token(&mut self, rule: Rule, at: usize, parent: Rule) {
        let tight_call = matches!(
            parent,
            Rule::call
                | Rule::at_call
                | Rule::component
                | Rule::function
                | Rule::element
                | Rule::foreach_slice
                | Rule::global
        );
        let glued = match rule {
            Rule::comma | Rule::semicolon | Rule::close | Rule::close_square => true,
            Rule::open | Rule::open_square => tight_call,
            Rule::increment | Rule::decrement | Rule::direction | Rule::demand => true,
            Rule::arrow | Rule::pretty | Rule::open_subscript => true,
            Rule::percent | Rule::size => parent == Rule::global,
            Rule::dot => matches!(parent, Rule::point | Rule::alias_name),
            Rule::colon => is_type(parent),
            _ => false,
        };
        if rule == Rule::semicolon && parent == Rule::empty {
            return;
        }
        // A mark of the node that begins with this token stays.
        if glued && self.mark(at).before == Before::Space {
            self.mark(at).before = Before::Glued;
        }
        let tight = match rule {
            Rule::open | Rule::open_square | Rule::negate | Rule::affirm | Rule::not => {
                true
            }
            Rule::complement | Rule::increase | Rule::decrease => true,
            Rule::dereference | Rule::address | Rule::arrow => true,
            Rule::open_subscript => true,
            Rule::minus => parent == Rule::literal,
            Rule::dot => matches!(parent, Rule::point | Rule::alias_name),
            Rule::colon => is_type(parent),
            _ => false,
        };
        self.mark(at).tight |= tight;
    }

    fn end(&mut self, rule: Rule, at: usize) {
        self.rules.pop();
        if rule == Rule::component_name {
            // `{a,b}*` is one word, although it is several tokens.
            for inside in self.name + 1..at {
                self.mark(inside).before = Before::Glued;
            }
        }
        if rule == Rule::statement && self.hangs.pop() == Some(true) {
            self.depth = self.depth.saturating_sub(1);
        }
    }
}

fn is_type(rule: Rule) -> bool {
    matches!(rule, Rule::parameter | Rule::result_type | Rule::priority)
}

/// Whether a rule is made of others rather than a token.
fn is_node(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::statement
            | Rule::block
            | Rule::if_statement
            | Rule::while_statement
            | Rule::for_statement
            | Rule::foreach_statement
            | Rule::try_statement
    )
}
