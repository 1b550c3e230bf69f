//! Finds the entries that a name belongs to, without an index of all names.
//!
//! The name's bytes are searched for in the strings, then the places where they are
//! in the units: as four bytes, or, where strings have numbers, in the table of
//! those. What happens to look alike is sorted out when the entry is read. Searching
//! is done at the speed of memory; reading entries takes a hundred times as long.

use std::ops::Range;

use gimli::{DwTag, Reader, Section, SectionId, constants as dw};
use memchr::memmem::Finder;

use super::Dwarf;
use super::parallel;
use super::parts::{Part, SUPPLEMENT};
use super::sections::Sections;
use super::unit::{Die, Unit};
use super::walk::{Outer, Wanted, walk};

/// A unit that may have a name.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) part: u16,
    /// Which of the part's units.
    pub(super) unit: usize,
    /// Bytes of the part that look like the name or a reference to it, in order.
    positions: Vec<u32>,
    /// Whether it has the name by its number, which can be anywhere in it.
    anywhere: bool,
}

impl Hit {
    /// Calls `each` with the entries that may have the name.
    pub(super) fn walk<'a>(
        &self,
        unit: &Unit<'a>,
        each: &mut dyn FnMut(&Die<'a>, &[Outer]),
    ) {
        let wanted = match self.anywhere {
            true => Wanted::Tagged(has_name),
            false => Wanted::At(&self.positions),
        };
        walk(unit, wanted, each);
    }
}

/// Whether names of such entries are looked for.
fn has_name(tag: DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_variable
            | dw::DW_TAG_member
            | dw::DW_TAG_constant
            | dw::DW_TAG_formal_parameter
            | dw::DW_TAG_subprogram
            | dw::DW_TAG_structure_type
            | dw::DW_TAG_class_type
            | dw::DW_TAG_union_type
            | dw::DW_TAG_enumeration_type
            | dw::DW_TAG_typedef
            | dw::DW_TAG_base_type
            | dw::DW_TAG_unspecified_type
            | dw::DW_TAG_enumerator
    )
}

impl Dwarf {
    /// The units that may have `name`, in the order of the parts.
    pub(super) fn hits(&self, name: &[u8]) -> Vec<Hit> {
        if name.is_empty() || name.contains(&0) {
            return Vec::new();
        }
        let text = [name, b"\0"].concat();
        let supplement = self.part(SUPPLEMENT);
        let others = supplement.map_or_else(Vec::new, |part| string_places(part, &text));
        let mut hits = Vec::new();
        for (number, part) in self.parts() {
            let mut strings = string_places(part, &text);
            let numbered = self.numbered(number, part, &strings);
            if !part.dwo && number != SUPPLEMENT {
                strings.extend(&others);
            }
            let needles = Needles::new(strings, &[&text]);
            let positions = needles.search(part.bytes(), &part.sections);
            hits.extend(by_unit(number, part, &positions, &numbered));
        }
        hits
    }

    /// The units that may refer to entries of a part from another unit.
    pub(super) fn references(&self, part: u16, offsets: Vec<u32>) -> Vec<Hit> {
        let mut hits = Vec::new();
        let needles = Needles::new(offsets, &[]);
        for (number, other) in self.parts() {
            let may = number == part || part == SUPPLEMENT && !other.dwo;
            if may {
                let positions = needles.search(other.bytes(), &other.sections);
                hits.extend(by_unit(number, other, &positions, &[]));
            }
        }
        hits
    }

    /// The units that have one of these strings by its number (DWARF 5, and split
    /// DWARF).
    fn numbered(&self, number: u16, part: &Part, strings: &[u32]) -> Vec<usize> {
        let section = part.sections.slice(SectionId::DebugStrOffsets, part.dwo);
        if section.is_empty() || strings.is_empty() {
            return Vec::new();
        }
        let needles = Needles::new(strings.to_vec(), &[]);
        let positions = needles.search(section.slice(), &part.sections);
        if positions.is_empty() {
            return Vec::new();
        }
        let tables = part.string_tables.get_or_init(|| {
            let units: Vec<usize> = (0..part.units().all.len()).collect();
            parallel::map(&units, |&unit| self.string_table(number, part, unit))
        });
        let has = |table: &&(usize, Range<usize>)| {
            let from = positions.partition_point(|&at| (at as usize) < table.1.start);
            let inside = positions[from..].iter().map(|&at| at as usize);
            let mut inside = inside.take_while(|at| *at < table.1.end);
            inside.any(|at| (at - table.1.start).is_multiple_of(4))
        };
        let tables = tables.iter().cloned().enumerate().collect::<Vec<_>>();
        tables.iter().filter(has).map(|(unit, _)| *unit).collect()
    }

    /// Where a unit's table of strings is in the part's section of them.
    fn string_table(&self, number: u16, part: &Part, unit: usize) -> Range<usize> {
        let Some(unit) = self.unit_unkept(number, unit) else { return 0..0 };
        let all = part.sections.slice(SectionId::DebugStrOffsets, part.dwo);
        let own = *unit.view.debug_str_offsets.reader();
        let base = unit.facts.str_offsets_base.0;
        if own.is_empty() || base > own.len() || !part.dwo && unit.at.version < 5 {
            return 0..0;
        }
        let start = own.offset_from(all) + base;
        // A table begins with its length, which counts from the version on.
        let length = start.checked_sub(8).filter(|_| unit.at.version >= 5);
        let length = length.and_then(|at| all.slice().get(at..at + 4)?.try_into().ok());
        let end = length.map_or(usize::MAX, |length: [u8; 4]| {
            (start - 4).saturating_add(u32::from_le_bytes(length) as usize)
        });
        start..end.min(own.offset_from(all) + own.len())
    }
}

/// Where a text that ends with a zero is in a part's strings.
///
/// Linkers let a string begin within another that ends alike; then each such end is a
/// candidate. Where the text stands alone, that is the one.
fn string_places(part: &Part, text: &[u8]) -> Vec<u32> {
    let strings = part.sections.slice(SectionId::DebugStr, part.dwo).slice();
    let strings = &strings[..strings.len().min(u32::MAX as usize)];
    let places = Needles::new(Vec::new(), &[text]).search(strings, &part.sections);
    let alone = |&&at: &&u32| at == 0 || strings[at as usize - 1] == 0;
    let exact: Vec<u32> = places.iter().filter(alone).copied().collect();
    if exact.is_empty() { places } else { exact }
}

fn by_unit(number: u16, part: &Part, positions: &[u32], numbered: &[usize]) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    let hit = |unit, positions, anywhere| Hit { part: number, unit, positions, anywhere };
    hits.extend(numbered.iter().map(|&unit| hit(unit, Vec::new(), true)));
    let mut rest = positions;
    while let Some(&first) = rest.first() {
        let Some(unit) = part.unit_at(first) else { break };
        let end = part.units().all[unit].end;
        let (own, others) = rest.split_at(rest.partition_point(|&at| at < end));
        rest = others;
        if !numbered.contains(&unit) {
            hits.push(hit(unit, own.to_vec(), false));
        }
    }
    hits.sort_by_key(|hit| hit.unit);
    hits
}

/// So many needles are searched for one after the other; more at once, byte by byte.
const FINDERS_MAX: usize = 12;

/// What is searched for.
enum Needles {
    Few(Vec<Finder<'static>>),
    Many {
        /// Sorted.
        words: Vec<u32>,
        /// Which lower halves of words there are.
        halves: Vec<bool>,
        texts: Vec<Finder<'static>>,
    },
}

impl Needles {
    /// Words of four bytes, and texts.
    fn new(mut words: Vec<u32>, texts: &[&[u8]]) -> Self {
        words.sort_unstable();
        words.dedup();
        let finder = |bytes: &[u8]| Finder::new(bytes).into_owned();
        let texts: Vec<_> = texts.iter().map(|text| finder(text)).collect();
        if words.len() <= FINDERS_MAX {
            let words = words.iter().map(|word| finder(&word.to_le_bytes()));
            return Needles::Few(texts.into_iter().chain(words).collect());
        }
        let mut halves = vec![false; 1 << 16];
        for word in &words {
            halves[(word & 0xffff) as usize] = true;
        }
        Needles::Many { words, halves, texts }
    }

    /// Where they are, in order.
    fn search(&self, bytes: &[u8], sections: &Sections) -> Vec<u32> {
        let ranges: Vec<_> = (0..bytes.len()).step_by(BLOCK).collect();
        let found = parallel::map(&ranges, |&start| {
            let mut found = Vec::new();
            self.search_block(bytes, start, &mut found);
            sections.forget(&bytes[start..(start + BLOCK).min(bytes.len())]);
            found.sort_unstable();
            found
        });
        found.concat()
    }

    /// Those that begin in the block at `start`.
    fn search_block(&self, bytes: &[u8], start: usize, found: &mut Vec<u32>) {
        let mut run = |finder: &Finder<'_>| {
            let more = finder.needle().len() - 1;
            let end = (start + BLOCK + more).min(bytes.len());
            let mut from = start;
            // They may overlap.
            while let Some(at) = finder.find(&bytes[from..end]) {
                found.push((from + at) as u32);
                from += at + 1;
            }
        };
        match self {
            Needles::Few(finders) => finders.iter().for_each(run),
            Needles::Many { words, halves, texts } => {
                texts.iter().for_each(&mut run);
                let end = (start + BLOCK + 3).min(bytes.len());
                for (at, word) in bytes[start..end].windows(4).enumerate() {
                    let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                    if halves[(word & 0xffff) as usize]
                        && words.binary_search(&word).is_ok()
                    {
                        found.push((start + at) as u32);
                    }
                }
            }
        }
    }
}

/// Bytes searched in one go.
const BLOCK: usize = 1 << 20;
