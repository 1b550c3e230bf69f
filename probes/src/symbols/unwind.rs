//! Where functions begin by what there is for unwinding stacks: files that were
//! stripped of their symbols have it, too.
//!
//! Linkers make a sorted table of all functions, `.eh_frame_hdr`, and a program header
//! for it (Linux Standard Base, Core Generic, 10.6.2). One question is a binary search
//! in the file as it lies; nothing is read up front, and nothing in it is trusted.

use std::ops::Range;

use gimli::{
    BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, Pointer, UnwindSection,
};

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
    let found = sorted.lookup(address, &bases).ok()?;
    let offset = sorted.pointer_to_offset(found).ok()?;
    let frame = section.fde_from_offset(&bases, offset, EhFrame::cie_from_offset).ok()?;
    let start = frame.initial_address();
    (start <= address).then(|| start..start.saturating_add(frame.len()))
}
