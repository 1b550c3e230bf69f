//! One ELF file: its segments and symbols.
//!
//! Facts are from the ELF specification (gabi, chapters 4 and 5) and `elf(5)`.
//! Nothing in the file is trusted: all sizes are checked against the file's
//! length before use, and a damaged part costs names, not the session. Tables are
//! built when first asked for, because the way to the first armed watch needs
//! one name only.

use std::ops::Range;
use std::sync::OnceLock;

use object::LittleEndian;
use object::elf;
use object::pod::slice_from_all_bytes;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};

use super::file::FileBytes;
use super::table::{Entry, Table};
use super::unwind::{self, Found, Loaded};
use crate::address::{AbsAddr, FileOffset, LoadBias, VirtOffset};

/// x86-64 is little-endian, and other files are refused.
const ENDIAN: LittleEndian = LittleEndian;

pub(super) type RawSymbol = elf::Sym64<LittleEndian>;
type Header = elf::FileHeader64<LittleEndian>;

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// It does not start as an ELF file does.
    #[error("it is not an ELF file")]
    NotElf,
    /// It is a 32-bit file.
    #[error("it is a 32-bit program")]
    Not64Bit,
    /// It is for another processor.
    #[error("it is for another processor than x86-64 (e_machine {machine})")]
    OtherMachine {
        /// `e_machine`.
        machine: u16,
    },
    /// It is neither an executable nor a shared object.
    #[error("it is neither an executable nor a shared library (e_type {kind})")]
    NotExecutable {
        /// `e_type`.
        kind: u16,
    },
    /// Its headers contradict the file's length or themselves.
    #[error("its {part} are damaged")]
    Damaged {
        /// What is damaged, a plural noun.
        part: &'static str,
    },
}

/// How a file is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfKind {
    /// At the addresses in the file (`ET_EXEC`).
    Fixed,
    /// Anywhere (`ET_DYN`): shared libraries and position-independent executables.
    Relocatable,
}

/// A part of the file that is loaded into memory (`PT_LOAD`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its start in the file.
    pub file: FileOffset,
    /// Its length in the file, in bytes.
    pub file_size: u64,
    /// Its start in the file's address space.
    pub virt: VirtOffset,
    /// Its length in memory; what exceeds `file_size` is zeroed (`.bss`).
    pub memory_size: u64,
    /// Is it code (`PF_X`)?
    pub executable: bool,
}

impl Segment {
    fn contains(&self, address: VirtOffset) -> bool {
        let distance = address.0.checked_sub(self.virt.0);
        distance.is_some_and(|distance| distance < self.memory_size)
    }
}

/// Where a symbol table and its names lie in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct SymbolRange {
    symbols: Range<usize>,
    strings: Range<usize>,
}

/// An ELF file for x86-64, executable or shared library.
#[derive(Debug)]
pub struct Elf {
    bytes: FileBytes,
    kind: ElfKind,
    entry: VirtOffset,
    segments: Vec<Segment>,
    /// Executable sections by address: where functions without a size end.
    code_sections: Vec<Range<u64>>,
    /// `.symtab` and `.dynsym`.
    tables: [SymbolRange; 2],
    functions: OnceLock<Table>,
    data: OnceLock<Table>,
    /// What unwinds stacks, where the file has no sorted table of it.
    frames: OnceLock<Option<Frames>>,
}

/// `.eh_frame` of a file without a sorted table of its functions.
#[derive(Debug)]
struct Frames {
    address: u64,
    range: Range<usize>,
    index: unwind::Index,
}

/// A symbol that covers an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolAt<'a> {
    /// Where it starts.
    pub start: VirtOffset,
    /// Its length in bytes; for a function without a size, up to what follows it.
    pub size: u64,
    /// Its name in the file, with no version.
    pub raw_name: &'a [u8],
}

impl SymbolAt<'_> {
    /// The name in the file as text.
    pub fn raw_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.raw_name)
    }
}

impl Elf {
    /// Takes the bytes of a file. Reads the headers only.
    ///
    /// # Errors
    ///
    /// [`ElfError`]. Damaged section headers or symbol tables are no error: the
    /// file then has no symbols.
    pub fn parse(bytes: FileBytes) -> Result<Self, ElfError> {
        let header = check_identity(&bytes)?;
        let kind = match header.e_type(ENDIAN) {
            elf::ET_EXEC => ElfKind::Fixed,
            elf::ET_DYN => ElfKind::Relocatable,
            other => return Err(ElfError::NotExecutable { kind: other.0 }),
        };
        let entry = VirtOffset(header.e_entry(ENDIAN));
        let segments = read_segments(header, &bytes)?;
        let (tables, code_sections) = read_sections(header, &bytes).unwrap_or_default();
        Ok(Elf {
            kind,
            entry,
            segments,
            code_sections,
            tables,
            functions: OnceLock::new(),
            data: OnceLock::new(),
            frames: OnceLock::new(),
            bytes,
        })
    }

    /// How it is loaded.
    pub fn kind(&self) -> ElfKind {
        self.kind
    }

    /// The file as it is.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the memory of a part of [`Self::bytes`] back to the kernel.
    pub(crate) fn forget(&self, part: &[u8]) {
        self.bytes.forget(part);
    }

    /// Where it starts to run (`e_entry`).
    pub fn entry(&self) -> VirtOffset {
        self.entry
    }

    /// What is loaded, in the order of the file.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Has it a symbol table? Without one (`strip`) only what it shares with
    /// libraries has a name.
    pub fn has_symbols(&self) -> bool {
        !self.tables[0].symbols.is_empty()
    }

    /// Is the address in loaded memory of the file?
    pub fn contains(&self, address: VirtOffset) -> bool {
        self.segments.iter().any(|segment| segment.contains(address))
    }

    /// The bias of a file of which `offset` and what follows is mapped at `start`.
    /// `None` if no segment is loaded from there.
    ///
    /// The kernel and ld.so map whole pages, so that a mapping starts up to a page
    /// before its segment, and one page of the file may be in two segments; then
    /// the one with the mapping's permission is taken.
    pub fn bias_of_mapping(
        &self,
        start: AbsAddr,
        offset: FileOffset,
        executable: bool,
    ) -> Option<LoadBias> {
        let loaded_from = |segment: &&Segment| {
            let first = segment.file.0 & !(PAGE - 1);
            let end = segment.file.0.saturating_add(segment.file_size);
            (first..end).contains(&offset.0)
        };
        let all = || self.segments.iter().filter(loaded_from);
        let same = all().find(|segment| segment.executable == executable);
        let segment = same.or_else(|| all().next())?;
        let shift = offset.0.wrapping_sub(segment.file.0);
        let virt = VirtOffset(segment.virt.0.wrapping_add(shift));
        Some(LoadBias::between(virt, start))
    }

    /// The function that covers an address.
    pub fn function_at(&self, address: VirtOffset) -> Option<SymbolAt<'_>> {
        let table = self.functions.get_or_init(|| Table::functions(self));
        table.find(address.0).map(|entry| self.symbol_at(entry))
    }

    /// The variable that covers an address. Thread-locals have none.
    pub fn data_at(&self, address: VirtOffset) -> Option<SymbolAt<'_>> {
        let table = self.data.get_or_init(|| Table::data(self));
        table.find(address.0).map(|entry| self.symbol_at(entry))
    }

    /// Where the function that covers an address is, by a symbol or by what unwinds
    /// stacks; `None` where neither says where instructions begin.
    pub fn function_range(&self, address: VirtOffset) -> Option<Range<u64>> {
        let symbol = self.function_at(address);
        symbol.map(|it| it.start.0..it.start.0.saturating_add(it.size)).or_else(|| {
            let unwound = self.unwound(address)?;
            unwound.contains(&address.0).then_some(unwound)
        })
    }

    /// The function that ends before an address, with no more than some padding in
    /// between: whether that is all, its bytes must say.
    pub(crate) fn function_before(&self, address: VirtOffset) -> Option<Range<u64>> {
        let table = self.functions.get_or_init(|| Table::functions(self));
        let symbol = table.before(address.0).map(|entry| entry.start..entry.end);
        let all = symbol.into_iter().chain(self.unwound(address));
        let last = all.filter(|it| it.end <= address.0).max_by_key(|it| it.end)?;
        let section = self.code_section_end(last.start).unwrap_or(u64::MAX);
        let near = address.0 - last.end < MAX_PADDING && address.0 < section;
        near.then_some(last)
    }

    fn unwound(&self, address: VirtOffset) -> Option<Range<u64>> {
        let found = self.frame_entry(address)?.code();
        self.is_code(VirtOffset(found.start)).then_some(found)
    }

    /// What says how the last function is unwound that does not begin behind an
    /// address; `None` where the file's `.eh_frame` has none.
    pub(crate) fn frame_entry(&self, address: VirtOffset) -> Option<Found<'_>> {
        let load = |address| self.part(VirtOffset(address), u64::MAX, false);
        if let Some(header) = self.program_header(elf::PT_GNU_EH_FRAME) {
            let at = header.p_vaddr(ENDIAN);
            let table = Loaded { address: at, bytes: load(at)? };
            return unwind::nearest(table, load, address.0);
        }
        let frames = self.frames.get_or_init(|| self.read_frames()).as_ref()?;
        let bytes = self.bytes.get(frames.range.clone())?;
        let table = Loaded { address: frames.address, bytes };
        unwind::nearest_indexed(table, &frames.index, address.0)
    }

    fn read_frames(&self) -> Option<Frames> {
        let bytes: &[u8] = &self.bytes;
        let header = Header::parse(bytes).ok()?;
        let sections = header.sections(ENDIAN, bytes).ok()?;
        let (_, section) = sections.section_by_name(ENDIAN, b".eh_frame")?;
        let (start, length) = section.file_range(ENDIAN)?;
        let range = byte_range(start, length)?;
        let address = section.sh_addr(ENDIAN);
        let index = unwind::index(Loaded { address, bytes: bytes.get(range.clone())? });
        Some(Frames { address, range, index })
    }

    /// So many bytes of code from `start` on; fewer where the segment ends before.
    pub(crate) fn code(&self, start: VirtOffset, size: u64) -> Option<&[u8]> {
        self.part(start, size, true)
    }

    fn part(&self, start: VirtOffset, size: u64, executable: bool) -> Option<&[u8]> {
        let mut segments = self.segments.iter();
        let fits = |it: &&Segment| (it.executable || !executable) && it.contains(start);
        let segment = segments.find(fits)?;
        let distance = start.0 - segment.virt.0;
        let left = segment.file_size.checked_sub(distance)?;
        let from = segment.file.0.checked_add(distance)?;
        self.slice(from, size.min(left))
    }

    fn symbol_at(&self, entry: &Entry) -> SymbolAt<'_> {
        SymbolAt {
            start: VirtOffset(entry.start),
            size: entry.end - entry.start,
            raw_name: self.name(entry.table, entry.name),
        }
    }

    fn slice(&self, start: u64, length: u64) -> Option<&[u8]> {
        self.bytes.get(byte_range(start, length)?)
    }

    /// The symbols of a table: 0 is `.symtab`, 1 `.dynsym`.
    pub(super) fn symbols(&self, table: usize) -> &[RawSymbol] {
        let range = self.tables.get(table).map(|range| range.symbols.clone());
        let bytes = range.and_then(|range| self.bytes.get(range));
        slice_from_all_bytes(bytes.unwrap_or_default()).unwrap_or_default()
    }

    /// The names of a table, as they lie in the file.
    pub(super) fn strings(&self, table: usize) -> &[u8] {
        let range = self.tables.get(table).map(|range| range.strings.clone());
        let bytes = range.and_then(|range| self.bytes.get(range));
        bytes.unwrap_or_default()
    }

    /// The name at an offset of a table's strings, without a version
    /// (`stdout@GLIBC_2.2.5`). Empty where there is none.
    pub(super) fn name(&self, table: usize, offset: u32) -> &[u8] {
        let strings = self.strings(table);
        let tail = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..));
        let tail = tail.unwrap_or_default();
        let tail = &tail[..tail.len().min(MAX_NAME)];
        let end = tail.iter().position(|&byte| byte == 0).unwrap_or(tail.len());
        let name = &tail[..end];
        let version = name.iter().position(|&byte| byte == b'@');
        // A name that starts with the sign has no version.
        version.filter(|&at| at > 0).map_or(name, |at| &name[..at])
    }

    /// How many of the first letters of a name are underscores, up to 8.
    pub(super) fn leading_underscores(&self, table: usize, offset: u32) -> usize {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let tail = self.strings(table).get(offset..).unwrap_or_default();
        tail.iter().take(8).take_while(|&&byte| byte == b'_').count()
    }

    /// Is the address in a segment of code?
    pub(crate) fn is_code(&self, address: VirtOffset) -> bool {
        let mut segments = self.segments.iter();
        segments.any(|segment| segment.executable && segment.contains(address))
    }

    /// The end of the executable section that an address is in.
    pub(super) fn code_section_end(&self, address: u64) -> Option<u64> {
        let after =
            self.code_sections.partition_point(|section| section.start <= address);
        let section = self.code_sections.get(after.checked_sub(1)?)?;
        section.contains(&address).then_some(section.end)
    }
}

/// The size of a page on x86-64.
const PAGE: u64 = 4096;

/// Functions begin at multiples of 64 at most, but for those of hand-made code.
const MAX_PADDING: u64 = 64;

/// Names are cut here: longer ones, of C++ templates, nobody could read.
const MAX_NAME: usize = 4096;

/// The kernel runs nothing with more than 64 KiB of program headers
/// (`load_elf_phdrs` in fs/binfmt_elf.c).
const MAX_PROGRAM_HEADERS: usize = 64 * 1024 / 56;

fn byte_range(start: u64, length: u64) -> Option<Range<usize>> {
    let end = start.checked_add(length)?;
    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

/// Checks the magic number, class, byte order and machine.
fn check_identity(bytes: &[u8]) -> Result<&Header, ElfError> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(ElfError::NotElf);
    }
    let class = bytes.get(4).copied().map(elf::FileClass);
    if class == Some(elf::ELFCLASS32) {
        return Err(ElfError::Not64Bit);
    }
    let damaged = ElfError::Damaged { part: "headers" };
    // For big-endian files the machine's bytes are the other way round.
    let machine = bytes.get(18..20).ok_or_else(|| damaged.clone())?;
    let machine = [machine[0], machine[1]];
    let big_endian = bytes.get(5) == Some(&2);
    let machine = if big_endian {
        u16::from_be_bytes(machine)
    } else {
        u16::from_le_bytes(machine)
    };
    if big_endian || machine != elf::EM_X86_64.0 {
        return Err(ElfError::OtherMachine { machine });
    }
    Header::parse(bytes).map_err(|_| damaged)
}

fn read_segments(header: &Header, bytes: &[u8]) -> Result<Vec<Segment>, ElfError> {
    let damaged = ElfError::Damaged { part: "program headers" };
    let headers = match header.program_headers(ENDIAN, bytes) {
        Ok(headers) if headers.len() <= MAX_PROGRAM_HEADERS => headers,
        _ => return Err(damaged),
    };
    let loaded = headers.iter().filter(|header| header.p_type(ENDIAN) == elf::PT_LOAD);
    let segment = |header: &elf::ProgramHeader64<LittleEndian>| Segment {
        file: FileOffset(header.p_offset(ENDIAN)),
        file_size: header.p_filesz(ENDIAN),
        virt: VirtOffset(header.p_vaddr(ENDIAN)),
        memory_size: header.p_memsz(ENDIAN),
        executable: header.p_flags(ENDIAN).contains(elf::PF_X),
    };
    Ok(loaded.map(segment).collect())
}

type Sections = ([SymbolRange; 2], Vec<Range<u64>>);

/// Finds the symbol tables and the sections of code. `None` if the section
/// headers cannot be read.
fn read_sections(header: &Header, bytes: &[u8]) -> Option<Sections> {
    let headers = header.section_headers(ENDIAN, bytes).ok()?;
    let mut tables = [SymbolRange::default(), SymbolRange::default()];
    let mut code = Vec::new();
    for section in headers {
        let slot = match section.sh_type(ENDIAN) {
            elf::SHT_SYMTAB => &mut tables[0],
            elf::SHT_DYNSYM => &mut tables[1],
            _ => {
                if section.sh_flags(ENDIAN).contains(elf::SHF_EXECINSTR) {
                    let start = section.sh_addr(ENDIAN);
                    code.push(start..start.saturating_add(section.sh_size(ENDIAN)));
                }
                continue;
            }
        };
        let link = usize::try_from(section.sh_link(ENDIAN)).ok();
        let strings = link.and_then(|link| headers.get(link));
        if let Some(range) =
            strings.and_then(|strings| symbol_range(section, strings, bytes))
        {
            *slot = range;
        }
    }
    code.sort_unstable_by_key(|section| section.start);
    Some((tables, code))
}

type Section = elf::SectionHeader64<LittleEndian>;

/// The two sections' bytes, if they are in the file.
fn symbol_range(
    symbols: &Section,
    strings: &Section,
    bytes: &[u8],
) -> Option<SymbolRange> {
    let in_file = |section: &Section| {
        let (start, length) = section.file_range(ENDIAN)?;
        let range = byte_range(start, length)?;
        bytes.get(range.clone()).map(|_| range)
    };
    let mut symbols = in_file(symbols)?;
    // A last, incomplete symbol does not make the others useless.
    let entry = size_of::<RawSymbol>();
    symbols.end -= symbols.len() % entry;
    Some(SymbolRange { symbols, strings: in_file(strings)? })
}

/// Is the symbol defined in this file, at an address that moves with it?
pub(super) fn is_defined(symbol: &RawSymbol) -> bool {
    let section = symbol.st_shndx(ENDIAN);
    section != elf::SHN_UNDEF && section != elf::SHN_ABS
}

/// The address in `st_value`.
pub(super) fn value(symbol: &RawSymbol) -> u64 {
    symbol.st_value(ENDIAN)
}

/// `st_size`.
pub(super) fn size(symbol: &RawSymbol) -> u64 {
    symbol.st_size(ENDIAN)
}

/// Offset of the name in the table's strings.
pub(super) fn name_offset(symbol: &RawSymbol) -> u32 {
    symbol.st_name(ENDIAN)
}
