//! The types that `probes` reads, as the language asks for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use hwtrace_lang::data::{
    Bits, DataType, Enumeration, Extent, Member, Record, Shape, TypeId, TypeRef, Variant,
    Variants,
};
use hwtrace_probes::types::{self, Type, Types, unwrapped};

/// Numbers of the language's for types of debug information, given out as they
/// are asked for, and what is known of them.
#[derive(Default)]
pub(crate) struct Numbers {
    /// By number: whose type, and which.
    given: RefCell<Vec<(Source, types::TypeId)>>,
    numbers: RefCell<HashMap<(Source, types::TypeId), TypeId>>,
    known: RefCell<HashMap<TypeId, Rc<DataType>>>,
}

/// Which of the sources of types a type is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(pub(crate) u16);

impl Numbers {
    /// The number of a type.
    pub(crate) fn number(&self, source: Source, ty: types::TypeId) -> TypeId {
        let mut numbers = self.numbers.borrow_mut();
        *numbers.entry((source, ty)).or_insert_with(|| {
            let mut given = self.given.borrow_mut();
            given.push((source, ty));
            TypeId(u32::try_from(given.len() - 1).unwrap_or(u32::MAX))
        })
    }

    /// Which type a number stands for.
    pub(crate) fn of(&self, id: TypeId) -> Option<(Source, types::TypeId)> {
        self.given.borrow().get(id.0 as usize).copied()
    }

    /// The type as the language has it.
    pub(crate) fn get(
        &self,
        id: TypeId,
        source: impl Fn(Source) -> Option<Rc<dyn Types>>,
    ) -> Rc<DataType> {
        if let Some(known) = self.known.borrow().get(&id) {
            return Rc::clone(known);
        }
        let made = self.of(id).and_then(|(number, ty)| {
            let types = source(number)?;
            Some(Bridge { numbers: self, source: number, types: &*types }.made(ty))
        });
        let made = Rc::new(made.unwrap_or(DataType::Void));
        self.known.borrow_mut().insert(id, Rc::clone(&made));
        made
    }
}

/// From one model to the other.
struct Bridge<'a> {
    numbers: &'a Numbers,
    source: Source,
    types: &'a dyn Types,
}

impl Bridge<'_> {
    fn reference(&self, ty: types::TypeId) -> TypeRef {
        self.numbers.number(self.source, ty).into()
    }

    /// Aliases and wrappers leave no trace, but the name that a nameless type has
    /// by an alias.
    fn made(&self, ty: types::TypeId) -> DataType {
        let plain = unwrapped(self.types, ty);
        if let (true, Some(size)) =
            (types::is_bool(self.types, ty), self.types.size(plain))
        {
            return DataType::Bool { size: u32::try_from(size).unwrap_or(u32::MAX) };
        }
        match &*self.types.get(plain) {
            Type::Void | Type::Alias { .. } => DataType::Void,
            Type::Integer { name, size, signed } => {
                DataType::Integer { name: name.clone(), size: *size, signed: *signed }
            }
            Type::Char { size: 1, signed, .. } => DataType::Char { signed: *signed },
            Type::Char { name, size, signed } => {
                DataType::Integer { name: name.clone(), size: *size, signed: *signed }
            }
            Type::Bool { size, .. } => DataType::Bool { size: *size },
            Type::Float { name, size } => {
                DataType::Float { name: name.clone(), size: *size }
            }
            Type::Enumeration(of) => DataType::Enum(Enumeration {
                name: of.name.clone().or_else(|| self.alias(ty)),
                size: of.size,
                signed: of.signed,
                constants: of.constants.clone(),
            }),
            Type::Pointer { to, .. } => DataType::Pointer(self.reference(*to)),
            Type::Array { of, length } => {
                DataType::Array { of: self.reference(*of), length: *length }
            }
            Type::Record(record) if record.declared => DataType::Void,
            Type::Record(record) => {
                let name = record.name.clone().or_else(|| self.alias(ty));
                DataType::Record(self.record(record, name))
            }
        }
    }

    fn alias(&self, ty: types::TypeId) -> Option<String> {
        match &*self.types.get(ty) {
            Type::Alias { name, .. } => Some(name.clone()),
            _ => None,
        }
    }

    fn record(&self, of: &types::Record, name: Option<String>) -> Record {
        let mut members: Vec<Member> =
            of.members.iter().map(|member| self.member(member)).collect();
        let variants = of.variants.as_ref();
        let each = variants.into_iter().flat_map(|variants| &variants.all);
        members.extend(each.map(|variant| Member {
            name: Some(variant.name.clone()),
            ..self.member(&variant.fields)
        }));
        let shape = match variants {
            Some(variants) => Shape::Variants(self.variants(variants)),
            None => self.shape(of),
        };
        Record { keyword: of.keyword, name, size: of.size, members, shape }
    }

    fn member(&self, of: &types::Member) -> Member {
        Member {
            name: of.name.clone(),
            ty: self.reference(of.ty),
            offset: of.offset,
            bits: of.bits.map(|bits| Bits { offset: bits.offset, width: bits.width }),
        }
    }

    fn variants(&self, of: &types::Variants) -> Variants {
        let discriminant = of.discriminant.as_ref();
        let variant = |variant: &types::Variant| Variant {
            name: variant.name.clone(),
            values: variant.values.clone(),
            ty: self.reference(variant.fields.ty),
            offset: variant.fields.offset,
        };
        Variants {
            discriminant: discriminant.map(|it| (self.reference(it.ty), it.offset)),
            all: of.all.iter().map(variant).collect(),
        }
    }

    /// What text and slices look like, in the languages that have them.
    fn shape(&self, of: &types::Record) -> Shape {
        let name = of.name.as_deref().unwrap_or("");
        let extent = |data: &[&str], length: &[&str]| {
            let (data, _) = self.path(of, data)?;
            Some(Extent { data, length: self.path(of, length)?.0 })
        };
        let text = match name {
            "&str" | "&mut str" => extent(&["data_ptr"], &["length"]),
            "string" => extent(&["str"], &["len"]),
            "alloc::string::String" => self.grown_text(of),
            _ if name.starts_with("std::__cxx11::basic_string<char,") => {
                extent(&["_M_dataplus", "_M_p"], &["_M_string_length"])
            }
            _ => None,
        };
        if let Some(extent) = text {
            return Shape::Text(extent);
        }
        let (data, length) = match name {
            _ if name.starts_with("&[") || name.starts_with("&mut [") => {
                ("data_ptr", "length")
            }
            _ if name.starts_with("[]") => ("array", "len"),
            _ => return Shape::Plain,
        };
        let pointer = self.path(of, &[data]).map(|(_, ty)| self.types.get(ty));
        match (extent(&[data], &[length]), pointer.as_deref()) {
            (Some(extent), Some(Type::Pointer { to, .. })) => {
                Shape::Slice { extent, of: self.reference(*to) }
            }
            _ => Shape::Plain,
        }
    }

    /// Rust's `String` is a vector, whose pointer has several wrappers.
    fn grown_text(&self, of: &types::Record) -> Option<Extent> {
        let (length, _) = self.path(of, &["vec", "len"])?;
        let (mut data, mut ty) = self.path(of, &["vec", "buf"])?;
        for _ in 0..8 {
            let inner = unwrapped(self.types, ty);
            match &*self.types.get(inner) {
                Type::Pointer { .. } => return Some(Extent { data, length }),
                Type::Record(record) => {
                    let names = ["inner", "ptr", "pointer"];
                    let next = names.iter().find_map(|name| self.path(record, &[name]));
                    let (offset, next) = next?;
                    (data, ty) = (data + offset, next);
                }
                _ => return None,
            }
        }
        None
    }

    /// Offset and type of a member of a member.
    fn path(&self, of: &types::Record, names: &[&str]) -> Option<(u64, types::TypeId)> {
        let (first, rest) = names.split_first()?;
        let named = |member: &&types::Member| member.name.as_deref() == Some(*first);
        let member = of.members.iter().find(named)?;
        if rest.is_empty() {
            return Some((member.offset, self.types.plain(member.ty).0));
        }
        match &*self.types.plain(member.ty).1 {
            Type::Record(inner) => {
                let (offset, ty) = self.path(inner, rest)?;
                Some((member.offset.checked_add(offset)?, ty))
            }
            _ => None,
        }
    }
}
