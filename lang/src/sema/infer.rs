//! First walk: names and types. Everything that can be wrong with a script is
//! found here, so that the second walk has nothing left to refuse.

mod expression;
mod name;

use super::report::Report;
use super::scope::{Globals, Handler, Shape};
use super::types::{Conflict, Term, Types};
use crate::ast::{Expression, ExpressionKind, Foreach, Name, Statement, StatementKind};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::parse::foreign::KEYWORDS;
use crate::span::Span;
use crate::suggest;
use crate::typed::Literal;
use crate::types::Type;

/// The state of the first walk.
pub(super) struct Infer<'a> {
    pub(super) report: &'a mut Report,
    pub(super) globals: Globals,
    pub(super) types: Types,
    /// The handler in work.
    pub(super) handler: Handler,
    /// How many loops are around the statement in work.
    loops: u32,
}

/// Whether the value of an expression is used, or only its effect wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Value,
    Effect,
}

impl<'a> Infer<'a> {
    pub(super) fn new(globals: Globals, report: &'a mut Report) -> Self {
        let handler = Handler::anywhere();
        let mut infer =
            Self { report, globals, types: Types::default(), handler, loops: 0 };
        infer.initial_values();
        infer
    }

    /// What the values at the start tell of the globals' types.
    fn initial_values(&mut self) {
        for global in &mut self.globals.list {
            let Some((literal, span)) = &global.initial else {
                continue;
            };
            let value = self.types.fresh();
            let ty = match literal {
                Literal::Long(_) => Type::Long,
                Literal::String(_) => Type::String,
            };
            // A fresh type can not conflict.
            let _ = self.types.unify(value, Term::Known(ty), *span);
            global.shape = Shape::Scalar { value, first_use: global.name.span };
        }
    }

    /// Walks a handler and gives it back with its locals.
    pub(super) fn handler(&mut self, body: &[Statement], handler: Handler) -> Handler {
        self.handler = handler;
        self.loops = 0;
        self.block(body);
        self.check_locals();
        std::mem::replace(&mut self.handler, Handler::anywhere())
    }

    pub(super) fn finish(self) -> (Globals, Types) {
        (self.globals, self.types)
    }

    fn block(&mut self, statements: &[Statement]) {
        for statement in statements {
            if self.report.is_full() {
                return;
            }
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::Empty | StatementKind::Next => {}
            StatementKind::Block(statements) => self.block(statements),
            StatementKind::If { condition, then, otherwise } => {
                self.condition(condition, "`if`");
                self.statement(then);
                if let Some(otherwise) = otherwise {
                    self.statement(otherwise);
                }
            }
            StatementKind::While { condition, body } => {
                self.condition(condition, "`while`");
                self.looped(body);
            }
            StatementKind::For { first, condition, step, body } => {
                for part in [first, step].into_iter().flatten() {
                    self.expression(part, Use::Effect);
                }
                if let Some(condition) = condition {
                    self.condition(condition, "`for`");
                }
                self.looped(body);
            }
            StatementKind::Foreach(foreach) => self.foreach(foreach),
            StatementKind::Break => self.jump("break", statement.span),
            StatementKind::Continue => self.jump("continue", statement.span),
            StatementKind::Delete(operand) => self.delete(operand),
            StatementKind::Expression(expression) => {
                self.expression(expression, Use::Effect);
            }
        }
    }

    fn condition(&mut self, condition: &Expression, why: &str) {
        self.expect(condition, Type::Long, why);
    }

    fn looped(&mut self, body: &Statement) {
        self.loops += 1;
        self.statement(body);
        self.loops -= 1;
    }

    fn jump(&mut self, word: &str, span: Span) {
        if self.loops == 0 {
            self.report.push(
                Diagnostic::new(
                    Code::OutsideLoop,
                    span,
                    format!("`{word}` stands in no loop"),
                )
                .label("no loop around it")
                .help("leave the handler with `next`"),
            );
        }
    }

    fn delete(&mut self, operand: &Expression) {
        match &operand.kind {
            ExpressionKind::Element { array, keys } => {
                self.element(array, keys, operand.span);
            }
            ExpressionKind::Variable(name) if self.globals.get(name).is_some() => {}
            _ => {
                self.place(operand, Use::Effect);
            }
        }
    }

    fn foreach(&mut self, foreach: &Foreach) {
        let array = &foreach.array;
        let found = self.array(array, foreach.keys.len(), array.span);
        // After an error the variables exist all the same, of any type.
        let (keys, value) = found.unwrap_or_else(|| {
            let keys = foreach.keys.iter().map(|_| self.types.fresh()).collect();
            (keys, self.types.fresh())
        });
        for (key, ty) in foreach.keys.iter().zip(keys) {
            self.foreach_variable(&key.name, ty);
        }
        if let Some(name) = &foreach.value {
            self.foreach_variable(name, value);
        }
        self.mark_read(&array.text);
        self.check_order(foreach);
        if let Some(limit) = &foreach.limit {
            self.expect(limit, Type::Long, "`limit`");
        }
        self.looped(&foreach.body);
    }

    /// A variable that a `foreach` assigns to.
    fn foreach_variable(&mut self, name: &Name, ty: Term) {
        let variable = self.variable(&name.text, name.span, true, Use::Effect);
        if let Err(conflict) = self.types.unify(variable, ty, name.span) {
            let evidence = self.types.evidence(variable);
            self.report.push(both(
                &format!("`{}`", name.text),
                conflict,
                name.span,
                evidence,
            ));
        }
    }

    fn check_order(&mut self, foreach: &Foreach) {
        let orders = foreach.keys.iter().filter_map(|key| key.order).chain(foreach.order);
        let orders: Vec<_> = orders.collect();
        if let [first, second, ..] = orders[..] {
            self.report.push(
                Diagnostic::new(
                    Code::BadOrder,
                    second.span,
                    "a foreach is sorted by one thing only",
                )
                .label("and here by another")
                .related(first.span, "sorted here")
                .help("keep one `+` or `-`"),
            );
        }
    }

    /// Locals that are read but never assigned are misspelled names.
    fn check_locals(&mut self) {
        for local in &self.handler.locals {
            let (false, Some(span)) = (local.written, local.first_read) else {
                continue;
            };
            if self.report.is_full() {
                return;
            }
            let name = &local.name;
            let message = format!("nothing assigns a value to `{name}`");
            let mut error =
                Diagnostic::new(Code::UnknownVariable, span, message).label("read here");
            let assigned = self.handler.locals.iter().filter(|other| other.written);
            let known =
                assigned.map(|other| other.name.as_str()).chain(self.globals.names());
            let near = suggest::did_you_mean(name, known.chain(KEYWORDS.iter().copied()));
            for help in
                super::hints::variable(name).map(str::to_owned).into_iter().chain(near)
            {
                error = error.help(help);
            }
            if error.help.is_empty() {
                error =
                    error.help(format!("assign it before, or declare `global {name}`"));
            }
            self.report.push(error);
        }
    }

    /// Requires a long or a string of an expression that it walks; `why` is
    /// who requires it. Whether the expression has that type.
    pub(super) fn expect(
        &mut self,
        expression: &Expression,
        ty: Type,
        why: &str,
    ) -> bool {
        let found = self.expression(expression, Use::Value);
        self.require(expression, found, ty, why)
    }

    /// Requires a long or a string of an expression of type `found`.
    pub(super) fn require(
        &mut self,
        at: &Expression,
        found: Term,
        ty: Type,
        why: &str,
    ) -> bool {
        let Err(conflict) = self.types.unify(found, Term::Known(ty), at.span) else {
            return true;
        };
        let evidence = self.types.evidence(found);
        let error = match subject(at) {
            Some(subject) if evidence.is_some() => {
                both(&subject, conflict, at.span, evidence)
                    .note(format!("{why} needs a {ty}"))
            }
            _ => {
                let message =
                    format!("{why} needs a {ty}, but this is a {}", conflict.left);
                Diagnostic::new(Code::TypeMismatch, at.span, message)
                    .label(format!("a {}", conflict.left))
            }
        };
        self.report.push(error.help(conversion_help(why, ty)));
        false
    }
}

/// How to come from the other type to `wanted`.
fn conversion_help(why: &str, wanted: Type) -> &'static str {
    match (why, wanted) {
        ("`+`" | "`+=`", Type::Long) => {
            "join strings with `.`; the number in a string is `strtol(text, 10)`"
        }
        (_, Type::Long) if why.starts_with("`%") => "print a string with `%s`",
        (_, Type::String) if why.starts_with("`%") => "print a number with `%d`",
        (_, Type::Long) => "the number in a string is `strtol(text, 10)`",
        (_, Type::String) => "a number becomes a string by `sprint(number)`",
    }
}

/// What an error calls the variable or elements that an expression names.
fn subject(expression: &Expression) -> Option<String> {
    match &expression.kind {
        ExpressionKind::Variable(name) => Some(format!("`{name}`")),
        ExpressionKind::Element { array, .. } => {
            Some(format!("a value of `{}`", array.text))
        }
        _ => None,
    }
}

/// One name with two types: the error shows both places.
fn both(
    subject: &str,
    conflict: Conflict,
    here: Span,
    there: Option<Span>,
) -> Diagnostic {
    let Conflict { left: known, right: wanted } = conflict;
    let message = format!("{subject} is used both as a {known} and as a {wanted}");
    let error = Diagnostic::new(Code::TypeMismatch, here, message)
        .label(format!("as a {wanted} here"));
    match there {
        Some(there) => error.related(there, format!("as a {known} here")),
        None => error,
    }
}
