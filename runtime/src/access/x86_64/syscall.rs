//! Which system call a thread is in, by the code that made it, where the engine does
//! not tell.

use std::ops::ControlFlow;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};

use crate::access::Function;

/// Longer functions are not looked at.
const FUNCTION_MAX: u64 = 1 << 16;

/// The number with which the `syscall` before `ip` is made: a constant that is put into
/// EAX and stays there on a straight line. None where it is not that simple, or there is
/// no `syscall`.
pub(in crate::access) fn number(function: &Function<'_>, ip: u64) -> Option<u32> {
    let length = usize::try_from(function.size.min(FUNCTION_MAX)).ok()?;
    let bytes = function.bytes.get(..length.min(function.bytes.len()))?;
    let (from, number) = constant_before(bytes, function.start, ip)?;
    // Who jumps in between comes with another number.
    let enters = |instruction: &Instruction| {
        let is_near =
            instruction.is_jmp_short_or_near() || instruction.is_jcc_short_or_near();
        is_near && (from..ip).contains(&instruction.near_branch_target())
    };
    let mut decoder = Decoder::with_ip(64, bytes, function.start, DecoderOptions::NONE);
    (!decoder.iter().any(|instruction| enters(&instruction))).then_some(number)
}

/// The constant, and the address behind what puts it there.
fn constant_before(bytes: &[u8], start: u64, ip: u64) -> Option<(u64, u32)> {
    let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
    let mut factory = InstructionInfoFactory::new();
    let mut known = None;
    let walked = decoder.iter().try_for_each(|instruction| {
        if instruction.next_ip() >= ip || instruction.is_invalid() {
            let is_it = instruction.next_ip() == ip
                && instruction.mnemonic() == Mnemonic::Syscall;
            return ControlFlow::Break(known.filter(|_| is_it));
        }
        if let Some(number) = constant(&instruction) {
            known = Some((instruction.next_ip(), number));
        } else if instruction.flow_control() != FlowControl::Next
            || changes(&instruction, &mut factory)
        {
            known = None;
        }
        ControlFlow::Continue(())
    });
    walked.break_value().flatten()
}

/// What the instruction puts into EAX, if it is a constant.
fn constant(instruction: &Instruction) -> Option<u32> {
    let register = |operand| match instruction.op_kind(operand) {
        OpKind::Register => instruction.op_register(operand),
        _ => Register::None,
    };
    let is_whole = matches!(register(0), Register::EAX | Register::RAX);
    match instruction.mnemonic() {
        Mnemonic::Mov if is_whole => {
            u32::try_from(instruction.try_immediate(1).ok()?).ok()
        }
        Mnemonic::Xor if is_whole && register(1) == register(0) => Some(0),
        _ => None,
    }
}

/// Whether it may change RAX.
fn changes(instruction: &Instruction, factory: &mut InstructionInfoFactory) -> bool {
    let reads = |access| {
        matches!(
            access,
            OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess
        )
    };
    factory.info(instruction).used_registers().iter().any(|used| {
        used.register().full_register() == Register::RAX && !reads(used.access())
    })
}
