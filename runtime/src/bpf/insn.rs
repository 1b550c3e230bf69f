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
/// Kept by functions.
pub const R6: Register = Register(6);
/// Kept by functions.
pub const R7: Register = Register(7);
/// The end of the stack, which grows downwards.
pub const FRAME: Register = Register(10);

/// How many bytes are loaded or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Four.
    Word,
    /// Eight.
    Double,
}

impl Width {
    /// `BPF_W` or `BPF_DW`.
    fn code(self) -> u8 {
        match self {
            Width::Word => 0x00,
            Width::Double => 0x18,
        }
    }
}

/// A function of the kernel that programs may call (`BPF_FUNC_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helper {
    /// `bpf_probe_read_kernel(to, length, from)`
    ProbeReadKernel = 113,
    /// `bpf_seq_write(seq, from, length)`
    SeqWrite = 127,
}

impl Instruction {
    fn new(code: u8, to: Register, from: Register, offset: i16, constant: i32) -> Self {
        let registers = from.0 << 4 | to.0;
        let offset = u64::from(offset.cast_unsigned()) << 16;
        let constant = u64::from(constant.cast_unsigned()) << 32;
        Self(u64::from(code) | u64::from(registers) << 8 | offset | constant)
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

/// `to = constant`
pub fn set(to: Register, constant: i32) -> Instruction {
    Instruction::new(0xb7, to, R0, 0, constant)
}

/// `to += constant`
pub fn add(to: Register, constant: i32) -> Instruction {
    Instruction::new(0x07, to, R0, 0, constant)
}

/// Skips `count` instructions.
pub fn skip(count: i16) -> Instruction {
    Instruction::new(0x05, R0, R0, count, 0)
}

/// Skips `count` instructions where `register == constant`.
pub fn skip_if_equal(register: Register, constant: i32, count: i16) -> Instruction {
    Instruction::new(0x15, register, R0, count, constant)
}

/// Skips `count` instructions where `register > constant`, without signs.
pub fn skip_if_above(register: Register, constant: i32, count: i16) -> Instruction {
    Instruction::new(0x25, register, R0, count, constant)
}

/// Calls a function of the kernel.
pub fn call(helper: Helper) -> Instruction {
    Instruction::new(0x85, R0, R0, 0, helper as i32)
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
            (skip_if_equal(R7, 0, 5), [0x15, 0x07, 5, 0, 0, 0, 0, 0]),
            (skip_if_above(R2, 512, 1), [0x25, 0x02, 1, 0, 0, 2, 0, 0]),
            (skip(2), [0x05, 0, 2, 0, 0, 0, 0, 0]),
            (call(Helper::ProbeReadKernel), [0x85, 0, 0, 0, 113, 0, 0, 0]),
            (exit(), [0x95, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(instruction.bits().to_le_bytes(), bytes, "{instruction:?}");
        }
    }
}
