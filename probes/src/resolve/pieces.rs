//! What registers watch of an object, and which members each of them sees.

use std::ops::Range;

use super::members::written;
use crate::address::AbsAddr;
use crate::types::{Bits, Member, NESTING_MAX, Record, Type, TypeId, Types, unwrapped};

/// What one register watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its first address, a multiple of its length.
    pub address: AbsAddr,
    /// Its length: 1, 2, 4 or 8 bytes.
    pub length: u32,
    /// Which of its bytes are the object's.
    pub window: Range<u32>,
    /// The members that are in it, in their order.
    pub parts: Vec<Part>,
}

/// A scalar member, or as much of it as is in a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins, in bytes from the piece's start.
    pub offset: u32,
    /// Its bytes in the piece.
    pub length: u32,
    /// Of a bit-field: which bits, from the lowest at its offset.
    pub bits: Option<Bits>,
    /// Whether it can be negative.
    pub signed: bool,
    /// What to write to name it: `cfg.limits[2].max`.
    pub name: String,
    /// Its type.
    pub ty: Option<TypeId>,
}

/// More members of an object are not named one by one.
const MAX_LEAVES: usize = 4096;

/// The bytes of the widest bit-field: 64 bits that begin within a byte.
pub(super) const MAX_BIT_FIELD: u32 = 9;

/// The greatest length of a register.
const REGISTER: u64 = 8;

/// How many registers an object needs.
pub(super) fn count(address: AbsAddr, size: u64) -> u64 {
    let end = address.0.saturating_add(size).div_ceil(REGISTER);
    end.saturating_sub(address.0 / REGISTER)
}

/// Covers `size` bytes with as few registers as possible: one for all in the same 8
/// aligned bytes, as short as it can be.
pub(super) fn cover(address: AbsAddr, size: u64) -> Vec<Piece> {
    let end = address.0.saturating_add(size);
    let mut pieces = Vec::new();
    let mut from = address.0;
    while from < end {
        let block = from & !(REGISTER - 1);
        let to = end.min(block.saturating_add(REGISTER));
        let lengths = [1, 2, 4, REGISTER].into_iter();
        let reaches = |length: &u64| (from & !(length - 1)).saturating_add(*length) >= to;
        let mut fitting = lengths.filter(reaches);
        let length = fitting.next().unwrap_or(REGISTER);
        let start = from & !(length - 1);
        pieces.push(Piece {
            address: AbsAddr(start),
            length: length as u32,
            window: (from - start) as u32..(to - start) as u32,
            parts: Vec::new(),
        });
        if to == end {
            break;
        }
        from = to;
    }
    pieces
}

/// A scalar of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Where it begins in the object.
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) bits: Option<Bits>,
    pub(super) signed: bool,
    pub(super) name: String,
    pub(super) ty: Option<TypeId>,
}

/// Gives each piece of an object at `address` the scalars that are in it.
pub(super) fn distribute(pieces: &mut [Piece], address: AbsAddr, leaves: &[Leaf]) {
    for piece in pieces {
        let own = piece.address.0 + u64::from(piece.window.start)
            ..piece.address.0 + u64::from(piece.window.end);
        piece.parts = leaves
            .iter()
            .filter_map(|leaf| {
                let start = address.0.checked_add(leaf.offset)?;
                let from = start.max(own.start);
                let to = start.saturating_add(leaf.length).min(own.end);
                (from < to).then(|| Part {
                    offset: (from - piece.address.0) as u32,
                    length: (to - from) as u32,
                    bits: leaf.bits,
                    signed: leaf.signed,
                    name: leaf.name.clone(),
                    ty: leaf.ty,
                })
            })
            .collect();
    }
}

/// Names of an object: as one word, and with what comes before its members.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) whole: String,
    pub(super) before_member: String,
}

impl Names {
    pub(super) fn of(whole: String) -> Self {
        Names { before_member: format!("{whole}."), whole }
    }
}

/// All scalars of an object: of unions each side's, of Rust enums each variant's.
pub(super) fn leaves(types: &dyn Types, ty: TypeId, names: &Names) -> Vec<Leaf> {
    let mut walk = Leaves { types, found: Vec::new() };
    walk.visit(ty, 0, names, NESTING_MAX);
    walk.found
}

/// Is what a type holds negative at times?
pub(super) fn is_signed(types: &dyn Types, ty: TypeId) -> bool {
    match &*types.plain(ty).1 {
        Type::Integer { signed, .. } | Type::Char { signed, .. } => *signed,
        Type::Enumeration(enumeration) => enumeration.signed,
        _ => false,
    }
}

/// The bytes of a bit-field, and its bits in them.
pub(super) fn storage(offset: u64, bits: Bits) -> (u64, u64, Bits) {
    let first = u64::from(bits.offset / 8);
    let bits = Bits { offset: bits.offset % 8, width: bits.width };
    let length = u64::from((bits.offset.saturating_add(bits.width)).div_ceil(8));
    (offset.saturating_add(first), length, bits)
}

struct Leaves<'a> {
    types: &'a dyn Types,
    found: Vec<Leaf>,
}

impl Leaves<'_> {
    fn visit(&mut self, ty: TypeId, offset: u64, names: &Names, depth: u32) {
        let Some(depth) = depth.checked_sub(1) else { return };
        if self.found.len() >= MAX_LEAVES {
            return;
        }
        // Nobody has written the names that are in wrappers.
        let ty = unwrapped(self.types, ty);
        match &*self.types.get(ty) {
            Type::Record(record) if !record.declared => {
                self.record(record, offset, names, depth);
            }
            Type::Array { of, length: Some(length) } => {
                self.array(*of, *length, offset, names, depth);
            }
            _ => {
                let length = self.types.size(ty).unwrap_or(0);
                self.leaf(ty, offset, length, None, names.whole.clone());
            }
        }
    }

    fn leaf(
        &mut self,
        ty: TypeId,
        offset: u64,
        length: u64,
        bits: Option<Bits>,
        name: String,
    ) {
        if length > 0 && self.found.len() < MAX_LEAVES {
            let signed = is_signed(self.types, ty);
            self.found.push(Leaf { offset, length, bits, signed, name, ty: Some(ty) });
        }
    }

    fn array(&mut self, of: TypeId, length: u64, offset: u64, names: &Names, depth: u32) {
        let Some(size) = self.types.size(of).filter(|&size| size > 0) else { return };
        for index in 0..length.min(MAX_LEAVES as u64) {
            let Some(offset) =
                index.checked_mul(size).and_then(|it| it.checked_add(offset))
            else {
                return;
            };
            let names = Names::of(format!("{}[{index}]", names.whole));
            self.visit(of, offset, &names, depth);
        }
    }

    fn record(&mut self, record: &Record, offset: u64, names: &Names, depth: u32) {
        for member in &record.members {
            self.member(member, offset, names, depth);
        }
        let Some(variants) = &record.variants else { return };
        if let Some(discriminant) = &variants.discriminant {
            // It says what the whole is.
            let at = offset.saturating_add(discriminant.offset);
            self.visit(discriminant.ty, at, names, depth);
        }
        for variant in &variants.all {
            let at = offset.saturating_add(variant.fields.offset);
            let names = Names::of(format!("{}{}", names.before_member, variant.name));
            self.visit(variant.fields.ty, at, &names, depth);
        }
    }

    fn member(&mut self, member: &Member, offset: u64, names: &Names, depth: u32) {
        let at = offset.saturating_add(member.offset);
        let inner = match &member.name {
            Some(name) => Names::of(format!("{}{}", names.before_member, written(name))),
            None => names.clone(),
        };
        match member.bits {
            Some(bits) => {
                let (at, length, bits) = storage(at, bits);
                self.leaf(member.ty, at, length, Some(bits), inner.whole);
            }
            None => self.visit(member.ty, at, &inner, depth),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [u64; 4] = [1, 2, 4, REGISTER];

    /// The fewest registers that cover all bytes of a range: the first byte is in one of
    /// some length, and what that leaves is covered likewise.
    fn fewest(from: u64, to: u64, known: &mut [Option<u64>]) -> u64 {
        if from >= to {
            return 0;
        }
        if let Some(known) = known[from as usize] {
            return known;
        }
        let ends = LENGTHS.map(|length| (from / length + 1) * length);
        let fewest = ends.map(|end| 1 + fewest(end, to, known)).into_iter().min();
        known[from as usize] = fewest;
        fewest.unwrap_or(0)
    }

    #[test]
    fn every_range_takes_the_fewest_registers() {
        for start in 0..64 {
            for size in 1..=64 {
                let (end, pieces) = (start + size, cover(AbsAddr(start), size));
                let mut known = vec![None; end as usize];
                assert_eq!(pieces.len() as u64, fewest(start, end, &mut known));
                assert_eq!(count(AbsAddr(start), size), pieces.len() as u64);
                let mut next = start;
                for Piece { address, length, window, .. } in pieces {
                    let own = |bytes: u32| address.0 + u64::from(bytes);
                    assert_eq!(
                        (own(window.start), address.0 % u64::from(length)),
                        (next, 0)
                    );
                    assert!(LENGTHS.contains(&length.into()) && window.end <= length);
                    // No shorter one would do.
                    let half = |bytes: u32| bytes >= length / 2;
                    let both = !half(window.start) && half(window.end - 1);
                    assert!(length == 1 || both, "{start} {size}");
                    next = own(window.end);
                }
                assert_eq!(next, end);
            }
        }
    }
}
