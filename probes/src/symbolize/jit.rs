//! Names of code that a process made as it runs, where it tells them: in
//! `/tmp/perf-PID.map`, as `perf` reads it (tools/perf/Documentation/jit-interface.txt).

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use super::Symbol;
use crate::symbols::file::O_NONBLOCK;

/// `O_NOFOLLOW` of x86-64 Linux (asm-generic/fcntl.h): a link may lead anywhere.
const O_NOFOLLOW: i32 = 0o400000;
/// How the module of such code is called.
const MODULE: &str = "[jit]";
/// So much of the file is read; a large Java program writes a tenth of that.
const BYTES_MAX: u64 = 64 << 20;
/// The counts that an [`Arc`] has before its text.
const COUNTS: usize = 2 * size_of::<usize>();
/// Names are cut here.
const NAME_MAX: usize = 4096;

/// What one process tells of the code that it made.
#[derive(Debug, Default)]
pub(super) struct PerfMap {
    /// Sorted; without overlaps, but those of the file.
    functions: Vec<Function>,
    /// So many bytes of the file were read.
    read: u64,
}

#[derive(Debug)]
struct Function {
    start: u64,
    size: u64,
    name: Arc<str>,
}

impl PerfMap {
    /// The function at an address. Looks whether the process has told more where it has
    /// told of none there; `pid` while there is one to tell.
    pub(super) fn find(&mut self, pid: Option<u32>, address: u64) -> Option<Symbol> {
        if let Some(pid) = pid
            && self.at(address).is_none()
        {
            self.read_more(pid);
        }
        let found = self.at(address)?;
        Some(Symbol {
            name: found.name.clone(),
            offset: address - found.start,
            size: found.size,
            module: MODULE.into(),
        })
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn size(&self) -> usize {
        let each = size_of::<Function>() + COUNTS;
        self.functions.iter().map(|function| each + function.name.len()).sum()
    }

    fn at(&self, address: u64) -> Option<&Function> {
        let after = self.functions.partition_point(|it| it.start <= address);
        let found = self.functions.get(after.checked_sub(1)?)?;
        (address - found.start < found.size).then_some(found)
    }

    /// Reads what was written since.
    fn read_more(&mut self, pid: u32) {
        let Some((mut open, length)) = open(pid) else { return };
        if length < self.read {
            // Another file.
            *self = Self::default();
        }
        let room = BYTES_MAX.saturating_sub(self.read);
        let more = (length - self.read).min(room);
        let mut text = Vec::new();
        let read = open.seek(SeekFrom::Start(self.read));
        if more == 0 || read.and_then(|_| open.take(more).read_to_end(&mut text)).is_err()
        {
            return;
        }
        // The last line may not be complete yet.
        let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        self.read += end as u64;
        self.add(&text[..end]);
    }

    /// Lines `START SIZE NAME`, both numbers in hexadecimal. A later line is right where it
    /// begins where an earlier one does: the code was made anew.
    pub(super) fn add(&mut self, text: &[u8]) {
        let lines = text.split(|&byte| byte == b'\n').filter_map(function);
        let mut functions: Vec<Function> = lines.collect();
        functions.reverse();
        functions.append(&mut self.functions);
        functions.sort_by_key(|function| function.start);
        functions.dedup_by_key(|function| function.start);
        self.functions = functions;
    }
}

fn function(line: &[u8]) -> Option<Function> {
    let line = &line[..line.len().min(NAME_MAX)];
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let mut number = || {
        let digits = std::str::from_utf8(words.next()?).ok()?;
        u64::from_str_radix(digits.trim_start_matches("0x"), 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = String::from_utf8_lossy(words.next()?);
    let name = name.trim();
    let some = size > 0 && !name.is_empty() && start.checked_add(size).is_some();
    some.then(|| Function { start, size, name: name.into() })
}

/// The file and its length, where whoever wrote it may speak for the process: it is
/// the process's owner, or root. Anybody can make files in `/tmp`.
fn open(pid: u32) -> Option<(File, u64)> {
    let own = fs::metadata(format!("/proc/{pid}")).ok()?;
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let status = fs::read_to_string(proc.join("status")).ok()?;
    let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let inner = inner.and_then(|pids| pids.split_ascii_whitespace().last());
    let name = format!("root/tmp/perf-{}.map", inner.unwrap_or(&pid.to_string()));
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(O_NONBLOCK | O_NOFOLLOW);
    let file = options.open(proc.join(name)).ok()?;
    let metadata = file.metadata().ok()?;
    let trusted = metadata.uid() == own.uid() || metadata.uid() == 0;
    (metadata.is_file() && trusted).then_some((file, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAP: &[u8] = b"7f0010 20 first\n0x7f0040 0x10 Main::run(int) more words\n\
        zz 10 no\n7f0060 0 empty\n7f0010 8 again\nffffffffffffffff 10 wraps\n7f0080 10";

    fn read(text: &[u8]) -> PerfMap {
        let mut map = PerfMap::default();
        map.add(text);
        map
    }

    #[test]
    fn names_are_those_of_the_lines() {
        let map = read(MAP);
        let name = |address| map.at(address).map(|it| &*it.name);
        assert_eq!(name(0x7f0010), Some("again"));
        assert_eq!(name(0x7f0018), None);
        assert_eq!(name(0x7f004f), Some("Main::run(int) more words"));
        for nothing in [0, 0x7f000f, 0x7f0050, 0x7f0060, 0x7f0080, u64::MAX] {
            assert_eq!(name(nothing), None, "{nothing:x}");
        }
        let mut map = map;
        let before = map.size();
        assert!(before > "again".len() + "Main::run(int) more words".len());
        map.add(b"7f0010 10 anew\n7f0000 8 before\n");
        let name = |address| map.at(address).map(|it| &*it.name);
        assert_eq!((name(0x7f0018), name(0x7f0007)), (Some("anew"), Some("before")));
        assert!(map.size() > before);
    }

    proptest! {
        #[test]
        fn any_text_is_read(at in 0..MAP.len(), byte: u8, text: Vec<u8>, address: u64) {
            let mut damaged = MAP.to_vec();
            damaged[at] = byte;
            for text in [&damaged[..], &damaged[at..], &text] {
                let map = read(text);
                for address in [address, 0x7f0011, 0] {
                    let found = map.at(address);
                    prop_assert!(found.is_none_or(|it| it.start <= address));
                }
            }
        }
    }
}
