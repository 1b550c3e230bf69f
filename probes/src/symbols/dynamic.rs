//! What a file tells the dynamic loader: which libraries it needs, and where its
//! thread-locals are.
//!
//! Facts are from the ELF specification (gabi, chapter 5) and Ulrich Drepper's *ELF
//! Handling For Thread-Local Storage*.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use object::LittleEndian;
use object::elf;
use object::pod::{Pod, slice_from_all_bytes};
use object::read::elf::{FileHeader, ProgramHeader};

use super::elf::{Elf, RawSymbol, is_defined, value};
use crate::address::VirtOffset;

const ENDIAN: LittleEndian = LittleEndian;

/// What a file needs to be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// The libraries, by name or path (`DT_NEEDED`).
    pub needed: Vec<String>,
    /// Where they are looked for, as written (`DT_RPATH`).
    pub rpath: OsString,
    /// The same, and later in the order (`DT_RUNPATH`).
    pub runpath: OsString,
}

/// A file's block of thread-locals (`PT_TLS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsSegment {
    /// Where its first values lie.
    pub virt: VirtOffset,
    /// Its bytes.
    pub size: u64,
    /// Of what its address is a multiple, by the same rest as `virt`.
    pub align: u64,
}

/// A place that the loader fills in with what finds thread-locals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsCell {
    /// Where it is.
    pub place: VirtOffset,
    /// What it holds.
    pub kind: TlsCellKind,
    /// Of which place in the file's block it tells, in bytes from its start.
    pub offset: u64,
}

/// What the loader stores in a [`TlsCell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsCellKind {
    /// The module's number (`R_X86_64_DTPMOD64`).
    Module,
    /// A distance from the thread pointer (`R_X86_64_TPOFF64`).
    Distance,
    /// A function and its argument (`R_X86_64_TLSDESC`).
    Descriptor,
}

/// Relocations looked at: those of the largest libraries, several times over.
const MAX_RELOCATIONS: usize = 16 << 20;

impl Elf {
    /// What it needs; nothing where it is static, or damaged.
    pub fn dynamic(&self) -> Dynamic {
        let entries = self.dynamic_entries();
        let strings = find(entries, elf::DT_STRTAB).map_or(&[][..], |strings| {
            let size = find(entries, elf::DT_STRSZ).unwrap_or(0);
            self.loaded(strings, size).unwrap_or_default()
        });
        let text = |offset: u64| {
            let tail = strings.get(usize::try_from(offset).ok()?..)?;
            let end = tail.iter().position(|&byte| byte == 0)?;
            Some(tail[..end].to_vec())
        };
        let path = |tag| {
            let path = find(entries, tag).and_then(text);
            OsString::from_vec(path.unwrap_or_default())
        };
        let needed = entries.iter().filter(|entry| tag(entry) == elf::DT_NEEDED);
        let needed = needed.filter_map(|entry| text(entry.d_val.get(ENDIAN)));
        Dynamic {
            needed: needed.filter_map(|name| String::from_utf8(name).ok()).collect(),
            rpath: path(elf::DT_RPATH),
            runpath: path(elf::DT_RUNPATH),
        }
    }

    /// Its block of thread-locals.
    pub fn tls(&self) -> Option<TlsSegment> {
        let header = self.program_header(elf::PT_TLS)?;
        Some(TlsSegment {
            virt: VirtOffset(header.p_vaddr(ENDIAN)),
            size: header.p_memsz(ENDIAN),
            align: header.p_align(ENDIAN).max(1),
        })
    }

    /// The cells by which its own thread-locals are found.
    pub fn tls_cells(&self) -> Vec<TlsCell> {
        let relocations = self.relocations();
        relocations.filter_map(|it| self.cell(it)).collect()
    }

    /// What the loader puts into cells of the file.
    pub(super) fn relocations(&self) -> impl Iterator<Item = &elf::Rela64<LittleEndian>> {
        let entries = self.dynamic_entries();
        let tables = [(elf::DT_RELA, elf::DT_RELASZ), (elf::DT_JMPREL, elf::DT_PLTRELSZ)];
        tables.into_iter().flat_map(move |(table, size)| {
            let entry = size_of::<elf::Rela64<LittleEndian>>() as u64;
            let bytes = find(entries, table).zip(find(entries, size));
            let bytes = bytes.and_then(|(at, size)| self.loaded(at, size - size % entry));
            let all: &[_] =
                slice_from_all_bytes(bytes.unwrap_or_default()).unwrap_or_default();
            all.iter().take(MAX_RELOCATIONS)
        })
    }

    fn cell(&self, relocation: &elf::Rela64<LittleEndian>) -> Option<TlsCell> {
        let info = relocation.r_info.get(ENDIAN);
        let kind = match (info & 0xffff_ffff) as u32 {
            it if it == elf::R_X86_64_DTPMOD64.0 => TlsCellKind::Module,
            it if it == elf::R_X86_64_TPOFF64.0 => TlsCellKind::Distance,
            it if it == elf::R_X86_64_TLSDESC.0 => TlsCellKind::Descriptor,
            _ => return None,
        };
        let base = match usize::try_from(info >> 32).ok()? {
            0 => 0,
            symbol => {
                let symbol = self.symbols(1).get(symbol)?;
                // What another file has says nothing of this one.
                own_thread_local(symbol).then(|| value(symbol))?
            }
        };
        let offset = base.wrapping_add_signed(relocation.r_addend.get(ENDIAN));
        Some(TlsCell { place: VirtOffset(relocation.r_offset.get(ENDIAN)), kind, offset })
    }

    pub(super) fn program_header(
        &self,
        kind: elf::ProgramType,
    ) -> Option<&elf::ProgramHeader64<LittleEndian>> {
        let header = elf::FileHeader64::<LittleEndian>::parse(self.bytes()).ok()?;
        let headers = header.program_headers(ENDIAN, self.bytes()).ok()?;
        headers.iter().find(|header| header.p_type(ENDIAN) == kind)
    }

    fn dynamic_entries(&self) -> &[elf::Dyn64<LittleEndian>] {
        let header = self.program_header(elf::PT_DYNAMIC);
        let bytes = header.and_then(|header| {
            let start = usize::try_from(header.p_offset(ENDIAN)).ok()?;
            let length = usize::try_from(header.p_filesz(ENDIAN)).ok()?;
            self.bytes().get(start..start.checked_add(length)?)
        });
        let bytes = bytes.unwrap_or_default();
        let entries: &[elf::Dyn64<LittleEndian>] = whole(bytes);
        let end = entries.iter().position(|entry| tag(entry) == elf::DT_NULL);
        &entries[..end.unwrap_or(entries.len())]
    }

    /// So many bytes of what is loaded at an address, as the file has them.
    fn loaded(&self, address: u64, length: u64) -> Option<&[u8]> {
        let segment = self.segments().iter().find(|segment| {
            let distance = address.checked_sub(segment.virt.0);
            distance.is_some_and(|distance| distance < segment.file_size)
        })?;
        let start = segment.file.0.checked_add(address - segment.virt.0)?;
        let end = start.checked_add(length)?;
        self.bytes().get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }
}

fn whole<T: Pod>(bytes: &[u8]) -> &[T] {
    let bytes = &bytes[..bytes.len() - bytes.len() % size_of::<T>()];
    slice_from_all_bytes(bytes).unwrap_or_default()
}

fn tag(entry: &elf::Dyn64<LittleEndian>) -> elf::DynamicTag {
    entry.d_tag.get(ENDIAN)
}

fn find(entries: &[elf::Dyn64<LittleEndian>], wanted: elf::DynamicTag) -> Option<u64> {
    let mut found = entries.iter().filter(|entry| tag(entry) == wanted);
    found.next().map(|entry| entry.d_val.get(ENDIAN))
}

fn own_thread_local(symbol: &RawSymbol) -> bool {
    symbol.st_type() == elf::STT_TLS && is_defined(symbol)
}
