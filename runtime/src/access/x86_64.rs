//! From x86-64 machine code to a plan.

pub(super) mod operands;
pub(super) mod syscall;
pub(super) mod window;

use iced_x86::{
    ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction,
    InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, UsedMemory,
    UsedRegister,
};

use super::{
    Access, Call, Callee, Condition, Function, MAX_TOUCHES, MAX_WALK, Operation, Place,
    RegisterPart, Source, Touch, Value,
};
use crate::schema::AccessKind;

/// perf's numbers (Linux: arch/x86/include/uapi/asm/perf_regs.h) of the general
/// registers in the order of their encoding: AX CX DX BX SP BP SI DI R8 … R15.
const PERF_NUMBERS: [u8; 16] = [0, 2, 3, 1, 7, 6, 4, 5, 16, 17, 18, 19, 20, 21, 22, 23];

const AX: RegisterPart = RegisterPart { number: 0, shift: 0 };
const BX: RegisterPart = RegisterPart { number: 1, shift: 0 };
const CX: RegisterPart = RegisterPart { number: 2, shift: 0 };
const DX: RegisterPart = RegisterPart { number: 3, shift: 0 };
const SP: u8 = 7;

/// More than the processor's state takes beyond the header of `xsave`.
const STATE_MAX: u32 = 1 << 14;

/// What a `rep` string instruction may overwrite: AX CX SI DI.
const REPEAT_CHANGES: [u8; 4] = [0, 2, 4, 5];

/// The accesses after which the function can be at `ip`: that of the
/// instruction before, and that of the instruction at `ip` if it is a `rep`
/// string instruction, whose every iteration but the last traps at itself. None
/// where the instruction before is not known.
pub(super) fn plan(function: &Function<'_>, ip: u64) -> Option<Access> {
    let (before, at) = neighbours(function, ip)?;
    let mut factory = InstructionInfoFactory::new();
    let mut touches = before
        .filter(|instruction| instruction.flow_control() == FlowControl::Next)
        .map_or_else(Vec::new, |instruction| touches(&instruction, &mut factory));
    if let Some(repeated) = at.filter(is_repeated) {
        touches.iter_mut().for_each(distrust);
        touches.extend(self::touches(&repeated, &mut factory));
    }
    if before.is_none() && touches.is_empty() {
        return None;
    }
    let call = before.as_ref().and_then(call);
    let mut plan = Access { ip, touches: [None; MAX_TOUCHES], call, is_certain: true };
    for (slot, touch) in plan.touches.iter_mut().zip(touches) {
        *slot = Some(touch);
    }
    Some(plan)
}

/// The instructions before and at `ip`, by decoding from the function's start.
/// None where the boundaries do not meet, or there is more than padding between
/// the function's end and `ip`.
fn neighbours(
    function: &Function<'_>,
    ip: u64,
) -> Option<(Option<Instruction>, Option<Instruction>)> {
    let distance = ip.checked_sub(function.start)?;
    if distance > MAX_WALK {
        return None;
    }
    let distance = usize::try_from(distance).ok()?;
    if distance > function.bytes.len() {
        return None;
    }
    let end = function.start.saturating_add(function.size);
    let mut decoder =
        Decoder::with_ip(64, function.bytes, function.start, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut before = None;
    while decoder.position() < distance {
        decoder.decode_out(&mut instruction);
        let is_own = instruction.ip() < end || is_padding(&instruction);
        if instruction.is_invalid() || !is_own {
            return None;
        }
        before = Some(instruction);
    }
    if decoder.position() != distance {
        return None;
    }
    let at = decoder.can_decode().then(|| decoder.decode());
    Some((before, at.filter(|instruction| !instruction.is_invalid())))
}

/// What compilers and assemblers put between functions.
fn is_padding(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3)
}

/// Of a near call: where it goes.
fn call(instruction: &Instruction) -> Option<Call> {
    let callee = match instruction.flow_control() {
        FlowControl::Call if instruction.is_call_near() => {
            Callee::Address(instruction.near_branch_target())
        }
        FlowControl::IndirectCall => match instruction.op0_kind() {
            OpKind::Register => Callee::Register(number(instruction.op0_register())?),
            _ => Callee::Pointer,
        },
        _ => return None,
    };
    Some(Call { instruction: instruction.ip(), callee })
}

fn is_repeated(instruction: &Instruction) -> bool {
    instruction.is_string_instruction()
        && (instruction.has_rep_prefix() || instruction.has_repne_prefix())
}

/// Takes from the plan what a `rep` instruction after it may have overwritten.
fn distrust(touch: &mut Touch) {
    let changed = |part: RegisterPart| REPEAT_CHANGES.contains(&part.number);
    let place_changed = match touch.place {
        Place::Unknown => false,
        Place::Stepped { .. } => true,
        Place::Linear { base, index, .. } => {
            [base, index].iter().flatten().any(|number| REPEAT_CHANGES.contains(number))
        }
    };
    if place_changed {
        touch.place = Place::Unknown;
    }
    let value_changed = match touch.value {
        Value::Register(part)
        | Value::RegisterIf(part, _)
        | Value::Exchanged(part)
        | Value::Computed(_, Source::Register(part)) => changed(part),
        Value::Swapped(part) => changed(part),
        Value::CompareExchanged { .. } | Value::CompareExchangedPair => true,
        Value::Unknown
        | Value::Immediate(_)
        | Value::Truth(_)
        | Value::PushedStackPointer
        | Value::Computed(_, Source::Immediate(_)) => false,
    };
    // `repe cmps` and `repe scas` change the flags.
    if value_changed || matches!(touch.value, Value::RegisterIf(..) | Value::Truth(_)) {
        touch.value = Value::Unknown;
    }
}

/// The memory operands of an instruction, [`MAX_TOUCHES`] / 2 at most: of more
/// (nested `enter`) only a summary is kept.
fn touches(
    instruction: &Instruction,
    factory: &mut InstructionInfoFactory,
) -> Vec<Touch> {
    let info = factory.info(instruction);
    let mut touches: Vec<Touch> = info
        .used_memory()
        .iter()
        .filter_map(|memory| {
            let kind = kind(memory.access())?;
            let size = size(instruction, memory);
            let place = match size {
                0 => Place::Unknown,
                _ => place(instruction, memory, info.used_registers()),
            };
            let address = instruction.ip();
            Some(Touch { instruction: address, kind, place, size, value: Value::Unknown })
        })
        .collect();
    if let [touch] = touches.as_mut_slice() {
        if instruction.mnemonic() == Mnemonic::Cmpxchg16b {
            return halves(*touch).to_vec();
        }
        if is_state_saved(instruction) {
            return state(*touch).to_vec();
        }
        touch.value = value(instruction).unwrap_or(Value::Unknown);
    } else if touches.len() > MAX_TOUCHES / 2 {
        let same = touches.iter().all(|touch| touch.kind == touches[0].kind);
        touches.truncate(1);
        touches[0].place = Place::Unknown;
        touches[0].size = 0;
        if !same {
            touches[0].kind = AccessKind::Unknown;
        }
    }
    touches
}

/// SDM vol. 2A, CMPXCHG8B/CMPXCHG16B: RDX:RAX is compared, RCX:RBX stored. The
/// operand is aligned, so that a watch lies in one half.
fn halves(touch: Touch) -> [Touch; 2] {
    [(0, BX, AX), (8, CX, DX)].map(|(offset, source, accumulator)| Touch {
        place: touch.place.plus(offset),
        size: 8,
        value: Value::CompareExchanged { source, accumulator },
        ..touch
    })
}

fn is_state_saved(instruction: &Instruction) -> bool {
    use Mnemonic::{Xsave, Xsave64, Xsavec, Xsavec64, Xsaveopt, Xsaveopt64};
    matches!(
        instruction.mnemonic(),
        Xsave | Xsave64 | Xsavec | Xsavec64 | Xsaveopt | Xsaveopt64
    )
}

/// What `xsave` stores: 512 bytes as `fxsave`, a header of 64 bytes, which all but
/// `xsavec` read, too, and more, depending on the processor (SDM vol. 1, 13.4 and
/// 13.7), up to some 11 KiB as of today.
fn state(touch: Touch) -> [Touch; 3] {
    use AccessKind::{Update, Write};
    [(0, 512, Write), (512, 64, Update), (576, STATE_MAX, Write)].map(
        |(offset, size, kind)| Touch {
            place: touch.place.plus(offset),
            size,
            kind,
            ..touch
        },
    )
}

fn kind(access: OpAccess) -> Option<AccessKind> {
    match access {
        OpAccess::Read | OpAccess::CondRead => Some(AccessKind::Read),
        OpAccess::Write | OpAccess::CondWrite => Some(AccessKind::Write),
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => Some(AccessKind::Update),
        OpAccess::None | OpAccess::NoMemAccess => None,
    }
}

/// Bytes of an operand; of a repeated string instruction, of one element. 0
/// where it depends on the processor's state (`xsave`).
fn size(instruction: &Instruction, memory: &UsedMemory) -> u32 {
    if is_state_saved(instruction) {
        return STATE_MAX;
    }
    let size = match memory.memory_size().size() {
        0 if instruction.is_string_instruction() => instruction.memory_size().size(),
        size => size,
    };
    u32::try_from(size).unwrap_or(0)
}

/// Where an operand is, in terms of the registers after the instruction.
fn place(
    instruction: &Instruction,
    memory: &UsedMemory,
    registers: &[UsedRegister],
) -> Place {
    // The bases of other segments are 0 in 64-bit mode (SDM vol. 1, 3.4.2.1).
    if matches!(memory.segment(), Register::FS | Register::GS) {
        return Place::Unknown;
    }
    let narrow = memory.address_size() == iced_x86::CodeSize::Code32;
    if instruction.is_string_instruction() {
        let repeated = is_repeated(instruction);
        return number(memory.base()).map_or(Place::Unknown, |pointer| Place::Stepped {
            pointer,
            narrow,
            repeated,
        });
    }
    let mut displacement = memory.displacement();
    let mut base = memory.base();
    if instruction.mnemonic() == Mnemonic::Leave {
        // It moves RBP to RSP, then pops RBP: only RSP still tells.
        base = Register::RSP;
        displacement = u64::from(memory.memory_size().size() as u32).wrapping_neg();
    } else if let Some(moved) = stack_step(instruction, base) {
        displacement = displacement.wrapping_sub(moved.cast_unsigned());
    } else if is_overwritten(base, registers) {
        return Place::Unknown;
    }
    // A register operand of `bts` and its like reaches beyond the operand (SDM
    // vol. 2A, BTS), and that of a gather is many.
    let mnemonic = instruction.mnemonic();
    let bit_string =
        matches!(mnemonic, Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc)
            && instruction.op1_kind() == OpKind::Register;
    if bit_string || is_overwritten(memory.index(), registers) {
        return Place::Unknown;
    }
    let (Some(base), Some(index)) = (optional(base), optional(memory.index())) else {
        return Place::Unknown;
    };
    let scale = memory.scale() as u8;
    Place::Linear { base, index, scale, displacement, narrow }
}

/// By how much the instruction moved the stack pointer, if `base` is that and
/// the instruction did nothing else to it.
fn stack_step(instruction: &Instruction, base: Register) -> Option<i64> {
    let step = instruction.stack_pointer_increment();
    let popped_into = instruction.mnemonic() == Mnemonic::Pop
        && instruction.op0_kind() == OpKind::Register
        && instruction.op0_register().full_register() == Register::RSP;
    (base.full_register() == Register::RSP && step != 0 && !popped_into)
        .then_some(step.into())
}

/// Whether the instruction writes the register.
fn is_overwritten(register: Register, registers: &[UsedRegister]) -> bool {
    register != Register::None
        && registers.iter().any(|used| {
            let written = !matches!(
                used.access(),
                OpAccess::None
                    | OpAccess::Read
                    | OpAccess::CondRead
                    | OpAccess::NoMemAccess
            );
            written && used.register().full_register() == register.full_register()
        })
}

/// The number of an address register; `Some(None)` where there is none, None
/// where it is not a general register of 32 or 64 bits (gathers, `xlat`).
fn optional(register: Register) -> Option<Option<u8>> {
    if register == Register::None {
        return Some(None);
    }
    (register.is_gpr32() || register.is_gpr64()).then(|| number(register))
}

fn number(register: Register) -> Option<u8> {
    PERF_NUMBERS
        .get(register.is_gpr().then(|| register.full_register().number())?)
        .copied()
}

fn part(register: Register) -> Option<RegisterPart> {
    let high =
        matches!(register, Register::AH | Register::BH | Register::CH | Register::DH);
    Some(RegisterPart { number: number(register)?, shift: if high { 8 } else { 0 } })
}

/// What is known of the bytes of an instruction's only memory operand.
fn value(instruction: &Instruction) -> Option<Value> {
    match instruction.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movnti => moved(instruction),
        Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd => loaded(instruction),
        Mnemonic::Movbe => match moved(instruction)? {
            Value::Register(part) => Some(Value::Swapped(part)),
            _ => None,
        },
        Mnemonic::Push => pushed(instruction),
        Mnemonic::Pop | Mnemonic::Leave => popped(instruction),
        // Strings repeated have many values.
        Mnemonic::Stosb
        | Mnemonic::Stosw
        | Mnemonic::Stosd
        | Mnemonic::Stosq
        | Mnemonic::Lodsb
        | Mnemonic::Lodsw
        | Mnemonic::Lodsd
        | Mnemonic::Lodsq => (!is_repeated(instruction)).then_some(Value::Register(AX)),
        Mnemonic::Xchg | Mnemonic::Xadd => {
            let register = match instruction.op0_kind() {
                OpKind::Register => instruction.op0_register(),
                _ => instruction.op1_register(),
            };
            part(register).map(Value::Exchanged)
        }
        Mnemonic::Cmpxchg => {
            let source = part(instruction.op1_register())?;
            Some(Value::CompareExchanged { source, accumulator: AX })
        }
        Mnemonic::Cmpxchg8b => Some(Value::CompareExchangedPair),
        _ => conditional(instruction).or_else(|| computed(instruction)),
    }
}

fn moved(instruction: &Instruction) -> Option<Value> {
    if instruction.op0_kind() == OpKind::Register {
        return loaded(instruction);
    }
    match instruction.op1_kind() {
        OpKind::Register => part(instruction.op1_register()).map(Value::Register),
        _ => instruction.try_immediate(1).ok().map(Value::Immediate),
    }
}

fn loaded(instruction: &Instruction) -> Option<Value> {
    part(instruction.op0_register()).map(Value::Register)
}

/// SDM vol. 2B, PUSH: RSP is pushed as it was before.
fn pushed(instruction: &Instruction) -> Option<Value> {
    match instruction.op0_kind() {
        OpKind::Register => {
            let part = part(instruction.op0_register())?;
            Some(if part.number == SP {
                Value::PushedStackPointer
            } else {
                Value::Register(part)
            })
        }
        _ => instruction.try_immediate(0).ok().map(Value::Immediate),
    }
}

fn popped(instruction: &Instruction) -> Option<Value> {
    match instruction.mnemonic() {
        Mnemonic::Leave => part(Register::RBP).map(Value::Register),
        _ => loaded(instruction),
    }
}

/// `setcc` and `cmovcc`, which leave the flags alone.
fn conditional(instruction: &Instruction) -> Option<Value> {
    let condition = match instruction.condition_code() {
        ConditionCode::None => return None,
        // From 1 on in the order of the encoding.
        code => Condition(code as u8 - 1),
    };
    match (instruction.op_count(), instruction.op0_kind()) {
        (1, OpKind::Memory) => Some(Value::Truth(condition)),
        (2, OpKind::Register) => part(instruction.op0_register())
            .map(|part| Value::RegisterIf(part, condition)),
        _ => None,
    }
}

/// Read-modify-writes whose result follows from the operands.
fn computed(instruction: &Instruction) -> Option<Value> {
    if instruction.op0_kind() != OpKind::Memory {
        return None;
    }
    let operation = match instruction.mnemonic() {
        Mnemonic::Inc => return Some(constant(Operation::Add, 1)),
        Mnemonic::Dec => return Some(constant(Operation::Subtract, 1)),
        Mnemonic::Not => return Some(constant(Operation::Xor, u64::MAX)),
        Mnemonic::Neg => return Some(constant(Operation::Negate, 0)),
        Mnemonic::Add => Operation::Add,
        Mnemonic::Sub => Operation::Subtract,
        Mnemonic::And => Operation::And,
        Mnemonic::Or => Operation::Or,
        Mnemonic::Xor => Operation::Xor,
        Mnemonic::Shl | Mnemonic::Sal => Operation::ShiftLeft,
        Mnemonic::Shr => Operation::ShiftRight,
        Mnemonic::Sar => Operation::ShiftArithmetic,
        Mnemonic::Rol => Operation::RotateLeft,
        Mnemonic::Ror => Operation::RotateRight,
        Mnemonic::Bts => Operation::BitSet,
        Mnemonic::Btr => Operation::BitReset,
        Mnemonic::Btc => Operation::BitComplement,
        _ => return None,
    };
    let source = match instruction.op1_kind() {
        OpKind::Register => Source::Register(part(instruction.op1_register())?),
        _ => Source::Immediate(instruction.try_immediate(1).ok()?),
    };
    Some(Value::Computed(operation, source))
}

fn constant(operation: Operation, operand: u64) -> Value {
    Value::Computed(operation, Source::Immediate(operand))
}
