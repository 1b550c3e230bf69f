//! Expressions.

use hwtrace_lang::builtins::{Body, Builtin};
use hwtrace_lang::span::Span;
use hwtrace_lang::typed::{AssignOp, Expression, ExpressionKind, Literal, Place};
use hwtrace_runtime::{abi, schema};

use super::super::{BinaryOp, CompareOp, Local, Op, Terminator, Text, Type, Value};
use super::{Builder, Slot};

/// A place whose keys have been evaluated, so that they are not twice.
enum Target {
    Local(Local, Type),
    Long(u32),
    Text(u32),
    Element { array: u32, value: Type, keys: Vec<Value> },
}

impl Builder<'_> {
    /// Evaluates for the effect alone.
    pub(super) fn discard(&mut self, expression: &Expression) {
        match &expression.kind {
            // Nothing reads the old value: one operation instead of two.
            ExpressionKind::Increment { place, delta, .. } => {
                self.add(place, *delta, false, expression.span);
            }
            ExpressionKind::Call(builtin, args) if builtin.returns.is_none() => {
                self.call(builtin, args, expression);
            }
            ExpressionKind::Print { format, args, to_string: false } => {
                self.print(format, args, expression.span);
            }
            _ => {
                self.expression(expression);
            }
        }
    }

    pub(super) fn expressions(&mut self, expressions: &[Expression]) -> Vec<Value> {
        expressions.iter().map(|expression| self.expression(expression)).collect()
    }

    pub(super) fn expression(&mut self, expression: &Expression) -> Value {
        let (span, ty) = (expression.span, expression.ty);
        match &expression.kind {
            ExpressionKind::Literal(literal) => self.literal(literal, span),
            ExpressionKind::Read(place) => {
                let target = self.target(place);
                self.read(&target, span)
            }
            ExpressionKind::Field(name) => self.field(name, ty, span),
            ExpressionKind::Unary(op, operand) => {
                let operand = self.expression(operand);
                self.value(Type::Long, Op::Unary(*op, operand), span)
            }
            ExpressionKind::Binary(op, left, right) => {
                let (left, right) = self.pair(left, right);
                self.value(Type::Long, Op::Binary(*op, left, right), span)
            }
            ExpressionKind::Compare(op, left, right) => {
                self.compare(*op, left, right, span)
            }
            ExpressionKind::And(left, right) => {
                self.short_circuit(left, right, true, span)
            }
            ExpressionKind::Or(left, right) => {
                self.short_circuit(left, right, false, span)
            }
            ExpressionKind::Conditional(condition, yes, no) => {
                self.conditional(condition, yes, no, ty, span)
            }
            ExpressionKind::Concat(left, right) => {
                let (left, right) = self.pair(left, right);
                self.value(Type::String, Op::Concat(left, right), span)
            }
            ExpressionKind::In { array, keys } => {
                let keys = self.expressions(keys);
                let (array, _) = self.array(*array);
                self.value(Type::Long, Op::HasElement(array, keys), span)
            }
            ExpressionKind::Assign { place, op, value } => {
                self.assign(place, *op, value, span)
            }
            ExpressionKind::Increment { place, delta, postfix } => {
                self.add(place, *delta, *postfix, span)
            }
            ExpressionKind::Call(builtin, args) => self.call(builtin, args, expression),
            ExpressionKind::Print { format, args, to_string } => {
                self.print_value(format, args, *to_string, span)
            }
        }
    }

    fn pair(&mut self, left: &Expression, right: &Expression) -> (Value, Value) {
        let left = self.expression(left);
        (left, self.expression(right))
    }

    fn literal(&mut self, literal: &Literal, span: Span) -> Value {
        match literal {
            Literal::Long(value) => self.long(*value, span),
            Literal::String(text) => {
                let text = self.pool.text(text);
                self.value(Type::String, Op::Text(text), span)
            }
        }
    }

    pub(super) fn zero(&mut self, ty: Type, span: Span) -> Value {
        match ty {
            Type::Long => self.long(0, span),
            Type::String => self.value(Type::String, Op::Text(Text::Empty), span),
        }
    }

    fn field(&mut self, name: &str, ty: Type, span: Span) -> Value {
        let Some(field) = schema::field(name) else {
            unreachable!("no field `{name}` in the schema; a test compares the tables")
        };
        self.value(ty, Op::Field(field), span)
    }

    fn compare(
        &mut self,
        op: CompareOp,
        left: &Expression,
        right: &Expression,
        span: Span,
    ) -> Value {
        let text = left.ty == Type::String;
        let (left, right) = self.pair(left, right);
        let op = if text {
            Op::CompareText(op, left, right)
        } else {
            Op::Compare(op, left, right)
        };
        self.value(Type::Long, op, span)
    }

    /// `&&` (where `and`) and `||`: the right side only where it decides.
    fn short_circuit(
        &mut self,
        left: &Expression,
        right: &Expression,
        and: bool,
        span: Span,
    ) -> Value {
        let result = self.local(Type::Long);
        let left = self.expression(left);
        let decided = self.long(i64::from(!and), span);
        self.effect(Op::SetLocal(result, decided), span);
        let (more, after) = (self.block(), self.block());
        let (yes, no) = if and { (more, after) } else { (after, more) };
        self.end(Terminator::Branch(left, yes, no));
        self.go_on_in(more);
        let right = self.expression(right);
        let zero = self.long(0, span);
        let right =
            self.value(Type::Long, Op::Compare(CompareOp::NotEqual, right, zero), span);
        self.effect(Op::SetLocal(result, right), span);
        self.end(Terminator::Jump(after));
        self.go_on_in(after);
        self.value(Type::Long, Op::GetLocal(result), span)
    }

    fn conditional(
        &mut self,
        condition: &Expression,
        yes: &Expression,
        no: &Expression,
        ty: Type,
        span: Span,
    ) -> Value {
        let result = self.local(ty);
        let condition = self.expression(condition);
        let (then, otherwise, after) = (self.block(), self.block(), self.block());
        self.end(Terminator::Branch(condition, then, otherwise));
        for (block, side) in [(then, yes), (otherwise, no)] {
            self.go_on_in(block);
            let value = self.expression(side);
            self.effect(Op::SetLocal(result, value), span);
            self.end(Terminator::Jump(after));
        }
        self.go_on_in(after);
        self.value(ty, Op::GetLocal(result), span)
    }

    fn target(&mut self, place: &Place) -> Target {
        match place {
            Place::Local(local) => {
                Target::Local((*local).into(), self.handler.locals[local.0 as usize])
            }
            Place::Global(global) => match self.slot(*global) {
                Slot::Long(slot) => Target::Long(slot),
                Slot::Text(slot) => Target::Text(slot),
                Slot::Array(..) => unreachable!("the checker refuses arrays as values"),
            },
            Place::Element { array, keys } => {
                let keys = self.expressions(keys);
                let (array, value) = self.array(*array);
                Target::Element { array, value, keys }
            }
        }
    }

    fn read(&mut self, target: &Target, span: Span) -> Value {
        match target {
            Target::Local(local, ty) => self.value(*ty, Op::GetLocal(*local), span),
            Target::Long(slot) => self.value(Type::Long, Op::GetLong(*slot), span),
            Target::Text(slot) => self.value(Type::String, Op::GetText(*slot), span),
            Target::Element { array, value, keys } => {
                self.value(*value, Op::GetElement(*array, keys.clone()), span)
            }
        }
    }

    fn write(&mut self, target: Target, value: Value, span: Span) {
        let op = match target {
            Target::Local(local, _) => Op::SetLocal(local, value),
            Target::Long(slot) => Op::SetLong(slot, value),
            Target::Text(slot) => Op::SetText(slot, value),
            Target::Element { array, keys, .. } => Op::SetElement(array, keys, value),
        };
        self.effect(op, span);
    }

    fn assign(
        &mut self,
        place: &Place,
        op: Option<AssignOp>,
        value: &Expression,
        span: Span,
    ) -> Value {
        let target = self.target(place);
        // The keys first, then the right side, and the place is read last:
        // one rule for all forms, also where the right side changes the place.
        let right = self.expression(value);
        let result = match op {
            None => right,
            Some(AssignOp::Binary(BinaryOp::Add))
                if matches!(target, Target::Element { .. }) =>
            {
                return self.add_value(target, right, span);
            }
            Some(AssignOp::Binary(op)) => {
                let left = self.read(&target, span);
                self.value(Type::Long, Op::Binary(op, left, right), span)
            }
            Some(AssignOp::Concat) => {
                let left = self.read(&target, span);
                self.value(Type::String, Op::Concat(left, right), span)
            }
        };
        self.write(target, result, span);
        result
    }

    /// Adds to a place; gives the value before (`postfix`) or after.
    fn add(&mut self, place: &Place, delta: i64, postfix: bool, span: Span) -> Value {
        let target = self.target(place);
        let amount = self.long(delta, span);
        let sum = self.add_value(target, amount, span);
        if postfix {
            return self.value(
                Type::Long,
                Op::Binary(BinaryOp::Subtract, sum, amount),
                span,
            );
        }
        sum
    }

    /// Adds to a place; gives the sum. An element is looked up once.
    fn add_value(&mut self, target: Target, amount: Value, span: Span) -> Value {
        if let Target::Element { array, keys, .. } = target {
            return self.value(Type::Long, Op::AddElement(array, keys, amount), span);
        }
        let old = self.read(&target, span);
        let sum = self.value(Type::Long, Op::Binary(BinaryOp::Add, old, amount), span);
        self.write(target, sum, span);
        sum
    }

    fn call(
        &mut self,
        builtin: &Builtin,
        args: &[Expression],
        call: &Expression,
    ) -> Value {
        let helper = match builtin.body {
            Body::Field(name) => return self.field(name, call.ty, call.span),
            Body::Helper(name) => abi::helper(name),
        };
        let Some(helper) = helper else {
            unreachable!("no helper for `{}`; a test compares the tables", builtin.name)
        };
        let args = self.expressions(args);
        if builtin.returns.is_some() {
            return self.value(call.ty, Op::Call(helper, args), call.span);
        }
        self.effect(Op::Call(helper, args), call.span);
        self.long(0, call.span)
    }
}
