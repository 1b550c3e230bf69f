//! Parameters and local variables of functions, with where they are.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use gimli::constants as dw;
use gimli::{DwTag, LocationLists, SectionId};

use super::Dwarf;
use super::expression::{OPTIMIZED_OUT, constant};
use super::find::Hit;
use super::parallel;
use super::parts::Entry;
use super::path::{ORIGINS_MAX, Query};
use super::unit::{Die, Unit, Value, number};
use super::walk::{Outer, Wanted, walk};
use crate::address::VirtOffset;
use crate::types::{Line, TypeId};

/// Ranges of one function or variable that are told of.
const RANGES_MAX: usize = 4096;
/// Blocks within blocks that are gone into.
const DEPTH_MAX: u32 = 64;
/// A definition of a declaration, of which there is a copy: so often what refers
/// to a function is looked for.
const ROUNDS: usize = 3;

/// A function, or a copy of it within another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// Its name with its namespaces and classes.
    pub name: String,
    /// Where it is declared.
    pub declared: Option<Line>,
    /// Its code.
    pub ranges: Vec<Range<VirtOffset>>,
    /// Of a copy: what it was inlined into.
    pub inlined: Option<Inlined>,
    /// What its locals are counted from: `cfa`, the stack pointer before the call
    /// (canonical frame address), or `rbp`.
    pub frame: Option<String>,
    /// Its parameters and variables, in the order of the source.
    pub locals: Vec<Local>,
}

/// Where a function was inlined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inlined {
    /// The name of the function that it is in.
    pub into: String,
    /// Where it is called there.
    pub call: Option<Line>,
}

/// A parameter or local variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// Whether it is a parameter.
    pub parameter: bool,
    /// Where it is declared.
    pub declared: Option<Line>,
    /// The code of the block that it is in; empty where that is the function.
    pub scope: Vec<Range<VirtOffset>>,
    /// Where it is, each with the code in which it is there; no range for all of its
    /// scope. In words: `rbp-24`, `rdi`, `constant 5`, `optimized out`.
    pub places: Vec<(Option<Range<VirtOffset>>, String)>,
}

impl Dwarf {
    /// The functions called `name`, by the last parts of their paths or by their linkage
    /// names, and the copies of each within others.
    pub fn functions_named(&self, name: &str) -> Vec<Function> {
        let query = Query::new(name);
        let hits = self.hits(query.last.as_bytes());
        let found = parallel::map(&hits, |hit| self.functions_in(hit, &query));
        let mut seen = HashSet::new();
        let all = found.into_iter().flatten();
        all.filter(|function| seen.insert(function.clone())).collect()
    }

    /// The names of all functions that have code, or may have some within others, in
    /// alphabetical order.
    pub fn function_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.each_unit(&Unit::function_names, &mut |more| names.extend(more));
        names
    }

    fn functions_in(&self, hit: &Hit, query: &Query<'_>) -> Vec<Function> {
        let mut found = Vec::new();
        let Some(mut unit) = self.unit(hit.part, hit.unit) else { return found };
        let mut same = BTreeSet::new();
        hit.walk(&unit, &mut |die, outer| {
            let called = die.tag() == dw::DW_TAG_subprogram
                && unit.is_called(die, query.last, query);
            if called && unit.path(die, outer, ORIGINS_MAX).fits(query)
                || unit.linkage_name(die) == Some(query.whole.as_bytes())
            {
                same.insert(unit.entry(die.offset()));
            }
        });
        if same.is_empty() {
            return found;
        }
        unit.add_lists();
        for _ in 0..ROUNDS {
            walk(&unit, Wanted::Tagged(is_subprogram), &mut |die, _| {
                if unit.is_one_of(&same, die) {
                    same.insert(unit.entry(die.offset()));
                }
            });
        }
        walk(&unit, Wanted::Tagged(is_copy), &mut |die, outer| {
            if unit.is_one_of(&same, die) {
                found.extend(unit.function(die, outer));
            }
        });
        found
    }
}

fn is_subprogram(tag: DwTag) -> bool {
    tag == dw::DW_TAG_subprogram
}

fn is_copy(tag: DwTag) -> bool {
    is_subprogram(tag) || tag == dw::DW_TAG_inlined_subroutine
}

impl<'a> Unit<'a> {
    /// Makes lists of places readable.
    fn add_lists(&mut self) {
        let Some(part) = self.dwarf.part(self.part) else { return };
        let slice = |id| part.sections.slice(id, part.dwo);
        if !part.package {
            self.view.locations = LocationLists::new(
                slice(SectionId::DebugLoc).into(),
                slice(SectionId::DebugLocLists).into(),
            );
        }
    }

    /// Is it one of these entries, or does it complete one?
    fn is_one_of(&self, entries: &BTreeSet<Entry>, die: &Die<'a>) -> bool {
        entries.contains(&self.entry(die.offset()))
            || self.origin(die).is_some_and(|origin| entries.contains(&origin))
    }

    fn function_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        walk(self, Wanted::Tagged(is_subprogram), &mut |die, outer| {
            let code = [dw::DW_AT_low_pc, dw::DW_AT_ranges, dw::DW_AT_inline];
            if code.iter().any(|attribute| die.has_attr(*attribute)) {
                names.push(self.path(die, outer, ORIGINS_MAX).text());
            }
        });
        names
    }

    /// A function that has code.
    fn function(&self, die: &Die<'a>, outer: &[Outer]) -> Option<Function> {
        let ranges = self.ranges(die);
        if ranges.is_empty() {
            return None;
        }
        let inlined = (die.tag() == dw::DW_TAG_inlined_subroutine).then(|| Inlined {
            into: self.around(&outer[..self.enclosing(outer)], ORIGINS_MAX).text(),
            call: self.line(die, dw::DW_AT_call_file, dw::DW_AT_call_line),
        });
        let frame = self.frame(die, outer);
        let base = frame.as_deref().unwrap_or("frame");
        let mut locals = Vec::new();
        self.add_locals(die, &[], base, DEPTH_MAX, &mut locals);
        Some(Function {
            name: self.path(die, outer, ORIGINS_MAX).text(),
            declared: self.declared(die),
            ranges,
            inlined,
            frame,
            locals,
        })
    }

    /// How many of the entries around one make up the path of the function it is
    /// in.
    fn enclosing(&self, outer: &[Outer]) -> usize {
        let function = outer.iter().rposition(|outer| is_copy(outer.tag));
        function.map_or(outer.len(), |at| at + 1)
    }

    /// What the function's own frame is counted from: of a copy, that of the function
    /// that it is in.
    fn frame(&self, die: &Die<'a>, outer: &[Outer]) -> Option<String> {
        let function = match die.tag() {
            dw::DW_TAG_subprogram => None,
            _ => {
                let outer = outer.iter().rev();
                let mut outer = outer.filter(|outer| is_subprogram(outer.tag));
                Some(self.die(outer.next()?.offset)?)
            }
        };
        let function = function.as_ref().unwrap_or(die);
        match function.attr_value(dw::DW_AT_frame_base)? {
            Value::Exprloc(expression) => Some(self.written(expression, "frame")),
            _ => None,
        }
    }

    fn add_locals(
        &self,
        die: &Die<'a>,
        scope: &[Range<VirtOffset>],
        frame: &str,
        depth: u32,
        locals: &mut Vec<Local>,
    ) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let place = self.entry(die.offset()).offset;
        self.children(place, &mut |child| match child.tag() {
            dw::DW_TAG_formal_parameter | dw::DW_TAG_variable => {
                locals.extend(self.local(child, scope, frame));
            }
            dw::DW_TAG_lexical_block => {
                let inner = self.ranges(child);
                let inner = if inner.is_empty() { scope } else { &inner };
                self.add_locals(child, inner, frame, depth, locals);
            }
            _ => {}
        });
    }

    fn local(
        &self,
        die: &Die<'a>,
        scope: &[Range<VirtOffset>],
        frame: &str,
    ) -> Option<Local> {
        let name = self.inherited(die, &|unit, die| {
            unit.name(die).map(String::from_utf8_lossy).map(Cow::into_owned)
        })?;
        Some(Local {
            name,
            ty: self.dwarf.type_id(self.type_of(die)),
            parameter: die.tag() == dw::DW_TAG_formal_parameter,
            declared: self.declared(die),
            scope: scope.to_vec(),
            places: self.places(die, frame),
        })
    }

    fn places(
        &self,
        die: &Die<'a>,
        frame: &str,
    ) -> Vec<(Option<Range<VirtOffset>>, String)> {
        let Some(value) = die.attr_value(dw::DW_AT_location) else {
            return vec![(None, self.constant(die))];
        };
        if let Value::Exprloc(expression) = value {
            return vec![(None, self.written(expression, frame))];
        }
        let mut places = Vec::new();
        if let Ok(Some(mut list)) = self.view.attr_locations(&self.unit, value) {
            while let Ok(Some(entry)) = list.next() {
                let range = VirtOffset(entry.range.begin)..VirtOffset(entry.range.end);
                if range.start < range.end {
                    places.push((Some(range), self.written(entry.data, frame)));
                }
                if places.len() == RANGES_MAX {
                    break;
                }
            }
        }
        // Places that it has for no instruction at all are none.
        if places.is_empty() {
            places.push((None, OPTIMIZED_OUT.to_owned()));
        }
        places
    }

    /// The value of what is nowhere, if that is known.
    fn constant(&self, die: &Die<'a>) -> String {
        let known = match die.attr_value(dw::DW_AT_const_value) {
            Some(Value::Block(bytes)) => constant(bytes.slice()),
            Some(Value::Sdata(value)) => Some(format!("constant {value}")),
            _ => number(die, dw::DW_AT_const_value)
                .map(|value| format!("constant {value}")),
        };
        known.unwrap_or_else(|| OPTIMIZED_OUT.to_owned())
    }

    /// The code of an entry.
    fn ranges(&self, die: &Die<'a>) -> Vec<Range<VirtOffset>> {
        let mut ranges = Vec::new();
        let Some(mut all) = self.ranges_of(die) else { return ranges };
        while let Ok(Some(range)) = all.next() {
            let range = VirtOffset(range.begin)..VirtOffset(range.end);
            if range.start < range.end && self.dwarf.elf.contains(range.start) {
                ranges.push(range);
            }
            if ranges.len() == RANGES_MAX {
                break;
            }
        }
        ranges
    }
}
