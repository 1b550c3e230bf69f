//! What one subscriber of a register sees of its hits.
//!
//! A register watches up to 8 aligned bytes, and those may belong to several:
//! to members of a structure, to bit-fields, to two watches that overlap. A
//! [`View`] says which bytes are the subscriber's and what they are made of, and
//! makes of each hit the record that the subscriber is to see, or none.

use crate::schema::{AccessKind, ByteRange, HitRecord};

/// A subscriber's part of a register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The register's bytes that are the subscriber's.
    pub window: ByteRange,
    /// Whether values are those of the whole window; else of the one part of it
    /// that was touched.
    pub whole: bool,
    /// What the window is made of, in the order of the bytes. May be empty where
    /// `whole` is set.
    pub parts: Box<[Part]>,
    /// Name of the window, a string handle: for hits of none of the parts.
    pub name: u64,
}

/// A member within a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its first byte, counted from the register's first.
    pub offset: u8,
    /// Its bytes; of a bit-field those that it is stored in.
    pub length: u8,
    /// Which bits of them it is.
    pub bits: Option<Bits>,
    /// Whether it has a sign, which its values then have in all of their bits.
    pub signed: bool,
    /// Whether more of it is in another register: values are then bytes of it.
    pub partial: bool,
    /// Its name, a string handle.
    pub name: u64,
}

/// The bits of a bit-field within the bytes that it is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// The lowest bit, counted from the lowest of the first byte.
    pub low: u8,
    /// Number of bits.
    pub width: u8,
}

impl View {
    /// The view of a subscriber to whom the whole register belongs, of `length`
    /// bytes, by one name.
    pub fn identity(length: u8, name: u64) -> Self {
        let window = ByteRange { start: 0, end: length };
        Self { window, whole: true, parts: Box::default(), name }
    }

    /// Whether the values are those of a register of `length` bytes as a whole.
    pub fn is_identity(&self, length: u32) -> bool {
        let all = self.window.start == 0 && u32::from(self.window.end) == length;
        self.whole && all
    }

    /// The records that the subscriber is to see of one: of a hit at most one, as
    /// [`View::narrow`] makes it; of a change that nobody watched one for each part that
    /// changed, since it may be any number of stores. Of parts that overlap, as those of
    /// unions, the first has it.
    pub fn seen<'v>(&'v self, record: &'v HitRecord) -> impl Iterator<Item = HitRecord> {
        let apart = record.access == AccessKind::Away as u32 && !self.whole;
        let parts = if apart { &*self.parts } else { &[] };
        let none = !parts.iter().any(|part| part.changed(record));
        let one = if none { self.narrow(record) } else { None };
        let mut left = record.old ^ record.new;
        let changed = parts.iter().filter(move |part| {
            let told = left & part.mask();
            left &= !told;
            told != 0
        });
        let named =
            |part: &Part| HitRecord { data_name: part.name, ..part.narrow(record) };
        changed.map(named).chain(one)
    }

    /// The record that the subscriber is to see of a hit: with the values,
    /// address, length and name of its window, or of the part that was touched.
    ///
    /// None where the access touched none of its bytes for certain: the bytes
    /// that the instruction accesses are known, and all are others. A bit-field
    /// shares its bytes with others and is stored by storing all of them, so that
    /// the view of one alone sees only what changes it, or may have; where there are
    /// other parts every access counts.
    ///
    /// The part is the one whose bytes were accessed, as far as they are known;
    /// among several the first that changed, else the first. Which bit-field was
    /// stored to without a change nobody can tell: that has the window's name.
    pub fn narrow(&self, record: &HitRecord) -> Option<HitRecord> {
        let touched = record.touched.overlap(self.window);
        if !record.touched.is_empty() && touched.is_empty() {
            return None;
        }
        let part = self.touched_part(record, touched);
        let named = part.filter(|part| self.parts.len() == 1 || part.tells(record));
        let name = named.map_or(self.name, |part| part.name);
        let narrowed = match part {
            Some(part) if !self.whole => {
                let narrowed = part.narrow(record);
                let same = narrowed.old == narrowed.new && narrowed.doubts == 0;
                match part.bits {
                    Some(_) if same && self.parts.len() == 1 => return None,
                    Some(_) if same => cut(record, self.window),
                    _ => narrowed,
                }
            }
            _ => cut(record, self.window),
        };
        Some(HitRecord { data_name: name, ..narrowed })
    }

    fn touched_part(&self, record: &HitRecord, touched: ByteRange) -> Option<&Part> {
        let meant = |part: &&Part| {
            touched.is_empty() || !part.bytes().overlap(touched).is_empty()
        };
        let of_change = |part: &&Part| part.changed(record);
        let mut parts = self.parts.iter().filter(meant);
        parts.clone().find(of_change).or_else(|| parts.next())
    }
}

impl Part {
    fn bytes(&self) -> ByteRange {
        ByteRange { start: self.offset, end: self.offset.saturating_add(self.length) }
    }

    /// Whether an access is known to be one to it, and not to other bits there.
    fn tells(&self, record: &HitRecord) -> bool {
        self.bits.is_none() || self.changed(record)
    }

    /// Whether its value is another.
    fn changed(&self, record: &HitRecord) -> bool {
        (record.old ^ record.new) & self.mask() != 0
    }

    /// Its bits within the register.
    fn mask(&self) -> u64 {
        let own = match self.bits {
            Some(bits) => up(low_bits(bits.width), bits.low),
            None => low_bits(self.length.saturating_mul(8)),
        };
        up(own, self.offset.saturating_mul(8))
    }

    fn narrow(&self, record: &HitRecord) -> HitRecord {
        let narrowed = cut(record, self.bytes());
        let (old, new) = (self.value(narrowed.old), self.value(narrowed.new));
        HitRecord {
            old,
            new,
            exact: narrowed.exact & u32::from(!self.partial),
            ..narrowed
        }
    }

    /// Its value of the bytes that it is stored in.
    fn value(&self, stored: u64) -> u64 {
        let (low, width) = match self.bits {
            Some(bits) => (bits.low, bits.width),
            None => (0, self.length.saturating_mul(8)),
        };
        let value = down(stored, low) & low_bits(width);
        let sign = up(1, width.wrapping_sub(1));
        let negative = self.signed && !self.partial && value & sign != 0;
        if negative { value | !low_bits(width) } else { value }
    }
}

/// A record of some of the bytes alone.
fn cut(record: &HitRecord, bytes: ByteRange) -> HitRecord {
    let value = |of: u64| {
        down(of, bytes.start.saturating_mul(8))
            & low_bits(bytes.length().saturating_mul(8))
    };
    let told = record.told.overlap(bytes);
    HitRecord {
        data_address: record.data_address.wrapping_add(bytes.start.into()),
        data_length: bytes.length().into(),
        old: value(record.old),
        new: value(record.new),
        exact: (told == bytes && !bytes.is_empty()).into(),
        touched: record.touched.overlap(bytes).counted_from(bytes.start),
        told: told.counted_from(bytes.start),
        ..*record
    }
}

/// The lowest so many bits, at most all of them.
fn low_bits(count: u8) -> u64 {
    1u64.checked_shl(count.into()).map_or(u64::MAX, |bit| bit - 1)
}

fn up(value: u64, bits: u8) -> u64 {
    value.checked_shl(bits.into()).unwrap_or(0)
}

fn down(value: u64, bits: u8) -> u64 {
    value.checked_shr(bits.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
