//! Stubs by which code calls functions of other files: they have no symbols. As
//! disassemblers call them: `malloc@plt`.

use std::ops::Range;

use object::LittleEndian;
use object::elf;

use super::elf::{Elf, name_offset};
use crate::address::VirtOffset;

const ENDIAN: LittleEndian = LittleEndian;

/// Stubs begin at multiples of 16, those without a lazy part at multiples of 8.
const SIZES: [u64; 2] = [16, 8];
/// What may be before the jump: `endbr64`, `bnd`.
const BEFORE: [&[u8]; 2] = [b"\xf3\x0f\x1e\xfa", b"\xf2"];
/// `jmp *distance(%rip)`.
const JUMP: &[u8] = b"\xff\x25";

impl Elf {
    /// The stub that covers an address, and the name of the function that it calls.
    pub(crate) fn stub_at(&self, address: VirtOffset) -> Option<(Range<u64>, String)> {
        SIZES.into_iter().find_map(|size| {
            let start = address.0 - address.0 % size;
            let code = self.code(VirtOffset(start), size)?;
            let cell = start.checked_add(cell(code)?)?;
            let name = self.imported(cell)?;
            let name = format!("{}@plt", String::from_utf8_lossy(name));
            Some((start..start.checked_add(size)?, name))
        })
    }

    /// The name of the function whose address the loader puts into a cell.
    fn imported(&self, cell: u64) -> Option<&[u8]> {
        let mut relocations = self.relocations();
        let found = relocations.find(|it| it.r_offset.get(ENDIAN) == cell)?;
        let info = found.r_info.get(ENDIAN);
        let kind = (info & 0xffff_ffff) as u32;
        if kind != elf::R_X86_64_JUMP_SLOT.0 && kind != elf::R_X86_64_GLOB_DAT.0 {
            return None;
        }
        let symbol = self.symbols(1).get(usize::try_from(info >> 32).ok()?)?;
        Some(self.name(1, name_offset(symbol))).filter(|name| !name.is_empty())
    }
}

/// How far from the start of a stub the cell is that it jumps by; none where it is no
/// stub.
fn cell(code: &[u8]) -> Option<u64> {
    let mut rest = code;
    for before in BEFORE {
        rest = rest.strip_prefix(before).unwrap_or(rest);
    }
    let (distance, behind) = rest.strip_prefix(JUMP)?.split_first_chunk::<4>()?;
    let end = (code.len() - behind.len()) as u64;
    end.checked_add_signed(i64::from(i32::from_le_bytes(*distance)))
}

#[test]
fn stubs_are_told_by_their_jump() {
    assert_eq!(cell(b"\xff\x25\x10\0\0\0\x68"), Some(0x16));
    assert_eq!(cell(b"\xf3\x0f\x1e\xfa\xf2\xff\x25\x10\0\0\0\x0f"), Some(0x1b));
    for other in [&b"\xff\x25\x10\0"[..], b"\xff\x15\0\0\0\0", b"", b"\xf3\x0f\x1e\xfa"] {
        assert_eq!(cell(other), None, "{other:x?}");
    }
}
