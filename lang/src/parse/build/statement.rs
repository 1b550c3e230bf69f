//! Statements.

use pest::iterators::Pair;

use super::{Builder, Children, all};
use crate::ast::{
    Direction, Expression, Foreach, ForeachKey, Name, Statement, StatementKind, Walked,
};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::parse::grammar::Rule;
use crate::parse::{Failure, operator};

impl Builder<'_> {
    pub(super) fn block(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Result<Vec<Statement>, Failure> {
        all(pair, Rule::statement).map(|statement| self.statement(statement)).collect()
    }

    fn statement(&mut self, pair: Pair<'_, Rule>) -> Result<Statement, Failure> {
        let span = self.span(&pair);
        let Some(inner) = pair.into_inner().next() else {
            unreachable!("a statement has a kind")
        };
        let kind = self.deeper(1, span, |this| this.statement_kind(inner))?;
        Ok(Statement { kind, span })
    }

    fn statement_kind(
        &mut self,
        inner: Pair<'_, Rule>,
    ) -> Result<StatementKind, Failure> {
        match inner.as_rule() {
            Rule::empty => Ok(StatementKind::Empty),
            Rule::block => self.block(inner).map(StatementKind::Block),
            Rule::if_statement => self.if_statement(inner),
            Rule::while_statement => self.while_statement(inner),
            Rule::for_statement => self.for_statement(inner),
            Rule::foreach_statement => self.foreach_statement(inner),
            Rule::try_statement => self.try_statement(inner),
            Rule::jump => Ok(jump(&inner)),
            Rule::return_statement => {
                let value = all(inner, Rule::expression).next();
                let value = value.map(|value| self.expression(value)).transpose()?;
                Ok(StatementKind::Return(value))
            }
            Rule::delete => {
                let operand = Children::of(inner).required(Rule::expression);
                self.expression(operand)
                    .and_then(operator::place)
                    .map(StatementKind::Delete)
            }
            _ => {
                let expression = Children::of(inner).required(Rule::expression);
                self.expression(expression).map(StatementKind::Expression)
            }
        }
    }

    fn boxed_statement(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Result<Box<Statement>, Failure> {
        self.statement(pair).map(Box::new)
    }

    fn if_statement(&mut self, pair: Pair<'_, Rule>) -> Result<StatementKind, Failure> {
        let mut children = Children::of(pair);
        let condition = self.expression(children.required(Rule::expression))?;
        let then = self.boxed_statement(children.required(Rule::statement))?;
        let otherwise = children.0.find(|child| child.as_rule() == Rule::statement);
        let otherwise = otherwise.map(|child| self.boxed_statement(child)).transpose()?;
        Ok(StatementKind::If { condition, then, otherwise })
    }

    fn while_statement(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Result<StatementKind, Failure> {
        let mut children = Children::of(pair);
        let condition = self.expression(children.required(Rule::expression))?;
        let body = self.boxed_statement(children.required(Rule::statement))?;
        Ok(StatementKind::While { condition, body })
    }

    fn for_statement(&mut self, pair: Pair<'_, Rule>) -> Result<StatementKind, Failure> {
        let mut children = Children::of(pair);
        let first = self.for_part(children.required(Rule::for_first))?;
        let condition = self.for_part(children.required(Rule::for_condition))?;
        let step = self.for_part(children.required(Rule::for_step))?;
        let body = self.boxed_statement(children.required(Rule::statement))?;
        Ok(StatementKind::For { first, condition, step, body })
    }

    fn for_part(&mut self, pair: Pair<'_, Rule>) -> Result<Option<Expression>, Failure> {
        pair.into_inner().next().map(|part| self.expression(part)).transpose()
    }

    fn try_statement(&mut self, pair: Pair<'_, Rule>) -> Result<StatementKind, Failure> {
        let mut children = Children::of(pair);
        let body = self.block(children.required(Rule::block))?;
        let (mut message, mut handler) = (None, Vec::new());
        for child in children.0 {
            match child.as_rule() {
                Rule::name => message = Some(self.name(child)),
                Rule::block => handler = self.block(child)?,
                _ => {}
            }
        }
        Ok(StatementKind::Try { body, message, handler })
    }

    fn foreach_statement(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Result<StatementKind, Failure> {
        let mut children = Children::of(pair);
        let (mut value, mut keys) = (None, Vec::new());
        for child in children.0.by_ref() {
            match child.as_rule() {
                Rule::foreach_value => {
                    value = Some(self.name(Children::of(child).required(Rule::name)));
                }
                Rule::foreach_key => keys.push(self.foreach_key(child)),
                Rule::kw_in => break,
                _ => {}
            }
        }
        let walked = self.walked(&mut children)?;
        let order = children.optional(Rule::direction).map(|pair| self.direction(&pair));
        if let (Walked::Array { by: Some(by), .. }, None) = (&walked, order) {
            return Err(by_without_direction(by));
        }
        let limit = children.optional(Rule::foreach_limit);
        let limit = limit
            .map(|pair| self.expression(Children::of(pair).required(Rule::expression)));
        let limit = limit.transpose()?;
        let body = self.statement(children.required(Rule::statement))?;
        let foreach = Foreach { value, keys, walked, order, limit, body };
        Ok(StatementKind::Foreach(Box::new(foreach)))
    }

    /// What stands behind `in`.
    fn walked(&mut self, children: &mut Children<'_>) -> Result<Walked, Failure> {
        if let Some(call) = children.optional(Rule::at_call) {
            return Ok(Walked::Buckets(self.primary(call)?));
        }
        let array = self.name(children.required(Rule::name));
        let slice = match children.optional(Rule::foreach_slice) {
            Some(pair) => self.expressions(Children::of(pair).required(Rule::keys))?,
            None => Vec::new(),
        };
        let by = children.optional(Rule::foreach_by).map(|by| self.at_name(&by));
        Ok(Walked::Array { array, slice, by })
    }

    fn foreach_key(&self, pair: Pair<'_, Rule>) -> ForeachKey {
        let mut children = Children::of(pair);
        let name = self.name(children.required(Rule::name));
        let order = children.optional(Rule::direction).map(|pair| self.direction(&pair));
        ForeachKey { name, order }
    }

    fn direction(&self, pair: &Pair<'_, Rule>) -> Direction {
        Direction { descending: pair.as_str().starts_with('-'), span: self.span(pair) }
    }
}

fn by_without_direction(by: &Name) -> Failure {
    Box::new(
        Diagnostic::new(
            Code::BadOrder,
            by.span,
            format!("`@{}` does not say which way to sort", by.text),
        )
        .label("no `+` or `-` behind it")
        .help(format!(
            "the largest first is `@{}-`, the smallest first `@{0}+`",
            by.text
        )),
    )
}

fn jump(pair: &Pair<'_, Rule>) -> StatementKind {
    match pair.clone().into_inner().next().map(|word| word.as_rule()) {
        Some(Rule::kw_break) => StatementKind::Break,
        Some(Rule::kw_continue) => StatementKind::Continue,
        _ => StatementKind::Next,
    }
}
