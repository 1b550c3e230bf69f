//! What an instruction is about to touch, told from the registers *before* it: for who
//! executes a program instruction by instruction.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, InstructionInfoFactory, Mnemonic, OpKind,
    Register, UsedMemory,
};

use super::{is_repeated, is_state_saved, kind, number, size};
use crate::kernel::UserRegisters;
use crate::schema::AccessKind;

/// An instruction's memory operands, and what else matters of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operands {
    operands: Vec<(UsedMemory, AccessKind, u32)>,
    /// Whether it touches memory at its count's pleasure: nothing with a count of 0.
    counted: bool,
    /// Whether it touches more than the operands tell: who wants to know compares memory.
    pub(crate) is_partial: bool,
    /// Whether it enters the kernel for a system call.
    pub(crate) is_syscall: bool,
    /// Whether it stores the flags, the one of single steps among them.
    pub(crate) stores_flags: bool,
    /// Whether the next one may be itself.
    pub(crate) may_stay: bool,
}

/// A range that is about to be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    /// First address.
    pub(crate) address: u64,
    /// How many bytes.
    pub(crate) size: u32,
    /// What is done with them.
    pub(crate) kind: AccessKind,
}

impl Touched {
    /// Whether it has a byte of these.
    pub(crate) fn overlaps(&self, address: u64, length: u32) -> bool {
        self.address.wrapping_sub(address) < length.into()
            || address.wrapping_sub(self.address) < self.size.into()
    }

    /// Whether it has all of them.
    pub(crate) fn covers(&self, address: u64, length: u32) -> bool {
        let before = address.wrapping_sub(self.address);
        before.saturating_add(length.into()) <= self.size.into()
    }
}

impl Operands {
    /// Of the instruction that these bytes begin with. Nothing of what is none.
    pub(crate) fn of(bytes: &[u8], ip: u64) -> Self {
        let mut decoder = Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE);
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return Self::default();
        }
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(&instruction);
        let operand = |memory: &UsedMemory| {
            Some((*memory, kind(memory.access())?, size(&instruction, memory)))
        };
        let operands: Vec<_> = info.used_memory().iter().filter_map(operand).collect();
        let is_bit_string = matches!(
            instruction.mnemonic(),
            Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
        ) && instruction.op1_kind() == OpKind::Register;
        let is_vague = operands
            .iter()
            .any(|(memory, _, size)| *size == 0 || memory.vsib_size() != 0);
        Self {
            counted: is_repeated(&instruction),
            is_partial: is_vague
                || is_state_saved(&instruction)
                || (is_bit_string && !operands.is_empty()),
            is_syscall: matches!(
                instruction.mnemonic(),
                Mnemonic::Syscall | Mnemonic::Sysenter | Mnemonic::Int
            ),
            stores_flags: matches!(
                instruction.mnemonic(),
                Mnemonic::Pushf | Mnemonic::Pushfd | Mnemonic::Pushfq
            ),
            may_stay: is_repeated(&instruction)
                || instruction.flow_control() != FlowControl::Next,
            operands,
        }
    }

    /// What is about to be touched, with these registers.
    pub(crate) fn touched<'o>(
        &'o self,
        registers: &'o UserRegisters,
    ) -> impl Iterator<Item = Touched> + 'o {
        let value = |register: Register, _: usize, _: usize| match register {
            Register::FS => Some(registers.segments[0]),
            Register::GS => Some(registers.segments[1]),
            Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
            other => {
                let whole = registers.general[usize::from(number(other)?)];
                Some(if other.is_gpr32() { whole & 0xffff_ffff } else { whole })
            }
        };
        let none = self.counted && registers.general[2] == 0;
        let all = self.operands.iter().filter(move |(_, _, size)| !none && *size > 0);
        all.filter_map(move |(memory, kind, size)| {
            let address = memory.virtual_address(0, value)?;
            Some(Touched { address, size: *size, kind: *kind })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(code: &[u8], set: &[(usize, u64)]) -> Vec<(u64, u32, AccessKind)> {
        let mut registers = UserRegisters { segments: [0x7000, 0], ..Default::default() };
        set.iter().for_each(|(number, value)| registers.general[*number] = *value);
        let operands = Operands::of(code, 0x1000);
        let all = operands.touched(&registers);
        all.map(|it| (it.address, it.size, it.kind)).collect()
    }

    #[test]
    fn operands_are_told_before_the_instruction() {
        use AccessKind::{Read, Update, Write};
        // mov %rax, 8(%rbx,%rcx,4)
        let store = [0x48, 0x89, 0x44, 0x8b, 0x08];
        assert_eq!(touched(&store, &[(1, 0x100), (2, 2)]), [(0x110, 8, Write)]);
        // mov (%rax), %rax
        assert_eq!(touched(&[0x48, 0x8b, 0x00], &[(0, 0x200)]), [(0x200, 8, Read)]);
        // incl 0x10(%rip)
        assert_eq!(touched(&[0xff, 0x05, 0x10, 0, 0, 0], &[]), [(0x1016, 4, Update)]);
        // mov %eax, %fs:0x28
        let own = [0x64, 0x89, 0x04, 0x25, 0x28, 0, 0, 0];
        assert_eq!(touched(&own, &[]), [(0x7028, 4, Write)]);
        // push %rax
        assert_eq!(touched(&[0x50], &[(7, 0x1000)]), [(0xff8, 8, Write)]);
        // lea 8(%rax), %rax
        assert_eq!(touched(&[0x48, 0x8d, 0x40, 0x08], &[(0, 8)]), []);
    }

    #[test]
    fn a_repeat_of_none_touches_nothing() {
        let move_bytes = [0xf3, 0xa4];
        let set = |count| [(2, count), (4, 0x10), (5, 0x20)];
        assert_eq!(touched(&move_bytes, &set(0)), []);
        let mut some = touched(&move_bytes, &set(3));
        some.sort_unstable_by_key(|it| it.0);
        let kinds = [(0x10, 1, AccessKind::Read), (0x20, 1, AccessKind::Write)];
        assert_eq!(some, kinds);
        assert!(Operands::of(&move_bytes, 0).may_stay);
    }

    #[test]
    fn what_is_more_than_an_access_is_told() {
        assert!(Operands::of(&[0x0f, 0x05], 0).is_syscall);
        assert!(Operands::of(&[0x9c], 0).stores_flags);
        // bts %rax, (%rbx)
        assert!(Operands::of(&[0x48, 0x0f, 0xab, 0x03], 0).is_partial);
        // fxsave (%rax) is 512 bytes, and no more.
        assert!(!Operands::of(&[0x0f, 0xae, 0x00], 0).is_partial);
        // No instruction.
        assert!(Operands::of(&[0x06], 0).operands.is_empty());
    }

    #[test]
    fn ranges_meet_or_do_not() {
        let touched = Touched { address: 16, size: 4, kind: AccessKind::Write };
        assert!(touched.overlaps(12, 8) && touched.overlaps(19, 1));
        assert!(!touched.overlaps(20, 8) && !touched.overlaps(8, 8));
        assert!(touched.covers(16, 4) && touched.covers(18, 2));
        assert!(!touched.covers(16, 8) && !touched.covers(14, 4));
    }
}
