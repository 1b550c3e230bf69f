//! Data of the kernel, as registers watch it.

use super::pieces::{self, Leaf, Names, Piece};
use super::{Location, MAX_PIECES, ResolveError};
use crate::address::AbsAddr;
use crate::btf::Btf;
use crate::kernel::KernelLocation;

/// The length where nothing tells another: a register's.
const ASSUMED: u64 = 8;

/// What lies at an address; `length` is that of `.length(N)`.
///
/// # Errors
///
/// [`ResolveError::TooWide`].
pub fn at_address(
    address: AbsAddr,
    length: Option<u64>,
) -> Result<Location, ResolveError> {
    let (name, size) = (address.to_string(), length.unwrap_or(ASSUMED));
    check_width(&name, size, pieces::count(address, size))?;
    let pieces = pieces::cover(address, size);
    Ok(Location {
        assumed_length: length.is_none(),
        ..of_pieces(name, address, pieces, size)
    })
}

/// Data of no known type.
fn of_pieces(name: String, address: AbsAddr, pieces: Vec<Piece>, size: u64) -> Location {
    Location {
        name,
        ty: None,
        address,
        size,
        bits: None,
        pieces,
        links: Vec::new(),
        thread_local: None,
        declared: None,
        symbol_size: None,
        assumed_length: false,
        mapped: true,
    }
}

fn check_width(name: &str, size: u64, registers: u64) -> Result<(), ResolveError> {
    match registers > MAX_PIECES {
        true => Err(ResolveError::TooWide { name: name.to_owned(), size, registers }),
        false => Ok(()),
    }
}

/// Data that was found by its name: the pieces of all of its places, as many as it
/// has where each CPU has its own. `length` is that of `.length(N)`.
///
/// # Errors
///
/// [`ResolveError::TooWide`].
pub fn location(
    found: &KernelLocation,
    types: Option<&Btf>,
    length: Option<u64>,
) -> Result<Location, ResolveError> {
    let whole = length.is_none() || length == found.size;
    let bits = found.bits.filter(|_| whole).map(|bits| pieces::storage(0, bits));
    let size = length.or(found.size).unwrap_or(ASSUMED).max(1);
    let (offset, size) = bits.map_or((0, size), |(offset, size, _)| (offset, size));
    let bits = bits.map(|(_, _, bits)| bits);
    let ty = found.ty.filter(|_| whole);
    let starts = found.places.iter().map(|place| place.address.0.wrapping_add(offset));
    let starts: Vec<_> = starts.map(AbsAddr).collect();
    let registers = starts.iter().map(|start| pieces::count(*start, size));
    check_width(&found.name, size, registers.fold(0, u64::saturating_add))?;
    let mut all = Vec::new();
    for (place, &start) in found.places.iter().zip(&starts) {
        let name = match place.cpu {
            Some(cpu) => format!("{} of CPU {cpu}", found.name),
            None => found.name.clone(),
        };
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
    let first = starts.first().copied().unwrap_or(AbsAddr(0));
    Ok(Location {
        ty,
        bits,
        symbol_size: found.size,
        assumed_length: length.is_none() && found.size.is_none(),
        ..of_pieces(found.name.clone(), first, all, size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelPlace;

    const BASE: u64 = 0xffff_8880_0000_0000;

    fn found(address: u64, size: u64) -> KernelLocation {
        let place =
            KernelPlace { address: AbsAddr(address), cpu: None, links: Vec::new() };
        let places = vec![place];
        KernelLocation {
            name: "x".to_owned(),
            ty: None,
            size: Some(size),
            bits: None,
            places,
        }
    }

    #[test]
    fn what_no_processor_can_watch_is_refused_before_it_is_split() {
        let wide = u64::from(u32::MAX);
        let refused = |found| matches!(found, Err(ResolveError::TooWide { .. }));
        assert!(refused(at_address(AbsAddr(BASE), Some(wide))));
        assert!(refused(location(&found(BASE, wide), None, None)));
        assert!(at_address(AbsAddr(BASE), Some(64)).is_ok());
        let last = at_address(AbsAddr(u64::MAX - 7), None).map(|it| it.pieces.len());
        assert!(matches!(last, Ok(1)));
    }

    #[test]
    fn data_begins_where_it_lies_and_not_where_its_register_does() {
        let Ok(location) = location(&found(BASE + 1, 3), None, None) else {
            panic!("three bytes");
        };
        assert_eq!(location.address, AbsAddr(BASE + 1));
        assert_eq!(location.pieces[0].address, AbsAddr(BASE));
    }
}
