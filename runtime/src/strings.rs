//! Strings of handlers: interned ones that stay, temporary ones that live for
//! one run of a handler.
//!
//! A handler holds a string as one word. What is interned is compared and
//! hashed by its number, so that `n[execname()]++` touches no text at all.

use std::ops::Range;

use foldhash::fast::RandomState;
use indexmap::IndexSet;

use crate::abi::FaultCode;

/// A string as a handler holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StringHandle(pub u64);

/// Set in handles of temporary strings.
const TEMPORARY: u64 = 1 << 63;
/// Bytes of temporary text a handler may make in one run.
const ARENA_BYTES_MAX: usize = 16 << 20;
/// Bytes that an interned string takes besides its text: measured with short
/// ones, allocation and hash table together.
const INTERNED_OVERHEAD: usize = 150;
/// Bytes of interned text with that.
const INTERNED_BYTES_MAX: usize = 256 << 20;

impl StringHandle {
    /// The empty string, interned as the first.
    pub const EMPTY: Self = Self(0);

    fn temporary(offset: usize, length: usize) -> Self {
        Self(TEMPORARY | (offset as u64) << 31 | length as u64)
    }

    fn is_temporary(self) -> bool {
        self.0 & TEMPORARY != 0
    }
}

/// All strings that handlers can hold.
#[derive(Debug)]
pub struct Strings {
    interned: IndexSet<Box<[u8]>, RandomState>,
    interned_bytes: usize,
    arena: Vec<u8>,
    length_max: usize,
    truncated: u64,
}

impl Strings {
    /// No strings but the empty one; longer ones than `length_max` bytes are
    /// cut.
    pub fn new(length_max: usize) -> Self {
        let mut interned = IndexSet::with_hasher(RandomState::default());
        interned.insert(Box::default());
        Self { interned, interned_bytes: 0, arena: Vec::new(), length_max, truncated: 0 }
    }

    /// Forgets the temporary strings: a new run of a handler begins.
    pub fn reset(&mut self) {
        self.arena.clear();
    }

    /// Bytes that a string may have.
    pub fn length_max(&self) -> usize {
        self.length_max
    }

    /// How many strings were cut.
    pub fn truncated(&self) -> u64 {
        self.truncated
    }

    /// The text behind a handle.
    pub fn get(&self, handle: StringHandle) -> &[u8] {
        if handle.is_temporary() {
            let offset = (handle.0 >> 31) as u32 as usize;
            let length = (handle.0 & 0x7fff_ffff) as usize;
            return self.arena.get(offset..offset + length).unwrap_or_default();
        }
        self.interned.get_index(handle.0 as usize).map_or(&[], |text| text)
    }

    /// A handle for `text` that stays valid for the session.
    ///
    /// # Errors
    /// [`FaultCode::TooManyStrings`] where the bound on kept text is reached.
    pub fn intern(&mut self, text: &[u8]) -> Result<StringHandle, FaultCode> {
        if let Some(index) = self.interned.get_index_of(text) {
            return Ok(StringHandle(index as u64));
        }
        let bytes = text.len() + INTERNED_OVERHEAD;
        if self.interned_bytes + bytes > INTERNED_BYTES_MAX {
            return Err(FaultCode::TooManyStrings);
        }
        self.interned_bytes += bytes;
        let (index, _) = self.interned.insert_full(text.into());
        Ok(StringHandle(index as u64))
    }

    /// The interned handle of the same text: what arrays use as a key.
    ///
    /// # Errors
    /// As [`Strings::intern`].
    pub fn keep(&mut self, handle: StringHandle) -> Result<StringHandle, FaultCode> {
        match self.known(handle) {
            Some(known) => Ok(known),
            None => {
                let text = self.get(handle).to_vec();
                self.intern(&text)
            }
        }
    }

    /// The interned handle of the same text if there is one: for look-ups,
    /// which need not keep text that no key has.
    pub fn known(&self, handle: StringHandle) -> Option<StringHandle> {
        if !handle.is_temporary() {
            return Some(handle);
        }
        let index = self.interned.get_index_of(self.get(handle))?;
        Some(StringHandle(index as u64))
    }

    /// A temporary string with this text.
    ///
    /// # Errors
    /// [`FaultCode::ArenaFull`] where this run of the handler made too much.
    pub fn temporary(&mut self, text: &[u8]) -> Result<StringHandle, FaultCode> {
        let start = self.arena.len();
        self.arena.extend_from_slice(text);
        self.finish(start)
    }

    /// `left` and `right` as one temporary string.
    ///
    /// # Errors
    /// As [`Strings::temporary`].
    pub fn concat(
        &mut self,
        left: StringHandle,
        right: StringHandle,
    ) -> Result<StringHandle, FaultCode> {
        let start = self.arena.len();
        for part in [left, right] {
            if part.is_temporary() {
                let offset = (part.0 >> 31) as u32 as usize;
                let length = (part.0 & 0x7fff_ffff) as usize;
                self.arena.extend_from_within(offset..offset + length);
            } else if let Some(text) = self.interned.get_index(part.0 as usize) {
                self.arena.extend_from_slice(text);
            }
        }
        self.finish(start)
    }

    /// The bytes of `whole` at `range` as a temporary string; what lies
    /// outside is left out.
    ///
    /// # Errors
    /// As [`Strings::temporary`].
    pub fn part(
        &mut self,
        whole: StringHandle,
        range: Range<usize>,
    ) -> Result<StringHandle, FaultCode> {
        let length = self.get(whole).len();
        let range = range.start.min(length)..range.end.min(length);
        if whole.is_temporary() {
            // No copy: the text stays where it is until the run ends.
            let offset = (whole.0 >> 31) as u32 as usize;
            let length = range.end.saturating_sub(range.start);
            return Ok(StringHandle::temporary(offset + range.start, length));
        }
        let start = self.arena.len();
        if let Some(text) = self.interned.get_index(whole.0 as usize) {
            self.arena.extend_from_slice(text.get(range).unwrap_or_default());
        }
        self.finish(start)
    }

    /// The order of two strings, by bytes.
    pub fn compare(&self, left: StringHandle, right: StringHandle) -> std::cmp::Ordering {
        if left == right {
            return std::cmp::Ordering::Equal;
        }
        self.get(left).cmp(self.get(right))
    }

    fn finish(&mut self, start: usize) -> Result<StringHandle, FaultCode> {
        if self.arena.len() - start > self.length_max {
            self.arena.truncate(start + self.length_max);
            self.truncated += 1;
        }
        if self.arena.len() > ARENA_BYTES_MAX {
            self.arena.truncate(start);
            return Err(FaultCode::ArenaFull);
        }
        Ok(StringHandle::temporary(start, self.arena.len() - start))
    }
}
