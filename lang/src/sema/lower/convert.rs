//! Values that become another type where they go.

use super::Lower;
use super::data::literal;
use crate::ast::Expression as Ast;
use crate::builtins::Builtin;
use crate::sema::objects;
use crate::span::Span;
use crate::typed::{
    CompareOp, Expression, ExpressionKind, GlobalId, GlobalKind, Literal, Space,
};
use crate::types::Type;

impl Lower<'_> {
    /// An expression that goes where a `wanted` is: a stack becomes a string there, and
    /// a long a double.
    pub(super) fn going_to(&mut self, wanted: Type, value: &Ast) -> Expression {
        convert(self.expression(value), wanted)
    }

    /// What is 0 or not: of a stack whether it is there.
    pub(super) fn truth(&mut self, condition: &Ast) -> Expression {
        let condition = self.expression(condition);
        if condition.ty != Type::Stack {
            return condition;
        }
        let span = condition.span;
        let none = Box::new(zero(Type::Stack, span));
        let kind =
            ExpressionKind::Compare(CompareOp::NotEqual, Box::new(condition), none);
        Expression { kind, ty: Type::Long, span }
    }

    pub(super) fn boxed_truth(&mut self, condition: &Ast) -> Box<Expression> {
        Box::new(self.truth(condition))
    }

    /// The key at a position of an array.
    pub(super) fn key(&mut self, array: GlobalId, at: usize, key: &Ast) -> Expression {
        let ty = match &self.globals[array.0 as usize].kind {
            GlobalKind::Array { keys, .. } => keys.get(at).copied(),
            _ => None,
        };
        match ty {
            Some(ty) => self.going_to(ty, key),
            None => self.expression(key),
        }
    }

    /// The arguments of a builtin function; those left out are 0 or "".
    pub(super) fn arguments(
        &mut self,
        builtin: &Builtin,
        span: Span,
        given: &[Ast],
    ) -> Vec<Expression> {
        let mut values = Vec::with_capacity(builtin.params.len());
        for (at, param) in builtin.params.iter().enumerate() {
            let value = match given.get(at) {
                Some(value) => self.going_to(param.ty, value),
                None => {
                    let span = values.last().map_or(span, |it: &Expression| it.span);
                    let known = self.object_default(builtin, at, given);
                    known.map_or_else(|| zero(param.ty, span), |it| literal(it, span))
                }
            };
            values.push(match param.ty {
                Type::Stack => stack_of(value, addresses_of(builtin)),
                _ => value,
            });
        }
        values
    }

    /// What stands for an argument of `watch()` or `unwatch()` that is left out: the
    /// bytes of the data, or all objects.
    fn object_default(&self, builtin: &Builtin, at: usize, given: &[Ast]) -> Option<i64> {
        match (builtin.name, at) {
            ("watch", 2) => objects::length(&self.resolver(), given.get(1)?),
            ("unwatch", 1) => Some(objects::ALL),
            _ => None,
        }
    }
}

/// What a value is where a `wanted` goes.
pub(super) fn convert(value: Expression, wanted: Type) -> Expression {
    let span = value.span;
    let kind = match (value.ty, wanted) {
        (Type::Stack, Type::String) => ExpressionKind::StackText(Box::new(value)),
        (Type::Long, Type::Double) => ExpressionKind::ToDouble(Box::new(value)),
        _ => return value,
    };
    Expression { kind, ty: wanted, span }
}

/// Two values of which one becomes what the other is: a string, or a double.
pub(super) fn alike(left: Expression, right: Expression) -> (Expression, Expression) {
    let types = [left.ty, right.ty];
    let common = [Type::String, Type::Double].into_iter().find(|ty| types.contains(ty));
    match common {
        Some(ty) => (convert(left, ty), convert(right, ty)),
        None => (left, right),
    }
}

fn zero(ty: Type, span: Span) -> Expression {
    Expression { kind: ExpressionKind::Literal(Literal::zero(ty)), ty, span }
}

/// Whose addresses a string has that is given in place of a stack.
fn addresses_of(builtin: &Builtin) -> Space {
    let of_process =
        ["print_u", "sprint_u"].iter().any(|of| builtin.name.starts_with(of));
    if of_process { Space::User } else { Space::Kernel }
}

/// A stack, or the one with the addresses in a string.
fn stack_of(value: Expression, space: Space) -> Expression {
    if value.ty == Type::Stack {
        return value;
    }
    let span = value.span;
    let kind = ExpressionKind::StackOf { text: Box::new(value), space };
    Expression { kind, ty: Type::Stack, span }
}
