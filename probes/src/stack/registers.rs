//! The registers of a thread, by the numbers that DWARF gives them.

use gimli::{Register, X86_64};

/// The sixteen general registers and the instruction pointer; each may be unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    values: [u64; Self::COUNT],
    /// Which are known, one bit each.
    known: u32,
}

impl Registers {
    /// So many there are: `rax`, `rdx`, `rcx`, `rbx`, `rsi`, `rdi`, `rbp`, `rsp`, `r8` to
    /// `r15`, `rip`, by number (System V ABI for x86-64, figure 3.36).
    pub const COUNT: usize = 17;
    /// The number of `rbp`.
    pub const RBP: u16 = X86_64::RBP.0;
    /// The number of `rsp`.
    pub const RSP: u16 = X86_64::RSP.0;
    /// The number of `rip`.
    pub const RIP: u16 = X86_64::RA.0;

    /// The register with this number; none where there is no such, or it is not known.
    pub fn get(&self, number: u16) -> Option<u64> {
        let value = self.values.get(usize::from(number))?;
        (self.known & 1 << number != 0).then_some(*value)
    }

    /// Sets the register with this number; one that is not there is left out.
    pub fn set(&mut self, number: u16, value: Option<u64>) {
        let Some(place) = self.values.get_mut(usize::from(number)) else { return };
        *place = value.unwrap_or(0);
        self.known &= !(1 << number);
        self.known |= u32::from(value.is_some()) << number;
    }

    pub(super) fn dwarf(&self, register: Register) -> Option<u64> {
        self.get(register.0)
    }
}

/// Memory as it was captured: the bytes from an address on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory<'a> {
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
}

impl Memory<'_> {
    /// The word at an address.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        self.number(address, 8)
    }

    /// So many bytes at an address as a number; up to 8.
    pub(super) fn number(&self, address: u64, length: u8) -> Option<u64> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        let length = usize::from(length);
        let found = self.bytes.get(offset..offset.checked_add(length)?)?;
        let mut word = [0; 8];
        word.get_mut(..length)?.copy_from_slice(found);
        Some(u64::from_le_bytes(word))
    }
}
