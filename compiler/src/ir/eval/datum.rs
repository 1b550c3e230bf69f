//! Values of the evaluator and the operators on them.

use std::cmp::Ordering;

use hwtrace_runtime::abi::FaultCode;

use super::super::{BinaryOp, CompareOp, Type, UnaryOp};

/// A value at run time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Datum {
    /// A long.
    Long(i64),
    /// A double, by its bits: comparing data compares those.
    Double(u64),
    /// A string.
    Text(Vec<u8>),
    /// An aggregate, as an element of an array: what was added, in order.
    Statistics(Vec<i64>),
}

impl Datum {
    /// A double.
    pub fn double_of(value: f64) -> Self {
        Self::Double(value.to_bits())
    }

    pub(super) fn zero(ty: Type) -> Self {
        match ty {
            Type::Long | Type::Stack => Self::Long(0),
            Type::Double => Self::double_of(0.0),
            Type::String => Self::Text(Vec::new()),
            Type::Stats => Self::Statistics(Vec::new()),
        }
    }

    pub(super) fn long(&self) -> i64 {
        match self {
            Self::Long(value) => *value,
            _ => 0,
        }
    }

    pub(super) fn double(&self) -> f64 {
        match self {
            Self::Double(bits) => f64::from_bits(*bits),
            _ => 0.0,
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            _ => &[],
        }
    }

    pub(super) fn samples(&self) -> &[i64] {
        match self {
            Self::Statistics(samples) => samples,
            _ => &[],
        }
    }

    /// The value as a key: 0 and -0 are one.
    pub(super) fn into_key(self) -> Self {
        match self {
            Self::Double(bits) => Self::double_of(f64::from_bits(bits) + 0.0),
            other => other,
        }
    }

    /// The order in which a walk sorts.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Double(left), Self::Double(right)) => {
                f64::from_bits(*left).total_cmp(&f64::from_bits(*right))
            }
            (Self::Statistics(left), Self::Statistics(right)) => {
                left.len().cmp(&right.len())
            }
            _ => self.cmp(other),
        }
    }
}

pub(super) fn unary(op: UnaryOp, value: i64) -> i64 {
    match op {
        UnaryOp::Negate => value.wrapping_neg(),
        UnaryOp::Not => (value == 0).into(),
        UnaryOp::Complement => !value,
    }
}

pub(super) fn binary(op: BinaryOp, left: i64, right: i64) -> Result<i64, FaultCode> {
    // Below 0 as SystemTap takes it: nothing is shifted.
    let count = u32::try_from(right.clamp(0, 64)).unwrap_or(0);
    Ok(match op {
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Subtract => left.wrapping_sub(right),
        BinaryOp::Multiply => left.wrapping_mul(right),
        BinaryOp::Divide | BinaryOp::Remainder if right == 0 => {
            return Err(FaultCode::DivisionByZero);
        }
        BinaryOp::Divide => left.wrapping_div(right),
        BinaryOp::Remainder => left.wrapping_rem(right),
        BinaryOp::And => left & right,
        BinaryOp::Or => left | right,
        BinaryOp::Xor => left ^ right,
        BinaryOp::ShiftLeft => left.checked_shl(count).unwrap_or(0),
        BinaryOp::ShiftRight => left >> count.min(63),
        BinaryOp::ShiftRightLogical => {
            (left as u64).checked_shr(count).unwrap_or(0) as i64
        }
    })
}

pub(super) fn binary_double(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::Divide => left / right,
        BinaryOp::Remainder => left % right,
        _ => unreachable!("the verifier refuses other operators on doubles"),
    }
}

pub(super) fn compare(op: CompareOp, ordering: Ordering) -> bool {
    match op {
        CompareOp::Equal => ordering.is_eq(),
        CompareOp::NotEqual => ordering.is_ne(),
        CompareOp::Less => ordering.is_lt(),
        CompareOp::LessEqual => ordering.is_le(),
        CompareOp::Greater => ordering.is_gt(),
        CompareOp::GreaterEqual => ordering.is_ge(),
    }
}

pub(super) fn compare_double(op: CompareOp, left: f64, right: f64) -> bool {
    match op {
        CompareOp::Equal => left == right,
        CompareOp::NotEqual => left != right,
        CompareOp::Less => left < right,
        CompareOp::LessEqual => left <= right,
        CompareOp::Greater => left > right,
        CompareOp::GreaterEqual => left >= right,
    }
}
