//! Which units have code at an address.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use gimli::{DebugAranges, SectionId, UnitType};

use super::Dwarf;
use super::parallel;
use super::parts::INFO;
use super::unit::{Die, Unit};
use crate::address::VirtOffset;

/// Units by the addresses of their code.
#[derive(Debug, Default)]
pub(super) struct Covers(Vec<Cover>);

#[derive(Clone, Copy, Debug)]
struct Cover {
    start: u64,
    end: u64,
    unit: usize,
    /// The greatest end up to here.
    reach: u64,
}

/// So many ranges may still be read. Entries of a hostile file could all have the
/// same long list.
pub(super) struct RangesLeft(AtomicU64);

/// Units that have code at one address; of a proper program there is one.
const UNITS_MAX: usize = 8;

/// No range in a list is shorter: its kind and two numbers (DWARF 5, 2.17.3).
const RANGE_BYTES: usize = 3;

impl Covers {
    fn new(mut all: Vec<Cover>) -> Self {
        all.sort_unstable_by_key(|cover| (cover.start, cover.end));
        let mut reach = 0;
        for cover in &mut all {
            reach = cover.end.max(reach);
            cover.reach = reach;
        }
        Self(all)
    }

    /// The units with code at an address, the closest range first.
    fn at(&self, address: u64) -> impl Iterator<Item = usize> {
        let after = self.0.partition_point(|cover| cover.start <= address);
        let near = self.0[..after].iter().rev();
        let near = near.take_while(move |cover| cover.reach > address);
        let reaching = near.filter(move |cover| cover.end > address);
        reaching.map(|cover| cover.unit).take(UNITS_MAX)
    }
}

impl Dwarf {
    /// The units of part 0 with code at an address, the likeliest first.
    pub(super) fn units_at(&self, address: u64) -> Vec<usize> {
        if !self.elf.is_code(VirtOffset(address)) {
            return Vec::new();
        }
        // Compilers that list the code of their units list all of it; but those that do
        // not may have made some units of the same program.
        let listed = self.listed.get_or_init(|| Covers::new(self.read_list()));
        let found: Vec<usize> = listed.at(address).collect();
        if !found.is_empty() {
            return found;
        }
        let covers = self.covers.get_or_init(|| Covers::new(self.read_units()));
        covers.at(address).collect()
    }

    /// The code of units as `.debug_aranges` lists it. Stops at what cannot be read.
    fn read_list(&self) -> Vec<Cover> {
        let mut all = Vec::new();
        let (Some(main), Some(part)) = (self.main(), self.part(INFO)) else { return all };
        let list = DebugAranges::from(main.slice(SectionId::DebugAranges, false));
        let mut headers = list.headers();
        while let Ok(Some(header)) = headers.next() {
            let offset = u32::try_from(header.debug_info_offset().0).ok();
            let Some(unit) = offset.and_then(|offset| part.unit_at(offset)) else {
                continue;
            };
            let mut entries = header.entries();
            while let Ok(Some(entry)) = entries.next() {
                all.extend(self.cover(entry.range(), unit));
            }
        }
        all
    }

    /// The code of units as they tell themselves.
    fn read_units(&self) -> Vec<Cover> {
        let Some(part) = self.part(INFO) else { return Vec::new() };
        let all = &part.units().all;
        let coded = |&index: &usize| {
            matches!(all[index].kind, UnitType::Compilation | UnitType::Skeleton(_))
        };
        let coded: Vec<usize> = (0..all.len()).filter(coded).collect();
        let left = self.ranges_left(coded.len() as u64);
        let covers = parallel::map(&coded, |&index| {
            let unit = self.unit_unkept(INFO, index)?;
            let code = unit.code(&unit.root()?, &left);
            let covers = code.into_iter().map(|code| Cover {
                start: code.start,
                end: code.end,
                unit: index,
                reach: 0,
            });
            Some(covers.collect::<Vec<_>>())
        });
        covers.into_iter().flatten().flatten().collect()
    }

    fn cover(&self, code: gimli::Range, unit: usize) -> Option<Cover> {
        let code = self.loaded(code)?;
        Some(Cover { start: code.start, end: code.end, unit, reach: 0 })
    }

    /// A range of code that is not empty and that the linker has not left out.
    pub(super) fn loaded(&self, code: gimli::Range) -> Option<Range<u64>> {
        let there = code.begin > 1 && self.elf.is_code(VirtOffset(code.begin));
        (there && code.begin < code.end).then_some(code.begin..code.end)
    }

    /// What `entries` entries can have of ranges: no two have the same list.
    pub(super) fn ranges_left(&self, entries: u64) -> RangesLeft {
        let length = |sections: &super::Sections, dwo| {
            let ranges = sections.slice(SectionId::DebugRanges, dwo).len();
            ranges + sections.slice(SectionId::DebugRngLists, dwo).len()
        };
        let of_part = |(_, part): (u16, &super::Part)| length(&part.sections, part.dwo);
        let lists: usize = self.parts().map(of_part).sum();
        let most = entries.saturating_add((lists / RANGE_BYTES) as u64);
        RangesLeft(AtomicU64::new(most))
    }
}

impl<'a> Unit<'a> {
    /// The code of an entry.
    pub(super) fn code(&self, die: &Die<'a>, left: &RangesLeft) -> Vec<Range<u64>> {
        let mut code = Vec::new();
        let Some(mut ranges) = self.ranges_of(die) else { return code };
        while let Ok(Some(range)) = ranges.next() {
            let one_less = |left: u64| left.checked_sub(1);
            let order = Ordering::Relaxed;
            if left.0.fetch_update(order, order, one_less).is_err() {
                break;
            }
            code.extend(self.dwarf.loaded(range));
        }
        code
    }
}
