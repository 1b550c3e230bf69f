//! Where a local variable is at the moment, as people read it.

use gimli::{Expression, Operation, Register, X86_64};

use super::sections::Slice;
use super::unit::Unit;

/// Longer expressions are not written out.
const OPERATIONS_MAX: usize = 32;
/// Nor expressions in expressions that are deeper: no stack would do for those of
/// every file.
const NESTING_MAX: usize = 4;

impl<'a> Unit<'a> {
    /// An expression as text: `rbp-24`, `rdi`, `constant 5`. `frame` is what its
    /// function calls the base of its frame.
    pub(super) fn written(
        &self,
        expression: Expression<Slice<'a>>,
        frame: &str,
    ) -> String {
        self.written_within(NESTING_MAX, expression, frame)
    }

    fn written_within(
        &self,
        nesting: usize,
        expression: Expression<Slice<'a>>,
        frame: &str,
    ) -> String {
        let (stack, pieces) = (Vec::new(), Vec::new());
        let mut text = Text { unit: self, frame, nesting, stack, pieces };
        let mut operations = expression.operations(self.unit.encoding());
        for _ in 0..OPERATIONS_MAX {
            match operations.next() {
                Ok(None) => return text.finish(),
                Ok(Some(operation)) if text.add(operation).is_some() => {}
                _ => break,
            }
        }
        "an expression".to_owned()
    }
}

/// The stack that the expression works on, in words.
struct Text<'u, 'a> {
    unit: &'u Unit<'a>,
    frame: &'u str,
    /// How much deeper expressions in it may be.
    nesting: usize,
    stack: Vec<String>,
    pieces: Vec<String>,
}

impl<'a> Text<'_, 'a> {
    /// `None` for what has no words.
    fn add(&mut self, operation: Operation<Slice<'a>>) -> Option<()> {
        let text = match operation {
            Operation::Register { register } => name(register)?,
            Operation::RegisterOffset { register, offset, .. } => {
                sum(&name(register)?, offset)
            }
            Operation::FrameOffset { offset } => sum(self.frame, offset),
            Operation::CallFrameCFA => "cfa".to_owned(),
            Operation::UnsignedConstant { value } => value.to_string(),
            Operation::SignedConstant { value } => value.to_string(),
            Operation::Address { address } => format!("{address:#x}"),
            Operation::AddressIndex { index } | Operation::ConstantIndex { index } => {
                format!("{:#x}", self.unit.view.address(&self.unit.unit, index).ok()?)
            }
            Operation::PlusConstant { value } => {
                let top = self.stack.pop()?;
                sum(&top, i64::try_from(value).ok()?)
            }
            Operation::Deref { .. } => format!("*({})", self.stack.pop()?),
            Operation::StackValue => {
                let top = self.stack.pop()?;
                match top.parse::<i128>() {
                    Ok(_) => format!("constant {top}"),
                    Err(_) => format!("the value {top}"),
                }
            }
            Operation::ImplicitValue { data } => constant(data.slice())?,
            Operation::EntryValue { expression } => {
                let (nesting, inner) =
                    (self.nesting.checked_sub(1)?, Expression(expression));
                let entry = self.unit.written_within(nesting, inner, self.frame);
                format!("{entry} at entry")
            }
            Operation::Piece { size_in_bits, .. } => {
                let what = self.stack.pop().unwrap_or_else(|| "optimized out".to_owned());
                self.pieces.push(format!("{} bytes: {what}", size_in_bits / 8));
                return Some(());
            }
            Operation::TLS => format!("thread-local {}", self.stack.pop()?),
            other => self.binary(other)?,
        };
        self.stack.push(text);
        Some(())
    }

    fn binary(&mut self, operation: Operation<Slice<'a>>) -> Option<String> {
        let sign = match operation {
            Operation::Plus => "+",
            Operation::Minus => "-",
            Operation::Mul => "*",
            Operation::And => "&",
            Operation::Or => "|",
            Operation::Xor => "^",
            Operation::Shl => "<<",
            Operation::Shr | Operation::Shra => ">>",
            _ => return None,
        };
        let (right, left) = (self.stack.pop()?, self.stack.pop()?);
        Some(format!("({left} {sign} {right})"))
    }

    fn finish(mut self) -> String {
        if !self.pieces.is_empty() {
            return self.pieces.join(", ");
        }
        self.stack.pop().unwrap_or_else(|| OPTIMIZED_OUT.to_owned())
    }
}

/// What is nowhere.
pub(super) const OPTIMIZED_OUT: &str = "optimized out";

fn name(register: Register) -> Option<String> {
    X86_64::register_name(register).map(str::to_lowercase)
}

fn sum(base: &str, offset: i64) -> String {
    if offset == 0 { base.to_owned() } else { format!("{base}{offset:+}") }
}

/// Bytes with the lowest first as a number.
pub(super) fn constant(bytes: &[u8]) -> Option<String> {
    let mut wide = [0; 16];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(format!("constant {}", u128::from_le_bytes(wide)))
}
