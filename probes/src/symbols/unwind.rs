//! Where functions begin by what there is for unwinding stacks: files that were
//! stripped of their symbols have it, too.
//!
//! Linkers make a sorted table of all functions, `.eh_frame_hdr`, and a program header
//! for it (Linux Standard Base, Core Generic, 10.6.2). One question is a binary search
//! in the file as it lies; nothing is read up front, and nothing in it is trusted. Programs
//! that are linked statically may lack it: of these all of `.eh_frame` is read, once.

use std::ops::Range;

use gimli::{
    BaseAddresses, CieOrFde, DebugFrame, EhFrame, EhFrameHdr, EhFrameOffset, Encoding,
    EndianSlice, Format, FrameDescriptionEntry, LittleEndian, Pointer, UnwindSection,
};

/// So many functions are read of a table that is not sorted.
const FUNCTIONS_MAX: usize = 1 << 20;
/// Longer entries are none that a compiler makes: all of one may be read for each address.
const ENTRY_MAX: usize = 64 << 10;

/// What gimli reads from.
pub(crate) type Slice<'a> = EndianSlice<'a, LittleEndian>;
/// A function in a table.
pub(crate) type Function<'a> = FrameDescriptionEntry<Slice<'a>>;

/// How expressions are encoded in tables for unwinding.
pub(crate) const ENCODING: Encoding =
    Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };

/// A part of the file, and the address in the file's address space at which it is
/// loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded<'a> {
    pub(super) address: u64,
    pub(super) bytes: &'a [u8],
}

/// A function in `.eh_frame`, with what is needed to read on.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) section: EhFrame<Slice<'a>>,
    pub(crate) bases: BaseAddresses,
    pub(crate) function: Function<'a>,
}

impl Found<'_> {
    /// Where its code is.
    pub(super) fn code(&self) -> Range<u64> {
        code(&self.function)
    }
}

/// The functions of a table that is not sorted, sorted; and where they are in it.
pub(crate) type Index = Box<[(Range<u64>, usize)]>;

/// The last function that does not begin behind an address. `table` is where
/// `.eh_frame_hdr` begins; `load` gives what is loaded from an address on.
pub(super) fn nearest<'a>(
    table: Loaded<'a>,
    load: impl Fn(u64) -> Option<&'a [u8]>,
    address: u64,
) -> Option<Found<'a>> {
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
    let function =
        section.fde_from_offset(&bases, offset, EhFrame::cie_from_offset).ok()?;
    let begins = function.initial_address() <= address;
    begins.then_some(Found { section, bases, function })
}

/// As [`nearest`], where there is no sorted table.
pub(super) fn nearest_indexed<'a>(
    frames: Loaded<'a>,
    index: &Index,
    address: u64,
) -> Option<Found<'a>> {
    let (section, bases) = eh_frame(frames);
    let function = find(&section, &bases, index, address)?;
    Some(Found { section, bases, function })
}

/// All functions of `.eh_frame`.
pub(super) fn index(frames: Loaded<'_>) -> Index {
    let (section, bases) = eh_frame(frames);
    index_of(&section, &bases)
}

/// All functions of `.debug_frame`.
pub(crate) fn index_debug(section: &DebugFrame<Slice<'_>>) -> Index {
    index_of(section, &BaseAddresses::default())
}

/// The last function of an indexed table that does not begin behind an address.
pub(crate) fn find<'a, S: UnwindSection<Slice<'a>>>(
    section: &S,
    bases: &BaseAddresses,
    index: &Index,
    address: u64,
) -> Option<Function<'a>> {
    let after = index.partition_point(|(code, _)| code.start <= address);
    let (_, offset) = index.get(after.checked_sub(1)?)?;
    let offset = S::Offset::from(*offset);
    section.fde_from_offset(bases, offset, S::cie_from_offset).ok()
}

fn eh_frame(frames: Loaded<'_>) -> (EhFrame<Slice<'_>>, BaseAddresses) {
    let section = EhFrame::from(EndianSlice::new(frames.bytes, LittleEndian));
    (section, BaseAddresses::default().set_eh_frame(frames.address))
}

/// All functions of a section, sorted; of what is damaged those before it.
fn index_of<'a, S: UnwindSection<Slice<'a>>>(
    section: &S,
    bases: &BaseAddresses,
) -> Index {
    let mut entries = section.entries(bases);
    let mut functions = Vec::new();
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let Ok(function) = partial.parse(S::cie_from_offset) else { break };
        // Of a function that the linker left out.
        if function.len() > 0 {
            functions.push((code(&function), partial.offset()));
        }
        if functions.len() == FUNCTIONS_MAX {
            break;
        }
    }
    functions.sort_unstable_by_key(|(code, _)| code.start);
    functions.into()
}

/// Whether a function's rows may be read: its program, and that which it begins with,
/// are not longer than programs are.
pub(crate) fn is_bounded(function: &Function<'_>) -> bool {
    let longest = function.entry_len().max(function.cie().entry_len());
    longest <= ENTRY_MAX
}

fn code(function: &Function<'_>) -> Range<u64> {
    let start = function.initial_address();
    start..start.saturating_add(function.len())
}
