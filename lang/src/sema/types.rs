//! Types that are not known yet, and what becomes known of them: unification.

use crate::span::Span;
use crate::types::Type;

/// The type of something, perhaps still unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    Known(Type),
    Unknown(TypeId),
}

/// Index of a type in [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TypeId(usize);

/// Two uses that do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) left: Type,
    pub(super) right: Type,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    /// The same as another one.
    Same(TypeId),
    /// Not known yet.
    Open,
    /// Known, since the use at this place.
    Known(Type, Span),
}

/// All types that stand for variables, keys and values.
#[derive(Debug, Default)]
pub(super) struct Types {
    slots: Vec<Slot>,
}

impl Types {
    /// A type of which nothing is known.
    pub(super) fn fresh(&mut self) -> Term {
        self.slots.push(Slot::Open);
        Term::Unknown(TypeId(self.slots.len() - 1))
    }

    fn root(&mut self, mut id: TypeId) -> TypeId {
        while let Slot::Same(next) = self.slots[id.0] {
            // Halves the path, so that chains of equal types stay short.
            if let Slot::Same(after) = self.slots[next.0] {
                self.slots[id.0] = Slot::Same(after);
            }
            id = next;
        }
        id
    }

    /// What is known so far.
    pub(super) fn resolve(&mut self, term: Term) -> Option<Type> {
        match term {
            Term::Known(ty) => Some(ty),
            Term::Unknown(id) => {
                let root = self.root(id);
                match self.slots[root.0] {
                    Slot::Known(ty, _) => Some(ty),
                    _ => None,
                }
            }
        }
    }

    /// What is known so far, for who may not change anything.
    pub(super) fn peek(&self, term: Term) -> Option<Type> {
        let Term::Unknown(mut id) = term else {
            return match term {
                Term::Known(ty) => Some(ty),
                Term::Unknown(_) => None,
            };
        };
        loop {
            match self.slots[id.0] {
                Slot::Same(next) => id = next,
                Slot::Known(ty, _) => return Some(ty),
                Slot::Open => return None,
            }
        }
    }

    /// The type in the end: what nothing determines is a long.
    pub(super) fn settle(&mut self, term: Term) -> Type {
        self.resolve(term).unwrap_or(Type::Long)
    }

    /// The use that made the type known.
    pub(super) fn evidence(&mut self, term: Term) -> Option<Span> {
        let Term::Unknown(id) = term else { return None };
        let root = self.root(id);
        match self.slots[root.0] {
            Slot::Known(_, span) => Some(span),
            _ => None,
        }
    }

    /// Makes two types the same because of the use at `span`.
    pub(super) fn unify(
        &mut self,
        left: Term,
        right: Term,
        span: Span,
    ) -> Result<(), Conflict> {
        match (self.resolve(left), self.resolve(right)) {
            (Some(left), Some(right)) if left != right => {
                return Err(Conflict { left, right });
            }
            (Some(known), None) => self.learn(right, known, span),
            (None, Some(known)) => self.learn(left, known, span),
            _ => {}
        }
        if let (Term::Unknown(left), Term::Unknown(right)) = (left, right) {
            let (left, right) = (self.root(left), self.root(right));
            if left != right {
                self.slots[right.0] = Slot::Same(left);
            }
        }
        Ok(())
    }

    /// The same of a value and the place that it goes to: a stack becomes a string
    /// there.
    pub(super) fn flow(
        &mut self,
        place: Term,
        value: Term,
        span: Span,
    ) -> Result<(), Conflict> {
        match (self.resolve(place), self.resolve(value)) {
            (Some(Type::String), Some(Type::Stack)) => Ok(()),
            _ => self.unify(place, value, span),
        }
    }

    fn learn(&mut self, term: Term, ty: Type, span: Span) {
        if let Term::Unknown(id) = term {
            let root = self.root(id);
            self.slots[root.0] = Slot::Known(ty, span);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn knowledge_spreads_both_ways() {
        let mut types = Types::default();
        let (a, b, c) = (types.fresh(), types.fresh(), types.fresh());
        let place = Span::new(3, 4);
        types.unify(a, b, Span::default()).unwrap();
        types.unify(b, c, Span::default()).unwrap();
        types.unify(c, Term::Known(Type::String), place).unwrap();
        assert_eq!(types.resolve(a), Some(Type::String));
        assert_eq!(types.evidence(a), Some(place));
        let conflict = types.unify(a, Term::Known(Type::Long), place).unwrap_err();
        assert_eq!((conflict.left, conflict.right), (Type::String, Type::Long));
        let open = types.fresh();
        assert_eq!(types.settle(open), Type::Long);
    }
}
