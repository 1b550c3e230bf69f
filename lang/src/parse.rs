//! Text to [`ast::Script`](crate::ast::Script). The only file that knows pest.
//!
//! A script passes three sieves: `scan` finds tokens, items and brackets,
//! `foreign` answers what is recognised but no hwt, and the grammar in
//! `script.pest` parses what is left, one item at a time. Names are not
//! resolved at this stage.

mod arguments;
mod error;
pub(crate) mod foreign;
mod literal;
mod operator;
mod scan;

use std::num::NonZeroUsize;
use std::sync::{LazyLock, Once};

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::{Pair, Pairs};
use pest::pratt_parser::{Assoc, Op, PrattParser};

use crate::ast::{
    Component, Direction, Expression, ExpressionKind, Foreach, ForeachKey, Global, Item,
    Name, Probe, ProbePoint, Script, Statement, StatementKind,
};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::span::{Source, Span};
use crate::typed::UnaryOp;
use arguments::{Arguments, Token};
use literal::TextBuilder;

/// Statements, parentheses and operators may be nested this deep together; the
/// stages behind recurse and rely on it.
const DEPTH_MAX: usize = 128;

/// Longer scripts are refused.
const SCRIPT_LEN_MAX: usize = 4 << 20;

/// Steps that pest may take for one item: a second or so, and some 300 kB of
/// dense text.
const CALLS_MAX: usize = 20_000_000;

/// Errors beyond this number help nobody.
const ERRORS_MAX: usize = 50;

type Failure = Box<Diagnostic>;

/// What pest makes of the grammar; private to this file.
mod grammar {
    #![allow(missing_docs)]
    #[derive(pest_derive::Parser)]
    #[grammar = "script.pest"]
    pub(super) struct Grammar;
}
use grammar::{Grammar, Rule};

/// The value of a number outside a script, perhaps negative.
pub(crate) fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (digits, sign) = match text.strip_prefix('-') {
        Some(digits) => (digits, -1),
        None => (text, 1),
    };
    let value: i64 = literal::integer(digits, Span::default()).ok()?;
    Some(value.wrapping_mul(sign))
}

/// Parses a script; `$1` and its like become `arguments`.
///
/// # Errors
/// All that can be told of the text at once: at least one error for each item
/// that does not parse, and script arguments missing or left over.
///
/// ```
/// use hwtrace_lang::{parse::parse, span::Source};
/// let source = Source::new("<command line>", "probe begin { println($1) }");
/// let script = parse(&source, &["42".to_owned()]).unwrap();
/// assert_eq!(script.items.len(), 1);
/// assert!(parse(&source, &[]).is_err());
/// ```
pub fn parse(source: &Source, arguments: &[String]) -> Result<Script, Vec<Diagnostic>> {
    let text = source.text.as_str();
    if text.len() > SCRIPT_LEN_MAX {
        return Err(vec![error::too_long(text.len(), SCRIPT_LEN_MAX)]);
    }
    let tokens = scan::tokens(text).map_err(|error| vec![*error])?;
    let mut builder = Builder { base: 0, depth: 0, arguments: Arguments::new(arguments) };
    let mut script = Script::default();
    let mut errors = Vec::new();
    for item in scan::items(text, &tokens) {
        match parse_item(text, &item, &tokens[item.tokens.clone()], &mut builder) {
            Ok(items) => script.items.extend(items),
            Err(found) => errors.extend(found),
        }
        if errors.len() >= ERRORS_MAX {
            break;
        }
    }
    if errors.is_empty() {
        errors = builder.arguments.left_over();
    }
    errors.truncate(ERRORS_MAX);
    if errors.is_empty() { Ok(script) } else { Err(errors) }
}

fn parse_item(
    text: &str,
    item: &scan::Item,
    tokens: &[scan::Token],
    builder: &mut Builder<'_>,
) -> Result<Vec<Item>, Vec<Diagnostic>> {
    let found = foreign::find(text, item, tokens);
    if !found.is_empty() {
        return Err(found);
    }
    scan::check_nesting(text, tokens).map_err(|error| vec![*error])?;
    if item.kind == scan::ItemKind::Stray {
        return Err(vec![error::stray(text, tokens)]);
    }
    // An item is a run of tokens and never empty.
    let span = tokens[0].span.to(tokens[tokens.len() - 1].span);
    let pairs = run_grammar(text, span, tokens).map_err(|error| vec![*error])?;
    builder.base = span.range().start;
    builder.depth = 0;
    builder.items(pairs).map_err(|error| vec![*error])
}

/// Runs pest over one item.
fn run_grammar<'a>(
    text: &'a str,
    span: Span,
    tokens: &[scan::Token],
) -> Result<Pairs<'a, Rule>, Failure> {
    static LIMIT: Once = Once::new();
    // The limit belongs to the process; each parse counts from 0.
    LIMIT.call_once(|| pest::set_call_limit(NonZeroUsize::new(CALLS_MAX)));
    Grammar::parse(Rule::item, &text[span.range()]).map_err(|error| {
        let offset = match error.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
        };
        Box::new(match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => {
                let expected: Vec<&str> =
                    positives.iter().filter_map(|rule| words(*rule)).collect();
                error::unexpected(text, tokens, span.range().start + offset, &expected)
            }
            // Only the limits of pest itself speak in sentences.
            ErrorVariant::CustomError { .. } => error::item_too_long(span),
        })
    })
}

/// A rule as people say it; none for what nobody needs to be told.
#[rustfmt::skip]
fn words(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::expression | Rule::expressions | Rule::primary | Rule::parentheses
        | Rule::tuple_in | Rule::call | Rule::element | Rule::variable | Rule::target
        | Rule::for_first | Rule::for_condition | Rule::for_step => "an expression",
        Rule::statement | Rule::if_statement | Rule::while_statement | Rule::for_statement
        | Rule::foreach_statement | Rule::jump | Rule::delete | Rule::empty
        | Rule::expression_statement | Rule::kw_if | Rule::kw_while | Rule::kw_for
        | Rule::kw_foreach | Rule::kw_break | Rule::kw_continue | Rule::kw_next
        | Rule::kw_return | Rule::kw_delete => "a statement",
        Rule::assign_op | Rule::or_or | Rule::and_and | Rule::bit_or | Rule::bit_xor
        | Rule::bit_and | Rule::equal | Rule::not_equal | Rule::less_equal
        | Rule::greater_equal | Rule::less | Rule::greater | Rule::shift_left
        | Rule::shift_right | Rule::shift_right_logical | Rule::star | Rule::slash
        | Rule::percent | Rule::question | Rule::conditional | Rule::in_array => "an operator",
        Rule::probe | Rule::kw_probe => "`probe`",
        Rule::globals | Rule::kw_global => "`global`",
        Rule::item | Rule::EOI => "`probe` or `global`",
        Rule::point | Rule::component | Rule::component_name => "a probe point",
        Rule::point_argument | Rule::literal | Rule::size | Rule::integer
        | Rule::argument_number => "a number",
        Rule::strings | Rule::string | Rule::argument_string
        | Rule::argument_count_string => "a string",
        Rule::global | Rule::name | Rule::ident_char | Rule::foreach_key
        | Rule::foreach_value => "a name",
        Rule::block | Rule::open_brace => "`{`",
        Rule::close_brace => "`}`",
        Rule::open => "`(`",
        Rule::close => "`)`",
        Rule::open_square => "`[`",
        Rule::close_square => "`]`",
        Rule::comma => "`,`",
        Rule::semicolon => "`;`",
        Rule::colon => "`:`",
        Rule::assign => "`=`",
        Rule::dot => "`.`",
        Rule::kw_in => "`in`",
        Rule::foreach_limit | Rule::kw_limit => "`limit`",
        // Signs that can begin an expression go without saying.
        Rule::increment | Rule::decrement | Rule::increase | Rule::decrease | Rule::minus
        | Rule::plus | Rule::negate | Rule::affirm | Rule::not | Rule::complement
        | Rule::direction | Rule::kw_else => return None,
        // Silent, or inside of others.
        Rule::WHITESPACE | Rule::COMMENT | Rule::keyword | Rule::operand | Rule::infix
        | Rule::prefix | Rule::postfix => return None,
    })
}

/// Precedences, lowest first.
static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    use Assoc::{Left, Right};
    let infix = Op::infix;
    PrattParser::new()
        .op(infix(Rule::assign, Right) | infix(Rule::assign_op, Right))
        .op(infix(Rule::conditional, Right))
        .op(infix(Rule::or_or, Left))
        .op(infix(Rule::and_and, Left))
        .op(infix(Rule::bit_or, Left))
        .op(infix(Rule::bit_xor, Left))
        .op(infix(Rule::bit_and, Left))
        .op(Op::postfix(Rule::in_array))
        .op(infix(Rule::equal, Left)
            | infix(Rule::not_equal, Left)
            | infix(Rule::less, Left)
            | infix(Rule::less_equal, Left)
            | infix(Rule::greater, Left)
            | infix(Rule::greater_equal, Left))
        .op(infix(Rule::shift_left, Left)
            | infix(Rule::shift_right, Left)
            | infix(Rule::shift_right_logical, Left))
        .op(infix(Rule::dot, Left))
        .op(infix(Rule::plus, Left) | infix(Rule::minus, Left))
        .op(infix(Rule::star, Left)
            | infix(Rule::slash, Left)
            | infix(Rule::percent, Left))
        .op(Op::prefix(Rule::negate)
            | Op::prefix(Rule::affirm)
            | Op::prefix(Rule::not)
            | Op::prefix(Rule::complement))
        .op(Op::prefix(Rule::increase)
            | Op::prefix(Rule::decrease)
            | Op::postfix(Rule::increment)
            | Op::postfix(Rule::decrement))
});

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

/// Builds the tree out of pest's pairs.
struct Builder<'a> {
    /// Where the text that pest saw begins in the script.
    base: usize,
    /// How deep the node in work is nested.
    depth: usize,
    arguments: Arguments<'a>,
}

impl Builder<'_> {
    /// From the first to the last token; pest's own span of a rule may end in
    /// the white space behind it.
    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let start = pair.as_span().start();
        let mut last = pair.clone();
        while let Some(inner) = last.clone().into_inner().next_back() {
            last = inner;
        }
        Span::new(self.base + start, self.base + last.as_span().end())
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

    fn items(&mut self, pairs: Pairs<'_, Rule>) -> Result<Vec<Item>, Failure> {
        let mut items = Vec::new();
        for pair in pairs {
            match pair.as_rule() {
                Rule::probe => items.push(Item::Probe(self.probe(pair)?)),
                Rule::globals => {
                    for global in
                        pair.into_inner().filter(|it| it.as_rule() == Rule::global)
                    {
                        items.push(Item::Global(self.global(global)?));
                    }
                }
                _ => {}
            }
        }
        Ok(items)
    }

    fn global(&mut self, pair: Pair<'_, Rule>) -> Result<Global, Failure> {
        let mut children = Children::of(pair);
        let name = self.name(children.required(Rule::name));
        let (mut size, mut initial) = (None, None);
        for child in children.0 {
            match child.as_rule() {
                Rule::size => size = Some(self.size(child)?),
                Rule::literal => initial = Some(self.literal(child)?),
                _ => {}
            }
        }
        Ok(Global { name, size, initial })
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
            ExpressionKind::Variable(name) => {
                return Err(arguments::not_a_literal(name, span));
            }
            _ => {}
        }
        Ok(Expression { kind: literal, span })
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

    fn point(&mut self, pair: Pair<'_, Rule>) -> Result<ProbePoint, Failure> {
        let span = self.span(&pair);
        let parts = pair.into_inner().filter(|child| child.as_rule() == Rule::component);
        let components =
            parts.map(|part| self.component(part)).collect::<Result<_, _>>()?;
        Ok(ProbePoint { components, span })
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
                    argument = Some(arguments::of_point(literal));
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

    fn name(&self, pair: Pair<'_, Rule>) -> Name {
        Name { text: pair.as_str().to_owned(), span: self.span(&pair) }
    }

    fn block(&mut self, pair: Pair<'_, Rule>) -> Result<Vec<Statement>, Failure> {
        let statements =
            pair.into_inner().filter(|child| child.as_rule() == Rule::statement);
        statements.map(|statement| self.statement(statement)).collect()
    }

    fn statement(&mut self, pair: Pair<'_, Rule>) -> Result<Statement, Failure> {
        let span = self.span(&pair);
        let Some(inner) = pair.into_inner().next() else {
            unreachable!("a statement has a kind")
        };
        let kind = self.deeper(1, span, |this| match inner.as_rule() {
            Rule::empty => Ok(StatementKind::Empty),
            Rule::block => this.block(inner).map(StatementKind::Block),
            Rule::if_statement => this.if_statement(inner),
            Rule::while_statement => this.while_statement(inner),
            Rule::for_statement => this.for_statement(inner),
            Rule::foreach_statement => this.foreach_statement(inner),
            Rule::jump => Ok(jump(&inner)),
            Rule::delete => {
                let operand = Children::of(inner).required(Rule::expression);
                this.expression(operand)
                    .and_then(operator::place)
                    .map(StatementKind::Delete)
            }
            _ => {
                let expression = Children::of(inner).required(Rule::expression);
                this.expression(expression).map(StatementKind::Expression)
            }
        })?;
        Ok(Statement { kind, span })
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
        let array = self.name(children.required(Rule::name));
        let order = children.optional(Rule::direction).map(|pair| self.direction(&pair));
        let limit = children.optional(Rule::foreach_limit);
        let limit = limit
            .map(|pair| self.expression(Children::of(pair).required(Rule::expression)));
        let limit = limit.transpose()?;
        let body = self.statement(children.required(Rule::statement))?;
        let foreach = Foreach { value, keys, array, order, limit, body };
        Ok(StatementKind::Foreach(Box::new(foreach)))
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

    fn expressions(&mut self, pair: Pair<'_, Rule>) -> Result<Vec<Expression>, Failure> {
        let expressions =
            pair.into_inner().filter(|child| child.as_rule() == Rule::expression);
        expressions.map(|expression| self.expression(expression)).collect()
    }

    /// An expression: pest gave a flat list, the precedences make it a tree.
    fn expression(&mut self, pair: Pair<'_, Rule>) -> Result<Expression, Failure> {
        let span = self.span(&pair);
        // Each operator can make the tree one level deeper.
        let operators = pair.clone().into_inner().filter(|it| !is_primary(it.as_rule()));
        let levels = operators.count() + 1;
        self.deeper(levels, span, |this| {
            let builder = std::cell::RefCell::new(this);
            PRATT
                .map_primary(|pair| builder.borrow_mut().primary(pair))
                .map_prefix(|op, operand| builder.borrow().prefix(&op, operand?))
                .map_postfix(|operand, op| builder.borrow().postfix(operand?, op))
                .map_infix(|left, op, right| {
                    builder.borrow_mut().infix(left?, op, right?)
                })
                .parse(pair.into_inner())
        })
    }

    fn primary(&mut self, pair: Pair<'_, Rule>) -> Result<Expression, Failure> {
        let span = self.span(&pair);
        if pair.as_rule() == Rule::parentheses {
            // They leave no trace but their place.
            let inside =
                self.expression(Children::of(pair).required(Rule::expression))?;
            return Ok(Expression { kind: inside.kind, span });
        }
        Ok(Expression { kind: self.primary_kind(pair)?, span })
    }

    fn primary_kind(&mut self, pair: Pair<'_, Rule>) -> Result<ExpressionKind, Failure> {
        let span = self.span(&pair);
        let text = pair.as_str().trim_end();
        Ok(match pair.as_rule() {
            Rule::integer => ExpressionKind::Integer(literal::integer(text, span)?),
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
                let list = children.0.find(|child| child.as_rule() == Rule::expressions);
                let arguments = list.map(|list| self.expressions(list)).transpose()?;
                ExpressionKind::Call {
                    function,
                    arguments: arguments.unwrap_or_default(),
                }
            }
            Rule::element => {
                let mut children = Children::of(pair);
                let array = self.name(children.required(Rule::name));
                let keys = self.expressions(children.required(Rule::expressions))?;
                ExpressionKind::Element { array, keys }
            }
            Rule::tuple_in => {
                let mut children = Children::of(pair);
                let keys = self.expressions(children.required(Rule::expressions))?;
                let array = self.name(children.required(Rule::name));
                ExpressionKind::In { keys, array }
            }
            rule => unreachable!("{rule:?} is no primary"),
        })
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
                    text.push_literal(inside, span.range().start + 1)?;
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
            _ => operator::increment(op.as_str(), operand, false)?,
        };
        Ok(Expression { kind, span })
    }

    fn postfix(
        &self,
        operand: Expression,
        op: Pair<'_, Rule>,
    ) -> Result<Expression, Failure> {
        let span = operand.span.to(self.span(&op));
        let kind = match op.as_rule() {
            Rule::in_array => {
                let array = self.name(Children::of(op).required(Rule::name));
                ExpressionKind::In { keys: vec![operand], array }
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
            _ => {
                let op = operator::infix(op.as_str());
                ExpressionKind::Binary(op, Box::new(left), Box::new(right))
            }
        };
        Ok(Expression { kind, span })
    }
}

fn is_primary(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::parentheses
            | Rule::tuple_in
            | Rule::strings
            | Rule::integer
            | Rule::call
            | Rule::element
            | Rule::variable
            | Rule::target
            | Rule::argument_number
    )
}

fn jump(pair: &Pair<'_, Rule>) -> StatementKind {
    match pair.clone().into_inner().next().map(|word| word.as_rule()) {
        Some(Rule::kw_break) => StatementKind::Break,
        Some(Rule::kw_continue) => StatementKind::Continue,
        _ => StatementKind::Next,
    }
}

#[cfg(test)]
mod tests;
