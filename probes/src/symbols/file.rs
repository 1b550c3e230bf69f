//! Gets the bytes of a file: small ones by reading, larger ones by mapping.
#![allow(unsafe_code)] // Mapping a file, and unmapping parts for a while.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use memmap2::{Mmap, UncheckedAdvice};

/// The contents of a file.
#[derive(Debug)]
pub enum FileBytes {
    /// Mapped.
    Mapped(Mmap),
    /// Read into memory, or never in a file.
    Owned(Vec<u8>),
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            FileBytes::Mapped(map) => map,
            FileBytes::Owned(bytes) => bytes,
        }
    }
}

impl FileBytes {
    /// Gives the memory of a part of a mapped file back to the kernel: it is read
    /// again when it is needed. Nothing happens to what is no part of one.
    pub(crate) fn forget(&self, part: &[u8]) {
        let FileBytes::Mapped(map) = self else { return };
        let whole = map.as_ptr_range();
        let start = (part.as_ptr() as usize).checked_sub(whole.start as usize);
        let Some(start) = start.filter(|start| start + part.len() <= map.len()) else {
            return;
        };
        // SAFETY: the mapping is of a file and never written to, so that the pages
        // come back with the same contents.
        let advised = unsafe {
            map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, part.len())
        };
        // It saves memory; without it nothing is wrong.
        drop(advised);
    }
}

/// Up to this size reading is faster than mapping: a mapping costs page faults.
/// It also keeps small files safe from being cut short while they are in use.
const READ_UP_TO: u64 = 256 * 1024;

/// `O_NONBLOCK` of x86-64 Linux (asm-generic/fcntl.h): opening a FIFO that
/// pretends to be an executable must not wait for its writer.
pub(crate) const O_NONBLOCK: i32 = 0o4000;

/// Opens the file at `path` and gets its bytes.
///
/// # Errors
///
/// What `open(2)`, `fstat(2)`, `read(2)` and `mmap(2)` say;
/// [`io::ErrorKind::InvalidInput`] for what is not a regular file.
pub fn load(path: &Path) -> io::Result<FileBytes> {
    load_open(&open(path)?)
}

/// Opens a file for reading, without waiting for anything.
///
/// # Errors
///
/// What `open(2)` says.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(O_NONBLOCK).open(path)
}

/// Gets the bytes of an open file.
///
/// # Errors
///
/// As for [`load`].
pub fn load_open(mut file: &File) -> io::Result<FileBytes> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if metadata.len() <= READ_UP_TO {
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        file.by_ref().take(READ_UP_TO).read_to_end(&mut bytes)?;
        return Ok(FileBytes::Owned(bytes));
    }
    // SAFETY: the mapping is private and read-only, and nothing is read from it
    // as anything but integers, for which all bytes are valid. The bytes may
    // change under us: they are checked at each use and never assumed stable.
    // A file cut short while mapped raises SIGBUS, which would end hwtrace and
    // not the target. The kernel refuses that for running executables
    // (ETXTBSY); package managers and linkers replace files instead.
    let map = unsafe { Mmap::map(file)? };
    Ok(FileBytes::Mapped(map))
}
