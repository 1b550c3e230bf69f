//! Enumerations.

use gimli::AttributeValue;
use gimli::constants as dw;

use crate::dwarf::unit::{Die, Unit, flag};
use crate::types::{Enumeration, Record, Type};

/// An enumeration has the size of an `int` if nothing else is said.
const SIZE: u64 = 4;

impl<'a> Unit<'a> {
    pub(super) fn enumeration(&self, die: &Die<'a>) -> Type {
        let size = self.byte_size(die);
        if flag(die, dw::DW_AT_declaration) && size.is_none() {
            return Type::Record(Record {
                keyword: "enum",
                name: self.type_path(die),
                size: 0,
                members: Vec::new(),
                variants: None,
                declared: true,
            });
        }
        let under = self.reference(die, dw::DW_AT_type);
        let size = size.or_else(|| self.dwarf.bytes_of(under?)).unwrap_or(SIZE);
        let mut constants = Vec::new();
        self.children(self.place(die), &mut |child| {
            let name = self.name(child).map(String::from_utf8_lossy);
            let value = constant(child);
            if let (dw::DW_TAG_enumerator, Some(name), Some(value)) =
                (child.tag(), name, value)
            {
                constants.push((name.into_owned(), value));
            }
        });
        let signed = match under.map(|under| self.signed(under)) {
            Some(Some(signed)) => signed,
            _ => constants.iter().any(|(_, value)| *value < 0),
        };
        let size = size.min(16) as u32;
        let name = self.type_path(die);
        Type::Enumeration(Enumeration { name, size, signed, constants })
    }

    /// Whether numbers of a type can be negative.
    fn signed(&self, entry: crate::dwarf::Entry) -> Option<bool> {
        let types: &dyn crate::types::Types = self.dwarf;
        match &*types.plain(entry.type_id(self.dwarf.source)).1 {
            Type::Integer { signed, .. } | Type::Char { signed, .. } => Some(*signed),
            Type::Bool { .. } => Some(false),
            _ => None,
        }
    }
}

/// The value of an enumerator. Forms of fixed length have no sign.
pub(super) fn constant(die: &Die<'_>) -> Option<i64> {
    match die.attr_value(dw::DW_AT_const_value)? {
        AttributeValue::Sdata(value) => Some(value),
        AttributeValue::Udata(value) | AttributeValue::Data8(value) => Some(value as i64),
        value => value.udata_value().map(|value| value as i64),
    }
}
