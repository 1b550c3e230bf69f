//! One instruction at a time.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self as clif, InstBuilder, StackSlotData, StackSlotKind, types,
};
use cranelift_module::ModuleError;
use hwtrace_runtime::abi::{FaultCode, format};
use hwtrace_runtime::schema::Field;

use super::{Translator, layout};
use crate::ir::{
    BinaryOp, CompareOp, Emit, Instruction, Op, Text, Type, UnaryOp, Value, WalkOrder,
};

type Outcome = Result<Option<clif::Value>, Box<ModuleError>>;

impl<M: cranelift_module::Module> Translator<'_, M> {
    pub(super) fn instruction(
        &mut self,
        instruction: &Instruction,
    ) -> Result<(), Box<ModuleError>> {
        let outcome = self.op(&instruction.op, instruction.result, instruction.site)?;
        if let Some(Value(value)) = instruction.result {
            self.values[value as usize] = outcome;
        }
        Ok(())
    }

    fn op(&mut self, op: &Op, result: Option<Value>, site: u32) -> Outcome {
        match op {
            Op::Long(value) => Ok(Some(self.long(*value))),
            Op::Text(text) => Ok(Some(self.text(*text))),
            Op::Field(field) => Ok(Some(self.field(field))),
            Op::GetLocal(local) => {
                Ok(Some(self.builder.use_var(self.locals[local.0 as usize])))
            }
            Op::SetLocal(local, value) => {
                let value = self.get(*value);
                self.builder.def_var(self.locals[local.0 as usize], value);
                Ok(None)
            }
            Op::GetLong(slot) => Ok(Some(self.load_global(*slot))),
            Op::SetLong(slot, value) => {
                self.store_global(*slot, *value);
                Ok(None)
            }
            Op::Unary(op, value) => Ok(Some(self.unary(*op, *value))),
            Op::Binary(op, left, right) => {
                Ok(Some(self.binary(*op, *left, *right, site)))
            }
            Op::Compare(op, left, right) => Ok(Some(self.compare(*op, *left, *right))),
            Op::Fuel(steps) => {
                self.take_fuel(*steps, site);
                Ok(None)
            }
            Op::GetText(_)
            | Op::SetText(..)
            | Op::CompareText(..)
            | Op::Concat(..)
            | Op::Call(..) => self.string_or_call(op, site),
            Op::EmitText(_)
            | Op::EmitLong(_)
            | Op::EmitString(_)
            | Op::CaptureBegin
            | Op::CaptureEnd => self.print(op, site),
            _ => self.array(op, result, site),
        }
    }

    fn string_or_call(&mut self, op: &Op, site: u32) -> Outcome {
        match op {
            Op::GetText(slot) => {
                let slot = self.long(i64::from(*slot));
                self.call("global_get_string", &[slot], site)
            }
            Op::SetText(slot, value) => {
                let (slot, value) = (self.long(i64::from(*slot)), self.get(*value));
                self.call("global_set_string", &[slot, value], site)
            }
            Op::CompareText(op, left, right) => {
                let (left, right) = (self.get(*left), self.get(*right));
                let ordering = self.call("string_compare", &[left, right], site)?;
                Ok(ordering.map(|ordering| self.compare_with_zero(*op, ordering)))
            }
            Op::Concat(left, right) => {
                let (left, right) = (self.get(*left), self.get(*right));
                self.call("string_concat", &[left, right], site)
            }
            Op::Call(helper, args) => {
                let args: Vec<_> = args.iter().map(|arg| self.get(*arg)).collect();
                self.call_helper(helper, &args, site)
            }
            _ => unreachable!("`op` sends strings and calls here"),
        }
    }

    fn print(&mut self, op: &Op, site: u32) -> Outcome {
        match op {
            Op::EmitText(text) => {
                let text = self.text(*text);
                self.call("emit_text", &[text], site)
            }
            Op::EmitLong(emit) => self.emit("emit_long", emit, site),
            Op::EmitString(emit) => self.emit("emit_string", emit, site),
            Op::CaptureBegin => self.call("capture_begin", &[], site),
            _ => self.call("capture_end", &[], site),
        }
    }

    fn emit(&mut self, helper: &'static str, emit: &Emit, site: u32) -> Outcome {
        let directive = self.long(emit.directive.pack());
        let mut count = |count: Option<Value>| match count {
            Some(value) => self.get(value),
            None => self.long(format::NONE),
        };
        let (width, precision) = (count(emit.width), count(emit.precision));
        let value = self.get(emit.value);
        self.call(helper, &[directive, width, precision, value], site)
    }

    fn array(&mut self, op: &Op, result: Option<Value>, site: u32) -> Outcome {
        match op {
            Op::GetElement(array, keys) => {
                let string = self.is_string(result);
                let name = if string { "array_get_string" } else { "array_get" };
                self.element(name, *array, keys, None, site)
            }
            Op::SetElement(array, keys, value) => {
                let string = self.is_string(Some(*value));
                let name = if string { "array_set_string" } else { "array_set" };
                self.element(name, *array, keys, Some(*value), site)
            }
            Op::AddElement(array, keys, value) => {
                self.element("array_add", *array, keys, Some(*value), site)
            }
            Op::HasElement(array, keys) => {
                self.element("array_contains", *array, keys, None, site)
            }
            Op::DeleteElement(array, keys) => {
                self.element("array_delete", *array, keys, None, site)
            }
            Op::Clear(array) => {
                let array = self.long(i64::from(*array));
                self.call("array_clear", &[array], site)
            }
            Op::WalkBegin { array, order, limit } => {
                self.walk(*array, *order, *limit, site)
            }
            Op::WalkNext => self.call("walk_next", &[], site),
            Op::WalkKey(position) => {
                let position = self.long(i64::from(*position));
                self.call("walk_key", &[position], site)
            }
            _ => self.call("walk_end", &[], site),
        }
    }

    fn walk(
        &mut self,
        array: u32,
        order: WalkOrder,
        limit: Option<Value>,
        site: u32,
    ) -> Outcome {
        let (order, descending) = match order {
            WalkOrder::Insertion => (0, false),
            WalkOrder::Value { descending } => (1, descending),
            WalkOrder::Key { position, descending } => {
                (2 + i64::from(position), descending)
            }
        };
        let limit = match limit {
            Some(limit) => self.get(limit),
            None => self.long(-1),
        };
        let args = [
            self.long(i64::from(array)),
            self.long(order),
            self.long(descending.into()),
            limit,
        ];
        self.call("walk_begin", &args, site)
    }

    /// Calls a helper with an array, its keys as words in the frame, and
    /// perhaps a value.
    fn element(
        &mut self,
        helper: &'static str,
        array: u32,
        keys: &[Value],
        value: Option<Value>,
        site: u32,
    ) -> Outcome {
        let bytes = 8 * keys.len().max(1) as u32;
        let slot = self.builder.create_sized_stack_slot(StackSlotData::new(
            StackSlotKind::ExplicitSlot,
            bytes,
            3,
        ));
        for (position, key) in keys.iter().enumerate() {
            let key = self.get(*key);
            self.builder.ins().stack_store(types::I64, key, slot, 8 * position as i32);
        }
        let words = self.builder.ins().stack_addr(types::I64, slot, 0);
        let mut args = vec![self.long(i64::from(array)), words];
        if let Some(value) = value {
            args.push(self.get(value));
        }
        self.call(helper, &args, site)
    }

    fn is_string(&self, value: Option<Value>) -> bool {
        value.is_some_and(|value| self.handler.values[value.0 as usize] == Type::String)
    }

    fn long(&mut self, value: i64) -> clif::Value {
        self.builder.ins().iconst(types::I64, value)
    }

    /// A constant's handle: 0 is the empty string, then the layout's.
    fn text(&mut self, text: Text) -> clif::Value {
        self.long(match text {
            Text::Empty => 0,
            Text::Constant(index) => i64::from(index) + 1,
        })
    }

    fn field(&mut self, field: &Field) -> clif::Value {
        let ty = layout::field_type(field);
        let offset = field.offset as i32;
        let value = self.builder.ins().load(ty, layout::trusted(), self.record, offset);
        if ty == types::I64 {
            value
        } else {
            self.builder.ins().uextend(types::I64, value)
        }
    }

    fn globals(&mut self) -> clif::Value {
        let flags = layout::trusted().with_readonly();
        self.builder.ins().load(types::I64, flags, self.context, layout::GLOBALS)
    }

    fn load_global(&mut self, slot: u32) -> clif::Value {
        let globals = self.globals();
        let offset = 8 * slot as i32;
        self.builder.ins().load(types::I64, layout::trusted(), globals, offset)
    }

    fn store_global(&mut self, slot: u32, value: Value) {
        let (globals, value) = (self.globals(), self.get(value));
        self.builder.ins().store(layout::trusted(), value, globals, 8 * slot as i32);
    }

    fn unary(&mut self, op: UnaryOp, value: Value) -> clif::Value {
        let value = self.get(value);
        match op {
            UnaryOp::Negate => self.builder.ins().ineg(value),
            UnaryOp::Complement => self.builder.ins().bnot(value),
            UnaryOp::Not => self.compare_with_zero(CompareOp::Equal, value),
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        left: Value,
        right: Value,
        site: u32,
    ) -> clif::Value {
        let (left, right) = (self.get(left), self.get(right));
        let ins = self.builder.ins();
        match op {
            BinaryOp::Add => ins.iadd(left, right),
            BinaryOp::Subtract => ins.isub(left, right),
            BinaryOp::Multiply => ins.imul(left, right),
            BinaryOp::And => ins.band(left, right),
            BinaryOp::Or => ins.bor(left, right),
            BinaryOp::Xor => ins.bxor(left, right),
            // Cranelift takes the count modulo the width, as hwt does.
            BinaryOp::ShiftLeft => ins.ishl(left, right),
            BinaryOp::ShiftRight => ins.sshr(left, right),
            BinaryOp::ShiftRightLogical => ins.ushr(left, right),
            BinaryOp::Divide => self.divide(left, right, false, site),
            BinaryOp::Remainder => self.divide(left, right, true, site),
        }
    }

    /// Division without the machine's traps: 0 faults, and by -1 it is
    /// negation, which wraps where the machine would trap.
    fn divide(
        &mut self,
        left: clif::Value,
        right: clif::Value,
        remainder: bool,
        site: u32,
    ) -> clif::Value {
        let zero = self.builder.ins().icmp_imm_s(IntCC::Equal, right, 0);
        self.fault_if(zero, FaultCode::DivisionByZero, site);
        let minus_one = self.builder.ins().icmp_imm_s(IntCC::Equal, right, -1);
        let one = self.long(1);
        let divisor = self.builder.ins().select(minus_one, one, right);
        let special =
            if remainder { self.long(0) } else { self.builder.ins().ineg(left) };
        let usual = if remainder {
            self.builder.ins().srem(left, divisor)
        } else {
            self.builder.ins().sdiv(left, divisor)
        };
        self.builder.ins().select(minus_one, special, usual)
    }

    fn compare(&mut self, op: CompareOp, left: Value, right: Value) -> clif::Value {
        let (left, right) = (self.get(left), self.get(right));
        let flag = self.builder.ins().icmp(condition(op), left, right);
        self.builder.ins().uextend(types::I64, flag)
    }

    fn compare_with_zero(&mut self, op: CompareOp, value: clif::Value) -> clif::Value {
        let flag = self.builder.ins().icmp_imm_s(condition(op), value, 0);
        self.builder.ins().uextend(types::I64, flag)
    }

    fn take_fuel(&mut self, steps: u32, site: u32) {
        let fuel = self.builder.use_var(self.fuel);
        let empty =
            self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, fuel, i64::from(steps));
        self.fault_if(empty, FaultCode::OutOfFuel, site);
        let left = self.builder.ins().iadd_imm_s(fuel, -i64::from(steps));
        self.builder.def_var(self.fuel, left);
    }

    /// Ends the handler with a fault where `condition` holds.
    fn fault_if(&mut self, condition: clif::Value, code: FaultCode, site: u32) {
        let (fault, go_on) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(fault);
        self.builder.ins().brif(condition, fault, &[], go_on, &[]);
        self.builder.switch_to_block(fault);
        let code = self.builder.ins().iconst(types::I32, i64::from(code as u32));
        self.builder.ins().store(layout::trusted(), code, self.context, layout::FAULT);
        self.leave(site);
        self.builder.switch_to_block(go_on);
    }

    /// Ends the handler where a helper noted a fault.
    pub(super) fn leave_if_faulted(&mut self, site: u32) {
        let (faulted, go_on) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(faulted);
        let flags = layout::trusted();
        let fault =
            self.builder.ins().load(types::I32, flags, self.context, layout::FAULT);
        self.builder.ins().brif(fault, faulted, &[], go_on, &[]);
        self.builder.switch_to_block(faulted);
        self.leave(site);
        self.builder.switch_to_block(go_on);
    }

    fn leave(&mut self, site: u32) {
        let site = self.builder.ins().iconst(types::I32, i64::from(site));
        self.builder.ins().store(layout::trusted(), site, self.context, layout::SITE);
        self.builder.ins().return_(&[]);
    }
}

fn condition(op: CompareOp) -> IntCC {
    match op {
        CompareOp::Equal => IntCC::Equal,
        CompareOp::NotEqual => IntCC::NotEqual,
        CompareOp::Less => IntCC::SignedLessThan,
        CompareOp::LessEqual => IntCC::SignedLessThanOrEqual,
        CompareOp::Greater => IntCC::SignedGreaterThan,
        CompareOp::GreaterEqual => IntCC::SignedGreaterThanOrEqual,
    }
}
