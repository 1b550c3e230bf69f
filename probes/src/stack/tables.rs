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

/// The tables of one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables<'a> {
    pub(crate) elf: &'a Elf,
    /// `.debug_frame` and what is in it; empty where there is none.
    pub(crate) debug: (&'a [u8], &'a Index),
}

impl Tables<'_> {
    /// The functions of `.debug_frame`.
    pub(crate) fn index(section: &[u8]) -> Index {
        unwind::index_debug(&DebugFrame::new(section, LittleEndian))
    }

    /// How the frame of the function at an address is left there; none where no
    /// table covers it.
    pub(crate) fn rule(&self, at: VirtOffset, decoder: &mut Decoder) -> Option<Rule> {
        if let Some(found) = self.elf.frame_entry(at)
            && found.function.contains(at.0)
        {
            return decode(&found.section, &found.bases, &found.function, at, decoder);
        }
        let (bytes, index) = self.debug;
        let section = DebugFrame::from(EndianSlice::new(bytes, LittleEndian));
        let bases = BaseAddresses::default();
        let function = unwind::find(&section, &bases, index, at.0)?;
        if !function.contains(at.0) {
            return None;
        }
        decode(&section, &bases, &function, at, decoder)
    }
}

fn decode<'a, S: UnwindSection<Slice<'a>>>(
    section: &S,
    bases: &BaseAddresses,
    function: &Function<'a>,
    at: VirtOffset,
    decoder: &mut Decoder,
) -> Option<Rule> {
    let row = function.unwind_info_for_address(section, bases, &mut decoder.0, at.0);
    Rule::of(row.ok()?, section, function.is_signal_trampoline())
}
