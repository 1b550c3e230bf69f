//! Data of the target: what `$x->a[i]`, `*$p`, `&$x`, `@cast` and `@var` stand
//! for. Both walks ask here, so that they can not disagree.

mod problem;

use std::rc::Rc;

use self::problem::Own;
pub(super) use self::problem::{Problem, Wrong};
use super::scope::Place as Point;
use crate::ast::{Expression, ExpressionKind, Name};
use crate::data::{Bits, DataType, DataTypes, NotFound, Place, Space, TypeRef};
use crate::environment::{Location, TargetVariable};
use crate::types::Type;

/// What is known of data before the script runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) ty: TypeRef,
    pub(super) space: Space,
    /// It lies in memory; else it is a value, such as `$new` in its record.
    pub(super) in_memory: bool,
    /// It only looks as if it did: see [`Location::Picture`].
    pub(super) picture: bool,
    /// Only these bits of it, of a bit-field.
    pub(super) bits: Option<Bits>,
}

impl Found {
    fn new(ty: TypeRef, space: Space, in_memory: bool) -> Self {
        Self { ty, space, in_memory, picture: false, bits: None }
    }

    /// A part of it, or of what it points to.
    fn part(self, ty: TypeRef, behind: bool) -> Self {
        let in_memory = self.in_memory || behind;
        Self { ty, in_memory, picture: self.picture && !behind, bits: None, ..self }
    }
}

/// Where a variable lies.
pub(super) enum VariableAddress {
    Known(u64),
    /// To be looked for by this name when the script runs.
    Named(String),
}

/// What surrounds a use of data.
#[derive(Clone, Copy)]
pub(super) struct Resolver<'a> {
    pub(super) types: &'a dyn DataTypes,
    /// The point of the handler; none in a function, or where it is wrong.
    pub(super) point: Option<&'a Point>,
}

/// Whether an expression is data by its form: something of the target, with a
/// type perhaps.
pub(super) fn is_data(expression: &Expression) -> bool {
    match &expression.kind {
        ExpressionKind::At { name, .. } => matches!(name.text.as_str(), "cast" | "var"),
        ExpressionKind::Target(_)
        | ExpressionKind::Member(..)
        | ExpressionKind::Subscript(..)
        | ExpressionKind::Dereference(_)
        | ExpressionKind::Address(_) => true,
        _ => false,
    }
}

impl<'a> Resolver<'a> {
    /// What an expression stands for.
    ///
    /// # Errors
    /// Why it stands for no data of a known type.
    pub(super) fn resolve(&self, data: &Expression) -> Result<Found, Problem> {
        let at = |wrong: Wrong| Problem { span: data.span, wrong };
        match &data.kind {
            ExpressionKind::Target(name) => {
                let variable = self.variable(name).ok_or_else(|| at(Wrong::Target))?;
                let ty = variable.ty.ok_or_else(|| at(Wrong::Untyped(name.clone())))?;
                let picture = matches!(variable.location, Location::Picture(_));
                let in_memory = matches!(variable.location, Location::Memory(_));
                let space = variable.space;
                Ok(Found { ty, space, in_memory, picture, bits: None })
            }
            ExpressionKind::Member(of, name) => {
                let of = self.resolve(of)?;
                let (behind, place) = self.member(of.ty, name).map_err(at)?;
                Ok(Found { bits: place.bits, ..of.part(place.ty, behind) })
            }
            ExpressionKind::Subscript(of, _) => {
                let of = self.resolve(of)?;
                let (behind, ty, _) = self.element(of.ty).map_err(at)?;
                Ok(of.part(ty, behind))
            }
            ExpressionKind::Dereference(of) => {
                let of = self.resolve(of)?;
                let (behind, ty) = self.behind(of.ty).map_err(at)?;
                Ok(of.part(ty, behind))
            }
            ExpressionKind::Address(of) => match self.resolve(of)? {
                of @ Found { in_memory: true, bits: None, .. } => {
                    Ok(Found { ty: of.ty.pointer(), in_memory: false, ..of })
                }
                Found { bits, .. } => Err(at(Wrong::NoAddress { bits: bits.is_some() })),
            },
            ExpressionKind::At { name, arguments, .. } => {
                self.named(name, arguments).map_err(at)
            }
            kind => Err(at(Wrong::NoData(self.own(kind)))),
        }
    }

    /// What a value of the script is taken for data by.
    fn own(&self, kind: &ExpressionKind) -> Own {
        match kind {
            ExpressionKind::Element { .. } => Own::Element,
            ExpressionKind::Variable(name) => match self.types.variable(name, None) {
                Err(NotFound::Unknown { .. }) => Own::Value,
                Ok(_) | Err(_) => Own::Namesake(name.clone()),
            },
            _ => Own::Value,
        }
    }

    /// The `$` variable of this name.
    pub(super) fn variable(&self, name: &str) -> Option<&'a TargetVariable> {
        self.point?.variables.iter().find(|variable| variable.name == name)
    }

    /// `@cast(…)`, `@var(…)`.
    fn named(&self, name: &Name, arguments: &[Expression]) -> Result<Found, Wrong> {
        match name.text.as_str() {
            "cast" => {
                let named = self.cast(arguments)?;
                let in_memory = !self.is_scalar(named.0);
                Ok(Found::new(named.0, named.1, in_memory))
            }
            "var" => {
                let (name, module) = names(arguments).ok_or(Wrong::Arguments)?;
                let found = self.types.variable(name, module);
                let found = found.map_err(|why| missing("variable", name, why))?;
                Ok(Found::new(found.ty, found.space, true))
            }
            _ => Err(Wrong::NoData(Own::Value)),
        }
    }

    /// Where a variable that `@var(…)` names lies.
    pub(super) fn address(&self, data: &Expression) -> Option<VariableAddress> {
        let ExpressionKind::At { arguments, .. } = &data.kind else { return None };
        let (name, module) = names(arguments)?;
        let known = self.types.variable(name, module).ok()?.address;
        Some(known.map_or_else(
            || {
                VariableAddress::Named(match module {
                    Some(module) => format!("\"{module}\":{name}"),
                    None => name.to_owned(),
                })
            },
            VariableAddress::Known,
        ))
    }

    /// The type that a cast names, and whose memory its objects lie in.
    fn cast(&self, arguments: &[Expression]) -> Result<(TypeRef, Space), Wrong> {
        let rest = arguments.get(1..).unwrap_or_default();
        let (written, module) = names(rest).ok_or(Wrong::Arguments)?;
        let name = written.trim_end_matches(['*', ' ']);
        let stars = written[name.len()..].matches('*').count();
        let name = name.strip_prefix("const ").unwrap_or(name).trim();
        let found = self.types.named(name, module);
        let found = found.map_err(|why| missing("type", name, why))?;
        let ty = (0..stars).fold(found.ty, |ty, _| ty.pointer());
        Ok((ty, found.space))
    }

    /// `@enum(…)`: the value of a constant.
    ///
    /// # Errors
    /// There is no such constant, or the arguments are no names.
    pub(super) fn constant(&self, whole: &Expression) -> Result<i64, Problem> {
        let at = |wrong| Problem { span: whole.span, wrong };
        let ExpressionKind::At { arguments, index: None, .. } = &whole.kind else {
            return Err(at(Wrong::Arguments));
        };
        let (name, module) = names(arguments).ok_or_else(|| at(Wrong::Arguments))?;
        let found = self.types.constant(name, module);
        found.map_err(|why| at(missing("constant", name, why)))
    }

    /// The member of a structure, or of the one that a pointer points to:
    /// whether there is a pointer, and where the member lies.
    pub(super) fn member(
        &self,
        ty: TypeRef,
        name: &Name,
    ) -> Result<(bool, Place), Wrong> {
        let whole = self.types.view(ty);
        let (behind, of) = match &*whole {
            DataType::Pointer(to) => (true, *to),
            _ => (false, ty),
        };
        let record = self.types.view(of);
        let DataType::Record(record) = &*record else {
            return Err(Wrong::NoParts { what: "members", of: self.types.name(ty) });
        };
        let members = self.types.members(record);
        match members.iter().find(|(member, _)| *member == name.text) {
            Some((_, place)) => Ok((behind, *place)),
            None => Err(Wrong::NoMember {
                of: self.types.name(of),
                name: name.clone(),
                members: members.into_iter().map(|(name, _)| name).collect(),
            }),
        }
    }

    /// The element of an array, or of what a pointer points to: whether there
    /// is a pointer, the element's type and its bytes.
    pub(super) fn element(&self, ty: TypeRef) -> Result<(bool, TypeRef, u64), Wrong> {
        let (behind, of) = match &*self.types.view(ty) {
            DataType::Pointer(to) => (true, *to),
            DataType::Array { of, .. } => (false, *of),
            _ => {
                return Err(Wrong::NoParts { what: "elements", of: self.types.name(ty) });
            }
        };
        let Some(size) = self.types.size(of) else {
            return Err(Wrong::NoParts { what: "elements", of: self.types.name(ty) });
        };
        Ok((behind, of, size))
    }

    /// What a pointer points to; of an array the first element.
    pub(super) fn behind(&self, ty: TypeRef) -> Result<(bool, TypeRef), Wrong> {
        match &*self.types.view(ty) {
            DataType::Pointer(to) if self.types.size(*to).is_some() => Ok((true, *to)),
            DataType::Array { of, .. } => Ok((false, *of)),
            _ => Err(Wrong::NoParts { what: "target", of: self.types.name(ty) }),
        }
    }

    /// Whether it is one number; else it stands for its address.
    pub(super) fn is_scalar(&self, ty: TypeRef) -> bool {
        let readable = |size: u32| matches!(size, 1 | 2 | 4 | 8);
        match &*self.types.view(ty) {
            DataType::Integer { size, .. } | DataType::Bool { size } => readable(*size),
            DataType::Enum(enumeration) => readable(enumeration.size),
            DataType::Float { size, .. } => matches!(size, 4 | 8),
            DataType::Char { .. } | DataType::Pointer(_) => true,
            DataType::Void | DataType::Array { .. } | DataType::Record(_) => false,
        }
    }

    /// The type of the script that data becomes where it is used as a value.
    pub(super) fn decayed(&self, ty: TypeRef) -> Type {
        match &*self.types.view(ty) {
            DataType::Float { size: 4 | 8, .. } => Type::Double,
            _ => Type::Long,
        }
    }

    /// Whether `print` and `%s` have a form for it that is no number.
    pub(super) fn is_readable(&self, found: Found) -> bool {
        match &*self.types.view(found.ty) {
            DataType::Integer { size: 8, signed: false, .. }
            | DataType::Bool { .. }
            | DataType::Enum(_)
            | DataType::Pointer(_)
            | DataType::Array { .. }
            | DataType::Record(_) => true,
            // What no value of the script can hold is shown as `?`.
            DataType::Integer { .. } | DataType::Float { .. } => {
                !self.is_scalar(found.ty)
            }
            DataType::Char { .. } | DataType::Void => false,
        }
    }

    /// The type, seen through.
    pub(super) fn view(&self, ty: TypeRef) -> Rc<DataType> {
        self.types.view(ty)
    }

    /// Whether something that `@defined` asks for is there; none where that
    /// is no question of data.
    pub(super) fn defined(&self, what: &Expression) -> Option<bool> {
        match &what.kind {
            ExpressionKind::Target(name) => Some(self.variable(name).is_some()),
            ExpressionKind::Pretty { data, .. } => self.defined(data),
            ExpressionKind::At { name, .. } if name.text == "enum" => {
                Some(self.constant(what).is_ok())
            }
            _ if is_data(what) => Some(self.resolve(what).is_ok()),
            _ => None,
        }
    }
}

/// The name and the module of `@var(…)` and its like.
fn names(arguments: &[Expression]) -> Option<(&str, Option<&str>)> {
    let text = |it: &Expression| matches!(it.kind, ExpressionKind::String(_));
    if !arguments.iter().all(text) {
        return None;
    }
    match arguments {
        [name] => Some((literal(name), None)),
        [name, module] => Some((literal(name), Some(literal(module)))),
        _ => None,
    }
}

fn literal(expression: &Expression) -> &str {
    match &expression.kind {
        ExpressionKind::String(text) => &text.value,
        _ => "",
    }
}

fn missing(what: &'static str, name: &str, why: NotFound) -> Wrong {
    Wrong::NotFound { what, name: name.to_owned(), why }
}
