//! What can be asked of statistics: `@count(s)`, `@hist_log(s)` and the like,
//! and the limits of regular expressions.

use crate::ast::{Expression, ExpressionKind, Name};
use crate::builtins::operator_names;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::suggest;
use crate::typed::{Extractor, Histogram, UnaryOp};

/// A histogram has so many buckets at most, as in SystemTap: of those of a
/// linear one two are for what is below and above, and one begins at its end.
const BUCKETS_MAX: i128 = 128;

/// Larger shifts leave nothing of a value.
const SHIFT_MAX: i64 = 62;

/// A compiled regular expression may take this much memory.
const REGEX_LEN_MAX: usize = 1 << 20;

/// What `@name(…)` asks.
#[derive(Debug)]
pub(super) enum Asked<'e> {
    Extractor(Extractor),
    Histogram(Histogram),
    /// The percentage where it is an expression; else the name says it.
    Percentile(Option<&'e Expression>),
}

/// The extractor that needs no further arguments.
pub(super) fn named(name: &str) -> Option<Extractor> {
    Some(match name {
        "count" => Extractor::Count,
        "sum" => Extractor::Sum,
        "min" => Extractor::Min,
        "max" => Extractor::Max,
        "avg" => Extractor::Avg,
        "variance" => Extractor::Variance { shift: 0 },
        _ => return None,
    })
}

/// The percentage in `p50` and its like.
pub(super) fn percentage(name: &str) -> Option<i64> {
    match name {
        "p50" => Some(50),
        "p90" => Some(90),
        "p99" => Some(99),
        _ => None,
    }
}

/// An error at the name of an extractor.
pub(super) fn wrong(name: &Name, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::BadExtractor, name.span, message).label("asked here")
}

/// What is asked, by the name and the arguments behind the place.
///
/// # Errors
/// There is no such extractor, or its arguments make no sense.
pub(super) fn ask<'e>(
    name: &Name,
    arguments: &'e [Expression],
) -> Result<Asked<'e>, Box<Diagnostic>> {
    let text = name.text.as_str();
    let form = |form: &str| {
        Box::new(
            wrong(name, format!("`@{text}` has other arguments")).help(form.to_owned()),
        )
    };
    let rest = arguments.get(1..).unwrap_or_default();
    match (text, rest) {
        _ if arguments.is_empty() => {
            Err(form(&format!("name the statistics: `@{text}(s)`")))
        }
        ("hist_log", []) => Ok(Asked::Histogram(Histogram::Log)),
        ("hist_linear", [low, high, step]) => linear(name, [low, high, step]),
        ("hist_linear", _) => Err(form(
            "write `@hist_linear(s, low, high, step)`: `@hist_linear(s, 0, 100, 10)`",
        )),
        ("variance", [shift]) => match constant(shift) {
            Some(shift @ 0..=SHIFT_MAX) => {
                let shift = u32::try_from(shift).unwrap_or(0);
                Ok(Asked::Extractor(Extractor::Variance { shift }))
            }
            _ => Err(form("the shift is a number between 0 and 62: `@variance(s, 8)`")),
        },
        ("percentile", [percentage]) => match constant(percentage) {
            Some(0..=100) | None => Ok(Asked::Percentile(Some(percentage))),
            Some(_) => Err(form("a percentage is from 0 to 100: `@percentile(s, 99.9)`")),
        },
        ("percentile", _) => Err(form("write `@percentile(s, 99.9)`")),
        ("p50" | "p90" | "p99", []) => Ok(Asked::Percentile(None)),
        (_, []) if named(text).is_some() => {
            Ok(Asked::Extractor(named(text).unwrap_or(Extractor::Count)))
        }
        _ if operator_names().any(|name| name == text) => {
            Err(form(&format!("write `@{text}(s)`")))
        }
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &Name) -> Box<Diagnostic> {
    let error = wrong(name, format!("statistics are not asked for `@{}`", name.text));
    let near = suggest::did_you_mean(&name.text, operator_names());
    Box::new(error.help(near.unwrap_or_else(|| {
        "they have `@count`, `@sum`, `@min`, `@max`, `@avg`, `@variance`, `@hist_log`, `@p99`".to_owned()
    })))
}

fn linear<'e>(
    name: &Name,
    [low, high, step]: [&'e Expression; 3],
) -> Result<Asked<'e>, Box<Diagnostic>> {
    let number = |at: &Expression| {
        constant(at).ok_or_else(|| {
            let message = "the bounds of a histogram are numbers";
            Box::new(
                Diagnostic::new(Code::BadExtractor, at.span, message)
                    .label("known only at run time")
                    .help("write them out: `@hist_linear(s, 0, 100, 10)`"),
            )
        })
    };
    let (low, high, step) = (number(low)?, number(high)?, number(step)?);
    let buckets = (i128::from(high) - i128::from(low)) / i128::from(step.max(1)) + 3;
    if step >= 1 && low < high && buckets <= BUCKETS_MAX {
        return Ok(Asked::Histogram(Histogram::Linear { low, high, step }));
    }
    let message =
        format!("a histogram from {low} to {high} in steps of {step} has no sense");
    Err(Box::new(wrong(name, message).help(format!(
        "the first bound is the smaller one, a step is at least 1, and there are at most {BUCKETS_MAX} buckets"
    ))))
}

/// The value of a number that is written out.
fn constant(expression: &Expression) -> Option<i64> {
    match &expression.kind {
        ExpressionKind::Integer(value) => Some(*value),
        ExpressionKind::Unary(UnaryOp::Negate, operand) => {
            constant(operand).map(i64::wrapping_neg)
        }
        _ => None,
    }
}

/// Compiles a regular expression, in bounds, as the runtime will
/// (`runtime/src/abi/text/regexes.rs`).
///
/// # Errors
/// What is wrong with it, on one line.
pub(super) fn compile(regex: &str) -> Result<(), String> {
    let built = regex::bytes::RegexBuilder::new(regex)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(REGEX_LEN_MAX)
        .nest_limit(64)
        .build();
    built.map(drop).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim().trim_start_matches("error: ").to_owned()
    })
}
