//! The tables of a file that say how functions are left: `.eh_frame`, which exceptions
//! need, and `.debug_frame`, which debuggers have for files without.

use gimli::{
    BaseAddresses, DebugFrame, EndianSlice, LittleEndian, UnwindContext, UnwindSection,
};

use super::rule::Rule;
use crate::address::VirtOffset;
use crate::symbols::Elf;
use crate::symbols::unwind::{self, Function, Index, Slice};

/// What rows are decoded in; kept because it is large.
#[derive(Debug, Default)]
pub(crate) struct Decoder(UnwindContext<usize>);

/// By `.eh_frame`: how the frame of the function at an address is left there; none where
/// it does not cover that.
pub(crate) fn eh_frame(elf: &Elf, at: VirtOffset, decoder: &mut Decoder) -> Option<Rule> {
    let found = elf.frame_entry(at)?;
    decode(&found.section, &found.bases, &found.function, at, decoder)
}

/// The functions of `.debug_frame`.
pub(crate) fn index(section: &[u8]) -> Index {
    unwind::index_debug(&DebugFrame::new(section, LittleEndian))
}

/// By `.debug_frame`, of which `index` has the functions.
pub(crate) fn debug_frame(
    section: &[u8],
    index: &Index,
    at: VirtOffset,
    decoder: &mut Decoder,
) -> Option<Rule> {
    let section = DebugFrame::from(EndianSlice::new(section, LittleEndian));
    let bases = BaseAddresses::default();
    let function = unwind::find(&section, &bases, index, at.0)?;
    decode(&section, &bases, &function, at, decoder)
}

fn decode<'a, S: UnwindSection<Slice<'a>>>(
    section: &S,
    bases: &BaseAddresses,
    function: &Function<'a>,
    at: VirtOffset,
    decoder: &mut Decoder,
) -> Option<Rule> {
    if !function.contains(at.0) || !unwind::is_bounded(function) {
        return None;
    }
    let row = function.unwind_info_for_address(section, bases, &mut decoder.0, at.0);
    Rule::of(row.ok()?, section, function.is_signal_trampoline())
}
