//! Indices: numbers, constants of enumerations, and what is computed of them.

use std::fmt;

/// A whole number that is known without the program's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// A number.
    Number(i64),
    /// An enumeration's constant by its name.
    Named(String),
    /// Two of them; at least one has a name in it.
    Binary(Operator, Box<Constant>, Box<Constant>),
}

/// What is computed of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
}

impl Operator {
    /// The result; none where it does not fit 64 bits.
    pub fn apply(self, left: i64, right: i64) -> Option<i64> {
        match self {
            Operator::Add => left.checked_add(right),
            Operator::Subtract => left.checked_sub(right),
            Operator::Multiply => left.checked_mul(right),
        }
    }

    fn sign(self) -> char {
        match self {
            Operator::Add => '+',
            Operator::Subtract => '-',
            Operator::Multiply => '*',
        }
    }
}

impl Constant {
    /// Two of them; numbers are computed at once. `None` where the result does
    /// not fit 64 bits.
    pub(super) fn binary(operator: Operator, left: Self, right: Self) -> Option<Self> {
        match (left, right) {
            (Constant::Number(left), Constant::Number(right)) => {
                let result = operator.apply(left, right);
                // There is no text for the least number.
                result.filter(|&it| it != i64::MIN).map(Constant::Number)
            }
            (left, right) => {
                Some(Constant::Binary(operator, Box::new(left), Box::new(right)))
            }
        }
    }

    /// Its value; `named` tells those of names. The error is the name that has
    /// none, or all of it where the value does not fit 64 bits.
    ///
    /// # Errors
    ///
    /// The text of what has no value.
    pub fn value(&self, named: &dyn Fn(&str) -> Option<i64>) -> Result<i64, String> {
        match self {
            Constant::Number(number) => Ok(*number),
            Constant::Named(name) => named(name).ok_or_else(|| name.clone()),
            Constant::Binary(operator, left, right) => operator
                .apply(left.value(named)?, right.value(named)?)
                .ok_or_else(|| self.to_string()),
        }
    }

    fn operand(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::Binary(..) => write!(f, "({self})"),
            _ => write!(f, "{self}"),
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::Number(number) => write!(f, "{number}"),
            Constant::Named(name) => f.write_str(name),
            Constant::Binary(operator, left, right) => {
                left.operand(f)?;
                write!(f, " {} ", operator.sign())?;
                right.operand(f)
            }
        }
    }
}
