//! Expressions.

use hwtrace_lang::builtins::{Body, Builtin, Topic};
use hwtrace_lang::span::Span;
use hwtrace_lang::typed::{AssignOp, Expression, ExpressionKind, Literal, Place};
use hwtrace_runtime::abi::{self, registers};
use hwtrace_runtime::schema;

use super::super::{
    BinaryOp, CompareOp, Load, Local, Op, Slice, Space, Terminator, Text, Type, UnaryOp,
    Value,
};
use super::{Builder, Slot};

/// A place whose keys have been evaluated, so that they are not twice.
enum Target {
    Local(Local, Type),
    Scalar(u32, Type),
    Text(u32),
    Element { array: u32, value: Type, keys: Vec<Value> },
}

impl Target {
    fn ty(&self) -> Type {
        match self {
            Self::Local(_, ty) | Self::Scalar(_, ty) => *ty,
            Self::Text(_) => Type::String,
            Self::Element { value, .. } => *value,
        }
    }
}

fn contains(array: u32, slice: Slice) -> Op {
    match slice.iter().copied().collect() {
        Some(keys) => Op::HasElement(array, keys),
        None => Op::HasMatch(array, slice),
    }
}

/// A call of a helper that no builtin is called like.
pub(super) fn helper(name: &str, args: Vec<Value>) -> Op {
    match abi::helper(name) {
        Some(helper) => Op::Call(helper, args),
        None => unreachable!("no helper `{name}`; tests run each of them"),
    }
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
            ExpressionKind::Unary(op, operand) => self.unary(*op, operand, span),
            ExpressionKind::Binary(op, left, right) => {
                let (left, right) = self.pair(left, right);
                self.binary(*op, ty, left, right, span)
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
            ExpressionKind::Match { text, regex, negated } => {
                self.matches(text, regex, *negated, span)
            }
            ExpressionKind::ToDouble(operand) => {
                let operand = self.expression(operand);
                self.value(Type::Double, Op::ToDouble(operand), span)
            }
            ExpressionKind::In { array, keys } => {
                let slice = self.slice(keys);
                let (array, _) = self.array(*array);
                self.value(Type::Long, contains(array, slice), span)
            }
            ExpressionKind::Extract { extractor, place } => {
                self.extract(*extractor, place, span)
            }
            ExpressionKind::Percentile { place, percentage } => {
                self.percentile(place, percentage, span)
            }
            ExpressionKind::Bucket { place, histogram, index } => {
                self.bucket(place, *histogram, index, span)
            }
            ExpressionKind::CallFunction(function, args) => {
                self.call_function(function.0, args, span)
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
            _ => self.data(expression),
        }
    }

    fn pair(&mut self, left: &Expression, right: &Expression) -> (Value, Value) {
        let left = self.expression(left);
        (left, self.expression(right))
    }

    fn literal(&mut self, literal: &Literal, span: Span) -> Value {
        match literal {
            Literal::Long(value) => self.long(*value, span),
            Literal::Double(value) => self.value(Type::Double, Op::Double(*value), span),
            Literal::String(text) => {
                let text = self.pool.text(text);
                self.value(Type::String, Op::Text(text), span)
            }
        }
    }

    pub(super) fn zero(&mut self, ty: Type, span: Span) -> Value {
        match ty {
            Type::Long | Type::Stack | Type::Stats => self.long(0, span),
            Type::Double => self.value(ty, Op::Double(0.0), span),
            Type::String => self.value(Type::String, Op::Text(Text::Empty), span),
        }
    }

    fn field(&mut self, name: &str, ty: Type, span: Span) -> Value {
        let Some(field) = schema::field(name) else {
            unreachable!("no field `{name}` in the schema; a test compares the tables")
        };
        self.value(ty, Op::Field(field), span)
    }

    /// Data of the target, and stacks.
    fn data(&mut self, expression: &Expression) -> Value {
        let span = expression.span;
        match &expression.kind {
            ExpressionKind::Load { address, size, signed, space } => {
                let address = self.expression(address);
                let load = Load { size: *size, signed: *signed, space: *space };
                self.value(Type::Long, Op::Load { address, load }, span)
            }
            ExpressionKind::FromBits { bits, single } => {
                let (bits, single) = (self.expression(bits), *single);
                self.value(Type::Double, Op::FromBits { bits, single }, span)
            }
            ExpressionKind::Name { names, value } => {
                let value = self.expression(value);
                self.value(Type::String, Op::Name(names.0, value), span)
            }
            ExpressionKind::Guarded { text, otherwise } => {
                self.guarded(text, otherwise, span)
            }
            ExpressionKind::Let { local, value, inside } => {
                let value = self.expression(value);
                self.effect(Op::SetLocal((*local).into(), value), span);
                self.expression(inside)
            }
            ExpressionKind::StackText(stack) => {
                let stack = self.expression(stack);
                self.value(Type::String, helper("stack_text", vec![stack]), span)
            }
            ExpressionKind::StackOf { text, space } => {
                let text = self.expression(text);
                let kernel = self.long((*space == Space::Kernel).into(), span);
                self.value(Type::Long, helper("stack_of", vec![text, kernel]), span)
            }
            kind => unreachable!("`expression` lowers {kind:?}"),
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expression, span: Span) -> Value {
        let value = self.expression(operand);
        if operand.ty == Type::Double {
            return self.value(Type::Double, Op::NegateDouble(value), span);
        }
        self.value(Type::Long, Op::Unary(op, value), span)
    }

    /// An operator on two values of type `ty`.
    fn binary(
        &mut self,
        op: BinaryOp,
        ty: Type,
        left: Value,
        right: Value,
        span: Span,
    ) -> Value {
        let op = match ty {
            Type::Double => Op::BinaryDouble(op, left, right),
            _ => Op::Binary(op, left, right),
        };
        self.value(ty, op, span)
    }

    fn matches(
        &mut self,
        text: &Expression,
        regex: &str,
        negated: bool,
        span: Span,
    ) -> Value {
        let text = self.expression(text);
        let regex = self.pool.regex(regex);
        // Whether groups are wanted is known when all code is lowered.
        let op = Op::Match { text, regex, groups: false };
        let found = self.value(Type::Long, op, span);
        if negated {
            return self.value(Type::Long, Op::Unary(UnaryOp::Not, found), span);
        }
        found
    }

    fn call_function(&mut self, function: u32, args: &[Expression], span: Span) -> Value {
        let args = self.expressions(args);
        let op = Op::CallFunction(function, args);
        match self.pool.returns.get(function as usize).copied().flatten() {
            Some(ty) => self.value(ty, op, span),
            None => {
                self.effect(op, span);
                self.long(0, span)
            }
        }
    }

    fn compare(
        &mut self,
        op: CompareOp,
        left: &Expression,
        right: &Expression,
        span: Span,
    ) -> Value {
        let ty = left.ty;
        let (left, right) = self.pair(left, right);
        let op = match ty {
            Type::String => Op::CompareText(op, left, right),
            Type::Double => Op::CompareDouble(op, left, right),
            Type::Long | Type::Stack | Type::Stats => Op::Compare(op, left, right),
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
                Target::Local((*local).into(), self.code.locals[local.0 as usize])
            }
            Place::Global(global) => match self.slot(*global) {
                Slot::Scalar(slot, ty) => Target::Scalar(slot, ty),
                Slot::Text(slot) => Target::Text(slot),
                Slot::Array(..) | Slot::Statistics(_) => {
                    unreachable!("the checker refuses arrays and statistics as values")
                }
            },
            Place::Element { array, keys } => {
                let keys = self.expressions(keys);
                let (array, value) = self.array(*array);
                Target::Element { array, value, keys }
            }
            Place::Merged { .. } => unreachable!("the checker lets it be asked only"),
        }
    }

    fn read(&mut self, target: &Target, span: Span) -> Value {
        match target {
            Target::Local(local, ty) => self.value(*ty, Op::GetLocal(*local), span),
            Target::Scalar(slot, ty) => self.value(*ty, Op::GetLong(*slot), span),
            Target::Text(slot) => self.value(Type::String, Op::GetText(*slot), span),
            Target::Element { array, value, keys } => {
                self.value(*value, Op::GetElement(*array, keys.clone()), span)
            }
        }
    }

    fn write(&mut self, target: Target, value: Value, span: Span) {
        let op = match target {
            Target::Local(local, _) => Op::SetLocal(local, value),
            Target::Scalar(slot, _) => Op::SetLong(slot, value),
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
            Some(AssignOp::Binary(BinaryOp::Add)) => {
                return self.add_value(target, right, span);
            }
            Some(AssignOp::Binary(op)) => {
                let left = self.read(&target, span);
                self.binary(op, target.ty(), left, right, span)
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
        if target.ty() == Type::Double {
            return self.add_double(target, delta, postfix, span);
        }
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

    /// The value before can not be had from the sum: it was rounded.
    fn add_double(
        &mut self,
        target: Target,
        delta: i64,
        postfix: bool,
        span: Span,
    ) -> Value {
        let amount = self.value(Type::Double, Op::Double(delta as f64), span);
        let old = self.read(&target, span);
        let sum = self.binary(BinaryOp::Add, Type::Double, old, amount, span);
        self.write(target, sum, span);
        if postfix { old } else { sum }
    }

    /// Adds to a place; gives the sum. An element that is a long is looked up
    /// once.
    fn add_value(&mut self, target: Target, amount: Value, span: Span) -> Value {
        let ty = target.ty();
        if let Target::Element { array, value: Type::Long, keys } = target {
            return self.value(Type::Long, Op::AddElement(array, keys, amount), span);
        }
        let old = self.read(&target, span);
        let sum = self.binary(BinaryOp::Add, ty, old, amount, span);
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
        self.pool.wants_groups |= helper.name == "matched";
        self.pool.wants_counts |= builtin.topic == Topic::Counts;
        if let "register" | "u_register" | "print_regs" = helper.name {
            self.pool.wants_registers = true;
            if let Some(value) = self.register(helper.name, args) {
                return value;
            }
        }
        if let ("watch" | "unwatch", Some(name)) = (helper.name, args.first()) {
            self.object(name);
        }
        let args = self.expressions(args);
        if builtin.returns.is_some() {
            return self.value(call.ty, Op::Call(helper, args), call.span);
        }
        self.effect(Op::Call(helper, args), call.span);
        self.long(0, call.span)
    }

    /// Notes a name of objects, which is a literal.
    fn object(&mut self, name: &Expression) {
        let names = &mut self.pool.module.layout.objects;
        if let ExpressionKind::Literal(Literal::String(name)) = &name.kind
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }

    /// A register whose name is known already, so that no hit looks it up.
    fn register(&mut self, function: &str, args: &[Expression]) -> Option<Value> {
        let [Expression { kind: ExpressionKind::Literal(Literal::String(name)), .. }] =
            args
        else {
            return None;
        };
        let register = registers::register(name.as_bytes())?;
        let span = args[0].span;
        let number = self.long(register.number.into(), span);
        let helper = abi::helper("register_value")?;
        let whole = self.value(Type::Long, Op::Call(helper, vec![number]), span);
        if !register.narrow {
            return Some(whole);
        }
        if function == "u_register" {
            let lower = self.long(u32::MAX.into(), span);
            return Some(self.binary(BinaryOp::And, Type::Long, whole, lower, span));
        }
        let bits = self.long(32, span);
        let high = self.binary(BinaryOp::ShiftLeft, Type::Long, whole, bits, span);
        Some(self.binary(BinaryOp::ShiftRight, Type::Long, high, bits, span))
    }
}
