//! Walks over the entries of a unit, to those that are asked for.

use gimli::constants as dw;
use gimli::{DwTag, EntriesRaw, UnitOffset};

use super::sections::Slice;
use super::unit::{ATTRIBUTES_MAX, Die, Unit};

/// Which entries are asked for.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'w> {
    /// Those that contain one of these bytes, in order; places in the part.
    At(&'w [u32]),
    /// Those with such a tag.
    Tagged(fn(DwTag) -> bool),
}

/// An entry that the one at hand is within.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outer {
    /// Its place in the part.
    pub(super) offset: u32,
    pub(super) tag: DwTag,
    pub(super) depth: isize,
}

/// The reader, and what it is at.
struct Walk<'u, 'a> {
    unit: &'u Unit<'a>,
    raw: EntriesRaw<'u, Slice<'a>>,
    /// Depth of what `raw` calls 0.
    depth: isize,
    /// The entries around, outermost first.
    outer: Vec<Outer>,
}

/// Calls `each` with each entry asked for and those around it, outermost first.
/// What cannot be read ends the walk.
pub(super) fn walk<'a>(
    unit: &Unit<'a>,
    wanted: Wanted<'_>,
    each: &mut dyn FnMut(&Die<'a>, &[Outer]),
) {
    let Ok(raw) = unit.unit.entries_raw(None) else { return };
    let mut walk = Walk { unit, raw, depth: 0, outer: Vec::new() };
    let mut die = Die::null();
    let mut wanted = wanted;
    while walk.next(&mut wanted, &mut die, each).is_some() {}
}

impl<'a> Walk<'_, 'a> {
    /// One entry. `None` at the end.
    fn next(
        &mut self,
        wanted: &mut Wanted<'_>,
        die: &mut Die<'a>,
        each: &mut dyn FnMut(&Die<'a>, &[Outer]),
    ) -> Option<()> {
        let start = self.raw.clone();
        let offset = self.place(start.next_offset());
        if let Wanted::At(positions) = wanted {
            // What lies before is none of an entry's, or was in one already.
            *positions = &positions[positions.partition_point(|&at| at < offset)..];
            if positions.is_empty() {
                return None;
            }
        }
        let depth = self.depth + start.next_depth();
        let Some(abbreviation) = self.raw.read_abbreviation().ok()? else {
            return Some(());
        };
        let attributes = abbreviation.attributes();
        if attributes.len() > ATTRIBUTES_MAX {
            return None;
        }
        self.raw.skip_attributes(attributes).ok()?;
        while self.outer.last().is_some_and(|outer| outer.depth >= depth) {
            self.outer.pop();
        }
        let end = self.place(self.raw.next_offset());
        let tag = abbreviation.tag();
        let hit = match *wanted {
            Wanted::At(positions) => positions[0] < end,
            Wanted::Tagged(fits) => fits(tag),
        };
        if hit {
            let mut again = start.clone();
            again.read_entry(die).ok()?;
            each(die, &self.outer);
        }
        if abbreviation.has_children() {
            let inside = |at: &u32| *at >= end;
            if let Wanted::At(positions) = *wanted
                && attributes.iter().any(|spec| spec.name() == dw::DW_AT_sibling)
                && let next = positions.iter().copied().find(inside)
            {
                self.jump(start, die, depth, next);
            }
            self.outer.push(Outer { offset, tag, depth });
        }
        Some(())
    }

    /// Goes on behind the children of an entry, if nothing asked for is in them.
    fn jump(
        &mut self,
        mut start: EntriesRaw<'_, Slice<'a>>,
        die: &mut Die<'a>,
        depth: isize,
        next: Option<u32>,
    ) {
        let Ok(true) = start.read_entry(die) else { return };
        let Some(gimli::AttributeValue::UnitRef(sibling)) =
            die.attr_value(dw::DW_AT_sibling)
        else {
            return;
        };
        let ahead = sibling.0 > self.raw.next_offset().0;
        if ahead
            && next.is_none_or(|next| next >= self.place(sibling))
            && let Ok(raw) = self.unit.unit.entries_raw(Some(sibling))
        {
            self.raw = raw;
            self.depth = depth;
        }
    }

    fn place(&self, offset: UnitOffset) -> u32 {
        self.unit.entry(offset).offset
    }
}
