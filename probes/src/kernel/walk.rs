//! Goes a path step by step, by the types' offsets and by what pointers hold.

use super::{KernelError, KernelPlace, Path, ReadKernel, Step};
use crate::address::AbsAddr;
use crate::btf::Btf;
use crate::symbols::nearest::nearest;
use crate::types::{Bits, Member, Record, Type, TypeId, Types, type_name};

/// What was reached.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) place: KernelPlace,
    pub(super) ty: Option<TypeId>,
    pub(super) bits: Option<Bits>,
}

/// Goes paths.
pub(super) struct Walker<'a> {
    pub(super) types: &'a Btf,
    pub(super) read: &'a ReadKernel<'a>,
}

/// Records within records are looked through for a member up to so many.
const RECORDS_MAX: u32 = 4096;

impl Walker<'_> {
    pub(super) fn types(&self) -> &dyn Types {
        self.types
    }

    /// Where a path leads from a spot, and what it is called.
    pub(super) fn walk(
        &self,
        mut spot: Spot,
        start: String,
        path: &Path,
    ) -> Result<(Spot, String), KernelError> {
        let mut way = Path::default();
        if !start.is_empty() {
            way.0.push(Step::Field(start));
        }
        for step in &path.0 {
            let ty = spot.ty.filter(|_| spot.bits.is_none());
            let ty = ty.ok_or_else(|| KernelError::NoType { what: way.to_string() })?;
            spot = match step {
                Step::Field(name) => self.field(&spot, ty, name, &way)?,
                Step::Index(index) => self.element(&spot, ty, *index, &way)?,
                Step::Deref => self.follow(&spot, ty, &way)?,
            };
            way.0.push(step.clone());
        }
        Ok((spot, way.to_string()))
    }

    fn field(
        &self,
        spot: &Spot,
        ty: TypeId,
        name: &str,
        way: &Path,
    ) -> Result<Spot, KernelError> {
        let (id, plain) = self.types().plain(ty);
        let record = match &*plain {
            Type::Record(record) if !record.declared => record,
            Type::Record(_) => {
                return Err(KernelError::NoType { what: way.to_string() });
            }
            Type::Pointer { .. } => {
                return Err(self.unfit(ty, way, "write `->` to reach a member"));
            }
            _ => return Err(self.unfit(ty, way, "it has no members")),
        };
        let Some((offset, member)) = find_member(self.types, record, name) else {
            let names = member_names(self.types, record);
            return Err(KernelError::NoMember {
                record: type_name(self.types, id),
                name: name.to_owned(),
                nearest: nearest(name, names.iter().map(String::as_str)),
            });
        };
        Ok(spot.moved(offset, member.ty, member.bits))
    }

    fn element(
        &self,
        spot: &Spot,
        ty: TypeId,
        index: u64,
        way: &Path,
    ) -> Result<Spot, KernelError> {
        let (spot, of) = match *self.types().plain(ty).1 {
            Type::Array { of, length } => {
                if let Some(length) = length.filter(|length| index >= *length) {
                    let what = way.to_string();
                    return Err(KernelError::OutOfRange { what, length, index });
                }
                (spot.clone(), of)
            }
            Type::Pointer { to, .. } => (self.follow(spot, ty, way)?, to),
            _ => return Err(self.unfit(ty, way, "it has no elements")),
        };
        let size = self.types().size(of);
        let offset = size.and_then(|size| size.checked_mul(index));
        let offset =
            offset.ok_or_else(|| KernelError::NoType { what: way.to_string() })?;
        Ok(spot.moved(offset, of, None))
    }

    fn follow(&self, spot: &Spot, ty: TypeId, way: &Path) -> Result<Spot, KernelError> {
        let Type::Pointer { to, .. } = *self.types().plain(ty).1 else {
            return Err(self.unfit(ty, way, "it is no pointer: write `.`"));
        };
        let what = || way.to_string();
        let address = spot.place.address;
        let value = read_word(self.read, address)
            .ok_or_else(|| KernelError::Unreadable { what: what(), address })?;
        match value {
            AbsAddr(0) => Err(KernelError::Null { what: what() }),
            value if !value.is_kernel() => {
                Err(KernelError::Astray { what: what(), value })
            }
            value => {
                let mut place = spot.place.clone();
                place.links.push(address);
                place.address = value;
                Ok(Spot { place, ty: Some(to), bits: None })
            }
        }
    }

    fn unfit(&self, ty: TypeId, way: &Path, help: &'static str) -> KernelError {
        let ty = type_name(self.types, ty);
        KernelError::Unfit { what: way.to_string(), ty, help }
    }
}

impl Spot {
    /// The part of it at an offset.
    fn moved(&self, offset: u64, ty: TypeId, bits: Option<Bits>) -> Self {
        let mut place = self.place.clone();
        place.address = AbsAddr(place.address.0.wrapping_add(offset));
        Self { place, ty: Some(ty), bits }
    }
}

/// The eight bytes at an address of the kernel.
pub(super) fn read_word(read: &ReadKernel<'_>, address: AbsAddr) -> Option<AbsAddr> {
    let mut bytes = [0; 8];
    (read(address, &mut bytes) == 8).then(|| AbsAddr(u64::from_le_bytes(bytes)))
}

/// The type of this name.
pub(super) fn named(types: &Btf, name: &str) -> Result<TypeId, KernelError> {
    types.named(name).ok_or_else(|| KernelError::NoType { what: name.to_owned() })
}

/// A member, also of an anonymous record within, and where it begins.
pub(super) fn find_member(
    types: &Btf,
    record: &Record,
    name: &str,
) -> Option<(u64, Member)> {
    let mut found = None;
    each_member(types, record, 0, &mut { RECORDS_MAX }, &mut |offset, member| {
        if found.is_none() && member.name.as_deref() == Some(name) {
            found = Some((offset, member.clone()));
        }
    });
    found
}

fn member_names(types: &Btf, record: &Record) -> Vec<String> {
    let mut names = Vec::new();
    each_member(types, record, 0, &mut { RECORDS_MAX }, &mut |_, member| {
        names.extend(member.name.clone());
    });
    names
}

/// Shows each member with its offset in the whole, those of anonymous records in
/// their places.
fn each_member(
    types: &Btf,
    record: &Record,
    base: u64,
    records: &mut u32,
    show: &mut dyn FnMut(u64, &Member),
) {
    let Some(left) = records.checked_sub(1) else { return };
    *records = left;
    for member in &record.members {
        let offset = base.wrapping_add(member.offset);
        if member.name.is_some() {
            show(offset, member);
        } else if let Type::Record(inner) = &*(types as &dyn Types).plain(member.ty).1 {
            each_member(types, inner, offset, records, show);
        }
    }
}
