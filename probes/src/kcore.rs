//! The kernel's memory, from `/proc/kcore` (proc(5)): a core file in the ELF
//! format, whose program headers say which addresses lie where in it
//! (fs/proc/kcore.c).
//!
//! Memory that a header covers and that is not there reads as zeros, as the kernel
//! has it; what no header covers can not be read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Addresses of the kernel, and where their memory is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    start: u64,
    length: u64,
    offset: u64,
}

/// The memory of the running kernel.
#[derive(Debug)]
pub struct KernelMemory {
    file: File,
    segments: Vec<Segment>,
}

/// Why the kernel's memory cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KcoreError {
    /// The kernel does not show it.
    #[error("there is no /proc/kcore, which a kernel built with CONFIG_PROC_KCORE has")]
    Missing,
    /// It is not for us.
    #[error(
        "/proc/kcore may be read by root (CAP_SYS_RAWIO) alone, and not under lockdown"
    )]
    PermissionDenied,
    /// It is not as documented.
    #[error("/proc/kcore is no core file")]
    Malformed,
    /// Reading failed for another reason.
    #[error("/proc/kcore cannot be read: {0}")]
    Io(io::Error),
}

/// Sizes and offsets of ELF's 64-bit header and program header (elf(5)).
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const MAGIC_64_LITTLE: &[u8] = b"\x7fELF\x02\x01";
const PT_LOAD: u64 = 1;
/// A kernel has some dozens.
const MAX_SEGMENTS: u64 = 4096;

impl KernelMemory {
    /// That of the running kernel.
    ///
    /// # Errors
    ///
    /// Every [`KcoreError`].
    pub fn running() -> Result<Self, KcoreError> {
        Self::open(Path::new("/proc/kcore"))
    }

    /// Takes a core file.
    ///
    /// # Errors
    ///
    /// Every [`KcoreError`].
    pub fn open(path: &Path) -> Result<Self, KcoreError> {
        let file = File::open(path).map_err(from_io)?;
        let segments = read_segments(&file)?;
        Ok(Self { file, segments })
    }

    /// Reads from `address` on; gives how many of the first bytes of `out` could be
    /// read.
    pub fn read(&self, address: u64, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let rest = out.get_mut(done..).unwrap_or_default();
            match self.read_some(address.wrapping_add(done as u64), rest) {
                Some(read @ 1..) => done += read,
                _ => break,
            }
        }
        done
    }

    /// Reads what one segment has.
    fn read_some(&self, address: u64, out: &mut [u8]) -> Option<usize> {
        let covers = |segment: &&Segment| {
            address.checked_sub(segment.start).is_some_and(|into| into < segment.length)
        };
        let segment = self.segments.iter().find(covers)?;
        let into = address - segment.start;
        let there = usize::try_from(segment.length - into).unwrap_or(usize::MAX);
        let most = there.min(out.len());
        self.file.read_at(out.get_mut(..most)?, segment.offset.checked_add(into)?).ok()
    }
}

fn read_segments(file: &File) -> Result<Vec<Segment>, KcoreError> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, 0).map_err(from_io)?;
    if !header.starts_with(MAGIC_64_LITTLE) {
        return Err(KcoreError::Malformed);
    }
    let (table, size, count) =
        (number(&header, 32, 8), number(&header, 54, 2), number(&header, 56, 2));
    if size < PROGRAM_HEADER_BYTES as u64 || count > MAX_SEGMENTS {
        return Err(KcoreError::Malformed);
    }
    let mut segments = Vec::new();
    for index in 0..count {
        let at = table.checked_add(index * size).ok_or(KcoreError::Malformed)?;
        let mut row = [0; PROGRAM_HEADER_BYTES];
        file.read_exact_at(&mut row, at).map_err(from_io)?;
        if number(&row, 0, 4) == PT_LOAD {
            let (offset, start) = (number(&row, 8, 8), number(&row, 16, 8));
            segments.push(Segment { start, offset, length: number(&row, 32, 8) });
        }
    }
    Ok(segments)
}

/// The little-endian number of `length` bytes at an offset, at most 8.
fn number(bytes: &[u8], offset: usize, length: usize) -> u64 {
    let bytes = bytes.get(offset..offset + length).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn from_io(error: io::Error) -> KcoreError {
    match error.kind() {
        io::ErrorKind::NotFound => KcoreError::Missing,
        io::ErrorKind::PermissionDenied => KcoreError::PermissionDenied,
        io::ErrorKind::UnexpectedEof => KcoreError::Malformed,
        _ => KcoreError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A core file with these segments of four bytes each, and a note.
    fn core(segments: &[(u64, [u8; 4])]) -> Vec<u8> {
        let mut bytes = MAGIC_64_LITTLE.to_vec();
        bytes.resize(HEADER_BYTES, 0);
        let rows = segments.len() + 1;
        bytes[32..40].copy_from_slice(&(HEADER_BYTES as u64).to_le_bytes());
        bytes[54..56].copy_from_slice(&(PROGRAM_HEADER_BYTES as u16).to_le_bytes());
        bytes[56..58].copy_from_slice(&(rows as u16).to_le_bytes());
        let mut row = |kind: u64, offset: usize, start: u64, length: u64| {
            let fields = [kind, offset as u64, start, 0, length, length, 0];
            bytes.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        };
        let data = HEADER_BYTES + rows * PROGRAM_HEADER_BYTES;
        row(4, 0, 0x2000, 64);
        for (index, (start, _)) in segments.iter().enumerate() {
            row(PT_LOAD, data + 4 * index, *start, 4);
        }
        bytes.extend(segments.iter().flat_map(|(_, content)| content));
        bytes
    }

    fn open(bytes: &[u8]) -> Result<KernelMemory, KcoreError> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        KernelMemory::open(file.path())
    }

    #[test]
    fn addresses_are_found_in_the_file() {
        let high = 0xffff_ffff_8100_0000;
        let bytes = core(&[(high, *b"text"), (0x1000, *b"abcd"), (0x1004, *b"efgh")]);
        let memory = open(&bytes).expect("a core file");
        let read = |address, length| {
            let mut out = vec![0; length];
            let read = memory.read(address, &mut out);
            out.truncate(read);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(read(high, 4), "text");
        assert_eq!(read(0x1002, 5), "cdefg", "over the border of two segments");
        assert_eq!(read(0x1006, 5), "gh", "up to the end");
        for nothing in [0, 0xfff, 0x1008, 0x2000, high + 4, u64::MAX] {
            assert_eq!(read(nothing, 1), "", "{nothing:#x}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        let whole = core(&[(0x1000, *b"abcd")]);
        for length in [0, 10, HEADER_BYTES, whole.len() - 20] {
            let refused = open(&whole[..length]);
            assert!(matches!(refused, Err(KcoreError::Malformed)), "{length}");
        }
        let mut other = whole.clone();
        other[4] = 1;
        assert!(matches!(open(&other), Err(KcoreError::Malformed)));
        let missing = KernelMemory::open(Path::new("/no/such/file"));
        assert!(matches!(missing, Err(KcoreError::Missing)));
    }

    /// Where the machine has it and lets us: the kernel's own text is not zeros.
    #[test]
    fn the_running_kernel() {
        let Ok(memory) = KernelMemory::running() else {
            eprintln!("SKIPPED: no /proc/kcore to read");
            return;
        };
        let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        let line = symbols.lines().find(|line| line.ends_with(" T _stext"));
        let address = line.and_then(|line| u64::from_str_radix(&line[..16], 16).ok());
        if let Some(address @ 1..) = address {
            let mut code = [0; 64];
            assert_eq!(memory.read(address, &mut code), 64);
            assert_ne!(code, [0; 64]);
        }
    }
}
