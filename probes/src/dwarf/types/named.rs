//! Types and constants of enumerations by name.

use gimli::DwTag;
use gimli::constants as dw;

use super::enumeration;
use crate::dwarf::Dwarf;
use crate::dwarf::parts::{BUILTIN, Entry};
use crate::dwarf::path::{ORIGINS_MAX, Query};
use crate::dwarf::unit::{Die, flag};
use crate::types::TypeId;
use crate::types::builtin;

/// Whether entries with a tag are looked for.
type Fits = fn(DwTag) -> bool;

/// The words that say of which kind a type is.
const KEYWORDS: [(&str, Fits); 4] = [
    ("struct", is_class),
    ("class", is_class),
    ("union", |tag| tag == dw::DW_TAG_union_type),
    ("enum", |tag| tag == dw::DW_TAG_enumeration_type),
];

/// C++ lets a class be declared as a structure, and the other way round.
fn is_class(tag: DwTag) -> bool {
    matches!(tag, dw::DW_TAG_structure_type | dw::DW_TAG_class_type)
}

fn is_type(tag: DwTag) -> bool {
    is_class(tag)
        || matches!(
            tag,
            dw::DW_TAG_union_type
                | dw::DW_TAG_enumeration_type
                | dw::DW_TAG_typedef
                | dw::DW_TAG_base_type
                | dw::DW_TAG_interface_type
                | dw::DW_TAG_pointer_type
        )
}

impl Dwarf {
    pub(in crate::dwarf) fn type_named(&self, name: &str) -> Option<TypeId> {
        let words: Vec<&str> = name.split_whitespace().collect();
        let qualifier = |word: &&str| !matches!(*word, "const" | "volatile");
        let words: Vec<&str> = words.into_iter().filter(qualifier).collect();
        let (keyword, rest) = words.split_first()?;
        let keyword = KEYWORDS.iter().find(|(known, _)| known == keyword);
        if let Some((_, fits)) = keyword {
            return self.find_type(&rest.join(" "), *fits);
        }
        let name = words.join(" ");
        let builtin = || {
            let offset = builtin::find(&name)?;
            Some(Entry { part: BUILTIN, offset }.type_id(self.source))
        };
        if builtin::is_plain_c(&name) {
            return builtin();
        }
        self.find_type(&name, is_type).or_else(builtin)
    }

    /// The definition of what an entry with this tag declares.
    pub(super) fn definition_named(&self, tag: DwTag, name: &str) -> Option<TypeId> {
        let (_, fits) = KEYWORDS.iter().find(|(_, fits)| fits(tag))?;
        self.find_type(name, *fits)
    }

    /// The first definition of a type.
    fn find_type(&self, name: &str, fits: Fits) -> Option<TypeId> {
        let kind = KEYWORDS.iter().find(|(_, known)| std::ptr::fn_addr_eq(*known, fits));
        let key = format!("{} {name}", kind.map_or("", |(keyword, _)| keyword));
        if let Some(known) = self.names.get(&key) {
            return known;
        }
        let query = Query::new(name);
        let definition =
            |die: &Die<'_>| fits(die.tag()) && !flag(die, dw::DW_AT_declaration);
        let entry = self.first(&query, definition);
        let id = entry.map(|(entry, _)| entry.type_id(self.source));
        self.names.insert(key, id);
        id
    }

    pub(in crate::dwarf) fn find_constant(&self, name: &str) -> Option<i64> {
        let query = Query::new(name);
        let (entry, _) = self.first(&query, |die| die.tag() == dw::DW_TAG_enumerator)?;
        enumeration::constant(&self.unit_of(entry)?.die(entry.offset)?)
    }

    /// The first entry that fits, with its name: one whose whole name is looked for,
    /// or else one whose name ends so. C's `struct conn` is not the `bindings::conn` that
    /// stands for it in another language.
    fn first(
        &self,
        query: &Query<'_>,
        fits: impl Fn(&Die<'_>) -> bool,
    ) -> Option<(Entry, String)> {
        let mut ends_so = None;
        for hit in self.hits(query.last.as_bytes()) {
            let Some(unit) = self.unit(hit.part, hit.unit) else { continue };
            let mut whole = None;
            hit.walk(&unit, &mut |die, outer| {
                if !fits(die) || unit.name(die) != Some(query.last.as_bytes()) {
                    return;
                }
                let path = unit.path(die, outer, ORIGINS_MAX);
                let place = if path.is(query) { &mut whole } else { &mut ends_so };
                if place.is_none() && path.fits(query) {
                    *place = Some((unit.entry(die.offset()), path.text()));
                }
            });
            if whole.is_some() {
                return whole;
            }
        }
        ends_so
    }
}
