//! How one frame is left: a row of a file's tables, decoded.

use gimli::{
    CfaRule, Register, RegisterRule, UnwindExpression, UnwindSection, UnwindTableRow,
};

use super::expression::evaluate;
use super::registers::{Memory, Registers};
use crate::symbols::unwind::Slice;

/// Longer programs are none that a compiler makes.
const PROGRAM_MAX: usize = 256;

/// How the caller's registers come from those of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rule {
    frame: Frame,
    /// Registers that are not the same in the caller; a frame whose return address is
    /// not among them is the outermost.
    saved: Box<[(u16, Saved)]>,
    /// Whether the caller did not call, but was interrupted.
    pub(crate) interrupted: bool,
}

/// The address of a frame (the CFA): where the caller's stack pointer was before the
/// call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Frame {
    Register(u16, i64),
    Program(Box<[u8]>),
}

/// Where the caller's value of a register is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Saved {
    /// In memory, so far from the frame's address.
    At(i64),
    /// It is so far from the frame's address.
    Sum(i64),
    /// In another register.
    In(u16),
    /// In memory, where a program says.
    AtProgram(Box<[u8]>),
    /// A program computes it.
    Program(Box<[u8]>),
    Constant(u64),
    Lost,
}

/// Where the general registers are in a frame of a signal, from the stack pointer on, for
/// those of numbers 0 to 16 (`struct sigcontext` in `struct ucontext`,
/// arch/x86/include/uapi/asm/sigcontext.h).
const IN_SIGNAL_FRAME: [i64; Registers::COUNT] =
    [144, 136, 152, 128, 112, 104, 120, 160, 40, 48, 56, 64, 72, 80, 88, 96, 168];

/// The instructions that end a signal's handler: `rt_sigreturn`, as C libraries have
/// them that have no tables for it.
const SIGNAL_RETURNS: [&[u8]; 2] =
    [b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05", b"\xb8\x0f\0\0\0\x0f\x05"];

/// The length of the code that returns from a signal's handler, where `code` is that.
pub(crate) fn signal_return(code: &[u8]) -> Option<usize> {
    let known = SIGNAL_RETURNS.iter().find(|known| code.starts_with(known));
    known.map(|known| known.len())
}

impl Rule {
    /// That of a row of `section`.
    pub(super) fn of<'a, S: UnwindSection<Slice<'a>>>(
        row: &UnwindTableRow<usize>,
        section: &S,
        interrupted: bool,
    ) -> Option<Self> {
        let program = |program: UnwindExpression<usize>| {
            let program = program.get(section).ok()?.0.slice();
            (program.len() <= PROGRAM_MAX).then(|| program.into())
        };
        let frame = match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } => {
                Frame::Register(register.0, *offset)
            }
            CfaRule::Expression(expression) => Frame::Program(program(*expression)?),
        };
        let mut saved = Vec::new();
        for number in 0..Registers::COUNT as u16 {
            let Some(rule) = row.register(Register(number)) else { continue };
            let rule = match rule {
                RegisterRule::SameValue => continue,
                RegisterRule::Offset(offset) => Saved::At(offset),
                RegisterRule::ValOffset(offset) => Saved::Sum(offset),
                RegisterRule::Register(register) => Saved::In(register.0),
                RegisterRule::Expression(at) => Saved::AtProgram(program(at)?),
                RegisterRule::ValExpression(value) => Saved::Program(program(value)?),
                RegisterRule::Constant(value) => Saved::Constant(value),
                RegisterRule::Undefined if number == Registers::RIP => continue,
                RegisterRule::Undefined | RegisterRule::Architectural => Saved::Lost,
            };
            saved.push((number, rule));
        }
        Some(Self { frame, saved: saved.into(), interrupted })
    }

    /// That of the code which returns from a signal's handler, where `code` is that.
    pub(crate) fn of_signal_return(code: &[u8]) -> Option<Self> {
        signal_return(code)?;
        let saved = IN_SIGNAL_FRAME.iter().zip(0..);
        let saved = saved.map(|(offset, number)| (number, Saved::At(*offset)));
        let frame = Frame::Register(Registers::RSP, 0);
        Some(Self { frame, saved: saved.collect(), interrupted: true })
    }

    /// That of a function which has pushed so many bytes since it was called.
    pub(crate) fn after_pushing(bytes: i64) -> Self {
        let frame = Frame::Register(Registers::RSP, bytes + 8);
        let saved = [(Registers::RIP, Saved::At(-8))];
        Self { frame, saved: saved.into(), interrupted: false }
    }

    /// That of a function which keeps a frame pointer.
    pub(crate) fn by_frame_pointer() -> Self {
        let frame = Frame::Register(Registers::RBP, 16);
        let saved = [(Registers::RBP, Saved::At(-16)), (Registers::RIP, Saved::At(-8))];
        Self { frame, saved: saved.into(), interrupted: false }
    }

    /// Whether nobody called what it is the rule of.
    pub(super) fn is_outermost(&self) -> bool {
        !self.saved.iter().any(|(number, _)| *number == Registers::RIP)
    }

    /// Whether the frame is found by `rbp`.
    pub(super) fn keeps_frame_pointer(&self) -> bool {
        matches!(self.frame, Frame::Register(Registers::RBP, 16))
    }

    /// The caller's registers; none where its stack pointer or the return address is
    /// not to be had.
    pub(super) fn caller(
        &self,
        own: &Registers,
        memory: &Memory<'_>,
    ) -> Option<Registers> {
        let frame = match &self.frame {
            Frame::Register(number, offset) => {
                own.get(*number)?.checked_add_signed(*offset)?
            }
            Frame::Program(program) => evaluate(program, None, own, memory)?,
        };
        let mut caller = *own;
        caller.set(Registers::RSP, Some(frame));
        for (number, saved) in &self.saved {
            let value = match saved {
                Saved::At(offset) => memory.word(frame.wrapping_add_signed(*offset)),
                Saved::Sum(offset) => Some(frame.wrapping_add_signed(*offset)),
                Saved::In(other) => own.get(*other),
                Saved::AtProgram(program) => {
                    let at = evaluate(program, Some(frame), own, memory);
                    at.and_then(|at| memory.word(at))
                }
                Saved::Program(program) => evaluate(program, Some(frame), own, memory),
                Saved::Constant(value) => Some(*value),
                Saved::Lost => None,
            };
            caller.set(*number, value);
        }
        caller.get(Registers::RSP)?;
        caller.get(Registers::RIP)?;
        Some(caller)
    }
}
