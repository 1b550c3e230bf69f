//! Data of the target: that it is there, and what becomes of it in a script.

use super::{Infer, Use};
use crate::ast::{Expression, ExpressionKind};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::sema::data::{Found, Problem, Resolver, Wrong, is_data};
use crate::sema::types::Term;
use crate::types::Type;

impl Infer<'_, '_> {
    /// The type of the value that data becomes.
    pub(super) fn data(&mut self, data: &Expression) -> Term {
        self.inside(data);
        match self.resolver().resolve(data) {
            Ok(found) => Term::Known(self.resolver().decayed(found.ty)),
            Err(problem) => self.no_data(data, problem),
        }
    }

    /// `$x$`, `$x$$`.
    pub(super) fn pretty(&mut self, data: &Expression) -> Term {
        self.inside(data);
        if let Err(problem) = self.resolver().resolve(data) {
            let is_value = matches!(data.kind, ExpressionKind::Target(_))
                && matches!(problem.wrong, Wrong::Untyped(_));
            // A value without a type is shown as the number that it is.
            if !is_value {
                self.no_data(data, problem);
            }
        }
        Term::Known(Type::String)
    }

    /// `@enum(…)`
    pub(super) fn constant_of(&mut self, whole: &Expression) -> Term {
        if let Err(problem) = self.resolver().constant(whole) {
            self.report.push(problem.diagnostic());
        }
        Term::Known(Type::Long)
    }

    /// Data that an expression stands for, where it has a readable form.
    pub(in crate::sema) fn readable(&self, value: &Expression) -> Option<Found> {
        let found = is_data(value).then(|| self.resolver().resolve(value).ok())??;
        self.resolver().is_readable(found).then_some(found)
    }

    pub(super) fn resolver(&self) -> Resolver<'_> {
        Resolver { types: self.data_types, point: self.handler.place.as_ref() }
    }

    /// Tells why an expression is no data; the type it has all the same.
    fn no_data(&mut self, data: &Expression, problem: Problem) -> Term {
        match (&data.kind, &problem.wrong) {
            // A `$` variable without a type is a long.
            (ExpressionKind::Target(_), Wrong::Untyped(_)) => Term::Known(Type::Long),
            // Told where the variable was looked at.
            (_, Wrong::Target) => self.types.fresh(),
            _ => {
                self.report.push(problem.diagnostic());
                self.types.fresh()
            }
        }
    }

    /// Looks at the values in a chain of members and elements.
    fn inside(&mut self, data: &Expression) {
        match &data.kind {
            ExpressionKind::Target(name) => self.target(name, data.span),
            ExpressionKind::Member(of, _)
            | ExpressionKind::Dereference(of)
            | ExpressionKind::Address(of) => self.inside(of),
            ExpressionKind::Subscript(of, index) => {
                self.inside(of);
                self.expect(index, Type::Long, "an index");
            }
            ExpressionKind::At { name, arguments, .. } if is_data(data) => {
                if let ("cast", Some(value)) = (name.text.as_str(), arguments.first()) {
                    self.expect(value, Type::Long, "`@cast`");
                }
            }
            _ => {
                self.expression(data, Use::Value);
            }
        }
    }

    /// `$x.y`: `.` joins strings, and a member is meant. Whether it was that.
    pub(super) fn member_by_dot(
        &mut self,
        left: &Expression,
        right: &Expression,
    ) -> bool {
        let ExpressionKind::Variable(name) = &right.kind else { return false };
        let known = self.globals.get(name).is_some() || self.handler.get(name).is_some();
        if known || !is_data(left) {
            return false;
        }
        self.expression(left, Use::Value);
        let span = left.span.to(right.span);
        self.report.push(
            Diagnostic::new(
                Code::ForeignSyntax,
                span,
                "`.` joins strings; members are behind `->`",
            )
            .label("not hwt")
            .help(format!("write `{}->{name}`", shown(left))),
        );
        true
    }
}

/// Data as a script writes it, the rare parts left out.
fn shown(data: &Expression) -> String {
    match &data.kind {
        ExpressionKind::Target(name) => format!("${name}"),
        ExpressionKind::Member(of, name) => format!("{}->{}", shown(of), name.text),
        ExpressionKind::Subscript(of, _) => format!("{}[…]", shown(of)),
        ExpressionKind::At { name, .. } => format!("@{}(…)", name.text),
        _ => "(…)".to_owned(),
    }
}
