//! The kernel's code for all processes (vdso(7)): an ELF file that is only in memory.
//! Ours is that of all 64-bit processes (arch/x86/entry/vdso/vma.c).

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::maps::parse_maps;
use crate::symbols::{Elf, FileBytes};

/// It has two pages; more is none.
const BYTES_MAX: u64 = 1 << 20;

/// Reads it; none where this process has none.
pub(super) fn read() -> Option<Elf> {
    let maps = parse_maps(&fs::read("/proc/self/maps").ok()?).ok()?;
    let mapping = maps.iter().find(|mapping| mapping.vdso)?;
    let length = (mapping.end.0 - mapping.start.0).min(BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    let memory = File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut bytes, mapping.start.0).ok()?;
    Elf::parse(FileBytes::Owned(bytes)).ok()
}
