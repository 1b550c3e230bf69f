//! What `/proc` tells of threads and processes that are traced.

use crate::kernel::{Kernel, Result};

/// What is read of a status, and of the list of mappings, at most.
const STATUS_MAX: usize = 4096;
const MAPS_MAX: usize = 4 << 20;

/// A thread, as proc_pid_status(5) tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// Its process.
    pub(super) pid: u32,
    /// Who traces it; 0 for nobody.
    pub(super) tracer: u32,
    /// Whether it has ended, and is waited for.
    pub(super) ended: bool,
    /// Whether it is stopped, by a signal or a tracer.
    pub(super) stopped: bool,
}

/// What is told of a thread.
///
/// # Errors
/// ENOENT or ESRCH where it is gone.
pub(super) fn status(kernel: &dyn Kernel, tid: u32) -> Result<Status> {
    let text = kernel.read_file(&format!("/proc/{tid}/status"), STATUS_MAX)?;
    let text = String::from_utf8_lossy(&text);
    // A name can not be mistaken for another line: a newline in it is escaped.
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.map(str::trim)
    };
    let number = |name| field(name).and_then(|it| it.parse().ok()).unwrap_or(0);
    let is = |of: [char; 2]| field("State:").is_some_and(|state| state.starts_with(of));
    Ok(Status {
        pid: number("Tgid:"),
        tracer: number("TracerPid:"),
        ended: is(['Z', 'X']),
        stopped: is(['T', 't']),
    })
}

/// The CPU that a thread ran on last; 0 where it is not told.
pub(super) fn cpu(kernel: &dyn Kernel, tid: u32) -> u32 {
    /// Its place behind the name (proc_pid_stat(5): the 39th field of all).
    const PROCESSOR: usize = 36;
    let text = kernel.read_file(&format!("/proc/{tid}/stat"), STATUS_MAX);
    let text = text.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').nth(PROCESSOR).and_then(|cpu| cpu.parse().ok()).unwrap_or(0)
}

/// Executable memory, of a file or of what makes code as it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) address: u64,
    pub(super) length: u64,
    pub(super) offset: u64,
    pub(super) path: Vec<u8>,
}

impl Mapping {
    pub(super) fn holds(&self, address: u64) -> bool {
        address.wrapping_sub(self.address) < self.length
    }
}

/// What a process has mapped executable.
pub(super) fn mappings(kernel: &dyn Kernel, pid: u32) -> Vec<Mapping> {
    let text = kernel.read_file(&format!("/proc/{pid}/maps"), MAPS_MAX);
    text.unwrap_or_default().split(|byte| *byte == b'\n').filter_map(mapping).collect()
}

/// `start-end rwxp offset major:minor inode      path`, hexadecimal (proc_pid_maps(5)).
/// Memory of no file is called as perf calls it.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let path = line.iter().position(|byte| matches!(byte, b'/' | b'['));
    let (fields, path) = path.map_or((line, &b"//anon"[..]), |it| line.split_at(it));
    let mut fields = std::str::from_utf8(fields).ok()?.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (address, end, offset) = (hex(start)?, hex(end)?, hex(fields.next()?)?);
    let length = end.checked_sub(address)?;
    let is_code = rights.as_bytes().get(2) == Some(&b'x');
    is_code.then(|| Mapping { address, length, offset, path: path.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::fake::Fake;

    #[test]
    fn threads_and_mappings_are_told() {
        let fake = Fake::new(1, &[7]);
        fake.set_file(
            "/proc/8/status",
            "Name:\tTgid: 5\nState:\tZ (zombie)\nTgid:\t7\nPid:\t8\nTracerPid:\t3\n",
        );
        let told = Status { pid: 7, tracer: 3, ended: true, stopped: false };
        assert_eq!(status(&fake, 8), Ok(told));
        assert!(status(&fake, 9).is_err());
        fake.set_file(
            "/proc/7/maps",
            "00400000-00401000 r--p 00000000 fe:00 12   /bin/a b\n\
             00401000-00403000 r-xp 00001000 fe:00 12   /bin/a b\n\
             7ffff7fc0000-7ffff7fc2000 r-xp 00000000 00:00 0   [vdso]\n\
             7ffff8000000-7ffff8001000 rwxp 00000000 00:00 0\n",
        );
        let found = mappings(&fake, 7);
        let paths: Vec<_> = found.iter().map(|it| &*it.path).collect();
        assert_eq!(paths, [&b"/bin/a b"[..], b"[vdso]", b"//anon"]);
        assert_eq!(
            (found[0].address, found[0].length, found[0].offset),
            (0x401000, 0x2000, 0x1000)
        );
        assert!(found[0].holds(0x402fff) && !found[0].holds(0x403000));
    }
}
