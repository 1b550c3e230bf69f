//! Registers by name, for handlers that ask for one: x86-64.
//!
//! Names are SystemTap's: `rax` and `ax` mean all 64 bits, `eax` the lower 32;
//! of the flags there are 32. `r8d` and its like are added.

use std::io::Write;

/// A register, or the part of it that a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Name in scripts.
    pub name: &'static str,
    /// Its number in a [`RegisterFile`].
    pub number: u32,
    /// Whether the lower 32 bits are meant.
    pub narrow: bool,
}

/// Values of registers at a hit, by perf's number
/// (arch/x86/include/uapi/asm/perf_regs.h): AX, BX, CX, DX, SI, DI, BP, SP, IP,
/// FLAGS, six segments, which are not recorded and stay 0, R8 to R15.
pub type RegisterFile = [u64; 24];

/// The instruction pointer's number.
pub const IP: u32 = 8;

const fn whole(name: &'static str, number: u32) -> Register {
    Register { name, number, narrow: false }
}

const fn half(name: &'static str, number: u32) -> Register {
    Register { name, number, narrow: true }
}

/// Every name there is.
#[rustfmt::skip]
pub const REGISTERS: &[Register] = &[
    whole("rax", 0), whole("ax", 0), half("eax", 0),
    whole("rbx", 1), whole("bx", 1), half("ebx", 1),
    whole("rcx", 2), whole("cx", 2), half("ecx", 2),
    whole("rdx", 3), whole("dx", 3), half("edx", 3),
    whole("rsi", 4), whole("si", 4), half("esi", 4),
    whole("rdi", 5), whole("di", 5), half("edi", 5),
    whole("rbp", 6), whole("bp", 6), half("ebp", 6),
    whole("rsp", 7), whole("sp", 7), half("esp", 7),
    whole("rip", IP), whole("ip", IP), half("eip", IP),
    half("flags", 9), half("eflags", 9),
    whole("r8", 16), half("r8d", 16), whole("r9", 17), half("r9d", 17),
    whole("r10", 18), half("r10d", 18), whole("r11", 19), half("r11d", 19),
    whole("r12", 20), half("r12d", 20), whole("r13", 21), half("r13d", 21),
    whole("r14", 22), half("r14d", 22), whole("r15", 23), half("r15d", 23),
];

/// The names, in the same order.
pub const REGISTER_NAMES: &[&str] = &{
    let mut names = [""; REGISTERS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = REGISTERS[at].name;
        at += 1;
    }
    names
};

/// The register called `name`.
pub fn register(name: &[u8]) -> Option<&'static Register> {
    REGISTERS.iter().find(|register| register.name.as_bytes() == name)
}

impl Register {
    /// What `register()` gives where the whole register has this value: the
    /// lower half keeps its sign.
    pub fn signed(&self, value: i64) -> i64 {
        if self.narrow { i64::from(value as i32) } else { value }
    }

    /// What `u_register()` gives where the whole register has this value.
    pub fn unsigned(&self, value: i64) -> i64 {
        if self.narrow { i64::from(value as u32) } else { value }
    }
}

/// What `print_regs()` prints, in SystemTap's form: lines of three registers;
/// `value` gives one by its number.
pub fn print(out: &mut Vec<u8>, mut value: impl FnMut(u32) -> u64) {
    const ROWS: [[(&str, u32); 3]; 5] = [
        [("RAX", 0), ("RBX", 1), ("RCX", 2)],
        [("RDX", 3), ("RSI", 4), ("RDI", 5)],
        [("RBP", 6), ("R08", 16), ("R09", 17)],
        [("R10", 18), ("R11", 19), ("R12", 20)],
        [("R13", 21), ("R14", 22), ("R15", 23)],
    ];
    let (ip, sp, flags) = (value(IP), value(7), value(9));
    // Writing to memory does not fail.
    let _ = writeln!(out, "RIP: {ip:016x}\nRSP: {sp:016x}  EFLAGS: {flags:08x}");
    for row in ROWS {
        let [a, b, c] =
            row.map(|(name, number)| format!("{name}: {:016x}", value(number)));
        let _ = writeln!(out, "{a} {b} {c}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_numbers_in_the_file() {
        for (at, row) in REGISTERS.iter().enumerate() {
            assert!(REGISTERS[..at].iter().all(|other| other.name != row.name));
            assert!((row.number as usize) < RegisterFile::default().len());
            assert_eq!(register(row.name.as_bytes()), Some(row));
        }
        assert_eq!(register(b"al"), None);
    }

    #[test]
    fn halves_are_extended() {
        let eax = half("eax", 0);
        assert_eq!(eax.signed(0x1_8000_0000), -0x8000_0000);
        assert_eq!(eax.unsigned(-1), 0xffff_ffff);
        assert_eq!((whole("rax", 0).signed(-2), whole("ax", 0).unsigned(-2)), (-2, -2));
    }

    #[test]
    fn registers_print_in_rows() {
        let mut out = Vec::new();
        print(&mut out, u64::from);
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[1], "RSP: 0000000000000007  EFLAGS: 00000009");
        assert_eq!(
            lines[6],
            "R13: 0000000000000015 R14: 0000000000000016 R15: 0000000000000017"
        );
    }
}
