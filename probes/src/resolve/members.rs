//! Members of types: by name, by place, and all of them.

use std::sync::Arc;

use crate::types::{Bits, Member, NESTING_MAX, Record, Type, TypeId, Types, type_name};

/// Where a member is in the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) ty: TypeId,
    pub(super) bits: Option<Bits>,
}

impl Found {
    fn within(self, offset: u64) -> Self {
        Found { offset: self.offset.wrapping_add(offset), ..self }
    }
}

impl From<&Member> for Found {
    fn from(member: &Member) -> Self {
        Found { offset: member.offset, ty: member.ty, bits: member.bits }
    }
}

/// The record of a type, if it is one.
pub(super) fn record(types: &dyn Types, ty: TypeId) -> Option<Arc<Type>> {
    let (_, plain) = types.plain(ty);
    matches!(&*plain, Type::Record(_)).then_some(plain)
}

/// The member of a record: its own before those of anonymous members and base classes.
/// `Base::member` is one of a base class, `0` a tuple's first, and a variant of a Rust
/// enum is a member with its fields.
pub(super) fn find(types: &dyn Types, record: &Record, name: &str) -> Option<Found> {
    if let Some((base, member)) = name.rsplit_once("::") {
        return in_base(types, record, base, member, NESTING_MAX);
    }
    within(types, record, name, NESTING_MAX)
}

fn within(types: &dyn Types, whole: &Record, name: &str, depth: u32) -> Option<Found> {
    let depth = depth.checked_sub(1)?;
    let is_it = |known: &str| {
        known == name
            || known.strip_prefix("__").is_some_and(|it| is_number(it) && it == name)
    };
    let mut own = whole.members.iter();
    let own = own.find(|member| member.name.as_deref().is_some_and(is_it));
    if let Some(member) = own {
        return Some(member.into());
    }
    let variants = whole.variants.iter().flat_map(|variants| &variants.all);
    if let Some(variant) = variants.into_iter().find(|variant| variant.name == name) {
        return Some((&variant.fields).into());
    }
    let mut unnamed = whole.members.iter().filter(|member| member.name.is_none());
    unnamed.find_map(|member| {
        let inner = record(types, member.ty)?;
        let Type::Record(inner) = &*inner else { return None };
        Some(within(types, inner, name, depth)?.within(member.offset))
    })
}

fn in_base(
    types: &dyn Types,
    whole: &Record,
    base: &str,
    name: &str,
    depth: u32,
) -> Option<Found> {
    let depth = depth.checked_sub(1)?;
    let is_called = |record: &Record| {
        let own = record.name.as_deref().unwrap_or_default();
        let front = own.strip_suffix(base);
        front.is_some_and(|front| front.is_empty() || front.ends_with("::"))
    };
    if is_called(whole) {
        return within(types, whole, name, depth);
    }
    let mut bases = whole.members.iter().filter(|member| member.base);
    bases.find_map(|member| {
        let inner = record(types, member.ty)?;
        let Type::Record(inner) = &*inner else { return None };
        Some(in_base(types, inner, base, name, depth)?.within(member.offset))
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How expressions write the name of a member.
pub(super) fn written(name: &str) -> &str {
    name.strip_prefix("__").filter(|number| is_number(number)).unwrap_or(name)
}

/// Members that are spelt like `name`, nearest first, with their types; else the
/// first few there are.
pub(super) fn nearest(
    types: &dyn Types,
    record: &Record,
    name: &str,
) -> Vec<(String, String)> {
    const SHOWN: usize = 3;
    const COMPARED: usize = 4096;
    const NEAR: f64 = 0.5;
    let mut all = Vec::new();
    collect(types, record, NESTING_MAX, COMPARED, &mut all);
    let likeness = |known: &str| {
        let contains = known.contains(name) || name.contains(known);
        let spelt = strsim::normalized_damerau_levenshtein(name, known);
        if contains { spelt.max(NEAR) } else { spelt }
    };
    let mut near: Vec<_> =
        all.iter().map(|(known, ty)| (likeness(known), known, ty)).collect();
    near.retain(|(likeness, ..)| *likeness >= NEAR);
    near.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    let mut chosen: Vec<_> = near.into_iter().map(|(_, name, ty)| (name, ty)).collect();
    if chosen.is_empty() {
        chosen = all.iter().map(|(name, ty)| (name, ty)).collect();
    }
    let shown = chosen.into_iter().take(SHOWN);
    shown.map(|(name, ty)| (name.clone(), type_name(types, *ty))).collect()
}

fn collect(
    types: &dyn Types,
    whole: &Record,
    depth: u32,
    limit: usize,
    all: &mut Vec<(String, TypeId)>,
) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for member in &whole.members {
        if all.len() >= limit {
            return;
        }
        match (&member.name, record(types, member.ty).as_deref()) {
            (Some(name), _) => all.push((written(name).to_owned(), member.ty)),
            (None, Some(Type::Record(inner))) => {
                collect(types, inner, depth, limit, all);
            }
            _ => {}
        }
    }
    let variants = whole.variants.iter().flat_map(|variants| &variants.all);
    all.extend(variants.map(|variant| (variant.name.clone(), variant.fields.ty)));
}
