//! The reader's side of a perf ring: where a record lies, there it is read.
//!
//! The kernel writes records from `data_head` on and publishes them by moving
//! it; it never writes over what lies between `data_tail`, which we move, and
//! `data_head` (include/uapi/linux/perf_event.h, `perf_event_mmap_page`;
//! kernel/events/ring_buffer.c). So a record between them can be lent out as
//! a slice until the tail is moved past it. Only a record that wraps round
//! the end of the ring is copied together.

#![allow(unsafe_code, reason = "reads memory that the kernel writes")]

use std::mem::offset_of;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use perf_event_open_sys::bindings::perf_event_mmap_page;

/// Bytes of the longest record: its size is a u16.
const RECORD_BYTES_MAX: usize = 1 << 16;
const WORD: usize = size_of::<u64>();

/// The memory of a ring: a head page, then the data, a power of two of bytes.
///
/// Given out by [`Kernel::map_ring`] and taken back by
/// [`Kernel::unmap_ring`]; it does not unmap itself.
///
/// [`Kernel::map_ring`]: crate::kernel::Kernel::map_ring
/// [`Kernel::unmap_ring`]: crate::kernel::Kernel::unmap_ring
#[derive(Debug)]
pub struct RingMemory {
    base: NonNull<u8>,
    page_bytes: usize,
    data_bytes: usize,
    /// Keeps plain memory alive; None for a mapping.
    _plain: Option<Rc<[AtomicU64]>>,
}

impl RingMemory {
    /// The memory of a mapped ring.
    ///
    /// # Safety
    /// `base` must be a readable and writable mapping of `page_bytes +
    /// data_bytes` bytes of a perf event, not mapped in overwrite mode, and
    /// stay so until the value has gone; `data_bytes` must be a power of two
    /// and at least a page, and nobody else may move the ring's tail.
    pub unsafe fn new(base: NonNull<u8>, page_bytes: usize, data_bytes: usize) -> Self {
        Self { base, page_bytes, data_bytes, _plain: None }
    }

    /// A ring in plain memory and the kernel's side of it, for tests.
    ///
    /// # Panics
    /// Where `data_bytes` is not a power of two or less than 8.
    pub fn plain(page_bytes: usize, data_bytes: usize) -> (Self, PlainWriter) {
        assert!(data_bytes.is_power_of_two() && data_bytes >= WORD);
        let words = (page_bytes + data_bytes) / WORD;
        let memory: Rc<[AtomicU64]> = (0..words).map(|_| AtomicU64::new(0)).collect();
        let base = NonNull::from(&*memory).cast();
        let plain = Some(Rc::clone(&memory));
        let writer = PlainWriter { memory, page_bytes, data_bytes };
        (Self { base, page_bytes, data_bytes, _plain: plain }, writer)
    }

    /// First byte of the mapping.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes of the whole mapping.
    pub fn mapped_bytes(&self) -> usize {
        self.page_bytes + self.data_bytes
    }

    /// Bytes for records.
    pub fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    fn head_page_word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the offset is that of an aligned u64 in the head page,
        // which is mapped as long as self lives; both sides access it as an
        // atomic word.
        unsafe { self.base.add(offset).cast::<AtomicU64>().as_ref() }
    }

    fn head(&self) -> u64 {
        // Acquire: the records before the head are read after it.
        self.head_page_word(offset_of!(perf_event_mmap_page, data_head))
            .load(Ordering::Acquire)
    }

    fn publish_tail(&self, tail: u64) {
        // Release: the kernel may write over the records once it sees this.
        self.head_page_word(offset_of!(perf_event_mmap_page, data_tail))
            .store(tail, Ordering::Release);
    }

    /// The words from `position` on, which may not pass the ring's end.
    ///
    /// # Safety
    /// They must lie between the published tail and the head, and the tail
    /// must not be moved past them while the slice lives.
    unsafe fn words(&self, position: u64, count: usize) -> &[u64] {
        let offset = position as usize & (self.data_bytes - 1);
        assert!(offset.is_multiple_of(WORD) && offset + count * WORD <= self.data_bytes);
        // SAFETY: inside the data by the check above, aligned since pages
        // are; nobody writes there, as the caller promises.
        unsafe {
            let first = self.base.add(self.page_bytes + offset).cast::<u64>();
            std::slice::from_raw_parts(first.as_ptr(), count)
        }
    }
}

/// The kernel's side of a ring in plain memory.
#[derive(Clone, Debug)]
pub struct PlainWriter {
    memory: Rc<[AtomicU64]>,
    page_bytes: usize,
    data_bytes: usize,
}

impl PlainWriter {
    /// Appends a record; false where there is no room for it.
    pub fn push(&self, record: &[u64]) -> bool {
        let head = self.word(offset_of!(perf_event_mmap_page, data_head));
        let tail = self.word(offset_of!(perf_event_mmap_page, data_tail));
        let position = head.load(Ordering::Relaxed);
        let used = position.wrapping_sub(tail.load(Ordering::Acquire)) as usize;
        // As the kernel does, one byte always stays free.
        if used + record.len() * WORD >= self.data_bytes {
            return false;
        }
        for (index, word) in record.iter().enumerate() {
            let offset = (position as usize + index * WORD) & (self.data_bytes - 1);
            self.word(self.page_bytes + offset).store(*word, Ordering::Relaxed);
        }
        head.store(position + (record.len() * WORD) as u64, Ordering::Release);
        true
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        &self.memory[offset / WORD]
    }
}

/// Where the first unread record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    None,
    InPlace { words: usize },
    Scratch { words: usize },
}

/// A record's header announced a size that can not be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a perf record at {position} announces {bytes} bytes of {available}")]
pub struct BadRecord {
    /// Where in the ring's stream.
    pub position: u64,
    /// What its header says.
    pub bytes: usize,
    /// What there is.
    pub available: u64,
}

/// One reader of a ring: look at the front, then move past it.
#[derive(Debug)]
pub struct Ring {
    memory: RingMemory,
    /// End of what was published when last looked.
    head: u64,
    /// First unread record.
    tail: u64,
    /// What the kernel knows of the tail; never more than `tail`.
    published: u64,
    front: Front,
    scratch: Box<[u64]>,
}

impl Ring {
    /// A reader at the ring's present tail.
    pub fn new(memory: RingMemory) -> Self {
        let tail = memory
            .head_page_word(offset_of!(perf_event_mmap_page, data_tail))
            .load(Ordering::Relaxed);
        let scratch = vec![0; RECORD_BYTES_MAX / WORD].into_boxed_slice();
        let front = Front::None;
        Self { memory, head: tail, tail, published: tail, front, scratch }
    }

    /// Looks how far the kernel has come. Records published later stay out of
    /// sight until the next call.
    ///
    /// # Errors
    /// [`BadRecord`] where the first record makes no sense; all that was
    /// there is skipped then.
    pub fn refresh(&mut self) -> Result<(), BadRecord> {
        self.head = self.memory.head();
        self.load()
    }

    /// The first unread record, its header included.
    pub fn front(&self) -> Option<&[u64]> {
        match self.front {
            Front::None => None,
            Front::InPlace { words } => {
                // SAFETY: `load` has seen these words before the head and
                // not past the end; the tail moves by `&mut self` only.
                Some(unsafe { self.memory.words(self.tail, words) })
            }
            Front::Scratch { words } => self.scratch.get(..words),
        }
    }

    /// Moves past the first record. The room is given back to the kernel now
    /// and then, and by [`Ring::publish`]: each time costs the CPU that
    /// writes a cache miss.
    ///
    /// # Errors
    /// As [`Ring::refresh`], for the next record.
    pub fn advance(&mut self) -> Result<(), BadRecord> {
        let words = match self.front {
            Front::None => return Ok(()),
            Front::InPlace { words } | Front::Scratch { words } => words,
        };
        self.tail += (words * WORD) as u64;
        if self.tail - self.published >= (self.memory.data_bytes / 16) as u64 {
            self.publish();
        }
        self.load()
    }

    /// Gives the room of all records passed back to the kernel.
    pub fn publish(&mut self) {
        if self.published != self.tail {
            self.published = self.tail;
            self.memory.publish_tail(self.tail);
        }
    }

    /// Bytes that wait to be read, of those seen by [`Ring::refresh`].
    pub fn unread_bytes(&self) -> u64 {
        self.head - self.tail
    }

    /// Bytes the ring holds.
    pub fn data_bytes(&self) -> usize {
        self.memory.data_bytes
    }

    /// The memory, to unmap it.
    pub fn into_memory(self) -> RingMemory {
        self.memory
    }

    /// Finds the record at the tail.
    fn load(&mut self) -> Result<(), BadRecord> {
        self.front = Front::None;
        let available = self.head.wrapping_sub(self.tail);
        if available == 0 {
            return Ok(());
        }
        let sane = available <= self.memory.data_bytes as u64
            && available.is_multiple_of(WORD as u64)
            && self.tail.is_multiple_of(WORD as u64);
        // SAFETY: at least one whole word lies before the head, and a word
        // does not wrap.
        let bytes = match sane.then(|| unsafe { self.memory.words(self.tail, 1) }) {
            Some(&[header]) => usize::from(header_size(header)),
            _ => 0,
        };
        if bytes < WORD || !bytes.is_multiple_of(WORD) || bytes as u64 > available {
            let position = self.tail;
            self.tail = self.head;
            self.publish();
            return Err(BadRecord { position, bytes, available });
        }
        self.front = self.place(bytes / WORD);
        Ok(())
    }

    /// Copies the record at the tail together if it wraps.
    fn place(&mut self, words: usize) -> Front {
        let offset = self.tail as usize & (self.memory.data_bytes - 1);
        let before_end = (self.memory.data_bytes - offset) / WORD;
        if words <= before_end {
            return Front::InPlace { words };
        }
        // SAFETY: both parts lie before the head (checked by the caller) and
        // inside the ring, the second at its start.
        let (first, second) = unsafe {
            let rest_at = self.tail + (before_end * WORD) as u64;
            (
                self.memory.words(self.tail, before_end),
                self.memory.words(rest_at, words - before_end),
            )
        };
        self.scratch[..before_end].copy_from_slice(first);
        self.scratch[before_end..words].copy_from_slice(second);
        Front::Scratch { words }
    }
}

/// The size field of a record's first word: type u32, misc u16, size u16.
fn header_size(header: u64) -> u16 {
    let bytes = header.to_ne_bytes();
    u16::from_ne_bytes([bytes[6], bytes[7]])
}

/// The same memory as bytes.
pub fn as_bytes(words: &[u64]) -> &[u8] {
    // SAFETY: every byte of a u64 is a valid u8, the length is the same
    // memory's, and the result borrows it.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(words: usize, value: u64) -> Vec<u64> {
        let mut header = [0; 8];
        header[6..].copy_from_slice(&((words * WORD) as u16).to_ne_bytes());
        let mut record = vec![value; words];
        record[0] = u64::from_ne_bytes(header);
        record
    }

    fn ring(data_bytes: usize) -> (Ring, PlainWriter) {
        let (memory, writer) = RingMemory::plain(4096, data_bytes);
        (Ring::new(memory), writer)
    }

    #[test]
    fn records_come_back_whole_across_many_wraps() {
        let (mut ring, writer) = ring(4096);
        for value in 0..10_000u64 {
            let words = 1 + (value * 7 % 23) as usize;
            assert!(writer.push(&record(words, value)));
            ring.refresh().expect("good record");
            let front = ring.front().expect("a record");
            assert_eq!(front[1..], record(words, value)[1..]);
            ring.advance().expect("good record");
            assert_eq!(ring.front(), None);
            ring.publish();
        }
    }

    #[test]
    fn room_comes_back_only_when_published() {
        let (mut ring, writer) = ring(64);
        assert!(writer.push(&record(4, 1)));
        assert!(!writer.push(&record(4, 2)));
        ring.refresh().expect("good record");
        ring.advance().expect("good record");
        assert!(writer.push(&record(4, 2)));
    }

    #[test]
    fn what_comes_after_a_refresh_waits_for_the_next() {
        let (mut ring, writer) = ring(4096);
        writer.push(&record(2, 1));
        ring.refresh().expect("good record");
        writer.push(&record(2, 2));
        ring.advance().expect("good record");
        assert_eq!(ring.front(), None);
        ring.refresh().expect("good record");
        assert_eq!(ring.front().map(|words| words[1]), Some(2));
    }

    #[test]
    fn a_record_of_no_size_is_an_error_and_not_a_loop() {
        let (mut ring, writer) = ring(4096);
        writer.push(&[0, 0, 0]);
        let error = ring.refresh().expect_err("bad record");
        assert_eq!(error, BadRecord { position: 0, bytes: 0, available: 24 });
        assert_eq!(ring.refresh(), Ok(()));
        assert_eq!(ring.front(), None);
    }
}
