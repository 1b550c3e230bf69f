//! The table of all probe points, and the parser that reads it.
//!
//! A probe type is one file in `provider/` with its rows, and one line in
//! `TABLE`. A row's syntax is shown to users and is also what the parser
//! matches, so that the two cannot differ.

mod data;
mod kernel;
mod modifiers;
mod pattern;
mod process;
mod session;
mod timer;

use crate::spec::{Component, Later, Spec, SpecError, SpecErrorKind};
use pattern::{Mismatch, Pattern};

/// One form of a probe point.
pub struct Provider {
    /// How it is written. `[…]` is optional, `|` separates alternatives, words in
    /// capitals stand for integers, quoted ones for strings.
    pub syntax: &'static str,
    /// When it fires, in one line.
    pub doc: &'static str,
    meaning: Meaning,
    /// Does it fire at accesses to data, so that the modifiers apply?
    is_data: bool,
}

/// Makes the meaning out of components that fit the row's syntax.
type Build = fn(&[Component<'_>]) -> Result<Spec, SpecError>;

/// Whether a probe point can be armed by this version.
#[derive(Clone, Copy)]
enum Meaning {
    /// It can.
    Now(Build),
    /// It can not; with what to write for now.
    Later(&'static str),
}

/// All rows, by family, in the order of the reference.
const TABLE: [&[Provider]; 5] =
    [session::ROWS, timer::ROWS, data::ROWS, process::ROWS, kernel::ROWS];

impl Provider {
    /// A row that can be armed.
    const fn now(syntax: &'static str, doc: &'static str, build: Build) -> Self {
        Provider { syntax, doc, meaning: Meaning::Now(build), is_data: false }
    }

    /// A row that is understood, and refused when it is to be armed, with what
    /// to write instead.
    const fn later(
        syntax: &'static str,
        doc: &'static str,
        instead: &'static str,
    ) -> Self {
        Provider { syntax, doc, meaning: Meaning::Later(instead), is_data: false }
    }

    /// The same row for accesses to data.
    const fn of_data(self) -> Self {
        Provider { is_data: true, ..self }
    }

    /// What to write for now, where this version cannot arm it.
    pub fn instead(&self) -> Option<&'static str> {
        match self.meaning {
            Meaning::Now(_) => None,
            Meaning::Later(instead) => Some(instead),
        }
    }
}

/// All forms of probe points, in the order of the reference.
pub fn providers() -> impl Iterator<Item = &'static Provider> {
    TABLE.iter().copied().flatten()
}

/// The modifiers that may follow `data(…)`, as (syntax, what it does).
pub fn modifiers() -> impl Iterator<Item = (&'static str, &'static str)> {
    modifiers::MODIFIERS.iter().copied()
}

/// Finds the meaning of a probe point.
///
/// # Errors
///
/// [`SpecError`] with the index of the component that fits no probe point, or
/// whose argument is wrong.
pub fn parse(components: &[Component<'_>]) -> Result<Spec, SpecError> {
    let mut failures: Vec<(Mismatch, &'static Provider)> = Vec::new();
    for provider in providers() {
        let modifiers = if provider.is_data { modifiers::MODIFIERS } else { &[] };
        let pattern = Pattern::parse(provider.syntax, modifiers);
        match pattern.matches(components) {
            Ok(()) => return build(provider, components),
            Err(mismatch) => failures.push((mismatch, provider)),
        }
    }
    Err(explain(components, &failures))
}

fn build(provider: &Provider, components: &[Component<'_>]) -> Result<Spec, SpecError> {
    let instead = match provider.meaning {
        Meaning::Now(build) => return build(components),
        Meaning::Later(instead) => instead,
    };
    if provider.is_data {
        data::check(components)?;
    }
    let index = components.len().saturating_sub(1);
    Ok(Spec::Later(Later { index, part: None, instead, is_data: provider.is_data }))
}

/// Makes one error of what every row had against the components: the rows that
/// got furthest are those that were meant.
fn explain(
    components: &[Component<'_>],
    failures: &[(Mismatch, &'static Provider)],
) -> SpecError {
    let progress = failures.iter().map(|(mismatch, _)| mismatch.progress()).max();
    let furthest =
        failures.iter().filter(|(mismatch, _)| Some(mismatch.progress()) == progress);
    let mut expected: Vec<String> = Vec::new();
    let mut may_come = Vec::new();
    let mut ended = false;
    let mut at = 0;
    for (mismatch, _) in furthest {
        let names = match mismatch {
            Mismatch::Argument { index, kind } => {
                return SpecError { index: *index, kind: kind.clone() };
            }
            Mismatch::Name { index, expected, optional } => {
                at = *index;
                may_come.extend_from_slice(optional);
                expected
            }
            Mismatch::End { expected, .. } => {
                ended = true;
                expected
            }
        };
        let new = names.iter().filter(|name| !expected.contains(name));
        let new: Vec<String> = new.cloned().collect();
        expected.extend(new);
    }
    if ended {
        return incomplete(components, expected);
    }
    unknown(components, at, expected, may_come)
}

fn incomplete(components: &[Component<'_>], names: Vec<String>) -> SpecError {
    let next = names.iter().map(|name| format!(".{name}")).collect();
    let after = components.last().map_or(String::new(), |last| last.name.to_owned());
    SpecError {
        index: components.len().saturating_sub(1),
        kind: SpecErrorKind::Incomplete { after, next },
    }
}

fn unknown(
    components: &[Component<'_>],
    index: usize,
    expected: Vec<String>,
    mut may_come: Vec<String>,
) -> SpecError {
    let name = components.get(index).map_or("", |component| component.name);
    let previous = index.checked_sub(1).and_then(|before| components.get(before));
    may_come.extend_from_slice(&expected);
    may_come.sort_unstable();
    may_come.dedup();
    let near = order_by_likeness(name, may_come, true);
    let kind = match previous {
        Some(after) if !near.is_empty() => SpecErrorKind::Unknown {
            name: name.to_owned(),
            after: Some(after.name.to_owned()),
            nearest: near,
        },
        Some(after) if expected.is_empty() => SpecErrorKind::Trailing {
            name: name.to_owned(),
            after: after.name.to_owned(),
        },
        Some(after) => SpecErrorKind::Unknown {
            name: name.to_owned(),
            after: Some(after.name.to_owned()),
            nearest: order_by_likeness(name, expected, false),
        },
        None => SpecErrorKind::Unknown {
            name: name.to_owned(),
            after: None,
            nearest: nearest_points(components, expected),
        },
    };
    SpecError { index, kind }
}

/// For a wrong first component: first components that are spelt like it, else
/// whole probe points that contain something like it (`write`, `watchpoint`).
fn nearest_points(components: &[Component<'_>], firsts: Vec<String>) -> Vec<String> {
    let name = components.first().map_or("", |component| component.name);
    let near = order_by_likeness(name, firsts, true);
    if !near.is_empty() {
        return near;
    }
    let part_of = |provider: &&Provider| {
        let words = provider.syntax.split(|c: char| !c.is_ascii_alphanumeric());
        provider.instead().is_none()
            && words.into_iter().any(|word| likeness(name, word) >= NEAR)
    };
    let points = providers().filter(part_of);
    points.map(|provider| provider.syntax.to_owned()).take(3).collect()
}

/// Sorts `names` by how like `name` they are; with `only_near`, leaves out those
/// that are not.
fn order_by_likeness(name: &str, names: Vec<String>, only_near: bool) -> Vec<String> {
    let mut scored: Vec<(f64, String)> = names
        .into_iter()
        .map(|candidate| (likeness(name, &candidate), candidate))
        .filter(|(score, _)| !only_near || *score >= NEAR)
        .collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Likeness from which a spelling is taken for a mistake.
const NEAR: f64 = 0.6;

/// From 0 to 1. Bounded: nobody misspells a word of hundreds of letters.
fn likeness(name: &str, candidate: &str) -> f64 {
    if name.len() > 64 {
        return 0.0;
    }
    let name = name.to_ascii_lowercase();
    strsim::normalized_damerau_levenshtein(&name, candidate)
}

/// The component with this name, if the probe point has it.
fn find<'a>(components: &[Component<'a>], name: &str) -> Option<(usize, Component<'a>)> {
    let mut all = components.iter().copied().enumerate();
    all.find(|(_, component)| component.name == name)
}

#[cfg(test)]
mod tests;
