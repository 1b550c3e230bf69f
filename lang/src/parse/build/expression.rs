//! Expressions.

use pest::iterators::Pair;

use super::{Builder, Children};
use crate::ast::{Expression, ExpressionKind, Name};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::parse::grammar::{PRATT, Rule, is_primary};
use crate::parse::literal::{self, TextBuilder};
use crate::parse::{Failure, operator};
use crate::span::Span;
use crate::typed::UnaryOp;

impl Builder<'_> {
    /// Expressions in a list; keys may be `*`.
    pub(super) fn expressions(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Result<Vec<Expression>, Failure> {
        let mut expressions = Vec::new();
        for child in pair.into_inner() {
            match child.as_rule() {
                Rule::expression => expressions.push(self.expression(child)?),
                Rule::any_key => {
                    let span = self.span(&child);
                    expressions.push(Expression { kind: ExpressionKind::AnyKey, span });
                }
                _ => {}
            }
        }
        Ok(expressions)
    }

    /// An expression: pest gave a flat list, the precedences make it a tree.
    pub(super) fn expression(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Result<Expression, Failure> {
        let span = self.span(&pair);
        // Each operator can make the tree one level deeper.
        let operators = pair.clone().into_inner().filter(|it| !is_primary(it.as_rule()));
        let levels = operators.count() + 1;
        self.deeper(levels, span, |this| {
            let builder = std::cell::RefCell::new(this);
            PRATT
                .map_primary(|pair| builder.borrow_mut().primary(pair))
                .map_prefix(|op, operand| builder.borrow().prefix(&op, operand?))
                .map_postfix(|operand, op| builder.borrow_mut().postfix(operand?, op))
                .map_infix(|left, op, right| {
                    builder.borrow_mut().infix(left?, op, right?)
                })
                .parse(pair.into_inner())
        })
    }

    pub(super) fn primary(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Result<Expression, Failure> {
        let span = self.span(&pair);
        if pair.as_rule() == Rule::parentheses {
            // They leave no trace but their place.
            let inside =
                self.expression(Children::of(pair).required(Rule::expression))?;
            return Ok(Expression { kind: inside.kind, span });
        }
        Ok(Expression { kind: self.primary_kind(pair)?, span })
    }

    pub(super) fn primary_kind(
        &mut self,
        pair: Pair<'_, Rule>,
    ) -> Result<ExpressionKind, Failure> {
        let span = self.span(&pair);
        let text = pair.as_str().trim_end();
        Ok(match pair.as_rule() {
            Rule::integer => ExpressionKind::Integer(literal::integer(text, span)?),
            Rule::double => ExpressionKind::Double(literal::double(text, span)?),
            Rule::strings => self.strings(pair, span)?,
            Rule::target => ExpressionKind::Target(text[1..].to_owned()),
            Rule::argument_number => {
                self.arguments.token(text, span)?.into_expression(span)
            }
            Rule::variable => {
                let name = Children::of(pair).required(Rule::name);
                ExpressionKind::Variable(name.as_str().to_owned())
            }
            Rule::call => {
                let mut children = Children::of(pair);
                let function = self.name(children.required(Rule::name));
                let arguments = self.argument_list(&mut children)?;
                ExpressionKind::Call { function, arguments }
            }
            Rule::at_call => self.at_call(pair)?,
            Rule::element => {
                let mut children = Children::of(pair);
                let array = self.name(children.required(Rule::name));
                let keys = self.expressions(children.required(Rule::keys))?;
                ExpressionKind::Element { array, keys }
            }
            Rule::tuple_in => {
                let mut children = Children::of(pair);
                let keys = self.expressions(children.required(Rule::keys))?;
                let array = self.name(children.required(Rule::name));
                ExpressionKind::In { keys, array }
            }
            rule => unreachable!("{rule:?} is no primary"),
        })
    }

    fn argument_list(
        &mut self,
        children: &mut Children<'_>,
    ) -> Result<Vec<Expression>, Failure> {
        let list = children.0.find(|child| child.as_rule() == Rule::expressions);
        Ok(list.map(|list| self.expressions(list)).transpose()?.unwrap_or_default())
    }

    fn at_call(&mut self, pair: Pair<'_, Rule>) -> Result<ExpressionKind, Failure> {
        let span = self.span(&pair);
        let (mut arguments, mut index) = (Vec::new(), None);
        let mut children = Children::of(pair);
        let name = self.at_name(&children.required(Rule::at_name));
        for child in children.0 {
            match child.as_rule() {
                Rule::expressions => arguments = self.expressions(child)?,
                Rule::expression => index = Some(Box::new(self.expression(child)?)),
                _ => {}
            }
        }
        if let ("cast" | "var", Some(index)) = (name.text.as_str(), &index) {
            let data = ExpressionKind::At { name, arguments, index: None };
            let data = Box::new(Expression { kind: data, span });
            return Ok(ExpressionKind::Subscript(data, index.clone()));
        }
        Ok(ExpressionKind::At { name, arguments, index })
    }

    /// A name without the `@` in front of it.
    pub(super) fn at_name(&self, pair: &Pair<'_, Rule>) -> Name {
        let text = pair.as_str().trim_end().trim_start_matches('@').to_owned();
        Name { text, span: self.span(pair) }
    }

    /// Adjacent literals join, also with `@1`.
    fn strings(
        &mut self,
        pair: Pair<'_, Rule>,
        span: Span,
    ) -> Result<ExpressionKind, Failure> {
        let mut text = TextBuilder::default();
        for part in pair.into_inner() {
            let (spelling, span) = (part.as_str(), self.span(&part));
            match part.as_rule() {
                Rule::argument_string => {
                    text.push_argument(self.arguments.text(spelling, span)?, span);
                }
                Rule::argument_count_string => {
                    text.push_argument(&self.arguments.count().to_string(), span);
                }
                _ => {
                    let inside = &spelling[1..spelling.len() - 1];
                    // A literal out of a macro stands nowhere but in its call.
                    let found = if span.range().len() == spelling.len() {
                        text.push_literal(inside, span.range().start + 1)
                    } else {
                        text.push_expanded(inside, span)
                    };
                    found?;
                }
            }
        }
        Ok(ExpressionKind::String(text.finish(span)?))
    }

    fn prefix(
        &self,
        op: &Pair<'_, Rule>,
        operand: Expression,
    ) -> Result<Expression, Failure> {
        let span = self.span(op).to(operand.span);
        let kind = match op.as_rule() {
            Rule::negate => ExpressionKind::Unary(UnaryOp::Negate, Box::new(operand)),
            Rule::not => ExpressionKind::Unary(UnaryOp::Not, Box::new(operand)),
            Rule::complement => {
                ExpressionKind::Unary(UnaryOp::Complement, Box::new(operand))
            }
            Rule::affirm => operator::affirm(operand),
            Rule::dereference => ExpressionKind::Dereference(Box::new(operand)),
            Rule::address => ExpressionKind::Address(Box::new(operand)),
            _ => operator::increment(op.as_str(), operand, false)?,
        };
        Ok(Expression { kind, span })
    }

    fn postfix(
        &mut self,
        operand: Expression,
        op: Pair<'_, Rule>,
    ) -> Result<Expression, Failure> {
        let span = operand.span.to(self.span(&op));
        let kind = match op.as_rule() {
            Rule::in_array => {
                let array = self.name(Children::of(op).required(Rule::name));
                ExpressionKind::In { keys: vec![operand], array }
            }
            Rule::member => {
                let name = self.name(Children::of(op).required(Rule::member_name));
                ExpressionKind::Member(Box::new(operand), name)
            }
            Rule::subscript => {
                let index = Children::of(op).required(Rule::expression);
                let index = self.expression(index)?;
                ExpressionKind::Subscript(Box::new(operand), Box::new(index))
            }
            Rule::pretty => {
                let deep = op.as_str() == "$$";
                ExpressionKind::Pretty { data: Box::new(operand), deep }
            }
            _ => operator::increment(op.as_str(), operand, true)?,
        };
        Ok(Expression { kind, span })
    }

    fn infix(
        &mut self,
        left: Expression,
        op: Pair<'_, Rule>,
        right: Expression,
    ) -> Result<Expression, Failure> {
        let span = left.span.to(right.span);
        let kind = match op.as_rule() {
            Rule::conditional => {
                let yes = self.expression(Children::of(op).required(Rule::expression))?;
                ExpressionKind::Conditional(
                    Box::new(left),
                    Box::new(yes),
                    Box::new(right),
                )
            }
            Rule::assign | Rule::assign_op => ExpressionKind::Assign {
                op: operator::assignment(op.as_str()),
                place: Box::new(operator::place(left)?),
                value: Box::new(right),
            },
            Rule::accumulate => ExpressionKind::Accumulate {
                place: Box::new(operator::place(left)?),
                value: Box::new(right),
            },
            Rule::matches | Rule::matches_not => {
                let negated = op.as_rule() == Rule::matches_not;
                return matches(left, right, negated, span);
            }
            _ => {
                let op = operator::infix(op.as_str());
                ExpressionKind::Binary(op, Box::new(left), Box::new(right))
            }
        };
        Ok(Expression { kind, span })
    }
}

/// `text =~ "regex"`
fn matches(
    text: Expression,
    regex: Expression,
    negated: bool,
    span: Span,
) -> Result<Expression, Failure> {
    let text = Box::new(text);
    match regex.kind {
        ExpressionKind::String(regex) => {
            let kind = ExpressionKind::Match { text, regex, negated };
            Ok(Expression { kind, span })
        }
        _ => Err(Box::new(
            Diagnostic::new(
                Code::BadRegex,
                regex.span,
                "a regular expression must be a string literal",
            )
            .label("known only at run time")
            .help("write it in quotes: `text =~ \"^a.*b$\"`; compare strings with `==`"),
        )),
    }
}
