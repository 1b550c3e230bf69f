//! The sections of one file that hold debug information.
//!
//! A section that is not compressed is a slice of the file. A compressed one is
//! unpacked when it is first asked for, and kept.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use gimli::{EndianSlice, LittleEndian, SectionId};
use object::LittleEndian as Little;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::read::{CompressedData, CompressionFormat};

use crate::symbols::{Elf, FileBytes, load};

/// What gimli reads from.
pub(super) type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// A packed section may be so many times longer when unpacked; debug information
/// gets to a tenth of that.
const UNPACKED_MAX: u64 = 64;
/// And so many bytes more: the first of them compress best.
const UNPACKED_MORE: u64 = 1 << 16;

/// A file with its sections of debug information.
#[derive(Debug)]
pub(super) struct Sections {
    bytes: Bytes,
    all: Vec<Section>,
}

#[derive(Debug)]
enum Bytes {
    Elf(Arc<Elf>),
    Own(FileBytes),
}

#[derive(Debug)]
struct Section {
    name: Box<str>,
    /// Where it is in the file, without the header of a packed one.
    range: Range<usize>,
    packed: Option<Packed>,
}

#[derive(Debug)]
struct Packed {
    format: CompressionFormat,
    size: u64,
    plain: OnceLock<Vec<u8>>,
}

impl Sections {
    /// Those of a program or library.
    pub(super) fn of_elf(elf: Arc<Elf>) -> Self {
        let all = read_headers(elf.bytes()).unwrap_or_default();
        Self { bytes: Bytes::Elf(elf), all }
    }

    /// Those of a file that holds nothing but debug information. `None` if it is
    /// not there, or no such file.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let bytes = load(path).ok()?;
        let all = read_headers(&bytes)?;
        Some(Self { bytes: Bytes::Own(bytes), all })
    }

    /// All of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Elf(elf) => elf.bytes(),
            Bytes::Own(bytes) => bytes,
        }
    }

    /// The section called `name`; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &[u8] {
        let section = self.all.iter().find(|section| &*section.name == name);
        section.map_or(&[], |section| section.contents(self.bytes()))
    }

    /// All sections called `name`: `.dwo` files have one for each type.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let all = self.all.iter().filter(move |section| &*section.name == name);
        all.map(|section| section.contents(self.bytes()))
    }

    /// Has it a section `name` that is not empty? Unpacks nothing.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.iter().any(|section| &*section.name == name && !section.range.is_empty())
    }

    /// A section as gimli wants it; `dwo` for the name it has in `.dwo` files.
    pub(super) fn slice(&self, id: SectionId, dwo: bool) -> Slice<'_> {
        let name = if dwo { id.dwo_name() } else { Some(id.name()) };
        EndianSlice::new(name.map_or(&[], |name| self.get(name)), LittleEndian)
    }

    /// Gives the memory of what was searched back to the kernel, if it is the
    /// file's own; it is read again when it is needed.
    pub(super) fn forget(&self, searched: &[u8]) {
        match &self.bytes {
            Bytes::Elf(elf) => elf.forget(searched),
            Bytes::Own(bytes) => bytes.forget(searched),
        }
    }

    /// The identity that the linker gave the file.
    pub(super) fn build_id(&self) -> Option<&[u8]> {
        let note = self.get(".note.gnu.build-id");
        let word = |at: usize| {
            let bytes = note.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        // Lengths of name and contents, the type, then "GNU\0" (elf(5), Notes).
        let (name, length) = (word(0)?, word(4)?);
        let start = 12 + name.checked_next_multiple_of(4)?;
        note.get(start..start.checked_add(length)?).filter(|id| id.len() > 1)
    }
}

impl Section {
    fn contents<'a>(&'a self, file: &'a [u8]) -> &'a [u8] {
        let stored = file.get(self.range.clone()).unwrap_or_default();
        match &self.packed {
            None => stored,
            Some(packed) => packed.plain.get_or_init(|| packed.unpack(stored)),
        }
    }
}

impl Packed {
    /// Empty if it is damaged, or longer than any compiler's can be.
    fn unpack(&self, stored: &[u8]) -> Vec<u8> {
        let limit = (stored.len() as u64) * UNPACKED_MAX + UNPACKED_MORE;
        if self.size > limit {
            return Vec::new();
        }
        let data = CompressedData {
            format: self.format,
            data: stored,
            uncompressed_size: self.size,
        };
        data.decompress().map(Cow::into_owned).unwrap_or_default()
    }
}

/// Where a program's thread-locals have the values that they begin with, in its own
/// address space (`PT_TLS`).
pub(super) fn thread_locals(program: &[u8]) -> Option<Range<u64>> {
    let header = FileHeader64::<Little>::parse(program).ok()?;
    let endian = header.endian().ok()?;
    let mut headers = header.program_headers(endian, program).ok()?.iter();
    let segment = headers.find(|segment| segment.p_type(endian) == elf::PT_TLS)?;
    let start = segment.p_vaddr(endian);
    Some(start..start.checked_add(segment.p_memsz(endian))?)
}

/// The sections that tell of names. `None` if it is no such file.
fn read_headers(bytes: &[u8]) -> Option<Vec<Section>> {
    let header = FileHeader64::<Little>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let table = header.sections(endian, bytes).ok()?;
    let mut all = Vec::new();
    for section in table.iter() {
        let Ok(name) = table.section_name(endian, section) else { continue };
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if [".debug_", ".zdebug_", ".gnu_debug", ".note.gnu.build-id"]
            .iter()
            .any(|start| name.starts_with(start))
            && section.sh_type(endian) != elf::SHT_NOBITS
            && let Some(section) = read_section(name, section, endian, bytes)
        {
            all.push(section);
        }
    }
    Some(all)
}

fn read_section(
    name: &str,
    section: &elf::SectionHeader64<Little>,
    endian: Little,
    bytes: &[u8],
) -> Option<Section> {
    let (start, size) = section.file_range(endian)?;
    let mut range =
        usize::try_from(start).ok()?..usize::try_from(start.checked_add(size)?).ok()?;
    let stored = bytes.get(range.clone())?;
    let packed = |format, size| Some(Packed { format, size, plain: OnceLock::new() });
    // How binutils packed before there was a flag: "ZLIB", then the size with its
    // highest byte first.
    if let Some(rest) = name.strip_prefix(".z") {
        let size = stored.strip_prefix(b"ZLIB")?.get(..8)?.try_into().ok()?;
        range.start += 12;
        let packed = packed(CompressionFormat::Zlib, u64::from_be_bytes(size));
        return Some(Section { name: format!(".{rest}").into(), range, packed });
    }
    let packed = match section.compression(endian, bytes).ok()? {
        None => None,
        Some((header, offset, size)) => {
            range.start = usize::try_from(offset).ok()?;
            range.end = range.start.checked_add(usize::try_from(size).ok()?)?;
            let format = match header.ch_type.get(endian) {
                elf::ELFCOMPRESS_ZLIB => CompressionFormat::Zlib,
                elf::ELFCOMPRESS_ZSTD => CompressionFormat::Zstandard,
                _ => return None,
            };
            packed(format, header.ch_size.get(endian))
        }
    };
    Some(Section { name: name.into(), range, packed })
}
