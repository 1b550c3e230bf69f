//! Longs and doubles: what an operator gives follows from both of its sides,
//! and either may be known only later; so may what a condition asks. What can not be told at once waits in a
//! list until nothing more becomes known; what is still open then is a long.

use super::{Infer, both, conversion_help, subject};
use crate::ast::Expression;
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::sema::data::is_data;
use crate::sema::types::{Conflict, Term};
use crate::span::Span;
use crate::types::Type;

const LONG: Term = Term::Known(Type::Long);
const DOUBLE: Term = Term::Known(Type::Double);

/// One side of an operator.
#[derive(Clone, Debug)]
pub(in crate::sema) struct Operand {
    term: Term,
    span: Span,
    /// What an error calls it.
    subject: Option<String>,
    /// It is data of the target.
    is_data: bool,
}

impl Operand {
    pub(super) fn new(expression: &Expression, term: Term) -> Self {
        let (span, is_data) = (expression.span, is_data(expression));
        Self { term, span, subject: subject(expression), is_data }
    }
}

/// What waits for types.
#[derive(Clone, Debug)]
pub(in crate::sema) enum Pending {
    /// The result is a double where one side is, else a long.
    Arithmetic { left: Operand, right: Operand, result: Term, why: &'static str },
    /// Two strings, two numbers, or two stacks.
    Comparison { left: Operand, right: Operand, why: &'static str },
    /// A long, or a stack.
    Truth { operand: Operand, why: &'static str },
    /// A string, or a stack.
    Text { operand: Operand, why: String },
    /// A long or a double.
    Number { operand: Operand, why: &'static str },
}

impl Infer<'_, '_> {
    /// The type of `left op right`; the sides have been walked.
    pub(super) fn arithmetic(
        &mut self,
        (left, left_type): (&Expression, Term),
        (right, right_type): (&Expression, Term),
        why: &'static str,
    ) -> Term {
        if !self.features.doubles {
            if self.require(left, left_type, Type::Long, why) {
                self.require(right, right_type, Type::Long, why);
            }
            return LONG;
        }
        let (left, right) =
            (Operand::new(left, left_type), Operand::new(right, right_type));
        let result = self.types.fresh();
        self.wait(Pending::Arithmetic { left, right, result, why });
        result
    }

    /// `place op= value`: as arithmetic whose result the place can hold.
    pub(super) fn compound(
        &mut self,
        (place, place_type): (&Expression, Term),
        (value, value_type): (&Expression, Term),
        why: &'static str,
    ) {
        if !self.features.doubles {
            if self.require(place, place_type, Type::Long, why) {
                self.require(value, value_type, Type::Long, why);
            }
            return;
        }
        let (left, right) =
            (Operand::new(place, place_type), Operand::new(value, value_type));
        self.wait(Pending::Arithmetic { left, right, result: place_type, why });
    }

    /// Requires a long or a double.
    pub(super) fn number(&mut self, at: &Expression, found: Term, why: &'static str) {
        if self.features.doubles {
            self.wait(Pending::Number { operand: Operand::new(at, found), why });
        } else {
            self.require(at, found, Type::Long, why);
        }
    }

    /// Requires two strings or two numbers.
    pub(super) fn comparable(
        &mut self,
        (left, left_type): (&Expression, Term),
        (right, right_type): (&Expression, Term),
        why: &'static str,
    ) {
        let (left, right) =
            (Operand::new(left, left_type), Operand::new(right, right_type));
        self.wait(Pending::Comparison { left, right, why });
    }

    pub(super) fn wait(&mut self, pending: Pending) {
        if !self.settle(&pending, false) {
            self.pending.push(pending);
        }
    }

    /// Decides all that waits.
    pub(in crate::sema) fn settle_all(&mut self) {
        loop {
            self.settle_known();
            // A sum of two unknown things that must be a double has two double
            // sides; from there more may follow.
            let open = self.pending.iter().position(|pending| match pending {
                Pending::Arithmetic { result, .. } => {
                    self.types.peek(*result) == Some(Type::Double)
                }
                _ => false,
            });
            let Some(at) = open else { break };
            let pending = self.pending.swap_remove(at);
            self.settle(&pending, true);
        }
        for pending in std::mem::take(&mut self.pending) {
            self.settle(&pending, true);
        }
    }

    /// Goes over the list, alternately from both ends, until nothing more
    /// becomes known: what one decides, its neighbours wait for.
    fn settle_known(&mut self) {
        loop {
            let before = self.pending.len();
            let mut left = Vec::with_capacity(before);
            for pending in std::mem::take(&mut self.pending).into_iter().rev() {
                if !self.settle(&pending, false) {
                    left.push(pending);
                }
            }
            // Reversed now, so that the next round comes from the other end.
            let found_more = left.len() < before;
            left.append(&mut self.pending);
            self.pending = left;
            if !found_more || self.pending.is_empty() {
                return;
            }
        }
    }

    /// Decides one; whether it could. `last`: what is open is decided now.
    fn settle(&mut self, pending: &Pending, last: bool) -> bool {
        match pending {
            Pending::Arithmetic { left, right, result, why } => {
                self.settle_arithmetic(left, right, *result, why, last)
            }
            Pending::Comparison { left, right, why } => {
                self.settle_comparison(left, right, why, last)
            }
            Pending::Truth { operand, why } => {
                match self.types.resolve(operand.term) {
                    Some(Type::Long | Type::Stack) => {}
                    None if !last => return false,
                    _ => {
                        self.operand(operand, LONG, why);
                    }
                }
                true
            }
            Pending::Text { operand, why } => {
                match self.types.resolve(operand.term) {
                    Some(Type::String | Type::Stack) => {}
                    None if !last => return false,
                    _ => {
                        self.operand(operand, Term::Known(Type::String), why);
                    }
                }
                true
            }
            Pending::Number { operand, why } => {
                match self.types.resolve(operand.term) {
                    Some(Type::Long | Type::Double) => {}
                    None if !last => return false,
                    _ => {
                        self.operand(operand, LONG, why);
                    }
                }
                true
            }
        }
    }

    fn settle_arithmetic(
        &mut self,
        left: &Operand,
        right: &Operand,
        result: Term,
        why: &'static str,
        last: bool,
    ) -> bool {
        use Type::{Double, Long};
        let known = |infer: &mut Self, term| infer.types.resolve(term);
        let sides = (known(self, left.term), known(self, right.term));
        let whole = known(self, result);
        let gives = match sides {
            (Some(Type::String | Type::Stack | Type::Stats), _) => {
                self.operand(left, LONG, why);
                return true;
            }
            (_, Some(Type::String | Type::Stack | Type::Stats)) => {
                self.operand(right, LONG, why);
                return true;
            }
            (Some(Double), open) | (open, Some(Double)) => {
                if open.is_none() {
                    let other = if sides.0.is_none() { left } else { right };
                    self.pending.push(Pending::Number { operand: other.clone(), why });
                }
                DOUBLE
            }
            (Some(Long), Some(Long)) => LONG,
            _ if whole == Some(Long) => {
                self.operand(left, LONG, why);
                self.operand(right, LONG, why);
                LONG
            }
            (None, None) if !last => return false,
            (None, None) | (Some(Long), None) | (None, Some(Long)) => {
                if whole != Some(Double) && !last {
                    return false;
                }
                let wanted = if whole == Some(Double) { DOUBLE } else { LONG };
                for side in [(sides.0, left), (sides.1, right)] {
                    if side.0.is_none() {
                        self.operand(side.1, wanted, why);
                    }
                }
                wanted
            }
        };
        if let Err(conflict) = self.types.unify(result, gives, right.span) {
            self.report_result(left, right, conflict);
        }
        true
    }

    /// A compound assignment whose place can not hold its result.
    fn report_result(&mut self, left: &Operand, right: &Operand, conflict: Conflict) {
        let name = left.subject.clone().unwrap_or_else(|| "this".to_owned());
        let evidence = self.types.evidence(left.term);
        self.report.push(both(&name, conflict, right.span, evidence).help(
            "a double stays a double: give the variable a double at its start, `0.0`",
        ));
    }

    fn settle_comparison(
        &mut self,
        left: &Operand,
        right: &Operand,
        why: &'static str,
        last: bool,
    ) -> bool {
        use Type::{Double, Long};
        let sides = (self.types.resolve(left.term), self.types.resolve(right.term));
        match sides {
            (Some(Long | Double), Some(Long | Double)) => return true,
            // The stack becomes a string.
            (Some(Type::Stack), Some(Type::String))
            | (Some(Type::String), Some(Type::Stack)) => return true,
            (Some(Type::Stack), None) | (None, Some(Type::Stack)) if !last => {
                return false;
            }
            (Some(Type::Stack), Some(Type::Stack)) => {
                self.without_order(right, why);
                return true;
            }
            (Some(Double), None) | (None, Some(Double)) => {
                let open = if sides.0.is_none() { left } else { right };
                self.pending.push(Pending::Number { operand: open.clone(), why });
                return true;
            }
            (Some(Long), None) | (None, Some(Long)) | (None, None)
                if self.features.doubles && !last =>
            {
                return false;
            }
            _ => {}
        }
        if let Err(conflict) = self.types.unify(left.term, right.term, right.span) {
            let message =
                format!("{why} compares a {} with a {}", conflict.left, conflict.right);
            let data = left.is_data || right.is_data;
            let help = match (conflict.left, conflict.right) {
                (Type::Stack, _) | (_, Type::Stack) => {
                    "whether there is a stack is asked by `if (s)`, and an address of it by `ustack(level)`"
                }
                _ if data => {
                    "a constant of an enumeration is `@enum(\"NAME\")`; text at an address is read by `user_string(…)`"
                }
                _ => {
                    "the number in a string is `strtol(text, 10)`, a number as a string `sprint(number)`"
                }
            };
            self.report.push(
                Diagnostic::new(Code::TypeMismatch, right.span, message)
                    .label(format!("a {}", conflict.right))
                    .related(left.span, format!("a {}", conflict.left))
                    .help(help),
            );
        } else if self.types.resolve(left.term) == Some(Type::Stack) {
            self.without_order(right, why);
        }
        true
    }

    /// Stacks are equal or not; none is less than another.
    fn without_order(&mut self, right: &Operand, why: &str) {
        if !matches!(why, "`==`" | "`!=`") {
            let message = format!("{why} compares two stacks");
            self.report.push(
                Diagnostic::new(Code::TypeMismatch, right.span, message)
                    .label("stacks have no order")
                    .help("compare stacks by `==` and `!=`"),
            );
        }
    }

    /// Makes an operand a `wanted`, or tells why it is none.
    pub(super) fn operand(&mut self, operand: &Operand, wanted: Term, why: &str) -> bool {
        let Err(conflict) = self.types.unify(operand.term, wanted, operand.span) else {
            return true;
        };
        let evidence = self.types.evidence(operand.term);
        let Conflict { left, right: ty } = conflict;
        let error = match &operand.subject {
            Some(subject) if evidence.is_some() => {
                both(subject, conflict, operand.span, evidence)
                    .note(format!("{why} needs a {ty}"))
            }
            _ => {
                let message = format!("{why} needs a {ty}, but this is a {left}");
                Diagnostic::new(Code::TypeMismatch, operand.span, message)
                    .label(format!("a {left}"))
            }
        };
        let help = match ty {
            Type::String if operand.is_data && !why.starts_with("`%") => {
                "text at an address is read by `user_string(…)`, a value is shown by `$x$`"
            }
            _ => conversion_help(why, conflict),
        };
        self.report.push(error.help(help));
        false
    }
}
