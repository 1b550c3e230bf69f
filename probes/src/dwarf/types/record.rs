//! Structures, unions and classes, and the enums of Rust.

use gimli::constants as dw;
use gimli::{AttributeValue, Operation};

use crate::dwarf::unit::{Die, Unit, flag, number};
use crate::dwarf::variables::is_static;
use crate::types::{Bits, Member, Record, Type, Variant, Variants};

/// The widest bit-field.
const BITS_MAX: u64 = 64;

impl<'a> Unit<'a> {
    pub(super) fn record(&self, die: &Die<'a>) -> Type {
        let keyword = match die.tag() {
            dw::DW_TAG_union_type => "union",
            dw::DW_TAG_class_type => "class",
            _ => "struct",
        };
        let mut members = Vec::new();
        let mut variants = None;
        self.children(self.place(die), &mut |child| match child.tag() {
            dw::DW_TAG_member if !is_static(child) => members.extend(self.member(child)),
            dw::DW_TAG_inheritance => members.extend(self.base_class(child)),
            dw::DW_TAG_variant_part => variants = Some(self.variants(child)),
            _ => {}
        });
        Type::Record(Record {
            keyword,
            name: self.type_path(die),
            size: self.byte_size(die).unwrap_or(0),
            members,
            variants,
            declared: flag(die, dw::DW_AT_declaration),
        })
    }

    fn member(&self, die: &Die<'a>) -> Option<Member> {
        let name = self.name(die).map(String::from_utf8_lossy);
        let (offset, bits) = match number(die, dw::DW_AT_bit_size) {
            Some(width) if (1..=BITS_MAX).contains(&width) => {
                let (offset, bits) = self.bit_field(die, width)?;
                (offset, Some(bits))
            }
            _ => (self.offset(die)?, None),
        };
        Some(Member {
            name: name.map(|name| name.into_owned()),
            ty: self.type_id(die),
            offset,
            bits,
            base: false,
        })
    }

    fn base_class(&self, die: &Die<'a>) -> Option<Member> {
        // Where a virtual base is, each object says for itself.
        if matches!(
            die.attr_value(dw::DW_AT_virtuality),
            Some(AttributeValue::Virtuality(dw::DW_VIRTUALITY_virtual))
        ) {
            return None;
        }
        let offset = self.offset(die)?;
        let ty = self.type_id(die);
        Some(Member { name: None, ty, offset, bits: None, base: true })
    }

    /// Where a member begins, if that is fixed.
    fn offset(&self, die: &Die<'a>) -> Option<u64> {
        match die.attr_value(dw::DW_AT_data_member_location) {
            None => {
                Some(number(die, dw::DW_AT_data_bit_offset).map_or(0, |bits| bits / 8))
            }
            Some(AttributeValue::Exprloc(expression)) => self.constant_offset(expression),
            Some(AttributeValue::Block(bytes)) => {
                self.constant_offset(gimli::Expression(bytes))
            }
            Some(value) => value.udata_value(),
        }
    }

    /// Before DWARF 3 a distance was written as an expression that adds it.
    fn constant_offset(
        &self,
        expression: gimli::Expression<crate::dwarf::sections::Slice<'a>>,
    ) -> Option<u64> {
        let mut operations = expression.operations(self.unit.encoding());
        let offset = match operations.next().ok()?? {
            Operation::PlusConstant { value } => value,
            Operation::UnsignedConstant { value } => value,
            _ => return None,
        };
        matches!(operations.next(), Ok(None)).then_some(offset)
    }

    /// Where the bytes are that a bit-field is in, and which of their bits it is.
    fn bit_field(&self, die: &Die<'a>, width: u64) -> Option<(u64, Bits)> {
        let ty = self.reference(die, dw::DW_AT_type)?;
        let storage = number(die, dw::DW_AT_byte_size);
        let storage =
            storage.or_else(|| self.dwarf.bytes_of(ty)).filter(|size| *size > 0)?;
        let first = match number(die, dw::DW_AT_data_bit_offset) {
            Some(first) => first,
            None => self.old_bit_offset(die, width, storage)?,
        };
        // In the unit that the type makes, if it does not cross its end.
        let unit = storage.checked_mul(8)?;
        let start = first / unit * storage;
        let within = first - start * 8;
        let (offset, within) = match within + width <= unit {
            true => (start, within),
            false => (first / 8, first % 8),
        };
        let bits = Bits { offset: u32::try_from(within).ok()?, width: width as u32 };
        Some((offset, bits))
    }

    /// The first bit of a bit-field, counted from the start of the record. Before DWARF 4
    /// bits were counted from the highest of the unit's.
    fn old_bit_offset(&self, die: &Die<'a>, width: u64, storage: u64) -> Option<u64> {
        let start = self.offset(die)?.checked_mul(8)?;
        let Some(from_top) = die.attr(dw::DW_AT_bit_offset) else { return Some(start) };
        // May be negative, where a field of a packed record crosses the unit's end.
        let from_top = from_top.sdata_value()?;
        let end = start.checked_add(storage.checked_mul(8)?)?;
        end.checked_add_signed(from_top.checked_neg()?)?.checked_sub(width)
    }

    fn variants(&self, part: &Die<'a>) -> Variants {
        let discriminant = self.reference(part, dw::DW_AT_discr);
        let discriminant = discriminant.and_then(|entry| self.die(entry.offset));
        let discriminant = discriminant.and_then(|die| self.member(&die));
        let size = discriminant.as_ref().map_or(8, |member| {
            let types: &dyn crate::types::Types = self.dwarf;
            types.size(member.ty).unwrap_or(8)
        });
        let mask = if size >= 8 { u64::MAX } else { (1 << (size * 8)) - 1 };
        let mut all = Vec::new();
        self.children(self.place(part), &mut |child| {
            if child.tag() == dw::DW_TAG_variant {
                all.extend(self.variant(child, mask));
            }
        });
        Variants { discriminant, all }
    }

    fn variant(&self, die: &Die<'a>, mask: u64) -> Option<Variant> {
        let mut fields = None;
        self.children(self.place(die), &mut |child| {
            if child.tag() == dw::DW_TAG_member && fields.is_none() {
                fields = self.member(child);
            }
        });
        let fields = fields?;
        let values = match die.attr(dw::DW_AT_discr_value) {
            Some(value) => {
                let value = match value.value() {
                    AttributeValue::Sdata(value) => value as u64,
                    value => value.udata_value()?,
                };
                Some(vec![value & mask])
            }
            None => None,
        };
        Some(Variant { name: fields.name.clone()?, values, fields })
    }
}
