//! The whole names of entries: with namespaces, classes and functions.

use gimli::constants as dw;

use super::Dwarf;
use super::parts::Entry;
use super::unit::{Die, NAME_MAX, Unit, flag};
use super::walk::Outer;
use crate::symbols::demangle::last_part;

/// An entry completes one that completes one: more often it is a mistake.
pub(super) const ORIGINS_MAX: u32 = 8;

/// Parts of a name; more are a mistake.
pub(super) const DEPTH_MAX: usize = 64;

/// The name of an entry, outermost part first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: String,
    /// Whether programmers may leave it out: namespaces without a name, and
    /// inline ones; enumerations, of their constants.
    optional: bool,
}

/// A name that is looked for.
pub(super) struct Query<'q> {
    /// All of it, as a linkage name would be.
    pub(super) whole: &'q str,
    /// Its last part.
    pub(super) last: &'q str,
    /// Its parts, last first.
    parts: Vec<&'q str>,
}

impl<'q> Query<'q> {
    pub(super) fn new(whole: &'q str) -> Self {
        let mut parts = Vec::new();
        let mut rest = Some(whole);
        while let Some(text) = rest {
            let last = last_part(text);
            if !last.is_empty() {
                parts.push(last);
            }
            rest = text[..text.len() - last.len()].strip_suffix("::");
        }
        Self { whole, last: parts.first().copied().unwrap_or(""), parts }
    }
}

impl Path {
    /// The parts with `::` between them.
    pub(super) fn text(&self) -> String {
        let parts: Vec<&str> = self.0.iter().map(|part| &*part.name).collect();
        parts.join("::")
    }

    /// Is it what is looked for, by its last parts?
    pub(super) fn fits(&self, query: &Query<'_>) -> bool {
        self.before(query).is_some()
    }

    /// Is it what is looked for, by all of its parts?
    pub(super) fn is(&self, query: &Query<'_>) -> bool {
        self.before(query) == Some(0)
    }

    /// The parts before those that are looked for, without those that may be left out;
    /// none where it is not what is looked for.
    fn before(&self, query: &Query<'_>) -> Option<usize> {
        let mut parts = self.0.iter().rev();
        for wanted in &query.parts {
            let mut next = parts
                .by_ref()
                .skip_while(|part| part.optional && !same(&part.name, wanted));
            next.next().filter(|part| same(&part.name, wanted))?;
        }
        Some(parts.filter(|part| !part.optional).count())
    }

    /// Without a last part `inner` and the closures and constants (`{closure#0}`) that
    /// it is in.
    pub(super) fn without_within(mut self, inner: &str) -> Self {
        if self.0.last().is_some_and(|part| part.name == inner) {
            self.0.pop();
            while self.0.last().is_some_and(|part| part.name.starts_with('{')) {
                self.0.pop();
            }
        }
        self
    }

    fn push(&mut self, name: &[u8], optional: bool) {
        let length: usize = self.0.iter().map(|part| part.name.len()).sum();
        let name = &name[..name.len().min(NAME_MAX.saturating_sub(length))];
        let name = String::from_utf8_lossy(name).into_owned();
        self.0.push(Part { name, optional });
    }
}

/// Compares parts: without blanks, and a function with parameters is the one
/// without.
fn same(name: &str, wanted: &str) -> bool {
    let wanted = match wanted.find('(') {
        Some(at) if at > 0 && !name.contains('(') => &wanted[..at],
        _ => wanted,
    };
    let chars = |text: &'_ str| text.chars().filter(|c| *c != ' ').collect::<String>();
    name == wanted || name.len() >= wanted.len() / 2 && chars(name) == chars(wanted)
}

impl Dwarf {
    /// The path of an entry somewhere.
    pub(super) fn path_of(&self, entry: Entry, origins: u32) -> Option<Path> {
        let unit = self.unit_of(entry)?;
        let die = unit.die(entry.offset)?;
        Some(unit.path(&die, &unit.scopes().around(entry.offset), origins))
    }
}

impl<'a> Unit<'a> {
    /// The path of an entry, given what is around it.
    pub(super) fn path(&self, die: &Die<'a>, outer: &[Outer], origins: u32) -> Path {
        let Some(left) = origins.checked_sub(1) else { return Path::default() };
        let name = self.name(die);
        if let Some(origin) = self.origin(die)
            && let Some(path) = self.dwarf.path_of(origin, left)
        {
            return path;
        }
        let mut path = self.around(outer, left);
        if let Some(name) = name {
            path.push(name, false);
        }
        path
    }

    /// What an entry says of itself, or else what it completes says.
    pub(super) fn inherited<T>(
        &self,
        die: &Die<'a>,
        read: &dyn Fn(&Unit<'a>, &Die<'a>) -> Option<T>,
    ) -> Option<T> {
        let mut result = read(self, die);
        let mut next = self.origin(die);
        for _ in 0..ORIGINS_MAX {
            if result.is_some() {
                break;
            }
            let entry = next?;
            let unit = self.dwarf.unit_of(entry)?;
            let die = unit.die(entry.offset)?;
            result = read(&unit, &die);
            next = unit.origin(&die);
        }
        result
    }

    /// The path of what is around an entry.
    pub(super) fn around(&self, outer: &[Outer], origins: u32) -> Path {
        // What is within a function or class that is declared elsewhere has the path
        // of that.
        let mut path = Path::default();
        let outer = &outer[outer.len().saturating_sub(DEPTH_MAX)..];
        let mut inner = outer;
        for (index, around) in outer.iter().enumerate().rev() {
            if is_transparent(around.tag) {
                continue;
            }
            if let Some(die) = self.die(around.offset)
                && let Some(origin) = self.origin(&die)
                && let Some(origin) = self.dwarf.path_of(origin, origins)
            {
                path = origin;
                if let Some(last) = path.0.last_mut() {
                    last.optional = is_optional(&die);
                }
                inner = &outer[index + 1..];
                break;
            }
        }
        for around in inner.iter().filter(|around| !is_transparent(around.tag)) {
            if let Some(die) = self.die(around.offset) {
                self.push_part(&mut path, &die);
            }
        }
        path
    }

    fn push_part(&self, path: &mut Path, die: &Die<'a>) {
        match self.name(die) {
            Some(name) => path.push(name, is_optional(die)),
            None if die.tag() == dw::DW_TAG_namespace => {
                path.push(b"(anonymous namespace)", true);
            }
            None => {}
        }
    }
}

/// May programmers leave it out, though it has a name?
fn is_optional(die: &Die<'_>) -> bool {
    match die.tag() {
        dw::DW_TAG_namespace => flag(die, dw::DW_AT_export_symbols),
        dw::DW_TAG_enumeration_type => !flag(die, dw::DW_AT_enum_class),
        _ => false,
    }
}

/// Is it no part of a name?
fn is_transparent(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        dw::DW_TAG_compile_unit
            | dw::DW_TAG_partial_unit
            | dw::DW_TAG_type_unit
            | dw::DW_TAG_skeleton_unit
            | dw::DW_TAG_lexical_block
            | dw::DW_TAG_try_block
            | dw::DW_TAG_catch_block
            | dw::DW_TAG_variant_part
            | dw::DW_TAG_variant
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(parts: &[(&str, bool)]) -> Path {
        let part =
            |&(name, optional): &(&str, bool)| Part { name: name.into(), optional };
        Path(parts.iter().map(part).collect())
    }

    #[test]
    fn last_parts_fit() {
        let found =
            path(&[("app", false), ("v1", true), ("Grid<int, 3>", false), ("n", false)]);
        assert_eq!(found.text(), "app::v1::Grid<int, 3>::n");
        for wanted in [
            "n",
            "Grid<int,3>::n",
            "v1::Grid<int, 3>::n",
            "app::v1::Grid<int, 3>::n",
            "app::Grid<int, 3>::n",
            "::app::Grid<int, 3>::n",
        ] {
            assert!(found.fits(&Query::new(wanted)), "{wanted}");
        }
        for wanted in ["m", "Grid<int>::n", "app::n", "x::app::v1::Grid<int, 3>::n"] {
            assert!(!found.fits(&Query::new(wanted)), "{wanted}");
        }
    }

    #[test]
    fn functions_fit_with_and_without_parameters() {
        let found = path(&[("next", false), ("count", false)]);
        assert!(found.fits(&Query::new("next(int)::count")));
        assert!(!found.fits(&Query::new("prev(int)::count")));
        let found = path(&[("(anonymous namespace)", true), ("n", false)]);
        assert!(found.fits(&Query::new("(anonymous namespace)::n")));
    }
}
