//! Arrays. One of several dimensions is an array of arrays, in which each dimension's
//! entry stands for the arrays from it on.

use gimli::constants as dw;

use crate::dwarf::unit::{Die, Unit, number};
use crate::types::Type;

impl<'a> Unit<'a> {
    /// The array at `entry`, of which `at` is the entry itself, or one of its
    /// dimensions: then it is the arrays from that on.
    pub(super) fn array(&self, entry: &Die<'a>, at: u32) -> Option<Type> {
        let array = self.entry(entry.offset());
        let mut dimensions = Vec::new();
        self.children(array.offset, &mut |child| {
            if child.tag() == dw::DW_TAG_subrange_type {
                dimensions.push((self.entry(child.offset()), length(child)));
            }
        });
        let from = match at == array.offset {
            true => 0,
            false => dimensions.iter().position(|(entry, _)| entry.offset == at)?,
        };
        let of = match dimensions.get(from + 1) {
            Some((inner, _)) => self.dwarf.type_id(Some(*inner)),
            None => self.type_id(entry),
        };
        let length = dimensions.get(from).and_then(|(_, length)| *length);
        Some(Type::Array { of, length })
    }

    /// The arrays from a dimension on.
    pub(super) fn inner_array(&self, dimension: &Die<'a>) -> Option<Type> {
        let at = self.entry(dimension.offset()).offset;
        let around = self.scopes().around(at);
        let array = around.last().filter(|outer| outer.tag == dw::DW_TAG_array_type)?;
        self.array(&self.die(array.offset)?, at)
    }
}

/// How many elements there are, if that is fixed.
fn length(dimension: &Die<'_>) -> Option<u64> {
    if let Some(count) = number(dimension, dw::DW_AT_count) {
        return Some(count);
    }
    let last = dimension.attr(dw::DW_AT_upper_bound)?;
    let first = number(dimension, dw::DW_AT_lower_bound).unwrap_or(0);
    match last.udata_value() {
        // An array of nothing is said to end before its first element: of 4 or 8
        // bytes, all ones.
        Some(last) if last == u64::from(u32::MAX) || last == u64::MAX => Some(0),
        Some(last) => last.checked_sub(first).map(|last| last.saturating_add(1)),
        None => last.sdata_value().filter(|last| *last < 0).map(|_| 0),
    }
}
