//! The walk along an expression: from the variable at its start, by members, elements
//! and pointers, to the data.

use super::error::ResolveError;
use super::memory::{Memory, word};
use super::path::leaf_at;
use super::tls;
use super::{Extent, Link, ThreadLocal, describe, members, name, pieces};
use crate::address::AbsAddr;
use crate::expr::{Constant, Expression};
use crate::image::Image;
use crate::types::{Bits, Line, Place, Record, Type, TypeId, Types, type_name};

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Behind a pointer that nobody reads, or in a file that is not loaded.
    Unknown,
    Fixed(AbsAddr),
    Thread(ThreadLocal),
}

impl At {
    fn plus(self, bytes: u64) -> Self {
        match self {
            At::Unknown => At::Unknown,
            At::Fixed(address) => At::Fixed(AbsAddr(address.0.wrapping_add(bytes))),
            At::Thread(ThreadLocal { module, offset }) => {
                At::Thread(ThreadLocal { module, offset: offset.wrapping_add(bytes) })
            }
        }
    }
}

/// Data somewhere.
#[derive(Clone, Debug)]
pub(super) struct Data {
    pub(super) at: At,
    pub(super) ty: Option<TypeId>,
    pub(super) bits: Option<Bits>,
    /// Its bytes, where something else than the type tells: a symbol, a bit-field.
    size: Option<u64>,
    /// How many bytes the variable goes on for from here, behind an offset.
    left: Option<u64>,
    /// Behind an offset: the type of the whole, and how far into it this is.
    pub(super) whole: Option<TypeId>,
    pub(super) offset: u64,
}

impl Data {
    fn new(at: At, ty: Option<TypeId>) -> Self {
        Data { at, ty, bits: None, size: None, left: None, whole: None, offset: 0 }
    }
}

/// An address, which is in no memory itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pointer {
    at: At,
    to: Option<TypeId>,
}

/// What an expression is.
pub(super) enum Found {
    Data(Data),
    Pointer(Pointer),
}

/// An expression on its way to an address.
pub(super) struct Walk<'a> {
    pub(super) image: &'a Image,
    pub(super) types: &'a dyn Types,
    memory: Option<&'a mut dyn Memory>,
    tid: Option<u32>,
    pub(super) links: Vec<Link>,
    pub(super) declared: Option<Line>,
    pub(super) symbol_size: Option<u64>,
    pub(super) per_thread: bool,
}

/// The length where nothing tells another: a register's.
const ASSUMED: u64 = 8;

impl<'a> Walk<'a> {
    /// Without memory, pointers lead to unknown places.
    pub(super) fn new(
        image: &'a Image,
        memory: Option<&'a mut dyn Memory>,
        tid: Option<u32>,
    ) -> Self {
        Walk {
            image,
            types: image,
            memory,
            tid,
            links: Vec::new(),
            declared: None,
            symbol_size: None,
            per_thread: false,
        }
    }

    /// The data that all of an expression names.
    pub(super) fn whole(
        &mut self,
        expression: &Expression,
    ) -> Result<Data, ResolveError> {
        match expression {
            Expression::Offset { of, count } => match self.walk(of)? {
                Found::Data(data) => self.bytes_on(data, expression, of, *count),
                Found::Pointer(pointer) => {
                    Ok(self.target(self.elements_on(pointer, *count)))
                }
            },
            _ => match self.walk(expression)? {
                Found::Data(data) => Ok(data),
                Found::Pointer(pointer) => Ok(self.target(pointer)),
            },
        }
    }

    /// How long the data is, and of which type.
    pub(super) fn extent(
        &self,
        data: &Data,
        length: Option<u64>,
    ) -> Result<Extent, ResolveError> {
        let own = self.size(data);
        let (ty, bits) = (data.ty, data.bits);
        let extent = |size, ty, assumed| Ok(Extent { ty, size, bits, assumed });
        match (length, own) {
            (Some(length @ 0), _) => Err(ResolveError::NotALength { length }),
            (Some(length), Some(own)) if length == own => extent(length, ty, false),
            (Some(length), _) => {
                // As much of it as its first member is of that member's type.
                let first =
                    data.whole.or(ty).map(|ty| leaf_at(self.types, ty, data.offset));
                let first = first.filter(|first| {
                    first.rest == 0
                        && first.bits.is_none()
                        && self.types.size(first.ty) == Some(length)
                });
                let (bits, ty) = (None, first.map(|first| first.ty));
                Ok(Extent { ty, size: length, bits, assumed: false })
            }
            (None, Some(length @ 0)) => Err(ResolveError::NotALength { length }),
            (None, Some(own)) => extent(own, ty, false),
            (None, None) => {
                extent(data.left.map_or(ASSUMED, |left| left.min(ASSUMED)), ty, true)
            }
        }
    }

    /// Its bytes; none where nothing tells.
    fn size(&self, data: &Data) -> Option<u64> {
        let of_type = || data.ty.and_then(|ty| self.types.size(ty));
        let size = match data.bits {
            Some(_) => data.size,
            None => of_type().or(data.size),
        };
        size.filter(|&size| size > 0)
    }

    pub(super) fn walk(
        &mut self,
        expression: &Expression,
    ) -> Result<Found, ResolveError> {
        let found = self.step(expression)?;
        // What a reference refers to is meant, wherever it stands.
        if let Found::Data(data) = &found
            && let Some(ty) = data.ty
            && let Type::Pointer { to, reference: true } = &*self.types.plain(ty).1
        {
            let pointer = self.follow(data, expression, Some(*to))?;
            return Ok(Found::Data(self.target(pointer)));
        }
        Ok(found)
    }

    fn step(&mut self, expression: &Expression) -> Result<Found, ResolveError> {
        Ok(match expression {
            Expression::Name { module, name } => {
                let known = name::find(self.image, module.as_deref(), name)?;
                Found::Data(self.variable(known, name)?)
            }
            Expression::Address(address) | Expression::Decimal { address, .. } => {
                Found::Pointer(Pointer { at: At::Fixed(AbsAddr(*address)), to: None })
            }
            Expression::Member { of, name } => match self.dotted(expression)? {
                Some(data) => Found::Data(data),
                None => Found::Data(self.member(of, name)?),
            },
            Expression::Arrow { of, name } => Found::Data(self.arrow(of, name)?),
            Expression::Index { of, index } => Found::Data(self.element(of, index)?),
            Expression::Range { of, .. } => {
                return Err(ResolveError::Several {
                    name: expression.to_string(),
                    of: of.to_string(),
                });
            }
            Expression::Dereference(of) => {
                let pointer = self.pointer(of)?;
                Found::Data(self.target(pointer))
            }
            Expression::Reference(of) => Found::Pointer(self.reference(of)?),
            Expression::Cast { to, stars, of } => {
                Found::Pointer(self.cast(to, *stars, of)?)
            }
            Expression::Offset { of, count } => {
                let pointer = self.pointer(of)?;
                Found::Pointer(self.elements_on(pointer, *count))
            }
        })
    }

    /// Where a variable is.
    fn variable(&mut self, known: name::Known, name: &str) -> Result<Data, ResolveError> {
        let module = self.image.modules().get(known.module);
        let at = match known.place {
            Place::Fixed(virt) => match module.and_then(|module| module.bias()) {
                Some(bias) => At::Fixed(bias.to_abs(virt)),
                None if self.memory.is_none() => At::Unknown,
                None => {
                    let path = module.map(|module| module.path().to_path_buf());
                    let (name, path) = (name.to_owned(), path.unwrap_or_default());
                    return Err(ResolveError::NotLoaded { name, path });
                }
            },
            Place::ThreadLocal(offset) => {
                self.per_thread = true;
                self.thread_local(ThreadLocal { module: known.module, offset }, name)?
            }
            Place::OptimizedOut | Place::Elsewhere => At::Unknown,
        };
        self.declared = known.declared;
        self.symbol_size = known.symbol_size;
        Ok(Data { size: known.symbol_size, ..Data::new(at, known.ty) })
    }

    /// In the thread that is asked for, if one is.
    fn thread_local(
        &mut self,
        variable: ThreadLocal,
        name: &str,
    ) -> Result<At, ResolveError> {
        let (Some(tid), Some(memory)) = (self.tid, &mut self.memory) else {
            return Ok(At::Thread(variable));
        };
        tls::address_in(self.image, &variable, &mut **memory, tid, name).map(At::Fixed)
    }

    /// A symbol whose name has dots in it: the whole of `count.0`, `main.counter`.
    fn dotted(&mut self, expression: &Expression) -> Result<Option<Data>, ResolveError> {
        let mut start = expression;
        while let Expression::Member { of, .. } = start {
            start = of;
        }
        let Expression::Name { module, .. } = start else { return Ok(None) };
        let text = expression.to_string();
        // The file's name is no part of the symbol's.
        let text = match module {
            Some(_) => text.rsplit_once(':').map_or("", |(_, name)| name),
            None => &text,
        };
        match name::find_symbol(self.image, module.as_deref(), text) {
            Some(known) => self.variable(known, text).map(Some),
            None => Ok(None),
        }
    }

    fn member(&mut self, of: &Expression, name: &str) -> Result<Data, ResolveError> {
        match self.walk(of)? {
            Found::Data(data) => self.member_of(&data, of, name, &|ty| match ty {
                Type::Pointer { .. } => Some(format!("{}->{name}", of.as_whole())),
                _ => None,
            }),
            Found::Pointer(_) => Err(ResolveError::WrongArrow {
                name: of.to_string(),
                pointer: true,
                instead: format!("{}->{name}", of.as_whole()),
            }),
        }
    }

    fn arrow(&mut self, of: &Expression, name: &str) -> Result<Data, ResolveError> {
        let found = self.walk(of)?;
        if let Found::Data(data) = &found
            && let Some(ty) = data.ty
            && members::record(self.types, ty).is_some()
        {
            return Err(ResolveError::WrongArrow {
                name: of.to_string(),
                pointer: false,
                instead: format!("{}.{name}", of.as_whole()),
            });
        }
        let pointer = self.as_pointer(found, of)?;
        let data = self.target(pointer);
        let whole = Expression::Dereference(Box::new(of.clone()));
        self.member_of(&data, &whole, name, &|ty| match ty {
            Type::Pointer { .. } => Some(format!("(*{})->{name}", of.as_whole())),
            _ => None,
        })
    }

    /// A member of data. `instead` gives the right form, where the type needs
    /// another.
    fn member_of(
        &self,
        data: &Data,
        whole: &Expression,
        name: &str,
        instead: &dyn Fn(&Type) -> Option<String>,
    ) -> Result<Data, ResolveError> {
        let ty = data.ty.ok_or_else(|| self.untyped(whole))?;
        let (_, plain) = self.types.plain(ty);
        let record: &Record = match &*plain {
            Type::Record(record) if record.declared => {
                let ty = type_name(self.types, ty);
                return Err(ResolveError::Incomplete { ty });
            }
            Type::Record(record) => record,
            other => {
                let (name, ty) = (whole.to_string(), type_name(self.types, ty));
                return Err(match instead(other) {
                    Some(instead) => {
                        ResolveError::WrongArrow { name, pointer: true, instead }
                    }
                    None => ResolveError::NoMembers { name, ty },
                });
            }
        };
        let Some(found) = members::find(self.types, record, name) else {
            return Err(ResolveError::NoSuchMember {
                member: name.to_owned(),
                ty: type_name(self.types, ty),
                nearest: members::nearest(self.types, record, name),
            });
        };
        Ok(match found.bits {
            None => Data::new(data.at.plus(found.offset), Some(found.ty)),
            Some(bits) => {
                let (offset, size, bits) = pieces::storage(found.offset, bits);
                let at = data.at.plus(offset);
                let (bits, size) = (Some(bits), Some(size));
                Data { bits, size, ..Data::new(at, Some(found.ty)) }
            }
        })
    }

    fn element(
        &mut self,
        of: &Expression,
        index: &Constant,
    ) -> Result<Data, ResolveError> {
        let index = self.number(index)?;
        let found = self.walk(of)?;
        let pointer = match &found {
            Found::Pointer(pointer) => *pointer,
            Found::Data(data) => {
                let ty = data.ty.ok_or_else(|| self.untyped(of))?;
                let (_, plain) = self.types.plain(ty);
                match &*plain {
                    Type::Array { length: Some(length), .. }
                        if *length > 0 && !within(index, *length) =>
                    {
                        let (name, length) = (of.to_string(), *length);
                        return Err(ResolveError::OutOfBounds { name, index, length });
                    }
                    Type::Array { .. } | Type::Pointer { .. } => {
                        self.as_pointer(found, of)?
                    }
                    Type::Record(record) => match self.slice(data, record) {
                        Some((pointer, to)) => self.follow(&pointer, of, Some(to))?,
                        None => return Err(self.no_elements(of, ty)),
                    },
                    _ => return Err(self.no_elements(of, ty)),
                }
            }
        };
        Ok(self.target(self.elements_on(pointer, index)))
    }

    /// The value of a constant.
    pub(super) fn number(&self, constant: &Constant) -> Result<i64, ResolveError> {
        let named = |name: &str| self.types.constant(name);
        constant.value(&named).map_err(|name| ResolveError::NoSuchConstant { name })
    }

    pub(super) fn no_elements(&self, of: &Expression, ty: TypeId) -> ResolveError {
        ResolveError::NoElements { name: of.to_string(), ty: type_name(self.types, ty) }
    }

    /// Rust's slices are records of a pointer and a length.
    pub(super) fn slice(&self, data: &Data, record: &Record) -> Option<(Data, TypeId)> {
        members::find(self.types, record, "length")?;
        let pointer = members::find(self.types, record, "data_ptr")?;
        match &*self.types.plain(pointer.ty).1 {
            Type::Pointer { to, .. } => {
                let at = data.at.plus(pointer.offset);
                Some((Data::new(at, Some(pointer.ty)), *to))
            }
            _ => None,
        }
    }

    fn reference(&mut self, of: &Expression) -> Result<Pointer, ResolveError> {
        match self.walk(of)? {
            Found::Data(Data { bits: Some(_), .. }) => {
                Err(ResolveError::BitField { name: of.to_string() })
            }
            Found::Data(data) => Ok(Pointer { at: data.at, to: data.ty }),
            Found::Pointer(pointer) => Ok(pointer),
        }
    }

    fn cast(
        &mut self,
        to: &str,
        stars: u32,
        of: &Expression,
    ) -> Result<Pointer, ResolveError> {
        let named = self.types.named(to);
        let mut to =
            named.ok_or_else(|| ResolveError::NoSuchType { name: to.to_owned() })?;
        for _ in 1..stars {
            to = self.image.pointer_to(to);
        }
        let found = self.walk(of)?;
        let pointer = match &found {
            Found::Data(data) if self.holds_an_address(data) => {
                self.follow(data, of, Some(to))?
            }
            _ => self.as_pointer(found, of)?,
        };
        Ok(Pointer { to: Some(to), ..pointer })
    }

    /// Numbers as wide as a pointer may be handles.
    fn holds_an_address(&self, data: &Data) -> bool {
        let integer =
            |ty| matches!(*self.types.plain(ty).1, Type::Integer { size: 8, .. });
        data.bits.is_none() && data.ty.is_some_and(integer)
    }

    fn pointer(&mut self, expression: &Expression) -> Result<Pointer, ResolveError> {
        let found = self.walk(expression)?;
        self.as_pointer(found, expression)
    }

    /// The value of a pointer; of an array, where it begins.
    fn as_pointer(
        &mut self,
        found: Found,
        expression: &Expression,
    ) -> Result<Pointer, ResolveError> {
        let data = match found {
            Found::Pointer(pointer) => return Ok(pointer),
            Found::Data(data) => data,
        };
        let ty = data.ty.ok_or_else(|| self.untyped(expression))?;
        let (_, plain) = self.types.plain(ty);
        match &*plain {
            Type::Array { of, .. } => Ok(Pointer { at: data.at, to: Some(*of) }),
            Type::Pointer { to, .. } => self.follow(&data, expression, Some(*to)),
            _ => Err(ResolveError::NotAPointer {
                name: expression.to_string(),
                ty: type_name(self.types, ty),
            }),
        }
    }

    /// Reads a pointer.
    fn follow(
        &mut self,
        data: &Data,
        expression: &Expression,
        to: Option<TypeId>,
    ) -> Result<Pointer, ResolveError> {
        let pointer = expression.to_string();
        let name = pointer.clone();
        // Noted before it is read: where it leads nowhere yet, it may later.
        let link = |address, value| Link { address, value, ty: data.ty, name };
        let address = match (data.at, &self.memory) {
            (At::Thread(_), Some(_)) => {
                return Err(ResolveError::EachThread { name: pointer });
            }
            (At::Fixed(address), Some(_)) => address,
            (at, _) => {
                let known =
                    if let At::Fixed(address) = at { address } else { AbsAddr(0) };
                self.links.push(link(known, AbsAddr(0)));
                return Ok(Pointer { at: At::Unknown, to });
            }
        };
        let Some(memory) = &mut self.memory else {
            return Ok(Pointer { at: At::Unknown, to });
        };
        let value = word(&mut **memory, address);
        self.links.push(link(address, AbsAddr(value.unwrap_or(0))));
        let Some(value) = value else {
            return Err(ResolveError::Unreadable { pointer, address });
        };
        let value = AbsAddr(value);
        if value.0 == 0 {
            return Err(ResolveError::Null { pointer });
        }
        if memory.read(value, &mut [0]) == 0 {
            return Err(ResolveError::Dangling { pointer, value });
        }
        Ok(Pointer { at: At::Fixed(value), to })
    }

    /// What a pointer points to.
    fn target(&self, pointer: Pointer) -> Data {
        let known = |ty: &TypeId| !matches!(*self.types.plain(*ty).1, Type::Void);
        Data::new(pointer.at, pointer.to.filter(known))
    }

    /// C's pointer arithmetic: elements, or bytes of what has no size.
    fn elements_on(&self, pointer: Pointer, count: i64) -> Pointer {
        let size = pointer.to.and_then(|to| self.types.size(to)).unwrap_or(1);
        let bytes = count.cast_unsigned().wrapping_mul(size);
        Pointer { at: pointer.at.plus(bytes), ..pointer }
    }

    /// So many bytes from the start of data, which must be within it.
    fn bytes_on(
        &self,
        data: Data,
        expression: &Expression,
        of: &Expression,
        count: i64,
    ) -> Result<Data, ResolveError> {
        let at = data.at.plus(count.cast_unsigned());
        let size = self.size(&data);
        if let Some(size) = size
            && !within(count, size)
        {
            let address = match at {
                At::Fixed(address) => Some(address),
                _ => None,
            };
            return Err(ResolveError::Outside {
                expression: expression.to_string(),
                name: of.to_string(),
                size,
                there: address.and_then(|address| describe(self.image, address)),
                address,
            });
        }
        let offset = count.cast_unsigned();
        let leaf = data.ty.map(|ty| leaf_at(self.types, ty, offset));
        let leaf = leaf.filter(|leaf| leaf.rest == 0 && leaf.bits.is_none());
        Ok(Data {
            left: size.map(|size| size - offset),
            whole: data.ty,
            offset,
            ..Data::new(at, leaf.map(|leaf| leaf.ty))
        })
    }

    /// Why the type of data is not known.
    pub(super) fn untyped(&self, of: &Expression) -> ResolveError {
        let name = of.to_string();
        let module = match of.start() {
            Expression::Name { module, name } => {
                name::find(self.image, module.as_deref(), name).ok()
            }
            _ => None,
        };
        let module = module.and_then(|known| self.image.modules().get(known.module));
        let why = module.map(|module| match module.debug() {
            Ok(_) => "debug information tells nothing of it".to_owned(),
            Err(why) => why.to_owned(),
        });
        ResolveError::Untyped {
            name,
            why: why.unwrap_or_else(|| "an address has none".to_owned()),
            path: module.map(|module| module.path().to_path_buf()),
        }
    }
}

fn within(count: i64, size: u64) -> bool {
    u64::try_from(count).is_ok_and(|count| count < size)
}
