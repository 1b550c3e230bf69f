//! Records of libraries that are there for the compiler alone: around a value, and
//! as large as it.

use super::{NESTING_MAX, Record, Type, TypeId, Types};

/// Layers that are looked through; more are a mistake of the debug information.
const LAYERS_MAX: u32 = 16;

/// Whose wrappers nobody wants to see: those of Rust's and C++'s standard
/// libraries (`core::sync::atomic::AtomicU64` is a `u64` in an `UnsafeCell`,
/// `std::atomic<int>` has an `int` in a base class).
const LIBRARIES: [&str; 3] = ["core::", "alloc::", "std::"];

/// What is in the path of a variant of an enum with parameters:
/// `core::option::Option<u32>::Some`.
const VARIANT: &str = ">::";

/// What has one member, and stands for something else than that.
const TEXTS: [&str; 1] = ["alloc::string::String"];

/// The type behind aliases and behind wrappers of the standard libraries.
pub fn unwrapped(types: &dyn Types, id: TypeId) -> TypeId {
    let mut id = types.plain(id).0;
    for _ in 0..LAYERS_MAX {
        match inside(types, id) {
            Some(inner) => id = inner,
            None => break,
        }
    }
    id
}

/// What holds a bool as another number.
const ATOMIC_BOOLS: [&str; 2] =
    ["core::sync::atomic::AtomicBool", "core::sync::atomic::Atomic<bool>"];

/// Whether a type holds a bool: one itself, or Rust's atomic one, which is a `u8`
/// inside.
pub fn is_bool(types: &dyn Types, id: TypeId) -> bool {
    let is_atomic = match &*types.plain(id).1 {
        Type::Record(Record { name: Some(name), .. }) => {
            ATOMIC_BOOLS.contains(&name.as_str())
        }
        _ => false,
    };
    is_atomic || matches!(&*types.get(unwrapped(types, id)), Type::Bool { .. })
}

/// The only value in a wrapper; none where it is no wrapper.
fn inside(types: &dyn Types, id: TypeId) -> Option<TypeId> {
    let ty = types.get(id);
    let Type::Record(record) = &*ty else { return None };
    let name = record.name.as_deref()?;
    let is_own = LIBRARIES.iter().any(|library| name.starts_with(library));
    // A variant of an enum has its name, and text is shown as such.
    if !is_own || name.contains(VARIANT) || TEXTS.contains(&name) {
        return None;
    }
    let (inner, offset) = only_member(types, record)?;
    let same = offset == 0 && types.size(inner) == Some(record.size);
    same.then(|| types.plain(inner).0)
}

/// The one member that has any bytes.
fn only_member(types: &dyn Types, record: &Record) -> Option<(TypeId, u64)> {
    if record.variants.is_some() || record.declared {
        return None;
    }
    let filled = |member: &&super::Member| types.size(member.ty) != Some(0);
    let mut members = record.members.iter().filter(filled);
    let only = members.next()?;
    let alone = members.next().is_none() && only.bits.is_none();
    alone.then_some((only.ty, only.offset))
}

/// Whether a type has an array of characters in it.
pub fn has_text(types: &dyn Types, id: TypeId) -> bool {
    has_text_within(types, id, NESTING_MAX)
}

fn has_text_within(types: &dyn Types, id: TypeId, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match &*types.get(unwrapped(types, id)) {
        Type::Array { of, .. } => {
            matches!(&*types.plain(*of).1, Type::Char { size: 1, .. })
                || has_text_within(types, *of, depth)
        }
        Type::Record(record) => {
            record.members.iter().any(|member| has_text_within(types, member.ty, depth))
        }
        _ => false,
    }
}

/// The scalar that an array is made of, of arrays of arrays, too; none of other
/// types.
pub fn scalar_of(types: &dyn Types, array: TypeId) -> Option<TypeId> {
    let mut ty = array;
    for depth in 0..NESTING_MAX {
        ty = unwrapped(types, ty);
        match &*types.get(ty) {
            Type::Array { of, .. } => ty = *of,
            Type::Record(_) | Type::Void => return None,
            _ => return (depth > 0).then_some(ty),
        }
    }
    None
}
