//! The little programs by which some rows find a frame or a register.

use gimli::{
    EndianSlice, Evaluation, EvaluationResult, EvaluationStorage, LittleEndian, Location,
    Piece, Value,
};

use super::registers::{Memory, Registers};
use crate::symbols::unwind::{ENCODING, Slice};

/// Steps of one program; glibc's longest has five.
const STEPS_MAX: u32 = 256;
/// Values that a program may have on its stack.
const VALUES_MAX: usize = 16;

/// Everything in place: a walk allocates nothing.
struct Fixed;

impl<'a> EvaluationStorage<Slice<'a>> for Fixed {
    type Stack = [Value; VALUES_MAX];
    type ExpressionStack = [(Slice<'a>, Slice<'a>); 1];
    type Result = [Piece<Slice<'a>>; 1];
}

/// What a program computes; none where it needs what is not known or makes no sense.
/// It begins with `first` on its stack.
pub(super) fn evaluate(
    program: &[u8],
    first: Option<u64>,
    registers: &Registers,
    memory: &Memory<'_>,
) -> Option<u64> {
    let program = EndianSlice::new(program, LittleEndian);
    let mut evaluation = Evaluation::<_, Fixed>::new_in(program, ENCODING);
    evaluation.set_max_iterations(STEPS_MAX);
    if let Some(first) = first {
        evaluation.set_initial_value(first);
    }
    let mut result = evaluation.evaluate().ok()?;
    // Each step asks once at most.
    for _ in 0..STEPS_MAX {
        result = match result {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = registers.dwarf(register)?;
                evaluation.resume_with_register(Value::Generic(value)).ok()?
            }
            EvaluationResult::RequiresMemory { address, size, space: None, .. } => {
                let value = memory.number(address, size)?;
                evaluation.resume_with_memory(Value::Generic(value)).ok()?
            }
            _ => return None,
        };
    }
    match evaluation.as_result() {
        [Piece { location: Location::Address { address }, .. }] => Some(*address),
        _ => None,
    }
}
