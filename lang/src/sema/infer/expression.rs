//! Types of expressions.

use super::{Infer, Use, both, subject};
use crate::ast::{Expression, ExpressionKind, Name, Operator};
use crate::builtins::{self, Available, Builtin};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::environment::Context;
use crate::parse::foreign::KEYWORDS;
use crate::sema::hints;
use crate::sema::print::{Family, are_given, arguments};
use crate::sema::types::Term;
use crate::span::Span;
use crate::suggest;
use crate::typed::{AssignOp, BinaryOp, CompareOp, UnaryOp};
use crate::types::Type;

const LONG: Term = Term::Known(Type::Long);
const STRING: Term = Term::Known(Type::String);

impl Infer<'_> {
    /// The type of an expression, after all in it has been looked at.
    pub(in crate::sema) fn expression(
        &mut self,
        expression: &Expression,
        used: Use,
    ) -> Term {
        match &expression.kind {
            ExpressionKind::Integer(_) => LONG,
            ExpressionKind::String(_) => STRING,
            ExpressionKind::Variable(name) => {
                self.variable(name, expression.span, false, Use::Value)
            }
            ExpressionKind::Target(name) => self.target(name, expression.span),
            ExpressionKind::Element { array, keys } => {
                self.mark_read(&array.text);
                self.element(array, keys, expression.span)
            }
            ExpressionKind::Call { function, arguments } => {
                self.call(expression, function, arguments, used)
            }
            ExpressionKind::Unary(op, operand) => {
                self.expect(operand, Type::Long, unary_name(*op));
                LONG
            }
            ExpressionKind::Binary(op, left, right) => self.binary(*op, left, right),
            ExpressionKind::Conditional(condition, yes, no) => {
                self.expect(condition, Type::Long, "`?:`");
                self.conditional(yes, no)
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
                self.require(place, found, Type::Long, why);
                LONG
            }
        }
    }

    fn binary(&mut self, op: Operator, left: &Expression, right: &Expression) -> Term {
        let (operands, result, why) = match op {
            Operator::Compare(op) => {
                self.comparison(op, left, right);
                return LONG;
            }
            Operator::Arithmetic(op) => (Type::Long, LONG, binary_name(op)),
            Operator::And => (Type::Long, LONG, "`&&`"),
            Operator::Or => (Type::Long, LONG, "`||`"),
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

    fn comparison(&mut self, op: CompareOp, left: &Expression, right: &Expression) {
        let left_type = self.expression(left, Use::Value);
        let right_type = self.expression(right, Use::Value);
        let Err(conflict) = self.types.unify(left_type, right_type, right.span) else {
            return;
        };
        let name = compare_name(op);
        let message =
            format!("{name} compares a {} with a {}", conflict.left, conflict.right);
        self.report.push(
            Diagnostic::new(Code::TypeMismatch, right.span, message)
                .label(format!("a {}", conflict.right))
                .related(left.span, format!("a {}", conflict.left))
                .help("the number in a string is `strtol(text, 10)`, a number as a string `sprint(number)`"),
        );
    }

    fn conditional(&mut self, yes: &Expression, no: &Expression) -> Term {
        let yes_type = self.expression(yes, Use::Value);
        let no_type = self.expression(no, Use::Value);
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
        let Err(conflict) = self.types.unify(place_type, value_type, value.span) else {
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
        self.report.push(error.help("give the two types a variable each"));
    }

    fn call(
        &mut self,
        call: &Expression,
        function: &Name,
        arguments: &[Expression],
        used: Use,
    ) -> Term {
        if let Some(family) = Family::named(&function.text) {
            return self.print(call, family, arguments, used);
        }
        match builtins::lookup(&function.text) {
            Some(builtin) => self.builtin(call, builtin, arguments, used),
            None => {
                for argument in arguments {
                    self.expression(argument, Use::Value);
                }
                let error = self.unknown_function(function);
                self.report.push(error);
                self.types.fresh()
            }
        }
    }

    fn builtin(
        &mut self,
        call: &Expression,
        builtin: &'static Builtin,
        arguments: &[Expression],
        used: Use,
    ) -> Term {
        let (wanted, given) = (builtin.params.len(), arguments.len());
        if wanted != given {
            self.report.push(argument_count(builtin, given, call.span));
        }
        let why = format!("`{}()`", builtin.name);
        for (at, argument) in arguments.iter().enumerate() {
            match builtin.params.get(at) {
                Some(ty) => {
                    self.expect(argument, *ty, &why);
                }
                None => {
                    self.expression(argument, Use::Value);
                }
            }
        }
        self.check_available(builtin, call.span);
        match builtin.returns {
            Some(ty) => Term::Known(ty),
            None => {
                self.check_value(builtin.name, call.span, used);
                LONG
            }
        }
    }

    fn check_available(&mut self, builtin: &Builtin, span: Span) {
        let Some(place) = &self.handler.place else {
            return;
        };
        if builtin.available == Available::DataProbes && place.context != Context::Data {
            let message =
                format!("`{}()` is not known at `{}`", builtin.name, place.name);
            self.report.push(
                Diagnostic::new(Code::NotAvailableHere, span, message)
                    .label("no data is accessed here")
                    .help("ask it in a data probe and keep it in a global: `probe process.data(\"counter\").write { … }`"),
            );
        }
    }

    /// An error where the value of a function without one is used.
    pub(in crate::sema) fn check_value(&mut self, function: &str, span: Span, used: Use) {
        if used == Use::Value {
            let error = Diagnostic::new(
                Code::NoValue,
                span,
                format!("`{function}()` gives no value"),
            )
            .label("used as a value");
            let help = match Family::named(function) {
                Some(_) => format!(
                    "`s{function}(…)` gives the text; a predicate stands in front: `if (…) {function}(…)`"
                ),
                None => "call it in a statement of its own".to_owned(),
            };
            self.report.push(error.help(help));
        }
    }

    fn unknown_function(&self, function: &Name) -> Diagnostic {
        let name = &function.text;
        if hints::comes_later(name) {
            let message = format!("function `{name}` is not available yet");
            return Diagnostic::new(Code::Unsupported, function.span, message)
                .label("not available yet")
                .help("data probes have `$new`, `$old`, `addr()`, `access()`, `tid()`, `execname()`");
        }
        let message = format!("there is no function `{name}`");
        let mut error = Diagnostic::new(Code::UnknownFunction, function.span, message)
            .label("not known");
        if self.globals.get(name).is_some() {
            return error
                .help(format!("`{name}` is a global; its elements are `{name}[key]`"));
        }
        let known = builtins::names().chain(KEYWORDS.iter().copied());
        let near = suggest::did_you_mean(name, known);
        for help in hints::function(name).map(str::to_owned).into_iter().chain(near) {
            error = error.help(help);
        }
        if error.help.is_empty() {
            error = error.help(
                "functions of your own are not available yet; write the statements out",
            );
        }
        error
    }
}

fn argument_count(builtin: &Builtin, given: usize, span: Span) -> Diagnostic {
    let wanted = builtin.params.len();
    let (wanted, given) = (arguments(wanted), are_given(given));
    let message = format!("`{}()` takes {wanted}, but {given}", builtin.name);
    Diagnostic::new(Code::ArgumentCount, span, message)
        .label(builtin.doc)
        .help(format!("write it like this: `{}`", builtin.example))
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
