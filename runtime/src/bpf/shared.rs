//! Memory that BPF programs share with us: the one element of an array, and the
//! records of a ring.
//!
//! A ring (kernel/bpf/ringbuf.c) has two positions, each on a page of its own: up
//! to where we have read, which we write, and up to where room was taken, which
//! the kernel writes. Behind them its data is mapped twice, so that no record is
//! cut. A record begins with a word: its length in the lower half, with a bit that
//! says that it is still being written, and one that it counts for nothing.

#![allow(unsafe_code, reason = "reads memory that the kernel writes")]

use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ring::BadRecord;

const WORD: usize = size_of::<u64>();
/// `BPF_RINGBUF_BUSY_BIT`
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`
const DISCARDED: u32 = 1 << 30;

/// Memory in words, each of which anybody may change at any time. It does not unmap
/// itself.
#[derive(Debug)]
pub struct Shared {
    base: NonNull<u8>,
    bytes: usize,
    /// Keeps plain memory alive; None for a mapping.
    plain: Option<Rc<[AtomicU64]>>,
}

impl Shared {
    /// The memory of a mapping.
    ///
    /// # Safety
    /// `base` must be a readable mapping of `bytes` bytes, at an address that is a
    /// multiple of 8, and stay so until the value has gone; what is stored to must
    /// be writable.
    pub unsafe fn new(base: NonNull<u8>, bytes: usize) -> Self {
        Self { base, bytes, plain: None }
    }

    /// Plain memory, for tests.
    pub fn plain(bytes: usize) -> Self {
        let memory: Rc<[AtomicU64]> =
            (0..bytes.div_ceil(WORD)).map(|_| AtomicU64::new(0)).collect();
        let base = NonNull::from(&*memory).cast();
        Self { base, bytes, plain: Some(memory) }
    }

    /// The same plain memory once more.
    fn twin(&self) -> Self {
        Self { base: self.base, bytes: self.bytes, plain: self.plain.clone() }
    }

    /// First byte.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// How many there are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The word at an offset in bytes, a multiple of 8.
    ///
    /// # Panics
    /// Where there is none.
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(WORD) && offset + WORD <= self.bytes);
        // SAFETY: inside the memory and aligned, by the check above; all sides
        // access it as an atomic word.
        unsafe { self.base.add(offset).cast::<AtomicU64>().as_ref() }
    }

    /// Words that nobody changes.
    ///
    /// # Safety
    /// Nobody may change them while the slice lives.
    unsafe fn words(&self, offset: usize, count: usize) -> &[u64] {
        let end = count.checked_mul(WORD).and_then(|bytes| bytes.checked_add(offset));
        assert!(offset.is_multiple_of(WORD) && end.is_some_and(|end| end <= self.bytes));
        // SAFETY: inside the memory and aligned, by the check above; nobody writes
        // there, as the caller promises.
        unsafe {
            let first = self.base.add(offset).cast::<u64>();
            std::slice::from_raw_parts(first.as_ptr(), count)
        }
    }
}

/// The memory of a ring.
#[derive(Debug)]
pub struct RecordsMemory {
    /// Up to where we have read.
    ours: Shared,
    /// Up to where room was taken, and from the next page on the data.
    theirs: Shared,
    page_bytes: usize,
    data_bytes: usize,
}

impl RecordsMemory {
    /// Of its two mappings: our page; the kernel's, and the data twice.
    ///
    /// # Panics
    /// Where the data are no power of two of bytes, or not all there.
    pub fn new(
        ours: Shared,
        theirs: Shared,
        page_bytes: usize,
        data_bytes: usize,
    ) -> Self {
        assert!(data_bytes.is_power_of_two() && data_bytes >= WORD);
        assert!(theirs.bytes() >= page_bytes + 2 * data_bytes);
        Self { ours, theirs, page_bytes, data_bytes }
    }

    /// Both mappings.
    pub fn into_parts(self) -> [Shared; 2] {
        [self.ours, self.theirs]
    }

    /// A ring in plain memory and the kernel's side of it, for tests.
    ///
    /// # Panics
    /// As [`RecordsMemory::new`].
    pub fn plain(page_bytes: usize, data_bytes: usize) -> (Self, RecordsWriter) {
        let ours = Shared::plain(page_bytes);
        let theirs = Shared::plain(page_bytes + 2 * data_bytes);
        let (ours_too, theirs_too) = (ours.twin(), theirs.twin());
        let memory = Self::new(ours, theirs, page_bytes, data_bytes);
        let twin = Self::new(ours_too, theirs_too, page_bytes, data_bytes);
        (memory, RecordsWriter { memory: twin })
    }

    fn offset(&self, position: u64) -> usize {
        self.page_bytes + (position as usize & (self.data_bytes - 1))
    }
}

/// The kernel's side of a ring in plain memory.
#[derive(Debug)]
pub struct RecordsWriter {
    memory: RecordsMemory,
}

impl RecordsWriter {
    /// Takes room for a record and fills it; none where there is none. It is to be
    /// [finished](RecordsWriter::finish), at the position that this gives.
    pub fn reserve(&self, record: &[u64]) -> Option<u64> {
        let RecordsMemory { ours, theirs, data_bytes, .. } = &self.memory;
        let position = theirs.word(0).load(Ordering::Relaxed);
        let end = position + ((record.len() + 1) * WORD) as u64;
        if end - ours.word(0).load(Ordering::Acquire) > *data_bytes as u64 {
            return None;
        }
        let header = u64::from(BUSY | (record.len() * WORD) as u32);
        for (index, word) in std::iter::once(&header).chain(record).enumerate() {
            let at = self.memory.offset(position + (index * WORD) as u64);
            // Twice, as the kernel maps it.
            theirs.word(at).store(*word, Ordering::Relaxed);
            theirs.word(at + data_bytes).store(*word, Ordering::Relaxed);
        }
        theirs.word(0).store(end, Ordering::Release);
        Some(position)
    }

    /// The record at this position is whole, or counts for nothing.
    pub fn finish(&self, position: u64, discard: bool) {
        let at = self.memory.offset(position);
        for at in [at, at + self.memory.data_bytes] {
            let header = self.memory.theirs.word(at);
            let length = header.load(Ordering::Relaxed) as u32 & !BUSY;
            let discarded = if discard { DISCARDED } else { 0 };
            header.store(u64::from(length | discarded), Ordering::Release);
        }
    }

    /// Appends a record; false where there is no room for it.
    pub fn push(&self, record: &[u64]) -> bool {
        let position = self.reserve(record);
        position.inspect(|position| self.finish(*position, false)).is_some()
    }
}

/// One reader of a ring: look at the front, then move past it.
#[derive(Debug)]
pub struct Records {
    memory: RecordsMemory,
    /// End of the room that was taken when last looked.
    head: u64,
    /// First unread record.
    tail: u64,
    /// What the kernel knows of the tail; never more than `tail`.
    published: u64,
    /// Words of the record at the tail; None where there is none that is whole.
    front: Option<usize>,
}

impl Records {
    /// A reader at the ring's present tail.
    pub fn new(memory: RecordsMemory) -> Self {
        let tail = memory.ours.word(0).load(Ordering::Relaxed);
        Self { memory, head: tail, tail, published: tail, front: None }
    }

    /// Looks how far the kernel has come. Records whose room is taken later stay out
    /// of sight until the next call.
    ///
    /// # Errors
    /// [`BadRecord`] where the first record makes no sense; all that was there is
    /// skipped then.
    pub fn refresh(&mut self) -> Result<(), BadRecord> {
        self.head = self.memory.theirs.word(0).load(Ordering::Acquire);
        self.load()
    }

    /// The first unread record, without its header.
    pub fn front(&self) -> Option<&[u64]> {
        let at = self.memory.offset(self.tail) + WORD;
        // SAFETY: `load` has seen that the record is whole and lies before the head;
        // its room is given back by `&mut self` only.
        self.front.map(|words| unsafe { self.memory.theirs.words(at, words) })
    }

    /// Moves past the first record; its room is given back now and then, and by
    /// [`Records::publish`].
    ///
    /// # Errors
    /// As [`Records::refresh`], for the next record.
    pub fn advance(&mut self) -> Result<(), BadRecord> {
        let Some(words) = self.front else { return Ok(()) };
        self.tail += ((words + 1) * WORD) as u64;
        if self.tail - self.published >= (self.memory.data_bytes / 16) as u64 {
            self.publish();
        }
        self.load()
    }

    /// Gives the room of all records passed back to the kernel.
    pub fn publish(&mut self) {
        if self.published != self.tail {
            self.published = self.tail;
            // Release: the kernel may write over the records once it sees this.
            self.memory.ours.word(0).store(self.tail, Ordering::Release);
        }
    }

    /// Bytes that wait to be read, of those seen by [`Records::refresh`].
    pub fn unread_bytes(&self) -> u64 {
        self.head - self.tail
    }

    /// Bytes the ring holds.
    pub fn data_bytes(&self) -> usize {
        self.memory.data_bytes
    }

    /// The memory, to unmap it.
    pub fn into_memory(self) -> RecordsMemory {
        self.memory
    }

    /// Finds the first record from the tail on that counts; none where it is still
    /// being written.
    fn load(&mut self) -> Result<(), BadRecord> {
        self.front = None;
        while self.head != self.tail {
            let available = self.head.wrapping_sub(self.tail);
            let sane = available <= self.memory.data_bytes as u64
                && self.tail.is_multiple_of(WORD as u64);
            let at = self.memory.offset(self.tail);
            // Acquire: what it holds is read after it.
            let header = match sane {
                true => self.memory.theirs.word(at).load(Ordering::Acquire) as u32,
                false => 0,
            };
            if header & BUSY != 0 {
                return Ok(());
            }
            let bytes = (header & !DISCARDED) as usize;
            let room = bytes.div_ceil(WORD) * WORD + WORD;
            if !sane || room as u64 > available {
                let position = self.tail;
                self.tail = self.head;
                self.publish();
                return Err(BadRecord { position, bytes, available });
            }
            if header & DISCARDED == 0 {
                self.front = Some(room / WORD - 1);
                return Ok(());
            }
            self.tail += room as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(data_bytes: usize) -> (Records, RecordsWriter) {
        let (memory, writer) = RecordsMemory::plain(4096, data_bytes);
        (Records::new(memory), writer)
    }

    #[test]
    fn records_come_back_whole_across_many_wraps() {
        let (mut ring, writer) = ring(256);
        for value in 0..10_000u64 {
            let record = vec![value; 1 + (value * 7 % 23) as usize];
            assert!(writer.push(&record));
            ring.refresh().expect("good record");
            assert_eq!(ring.front(), Some(record.as_slice()));
            ring.advance().expect("good record");
            assert_eq!(ring.front(), None);
            ring.publish();
        }
    }

    #[test]
    fn what_is_still_written_holds_up_what_follows() {
        let (mut ring, writer) = ring(256);
        let first = writer.reserve(&[1]).expect("room");
        assert!(writer.push(&[2]));
        ring.refresh().expect("good record");
        assert_eq!((ring.front(), ring.unread_bytes()), (None, 32));
        writer.finish(first, false);
        ring.refresh().expect("good record");
        assert_eq!(ring.front(), Some(&[1][..]));
        ring.advance().expect("good record");
        assert_eq!(ring.front(), Some(&[2][..]));
    }

    #[test]
    fn what_was_discarded_is_passed_over() {
        let (mut ring, writer) = ring(256);
        for value in 0..3 {
            let position = writer.reserve(&[value]).expect("room");
            writer.finish(position, value != 1);
        }
        ring.refresh().expect("good record");
        assert_eq!(ring.front(), Some(&[1][..]));
        ring.advance().expect("good record");
        assert_eq!((ring.front(), ring.unread_bytes()), (None, 0));
    }

    #[test]
    fn room_comes_back_only_when_published() {
        let (mut ring, writer) = ring(64);
        assert!(writer.push(&[1; 7]));
        assert!(!writer.push(&[2]));
        ring.refresh().expect("good record");
        ring.advance().expect("good record");
        assert!(writer.push(&[2]), "a sixteenth was passed");
    }

    #[test]
    fn a_record_longer_than_what_there_is_is_an_error_and_not_a_loop() {
        let (mut ring, writer) = ring(256);
        assert!(writer.push(&[7]));
        let header = writer.memory.theirs.word(4096);
        header.store(40, Ordering::Relaxed);
        let error = ring.refresh().expect_err("bad record");
        assert_eq!(error, BadRecord { position: 0, bytes: 40, available: 16 });
        assert_eq!(ring.refresh(), Ok(()));
        assert_eq!(ring.front(), None);
    }
}
