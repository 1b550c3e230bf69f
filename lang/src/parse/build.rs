//! From pest's pairs to the tree: items and probe points. Statements and
//! expressions have files of their own.

mod expression;
mod statement;

use pest::iterators::{Pair, Pairs};

use super::arguments::{self, Arguments, Token};
use super::grammar::Rule;
use super::preprocess::map::Map;
use super::{DEPTH_MAX, Failure, literal, scan};
use crate::ast::{
    Alias, Component, Demand, Expression, ExpressionKind, Function, Global, Item, Name,
    Parameter, Probe, ProbePoint,
};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::types::Type;

/// The children of a pair, for rules whose shape the grammar fixes.
struct Children<'a>(Pairs<'a, Rule>);

impl<'a> Children<'a> {
    fn of(pair: Pair<'a, Rule>) -> Self {
        Self(pair.into_inner())
    }

    /// The next child, if it is a `rule`.
    fn optional(&mut self, rule: Rule) -> Option<Pair<'a, Rule>> {
        if self.0.peek()?.as_rule() == rule { self.0.next() } else { None }
    }

    /// The next child that is a `rule`, past the punctuation before it.
    fn required(&mut self, rule: Rule) -> Pair<'a, Rule> {
        match self.0.find(|pair| pair.as_rule() == rule) {
            Some(pair) => pair,
            None => unreachable!("the grammar puts a {rule:?} here"),
        }
    }
}

/// The children that are a `rule`.
fn all<'a>(pair: Pair<'a, Rule>, rule: Rule) -> impl Iterator<Item = Pair<'a, Rule>> {
    pair.into_inner().filter(move |child| child.as_rule() == rule)
}

/// Builds the tree out of pest's pairs.
pub(super) struct Builder<'a> {
    /// From places in the text that pest saw to places in the script.
    pub(super) map: &'a Map,
    /// Where the item in work begins in the text that was preprocessed.
    base: usize,
    /// How deep the node in work is nested.
    depth: usize,
    pub(super) arguments: Arguments<'a>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(map: &'a Map, arguments: Arguments<'a>) -> Self {
        Self { map, base: 0, depth: 0, arguments }
    }

    /// The items that pest found at `base`: several where one `global` declares
    /// several names.
    ///
    /// # Errors
    /// The first thing in it that has no meaning.
    pub(super) fn item(
        &mut self,
        pairs: Pairs<'_, Rule>,
        base: usize,
    ) -> Result<Vec<Item>, Failure> {
        self.base = base;
        self.depth = 0;
        let mut items = Vec::new();
        for pair in pairs {
            match pair.as_rule() {
                Rule::probe => items.push(Item::Probe(self.probe(pair)?)),
                Rule::alias => items.push(Item::Alias(self.alias(pair)?)),
                Rule::function => items.push(Item::Function(self.function(pair)?)),
                Rule::globals => {
                    for global in all(pair, Rule::global) {
                        items.push(Item::Global(self.global(global)?));
                    }
                }
                _ => {}
            }
        }
        Ok(items)
    }

    /// From the first to the last token; pest's own span of a rule may end in
    /// the white space behind it.
    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let start = pair.as_span().start();
        let mut last = pair.clone();
        while let Some(inner) = last.clone().into_inner().next_back() {
            last = inner;
        }
        self.map.span(Span::new(self.base + start, self.base + last.as_span().end()))
    }

    /// Runs `build` one level (or several) deeper.
    fn deeper<T>(
        &mut self,
        levels: usize,
        span: Span,
        build: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.depth += levels;
        let built =
            if self.depth > DEPTH_MAX { Err(scan::too_deep(span)) } else { build(self) };
        self.depth -= levels;
        built
    }

    fn name(&self, pair: Pair<'_, Rule>) -> Name {
        Name { text: pair.as_str().to_owned(), span: self.span(&pair) }
    }

    fn global(&mut self, pair: Pair<'_, Rule>) -> Result<Global, Failure> {
        let mut children = Children::of(pair);
        let name = self.name(children.required(Rule::name));
        let (mut wraps, mut size, mut initial) = (None, None, None);
        for child in children.0 {
            match child.as_rule() {
                Rule::percent => wraps = Some(self.span(&child)),
                Rule::size => size = Some(self.size(child)?),
                Rule::literal => initial = Some(self.literal(child)?),
                _ => {}
            }
        }
        Ok(Global { name, wraps, size, initial })
    }

    fn size(&mut self, pair: Pair<'_, Rule>) -> Result<(i64, Span), Failure> {
        let span = self.span(&pair);
        let text = pair.as_str().trim_end();
        if !text.starts_with('$') {
            return Ok((literal::integer(text, span)?, span));
        }
        match self.arguments.token(text, span)? {
            Token::Integer(value) => Ok((value, span)),
            _ => Err(Box::new(
                Diagnostic::new(
                    Code::BadArgument,
                    span,
                    format!("`{text}` must be a number here"),
                )
                .label("the size of an array")
                .help("give a number as script argument"),
            )),
        }
    }

    /// A literal, perhaps negative.
    fn literal(&mut self, pair: Pair<'_, Rule>) -> Result<Expression, Failure> {
        let span = self.span(&pair);
        let mut children = Children::of(pair);
        let negative = children.optional(Rule::minus).is_some();
        let mut literal = match children.0.next() {
            Some(child) => self.primary_kind(child)?,
            None => unreachable!("a literal has a value"),
        };
        match &mut literal {
            ExpressionKind::Integer(value) if negative => *value = value.wrapping_neg(),
            ExpressionKind::Double(value) if negative => *value = -*value,
            ExpressionKind::Variable(name) => {
                return Err(arguments::not_a_literal(name, span));
            }
            _ => {}
        }
        Ok(Expression { kind: literal, span })
    }

    fn function(&mut self, pair: Pair<'_, Rule>) -> Result<Function, Failure> {
        let span = self.span(&pair);
        let mut children = Children::of(pair);
        let name = self.name(children.required(Rule::name));
        let (mut returns, mut params, mut body) = (None, Vec::new(), Vec::new());
        for child in children.0 {
            match child.as_rule() {
                Rule::result_type => returns = Some(self.type_name(child)),
                Rule::parameter => params.push(self.parameter(child)),
                Rule::block => body = self.block(child)?,
                _ => {}
            }
        }
        Ok(Function { name, returns, params, body, span })
    }

    fn parameter(&self, pair: Pair<'_, Rule>) -> Parameter {
        let mut children = Children::of(pair);
        let name = self.name(children.required(Rule::name));
        let typed = children.optional(Rule::colon).is_some();
        let ty = typed.then(|| self.type_of(&children.required(Rule::type_name)));
        Parameter { name, ty }
    }

    fn type_name(&self, pair: Pair<'_, Rule>) -> (Type, Span) {
        self.type_of(&Children::of(pair).required(Rule::type_name))
    }

    fn type_of(&self, pair: &Pair<'_, Rule>) -> (Type, Span) {
        let ty = match pair.as_str() {
            "string" => Type::String,
            "double" => Type::Double,
            "stack" => Type::Stack,
            _ => Type::Long,
        };
        (ty, self.span(pair))
    }

    fn probe(&mut self, pair: Pair<'_, Rule>) -> Result<Probe, Failure> {
        let span = self.span(&pair);
        let (mut points, mut body) = (Vec::new(), Vec::new());
        for child in pair.into_inner() {
            match child.as_rule() {
                Rule::point => points.push(self.point(child)?),
                Rule::block => body = self.block(child)?,
                _ => {}
            }
        }
        Ok(Probe { points, body, span })
    }

    fn alias(&mut self, pair: Pair<'_, Rule>) -> Result<Alias, Failure> {
        let span = self.span(&pair);
        let mut children = Children::of(pair);
        let name = children.required(Rule::alias_name);
        let name_span = self.span(&name);
        let name = all(name, Rule::component_name);
        let name = name.map(|part| part.as_str().to_owned()).collect();
        let (mut points, mut blocks, mut append) = (Vec::new(), Vec::new(), false);
        for child in children.0 {
            match child.as_rule() {
                Rule::append => append = true,
                Rule::point => points.push(self.point(child)?),
                Rule::block => blocks.push(self.block(child)?),
                _ => {}
            }
        }
        let mut blocks = blocks.into_iter();
        let prologue = if append { None } else { blocks.next() }.unwrap_or_default();
        let epilogue = blocks.flatten().collect();
        Ok(Alias { name, name_span, points, prologue, epilogue, span })
    }

    fn point(&mut self, pair: Pair<'_, Rule>) -> Result<ProbePoint, Failure> {
        let span = self.span(&pair);
        let mut point = ProbePoint {
            components: Vec::new(),
            demand: Demand::Required,
            condition: None,
            span,
        };
        for child in pair.into_inner() {
            match child.as_rule() {
                Rule::component => point.components.push(self.component(child)?),
                Rule::demand if child.as_str().starts_with('?') => {
                    point.demand = Demand::Optional;
                }
                Rule::demand => point.demand = Demand::Sufficient,
                Rule::point_condition => {
                    let condition = Children::of(child).required(Rule::expression);
                    point.condition = Some(self.expression(condition)?);
                }
                _ => {}
            }
        }
        Ok(point)
    }

    fn component(&mut self, pair: Pair<'_, Rule>) -> Result<Component, Failure> {
        let span = self.span(&pair);
        let (mut name, mut argument) = (String::new(), None);
        for child in pair.into_inner() {
            match child.as_rule() {
                Rule::component_name => name = child.as_str().to_owned(),
                Rule::argument_number => name = self.component_argument(&child)?,
                Rule::point_argument => {
                    let literal =
                        self.literal(Children::of(child).required(Rule::literal))?;
                    argument = Some(arguments::of_point(literal)?);
                }
                _ => {}
            }
        }
        Ok(Component { name, argument, span })
    }

    /// `$1` as a part of a probe point: pasted as a name.
    fn component_argument(&mut self, pair: &Pair<'_, Rule>) -> Result<String, Failure> {
        let span = self.span(pair);
        match self.arguments.token(pair.as_str(), span)? {
            Token::Name(name) => Ok(name),
            _ => Err(Box::new(
                Diagnostic::new(
                    Code::BadArgument,
                    span,
                    "a part of a probe point must be a name",
                )
                .label("pasted here")
                .help("numbers and strings stand in parentheses: `process.data($1)`"),
            )),
        }
    }
}
