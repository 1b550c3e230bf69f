//! One unit, ready to be read, and what its entries refer to.

use std::cell::OnceCell;
use std::sync::Arc;

use gimli::RangeIter;
use gimli::constants as dw;
use gimli::{
    Abbreviations, AttributeValue, DebugAbbrev, DebugAbbrevOffset, DebugAddrBase,
    DebugLocListsBase, DebugRanges, DebugRngListsBase, DebugStrOffsetsBase,
    DebuggingInformationEntry, DwLang, DwarfFileType, DwarfPackage, EndianSlice,
    LittleEndian, RangeLists, SectionId, UnitOffset, UnitType,
};

use super::parts::{Entry, INFO, Part, SUPPLEMENT, TYPES, UnitAt};
use super::sections::{Sections, Slice};
use super::{Dwarf, lines::Files};

/// An entry as gimli reads it.
pub(super) type Die<'a> = DebuggingInformationEntry<Slice<'a>>;
pub(super) type Value<'a> = AttributeValue<Slice<'a>>;

/// An entry of real programs has some 20 attributes, 30 at most.
pub(super) const ATTRIBUTES_MAX: usize = 256;

/// Longer names are cut: nobody could read them.
pub(super) const NAME_MAX: usize = 4096;
/// Members of a record, or constants of an enumeration, that are read.
const CHILDREN_MAX: usize = 1 << 15;

/// A unit, ready to be read.
pub(super) struct Unit<'a> {
    pub(super) dwarf: &'a Dwarf,
    pub(super) part: u16,
    pub(super) at: UnitAt,
    pub(super) view: gimli::Dwarf<Slice<'a>>,
    pub(super) unit: gimli::Unit<Slice<'a>>,
    pub(super) facts: Arc<Facts>,
    pub(super) files: OnceCell<Option<Arc<Files>>>,
}

/// What the first entry of a unit says, and its abbreviations: enough to read the
/// others.
#[derive(Debug)]
pub(super) struct Facts {
    abbreviations: Arc<Abbreviations>,
    pub(super) language: DwLang,
    low_pc: u64,
    pub(super) str_offsets_base: DebugStrOffsetsBase<usize>,
    addr_base: DebugAddrBase<usize>,
    loclists_base: DebugLocListsBase<usize>,
    rnglists_base: DebugRngListsBase<usize>,
    /// Where its line program is, in `.debug_line` of the program's own file.
    pub(super) line_program: Option<usize>,
    /// The folder that it was compiled in.
    pub(super) folder: Option<Box<str>>,
    /// Of a skeleton of GNU's form: what its `.dwo` file is known by.
    pub(super) dwo_id: Option<u64>,
}

impl Dwarf {
    /// The unit at `index` of a part.
    pub(super) fn unit(&self, part: u16, index: usize) -> Option<Unit<'_>> {
        let at = *self.part(part)?.units().all.get(index)?;
        let key = Entry { part, offset: at.start };
        if let Some(facts) = self.facts.get(&key) {
            return self.unit_with(part, at, facts);
        }
        let unit = self.read_unit(part, at)?;
        self.facts.insert(key, Arc::clone(&unit.facts));
        Some(unit)
    }

    /// The same, for work on all units: it is not kept.
    pub(super) fn unit_unkept(&self, part: u16, index: usize) -> Option<Unit<'_>> {
        self.read_unit(part, *self.part(part)?.units().all.get(index)?)
    }

    /// The unit that an entry is in.
    pub(super) fn unit_of(&self, entry: Entry) -> Option<Unit<'_>> {
        self.unit(entry.part, self.part(entry.part)?.unit_at(entry.offset)?)
    }

    fn unit_with(&self, number: u16, at: UnitAt, facts: Arc<Facts>) -> Option<Unit<'_>> {
        let part = self.part(number)?;
        let header = part.header(&at)?;
        let unit = gimli::Unit {
            abbreviations: Arc::clone(&facts.abbreviations),
            name: None,
            comp_dir: None,
            low_pc: facts.low_pc,
            str_offsets_base: facts.str_offsets_base,
            addr_base: facts.addr_base,
            loclists_base: facts.loclists_base,
            rnglists_base: facts.rnglists_base,
            line_program: None,
            dwo_id: None,
            header,
        };
        let view = self.view(part, &at, facts.dwo_id)?;
        Some(Unit {
            dwarf: self,
            part: number,
            at,
            view,
            unit,
            facts,
            files: OnceCell::new(),
        })
    }

    /// Reads a unit's first entry.
    fn read_unit(&self, number: u16, at: UnitAt) -> Option<Unit<'_>> {
        let part = self.part(number)?;
        let header = part.header(&at)?;
        let encoding = header.encoding();
        let kind = if part.dwo { DwarfFileType::Dwo } else { DwarfFileType::Main };
        let abbreviations = self.abbreviations(part, &at, &header)?;
        let mut facts = Facts {
            language: DwLang(0),
            low_pc: 0,
            str_offsets_base: DebugStrOffsetsBase::default_for_encoding_and_file(
                encoding, kind,
            ),
            addr_base: DebugAddrBase(0),
            loclists_base: DebugLocListsBase::default_for_encoding_and_file(
                encoding, kind,
            ),
            rnglists_base: DebugRngListsBase::default_for_encoding_and_file(
                encoding, kind,
            ),
            line_program: None,
            folder: None,
            dwo_id: None,
            abbreviations,
        };
        let root = {
            let mut cursor = header.entries(&facts.abbreviations);
            cursor.next_dfs().ok()?.cloned()?
        };
        facts.read(&root);
        if let Some(skeleton) = self.skeleton_of(part, &at, facts.dwo_id) {
            facts.take_over(&skeleton.facts, encoding.version);
        }
        let low_pc = root.attr_value(dw::DW_AT_low_pc);
        let mut unit = self.unit_with(number, at, Arc::new(facts))?;
        if let Some(folder) = unit.text(&root, dw::DW_AT_comp_dir) {
            let folder = String::from_utf8_lossy(folder).into();
            Arc::get_mut(&mut unit.facts)?.folder = Some(folder);
        }
        if let Some(value) = low_pc
            && let Ok(Some(address)) = unit.view.attr_address(&unit.unit, value)
        {
            unit.unit.low_pc = address;
            Arc::get_mut(&mut unit.facts)?.low_pc = address;
        }
        Some(unit)
    }

    fn abbreviations(
        &self,
        part: &Part,
        at: &UnitAt,
        header: &gimli::UnitHeader<Slice<'_>>,
    ) -> Option<Arc<Abbreviations>> {
        let start = header.debug_abbrev_offset();
        let section = part.sections.slice(SectionId::DebugAbbrev, part.dwo);
        if part.package {
            // Its table is in what the package's index says is the unit's.
            return self.view(part, at, None)?.abbreviations(header).ok();
        }
        let all = section.slice();
        let end = part.table_end(start.0).min(all.len());
        let table = EndianSlice::new(all.get(start.0..end)?, LittleEndian);
        let table = DebugAbbrev::from(table).abbreviations(DebugAbbrevOffset(0));
        table.ok().map(Arc::new)
    }

    /// The sections that a unit's entries refer to.
    fn view<'a>(
        &'a self,
        part: &'a Part,
        at: &UnitAt,
        dwo_id: Option<u64>,
    ) -> Option<gimli::Dwarf<Slice<'a>>> {
        let slice = |id| part.sections.slice(id, part.dwo);
        let mut view = gimli::Dwarf::default();
        if part.package {
            view = package_view(&part.sections, at, dwo_id)?;
        } else {
            view.debug_abbrev = slice(SectionId::DebugAbbrev).into();
            view.debug_str = slice(SectionId::DebugStr).into();
            view.debug_str_offsets = slice(SectionId::DebugStrOffsets).into();
        }
        if part.dwo {
            view.file_type = DwarfFileType::Dwo;
        }
        let main = self.main()?;
        view.debug_addr = main.slice(SectionId::DebugAddr, false).into();
        if !part.package {
            let lists = slice(SectionId::DebugRngLists).into();
            view.ranges = RangeLists::new(DebugRanges::default(), lists);
        }
        // Split units of GNU's form have theirs in the program's own file.
        let sections = if part.dwo { main } else { &part.sections };
        let ranges = sections.slice(SectionId::DebugRanges, false);
        view.ranges.set_debug_ranges(ranges.into());
        Some(view)
    }
}

/// The view of a unit in a `.dwp` file: what the file's index says is the unit's.
fn package_view<'a>(
    sections: &'a Sections,
    at: &UnitAt,
    dwo_id: Option<u64>,
) -> Option<gimli::Dwarf<Slice<'a>>> {
    let load = |id| Ok::<_, gimli::Error>(sections.slice(id, true));
    let package = DwarfPackage::load(load, EndianSlice::default()).ok()?;
    let none = gimli::Dwarf::default();
    let (index, id) = match at.kind {
        UnitType::SplitCompilation(id) => (&package.cu_index, id.0),
        UnitType::Type { type_signature, .. }
        | UnitType::SplitType { type_signature, .. } => {
            (&package.tu_index, type_signature.0)
        }
        _ => match dwo_id {
            Some(id) => (&package.cu_index, id),
            // GNU's form has the number in the first entry: the index says whose
            // it is by the place.
            None => return package_view_at(&package, at),
        },
    };
    let row = index.find(id)?;
    package.sections(index.sections(row).ok()?, &none).ok()
}

fn package_view_at<'a>(
    package: &DwarfPackage<Slice<'a>>,
    at: &UnitAt,
) -> Option<gimli::Dwarf<Slice<'a>>> {
    let row = (1..=package.cu_index.unit_count()).find(|&row| {
        let Ok(mut sections) = package.cu_index.sections(row) else { return false };
        sections.any(|section| {
            section.section == gimli::IndexSectionId::DebugInfo
                && section.offset == at.start
        })
    })?;
    package.cu_sections(row, &gimli::Dwarf::default()).ok()
}

impl Facts {
    fn read(&mut self, root: &Die<'_>) {
        for attribute in root.attrs() {
            match (attribute.name(), attribute.value()) {
                (dw::DW_AT_language, Value::Language(language)) => {
                    self.language = language;
                }
                (dw::DW_AT_stmt_list, Value::DebugLineRef(offset)) => {
                    self.line_program = Some(offset.0);
                }
                (_, Value::DebugStrOffsetsBase(base)) => self.str_offsets_base = base,
                (_, Value::DebugAddrBase(base)) => self.addr_base = base,
                (_, Value::DebugLocListsBase(base)) => self.loclists_base = base,
                (_, Value::DebugRngListsBase(base)) => self.rnglists_base = base,
                (dw::DW_AT_GNU_dwo_id, Value::DwoId(id)) => self.dwo_id = Some(id.0),
                _ => {}
            }
        }
    }

    /// What stands in the program's own file for a unit of a `.dwo` file.
    fn take_over(&mut self, skeleton: &Facts, version: u16) {
        self.low_pc = skeleton.low_pc;
        self.addr_base = skeleton.addr_base;
        self.line_program = skeleton.line_program;
        self.folder.clone_from(&skeleton.folder);
        if version < 5 {
            self.rnglists_base = skeleton.rnglists_base;
        }
    }
}

impl<'a> Unit<'a> {
    /// The unit's first entry, which tells of the unit itself.
    pub(super) fn root(&self) -> Option<Die<'a>> {
        let mut cursor = self.unit.entries();
        cursor.next_dfs().ok()?.cloned()
    }

    /// The entry at a place of the unit's part.
    pub(super) fn die(&self, offset: u32) -> Option<Die<'a>> {
        let within = offset.checked_sub(self.at.start)?;
        self.unit.entry(UnitOffset(within as usize)).ok()
    }

    /// Where an entry is.
    pub(super) fn entry(&self, offset: UnitOffset) -> Entry {
        let within = u32::try_from(offset.0).unwrap_or(u32::MAX);
        Entry { part: self.part, offset: self.at.start.saturating_add(within) }
    }

    /// The text of an attribute.
    pub(super) fn text(&self, die: &Die<'a>, name: gimli::DwAt) -> Option<&'a [u8]> {
        let string = |offset| self.view.debug_str.get_str(offset).ok();
        let text = match die.attr_value(name)? {
            Value::String(text) => Some(text),
            Value::DebugStrRef(offset) => string(offset),
            Value::DebugStrRefSup(offset) => {
                let supplement = &self.dwarf.part(SUPPLEMENT)?.sections;
                let strings = supplement.slice(SectionId::DebugStr, false);
                gimli::DebugStr::from(strings).get_str(offset).ok()
            }
            Value::DebugStrOffsetsIndex(index) => {
                let base = self.facts.str_offsets_base;
                let format = self.unit.encoding().format;
                let offsets = &self.view.debug_str_offsets;
                offsets.get_str_offset(format, base, index).ok().and_then(string)
            }
            Value::DebugLineStrRef(offset) => {
                let part = self.dwarf.part(self.part)?;
                let strings = part.sections.slice(SectionId::DebugLineStr, part.dwo);
                gimli::DebugLineStr::from(strings).get_str(offset).ok()
            }
            _ => None,
        };
        text.map(|text| &text.slice()[..text.len().min(NAME_MAX)])
    }

    pub(super) fn name(&self, die: &Die<'a>) -> Option<&'a [u8]> {
        self.text(die, dw::DW_AT_name).filter(|name| !name.is_empty())
    }

    pub(super) fn linkage_name(&self, die: &Die<'a>) -> Option<&'a [u8]> {
        let name = self.text(die, dw::DW_AT_linkage_name);
        name.or_else(|| self.text(die, dw::DW_AT_MIPS_linkage_name))
    }

    /// The entry that an attribute refers to.
    pub(super) fn reference(&self, die: &Die<'a>, name: gimli::DwAt) -> Option<Entry> {
        let at = |part, offset: usize| {
            Some(Entry { part, offset: u32::try_from(offset).ok()? })
        };
        match die.attr_value(name)? {
            Value::UnitRef(offset) => Some(self.entry(offset)),
            Value::DebugInfoRef(offset) => {
                let part = if self.part == TYPES { INFO } else { self.part };
                at(part, offset.0)
            }
            Value::DebugInfoRefSup(offset) => at(SUPPLEMENT, offset.0),
            Value::DebugTypesRef(signature) => self.dwarf.type_of_signature(signature.0),
            _ => None,
        }
    }

    /// The code of an entry, where it makes sense.
    pub(super) fn ranges_of(&self, die: &Die<'a>) -> Option<RangeIter<Slice<'a>>> {
        // gimli adds the length to the start without a look whether that can be.
        let start = die.attr_value(dw::DW_AT_low_pc);
        let start = start.and_then(|it| self.view.attr_address(&self.unit, it).ok()?);
        let length = die.attr_value(dw::DW_AT_high_pc).and_then(|it| it.udata_value());
        if let (Some(start), Some(length)) = (start, length) {
            start.checked_add(length)?;
        }
        self.view.die_ranges(&self.unit, die).ok()
    }

    /// What an entry completes: the declaration it defines, or what it is a copy of.
    pub(super) fn origin(&self, die: &Die<'a>) -> Option<Entry> {
        let completes = self.reference(die, dw::DW_AT_specification);
        completes.or_else(|| self.reference(die, dw::DW_AT_abstract_origin))
    }

    /// The children of an entry, in order. Stops at what cannot be read.
    pub(super) fn children(&self, entry: u32, each: &mut dyn FnMut(&Die<'a>)) {
        let Some(within) = entry.checked_sub(self.at.start) else { return };
        let mut cursor = match self.unit.entries_at_offset(UnitOffset(within as usize)) {
            Ok(cursor) => cursor,
            Err(_) => return,
        };
        let Ok(Some(parent)) = cursor.next_dfs() else { return };
        if !parent.has_children() || !matches!(cursor.next_entry(), Ok(true)) {
            return;
        }
        for _ in 0..CHILDREN_MAX {
            let die = cursor.current().filter(|die| !die.is_null());
            let Some(die) = die.filter(|die| die.attrs().len() <= ATTRIBUTES_MAX) else {
                return;
            };
            each(die);
            if !matches!(cursor.next_sibling(), Ok(Some(_))) {
                return;
            }
        }
    }
}

/// Whether an entry has an attribute that is set.
pub(super) fn flag(die: &Die<'_>, name: gimli::DwAt) -> bool {
    matches!(die.attr_value(name), Some(Value::Flag(true)))
}

/// A whole number without sign.
pub(super) fn number(die: &Die<'_>, name: gimli::DwAt) -> Option<u64> {
    die.attr(name)?.udata_value()
}
