//! What is mapped where in a process, kept so that a process that has exited
//! still resolves.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::address::{AbsAddr, FileOffset};

/// One mapping of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its first address.
    pub start: AbsAddr,
    /// The first address behind it.
    pub end: AbsAddr,
    /// Where in the file it starts.
    pub offset: FileOffset,
    /// Can code in it run?
    pub executable: bool,
    /// The file's inode number, 0 if there is no file or it is not known.
    pub inode: u64,
    /// The file, as the process sees it. `None` for anonymous memory and the
    /// kernel's own mappings (`[stack]`, `[vdso]`, `anon_inode:…`).
    pub path: Option<Arc<Path>>,
    /// Whether it is code of the kernel's for all processes, which is as if from a
    /// file (vdso(7)).
    pub vdso: bool,
}

impl Mapping {
    /// A mapping as an event of the kernel tells it (`PERF_RECORD_MMAP2`): `length`
    /// bytes from `start`. A `path` that is no file's (`[heap]`, `//anon`) makes it
    /// anonymous memory; `inode` is 0 if it is not known.
    pub fn new(
        start: AbsAddr,
        length: u64,
        offset: FileOffset,
        executable: bool,
        inode: u64,
        path: &[u8],
    ) -> Self {
        Mapping {
            start,
            end: AbsAddr(start.0.saturating_add(length)),
            offset,
            executable,
            inode,
            path: file_path(path),
            vdso: path == VDSO,
        }
    }

    /// Whether what is there is an ELF file's, or as if it were.
    pub(crate) fn is_of_file(&self) -> bool {
        self.path.is_some() || self.vdso
    }

    /// Is the address in it?
    pub fn contains(&self, address: AbsAddr) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// How the kernel calls its code for all processes.
const VDSO: &[u8] = b"[vdso]";

/// A line of `/proc/PID/maps` that is not as proc(5) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the process's maps cannot be understood")]
pub struct MapsError {
    /// The line's number, from 1.
    pub line: usize,
}

/// Parses `/proc/PID/maps`:
///
/// ```text
/// 55d0a8c00000-55d0a8c02000 r-xp 00001000 fe:00 1234                       /usr/bin/prog
/// ```
///
/// # Errors
///
/// [`MapsError`] with the first line that has another form.
pub fn parse_maps(text: &[u8]) -> Result<Vec<Mapping>, MapsError> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let mut mapping = parse_line(line).ok_or(MapsError { line: index + 1 })?;
        // Mappings of a file follow one another: they share its path.
        if let Some(last) = mappings.last()
            && last.path == mapping.path
        {
            mapping.path.clone_from(&last.path);
        }
        mappings.push(mapping);
    }
    Ok(mappings)
}

fn parse_line(line: &[u8]) -> Option<Mapping> {
    let (range, rest) = field(line)?;
    let (permissions, rest) = field(rest)?;
    let (offset, rest) = field(rest)?;
    let (_device, rest) = field(rest)?;
    // Nothing follows the inode of anonymous memory.
    let (inode, path) = field(rest).unwrap_or((rest, b""));
    let dash = range.iter().position(|&byte| byte == b'-')?;
    let start = AbsAddr(number(&range[..dash], 16)?);
    let end = AbsAddr(number(&range[dash + 1..], 16)?);
    if start >= end || permissions.len() != 4 {
        return None;
    }
    let path = unescape(path.trim_ascii_start());
    Some(Mapping {
        start,
        end,
        offset: FileOffset(number(offset, 16)?),
        executable: permissions[2] == b'x',
        inode: number(inode, 10)?,
        path: file_path(&path),
        vdso: path == VDSO,
    })
}

/// Splits off what comes before a blank.
fn field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|&byte| byte == b' ')?;
    Some((&text[..end], &text[end + 1..]))
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(digits, radix).ok()
}

/// The kernel writes a newline in a path as `\012` (`seq_file_path` in
/// fs/proc/task_mmu.c), and escapes nothing else, not even the backslash.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(b"\\012") {
            out.push(b'\n');
            rest = tail;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

/// The path of a file, as opposed to `[heap]`, `anon_inode:[perf_event]` and `//anon`.
fn file_path(path: &[u8]) -> Option<Arc<Path>> {
    let file = path.starts_with(b"/") && !path.starts_with(b"//");
    // Shared anonymous memory is a deleted file to the kernel.
    let anonymous = path.starts_with(b"/dev/zero") || path.starts_with(b"/SYSV");
    (file && !anonymous).then(|| Arc::from(Path::new(OsStr::from_bytes(path))))
}

/// The mappings of one process at a time; cheap to clone for a forked child.
#[derive(Clone, Debug, Default)]
pub struct AddressSpace {
    /// Sorted, without overlaps. Shared until one of the owners changes it.
    mappings: Arc<Vec<Mapping>>,
    refused: u64,
}

/// More mappings are not kept: no `munmap` is seen, so that a process that maps
/// ever new addresses would fill our memory. Twice the kernel's own limit on a
/// process (`vm.max_map_count`).
const MAX_MAPPINGS: usize = 131_060;

impl AddressSpace {
    /// Takes a snapshot, in whatever order it comes; later ones replace earlier
    /// ones where they overlap.
    pub fn new(mappings: Vec<Mapping>) -> Self {
        let sorted = mappings.windows(2).all(|pair| pair[0].end <= pair[1].start);
        let proper = mappings.iter().all(|mapping| mapping.start < mapping.end);
        if sorted && proper && mappings.len() <= MAX_MAPPINGS {
            return AddressSpace { mappings: Arc::new(mappings), refused: 0 };
        }
        let mut space = AddressSpace::default();
        for mapping in mappings {
            space.note_mapping(mapping);
        }
        space
    }

    /// Takes over a mapping that the process has made; what was there before is cut.
    pub fn note_mapping(&mut self, new: Mapping) {
        if new.start >= new.end {
            return;
        }
        if self.mappings.len() >= MAX_MAPPINGS {
            self.refused += 1;
            return;
        }
        let mappings = Arc::make_mut(&mut self.mappings);
        let first = mappings.partition_point(|old| old.end <= new.start);
        let behind = mappings.partition_point(|old| old.start < new.end);
        let mut parts = Vec::with_capacity(3);
        if let Some(old) = mappings.get(first).filter(|old| old.start < new.start) {
            let mut head = old.clone();
            head.end = new.start;
            parts.push(head);
        }
        let last = behind.checked_sub(1).and_then(|last| mappings.get(last));
        let tail = last.filter(|old| old.end > new.end).map(|old| {
            let mut tail = old.clone();
            let cut = new.end.0 - old.start.0;
            tail.start = new.end;
            tail.offset = FileOffset(old.offset.0.wrapping_add(cut));
            tail
        });
        parts.push(new);
        parts.extend(tail);
        mappings.splice(first..behind.max(first), parts);
    }

    /// The mapping that an address is in.
    pub fn find(&self, address: AbsAddr) -> Option<&Mapping> {
        let mapping = self.mappings.get(self.last_before(address)?)?;
        mapping.contains(address).then_some(mapping)
    }

    /// Mappings of files that start at or before an address, nearest first: the
    /// file that the address belongs to may reach further than its mapping
    /// (`.bss`), or its data may not have been noted.
    pub fn files_below(&self, address: AbsAddr) -> impl Iterator<Item = &Mapping> {
        let end = self.last_before(address).map_or(0, |last| last + 1);
        let below = self.mappings[..end].iter().rev();
        below.filter(|mapping| mapping.path.is_some())
    }

    /// The next mapping of a file above an address.
    pub fn file_above(&self, address: AbsAddr) -> Option<&Mapping> {
        let above = self.last_before(address).map_or(0, |last| last + 1);
        let mut above = self.mappings[above..].iter();
        above.find(|mapping| mapping.path.is_some())
    }

    fn last_before(&self, address: AbsAddr) -> Option<usize> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        after.checked_sub(1)
    }

    /// All mappings, by address.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// How many mappings were not taken over because there are too many.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAPS: &[u8] = b"\
55d0a8c00000-55d0a8c02000 r--p 00000000 fe:00 1234                       /usr/bin/my prog
55d0a8c02000-55d0a8c03000 r-xp 00002000 fe:00 1234                       /usr/bin/my prog
55d0a8c05000-55d0a8c06000 rw-p 00000000 00:00 0 \n\
55d0a9000000-55d0a9021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 r-xp 00000000 fe:00 99                         /tmp/a\\012b (deleted)
7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    fn mapping(start: u64, end: u64, offset: u64, path: &str) -> Mapping {
        Mapping {
            start: AbsAddr(start),
            end: AbsAddr(end),
            offset: FileOffset(offset),
            executable: true,
            inode: 0,
            path: file_path(path.as_bytes()),
            vdso: false,
        }
    }

    #[test]
    fn lines_as_the_kernel_writes_them() {
        let maps = parse_maps(MAPS).expect("the sample");
        assert_eq!(maps.len(), 7);
        assert_eq!(maps[1].path.as_deref(), Some(Path::new("/usr/bin/my prog")));
        assert_eq!(maps[1].offset, FileOffset(0x2000));
        assert_eq!((maps[1].executable, maps[0].executable), (true, false));
        assert_eq!(maps[1].inode, 1234);
        assert_eq!(maps[4].path.as_deref(), Some(Path::new("/tmp/a\nb (deleted)")));
        for anonymous in [2, 3, 5, 6] {
            assert_eq!(maps[anonymous].path, None);
        }
        let vdso = maps.iter().filter(|mapping| mapping.vdso);
        assert_eq!(vdso.map(|it| it.start.0).collect::<Vec<_>>(), [0x7ffc_0000_0000]);
    }

    #[test]
    fn damaged_lines_are_errors_with_their_number() {
        for bad in [
            "zz-10 r-xp 0 0:0 0 ",
            "20-10 r-xp 0 0:0 0 ",
            "10 r-xp 0 0:0 0 ",
            "10-20 r-x 0 0:0 0 ",
            "10-20",
            "10-20 r-xp 0 0:0 q /x",
        ] {
            let text = format!("10-20 r-xp 0 0:0 0 \n{bad}\n");
            assert_eq!(parse_maps(text.as_bytes()), Err(MapsError { line: 2 }), "{bad}");
        }
    }

    #[test]
    fn later_mappings_replace_what_they_overlap() {
        let mut space = AddressSpace::new(vec![mapping(0x1000, 0x9000, 0, "/a")]);
        let (start, offset) = (AbsAddr(0x3000), FileOffset(0x10));
        space.note_mapping(Mapping::new(start, 0x1000, offset, true, 0, b"/b"));
        let expected = [
            mapping(0x1000, 0x3000, 0, "/a"),
            mapping(0x3000, 0x4000, 0x10, "/b"),
            mapping(0x4000, 0x9000, 0x3000, "/a"),
        ];
        assert_eq!(space.mappings(), expected);
        let child = space.clone();
        space.note_mapping(mapping(0, 0x10000, 0, "/c"));
        assert_eq!(space.mappings(), [mapping(0, 0x10000, 0, "/c")]);
        assert_eq!(child.mappings(), expected);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_maps(&text);
        }

        #[test]
        fn parsing_damaged_maps_never_panics(at in 0..MAPS.len(), byte: u8, end in 0..MAPS.len()) {
            let mut text = MAPS.to_vec();
            text[at] = byte;
            let _ = parse_maps(&text);
            let _ = parse_maps(&text[..end]);
        }

        /// A map of bytes to the mapping noted last is the model.
        #[test]
        fn behaves_as_a_map_of_bytes(
            notes in prop::collection::vec((0..64_u64, 0..20_u64), 0..40),
        ) {
            let mut model = [None; 128];
            let mut space = AddressSpace::default();
            for (index, (start, length)) in notes.iter().enumerate() {
                let offset = index as u64 * 1000;
                space.note_mapping(mapping(*start, start + length, offset, "/x"));
                for byte in *start..start + length {
                    model[byte as usize] = Some(offset + byte - start);
                }
            }
            for (byte, expected) in model.iter().enumerate() {
                let byte = byte as u64;
                let found = space.find(AbsAddr(byte));
                let found = found.map(|at| at.offset.0 + byte - at.start.0);
                prop_assert_eq!(found, *expected);
            }
            let sorted = space.mappings().windows(2).all(|pair| pair[0].end <= pair[1].start);
            prop_assert!(sorted);
        }
    }
}
