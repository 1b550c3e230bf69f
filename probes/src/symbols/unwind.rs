//! Where functions begin by what there is for unwinding stacks: files that were
//! stripped of their symbols have it, too.
//!
//! Linkers make a sorted table of all functions, `.eh_frame_hdr`, and a program header
//! for it (Linux Standard Base, Core Generic, 10.6.2). One question is a binary search
//! in the file as it lies; nothing is read up front, and nothing in it is trusted. Programs
//! that are linked statically may lack it: of these all of `.eh_frame` is read, once.

use std::ops::Range;

use gimli::{
    BaseAddresses, CieOrFde, EhFrame, EhFrameHdr, EhFrameOffset, EndianSlice,
    LittleEndian, Pointer, UnwindSection,
};

/// So many functions are read of `.eh_frame`.
const FUNCTIONS_MAX: usize = 1 << 20;

/// A part of the file, and the address in the file's address space at which it is
/// loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded<'a> {
    pub(super) address: u64,
    pub(super) bytes: &'a [u8],
}

/// The last function that does not begin behind an address. `table` is where
/// `.eh_frame_hdr` begins; `load` gives what is loaded from an address on.
pub(super) fn nearest<'a>(
    table: Loaded<'a>,
    load: impl Fn(u64) -> Option<&'a [u8]>,
    address: u64,
) -> Option<Range<u64>> {
    let bases = BaseAddresses::default().set_eh_frame_hdr(table.address);
    let parsed = EhFrameHdr::new(table.bytes, LittleEndian).parse(&bases, 8).ok()?;
    let Pointer::Direct(frames) = parsed.eh_frame_ptr() else { return None };
    let bases = bases.set_eh_frame(frames);
    let section = EhFrame::from(EndianSlice::new(load(frames)?, LittleEndian));
    let sorted = parsed.table()?;
    // gimli multiplies the length that the table says it has by that of a row.
    if sorted.iter(&bases).size_hint().0 > table.bytes.len() {
        return None;
    }
    let Pointer::Direct(found) = sorted.lookup(address, &bases).ok()? else {
        return None;
    };
    // Not by gimli, which takes for granted that it does not lie before.
    let offset = usize::try_from(found.checked_sub(frames)?).ok()?;
    let offset = EhFrameOffset::from(offset);
    let frame = section.fde_from_offset(&bases, offset, EhFrame::cie_from_offset).ok()?;
    let start = frame.initial_address();
    (start <= address).then(|| start..start.saturating_add(frame.len()))
}

/// All functions of `.eh_frame`, sorted; of what is damaged those before it.
pub(super) fn all(frames: Loaded<'_>) -> Box<[Range<u64>]> {
    let bases = BaseAddresses::default().set_eh_frame(frames.address);
    let section = EhFrame::from(EndianSlice::new(frames.bytes, LittleEndian));
    let mut entries = section.entries(&bases);
    let mut functions = Vec::new();
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let Ok(frame) = partial.parse(EhFrame::cie_from_offset) else { break };
        let start = frame.initial_address();
        functions.push(start..start.saturating_add(frame.len()));
        if functions.len() == FUNCTIONS_MAX {
            break;
        }
    }
    functions.sort_unstable_by_key(|function| function.start);
    functions.into()
}
