//! Types of expressions.

use super::{Infer, Use, both, subject};
use crate::ast::{Expression, ExpressionKind, Operator};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::sema::types::Term;
use crate::typed::{AssignOp, BinaryOp, CompareOp, UnaryOp};
use crate::types::Type;

const LONG: Term = Term::Known(Type::Long);
const STRING: Term = Term::Known(Type::String);

impl Infer<'_, '_> {
    /// The type of an expression, after all in it has been looked at.
    pub(in crate::sema) fn expression(
        &mut self,
        expression: &Expression,
        used: Use,
    ) -> Term {
        match &expression.kind {
            ExpressionKind::Integer(_) => LONG,
            ExpressionKind::Double(_) => Term::Known(Type::Double),
            ExpressionKind::Variable(name) => {
                let found = self.variable(name, expression.span, false, Use::Value);
                self.no_statistics(found, expression.span, name);
                found
            }
            ExpressionKind::Target(_)
            | ExpressionKind::Member(..)
            | ExpressionKind::Subscript(..)
            | ExpressionKind::Dereference(_)
            | ExpressionKind::Address(_) => self.data(expression),
            ExpressionKind::Element { array, keys } => {
                self.mark_read(&array.text);
                self.one_element(keys);
                let found = self.element(array, keys, expression.span);
                self.no_statistics(found, expression.span, &array.text);
                found
            }
            ExpressionKind::Call { function, arguments } => {
                self.call(expression, function, arguments, used)
            }
            ExpressionKind::Unary(UnaryOp::Negate, operand) => {
                let found = self.expression(operand, Use::Value);
                self.number(operand, found, "`-`");
                if self.features.doubles { found } else { LONG }
            }
            ExpressionKind::Unary(UnaryOp::Not, operand) => {
                self.condition(operand, unary_name(UnaryOp::Not));
                LONG
            }
            ExpressionKind::Unary(op, operand) => {
                self.expect(operand, Type::Long, unary_name(*op));
                LONG
            }
            ExpressionKind::Binary(op, left, right) => self.binary(*op, left, right),
            ExpressionKind::Conditional(condition, yes, no) => {
                match self.constant(condition) {
                    Some(true) => self.expression(yes, Use::Value),
                    Some(false) => self.expression(no, Use::Value),
                    None => {
                        self.condition(condition, "`?:`");
                        self.conditional(yes, no)
                    }
                }
            }
            ExpressionKind::In { keys, array } => {
                self.mark_read(&array.text);
                self.element(array, keys, expression.span);
                LONG
            }
            ExpressionKind::Assign { op, place, value } => {
                self.assign(*op, place, value, used)
            }
            ExpressionKind::Increment { place, delta, .. } => {
                let found = self.place(place, used);
                let why = if *delta > 0 { "`++`" } else { "`--`" };
                self.number(place, found, why);
                if self.features.doubles { found } else { LONG }
            }
            _ => self.rare(expression),
        }
    }

    /// Expressions that few scripts have.
    fn rare(&mut self, expression: &Expression) -> Term {
        match &expression.kind {
            ExpressionKind::AnyKey => {
                self.one_element(std::slice::from_ref(expression));
                self.types.fresh()
            }
            ExpressionKind::String(_) => STRING,
            ExpressionKind::Pretty { data, .. } => self.pretty(data),
            ExpressionKind::At { name, arguments, index } => {
                self.at(expression, name, arguments, index.as_deref())
            }
            ExpressionKind::Match { text, regex, .. } => {
                self.expect(text, Type::String, "`=~`");
                self.regex(regex);
                LONG
            }
            ExpressionKind::Accumulate { place, value } => {
                self.accumulate_as_value(expression, place, value);
                LONG
            }
            kind => unreachable!("{kind:?} is looked at elsewhere"),
        }
    }

    fn binary(&mut self, op: Operator, left: &Expression, right: &Expression) -> Term {
        let (operands, result, why) = match op {
            Operator::Compare(op) => {
                let left_type = self.expression(left, Use::Value);
                let right_type = self.expression(right, Use::Value);
                let why = compare_name(op);
                self.comparable((left, left_type), (right, right_type), why);
                return LONG;
            }
            Operator::Arithmetic(op) if is_arithmetic(op) => {
                let left_type = self.expression(left, Use::Value);
                let right_type = self.expression(right, Use::Value);
                let sides = ((left, left_type), (right, right_type));
                return self.arithmetic(sides.0, sides.1, binary_name(op));
            }
            Operator::Arithmetic(op) => (Type::Long, LONG, binary_name(op)),
            Operator::And => return self.logical(left, right, false, "`&&`"),
            Operator::Or => return self.logical(left, right, true, "`||`"),
            Operator::Concat if self.member_by_dot(left, right) => return STRING,
            Operator::Concat => (Type::String, STRING, "`.`"),
        };
        if self.expect(left, operands, why) {
            self.expect(right, operands, why);
        } else {
            // The operator is not the one that was meant: one error will do.
            self.expression(right, Use::Value);
        }
        result
    }

    /// `&&`, or `||` where true decides it.
    fn logical(
        &mut self,
        left: &Expression,
        right: &Expression,
        decides: bool,
        why: &'static str,
    ) -> Term {
        // What `@defined` decides, the other side does not matter for.
        if [left, right].iter().any(|side| self.constant(side) == Some(decides)) {
            return LONG;
        }
        if self.condition(left, why) {
            self.condition(right, why);
        } else {
            self.expression(right, Use::Value);
        }
        LONG
    }

    fn conditional(&mut self, yes: &Expression, no: &Expression) -> Term {
        let yes_type = self.expression(yes, Use::Value);
        let no_type = self.expression(no, Use::Value);
        let sides = (self.types.resolve(yes_type), self.types.resolve(no_type));
        if let (Some(Type::Stack), Some(Type::String))
        | (Some(Type::String), Some(Type::Stack)) = sides
        {
            return STRING;
        }
        if let Err(conflict) = self.types.unify(yes_type, no_type, no.span) {
            let message =
                format!("`?:` gives a {} or a {}", conflict.left, conflict.right);
            self.report.push(
                Diagnostic::new(Code::TypeMismatch, no.span, message)
                    .label(format!("a {}", conflict.right))
                    .related(yes.span, format!("a {}", conflict.left))
                    .help("both sides of `:` must have one type"),
            );
        }
        yes_type
    }

    fn assign(
        &mut self,
        op: Option<AssignOp>,
        place: &Expression,
        value: &Expression,
        used: Use,
    ) -> Term {
        let place_type = self.place(place, used);
        let (ty, why) = match op {
            None => {
                self.assign_plain(place, place_type, value);
                return place_type;
            }
            Some(AssignOp::Binary(op)) if is_arithmetic(op) => {
                let value_type = self.expression(value, Use::Value);
                let why = assign_name(op);
                self.compound((place, place_type), (value, value_type), why);
                return place_type;
            }
            Some(AssignOp::Binary(op)) => (Type::Long, assign_name(op)),
            Some(AssignOp::Concat) => (Type::String, "`.=`"),
        };
        if self.require(place, place_type, ty, why) {
            self.expect(value, ty, why);
        } else {
            self.expression(value, Use::Value);
        }
        place_type
    }

    fn assign_plain(&mut self, place: &Expression, place_type: Term, value: &Expression) {
        let value_type = self.expression(value, Use::Value);
        let Err(conflict) = self.types.flow(place_type, value_type, value.span) else {
            return;
        };
        let name = subject(place).unwrap_or_else(|| "this".to_owned());
        let evidence = self.types.evidence(place_type);
        let mut error = both(&name, conflict, value.span, evidence);
        if let (Some(value_name), Some(span)) =
            (subject(value), self.types.evidence(value_type))
        {
            error =
                error.related(span, format!("{value_name} is a {} here", conflict.right));
        }
        let help = match (conflict.left, conflict.right) {
            (Type::Double, Type::Long) => {
                "write a number with a point, `0.0`; a long becomes a double in `1.0 * n`"
            }
            (Type::Stack, Type::String) => {
                "give the string a variable of its own; a stack becomes a string in it, too"
            }
            _ => "give the two types a variable each",
        };
        self.report.push(error.help(help));
    }
}

/// Whether an operator works on doubles, too.
pub(in crate::sema) fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Divide, Multiply, Remainder, Subtract};
    matches!(op, Add | Subtract | Multiply | Divide | Remainder)
}

fn unary_name(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Negate => "`-`",
        UnaryOp::Not => "`!`",
        UnaryOp::Complement => "`~`",
    }
}

fn binary_name(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "`+`",
        BinaryOp::Subtract => "`-`",
        BinaryOp::Multiply => "`*`",
        BinaryOp::Divide => "`/`",
        BinaryOp::Remainder => "`%`",
        BinaryOp::And => "`&`",
        BinaryOp::Or => "`|`",
        BinaryOp::Xor => "`^`",
        BinaryOp::ShiftLeft => "`<<`",
        BinaryOp::ShiftRight => "`>>`",
        BinaryOp::ShiftRightLogical => "`>>>`",
    }
}

fn assign_name(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "`+=`",
        BinaryOp::Subtract => "`-=`",
        BinaryOp::Multiply => "`*=`",
        BinaryOp::Divide => "`/=`",
        BinaryOp::Remainder => "`%=`",
        BinaryOp::And => "`&=`",
        BinaryOp::Or => "`|=`",
        BinaryOp::Xor => "`^=`",
        BinaryOp::ShiftLeft => "`<<=`",
        BinaryOp::ShiftRight | BinaryOp::ShiftRightLogical => "`>>=`",
    }
}

fn compare_name(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Equal => "`==`",
        CompareOp::NotEqual => "`!=`",
        CompareOp::Less => "`<`",
        CompareOp::LessEqual => "`<=`",
        CompareOp::Greater => "`>`",
        CompareOp::GreaterEqual => "`>=`",
    }
}
