//! Data of the kernel, as registers watch it.

use super::Location;
use super::pieces::{self, Leaf, Names};
use crate::address::AbsAddr;
use crate::btf::Btf;
use crate::kernel::KernelLocation;

/// The length where nothing tells another: a register's.
const ASSUMED: u64 = 8;

/// What lies at an address; `length` is that of `.length(N)`.
pub fn at_address(address: AbsAddr, length: Option<u64>) -> Location {
    let size = length.unwrap_or(ASSUMED);
    Location {
        name: address.to_string(),
        ty: None,
        address,
        size,
        bits: None,
        pieces: pieces::cover(address, size),
        links: Vec::new(),
        thread_local: None,
        declared: None,
        symbol_size: None,
        assumed_length: length.is_none(),
        mapped: true,
    }
}

/// Data that was found by its name: the pieces of all of its places, as many as it
/// has where each CPU has its own. `length` is that of `.length(N)`.
pub fn location(
    found: &KernelLocation,
    types: Option<&Btf>,
    length: Option<u64>,
) -> Location {
    let whole = length.is_none() || length == found.size;
    let bits = found.bits.filter(|_| whole).map(|bits| pieces::storage(0, bits));
    let size = length.or(found.size).unwrap_or(ASSUMED).max(1);
    let (offset, size) = bits.map_or((0, size), |(offset, size, _)| (offset, size));
    let bits = bits.map(|(_, _, bits)| bits);
    let ty = found.ty.filter(|_| whole);
    let mut all = Vec::new();
    for place in &found.places {
        let name = match place.cpu {
            Some(cpu) => format!("{} of CPU {cpu}", found.name),
            None => found.name.clone(),
        };
        let start = AbsAddr(place.address.0.wrapping_add(offset));
        let mut own = pieces::cover(start, size);
        let leaves = match (types, ty, bits) {
            (Some(types), Some(ty), None) => pieces::leaves(types, ty, &Names::of(name)),
            (types, ty, bits) => {
                let signed = |types| ty.is_some_and(|ty| pieces::is_signed(types, ty));
                let signed = types.is_some_and(|types| signed(types));
                vec![Leaf { offset: 0, length: size, bits, signed, name, ty }]
            }
        };
        pieces::distribute(&mut own, start, &leaves);
        all.extend(own);
    }
    let first = all.first().map_or(AbsAddr(0), |piece| piece.address);
    Location {
        name: found.name.clone(),
        ty,
        size,
        bits,
        pieces: all,
        symbol_size: found.size,
        assumed_length: length.is_none() && found.size.is_none(),
        ..at_address(first, Some(size))
    }
}
