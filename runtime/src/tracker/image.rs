//! Objects that are wider than a register, put together of several.

use super::Tracker;
use crate::schema::{ByteRange, HitRecord};

/// A part of an object: bytes of one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The register's watch, by number.
    pub watch: u32,
    /// Which of its bytes are the object's.
    pub window: ByteRange,
}

impl Tracker {
    /// The bytes of an object as they were after the hit of `record`, or with
    /// `old` before it: those of its pieces, one after the other, as far as `out`
    /// reaches. Says whether all of them are known; those that are not are zero.
    ///
    /// To be asked with the record that [`Tracker::complete`] gave, before it
    /// completes another.
    pub fn image(
        &self,
        record: &HitRecord,
        pieces: &[Piece],
        old: bool,
        mut out: &mut [u8],
    ) -> bool {
        let mut known = true;
        for piece in pieces {
            let value = match (piece.watch == record.watch, old) {
                (true, true) => Some(record.old),
                (true, false) => Some(record.new),
                (false, _) => self.last_value(record, piece.watch as usize),
            };
            known &= value.is_some();
            let bytes = value.unwrap_or(0).to_le_bytes();
            let bytes = bytes.get(piece.window.as_range()).unwrap_or_default();
            let Some((to, rest)) = out.split_at_mut_checked(bytes.len()) else {
                return known;
            };
            to.copy_from_slice(bytes);
            out = rest;
        }
        known
    }

    /// What the thread of a hit last had at another watch.
    fn last_value(&self, record: &HitRecord, watch: usize) -> Option<u64> {
        if self.watches.get(watch)?.is_kernel() {
            return self.kernel.get(watch)?.shadow().map(|shadow| shadow.value);
        }
        let mut own = self.own.get(&record.tid).into_iter().flatten();
        let slot = match own.find(|own| own.watch == watch) {
            Some(own) => &own.slot,
            None => self.processes.get(&record.pid)?.slots.get(watch)?,
        };
        slot.shadow().map(|shadow| shadow.value)
    }
}
