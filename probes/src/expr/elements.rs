//! Ranges: the expressions of the elements that they mean.

use std::ops::Range;

use super::{Constant, Expression};

/// More elements are not watched by one expression.
pub const MAX_ELEMENTS: u64 = 1024;

/// An expression means more elements than are watched by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// How many.
    pub(crate) count: u64,
}

impl Expression {
    /// The elements that it means where it has ranges, in the order of their numbers; of
    /// one without, it alone. `bounds` tells of an expression without ranges and what its
    /// range says which elements are meant.
    pub(crate) fn elements<E: From<TooMany>>(
        &self,
        bounds: &mut Bounds<'_, E>,
    ) -> Result<Vec<Self>, E> {
        let Some(of) = self.operand().filter(|_| self.ranged().is_some()) else {
            return Ok(vec![self.clone()]);
        };
        let wholes = of.elements(bounds)?;
        let Self::Range { from, to, .. } = self else {
            return Ok(wholes
                .into_iter()
                .map(|whole| self.with_operand(whole))
                .collect());
        };
        // All of them have the same type.
        let Some(first) = wholes.first() else { return Ok(wholes) };
        let numbers = bounds(first, from.as_ref(), to.as_ref())?;
        let each = numbers.end.abs_diff(numbers.start);
        let count = each.saturating_mul(wholes.len() as u64);
        if count > MAX_ELEMENTS {
            return Err(TooMany { count }.into());
        }
        let of_whole = |whole: Self| {
            numbers.clone().map(move |number| Self::Index {
                of: Box::new(whole.clone()),
                index: Constant::Number(number),
            })
        };
        Ok(wholes.into_iter().flat_map(of_whole).collect())
    }

    /// The same of something else.
    fn with_operand(&self, operand: Self) -> Self {
        let mut changed = self.clone();
        match &mut changed {
            Self::Name { .. } | Self::Address(_) | Self::Decimal { .. } => {}
            Self::Member { of, .. }
            | Self::Arrow { of, .. }
            | Self::Index { of, .. }
            | Self::Range { of, .. }
            | Self::Dereference(of)
            | Self::Reference(of)
            | Self::Cast { of, .. }
            | Self::Offset { of, .. } => **of = operand,
        }
        changed
    }
}

/// Which elements of something a range means: never none, the last not among them.
pub(crate) type Bounds<'a, E> = dyn FnMut(&Expression, Option<&Constant>, Option<&Constant>) -> Result<Range<i64>, E>
    + 'a;
