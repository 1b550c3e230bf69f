//! Frames of words on a socket: how many, and the words.

use std::os::fd::RawFd;

use crate::kernel::{Errno, Kernel, Result};
use crate::ring::as_bytes;

/// More words than any frame has.
const WORDS_MAX: u64 = 1 << 24;

/// Writes a frame.
///
/// # Errors
/// As write(2); EPIPE where nobody reads.
pub(super) fn write(kernel: &dyn Kernel, socket: RawFd, words: &[u64]) -> Result<()> {
    let mut frame = vec![words.len() as u64];
    frame.extend(words);
    let mut left = as_bytes(&frame);
    while !left.is_empty() {
        let written = kernel.write(socket, left)?;
        left = &left[written..];
    }
    Ok(())
}

/// Reads a frame, and waits for it.
///
/// # Errors
/// As read(2); EPIPE where it ends before, EPROTO for what is no frame.
pub(super) fn read(kernel: &dyn Kernel, socket: RawFd) -> Result<Vec<u64>> {
    let mut count = [0; 8];
    read_all(kernel, socket, &mut count)?;
    let count = u64::from_ne_bytes(count);
    if count > WORDS_MAX {
        return Err(Errno::EPROTO);
    }
    let mut bytes = vec![0; count as usize * 8];
    read_all(kernel, socket, &mut bytes)?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok(words.iter().map(|word| u64::from_ne_bytes(*word)).collect())
}

fn read_all(kernel: &dyn Kernel, socket: RawFd, mut bytes: &mut [u8]) -> Result<()> {
    while !bytes.is_empty() {
        match kernel.read(socket, bytes)? {
            0 => return Err(Errno::EPIPE),
            count => bytes = &mut bytes[count..],
        }
    }
    Ok(())
}
