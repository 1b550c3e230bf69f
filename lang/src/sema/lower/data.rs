//! Data of the target: from its form in the script to loads from memory.

use super::Lower;
use super::pretty::call;
use crate::ast::{Expression as Ast, ExpressionKind as AstKind};
use crate::data::{Bits, DataType, Place, Space, TypeRef};
use crate::environment::Location;
use crate::sema::data::{Resolver, VariableAddress, Wrong};
use crate::span::Span;
use crate::typed::{BinaryOp, Expression, ExpressionKind, Literal, Names, NamesId};
use crate::types::Type;

/// Data with what computes it.
#[derive(Clone, Debug)]
pub(super) struct Datum {
    pub(super) ty: TypeRef,
    pub(super) space: Space,
    pub(super) form: Form,
    /// Of a bit-field.
    pub(super) bits: Option<Field>,
    pub(super) span: Span,
}

/// How data is had: a long in both cases.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// By its value, which is in the lowest bytes.
    Value(Expression),
    /// By its address.
    Memory(Expression),
}

/// A bit-field in the number that it is a part of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    bits: Bits,
    /// The bytes of the number.
    size: u32,
}

impl Lower<'_> {
    pub(super) fn resolver(&self) -> Resolver<'_> {
        Resolver { types: self.names.types, point: self.handler.place.as_ref() }
    }

    /// Data as a value of the script.
    pub(super) fn data(&mut self, data: &Ast) -> (ExpressionKind, Type) {
        if let AstKind::Target(name) = &data.kind
            && let Some(raw) = self.untyped(name, data.span)
        {
            return (raw.kind, raw.ty);
        }
        let datum = self.datum(data);
        let value = self.value(&datum);
        (value.kind, value.ty)
    }

    /// A `$` variable without a type: a long.
    pub(super) fn untyped(&self, name: &str, span: Span) -> Option<Expression> {
        match self.resolver().variable(name) {
            Some(variable) if variable.ty.is_some() => None,
            Some(variable) => Some(match variable.location {
                Location::Field(field) => long(ExpressionKind::Field(field), span),
                Location::Memory(address) | Location::Picture(address) => {
                    load(literal(address as i64, span), 8, true, variable.space)
                }
            }),
            None => unreachable!("the first walk has found ${name}"),
        }
    }

    pub(super) fn datum(&mut self, data: &Ast) -> Datum {
        let span = data.span;
        match &data.kind {
            AstKind::Target(name) => self.variable(name, span),
            AstKind::Member(of, name) => {
                let of = self.datum(of);
                let (behind, place) = found(self.resolver().member(of.ty, name));
                let whole = if behind { self.follow(&of) } else { of };
                self.part(whole, place, span)
            }
            AstKind::Subscript(of, index) => {
                let of = self.datum(of);
                let (behind, ty, size) = found(self.resolver().element(of.ty));
                let index = self.expression(index);
                let whole = if behind { self.follow(&of) } else { of };
                let offset = arithmetic(BinaryOp::Multiply, index, size as i64);
                Datum { ty, span, ..whole.moved(offset) }
            }
            AstKind::Dereference(of) => {
                let of = self.datum(of);
                let (behind, ty) = found(self.resolver().behind(of.ty));
                let whole = if behind { self.follow(&of) } else { of };
                Datum { ty, span, ..whole }
            }
            AstKind::Address(of) => match self.datum(of) {
                Datum { form: Form::Memory(address), ty, space, .. } => {
                    let form = Form::Value(address);
                    Datum { ty: ty.pointer(), space, form, bits: None, span }
                }
                _ => unreachable!("the first walk refuses addresses of values"),
            },
            AstKind::At { name, arguments, .. } => {
                let value = (name.text == "cast").then(|| self.expression(&arguments[0]));
                self.named(data, value)
            }
            kind => unreachable!("the first walk lets no {kind:?} be data"),
        }
    }

    fn variable(&self, name: &str, span: Span) -> Datum {
        let variable = self.resolver().variable(name);
        let Some((variable, ty)) = variable.and_then(|it| Some((it, it.ty?))) else {
            unreachable!("the first walk has found ${name} and its type")
        };
        let form = match variable.location {
            Location::Field(field) => {
                Form::Value(long(ExpressionKind::Field(field), span))
            }
            Location::Memory(address) | Location::Picture(address) => {
                Form::Memory(literal(address as i64, span))
            }
        };
        Datum { ty, space: variable.space, form, bits: None, span }
    }

    /// `@cast(value, …)`; `@var(…)`, without a value.
    fn named(&self, data: &Ast, value: Option<Expression>) -> Datum {
        let resolver = self.resolver();
        let known = match resolver.resolve(data) {
            Ok(known) => known,
            Err(problem) => unreachable!("the first walk has refused {problem:?}"),
        };
        let form = match value {
            Some(value) if known.in_memory => Form::Memory(value),
            Some(value) => Form::Value(value),
            None => Form::Memory(match resolver.address(data) {
                Some(VariableAddress::Named(name)) => address_of(name, data.span),
                Some(VariableAddress::Known(address)) => {
                    literal(address as i64, data.span)
                }
                None => unreachable!("the first walk has found it"),
            }),
        };
        Datum { ty: known.ty, space: known.space, form, bits: None, span: data.span }
    }

    /// What a pointer points to, still of the pointer's type.
    pub(super) fn follow(&self, pointer: &Datum) -> Datum {
        let form = Form::Memory(pointer.word(8, false));
        Datum { form, bits: None, ..pointer.clone() }
    }

    /// A member of a structure.
    pub(super) fn part(&self, whole: Datum, place: Place, span: Span) -> Datum {
        let Place { ty, offset, bits } = place;
        let Some(bits) = bits else {
            return Datum { ty, span, ..whole.moved(literal(offset as i64, span)) };
        };
        let size = self.names.types.size(ty).unwrap_or(8);
        let (start, field) = storage(offset, bits, size);
        let moved = whole.moved(literal(start as i64, span));
        Datum { ty, span, bits: Some(field), ..moved }
    }

    /// Data as a value of the script: a number, or the address of what is
    /// none.
    pub(super) fn value(&self, datum: &Datum) -> Expression {
        let of = self.resolver().view(datum.ty);
        match &*of {
            DataType::Integer { size, signed, .. } if is_word(*size) => {
                datum.word(*size, *signed)
            }
            DataType::Enum(of) if is_word(of.size) => datum.word(of.size, of.signed),
            DataType::Bool { size } if is_word(*size) => datum.word(*size, false),
            DataType::Char { signed } => datum.word(1, *signed),
            DataType::Pointer(_) => datum.word(8, false),
            DataType::Float { size: size @ (4 | 8), .. } => {
                let (bits, single) = (Box::new(datum.word(*size, false)), *size == 4);
                let kind = ExpressionKind::FromBits { bits, single };
                Expression { kind, ty: Type::Double, span: datum.span }
            }
            _ => match &datum.form {
                Form::Value(value) | Form::Memory(value) => value.clone(),
            },
        }
    }

    /// What a value of an enumeration or a bool is called; none of others.
    pub(super) fn named_value(&mut self, datum: &Datum) -> Option<Expression> {
        let of = self.resolver().view(datum.ty);
        let constants = match &*of {
            DataType::Enum(of) => of.constants.clone(),
            DataType::Bool { .. } => {
                vec![("false".to_owned(), 0), ("true".to_owned(), 1)]
            }
            _ => return None,
        };
        let mut names: Vec<(i64, String)> =
            constants.into_iter().map(|(name, value)| (value, name)).collect();
        names.sort_by_key(|(value, _)| *value);
        names.dedup_by_key(|(value, _)| *value);
        let names = self.table(Names { of: self.names.types.name(datum.ty), names });
        let value = Box::new(self.value(datum));
        let kind = ExpressionKind::Name { names, value };
        Some(Expression { kind, ty: Type::String, span: datum.span })
    }

    fn table(&mut self, names: Names) -> NamesId {
        let known = self.tables.iter().position(|known| *known == names);
        let at = known.unwrap_or_else(|| {
            self.tables.push(names);
            self.tables.len() - 1
        });
        NamesId(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// `@enum(…)`
    pub(super) fn constant_of(&self, whole: &Ast) -> ExpressionKind {
        match self.resolver().constant(whole) {
            Ok(value) => ExpressionKind::Literal(Literal::Long(value)),
            Err(problem) => unreachable!("the first walk has refused {problem:?}"),
        }
    }
}

impl Datum {
    /// So many bytes further on, a long; what is a value is shifted.
    pub(super) fn moved(self, offset: Expression) -> Self {
        let form = match self.form {
            Form::Memory(address) => Form::Memory(sum(address, offset)),
            Form::Value(value) => {
                let bits = arithmetic(BinaryOp::Multiply, offset, 8);
                Form::Value(shifted(BinaryOp::ShiftRightLogical, value, bits))
            }
        };
        Self { form, bits: None, ..self }
    }

    /// The number of so many bytes.
    pub(super) fn word(&self, size: u32, signed: bool) -> Expression {
        let loaded = |address: &Expression, size, signed| {
            let load = load(address.clone(), size, signed, self.space);
            Expression { span: self.span, ..load }
        };
        let (word, low, width) = match (&self.form, self.bits) {
            (Form::Memory(address), None) => return loaded(address, size, signed),
            (Form::Memory(address), Some(Field { bits, size })) => {
                (loaded(address, size, false), bits.offset, bits.width)
            }
            (Form::Value(value), Some(Field { bits, .. })) => {
                (value.clone(), bits.offset, bits.width)
            }
            (Form::Value(value), None) => (value.clone(), 0, 8 * size),
        };
        let low = low.min(63);
        let width = width.clamp(1, 64 - low);
        // Up, so that what is above is gone, and down again, by the sign.
        let up = 64u32.saturating_sub(low + width);
        let word = arithmetic(BinaryOp::ShiftLeft, word, i64::from(up));
        let down = match signed {
            true => BinaryOp::ShiftRight,
            false => BinaryOp::ShiftRightLogical,
        };
        arithmetic(down, word, i64::from(64 - width))
    }
}

/// The number that a bit-field is read as part of, by its first byte: the one
/// of its type, as C lays it out, where the bits are inside; else eight bytes.
fn storage(offset: u64, bits: Bits, size: u64) -> (u64, Field) {
    let first = offset.wrapping_mul(8).wrapping_add(u64::from(bits.offset));
    let unit = 8 * size;
    let inside =
        matches!(size, 1 | 2 | 4 | 8) && first % unit + u64::from(bits.width) <= unit;
    let (size, unit) = if inside { (size, unit) } else { (8, 8) };
    let bits = Bits { offset: (first % unit) as u32, ..bits };
    (first / unit * (unit / 8), Field { bits, size: size as u32 })
}

fn is_word(size: u32) -> bool {
    matches!(size, 1 | 2 | 4 | 8)
}

/// What the first walk has found.
fn found<T>(found: Result<T, Wrong>) -> T {
    match found {
        Ok(found) => found,
        Err(wrong) => unreachable!("the first walk has refused {wrong:?}"),
    }
}

pub(super) fn long(kind: ExpressionKind, span: Span) -> Expression {
    Expression { kind, ty: Type::Long, span }
}

pub(super) fn literal(value: i64, span: Span) -> Expression {
    long(ExpressionKind::Literal(Literal::Long(value)), span)
}

/// The address of what is called so in the process of the hit.
fn address_of(name: String, span: Span) -> Expression {
    let kind = ExpressionKind::Literal(Literal::String(name));
    let name = Expression { kind, ty: Type::String, span };
    Expression { ty: Type::Long, ..call("usymaddr", vec![name], span) }
}

fn load(address: Expression, size: u32, signed: bool, space: Space) -> Expression {
    let span = address.span;
    let address = Box::new(address);
    long(ExpressionKind::Load { address, size, signed, space }, span)
}

fn constant(expression: &Expression) -> Option<i64> {
    match &expression.kind {
        ExpressionKind::Literal(Literal::Long(value)) => Some(*value),
        _ => None,
    }
}

/// A sum; what is known of it before the script runs is computed.
fn sum(left: Expression, right: Expression) -> Expression {
    let span = left.span.to(right.span);
    let Some(more) = constant(&right) else {
        let (left, right) = (Box::new(left), Box::new(right));
        return long(ExpressionKind::Binary(BinaryOp::Add, left, right), span);
    };
    if more == 0 {
        return left;
    }
    if let Some(known) = constant(&left) {
        return literal(known.wrapping_add(more), span);
    }
    if let ExpressionKind::Binary(BinaryOp::Add, base, offset) = &left.kind
        && let Some(offset) = constant(offset)
    {
        return sum((**base).clone(), literal(offset.wrapping_add(more), span));
    }
    let (left, right) = (Box::new(left), Box::new(right));
    long(ExpressionKind::Binary(BinaryOp::Add, left, right), span)
}

/// An operator with a number on its right side that may do nothing.
fn arithmetic(op: BinaryOp, left: Expression, right: i64) -> Expression {
    let nothing = if op == BinaryOp::Multiply { 1 } else { 0 };
    let span = left.span;
    match (op, constant(&left)) {
        _ if right == nothing => left,
        (BinaryOp::Multiply, Some(known)) => literal(known.wrapping_mul(right), span),
        _ => shifted(op, left, literal(right, span)),
    }
}

fn shifted(op: BinaryOp, left: Expression, right: Expression) -> Expression {
    if constant(&right) == Some(0) {
        return left;
    }
    let span = left.span;
    long(ExpressionKind::Binary(op, Box::new(left), Box::new(right)), span)
}
