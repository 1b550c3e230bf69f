//! Where a thread's own variables are.
//!
//! x86-64 has variant II of Ulrich Drepper's *ELF Handling For Thread-Local Storage*: the
//! executable's block ends at the thread pointer, which points to glibc's
//! `tcbhead_t { void *tcb; dtv_t *dtv; void *self; … }` (sysdeps/x86_64/nptl/tls.h).
//! A library's block is either at a fixed distance from the thread pointer too, or in
//! the thread's `dtv` by the module's number: 16 bytes each, −1 while the thread has not
//! used it. Which one it is, and the number, say cells that ld.so has filled in.

use super::memory::{Memory, word};
use super::{ResolveError, ThreadLocal};
use crate::address::AbsAddr;
use crate::image::{Image, Module};
use crate::symbols::{TlsCell, TlsCellKind};

/// Why a thread-local of a thread has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoBlock {
    /// The thread pointer or the library's cells cannot be had.
    Unknown,
    /// The thread has not used it yet.
    NotAllocated,
}

/// Looks for `tcbhead_t` below the head of the robust list, which is in the same
/// `struct pthread` (nptl/descr.h): `tcb` and `self` both point to its start.
pub(super) fn find_thread_pointer(
    memory: &mut (impl Memory + ?Sized),
    head: AbsAddr,
) -> Option<AbsAddr> {
    // In glibc 2.36 it is 0x2e0 bytes in.
    const REACH: u64 = 0x800;
    let end = head.0 & !7;
    let mut bytes = [0; REACH as usize];
    let start = end.checked_sub(REACH)?;
    // What is below the thread's pages may not be mapped.
    let page = end & !0xfff;
    let (start, bytes) = if memory.read(AbsAddr(start), &mut bytes) == bytes.len() {
        (start, &bytes[..])
    } else {
        let length = usize::try_from(end - page).ok()?.min(bytes.len());
        let read = memory.read(AbsAddr(page), &mut bytes[..length]);
        (read == length).then_some((page, &bytes[..length]))?
    };
    let word = |at: usize| -> Option<u64> {
        Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
    };
    let is_tcb = |at: &usize| {
        let own = Some(start + *at as u64);
        word(*at) == own && word(*at + 16) == own
    };
    let found = (0..bytes.len()).step_by(8).rev().find(is_tcb)?;
    Some(AbsAddr(start + found as u64))
}

/// The address of a thread-local in one thread, of which its number is known.
pub(super) fn address_in(
    image: &Image,
    variable: &ThreadLocal,
    memory: &mut dyn Memory,
    tid: u32,
    name: &str,
) -> Result<AbsAddr, ResolveError> {
    let name = || name.to_owned();
    let unknown = || ResolveError::NoThreadPointer { name: name(), tid };
    let pointer = memory.thread_pointer(tid).ok_or_else(unknown)?;
    address(image, variable, memory, pointer).map_err(|none| match none {
        NoBlock::NotAllocated => ResolveError::NotAllocated { name: name(), tid },
        NoBlock::Unknown => unknown(),
    })
}

/// The address of a thread-local in one thread.
pub(super) fn address(
    image: &Image,
    variable: &ThreadLocal,
    memory: &mut dyn Memory,
    thread_pointer: AbsAddr,
) -> Result<AbsAddr, NoBlock> {
    let module = image.modules().get(variable.module).ok_or(NoBlock::Unknown)?;
    let start = match variable.module {
        0 => block_of_executable(module, thread_pointer).ok_or(NoBlock::Unknown)?,
        _ => block_of_library(module, memory, thread_pointer)?,
    };
    Ok(AbsAddr(start.wrapping_add(variable.offset)))
}

/// It ends at the thread pointer, but for what its alignment needs.
fn block_of_executable(module: &Module, thread_pointer: AbsAddr) -> Option<u64> {
    let tls = module.elf()?.tls()?;
    let end = tls.virt.0.wrapping_add(tls.size);
    let padding = end.wrapping_neg() & (tls.align.checked_next_power_of_two()? - 1);
    Some(thread_pointer.0.wrapping_sub(tls.size).wrapping_sub(padding))
}

fn block_of_library(
    module: &Module,
    memory: &mut dyn Memory,
    thread_pointer: AbsAddr,
) -> Result<u64, NoBlock> {
    let (elf, bias) = module.elf().zip(module.bias()).ok_or(NoBlock::Unknown)?;
    let mut result = Err(NoBlock::Unknown);
    for cell in elf.tls_cells() {
        let place = bias.to_abs(cell.place);
        let Some(value) = word(memory, place) else { continue };
        let found = match cell.kind {
            // 0 before ld.so has been there.
            TlsCellKind::Module if value == 0 => continue,
            TlsCellKind::Module => from_dtv(memory, thread_pointer, value),
            TlsCellKind::Distance if value == 0 => continue,
            TlsCellKind::Distance => Ok(from_distance(thread_pointer, value, cell)),
            TlsCellKind::Descriptor => {
                let argument = place.checked_add(8).and_then(|at| word(memory, at));
                match argument {
                    Some(argument) => described(memory, thread_pointer, argument, cell),
                    None => continue,
                }
            }
        };
        match found {
            Ok(start) => return Ok(start),
            Err(error) => result = Err(error),
        }
    }
    result
}

fn from_distance(thread_pointer: AbsAddr, distance: u64, cell: TlsCell) -> u64 {
    thread_pointer.0.wrapping_add(distance).wrapping_sub(cell.offset)
}

/// The argument of a descriptor is a distance, or points to the module's number
/// and an offset (`struct tlsdesc_dynamic_arg` in sysdeps/x86_64/dl-tlsdesc.h).
fn described(
    memory: &mut dyn Memory,
    thread_pointer: AbsAddr,
    argument: u64,
    cell: TlsCell,
) -> Result<u64, NoBlock> {
    // Blocks at a fixed distance are all within this.
    const STATIC: u64 = 1 << 30;
    if argument.wrapping_neg() < STATIC {
        return Ok(from_distance(thread_pointer, argument, cell));
    }
    let module = word(memory, AbsAddr(argument));
    let offset = argument.checked_add(8).and_then(|at| word(memory, AbsAddr(at)));
    match (module, offset) {
        (Some(module), Some(offset)) if offset == cell.offset => {
            from_dtv(memory, thread_pointer, module)
        }
        _ => Err(NoBlock::Unknown),
    }
}

fn from_dtv(
    memory: &mut dyn Memory,
    thread_pointer: AbsAddr,
    module: u64,
) -> Result<u64, NoBlock> {
    const UNALLOCATED: u64 = u64::MAX;
    let at = |base: u64, offset: u64| base.checked_add(offset).map(AbsAddr);
    let dtv = at(thread_pointer.0, 8).and_then(|at| word(memory, at));
    let dtv = dtv.ok_or(NoBlock::Unknown)?;
    // How many entries there are stands before the first.
    let count = dtv.checked_sub(16).and_then(|at| word(memory, AbsAddr(at)));
    if count.is_none_or(|count| module > count) {
        return Err(NoBlock::NotAllocated);
    }
    let entry = module.checked_mul(16).and_then(|offset| at(dtv, offset));
    match entry.and_then(|entry| word(memory, entry)).ok_or(NoBlock::Unknown)? {
        UNALLOCATED | 0 => Err(NoBlock::NotAllocated),
        start => Ok(start),
    }
}
