//! Operators: from their spelling to their meaning.

use crate::ast::{Expression, ExpressionKind, Operator};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::typed::{AssignOp, BinaryOp, CompareOp};

/// The operator with two operands that is spelled `text`.
pub(super) fn infix(text: &str) -> Operator {
    use Operator::{Arithmetic, Compare};
    match text {
        "||" => Operator::Or,
        "&&" => Operator::And,
        "." => Operator::Concat,
        "==" => Compare(CompareOp::Equal),
        "!=" => Compare(CompareOp::NotEqual),
        "<" => Compare(CompareOp::Less),
        "<=" => Compare(CompareOp::LessEqual),
        ">" => Compare(CompareOp::Greater),
        ">=" => Compare(CompareOp::GreaterEqual),
        text => match arithmetic(text) {
            Some(op) => Arithmetic(op),
            None => unreachable!("the grammar has no infix operator {text}"),
        },
    }
}

fn arithmetic(text: &str) -> Option<BinaryOp> {
    Some(match text {
        "+" => BinaryOp::Add,
        "-" => BinaryOp::Subtract,
        "*" => BinaryOp::Multiply,
        "/" => BinaryOp::Divide,
        "%" => BinaryOp::Remainder,
        "&" => BinaryOp::And,
        "|" => BinaryOp::Or,
        "^" => BinaryOp::Xor,
        "<<" => BinaryOp::ShiftLeft,
        ">>" => BinaryOp::ShiftRight,
        ">>>" => BinaryOp::ShiftRightLogical,
        _ => return None,
    })
}

/// What the assignment spelled `text` does before it assigns; nothing for `=`.
pub(super) fn assignment(text: &str) -> Option<AssignOp> {
    match text.strip_suffix('=')? {
        "." => Some(AssignOp::Concat),
        op => arithmetic(op).map(AssignOp::Binary),
    }
}

/// `+x` is x, but only of a long: the same as adding nothing.
pub(super) fn affirm(operand: Expression) -> ExpressionKind {
    let zero = Expression { kind: ExpressionKind::Integer(0), span: operand.span };
    let add = Operator::Arithmetic(BinaryOp::Add);
    ExpressionKind::Binary(add, Box::new(zero), Box::new(operand))
}

/// `++` and `--`.
///
/// # Errors
/// The operand can not be assigned to.
pub(super) fn increment(
    text: &str,
    operand: Expression,
    postfix: bool,
) -> Result<ExpressionKind, Box<Diagnostic>> {
    let delta = if text == "++" { 1 } else { -1 };
    Ok(ExpressionKind::Increment { place: Box::new(place(operand)?), delta, postfix })
}

/// Lets pass what can be assigned to.
///
/// # Errors
/// The expression is neither a variable nor an element nor data of the target.
pub(super) fn place(expression: Expression) -> Result<Expression, Box<Diagnostic>> {
    use ExpressionKind::{At, Dereference, Element, Member, Subscript, Target, Variable};
    match expression.kind {
        Variable(_) | Element { .. } => Ok(expression),
        // Refused with a better reason where it is known what they are.
        Target(_) | Member(..) | Subscript(..) | Dereference(_) => Ok(expression),
        At { ref name, .. } if matches!(&*name.text, "cast" | "var") => Ok(expression),
        _ => Err(Box::new(
            Diagnostic::new(Code::NotAssignable, expression.span, "this can not be changed")
                .label("neither a variable nor an element of an array")
                .help("compare with `==`; put an assignment inside an expression into parentheses"),
        )),
    }
}
