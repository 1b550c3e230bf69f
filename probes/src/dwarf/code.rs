//! From the address of an instruction to its line and functions.

use std::sync::Arc;

use gimli::UnitType;
use gimli::constants as dw;

use super::Dwarf;
use super::parts::{Entry, INFO};
use super::path::ORIGINS_MAX;
use super::unit::{Die, Unit, number};
use super::walk::{Wanted, walk};
use crate::address::VirtOffset;
use crate::symbols::demangle;
use crate::types::Line;

/// A function that an instruction is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name, without parameters; none where that is not told.
    pub function: Option<Arc<str>>,
    /// The path of the source file as the compiler was given it: often from the
    /// folder where that ran. Of the innermost function that of the instruction, of
    /// others that of the call that was replaced by the inner one.
    pub file: Option<Arc<str>>,
    /// The line there; none where the file is not known, or the compiler made the
    /// instruction without one.
    pub line: Option<u32>,
    /// Whether its code is part of the next one's.
    pub inlined: bool,
}

impl Frame {
    /// Its file and line, where both are known.
    pub fn place(&self) -> Option<Line> {
        Some(Line { file: self.file.clone()?, line: self.line? })
    }
}

/// A function that covers an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionAt {
    /// Where it starts, or that part of it which covers the address.
    pub(crate) start: VirtOffset,
    /// The length of the part, in bytes.
    pub(crate) size: u64,
    pub(crate) name: Arc<str>,
}

/// The code of the functions of a unit, and of their copies within others.
#[derive(Debug, Default)]
pub(super) struct Spans(Vec<Span>);

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    end: u64,
    /// The entry's place in the part.
    entry: u32,
    depth: u32,
    inlined: bool,
}

/// Functions within functions that are told of; compilers stop before.
const FRAMES_MAX: usize = 64;

impl Dwarf {
    /// The line of the instruction at an address. Its file is as the compiler was
    /// given it.
    pub fn line_at(&self, address: VirtOffset) -> Option<Line> {
        let mut units = self.units_at(address.0).into_iter();
        units.find_map(|index| self.unit(INFO, index)?.line_at(address.0))
    }

    /// The functions that the instruction at an address is of, innermost first; the
    /// last one is not inlined. Empty where nothing is known.
    pub fn frames_at(&self, address: VirtOffset) -> Vec<Frame> {
        let mut units = self.units_at(address.0).into_iter();
        let frames = units.find_map(|index| self.frames_in(index, address.0));
        frames.unwrap_or_default()
    }

    /// The function, not inlined, that covers an address.
    pub(crate) fn function_at(&self, address: VirtOffset) -> Option<FunctionAt> {
        let mut units = self.units_at(address.0).into_iter();
        units.find_map(|index| {
            let unit = self.unit(INFO, index)?;
            let unit = self.whole_unit(index, &unit).unwrap_or(unit);
            let span = *unit.spans().around(address.0).last()?;
            Some(FunctionAt {
                start: VirtOffset(span.start),
                size: span.end - span.start,
                name: unit.function_name(&unit.die(span.entry)?, span.entry)?,
            })
        })
    }

    fn frames_in(&self, index: usize, address: u64) -> Option<Vec<Frame>> {
        let unit = self.unit(INFO, index)?;
        let mut line = unit.line_at(address);
        let unit = self.whole_unit(index, &unit).unwrap_or(unit);
        let mut frames = Vec::new();
        for span in unit.spans().around(address) {
            let die = unit.die(span.entry)?;
            let function = unit.function_name(&die, span.entry);
            frames.push(frame(function, line, span.inlined));
            line = unit.call(&die);
        }
        if frames.is_empty() && line.is_some() {
            frames.push(frame(None, line, false));
        }
        (!frames.is_empty()).then_some(frames)
    }

    /// The unit that one stands for whose entries are in another file.
    fn whole_unit(&self, index: usize, skeleton: &Unit<'_>) -> Option<Unit<'_>> {
        let id = match skeleton.at.kind {
            UnitType::Skeleton(id) => Some(id.0),
            _ => skeleton.facts.dwo_id,
        }?;
        for (number, part) in self.parts() {
            let mine = part.package || part.skeleton == Some(index);
            if !part.dwo || part.types || !mine {
                continue;
            }
            for (at, unit) in part.units().all.iter().enumerate() {
                let found = match unit.kind {
                    UnitType::SplitCompilation(its) => its.0 == id,
                    UnitType::Compilation => {
                        let whole = self.unit_unkept(number, at);
                        whole.is_some_and(|whole| whole.facts.dwo_id == Some(id))
                    }
                    _ => false,
                };
                if found {
                    return self.unit(number, at);
                }
            }
        }
        None
    }
}

fn frame(function: Option<Arc<str>>, line: Option<Line>, inlined: bool) -> Frame {
    let (file, line) = line.map(|line| (line.file, line.line)).unzip();
    Frame { function, file, line: line.filter(|line| *line > 0), inlined }
}

impl Spans {
    /// The innermost function at an address and those around it, up to the one that
    /// is not inlined.
    fn around(&self, address: u64) -> Vec<Span> {
        let covers = |span: &&Span| span.start <= address && address < span.end;
        let mut around: Vec<Span> = self.0.iter().filter(covers).copied().collect();
        around.sort_by_key(|span| std::cmp::Reverse(span.depth));
        let whole = around.iter().position(|span| !span.inlined);
        around.truncate(whole.map_or(0, |whole| whole + 1));
        // What is around matters more than what is within.
        let more = around.len().saturating_sub(FRAMES_MAX);
        around.drain(..more);
        around
    }
}

impl<'a> Unit<'a> {
    fn spans(&self) -> Arc<Spans> {
        let key = Entry { part: self.part, offset: self.at.start };
        if let Some(spans) = self.dwarf.spans.get(&key) {
            return spans;
        }
        let spans = Arc::new(self.read_spans());
        self.dwarf.spans.insert(key, Arc::clone(&spans));
        spans
    }

    fn read_spans(&self) -> Spans {
        let mut spans = Vec::new();
        // An entry with code has two bytes at least.
        let left = self.dwarf.ranges_left(u64::from(self.at.end - self.at.start) / 2);
        let is_function =
            |tag| matches!(tag, dw::DW_TAG_subprogram | dw::DW_TAG_inlined_subroutine);
        walk(self, Wanted::Tagged(is_function), &mut |die, outer| {
            let entry = self.entry(die.offset()).offset;
            let depth = u32::try_from(outer.len()).unwrap_or(u32::MAX);
            let inlined = die.tag() == dw::DW_TAG_inlined_subroutine;
            let code = self.code(die, &left).into_iter();
            spans.extend(code.map(|code| Span {
                start: code.start,
                end: code.end,
                entry,
                depth,
                inlined,
            }));
        });
        spans.shrink_to_fit();
        Spans(spans)
    }

    /// Where an inlined function was called.
    fn call(&self, die: &Die<'a>) -> Option<Line> {
        let file = match die.attr_value(dw::DW_AT_call_file)? {
            gimli::AttributeValue::FileIndex(index) => index,
            _ => number(die, dw::DW_AT_call_file)?,
        };
        let line = number(die, dw::DW_AT_call_line).unwrap_or(0);
        let line = u32::try_from(line).unwrap_or(0);
        Some(Line { file: self.file_name(file)?, line })
    }

    /// As the symbol table would have it; of functions that have no symbol, as the
    /// source has it.
    fn function_name(&self, die: &Die<'a>, entry: u32) -> Option<Arc<str>> {
        if let Some(linked) = self.linked_name(die, ORIGINS_MAX) {
            return Some(demangle::function_name(&linked).unwrap_or(linked).into());
        }
        let path = self.path(die, &self.scopes().around(entry), ORIGINS_MAX);
        let text = path.text();
        (!text.is_empty()).then(|| text.into())
    }

    /// The linkage name of an entry, or of what it completes.
    fn linked_name(&self, die: &Die<'a>, origins: u32) -> Option<String> {
        if let Some(name) = self.linkage_name(die) {
            return Some(String::from_utf8_lossy(name).into_owned());
        }
        let left = origins.checked_sub(1)?;
        let origin = self.origin(die)?;
        let unit = self.dwarf.unit_of(origin)?;
        let die = unit.die(origin.offset)?;
        unit.linked_name(&die, left)
    }
}
