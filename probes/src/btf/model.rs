//! A type as BTF has it, made one of the model.

use super::Btf;
use super::raw::{Entry, Kind, RawMember};
use crate::types::{Bits, Enumeration, Member, Record, Type};

/// Qualifiers of qualifiers are followed so often.
const QUALIFIERS_MAX: u32 = 64;

/// Bits of an integer's word (`BTF_INT_ENCODING` in include/uapi/linux/btf.h).
const SIGNED: u32 = 1 << 24;
const CHAR: u32 = 2 << 24;
const BOOL: u32 = 4 << 24;

/// Bytes of a pointer.
const POINTER: u32 = 8;

impl Btf {
    /// The type of this number, what qualifies it passed over.
    pub(super) fn decode(&self, id: u32) -> Type {
        let mut id = id;
        for _ in 0..QUALIFIERS_MAX {
            match self.raw.entry(id) {
                Some(entry) if matches!(entry.kind, Kind::Qualifier | Kind::Variable) => {
                    id = entry.size_or_type;
                }
                Some(entry) => return self.model(&entry),
                None => break,
            }
        }
        Type::Void
    }

    fn model(&self, entry: &Entry<'_>) -> Type {
        let name = || self.raw.name(entry.name).unwrap_or_default();
        let size = entry.size_or_type;
        match entry.kind {
            Kind::Integer => integer(name(), size, entry.word(0)),
            Kind::Float => Type::Float { name: name(), size },
            Kind::Pointer => Type::Pointer { to: self.type_id(size), reference: false },
            Kind::Alias => Type::Alias { name: name(), of: self.type_id(size) },
            Kind::Array => {
                let length = u64::from(entry.word(2));
                // `int a[]` and `int a[0]` are the same here.
                let length = (length != 0).then_some(length);
                Type::Array { of: self.type_id(entry.word(0)), length }
            }
            Kind::Struct | Kind::Union => Type::Record(self.record(entry)),
            Kind::Forward => Type::Record(self.defined(entry)),
            Kind::Enum | Kind::Enum64 => Type::Enumeration(self.enumeration(entry)),
            Kind::Qualifier
            | Kind::Function
            | Kind::Prototype
            | Kind::Variable
            | Kind::Section
            | Kind::Tag => Type::Void,
        }
    }

    fn record(&self, entry: &Entry<'_>) -> Record {
        Record {
            keyword: if entry.kind == Kind::Union { "union" } else { "struct" },
            name: self.raw.name(entry.name),
            size: u64::from(entry.size_or_type),
            members: entry.members().map(|member| self.member(&member)).collect(),
            variants: None,
            declared: false,
        }
    }

    /// What a declaration declares, if that is anywhere.
    fn defined(&self, entry: &Entry<'_>) -> Record {
        let kind = if entry.flag { Kind::Union } else { Kind::Struct };
        let name = self.raw.name(entry.name);
        let found = name.as_deref().and_then(|name| {
            let id = self.raw.find(name, |entry| entry.kind == kind)?;
            self.raw.entry(id)
        });
        found.map_or_else(
            || Record {
                keyword: if entry.flag { "union" } else { "struct" },
                name,
                size: 0,
                members: Vec::new(),
                variants: None,
                declared: true,
            },
            |definition| self.record(&definition),
        )
    }

    fn member(&self, member: &RawMember) -> Member {
        let width = member.width.or_else(|| self.narrowed(member.id));
        let (offset, bit) = (member.offset / 8, member.offset % 8);
        let bits = width.filter(|width| (1..=64).contains(width));
        Member {
            name: self.raw.name(member.name),
            ty: self.type_id(member.id),
            offset: u64::from(offset),
            bits: bits.map(|width| Bits { offset: bit, width }),
            base: false,
        }
    }

    /// The bits of an integer type that has fewer than its bytes do, as bit-fields
    /// had before there was a flag for them.
    fn narrowed(&self, id: u32) -> Option<u32> {
        let entry = self.raw.entry(id).filter(|entry| entry.kind == Kind::Integer)?;
        let bits = entry.word(0) & 0xff;
        (bits != entry.size_or_type.saturating_mul(8)).then_some(bits)
    }

    fn enumeration(&self, entry: &Entry<'_>) -> Enumeration {
        let constants = entry.constants().filter_map(|(name, value)| {
            let name = self.raw.name(name)?;
            Some((name, value))
        });
        Enumeration {
            name: self.raw.name(entry.name),
            size: entry.size_or_type.min(POINTER),
            signed: entry.flag,
            constants: constants.collect(),
        }
    }
}

fn integer(name: String, size: u32, encoding: u32) -> Type {
    let signed = encoding & SIGNED != 0;
    // Compilers give their `char` types no flag of their own.
    let char = matches!(&*name, "char" | "signed char" | "unsigned char");
    if encoding & BOOL != 0 {
        Type::Bool { name, size }
    } else if encoding & CHAR != 0 || char {
        Type::Char { name, size, signed }
    } else {
        Type::Integer { name, size, signed }
    }
}

/// What compilers call a whole number in debug information, where C has shorter
/// names for it too.
pub(super) fn compiler_spelling(name: &str) -> &str {
    match name {
        "short" => "short int",
        "long" => "long int",
        "long long" => "long long int",
        "unsigned" => "unsigned int",
        "unsigned short" | "unsigned short int" => "short unsigned int",
        "unsigned long" | "unsigned long int" => "long unsigned int",
        "unsigned long long" | "unsigned long long int" => "long long unsigned int",
        "bool" => "_Bool",
        other => other,
    }
}
