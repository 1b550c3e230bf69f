//! Types, read into the model of [`crate::types`].

use std::collections::HashMap;
use std::sync::Arc;

use gimli::UnitType;
use gimli::constants as dw;

use super::Dwarf;
use super::parts::{BUILTIN, Entry};
use super::path::ORIGINS_MAX;
use super::unit::{Die, Unit, flag, number};
use crate::types::{Type, TypeId};

mod array;
mod base;
mod enumeration;
mod named;
mod record;

/// Types that have a unit of their own, by their signatures.
pub(super) type Signatures = HashMap<u64, Entry>;

/// `const volatile` and the like, more of them than anybody writes.
const QUALIFIERS_MAX: u32 = 16;

impl Dwarf {
    pub(super) fn read_type(&self, entry: Entry) -> Arc<Type> {
        if entry.part == BUILTIN {
            return Arc::new(crate::types::builtin::get(entry.offset));
        }
        if entry.offset == 0 {
            return Arc::new(Type::Void);
        }
        if let Some(known) = self.types.get(&entry) {
            return known;
        }
        let ty = Arc::new(self.make_type(entry).unwrap_or(Type::Void));
        self.types.insert(entry, Arc::clone(&ty));
        ty
    }

    fn make_type(&self, entry: Entry) -> Option<Type> {
        let (unit, die) = self.unqualified(entry)?;
        // A type in a unit of its own leaves an entry with its signature alone.
        let elsewhere = die.attr_value(dw::DW_AT_signature).is_some();
        if (flag(&die, dw::DW_AT_declaration) || elsewhere)
            && let Some(definition) = self.definition(&unit, &die)
        {
            let unit = self.unit_of(definition)?;
            return unit.make_type(&unit.die(definition.offset)?);
        }
        unit.make_type(&die)
    }

    /// The entry behind `const` and its like, with its unit.
    fn unqualified(&self, entry: Entry) -> Option<(Unit<'_>, Die<'_>)> {
        let mut entry = entry;
        for _ in 0..QUALIFIERS_MAX {
            let unit = self.unit_of(entry)?;
            let die = unit.die(entry.offset)?;
            let qualifies = matches!(
                die.tag(),
                dw::DW_TAG_const_type
                    | dw::DW_TAG_volatile_type
                    | dw::DW_TAG_restrict_type
                    | dw::DW_TAG_atomic_type
                    | dw::DW_TAG_immutable_type
                    | dw::DW_TAG_packed_type
                    | dw::DW_TAG_shared_type
            );
            if !qualifies {
                return Some((unit, die));
            }
            entry = unit.reference(&die, dw::DW_AT_type)?;
        }
        None
    }

    /// The definition of a type that is only declared.
    fn definition<'a>(&'a self, unit: &Unit<'a>, die: &Die<'a>) -> Option<Entry> {
        if let Some(entry) = unit.reference(die, dw::DW_AT_signature) {
            return Some(entry);
        }
        let path = unit.path(die, &unit.scopes().around(unit.place(die)), ORIGINS_MAX);
        let id = self.definition_named(die.tag(), &path.text())?;
        Some(Entry::of_type(id)).filter(|entry| entry.part != BUILTIN)
    }

    /// The type with a signature.
    pub(super) fn type_of_signature(&self, signature: u64) -> Option<Entry> {
        let signatures = self.signatures.get_or_init(|| self.read_signatures());
        signatures.get(&signature).copied()
    }

    fn read_signatures(&self) -> Signatures {
        let mut signatures = Signatures::new();
        for (number, part) in self.parts() {
            for unit in &part.units().all {
                let (UnitType::Type { type_signature, type_offset }
                | UnitType::SplitType { type_signature, type_offset }) = unit.kind
                else {
                    continue;
                };
                let within = u32::try_from(type_offset.0).ok();
                let offset = within.and_then(|within| unit.start.checked_add(within));
                if let Some(offset) = offset {
                    let entry = Entry { part: number, offset };
                    signatures.entry(type_signature.0).or_insert(entry);
                }
            }
        }
        signatures
    }

    /// The entry behind aliases, with its unit. Types within types ask this of one
    /// another, because it reads no more than entries.
    fn unaliased(&self, entry: Entry) -> Option<(Unit<'_>, Die<'_>)> {
        let mut entry = entry;
        for _ in 0..QUALIFIERS_MAX {
            let (unit, die) = self.unqualified(entry)?;
            if die.tag() != dw::DW_TAG_typedef {
                return Some((unit, die));
            }
            entry = unit.reference(&die, dw::DW_AT_type)?;
        }
        None
    }

    /// The bytes of a type, as its entry says.
    fn bytes_of(&self, entry: Entry) -> Option<u64> {
        let (unit, die) = self.unaliased(entry)?;
        unit.byte_size(&die)
    }
}

impl<'a> Unit<'a> {
    /// Where an entry is.
    fn place(&self, die: &Die<'a>) -> u32 {
        self.entry(die.offset()).offset
    }

    fn make_type(&self, die: &Die<'a>) -> Option<Type> {
        let to = || self.type_id(die);
        let pointer = |reference| Type::Pointer { to: to(), reference };
        Some(match die.tag() {
            dw::DW_TAG_base_type => self.base_type(die)?,
            dw::DW_TAG_typedef | dw::DW_TAG_template_alias => {
                Type::Alias { name: self.type_path(die)?, of: to() }
            }
            dw::DW_TAG_pointer_type => pointer(false),
            dw::DW_TAG_reference_type | dw::DW_TAG_rvalue_reference_type => pointer(true),
            dw::DW_TAG_ptr_to_member_type => self.pointer_to_member(die),
            dw::DW_TAG_enumeration_type => self.enumeration(die),
            dw::DW_TAG_structure_type
            | dw::DW_TAG_class_type
            | dw::DW_TAG_union_type
            | dw::DW_TAG_interface_type => self.record(die),
            dw::DW_TAG_array_type => self.array(die, self.place(die))?,
            dw::DW_TAG_subrange_type => self.inner_array(die)?,
            _ => Type::Void,
        })
    }

    /// The type that an entry says it has, or is made of.
    fn type_id(&self, die: &Die<'a>) -> TypeId {
        self.dwarf.type_id(self.reference(die, dw::DW_AT_type))
    }

    /// The name of a type. C has no namespaces: there a type within a function is
    /// called as it would be outside.
    fn type_path(&self, die: &Die<'a>) -> Option<String> {
        let name = self.name(die)?;
        let in_c = matches!(
            self.facts.language,
            dw::DW_LANG_C
                | dw::DW_LANG_C89
                | dw::DW_LANG_C99
                | dw::DW_LANG_C11
                | dw::DW_LANG_C17
        );
        if in_c {
            return Some(String::from_utf8_lossy(name).into_owned());
        }
        let around = self.scopes().around(self.place(die));
        Some(self.path(die, &around, ORIGINS_MAX).text())
    }

    /// Its size in bytes as its entry says it.
    fn byte_size(&self, die: &Die<'a>) -> Option<u64> {
        number(die, dw::DW_AT_byte_size)
    }
}
