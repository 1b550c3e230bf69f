//! Longs and doubles.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self as clif, InstBuilder, MemFlagsData, types};
use hwtrace_runtime::abi::FaultCode;

use super::Translator;
use super::instruction::Outcome;
use crate::ir::{BinaryOp, CompareOp, UnaryOp, Value};

impl<M: cranelift_module::Module> Translator<'_, M> {
    pub(super) fn unary(&mut self, op: UnaryOp, value: Value) -> clif::Value {
        let value = self.get(value);
        match op {
            UnaryOp::Negate => self.builder.ins().ineg(value),
            UnaryOp::Complement => self.builder.ins().bnot(value),
            UnaryOp::Not => self.compare_with_zero(CompareOp::Equal, value),
        }
    }

    pub(super) fn binary(
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
            BinaryOp::ShiftLeft | BinaryOp::ShiftRight | BinaryOp::ShiftRightLogical => {
                self.shift(op, left, right)
            }
            BinaryOp::Divide => self.divide(left, right, false, site),
            BinaryOp::Remainder => self.divide(left, right, true, site),
        }
    }

    /// Shifts by 0 where the count is below 0, and everything out where it is
    /// above 63; the machine's take the count modulo 64.
    fn shift(
        &mut self,
        op: BinaryOp,
        left: clif::Value,
        count: clif::Value,
    ) -> clif::Value {
        let (zero, most) = (self.long(0), self.long(63));
        let ins = self.builder.ins();
        let count = ins.smax(count, zero);
        let within = self.builder.ins().smin(count, most);
        let shifted = match op {
            BinaryOp::ShiftLeft => self.builder.ins().ishl(left, within),
            BinaryOp::ShiftRight => return self.builder.ins().sshr(left, within),
            _ => self.builder.ins().ushr(left, within),
        };
        let out = self.builder.ins().icmp(IntCC::SignedGreaterThan, count, most);
        self.builder.ins().select(out, zero, shifted)
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

    pub(super) fn binary_double(
        &mut self,
        op: BinaryOp,
        left: Value,
        right: Value,
        site: u32,
    ) -> Outcome {
        let (left, right) = (self.get(left), self.get(right));
        let ins = self.builder.ins();
        Ok(Some(match op {
            BinaryOp::Add => ins.fadd(left, right),
            BinaryOp::Subtract => ins.fsub(left, right),
            BinaryOp::Multiply => ins.fmul(left, right),
            BinaryOp::Divide => ins.fdiv(left, right),
            BinaryOp::Remainder => {
                return self.call("double_remainder", &[left, right], site);
            }
            _ => unreachable!("the verifier refuses other operators on doubles"),
        }))
    }

    pub(super) fn compare(
        &mut self,
        op: CompareOp,
        left: Value,
        right: Value,
    ) -> clif::Value {
        let (left, right) = (self.get(left), self.get(right));
        let flag = self.builder.ins().icmp(condition(op), left, right);
        self.builder.ins().uextend(types::I64, flag)
    }

    pub(super) fn compare_double(
        &mut self,
        op: CompareOp,
        left: Value,
        right: Value,
    ) -> clif::Value {
        let (left, right) = (self.get(left), self.get(right));
        let flag = self.builder.ins().fcmp(float_condition(op), left, right);
        self.builder.ins().uextend(types::I64, flag)
    }

    pub(super) fn compare_with_zero(
        &mut self,
        op: CompareOp,
        value: clif::Value,
    ) -> clif::Value {
        let flag = self.builder.ins().icmp_imm_s(condition(op), value, 0);
        self.builder.ins().uextend(types::I64, flag)
    }

    /// A word's bits as a double.
    pub(super) fn as_double(&mut self, word: clif::Value) -> clif::Value {
        self.builder.ins().bitcast(types::F64, MemFlagsData::new(), word)
    }

    /// A double's bits as a word.
    pub(super) fn as_word(&mut self, double: clif::Value) -> clif::Value {
        self.builder.ins().bitcast(types::I64, MemFlagsData::new(), double)
    }

    pub(super) fn take_fuel(&mut self, steps: u32, site: u32) {
        let fuel = self.builder.use_var(self.fuel);
        let empty =
            self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, fuel, i64::from(steps));
        self.fault_if(empty, FaultCode::OutOfFuel, site);
        let left = self.builder.ins().iadd_imm_s(fuel, -i64::from(steps));
        self.builder.def_var(self.fuel, left);
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

/// As in C: with a NaN all are false, but that it is not equal.
fn float_condition(op: CompareOp) -> FloatCC {
    match op {
        CompareOp::Equal => FloatCC::Equal,
        CompareOp::NotEqual => FloatCC::NotEqual,
        CompareOp::Less => FloatCC::LessThan,
        CompareOp::LessEqual => FloatCC::LessThanOrEqual,
        CompareOp::Greater => FloatCC::GreaterThan,
        CompareOp::GreaterEqual => FloatCC::GreaterThanOrEqual,
    }
}
