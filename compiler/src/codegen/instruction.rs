//! One instruction at a time.

use cranelift_codegen::ir::{self as clif, InstBuilder, types};
use cranelift_module::ModuleError;
use hwtrace_runtime::abi::format;
use hwtrace_runtime::schema::Field;

use super::{Translator, layout};
use crate::ir::{Emit, Instruction, Load, Op, Space, Text, Type, Value};

/// The machine's value of an instruction, where it has one.
pub(super) type Outcome = Result<Option<clif::Value>, Box<ModuleError>>;

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
            Op::Double(value) => Ok(Some(self.builder.ins().f64const(*value))),
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
            Op::Fuel(steps) => {
                self.take_fuel(*steps, site);
                Ok(None)
            }
            Op::GetText(_)
            | Op::SetText(..)
            | Op::CompareText(..)
            | Op::Concat(..)
            | Op::Match { .. } => self.string(op, site),
            Op::Call(..) | Op::CallFunction(..) | Op::Mark | Op::Caught(_) => {
                self.calling(op, site)
            }
            Op::EmitText(_)
            | Op::EmitLong(_)
            | Op::EmitDouble(_)
            | Op::EmitString(_)
            | Op::EmitMemory(_)
            | Op::CaptureBegin
            | Op::CaptureEnd => self.print(op, site),
            _ => self.operator_or_array(op, result, site),
        }
    }

    fn operator_or_array(
        &mut self,
        op: &Op,
        result: Option<Value>,
        site: u32,
    ) -> Outcome {
        Ok(Some(match op {
            Op::Unary(op, value) => self.unary(*op, *value),
            Op::NegateDouble(value) => {
                let value = self.get(*value);
                self.builder.ins().fneg(value)
            }
            Op::Binary(op, left, right) => self.binary(*op, *left, *right, site),
            Op::BinaryDouble(op, left, right) => {
                return self.binary_double(*op, *left, *right, site);
            }
            Op::Compare(op, left, right) => self.compare(*op, *left, *right),
            Op::CompareDouble(op, left, right) => self.compare_double(*op, *left, *right),
            Op::ToDouble(value) => {
                let value = self.get(*value);
                self.builder.ins().fcvt_from_sint(types::F64, value)
            }
            Op::FromBits { bits, single } => self.double_of(*bits, *single),
            Op::Load { address, load } => {
                let address = self.get(*address);
                return self.call(reader(*load), &[address], site);
            }
            Op::Name(table, value) => {
                let (table, value) = (self.long(i64::from(*table)), self.get(*value));
                return self.call("enumeration_name", &[table, value], site);
            }
            _ => return self.array(op, result, site),
        }))
    }

    fn double_of(&mut self, bits: Value, single: bool) -> clif::Value {
        let bits = self.get(bits);
        let flags = clif::MemFlagsData::new();
        if !single {
            return self.builder.ins().bitcast(types::F64, flags, bits);
        }
        let bits = self.builder.ins().ireduce(types::I32, bits);
        let single = self.builder.ins().bitcast(types::F32, flags, bits);
        self.builder.ins().fpromote(types::F64, single)
    }

    fn string(&mut self, op: &Op, site: u32) -> Outcome {
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
            Op::Match { text, regex, groups } => {
                let (text, regex) = (self.get(*text), self.long(i64::from(*regex)));
                let helper = if *groups { "regex_match" } else { "regex_find" };
                self.call(helper, &[text, regex], site)
            }
            _ => unreachable!("`op` sends strings here"),
        }
    }

    fn calling(&mut self, op: &Op, site: u32) -> Outcome {
        match op {
            Op::Call(helper, args) => {
                let args: Vec<_> = args.iter().map(|arg| self.get(*arg)).collect();
                self.call_helper(helper, &args, site)
            }
            Op::CallFunction(number, args) => self.call_function(*number, args, site),
            Op::Mark => self.call("mark", &[], site),
            Op::Caught(mark) => {
                let mark = self.get(*mark);
                self.call("caught", &[mark], site)
            }
            _ => unreachable!("`op` sends calls here"),
        }
    }

    fn print(&mut self, op: &Op, site: u32) -> Outcome {
        match op {
            Op::EmitText(text) => {
                let text = self.text(*text);
                self.call("emit_text", &[text], site)
            }
            Op::EmitLong(emit) => self.emit("emit_long", emit, site),
            Op::EmitDouble(emit) => self.emit("emit_double", emit, site),
            Op::EmitString(emit) => self.emit("emit_string", emit, site),
            Op::EmitMemory(emit) => self.emit("emit_memory", emit, site),
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

    /// The machine's type of a scalar word, and where it is.
    fn scalar(&self, slot: u32) -> (clif::Type, i32) {
        let double = self.module.scalars.get(slot as usize) == Some(&Type::Double);
        (if double { types::F64 } else { types::I64 }, 8 * slot as i32)
    }

    fn load_global(&mut self, slot: u32) -> clif::Value {
        let (globals, (ty, offset)) = (self.globals(), self.scalar(slot));
        self.builder.ins().load(ty, layout::trusted(), globals, offset)
    }

    fn store_global(&mut self, slot: u32, value: Value) {
        let (globals, value) = (self.globals(), self.get(value));
        let (_, offset) = self.scalar(slot);
        self.builder.ins().store(layout::trusted(), value, globals, offset);
    }
}

/// The helper that reads a number.
fn reader(Load { size, signed, space }: Load) -> &'static str {
    match (space, size, signed) {
        (Space::User, 1, true) => "user_int8",
        (Space::User, 1, false) => "user_uint8",
        (Space::User, 2, true) => "user_int16",
        (Space::User, 2, false) => "user_uint16",
        (Space::User, 4, true) => "user_int32",
        (Space::User, 4, false) => "user_uint32",
        (Space::User, _, _) => "user_uint64",
        (Space::Kernel, 1, true) => "kernel_int8",
        (Space::Kernel, 1, false) => "kernel_uint8",
        (Space::Kernel, 2, true) => "kernel_int16",
        (Space::Kernel, 2, false) => "kernel_uint16",
        (Space::Kernel, 4, true) => "kernel_int32",
        (Space::Kernel, 4, false) => "kernel_uint32",
        (Space::Kernel, _, _) => "kernel_uint64",
    }
}
