//! Numbers, characters and what else is made of nothing smaller.

use gimli::constants as dw;
use gimli::{AttributeValue, DwAte};

use crate::dwarf::unit::{Die, Unit};
use crate::types::{Record, Type};

/// The longest numbers: `__int128`, `long double`.
const NUMBER_MAX: u64 = 16;

impl<'a> Unit<'a> {
    pub(super) fn base_type(&self, die: &Die<'a>) -> Option<Type> {
        let size = self.byte_size(die).filter(|size| (1..=64).contains(size))?;
        let name = String::from_utf8_lossy(self.name(die).unwrap_or(b"?")).into_owned();
        let encoding = match die.attr_value(dw::DW_AT_encoding) {
            Some(AttributeValue::Encoding(encoding)) => encoding,
            _ => DwAte(0),
        };
        if size > NUMBER_MAX {
            return Some(opaque(Some(name), size));
        }
        let short = size as u32;
        // Rust's `u8` and Go's `uint8` have the encoding of C's `unsigned char`.
        let text = name.ends_with("char");
        Some(match encoding {
            dw::DW_ATE_boolean => Type::Bool { name, size: short },
            dw::DW_ATE_float => Type::Float { name, size: short },
            dw::DW_ATE_signed_char if text => {
                Type::Char { name, size: short, signed: true }
            }
            dw::DW_ATE_unsigned_char if text => {
                Type::Char { name, size: short, signed: false }
            }
            dw::DW_ATE_UTF | dw::DW_ATE_ASCII | dw::DW_ATE_UCS => {
                Type::Char { name, size: short, signed: false }
            }
            dw::DW_ATE_signed | dw::DW_ATE_signed_char => {
                Type::Integer { name, size: short, signed: true }
            }
            dw::DW_ATE_unsigned | dw::DW_ATE_unsigned_char | dw::DW_ATE_address => {
                Type::Integer { name, size: short, signed: false }
            }
            _ => opaque(Some(name), size),
        })
    }

    /// C++'s pointers to members: to data a distance, to functions two words.
    pub(super) fn pointer_to_member(&self, die: &Die<'a>) -> Type {
        let to = self.reference(die, dw::DW_AT_type);
        let to = to.and_then(|to| Some((self.dwarf.unit_of(to)?, to)));
        let to = to.and_then(|(unit, to)| unit.die(to.offset));
        match to.is_some_and(|to| to.tag() == dw::DW_TAG_subroutine_type) {
            true => opaque(None, 16),
            false => Type::Integer {
                name: "pointer to member".to_owned(),
                size: 8,
                signed: true,
            },
        }
    }
}

/// Bytes of which nothing is known but how many there are.
fn opaque(name: Option<String>, size: u64) -> Type {
    Type::Record(Record {
        keyword: "struct",
        name,
        size,
        members: Vec::new(),
        variants: None,
        declared: false,
    })
}
