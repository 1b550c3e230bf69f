//! pest: the parser made of `script.pest`, its rules in words, precedences.

use std::num::NonZeroUsize;
use std::sync::{LazyLock, Once};

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::Pairs;
use pest::pratt_parser::{Assoc, Op, PrattParser};

use super::{error, scan};
use crate::diagnostic::Diagnostic;
use crate::span::Span;

/// Steps that pest may take for one item: a second or so, and some 300 kB of
/// dense text.
const CALLS_MAX: usize = 20_000_000;

/// What pest makes of the grammar; private to the parser.
mod generated {
    #![allow(missing_docs, unreachable_pub)]
    #[derive(pest_derive::Parser)]
    #[grammar = "script.pest"]
    pub(super) struct Grammar;
}
use generated::Grammar;
pub(super) use generated::Rule;

/// Runs pest over one item.
pub(super) fn run<'a>(
    text: &'a str,
    span: Span,
    tokens: &[scan::Token],
) -> Result<Pairs<'a, Rule>, Box<Diagnostic>> {
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
        | Rule::tuple_in | Rule::call | Rule::at_call | Rule::keys | Rule::at_name | Rule::element | Rule::variable | Rule::target
        | Rule::for_first | Rule::for_condition | Rule::for_step => "an expression",
        Rule::statement | Rule::if_statement | Rule::while_statement | Rule::for_statement
        | Rule::foreach_statement | Rule::jump | Rule::delete | Rule::empty
        | Rule::expression_statement | Rule::kw_if | Rule::kw_while | Rule::kw_for
        | Rule::kw_foreach | Rule::kw_break | Rule::kw_continue | Rule::kw_next
        | Rule::kw_return | Rule::kw_delete | Rule::try_statement | Rule::kw_try
        | Rule::return_statement => "a statement",
        Rule::assign_op | Rule::or_or | Rule::and_and | Rule::bit_or | Rule::bit_xor
        | Rule::bit_and | Rule::equal | Rule::not_equal | Rule::less_equal
        | Rule::greater_equal | Rule::less | Rule::greater | Rule::shift_left
        | Rule::shift_right | Rule::shift_right_logical | Rule::star | Rule::slash
        | Rule::percent | Rule::question | Rule::conditional | Rule::accumulate
        | Rule::matches | Rule::matches_not | Rule::in_array | Rule::member
        | Rule::subscript | Rule::open_subscript | Rule::arrow => "an operator",
        Rule::probe | Rule::kw_probe => "`probe`",
        Rule::globals | Rule::kw_global => "`global`",
        Rule::function | Rule::kw_function => "`function`",
        Rule::item | Rule::EOI => "`probe`, `global` or `function`",
        Rule::point | Rule::component | Rule::component_name => "a probe point",
        Rule::type_name => "`long`, `string`, `double` or `stack`",
        Rule::kw_catch => "`catch`",
        Rule::point_argument | Rule::literal | Rule::size | Rule::integer | Rule::double
        | Rule::argument_number => "a number",
        Rule::strings | Rule::string | Rule::argument_string
        | Rule::argument_count_string => "a string",
        Rule::global | Rule::name | Rule::member_name | Rule::ident_char | Rule::foreach_key
        | Rule::foreach_value | Rule::parameter => "a name",
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
        | Rule::dereference | Rule::address | Rule::pretty
        | Rule::direction | Rule::kw_else | Rule::bang | Rule::any_key => return None,
        // What few write behind a probe point or a name.
        Rule::alias | Rule::alias_name | Rule::append | Rule::alias_is | Rule::demand | Rule::optional | Rule::kw_point_if
        | Rule::point_condition | Rule::foreach_slice | Rule::foreach_by | Rule::kw_private
        | Rule::result_type | Rule::priority => return None,
        // Silent, or inside of others.
        Rule::WHITESPACE | Rule::COMMENT | Rule::keyword | Rule::operand | Rule::infix
        | Rule::prefix | Rule::part | Rule::component_choice
        | Rule::exponent | Rule::key => return None,
    })
}

/// Precedences, lowest first.
pub(super) static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    use Assoc::{Left, Right};
    let infix = Op::infix;
    PrattParser::new()
        .op(infix(Rule::assign, Right)
            | infix(Rule::assign_op, Right)
            | infix(Rule::accumulate, Right))
        .op(infix(Rule::conditional, Right))
        .op(infix(Rule::or_or, Left))
        .op(infix(Rule::and_and, Left))
        .op(infix(Rule::bit_or, Left))
        .op(infix(Rule::bit_xor, Left))
        .op(infix(Rule::bit_and, Left))
        .op(Op::postfix(Rule::in_array))
        .op(infix(Rule::equal, Left)
            | infix(Rule::not_equal, Left)
            | infix(Rule::matches, Left)
            | infix(Rule::matches_not, Left)
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
            | Op::prefix(Rule::complement)
            | Op::prefix(Rule::dereference)
            | Op::prefix(Rule::address))
        .op(Op::prefix(Rule::increase)
            | Op::prefix(Rule::decrease)
            | Op::postfix(Rule::increment)
            | Op::postfix(Rule::decrement))
        .op(Op::postfix(Rule::member)
            | Op::postfix(Rule::subscript)
            | Op::postfix(Rule::pretty))
});

/// Whether a child of an expression is an operand.
pub(super) fn is_primary(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::parentheses
            | Rule::tuple_in
            | Rule::strings
            | Rule::double
            | Rule::integer
            | Rule::at_call
            | Rule::call
            | Rule::element
            | Rule::variable
            | Rule::target
            | Rule::argument_number
    )
}
