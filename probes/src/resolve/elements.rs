//! Which elements the ranges of an expression mean.

use std::ops::Range;

use super::ResolveError;
use super::walk::{Found, Walk};
use crate::expr::{Constant, Expression, TooMany};
use crate::image::Image;
use crate::types::Type;

/// The elements that an expression with ranges means, each as an expression of its own,
/// in the order of their numbers; of one without ranges, it alone.
///
/// # Errors
///
/// [`ResolveError`], but none about memory.
pub fn elements(
    image: &Image,
    expression: &Expression,
) -> Result<Vec<Expression>, ResolveError> {
    let mut bounds = |of: &Expression, from: Option<&_>, to: Option<&_>| {
        let mut walk = Walk::new(image, None, None);
        let number = |it: Option<&Constant>| it.map(|it| walk.number(it)).transpose();
        let (from, to) = (number(from)?, number(to)?);
        checked(walk.count(of)?, of, (from, to)).map_err(Wrong::Because)
    };
    expression.elements(&mut bounds).map_err(|wrong| wrong.of(expression))
}

/// The same without types: where all of the ranges are of plain numbers. None where
/// they are not.
///
/// # Errors
///
/// [`ResolveError::EmptyRange`] and [`ResolveError::TooManyElements`].
pub fn numbered(
    expression: &Expression,
) -> Result<Option<Vec<Expression>>, ResolveError> {
    let mut bounds = |of: &Expression, from: Option<&_>, to: Option<&_>| {
        let (Some(Constant::Number(to)), None | Some(Constant::Number(_))) = (to, from)
        else {
            return Err(Wrong::Open);
        };
        let from = match from {
            Some(Constant::Number(from)) => Some(*from),
            _ => None,
        };
        checked(Count::Untold, of, (from, Some(*to))).map_err(Wrong::Because)
    };
    match expression.elements(&mut bounds) {
        Err(Wrong::Open) => Ok(None),
        found => found.map(Some).map_err(|wrong| wrong.of(expression)),
    }
}

/// Why there are no elements.
enum Wrong {
    Because(ResolveError),
    TooMany(TooMany),
    /// Types are needed to tell.
    Open,
}

impl From<ResolveError> for Wrong {
    fn from(error: ResolveError) -> Self {
        Wrong::Because(error)
    }
}

impl From<TooMany> for Wrong {
    fn from(error: TooMany) -> Self {
        Wrong::TooMany(error)
    }
}

impl Wrong {
    fn of(self, expression: &Expression) -> ResolveError {
        let name = expression.to_string();
        match self {
            Wrong::Because(error) => error,
            Wrong::TooMany(TooMany { count }) => {
                ResolveError::TooManyElements { name, count }
            }
            Wrong::Open => ResolveError::Several { of: name.clone(), name },
        }
    }
}

/// How many elements something has.
enum Count {
    Known(u64),
    /// Nothing says.
    Untold,
}

impl Walk<'_> {
    fn count(&mut self, of: &Expression) -> Result<Count, ResolveError> {
        let Found::Data(data) = self.walk(of)? else { return Ok(Count::Untold) };
        let ty = data.ty.ok_or_else(|| self.untyped(of))?;
        let (_, plain) = self.types.plain(ty);
        match &*plain {
            Type::Array { length: Some(length), .. } if *length > 0 => {
                Ok(Count::Known(*length))
            }
            Type::Array { .. } | Type::Pointer { .. } => Ok(Count::Untold),
            Type::Record(record) if self.slice(&data, record).is_some() => {
                Ok(Count::Untold)
            }
            _ => Err(self.no_elements(of, ty)),
        }
    }
}

/// The range that is meant, if there is one.
fn checked(
    count: Count,
    of: &Expression,
    (from, to): (Option<i64>, Option<i64>),
) -> Result<Range<i64>, ResolveError> {
    let (first, whole) = (from.unwrap_or(0), of.as_whole());
    let last = match (to, &count) {
        (Some(to), _) => to,
        (None, Count::Known(length)) => i64::try_from(*length).unwrap_or(i64::MAX),
        (None, Count::Untold) => {
            return Err(ResolveError::OpenRange { of: whole, from: first });
        }
    };
    let text = |it: Option<i64>| it.map_or_else(String::new, |it| it.to_string());
    let range = format!("{whole}[{}..{}]", text(from), text(to));
    if let Count::Known(length) = count {
        let within = |it: i64, end: u64| u64::try_from(it).is_ok_and(|it| it < end);
        if !within(first, length) || !within(last, length + 1) {
            return Err(ResolveError::RangeBeyond { range, of: whole, length });
        }
    }
    match first < last {
        true => Ok(first..last),
        false => Err(ResolveError::EmptyRange { range, of: whole, from: first }),
    }
}
