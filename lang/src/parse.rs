//! Text to [`ast::Script`](crate::ast::Script). Only this folder knows pest.
//!
//! A script passes four sieves: `scan` finds tokens, items and brackets,
//! `preprocess` chooses between the sides of `%( … %)` and writes macros out,
//! `foreign` answers what is recognised but no hwt, and the grammar in
//! `script.pest` parses what is left, one item at a time. Names are not
//! resolved at this stage.

mod arguments;
mod build;
mod error;
pub(crate) mod foreign;
mod grammar;
pub(crate) mod layout;
mod literal;
mod operator;
mod preprocess;
pub(crate) mod scan;

pub use preprocess::condition::glob;
pub use preprocess::{Config, Platform};

use crate::ast::{Item, Script};
use crate::diagnostic::Diagnostic;
use crate::span::{Source, Span};
use arguments::Arguments;
use build::Builder;
use preprocess::map::Map;

/// Statements, parentheses and operators may be nested this deep together; the
/// stages behind recurse and rely on it.
const DEPTH_MAX: usize = 512;

/// Longer scripts are refused.
const SCRIPT_LEN_MAX: usize = 4 << 20;

/// Errors beyond this number help nobody.
const ERRORS_MAX: usize = 50;

type Failure = Box<Diagnostic>;

/// The value of a number outside a script, perhaps negative.
pub(crate) fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (digits, sign) = match text.strip_prefix('-') {
        Some(digits) => (digits, -1),
        None => (text, 1),
    };
    let value: i64 = literal::integer(digits, Span::default()).ok()?;
    Some(value.wrapping_mul(sign))
}

/// Parses a script for the machine that this program was built for; `$1` and
/// its like become `arguments`. No kernel configuration is known: a test of
/// `CONFIG_X` finds "" and a warning tells so.
///
/// # Errors
/// All that can be told of the text at once: at least one error for each item
/// that does not parse, and script arguments missing or left over.
///
/// ```
/// use hwtrace_lang::{parse::parse, span::Source};
/// let source = Source::new("<command line>", "probe begin { println($1) }");
/// let script = parse(&source, &["42".to_owned()]).unwrap();
/// assert_eq!(script.items.len(), 1);
/// assert!(parse(&source, &[]).is_err());
/// ```
pub fn parse(source: &Source, arguments: &[String]) -> Result<Script, Vec<Diagnostic>> {
    parse_on(source, arguments, &Platform::default())
}

/// Parses a script for a platform, whose properties `%( … %)` tests.
///
/// # Errors
/// As [`parse`].
///
/// ```
/// use hwtrace_lang::{parse::{parse_on, Platform}, span::Source};
/// let text = r#"%( CONFIG_X == "y" %? probe begin { } %: probe end { } %)"#;
/// let config = |name: &str| (name == "CONFIG_X").then(|| "y".to_owned());
/// let platform = Platform { config: Some(&config), ..Platform::default() };
/// let script = parse_on(&Source::new("x.hwt", text), &[], &platform).unwrap();
/// assert_eq!(script.to_string(), "probe begin\n");
/// ```
pub fn parse_on(
    source: &Source,
    arguments: &[String],
    platform: &Platform<'_>,
) -> Result<Script, Vec<Diagnostic>> {
    let text = source.text.as_str();
    if text.len() > SCRIPT_LEN_MAX {
        return Err(vec![error::too_long(text.len(), SCRIPT_LEN_MAX)]);
    }
    let tokens = scan::tokens(text).map_err(|error| vec![*error])?;
    let mut arguments = Arguments::new(arguments);
    let expanded = preprocess::expand(text, tokens, &mut arguments, platform)
        .map_err(|error| vec![*error])?;
    let mut script = Script { items: Vec::new(), warnings: expanded.warnings };
    let mut errors = Vec::new();
    let mut builder = Builder::new(&expanded.map, arguments);
    for item in scan::items(&expanded.text, &expanded.tokens) {
        let tokens = &expanded.tokens[item.tokens.clone()];
        match parse_item(&expanded.text, &item, tokens, &mut builder) {
            Ok(items) => script.items.extend(items),
            Err(found) => errors.extend(found),
        }
        if errors.len() >= ERRORS_MAX {
            break;
        }
    }
    if errors.is_empty() {
        errors = builder.arguments.left_over();
    }
    errors.truncate(ERRORS_MAX);
    if errors.is_empty() {
        return Ok(script);
    }
    // Why an error is there may follow from what was not known.
    errors.extend(script.warnings);
    Err(errors)
}

fn parse_item(
    text: &str,
    item: &scan::Item,
    tokens: &[scan::Token],
    builder: &mut Builder<'_>,
) -> Result<Vec<Item>, Vec<Diagnostic>> {
    let place = |map: &Map, errors: Vec<Diagnostic>| {
        errors.into_iter().map(|error| map.diagnostic(error)).collect::<Vec<_>>()
    };
    let found = foreign::find(text, item, tokens);
    if !found.is_empty() {
        return Err(place(builder.map, found));
    }
    scan::check_nesting(text, tokens)
        .map_err(|error| place(builder.map, vec![*error]))?;
    if item.kind == scan::ItemKind::Stray {
        return Err(place(builder.map, vec![error::stray(text, tokens)]));
    }
    // An item is a run of tokens and never empty.
    let span = tokens[0].span.to(tokens[tokens.len() - 1].span);
    let pairs = grammar::run(text, span, tokens)
        .map_err(|error| place(builder.map, vec![*error]))?;
    builder.item(pairs, span.range().start).map_err(|error| vec![*error])
}

#[cfg(test)]
mod tests;
