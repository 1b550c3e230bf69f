//! Types that need no debug information: those of the languages themselves, and
//! pointers to others. They have a source number of their own.

use std::sync::Arc;

use crate::types::{Type, TypeId};

/// The number that no file has.
pub(super) const SOURCE: u16 = u16::MAX;

/// Types that were made, by number.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<Arc<Type>>);

impl Made {
    pub(super) fn get(&self, id: TypeId) -> Arc<Type> {
        let made = usize::try_from(id.within()).ok().and_then(|at| self.0.get(at));
        made.map_or_else(|| Arc::new(Type::Void), Arc::clone)
    }

    /// The number of this type, which is the same each time.
    pub(super) fn add(&mut self, ty: Type) -> TypeId {
        let known = self.0.iter().position(|known| **known == ty);
        let at = known.unwrap_or_else(|| {
            self.0.push(Arc::new(ty));
            self.0.len() - 1
        });
        TypeId::new(SOURCE, at as u64)
    }
}

/// What a type of C, C++ or Rust is, on x86-64 Linux.
pub(super) fn basic(name: &str) -> Option<Type> {
    let rows = ROWS.iter().filter(|(names, ..)| names.contains(&name));
    let (_, kind, size) = rows.into_iter().next()?;
    let (name, size) = (name.to_owned(), *size);
    Some(match kind {
        Kind::Signed => Type::Integer { name, size, signed: true },
        Kind::Unsigned => Type::Integer { name, size, signed: false },
        Kind::Char { signed } => Type::Char { name, size, signed: *signed },
        Kind::Bool => Type::Bool { name, size },
        Kind::Float => Type::Float { name, size },
        Kind::Void => Type::Void,
    })
}

enum Kind {
    Signed,
    Unsigned,
    Char { signed: bool },
    Bool,
    Float,
    Void,
}

const ROWS: &[(&[&str], Kind, u32)] = &[
    (&["char", "signed char"], Kind::Char { signed: true }, 1),
    (&["unsigned char"], Kind::Char { signed: false }, 1),
    (&["int8_t", "i8"], Kind::Signed, 1),
    (&["uint8_t", "u8"], Kind::Unsigned, 1),
    (&["short", "short int", "int16_t", "i16"], Kind::Signed, 2),
    (&["unsigned short", "unsigned short int", "uint16_t", "u16"], Kind::Unsigned, 2),
    (&["int", "signed", "signed int", "int32_t", "i32"], Kind::Signed, 4),
    (&["unsigned", "unsigned int", "uint32_t", "u32"], Kind::Unsigned, 4),
    (
        &["long", "long int", "long long", "long long int", "int64_t", "intptr_t"],
        Kind::Signed,
        8,
    ),
    (&["ssize_t", "ptrdiff_t", "i64", "isize"], Kind::Signed, 8),
    (
        &["unsigned long", "unsigned long int", "long unsigned int", "uint64_t"],
        Kind::Unsigned,
        8,
    ),
    (&["unsigned long long", "size_t", "uintptr_t", "u64", "usize"], Kind::Unsigned, 8),
    (&["bool", "_Bool"], Kind::Bool, 1),
    (&["float", "f32"], Kind::Float, 4),
    (&["double", "f64"], Kind::Float, 8),
    (&["void"], Kind::Void, 0),
];
