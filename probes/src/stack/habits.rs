//! Whether the code of a file keeps frame pointers: compilers are told so for all of a
//! program, or for all of a distribution.

use gimli::{CfaRule, UnwindContext, X86_64};

use crate::address::VirtOffset;
use crate::symbols::Elf;
use crate::symbols::unwind::{Found, is_bounded};

/// Smaller functions tell nothing: many never touch the stack.
const BYTES_MIN: u64 = 48;
/// So many functions are looked at, from all over the file.
const LOOKED_AT: u64 = 512;
/// Of so many in a hundred it must be true: a C library's start files and hand-written
/// code are no more than a few.
const PERCENT: u64 = 90;

/// Whether nearly all functions of a file keep a frame pointer (`rbp`), so that the
/// chain of these is the whole stack of its code. Judged by the tables by which
/// it is unwound; false where it has none.
pub fn keeps_frame_pointers(elf: &Elf) -> bool {
    let mut context = UnwindContext::new();
    let (mut seen, mut keeping) = (0, 0);
    let code = elf.segments().iter().filter(|segment| segment.executable);
    let (start, end) = code.fold((u64::MAX, 0), |(start, end), segment| {
        let behind = segment.virt.0.saturating_add(segment.memory_size);
        (start.min(segment.virt.0), end.max(behind))
    });
    let step = (end.saturating_sub(start) / LOOKED_AT).max(1);
    let mut last = None;
    for number in 1..=LOOKED_AT {
        let address = start.saturating_add(step.saturating_mul(number));
        let Some(found) = elf.frame_entry(VirtOffset(address)) else { continue };
        let begins = found.function.initial_address();
        if last == Some(begins) || found.function.len() < BYTES_MIN {
            continue;
        }
        last = Some(begins);
        let Some(keeps) = keeps(&found, &mut context) else { continue };
        seen += 1;
        keeping += u64::from(keeps);
    }
    seen > 0 && keeping * 100 >= seen * PERCENT
}

/// Whether most of a function's code has its frame at `rbp`. None where its table is
/// damaged or too long, or of stubs that the linker made, whose frames a program finds.
fn keeps(found: &Found<'_>, context: &mut UnwindContext<usize>) -> Option<bool> {
    let Found { section, bases, function } = found;
    if !is_bounded(function) {
        return None;
    }
    let mut rows = function.rows(section, bases, context).ok()?;
    let (mut with, mut all) = (0, 0);
    while let Some(row) = rows.next_row().ok()? {
        let bytes = row.end_address().saturating_sub(row.start_address());
        let CfaRule::RegisterAndOffset { register, .. } = row.cfa() else { return None };
        all += u128::from(bytes);
        with += if *register == X86_64::RBP { u128::from(bytes) } else { 0 };
    }
    Some(with > all / 2)
}
