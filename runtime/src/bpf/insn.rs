//! The instructions of BPF that our programs consist of (RFC 9669; names as in
//! include/uapi/linux/bpf.h).

/// One instruction, 8 bytes as the kernel takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction(u64);

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(u8);

/// What a function gives.
pub const R0: Register = Register(0);
/// The first argument; at the start of a program, its context.
pub const R1: Register = Register(1);
/// The second argument.
pub const R2: Register = Register(2);
/// The third argument.
pub const R3: Register = Register(3);
/// The fourth argument.
pub const R4: Register = Register(4);
/// The fifth argument.
pub const R5: Register = Register(5);
/// Kept by functions, as those that follow.
pub const R6: Register = Register(6);
/// Kept.
pub const R7: Register = Register(7);
/// Kept.
pub const R8: Register = Register(8);
/// Kept.
pub const R9: Register = Register(9);
/// The end of the stack, which grows downwards.
pub const FRAME: Register = Register(10);

/// How many bytes are loaded or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One.
    Byte = 0x10,
    /// Two.
    Half = 0x08,
    /// Four.
    Word = 0x00,
    /// Eight.
    Double = 0x18,
}

impl Width {
    /// Of so many bytes: 1, 2, 4 or else 8.
    pub fn of(bytes: u32) -> Self {
        match bytes {
            1 => Self::Byte,
            2 => Self::Half,
            4 => Self::Word,
            _ => Self::Double,
        }
    }

    /// How many these are.
    pub(super) fn bytes(self) -> i32 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }

    /// `BPF_B` and so on.
    fn code(self) -> u8 {
        self as u8
    }
}

/// What is computed of two numbers of 64 bits, without signs unless it says so.
#[allow(missing_docs, reason = "each is what it is called; shifts take the lower 6 bits")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alu {
    Add = 0x00,
    Subtract = 0x10,
    Multiply = 0x20,
    Divide = 0x30,
    Or = 0x40,
    And = 0x50,
    ShiftLeft = 0x60,
    ShiftRight = 0x70,
    Remainder = 0x90,
    Xor = 0xa0,
    /// The sign is carried on.
    ShiftRightSigned = 0xc0,
}

/// When a jump is taken: by comparing two numbers of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `==`
    Equal = 0x10,
    /// `>`, without signs
    Above = 0x20,
    /// `>=`, without signs
    AboveOrEqual = 0x30,
    /// `&`
    AnyBit = 0x40,
    /// `!=`
    NotEqual = 0x50,
    /// `>`, with signs
    Greater = 0x60,
    /// `>=`, with signs
    GreaterOrEqual = 0x70,
    /// `<`, without signs
    Below = 0xa0,
    /// `<`, with signs
    Less = 0xc0,
    /// `<=`, with signs
    LessOrEqual = 0xd0,
}

/// What is done to eight bytes of memory at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomic {
    /// Adds the register.
    Add = 0x00,
    /// Adds the register, which gets what was there (Linux 5.12, as those below).
    FetchAdd = 0x01,
    /// Stores the register, which gets what was there.
    Exchange = 0xe1,
    /// Stores the register where [`R0`] was there; that gets what was there.
    CompareExchange = 0xf1,
}

/// A function of the kernel that programs may call (`BPF_FUNC_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// `bpf_map_lookup_elem(map, key)`
    MapLookup = 1,
    /// `bpf_ktime_get_ns()`: CLOCK_MONOTONIC
    Clock = 5,
    /// `bpf_get_smp_processor_id()`
    Cpu = 8,
    /// `bpf_tail_call(context, programs, index)`
    TailCall = 12,
    /// `bpf_get_current_pid_tgid()`: the process in the upper half, the thread in the
    /// lower
    PidTgid = 14,
    /// `bpf_get_stack(context, to, length, flags)`
    Stack = 67,
    /// `bpf_send_signal(signal)`: to the process that runs (Linux 5.3)
    SendSignal = 109,
    /// `bpf_probe_read_user(to, length, from)`
    ProbeReadUser = 112,
    /// `bpf_probe_read_kernel(to, length, from)`
    ProbeReadKernel = 113,
    /// `bpf_probe_read_user_str(to, length, from)`
    ProbeReadUserText = 114,
    /// `bpf_probe_read_kernel_str(to, length, from)`
    ProbeReadKernelText = 115,
    /// `bpf_get_ns_current_pid_tgid(device, inode, to, length)`
    NamespacePidTgid = 120,
    /// `bpf_seq_write(seq, from, length)`
    SeqWrite = 127,
    /// `bpf_ringbuf_output(ring, record, length, flags)`
    RecordPut = 130,
    /// `bpf_ringbuf_reserve(ring, length, flags)`
    RecordReserve = 131,
    /// `bpf_ringbuf_submit(record, flags)`
    RecordSubmit = 132,
    /// `bpf_ringbuf_discard(record, flags)`
    RecordDiscard = 133,
    /// `bpf_ringbuf_query(ring, what)`
    RecordsQuery = 134,
    /// `bpf_get_current_task_btf()`
    Task = 158,
    /// `bpf_task_pt_regs(task)` (Linux 5.15)
    TaskRegisters = 175,
}

impl Instruction {
    fn new(code: u8, to: Register, from: Register, offset: i16, constant: i32) -> Self {
        let registers = from.0 << 4 | to.0;
        let offset = u64::from(offset.cast_unsigned()) << 16;
        let constant = u64::from(constant.cast_unsigned()) << 32;
        Self(u64::from(code) | u64::from(registers) << 8 | offset | constant)
    }

    /// The same, but that a jump skips so many.
    pub(super) fn skipping(self, count: i16) -> Self {
        Self(self.0 & !0xffff_0000 | u64::from(count.cast_unsigned()) << 16)
    }

    /// Whether the one after it may be next.
    pub(super) fn goes_on(self) -> bool {
        !matches!(self.0 as u8, 0x05 | 0x95)
    }

    /// The instruction as a number, its first byte the lowest.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// `to = *(from + offset)`
pub fn load(width: Width, to: Register, from: Register, offset: i16) -> Instruction {
    Instruction::new(0x61 | width.code(), to, from, offset, 0)
}

/// `*(to + offset) = from`
pub fn store(width: Width, to: Register, offset: i16, from: Register) -> Instruction {
    Instruction::new(0x63 | width.code(), to, from, offset, 0)
}

/// `*(to + offset) = constant`, the constant's sign carried on
pub fn store_constant(
    width: Width,
    to: Register,
    offset: i16,
    constant: i32,
) -> Instruction {
    Instruction::new(0x62 | width.code(), to, R0, offset, constant)
}

/// `to = from`
pub fn copy(to: Register, from: Register) -> Instruction {
    Instruction::new(0xbf, to, from, 0, 0)
}

/// `to = from`, of which the lower half alone
pub fn copy_low(to: Register, from: Register) -> Instruction {
    Instruction::new(0xbc, to, from, 0, 0)
}

/// `to = constant`
pub fn set(to: Register, constant: i32) -> Instruction {
    Instruction::new(0xb7, to, R0, 0, constant)
}

/// `to = constant`, of 64 bits
pub fn set_wide(to: Register, constant: u64) -> [Instruction; 2] {
    wide(to, R0, constant as i32, (constant >> 32) as i32)
}

/// `to` = a map, as functions take it.
pub fn set_map(to: Register, map: i32) -> [Instruction; 2] {
    // `BPF_PSEUDO_MAP_FD`
    wide(to, R1, map, 0)
}

/// `to` = the address of a byte in the one element of an array (Linux 5.2).
pub fn set_address(to: Register, map: i32, offset: usize) -> [Instruction; 2] {
    // `BPF_PSEUDO_MAP_VALUE`
    wide(to, R2, map, offset as i32)
}

fn wide(to: Register, kind: Register, first: i32, second: i32) -> [Instruction; 2] {
    [Instruction::new(0x18, to, kind, 0, first), Instruction::new(0, R0, R0, 0, second)]
}

/// `to += constant`
pub fn add(to: Register, constant: i32) -> Instruction {
    alu_constant(Alu::Add, to, constant)
}

/// `to = to ∘ from`
pub fn alu(operator: Alu, to: Register, from: Register) -> Instruction {
    Instruction::new(0x0f | operator as u8, to, from, 0, 0)
}

/// `to = to ∘ constant`
pub fn alu_constant(operator: Alu, to: Register, constant: i32) -> Instruction {
    Instruction::new(0x07 | operator as u8, to, R0, 0, constant)
}

/// `to = -to`
pub fn negate(to: Register) -> Instruction {
    Instruction::new(0x87, to, R0, 0, 0)
}

/// Does something to `*(to + offset)` with `from`.
pub fn atomic(does: Atomic, to: Register, offset: i16, from: Register) -> Instruction {
    Instruction::new(0xdb, to, from, offset, does as i32)
}

/// Skips `count` instructions.
pub fn skip(count: i16) -> Instruction {
    Instruction::new(0x05, R0, R0, count, 0)
}

/// Skips `count` instructions where the test holds of register and constant.
pub fn skip_if(test: Test, register: Register, constant: i32, count: i16) -> Instruction {
    Instruction::new(0x05 | test as u8, register, R0, count, constant)
}

/// The same of two registers.
pub fn skip_if_both(
    test: Test,
    register: Register,
    other: Register,
    count: i16,
) -> Instruction {
    Instruction::new(0x0d | test as u8, register, other, count, 0)
}

/// Calls a function of the kernel.
pub fn call(helper: Helper) -> Instruction {
    Instruction::new(0x85, R0, R0, 0, helper as i32)
}

/// Calls a function of the kernel by its number in the kernel's BTF (Linux 5.13).
pub fn call_numbered(function: u32) -> Instruction {
    // `BPF_PSEUDO_KFUNC_CALL`
    Instruction::new(0x85, R0, R2, 0, function.cast_signed())
}

/// Ends the program; [`R0`] is what it gives.
pub fn exit() -> Instruction {
    Instruction::new(0x95, R0, R0, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As assembled by LLVM (`llvm-mc -triple bpfel -show-encoding`).
    #[test]
    fn encodings() {
        for (instruction, bytes) in [
            (load(Width::Double, R7, R1, 8), [0x79, 0x17, 8, 0, 0, 0, 0, 0]),
            (load(Width::Word, R2, R7, -4), [0x61, 0x72, 0xfc, 0xff, 0, 0, 0, 0]),
            (store(Width::Double, FRAME, -16, R7), [0x7b, 0x7a, 0xf0, 0xff, 0, 0, 0, 0]),
            (store(Width::Word, FRAME, -8, R2), [0x63, 0x2a, 0xf8, 0xff, 0, 0, 0, 0]),
            (
                store_constant(Width::Double, FRAME, -8, 0),
                [0x7a, 0x0a, 0xf8, 0xff, 0, 0, 0, 0],
            ),
            (copy(R6, R1), [0xbf, 0x16, 0, 0, 0, 0, 0, 0]),
            (set(R0, -1), [0xb7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
            (add(R2, -16), [0x07, 0x02, 0, 0, 0xf0, 0xff, 0xff, 0xff]),
            (skip_if(Test::Equal, R7, 0, 5), [0x15, 0x07, 5, 0, 0, 0, 0, 0]),
            (skip_if(Test::Above, R2, 512, 1), [0x25, 0x02, 1, 0, 0, 2, 0, 0]),
            (skip(2), [0x05, 0, 2, 0, 0, 0, 0, 0]),
            (call(Helper::ProbeReadKernel), [0x85, 0, 0, 0, 113, 0, 0, 0]),
            (call_numbered(0x1_2345), [0x85, 0x20, 0, 0, 0x45, 0x23, 1, 0]),
            (exit(), [0x95, 0, 0, 0, 0, 0, 0, 0]),
            (copy_low(R3, R8), [0xbc, 0x83, 0, 0, 0, 0, 0, 0]),
            (alu(Alu::ShiftRightSigned, R1, R2), [0xcf, 0x21, 0, 0, 0, 0, 0, 0]),
            (alu_constant(Alu::And, R4, 31), [0x57, 0x04, 0, 0, 31, 0, 0, 0]),
            (negate(R5), [0x87, 0x05, 0, 0, 0, 0, 0, 0]),
            (atomic(Atomic::Exchange, R9, 8, R1), [0xdb, 0x19, 8, 0, 0xe1, 0, 0, 0]),
            (skip_if_both(Test::Less, R1, R2, 3), [0xcd, 0x21, 3, 0, 0, 0, 0, 0]),
            (skip(1).skipping(-1), [0x05, 0, 0xff, 0xff, 0, 0, 0, 0]),
            (set_address(R1, 5, 64)[0], [0x18, 0x21, 0, 0, 5, 0, 0, 0]),
            (set_address(R1, 5, 64)[1], [0, 0, 0, 0, 64, 0, 0, 0]),
            (set_map(R1, 5)[0], [0x18, 0x11, 0, 0, 5, 0, 0, 0]),
            (set_wide(R2, 7 << 32)[1], [0, 0, 0, 0, 7, 0, 0, 0]),
        ] {
            assert_eq!(instruction.bits().to_le_bytes(), bytes, "{instruction:?}");
        }
    }
}
