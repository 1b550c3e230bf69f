//! Walks over parsed scripts, for what can be told without names and types.

use crate::ast::{
    Expression, ExpressionKind, Item, ProbePoint, Script, Statement, StatementKind,
    Walked,
};
use crate::builtins;
use crate::span::Span;
use crate::types::Type;

/// What a script makes use of anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Features {
    /// Doubles, by a literal, a declared type, a function that gives them, or a type of the
    /// target's.
    pub(super) doubles: bool,
    /// Statistics.
    pub(super) statistics: bool,
    /// Stacks, by a declared type or a function that gives them.
    pub(super) stacks: bool,
}

impl Features {
    pub(super) fn of(script: &Script) -> Self {
        let mut features = Self::default();
        for item in &script.items {
            match item {
                Item::Global(global) => {
                    global.initial.iter().for_each(|it| features.add(it));
                }
                Item::Probe(probe) => {
                    features.conditions(&probe.points);
                    features.block(&probe.body);
                }
                Item::Alias(alias) => {
                    features.conditions(&alias.points);
                    features.block(&alias.prologue);
                    features.block(&alias.epilogue);
                }
                Item::Function(function) => {
                    let types = function.params.iter().filter_map(|param| param.ty);
                    let types =
                        || types.clone().chain(function.returns).map(|(ty, _)| ty);
                    features.doubles |= types().any(|ty| ty == Type::Double);
                    features.stacks |= types().any(|ty| ty == Type::Stack);
                    features.block(&function.body);
                }
            }
        }
        features
    }

    fn block(&mut self, statements: &[Statement]) {
        statements
            .iter()
            .for_each(|it| each_expression(it, &mut |found| self.see(found)));
    }

    fn conditions(&mut self, points: &[ProbePoint]) {
        points.iter().filter_map(|it| it.condition.as_ref()).for_each(|it| self.add(it));
    }

    fn add(&mut self, expression: &Expression) {
        each(expression, &mut |found| self.see(found));
    }

    fn see(&mut self, expression: &Expression) {
        match expression.kind {
            ExpressionKind::Double(_) => self.doubles = true,
            ExpressionKind::Accumulate { .. } => self.statistics = true,
            ExpressionKind::Call { ref function, .. } => {
                let builtin = builtins::lookup(&function.text);
                let returns = builtin.and_then(|builtin| builtin.returns);
                self.stacks |= returns == Some(Type::Stack);
                self.doubles |= returns == Some(Type::Double);
            }
            ExpressionKind::At { ref name, .. } => match name.text.as_str() {
                "cast" | "var" => self.doubles = true,
                _ => self.statistics = true,
            },
            _ => {}
        }
    }
}

/// Where the script first assigns to a variable of this name.
pub(super) fn assigned(script: &Script, name: &str) -> Option<Span> {
    let mut found = None;
    let mut see = |expression: &Expression| {
        if let ExpressionKind::Assign { place, .. }
        | ExpressionKind::Increment { place, .. } = &expression.kind
            && matches!(&place.kind, ExpressionKind::Variable(own) if own == name)
        {
            found = found.or(Some(place.span));
        }
    };
    for item in &script.items {
        let blocks: [&[Statement]; 2] = match item {
            Item::Probe(probe) => [&probe.body, &[]],
            Item::Alias(alias) => [&alias.prologue, &alias.epilogue],
            Item::Function(function) => [&function.body, &[]],
            Item::Global(_) => continue,
        };
        let statements = blocks.into_iter().flatten();
        statements.for_each(|statement| each_expression(statement, &mut see));
    }
    found
}

/// Whether some `return` in the statements gives a value.
pub(super) fn returns_value(statements: &[Statement]) -> bool {
    statements.iter().any(|statement| {
        matches!(statement.kind, StatementKind::Return(Some(_)))
            || parts(statement).into_iter().any(returns_value)
    })
}

/// The statements directly inside of one.
fn parts(statement: &Statement) -> Vec<&[Statement]> {
    let one = std::slice::from_ref;
    match &statement.kind {
        StatementKind::Block(statements) => vec![statements],
        StatementKind::If { then, otherwise, .. } => {
            let otherwise = otherwise.as_deref().map(one);
            [one(then)].into_iter().chain(otherwise).collect()
        }
        StatementKind::While { body, .. } | StatementKind::For { body, .. } => {
            vec![one(body)]
        }
        StatementKind::Foreach(foreach) => vec![one(&foreach.body)],
        StatementKind::Try { body, handler, .. } => vec![body, handler],
        _ => Vec::new(),
    }
}

/// Calls `see` with each expression in a statement, inner ones too.
pub(super) fn each_expression<'s>(
    statement: &'s Statement,
    see: &mut dyn FnMut(&'s Expression),
) {
    let direct: Vec<&Expression> = match &statement.kind {
        StatementKind::If { condition, .. } | StatementKind::While { condition, .. } => {
            vec![condition]
        }
        StatementKind::For { first, condition, step, .. } => {
            [first, condition, step].into_iter().flatten().collect()
        }
        StatementKind::Foreach(foreach) => {
            let walked = match &foreach.walked {
                Walked::Array { slice, .. } => slice.iter().collect(),
                Walked::Buckets(histogram) => vec![histogram],
            };
            walked.into_iter().chain(&foreach.limit).collect()
        }
        StatementKind::Return(value) => value.iter().collect(),
        StatementKind::Delete(expression) | StatementKind::Expression(expression) => {
            vec![expression]
        }
        _ => Vec::new(),
    };
    direct.into_iter().for_each(|expression| each(expression, see));
    for part in parts(statement) {
        part.iter().for_each(|statement| each_expression(statement, see));
    }
}

/// Calls `see` with an expression and each one in it.
pub(super) fn each<'s>(expression: &'s Expression, see: &mut dyn FnMut(&'s Expression)) {
    see(expression);
    operands(expression).into_iter().for_each(|operand| each(operand, see));
}

fn operands(expression: &Expression) -> Vec<&Expression> {
    match &expression.kind {
        ExpressionKind::Integer(_)
        | ExpressionKind::Double(_)
        | ExpressionKind::String(_)
        | ExpressionKind::AnyKey
        | ExpressionKind::Variable(_)
        | ExpressionKind::Target(_) => Vec::new(),
        ExpressionKind::Element { keys, .. } | ExpressionKind::In { keys, .. } => {
            keys.iter().collect()
        }
        ExpressionKind::Call { arguments, .. } => arguments.iter().collect(),
        ExpressionKind::At { arguments, index, .. } => {
            arguments.iter().chain(index.as_deref()).collect()
        }
        ExpressionKind::Subscript(data, index) => vec![data, index],
        ExpressionKind::Member(operand, _)
        | ExpressionKind::Dereference(operand)
        | ExpressionKind::Address(operand)
        | ExpressionKind::Pretty { data: operand, .. }
        | ExpressionKind::Unary(_, operand) => vec![operand],
        ExpressionKind::Match { text, .. } => vec![text],
        ExpressionKind::Binary(_, left, right) => vec![left, right],
        ExpressionKind::Conditional(condition, yes, no) => vec![condition, yes, no],
        ExpressionKind::Assign { place, value, .. }
        | ExpressionKind::Accumulate { place, value } => vec![place, value],
        ExpressionKind::Increment { place, .. } => vec![place],
    }
}
