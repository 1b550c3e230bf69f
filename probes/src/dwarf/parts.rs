//! The parts that debug information consists of: runs of units, each in a section
//! of its own.
//!
//! Part 0 is `.debug_info`, 1 `.debug_types`, 2 that of the supplementary file; then
//! come those of `.dwo` files, or of the one `.dwp` file. A place in a part has 32
//! bits, and the number of the part 16: together they are what a
//! [`TypeId`] has room for.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use gimli::{DebugInfo, DebugTypes, LittleEndian, UnitHeader, UnitType};

use super::sections::{Sections, Slice};
use crate::types::TypeId;

/// The number of `.debug_info`.
pub(super) const INFO: u16 = 0;
/// The number of `.debug_types`.
pub(super) const TYPES: u16 = 1;
/// The number of the supplementary file's `.debug_info`.
pub(super) const SUPPLEMENT: u16 = 2;
/// Not a part: types of C that need no debug information.
pub(super) const BUILTIN: u16 = u16::MAX;

/// The place of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) part: u16,
    /// In bytes from the start of the part.
    pub(super) offset: u32,
}

impl Entry {
    pub(super) fn of_type(id: TypeId) -> Self {
        let within = id.within();
        Self { part: (within >> 32) as u16, offset: within as u32 }
    }

    pub(super) fn type_id(self, source: u16) -> TypeId {
        TypeId::new(source, u64::from(self.part) << 32 | u64::from(self.offset))
    }
}

/// A run of units.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) sections: Arc<Sections>,
    /// Whether the sections have their names in `.dwo` files.
    pub(super) dwo: bool,
    /// Whether it is a `.debug_types`.
    pub(super) types: bool,
    /// Which of the file's sections of that name.
    pub(super) nth: usize,
    /// Of a `.dwo` file: the unit of part 0 that stands for it. In a `.dwp` file each
    /// unit has its own.
    pub(super) skeleton: Option<usize>,
    /// Whether it is a `.dwp` file.
    pub(super) package: bool,
    units: OnceLock<Units>,
    /// Where each unit's table of strings is in `.debug_str_offsets`.
    pub(super) string_tables: OnceLock<Vec<Range<usize>>>,
}

/// The units of a part.
#[derive(Debug, Default)]
pub(super) struct Units {
    /// In the order of the part.
    pub(super) all: Vec<UnitAt>,
    /// Where their tables of abbreviations begin, sorted.
    tables: Vec<usize>,
}

/// Where a unit is, and what its header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitAt {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: UnitType<usize>,
    pub(super) version: u16,
}

impl Part {
    pub(super) fn new(sections: Arc<Sections>, types: bool) -> Self {
        Self {
            sections,
            dwo: false,
            types,
            nth: 0,
            skeleton: None,
            package: false,
            units: OnceLock::new(),
            string_tables: OnceLock::new(),
        }
    }

    /// A part of a `.dwo` file, or of a `.dwp` file.
    pub(super) fn split(
        sections: Arc<Sections>,
        types: bool,
        nth: usize,
        skeleton: Option<usize>,
    ) -> Self {
        let package = skeleton.is_none();
        Self { dwo: true, nth, skeleton, package, ..Self::new(sections, types) }
    }

    /// The bytes of its section.
    pub(super) fn bytes(&self) -> &[u8] {
        let name = match (self.types, self.dwo) {
            (false, false) => ".debug_info",
            (false, true) => ".debug_info.dwo",
            (true, false) => ".debug_types",
            (true, true) => ".debug_types.dwo",
        };
        let all = self.sections.named(name).nth(self.nth).unwrap_or_default();
        // What lies further up has no number.
        &all[..all.len().min(u32::MAX as usize)]
    }

    pub(super) fn units(&self) -> &Units {
        self.units.get_or_init(|| self.read_units())
    }

    /// The unit that an offset is in.
    pub(super) fn unit_at(&self, offset: u32) -> Option<usize> {
        let all = &self.units().all;
        let after = all.partition_point(|unit| unit.start <= offset);
        let index = after.checked_sub(1)?;
        (offset < all[index].end).then_some(index)
    }

    /// The header of a unit, as gimli reads it.
    pub(super) fn header(&self, unit: &UnitAt) -> Option<UnitHeader<Slice<'_>>> {
        let bytes = self.bytes().get(unit.start as usize..unit.end as usize)?;
        if self.types {
            DebugTypes::new(bytes, LittleEndian).units().next().ok()?
        } else {
            DebugInfo::new(bytes, LittleEndian).units().next().ok()?
        }
    }

    /// Where the table of abbreviations ends that begins at `start`: none reaches
    /// into the next one. Else many units could each have a long one in a short file.
    pub(super) fn table_end(&self, start: usize) -> usize {
        let tables = &self.units().tables;
        let after = tables.partition_point(|&table| table <= start);
        tables.get(after).copied().unwrap_or(usize::MAX)
    }

    fn read_units(&self) -> Units {
        let mut units = Units::default();
        let bytes = self.bytes();
        if self.types {
            let mut headers = DebugTypes::new(bytes, LittleEndian).units();
            while let Ok(Some(header)) = headers.next() {
                units.add(&header);
            }
        } else {
            let mut headers = DebugInfo::new(bytes, LittleEndian).units();
            while let Ok(Some(header)) = headers.next() {
                units.add(&header);
            }
        }
        units.tables.sort_unstable();
        units.tables.dedup();
        units
    }
}

impl Units {
    fn add(&mut self, header: &UnitHeader<Slice<'_>>) {
        let start = self.all.last().map_or(0, |unit| unit.end);
        let end = u32::try_from(header.length_including_self());
        let Some(end) = end.ok().and_then(|length| start.checked_add(length)) else {
            return;
        };
        self.tables.push(header.debug_abbrev_offset().0);
        self.all.push(UnitAt {
            start,
            end,
            kind: header.type_(),
            version: header.version(),
        });
    }
}
