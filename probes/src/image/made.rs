//! Types that need no debug information: those of the languages themselves, and
//! pointers to others. They have a source number of their own.

use std::sync::Arc;

use crate::types::{Type, TypeId, builtin};

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

/// What a type of C, C++ or Rust is, without any debug information.
pub(super) fn basic(name: &str) -> Option<Type> {
    match name {
        "void" => Some(Type::Void),
        name => builtin::find(name).map(builtin::get),
    }
}
