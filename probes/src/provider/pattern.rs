//! Matches components against a row's syntax text.
//!
//! ```text
//! pattern  = step { step }
//! step     = [ "." ] names [ argument ]  |  "[." names [ argument ] "]"
//! names    = name { "|" name }          a name in capitals stands for any
//! argument = "(" kinds ")"  |  "[(" kinds ")]"
//! kinds    = kind { "|" kind }          "QUOTED" a string, CAPITALS an integer
//! ```
//!
//! Optional steps float: `.length(8)` may stand before or after `.write`.

use crate::spec::{ArgumentRef, Component, SpecErrorKind};

/// A row's syntax, taken apart.
pub(super) struct Pattern {
    /// Steps that must come, in this order.
    required: Vec<Step>,
    /// Steps that may come once, with the number of required steps before them.
    optional: Vec<(usize, Step)>,
}

struct Step {
    names: Vec<&'static str>,
    argument: Argument,
}

struct Argument {
    /// What is accepted, empty for no argument at all.
    kinds: Vec<Kind>,
    optional: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Long,
    Str,
}

/// Where components and a pattern part.
pub(super) enum Mismatch {
    /// Another name was expected; others may come.
    Name { index: usize, expected: Vec<String>, optional: Vec<String> },
    /// The components end before the pattern does.
    End { index: usize, expected: Vec<String> },
    /// The name fits, the argument does not.
    Argument { index: usize, kind: SpecErrorKind },
}

impl Mismatch {
    /// How far the match got: a wrong argument is further than a wrong name.
    pub(super) fn progress(&self) -> usize {
        match self {
            Mismatch::Name { index, .. } | Mismatch::End { index, .. } => index * 2,
            Mismatch::Argument { index, .. } => index * 2 + 1,
        }
    }
}

impl Pattern {
    /// Takes `syntax` apart; `modifiers` are further optional steps, which may
    /// come after `data` or `watch` or any step behind it.
    pub(super) fn parse(
        syntax: &'static str,
        modifiers: &[(&'static str, &'static str)],
    ) -> Self {
        let mut pattern = Pattern { required: Vec::new(), optional: Vec::new() };
        for (text, optional) in split_steps(syntax) {
            let step = Step::parse(text);
            if optional {
                pattern.optional.push((pattern.required.len(), step));
            } else {
                pattern.required.push(step);
            }
        }
        let is_data = |step: &Step| step.accepts("data") || step.accepts("watch");
        let data = pattern.required.iter().position(is_data);
        let after = data.map_or(pattern.required.len(), |index| index + 1);
        for (text, _) in modifiers {
            let step = Step::parse(text.trim_start_matches('.'));
            pattern.optional.push((after, step));
        }
        pattern
    }

    /// Does the pattern take exactly these components?
    pub(super) fn matches(&self, components: &[Component<'_>]) -> Result<(), Mismatch> {
        let mut next = 0;
        let mut used = vec![false; self.optional.len()];
        for (index, component) in components.iter().enumerate() {
            let required = self.required.get(next);
            let step = match required.filter(|step| step.accepts(component.name)) {
                Some(step) => {
                    next += 1;
                    step
                }
                None => match self.take_optional(component.name, next, &mut used) {
                    Some(step) => step,
                    None => return Err(self.other_name(index, next, &used)),
                },
            };
            step.check_argument(component)
                .map_err(|kind| Mismatch::Argument { index, kind })?;
        }
        if next < self.required.len() {
            return Err(Mismatch::End {
                index: components.len(),
                expected: self.expected(next),
            });
        }
        Ok(())
    }

    fn take_optional(&self, name: &str, next: usize, used: &mut [bool]) -> Option<&Step> {
        let fits = |(index, (after, step)): &(usize, &(usize, Step))| {
            *after <= next && step.accepts(name) && !used[*index]
        };
        let (index, (_, step)) = self.optional.iter().enumerate().find(fits)?;
        used[index] = true;
        Some(step)
    }

    fn other_name(&self, index: usize, next: usize, used: &[bool]) -> Mismatch {
        let steps = self.optional.iter().zip(used);
        let may_come = steps.filter(|((after, _), used)| *after <= next && !*used);
        let names = may_come.flat_map(|((_, step), _)| &step.names);
        let optional = names.map(|name| (*name).to_owned()).collect();
        Mismatch::Name { index, expected: self.expected(next), optional }
    }

    /// The names that the next required step takes.
    fn expected(&self, next: usize) -> Vec<String> {
        let step = self.required.get(next);
        let names = step.map_or(&[][..], |step| &step.names);
        names.iter().map(|name| (*name).to_owned()).collect()
    }
}

/// Splits at the dots outside of parentheses; the flag marks steps in brackets.
fn split_steps(syntax: &'static str) -> Vec<(&'static str, bool)> {
    let mut steps = Vec::new();
    let mut rest = syntax;
    while !rest.is_empty() {
        let optional = rest.starts_with("[.");
        let start = rest.trim_start_matches(['[', '.']);
        let end = step_end(start, optional);
        let (step, tail) = start.split_at(end);
        steps.push((step, optional));
        rest = if optional { tail.strip_prefix(']').unwrap_or(tail) } else { tail };
    }
    steps
}

fn step_end(text: &str, optional: bool) -> usize {
    let mut depth = 0_u32;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b']' if depth == 0 && optional => return index,
            b'[' if depth == 0 && text[index..].starts_with("[.") => return index,
            b'.' if depth == 0 && index > 0 => return index,
            _ => {}
        }
    }
    text.len()
}

impl Step {
    fn parse(text: &'static str) -> Self {
        let (names, argument) = match text.find(['(', '[']) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let inner = argument.trim_matches(['[', ']']);
        let inner = inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let kinds = inner.map_or(Vec::new(), |kinds| {
            let kind = |text: &str| {
                if text.starts_with('"') { Kind::Str } else { Kind::Long }
            };
            kinds.split('|').map(kind).collect()
        });
        Step {
            names: names.split('|').collect(),
            argument: Argument { optional: argument.starts_with('['), kinds },
        }
    }

    fn accepts(&self, name: &str) -> bool {
        let any = |pattern: &str| pattern.bytes().all(|byte| byte.is_ascii_uppercase());
        let fits = |pattern: &str| pattern == name || any(pattern);
        self.names.iter().any(|pattern| fits(pattern))
    }

    fn check_argument(&self, component: &Component<'_>) -> Result<(), SpecErrorKind> {
        let name = component.name.to_owned();
        let kind = match component.argument {
            None if self.argument.kinds.is_empty() || self.argument.optional => {
                return Ok(());
            }
            None => {
                let expected = self.argument.expected();
                return Err(SpecErrorKind::MissingArgument { name, expected });
            }
            Some(_) if self.argument.kinds.is_empty() => {
                return Err(SpecErrorKind::UnexpectedArgument { name });
            }
            Some(ArgumentRef::Long(_)) => Kind::Long,
            Some(ArgumentRef::Str(_)) => Kind::Str,
        };
        if self.argument.kinds.contains(&kind) {
            return Ok(());
        }
        let expected = self.argument.expected();
        Err(SpecErrorKind::BadArgument { name, expected })
    }
}

impl Argument {
    fn expected(&self) -> String {
        let string = self.kinds.contains(&Kind::Str);
        let long = self.kinds.contains(&Kind::Long);
        match (string, long) {
            (true, true) => "a string or an integer",
            (true, false) => "a string",
            (false, _) => "an integer",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_taken_apart() {
        let syntax = "process[(\"PATH\"|PID)].data(\"EXPR\"|ADDR)[.length(N)].write|rw";
        let pattern = Pattern::parse(syntax, &[]);
        assert_eq!(pattern.required.len(), 3);
        assert_eq!(pattern.required[0].names, ["process"]);
        assert!(pattern.required[0].argument.optional);
        assert_eq!(pattern.required[1].argument.kinds.len(), 2);
        assert_eq!(pattern.required[2].names, ["write", "rw"]);
        assert_eq!(pattern.optional.len(), 1);
        assert_eq!(pattern.optional[0].0, 2);
        assert_eq!(pattern.optional[0].1.names, ["length"]);
    }

    #[test]
    fn every_row_has_a_pattern_that_gives_its_syntax_back() {
        for provider in crate::provider::providers() {
            let pattern = Pattern::parse(provider.syntax, &[]);
            let steps =
                pattern.required.iter().chain(pattern.optional.iter().map(|o| &o.1));
            for step in steps {
                for name in &step.names {
                    let plain = name.bytes().all(|byte| byte.is_ascii_alphabetic());
                    assert!(plain && !name.is_empty(), "{}: {name}", provider.syntax);
                }
            }
        }
    }
}
