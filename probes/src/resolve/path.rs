//! From a place within an object to the member there.

use super::members::{record, written};
use crate::types::{Bits, Member, NESTING_MAX, Record, Type, TypeId, Types};

/// What is at a place within an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAt {
    /// What to write behind the object's name: `.slots[4].next`; empty for the
    /// object itself.
    pub path: String,
    /// How many bytes behind the start of it the place is.
    pub rest: u64,
    /// Its type.
    pub ty: TypeId,
    /// Of a bit-field: which bits.
    pub bits: Option<Bits>,
}

/// The greatest part of an object of type `ty` that begins at `offset`, or where none
/// does, the smallest one in which that lies.
pub fn path_at(types: &dyn Types, ty: TypeId, offset: u64) -> PathAt {
    descend(types, ty, offset, false)
}

/// The scalar that begins at `offset`, or in which that lies.
pub fn leaf_at(types: &dyn Types, ty: TypeId, offset: u64) -> PathAt {
    descend(types, ty, offset, true)
}

fn descend(types: &dyn Types, ty: TypeId, offset: u64, to_leaf: bool) -> PathAt {
    let mut at = PathAt { path: String::new(), rest: offset, ty, bits: None };
    // Each step goes into a smaller part, or one unnamed that is as large.
    for _ in 0..2 * NESTING_MAX {
        if at.rest == 0 && !to_leaf {
            break;
        }
        let (_, plain) = types.plain(at.ty);
        let next = match &*plain {
            Type::Record(record) => in_record(types, record, &at),
            Type::Array { of, length } => in_array(types, *of, *length, &at),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

fn in_array(
    types: &dyn Types,
    of: TypeId,
    length: Option<u64>,
    at: &PathAt,
) -> Option<PathAt> {
    let size = types.size(of).filter(|&size| size > 0)?;
    let index = at.rest / size;
    let there = length.is_none_or(|length| index < length);
    there.then(|| PathAt {
        path: format!("{}[{index}]", at.path),
        rest: at.rest % size,
        ty: of,
        bits: None,
    })
}

fn in_record(types: &dyn Types, whole: &Record, at: &PathAt) -> Option<PathAt> {
    let contains = |member: &&Member| {
        let size = match member.bits {
            Some(bits) => u64::from((bits.offset + bits.width).div_ceil(8)),
            None => types.size(member.ty).unwrap_or_else(|| open_size(types, member.ty)),
        };
        let distance = at.rest.checked_sub(member.offset);
        distance.is_some_and(|distance| distance < size)
    };
    let members = whole.members.iter().filter(contains);
    // Of a union's members that which begins there, rather than one around it.
    let member = members.min_by_key(|member| at.rest - member.offset)?;
    let inner = record(types, member.ty);
    let path = match (&member.name, inner) {
        (Some(name), _) => format!("{}.{}", at.path, written(name)),
        (None, Some(_)) => at.path.clone(),
        (None, None) => return None,
    };
    let rest = at.rest - member.offset;
    Some(PathAt { path, rest, ty: member.ty, bits: member.bits })
}

/// An array without a length at the end of a record goes on for as long as you like.
fn open_size(types: &dyn Types, ty: TypeId) -> u64 {
    match &*types.plain(ty).1 {
        Type::Array { length: None, .. } => u64::MAX,
        _ => 0,
    }
}
