//! Variables by name.

use std::collections::{HashMap, HashSet};

use gimli::constants as dw;

use super::Dwarf;
use super::find::Hit;
use super::parallel;
use super::parts::Entry;
use super::path::{ORIGINS_MAX, Path, Query};
use super::place::Location;
use super::unit::{Die, Unit, flag};
use super::walk::{Outer, Wanted, walk};
use crate::types::{Line, Place, Variable};

/// What Rust calls the variable behind each `thread_local!`, within namespaces that
/// end with the name that its programmer gave it.
const THREAD_LOCAL: &str = "__RUST_STD_INTERNAL_VAL";

/// Locals of one name, in different functions, that are told of.
const LOCALS_MAX: usize = 64;

/// Units that are searched for locals in one go.
const LOCALS_BATCH: usize = 16;

/// An entry that has the name that is looked for.
#[derive(Clone, Debug)]
pub(super) struct Found {
    entry: Entry,
    path: Path,
    ty: Option<Entry>,
    location: Location,
    /// Whether it is inside of a function.
    inside: bool,
    /// Whether it only says that there is such a variable.
    declaration: bool,
    declared: Option<Line>,
}

/// What refers to an entry, and so completes it.
struct Completion {
    of: Entry,
    ty: Option<Entry>,
    location: Location,
    declared: Option<Line>,
}

impl Dwarf {
    /// The variables that `name` can mean: those that lie somewhere; else what is known of
    /// why they do not.
    pub(super) fn find_variables(&self, name: &str) -> Vec<Variable> {
        let query = Query::new(name);
        let mut found = self.found_called(query.last, &query);
        if found.is_empty() {
            found = self.found_called(THREAD_LOCAL, &query);
        }
        let placed = |found: &[Found]| found.iter().any(Found::is_placed);
        if !placed(&found) {
            self.complete(&mut found);
        }
        self.choose(found)
    }

    fn found_called(&self, name: &str, query: &Query<'_>) -> Vec<Found> {
        let hits = self.hits(name.as_bytes());
        let search = |locals| move |hit: &Hit| self.found_in(hit, name, query, locals);
        let mut found = parallel::map(&hits, search(false)).concat();
        // Locals of that name may be in every function: they are looked at only
        // where there is nothing else, and only so many.
        let mut rest = hits.chunks(LOCALS_BATCH);
        if found.is_empty() {
            while found.len() < LOCALS_MAX
                && let Some(batch) = rest.next()
            {
                found.extend(parallel::map(batch, search(true)).concat());
            }
        }
        found
    }

    /// The entries of one unit that have the name, each completed from within the
    /// unit.
    fn found_in(
        &self,
        hit: &Hit,
        name: &str,
        query: &Query<'_>,
        locals: bool,
    ) -> Vec<Found> {
        let mut all = Vec::new();
        let Some(unit) = self.unit(hit.part, hit.unit) else { return all };
        hit.walk(&unit, &mut |die, outer| {
            if is_variable(die)
                && unit.is_called(die, name, query)
                && (locals || !is_inside(outer) || unit.is_placed(die))
            {
                let found = unit.found(die, outer);
                let raw = unit.linkage_name(die) == Some(query.whole.as_bytes());
                if raw || found.path.fits(query) {
                    all.push(found);
                }
            }
        });
        if all.iter().any(|found| found.location == Location::Unsaid) {
            let mut completions = Vec::new();
            walk(&unit, Wanted::Tagged(is_data), &mut |die, _| {
                completions.extend(unit.completion(die));
            });
            apply(&mut all, completions);
        }
        all
    }

    /// Completes entries from other units, as link-time optimization and dwz leave
    /// them.
    fn complete(&self, found: &mut [Found]) {
        let mut open: Vec<Entry> = found.iter().map(|found| found.entry).collect();
        open.sort_unstable();
        let mut completions = Vec::new();
        for part in open.chunk_by(|a, b| a.part == b.part) {
            let offsets = part.iter().map(|entry| entry.offset).collect();
            let hits = self.references(part[0].part, offsets);
            let more = parallel::map(&hits, |hit| self.completions_in(hit, part));
            completions.extend(more.into_iter().flatten());
        }
        apply(found, completions);
    }

    fn completions_in(&self, hit: &Hit, of: &[Entry]) -> Vec<Completion> {
        let mut all = Vec::new();
        if let Some(unit) = self.unit(hit.part, hit.unit) {
            hit.walk(&unit, &mut |die, _| {
                let completion = unit.completion(die).filter(|_| is_data(die.tag()));
                let wanted = |found: &Completion| of.binary_search(&found.of).is_ok();
                all.extend(completion.filter(wanted));
            });
        }
        all
    }

    /// One of each, those that lie somewhere first.
    fn choose(&self, mut found: Vec<Found>) -> Vec<Variable> {
        found.retain(|found| found.location != Location::Discarded);
        self.drop_twins(&mut found);
        let best = found.iter().map(Found::rank).min().unwrap_or(0);
        // Next to what lies somewhere, what lies nowhere may still be what is meant.
        found.retain(|found| found.rank() <= best.max(1));
        found.sort_by_key(|found| (found.rank(), found.entry));
        if best == Found::LOCAL {
            found.truncate(LOCALS_MAX);
        }
        let placed = |found: &Found| (found.path.text(), found.declared.clone());
        let named: HashSet<_> =
            found.iter().filter(|found| found.is_placed()).map(placed).collect();
        let mut variables = Vec::new();
        let mut seen = HashSet::new();
        for found in found {
            let (name, declared) = placed(&found);
            let same = match found.is_placed() {
                true => (name, None, Some(found.place())),
                false if named.contains(&(name.clone(), declared.clone())) => continue,
                false => (name, declared, None),
            };
            if seen.insert(same) {
                variables.push(self.variable(found));
            }
        }
        variables
    }

    /// Of a thread-local that Rust makes in two ways the linker keeps one, and says of
    /// the other that it is at 0, where one may well be. Only the one that is kept has a
    /// symbol.
    fn drop_twins(&self, found: &mut Vec<Found>) {
        let local = |found: &&Found| matches!(found.place(), Place::ThreadLocal(_));
        if found.iter().filter(local).count() < 2 {
            return;
        }
        let kept =
            found.iter().filter(local).filter(|found| self.has_symbol(found.entry));
        let kept: HashMap<_, _> =
            kept.map(|found| (found.path.text(), found.entry)).collect();
        found.retain(|found| {
            let twin = kept.get(&found.path.text()).filter(|_| local(&found));
            twin.is_none_or(|kept| *kept == found.entry || self.has_symbol(found.entry))
        });
    }

    fn has_symbol(&self, entry: Entry) -> bool {
        let unit = self.unit_of(entry);
        let name = unit.as_ref().and_then(|unit| {
            let name = unit.linkage_name(&unit.die(entry.offset)?)?;
            std::str::from_utf8(name).ok()
        });
        name.is_some_and(|name| self.elf.search_raw_data(name).is_some())
    }

    pub(super) fn variable(&self, found: Found) -> Variable {
        Variable {
            name: found.path.text(),
            ty: self.type_id(found.ty),
            place: found.place(),
            declared: found.declared,
        }
    }
}

impl Found {
    /// The rank of a local variable.
    const LOCAL: u8 = 3;

    fn is_placed(&self) -> bool {
        self.rank() == 0
    }

    /// The less, the more it is what somebody looks for.
    fn rank(&self) -> u8 {
        match self.place() {
            Place::Fixed(_) | Place::ThreadLocal(_) => 0,
            _ if self.inside => Self::LOCAL,
            Place::OptimizedOut => 1,
            Place::Elsewhere => 2,
        }
    }

    fn place(&self) -> Place {
        match self.location {
            Location::At(place) => place,
            _ if self.declaration => Place::Elsewhere,
            _ => Place::OptimizedOut,
        }
    }
}

fn apply(found: &mut [Found], completions: Vec<Completion>) {
    let mut by_entry: HashMap<Entry, Completion> = HashMap::new();
    for completion in completions {
        let known = by_entry.get(&completion.of);
        let better = |known: &Completion| !matches!(known.location, Location::At(_));
        if known.is_none_or(better) {
            by_entry.insert(completion.of, completion);
        }
    }
    for found in found.iter_mut().filter(|found| found.location == Location::Unsaid) {
        if let Some(completion) = by_entry.get(&found.entry) {
            found.location = completion.location;
            found.declaration &= completion.location == Location::Unsaid;
            found.ty = completion.ty.or(found.ty);
            found.declared = completion.declared.clone().or(found.declared.take());
        }
    }
}

/// Whether variables have such entries.
pub(super) fn is_data(tag: gimli::DwTag) -> bool {
    tag == dw::DW_TAG_variable
}

/// Is it a variable, parameter, or static member of a class?
fn is_variable(die: &Die<'_>) -> bool {
    match die.tag() {
        dw::DW_TAG_variable | dw::DW_TAG_formal_parameter | dw::DW_TAG_constant => true,
        dw::DW_TAG_member => is_static(die),
        _ => false,
    }
}

/// Of a member: is it one of the class, and not of each object? Before DWARF 5 only
/// this says so.
pub(super) fn is_static(die: &Die<'_>) -> bool {
    flag(die, dw::DW_AT_external) || flag(die, dw::DW_AT_declaration)
}

impl<'a> Unit<'a> {
    fn is_placed(&self, die: &Die<'a>) -> bool {
        let location = self.location(die);
        matches!(location, Location::At(Place::Fixed(_) | Place::ThreadLocal(_)))
    }

    /// Has the entry the name, for itself or for the linker?
    pub(super) fn is_called(&self, die: &Die<'a>, name: &str, query: &Query<'_>) -> bool {
        self.name(die) == Some(name.as_bytes())
            || self.linkage_name(die) == Some(query.whole.as_bytes())
    }

    pub(super) fn found(&self, die: &Die<'a>, outer: &[Outer]) -> Found {
        Found {
            entry: self.entry(die.offset()),
            path: self.path(die, outer, ORIGINS_MAX).without_within(THREAD_LOCAL),
            ty: self.type_of(die),
            location: self.location(die),
            inside: is_inside(outer),
            declaration: die.tag() == dw::DW_TAG_member
                || flag(die, dw::DW_AT_declaration),
            declared: self.declared(die),
        }
    }

    /// The type that an entry says it has, or what it completes.
    pub(super) fn type_of(&self, die: &Die<'a>) -> Option<Entry> {
        self.inherited(die, &|unit, die| unit.reference(die, dw::DW_AT_type))
    }

    fn completion(&self, die: &Die<'a>) -> Option<Completion> {
        Some(Completion {
            of: self.origin(die)?,
            ty: self.reference(die, dw::DW_AT_type),
            location: self.location(die),
            declared: self.declared(die),
        })
    }
}

/// Is what is within these in a function?
fn is_inside(outer: &[Outer]) -> bool {
    outer.iter().any(|outer| is_function(outer.tag))
}

/// Is it a function, or a copy of one within another?
pub(super) fn is_function(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_subprogram
            | dw::DW_TAG_inlined_subroutine
            | dw::DW_TAG_lexical_block
            | dw::DW_TAG_entry_point
    )
}
