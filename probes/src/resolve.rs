//! From an expression to the data that it names: its type, its address, and what
//! registers watch of it.
//!
//! [`type_of`] needs no process: it is asked when a script is checked. [`resolve()`] reads
//! the memory of one, as paths may lead through pointers. What each form of an
//! expression means is said at the head of [`crate::expr`].

mod describe;
mod elements;
mod error;
pub mod in_kernel;
mod members;
mod memory;
mod name;
mod path;
mod pieces;
mod tls;
mod walk;

pub use describe::describe;
pub use elements::{elements, numbered};
pub use error::{Choice, ResolveError};
pub use memory::Memory;
pub use path::{PathAt, leaf_at, path_at};
pub use pieces::{Part, Piece};

use crate::address::{AbsAddr, USER_SPACE_END};
use crate::expr::Expression;
use crate::image::Image;
use crate::types::{Bits, Line, TypeId};
use pieces::Names;
use walk::{At, Data, Walk};

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its name as printed: `counter`, `cfg.limits[2].max`, `0x404028`.
    pub name: String,
    /// Its type; none where that is not known, or `.length(N)` makes it another.
    pub ty: Option<TypeId>,
    /// Its address in the process. Of a thread-local without a thread: its distance
    /// from the start of its file's block of them.
    pub address: AbsAddr,
    /// Its bytes, 1 or more; of a bit-field those that it has bits in.
    pub size: u64,
    /// Of a bit-field: which bits, from the lowest at its address.
    pub bits: Option<Bits>,
    /// What registers watch, from the lowest address up: all of its bytes, with as few
    /// registers as possible.
    pub pieces: Vec<Piece>,
    /// The pointers that lead to it, in the order in which they are followed.
    pub links: Vec<Link>,
    /// Of a thread-local without a thread: which one.
    pub thread_local: Option<ThreadLocal>,
    /// Where the variable at the start of the path is declared.
    pub declared: Option<Line>,
    /// The length of the variable's symbol, where there is one and the file tells.
    pub symbol_size: Option<u64>,
    /// Whether nothing told the length, so that it is 8 or what is left of the
    /// variable.
    pub assumed_length: bool,
    /// Is there memory at the address now? A watch where there is none is armed
    /// all the same, as memory may come; but for an address it hints at a mistake.
    pub mapped: bool,
}

/// A pointer on the way to the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is.
    pub address: AbsAddr,
    /// Where it pointed to.
    pub value: AbsAddr,
    /// Its type.
    pub ty: Option<TypeId>,
    /// What to write to name it.
    pub name: String,
}

/// A variable of which each thread has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadLocal {
    /// The number of its file in [`Image::modules`].
    pub module: usize,
    /// Its distance from the start of the file's block, in bytes.
    pub offset: u64,
}

/// What is known of data without any memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// Its type, as in [`Location::ty`].
    pub ty: Option<TypeId>,
    /// Its bytes, as in [`Location::size`].
    pub size: u64,
    /// Of a bit-field: which bits.
    pub bits: Option<Bits>,
    /// Whether each thread has its own, or the path to it leads through one that
    /// each thread has.
    pub per_thread: bool,
    /// Where the variable at the start of the path is declared.
    pub declared: Option<Line>,
    /// As in [`Location::assumed_length`].
    pub assumed_length: bool,
}

/// More registers are not asked for: no machine has so many.
const MAX_PIECES: u64 = 1024;

/// What an expression names, by names and types alone. `length` is that of
/// `.length(N)`.
///
/// # Errors
///
/// [`ResolveError`], but none about memory.
pub fn type_of(
    image: &Image,
    expression: &Expression,
    length: Option<u64>,
) -> Result<Typed, ResolveError> {
    let mut walk = Walk::new(image, None, None);
    let data = walk.whole(expression)?;
    let Extent { ty, size, bits, assumed } = walk.extent(&data, length)?;
    Ok(Typed {
        ty,
        size,
        bits,
        per_thread: walk.per_thread,
        declared: walk.declared,
        assumed_length: assumed,
    })
}

/// Finds what an expression names in a process. `length` is that of `.length(N)`; else it
/// is the type's, or else the symbol's, or else 8. Behind an offset it is that of the
/// member or element that begins there, or else 8 cut to the end of the variable.
///
/// A thread-local is found as such: see [`resolve_for_thread`].
///
/// # Errors
///
/// [`ResolveError`]; for some of them it is worth to try again later, see
/// [`ResolveError::may_come_later`].
pub fn resolve(
    image: &Image,
    memory: &mut dyn Memory,
    expression: &Expression,
    length: Option<u64>,
) -> Result<Location, ResolveError> {
    way(image, memory, expression, length).1
}

/// The same, and also where it fails the pointers on the way as far as they are there:
/// the last of them may be the one that leads nowhere yet.
pub fn way(
    image: &Image,
    memory: &mut dyn Memory,
    expression: &Expression,
    length: Option<u64>,
) -> (Vec<Link>, Result<Location, ResolveError>) {
    let mut walk = Walk::new(image, Some(memory), None);
    let located = locate(&mut walk, expression, length);
    (walk.links, located)
}

/// What the data of an expression is like wherever it may be: the addresses of what
/// lies behind pointers, and in files that are not loaded, are 0 in it.
///
/// # Errors
///
/// Those of [`type_of`].
pub fn unplaced(
    image: &Image,
    expression: &Expression,
    length: Option<u64>,
) -> Result<Location, ResolveError> {
    locate(&mut Walk::new(image, None, None), expression, length)
}

/// The same for one thread, which has its own thread-locals.
///
/// # Errors
///
/// Those of [`resolve()`]; [`ResolveError::NotAllocated`] and
/// [`ResolveError::NoThreadPointer`].
pub fn resolve_for_thread(
    image: &Image,
    memory: &mut dyn Memory,
    expression: &Expression,
    length: Option<u64>,
    tid: u32,
) -> Result<Location, ResolveError> {
    locate(&mut Walk::new(image, Some(memory), Some(tid)), expression, length)
}

impl Location {
    /// Where a thread has what was found as a thread-local, without looking for its
    /// name again. None for all else.
    ///
    /// # Errors
    ///
    /// [`ResolveError::NotAllocated`] and [`ResolveError::NoThreadPointer`].
    pub fn in_thread(
        &self,
        image: &Image,
        memory: &mut dyn Memory,
        tid: u32,
    ) -> Option<Result<Location, ResolveError>> {
        let variable = self.thread_local?;
        let found = tls::address_in(image, &variable, memory, tid, &self.name);
        Some(found.map(|start| self.moved_from_block(variable, start)))
    }

    /// The same, as all of it lies at a distance in the block of its thread.
    fn moved_from_block(&self, variable: ThreadLocal, start: AbsAddr) -> Location {
        let move_by = start.0.wrapping_sub(variable.offset);
        let moved = |address: AbsAddr| AbsAddr(address.0.wrapping_add(move_by));
        let mut location = Location { thread_local: None, ..self.clone() };
        location.address = moved(self.address);
        for piece in &mut location.pieces {
            piece.address = moved(piece.address);
        }
        location
    }
}

/// How long the data is that is watched, and of which type.
struct Extent {
    ty: Option<TypeId>,
    size: u64,
    bits: Option<Bits>,
    assumed: bool,
}

fn locate(
    walk: &mut Walk<'_>,
    expression: &Expression,
    length: Option<u64>,
) -> Result<Location, ResolveError> {
    let image = walk.image;
    let number = number(image, expression)?;
    let data = walk.whole(expression)?;
    let Extent { ty, size, bits, assumed } = walk.extent(&data, length)?;
    let (address, thread_local) = match data.at {
        At::Fixed(address) => (address, None),
        At::Thread(variable) => (AbsAddr(variable.offset), Some(variable)),
        // Only without memory nothing is known.
        At::Unknown => (AbsAddr(0), None),
    };
    check_address(expression, address, size)?;
    let registers = pieces::count(address, size);
    if registers > MAX_PIECES {
        let name = expression.to_string();
        return Err(ResolveError::TooWide { name, size, registers });
    }
    let mut pieces = pieces::cover(address, size);
    name_parts(image, expression, &data, (address, bits), &mut pieces);
    let mapped = thread_local.is_some()
        || !walk.links.is_empty()
        || number.unwrap_or_else(|| image.is_mapped(address));
    Ok(Location {
        name: expression.to_string(),
        ty,
        address,
        size,
        bits,
        pieces,
        links: walk.links.clone(),
        thread_local,
        declared: walk.declared.clone(),
        symbol_size: walk.symbol_size,
        assumed_length: assumed,
        mapped,
    })
}

/// Of an expression that is an address: is there memory? What is wrong with the number
/// says nothing of what was meant.
fn number(image: &Image, expression: &Expression) -> Result<Option<bool>, ResolveError> {
    match *expression {
        Expression::Address(address) => Ok(Some(image.is_mapped(AbsAddr(address)))),
        Expression::Decimal { address, as_hex } => {
            let (address, as_hex) = (AbsAddr(address), AbsAddr(as_hex));
            let mapped = image.is_mapped(address);
            match !mapped && image.is_mapped(as_hex) {
                true => Err(ResolveError::NotHex { address, as_hex }),
                false => Ok(Some(mapped)),
            }
        }
        _ => Ok(None),
    }
}

fn check_address(
    expression: &Expression,
    address: AbsAddr,
    size: u64,
) -> Result<(), ResolveError> {
    let end = address.checked_add(size);
    match end.is_none_or(|end| end > USER_SPACE_END) {
        true => Err(ResolveError::NotUserSpace { name: expression.to_string() }),
        false => Ok(()),
    }
}

/// Says what each piece of the data has in it.
fn name_parts(
    image: &Image,
    expression: &Expression,
    data: &Data,
    (address, bits): (AbsAddr, Option<Bits>),
    pieces: &mut [Piece],
) {
    let (base, offset) = match expression {
        Expression::Offset { of, .. } if data.offset > 0 => (&**of, data.offset),
        _ => (expression, 0),
    };
    let names = Names { whole: base.as_whole(), before_member: base.before_member() };
    match data.whole.or(data.ty) {
        Some(ty) if bits.is_some() => {
            let signed = pieces::is_signed(image, ty);
            let length = u64::from(pieces::MAX_BIT_FIELD);
            let ty = Some(ty);
            let leaf = pieces::Leaf {
                offset: 0,
                length,
                bits,
                signed,
                name: expression.to_string(),
                ty,
            };
            pieces::distribute(pieces, address, &[leaf]);
        }
        Some(ty) => {
            let start = AbsAddr(address.0.wrapping_sub(offset));
            pieces::distribute(pieces, start, &pieces::leaves(image, ty, &names));
        }
        None => {}
    }
    for piece in pieces.iter_mut().filter(|piece| piece.parts.is_empty()) {
        let start = piece.address.0 + u64::from(piece.window.start);
        piece.parts.push(Part {
            offset: piece.window.start,
            length: piece.window.end - piece.window.start,
            bits: None,
            signed: false,
            name: expression.moved_by(start.wrapping_sub(address.0).cast_signed()),
            ty: None,
        });
    }
}

#[cfg(test)]
mod tests;
