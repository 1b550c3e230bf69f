//! Structures as what they stand for: text, slices, one of several variants. Which
//! variant and how many elements shows when the handler runs, so that this is
//! written out as conditions.

use super::Lower;
use super::data::{Datum, Form, literal, long};
use super::pretty::{Detail, ELEMENTS_MAX, Shown, UNREADABLE, call, goes_inside};
use crate::data::{DataType, Extent, Place, Shape, Space, TypeRef, Variant, Variants};
use crate::printf::Conversion;
use crate::typed::{CompareOp, Expression, ExpressionKind, Literal};
use crate::types::Type;

/// Members of what has places and no names: Rust's tuples (rustc's DWARF).
const TUPLE: &str = "__";

impl Lower<'_> {
    /// The text that data in memory stands for; none of other data.
    pub(super) fn text_elsewhere(&self, datum: &Datum) -> Option<Expression> {
        let DataType::Record(record) = &*self.resolver().view(datum.ty) else {
            return None;
        };
        let (Shape::Text(extent), Form::Memory(_)) = (&record.shape, &datum.form) else {
            return None;
        };
        let address = self.word_at(datum, extent.data);
        let length = self.word_at(datum, extent.length);
        let name = match datum.space {
            Space::User => "user_string_n",
            Space::Kernel => "kernel_string_n",
        };
        let text = call(name, vec![address, length.clone()], datum.span);
        let kind = ExpressionKind::Guarded {
            text: Box::new(text),
            otherwise: Box::new(string(UNREADABLE, datum)),
        };
        let text = Expression { kind, ty: Type::String, span: datum.span };
        // The pointer of an empty text points nowhere.
        Some(choice(length, text, string("", datum)))
    }

    /// The first elements of a slice.
    pub(super) fn show_slice(
        &mut self,
        shown: &mut Shown,
        datum: &Datum,
        (extent, of): (Extent, TypeRef),
        (detail, depth): (Detail, u32),
    ) {
        let (true, Some(size)) = (goes_inside(detail, depth), self.names.types.size(of))
        else {
            return shown.text("[...]");
        };
        let length = self.word_at(datum, extent.length);
        let first = self.pointed_to(datum, extent.data, of);
        shown.text("[");
        for at in 0..ELEMENTS_MAX {
            let offset = literal(at.wrapping_mul(size) as i64, datum.span);
            let element = first.clone().moved(offset);
            let inner = self.apart(shown, |lower, inner| {
                inner.text(if at == 0 { "" } else { ", " });
                lower.show(inner, &element, detail, depth + 1);
            });
            let there = above(length.clone(), at as i64);
            let text = choice(there, inner.finish(datum.span), string("", datum));
            shown.value(Conversion::String, false, text);
        }
        let more = above(length, ELEMENTS_MAX as i64);
        let more = choice(more, string(", ...", datum), string("", datum));
        shown.value(Conversion::String, false, more);
        shown.text("]");
    }

    /// The variant that is there: its name and what is in it.
    pub(super) fn show_variants(
        &mut self,
        shown: &mut Shown,
        datum: &Datum,
        variants: &Variants,
        (detail, depth): (Detail, u32),
    ) {
        let number = variants.discriminant.map(|(ty, offset)| {
            let offset = literal(offset as i64, datum.span);
            self.unsigned(&Datum { ty, ..datum.clone().moved(offset) })
        });
        let mut text = string("?", datum);
        // The last one comes first into the chain of conditions; the one for
        // all other numbers is at its end.
        let (others, listed): (Vec<&Variant>, Vec<&Variant>) =
            variants.all.iter().partition(|variant| variant.values.is_none());
        for variant in others.into_iter().chain(listed.into_iter().rev()) {
            let inner = self.apart(shown, |lower, inner| {
                lower.show_variant(inner, datum, variant, (detail, depth));
            });
            let inner = inner.finish(datum.span);
            let is_there = match (&number, &variant.values) {
                (Some(number), Some(values)) => any_of(number, values),
                _ => None,
            };
            text = match is_there {
                Some(is_there) => choice(is_there, inner, text),
                None => inner,
            };
        }
        shown.value(Conversion::String, false, text);
    }

    fn show_variant(
        &mut self,
        shown: &mut Shown,
        datum: &Datum,
        variant: &Variant,
        (detail, depth): (Detail, u32),
    ) {
        shown.text(&variant.name);
        let offset = literal(variant.offset as i64, datum.span);
        let inside = Datum { ty: variant.ty, ..datum.clone().moved(offset) };
        let members = match &*self.resolver().view(variant.ty) {
            DataType::Record(fields) => self.names.types.members(fields),
            DataType::Void => return,
            // All that is in it, seen through.
            _ => {
                shown.text("(");
                self.show(shown, &inside, detail, depth + 1);
                return shown.text(")");
            }
        };
        if members.is_empty() {
            return;
        }
        if is_tuple(&members) {
            return self.show_tuple(shown, &inside, members, (detail, depth));
        }
        shown.text(" ");
        self.show_record(shown, &inside, members, detail, depth);
    }

    /// Members that have places and no names.
    pub(super) fn show_tuple(
        &mut self,
        shown: &mut Shown,
        datum: &Datum,
        members: Vec<(String, Place)>,
        (detail, depth): (Detail, u32),
    ) {
        shown.text("(");
        for (at, (_, place)) in members.into_iter().enumerate() {
            shown.text(if at == 0 { "" } else { ", " });
            let part = self.part(datum.clone(), place, datum.span);
            self.show(shown, &part, detail, depth + 1);
        }
        shown.text(")");
    }

    /// Shows something in a text of its own, which counts for the whole.
    fn apart(
        &mut self,
        whole: &mut Shown,
        show: impl FnOnce(&mut Self, &mut Shown),
    ) -> Shown {
        let mut inner = Shown::after(whole.parts);
        show(self, &mut inner);
        whole.parts = inner.parts;
        inner
    }

    /// The eight bytes at an offset.
    fn word_at(&self, datum: &Datum, offset: u64) -> Expression {
        datum.clone().moved(literal(offset as i64, datum.span)).word(8, false)
    }

    /// What the pointer at an offset points to.
    fn pointed_to(&self, datum: &Datum, offset: u64, ty: TypeRef) -> Datum {
        let pointer = datum.clone().moved(literal(offset as i64, datum.span));
        Datum { ty, ..self.follow(&pointer) }
    }

    /// A whole number without its sign.
    fn unsigned(&self, datum: &Datum) -> Expression {
        let size = self.names.types.size(datum.ty).filter(|size| *size <= 8);
        datum.word(size.unwrap_or(8) as u32, false)
    }
}

/// Whether members have places only.
pub(super) fn is_tuple(members: &[(String, Place)]) -> bool {
    let is_place = |name: &str| name.strip_prefix(TUPLE)?.parse::<u32>().ok();
    !members.is_empty() && members.iter().all(|(name, _)| is_place(name).is_some())
}

fn string(text: &str, datum: &Datum) -> Expression {
    let kind = ExpressionKind::Literal(Literal::String(text.to_owned()));
    Expression { kind, ty: Type::String, span: datum.span }
}

/// One of two strings.
fn choice(condition: Expression, then: Expression, otherwise: Expression) -> Expression {
    let span = then.span;
    let (condition, then) = (Box::new(condition), Box::new(then));
    let kind = ExpressionKind::Conditional(condition, then, Box::new(otherwise));
    Expression { kind, ty: Type::String, span }
}

/// Whether a number is larger than another.
fn above(number: Expression, limit: i64) -> Expression {
    compared(CompareOp::Greater, number, limit)
}

/// Whether a number is one of these; none where there are none.
fn any_of(number: &Expression, values: &[u64]) -> Option<Expression> {
    let equal = |value: &u64| compared(CompareOp::Equal, number.clone(), *value as i64);
    values.iter().map(equal).reduce(|left, right| {
        let span = left.span;
        long(ExpressionKind::Or(Box::new(left), Box::new(right)), span)
    })
}

fn compared(op: CompareOp, left: Expression, right: i64) -> Expression {
    let span = left.span;
    let right = literal(right, span);
    long(ExpressionKind::Compare(op, Box::new(left), Box::new(right)), span)
}
