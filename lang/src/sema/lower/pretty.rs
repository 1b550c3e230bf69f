//! Data as text: `$x$`, `$x$$`, and what `print` and `%s` show of it. Written
//! out before the script runs, so that a handler only loads and prints.

use super::Lower;
use super::data::{Datum, Form, literal, long};
use super::shapes::is_tuple;
use crate::ast::{Expression as Ast, ExpressionKind as AstKind};
use crate::builtins;
use crate::data::{DataType, Place as Part, Shape, Space, TypeRef};
use crate::printf::{Conversion, Directive, Flags, Format, Piece};
use crate::span::Span;
use crate::typed::{
    BinaryOp, Expression, ExpressionKind, Literal, Local, LocalId, Place,
};
use crate::types::Type;

/// So many values are shown of one piece of data, as SystemTap does.
const VALUES_MAX: usize = 32;

/// So many structures, arrays and values are looked at for it, so that what is
/// empty has an end, too.
const PARTS_MAX: usize = 4 * VALUES_MAX;

/// So many elements of an array.
pub(super) const ELEMENTS_MAX: u64 = 5;

/// Structures and arrays are shown inside of one another so deep.
const DEPTH_MAX: u32 = 8;

/// Shown of text that can not be read.
pub(super) const UNREADABLE: &str = "<unknown>";

/// The whole text where some of the data can not be read, as in SystemTap.
const FAULTED: &str = "ERROR";

/// How data is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// `$x$`: what it has inside, and of that only numbers and text.
    Level,
    /// `$x$$`: all that is inside; pointers are not followed.
    Deep,
}

/// A text that grows, with the values in it.
#[derive(Default)]
pub(super) struct Shown {
    pieces: Vec<Piece>,
    args: Vec<Expression>,
    /// What was looked at.
    pub(super) parts: usize,
}

impl Shown {
    /// One that goes on where others have looked at so many parts.
    pub(super) fn after(parts: usize) -> Self {
        Self { parts, ..Self::default() }
    }

    pub(super) fn text(&mut self, text: &str) {
        if let Some(Piece::Literal(before)) = self.pieces.last_mut() {
            before.push_str(text);
        } else {
            self.pieces.push(Piece::Literal(text.to_owned()));
        }
    }

    pub(super) fn value(
        &mut self,
        conversion: Conversion,
        alternate: bool,
        value: Expression,
    ) {
        let flags = Flags { alternate, ..Flags::default() };
        let (width, precision) = (None, None);
        self.pieces.push(Piece::Directive(Directive {
            flags,
            width,
            precision,
            conversion,
        }));
        self.args.push(value);
    }

    pub(super) fn is_full(&self) -> bool {
        self.args.len() >= VALUES_MAX || self.parts >= PARTS_MAX
    }

    pub(super) fn finish(self, span: Span) -> Expression {
        let Self { pieces, args, .. } = self;
        let kind =
            ExpressionKind::Print { format: Format { pieces }, args, to_string: true };
        Expression { kind, ty: Type::String, span }
    }
}

impl Lower<'_> {
    /// `$x$`, `$x$$`
    pub(super) fn pretty(&mut self, data: &Ast, deep: bool) -> ExpressionKind {
        if let AstKind::Target(name) = &data.kind
            && let Some(raw) = self.untyped(name, data.span)
        {
            let mut shown = Shown::default();
            shown.value(Conversion::Signed, false, raw);
            return shown.finish(data.span).kind;
        }
        let datum = self.datum(data);
        let detail = if deep { Detail::Deep } else { Detail::Level };
        self.whole(datum, detail).kind
    }

    /// A value that is printed: as text, where its type has a readable form.
    pub(super) fn printed(&mut self, value: &Ast) -> Expression {
        if !crate::sema::data::is_data(value) {
            return self.expression(value);
        }
        let known = self.resolver().resolve(value).ok();
        if known.is_none_or(|known| !self.resolver().is_readable(known)) {
            return self.expression(value);
        }
        let datum = self.datum(value);
        if let Some(name) = self.named_value(&datum) {
            return name;
        }
        if let Some(text) = self.text(&datum) {
            return text;
        }
        match &*self.resolver().view(datum.ty) {
            DataType::Pointer(_) => self.pointer_text(&datum),
            // A long of the script would have a sign.
            DataType::Integer { size: 8, .. } => {
                let mut shown = Shown::default();
                shown.value(Conversion::Unsigned, false, self.value(&datum));
                shown.finish(datum.span)
            }
            _ => self.whole(datum, Detail::Level),
        }
    }

    /// Data from its outermost brackets on. What computes its place is
    /// computed once.
    fn whole(&mut self, datum: Datum, detail: Detail) -> Expression {
        let span = datum.span;
        let datum = self.behind_pointer(datum);
        let in_memory = matches!(datum.form, Form::Memory(_));
        let (computed, datum) = self.kept(datum);
        let mut shown = Shown::default();
        self.show(&mut shown, &datum, detail, 0);
        let mut text = shown.finish(span);
        let string = |kind| Expression { kind, ty: Type::String, span };
        if let Some((local, value)) = computed {
            let (value, inside) = (Box::new(value), Box::new(text));
            text = string(ExpressionKind::Let { local, value, inside });
        }
        if !in_memory {
            return text;
        }
        let otherwise = ExpressionKind::Literal(Literal::String(FAULTED.to_owned()));
        let (text, otherwise) = (Box::new(text), Box::new(string(otherwise)));
        string(ExpressionKind::Guarded { text, otherwise })
    }

    /// Of a pointer to a structure the structure.
    fn behind_pointer(&self, datum: Datum) -> Datum {
        let resolver = self.resolver();
        match &*resolver.view(datum.ty) {
            DataType::Pointer(to)
                if matches!(&*resolver.view(*to), DataType::Record(_)) =>
            {
                Datum { ty: *to, ..self.follow(&datum) }
            }
            _ => datum,
        }
    }

    /// Keeps what computes the place in a local, unless it is simple.
    fn kept(&mut self, datum: Datum) -> (Option<(LocalId, Expression)>, Datum) {
        let (Form::Value(place) | Form::Memory(place)) = &datum.form;
        if is_simple(place) {
            return (None, datum);
        }
        let id = LocalId(u32::try_from(self.locals.len()).unwrap_or(u32::MAX));
        self.locals.push(Local { name: "(data)".to_owned(), ty: Type::Long });
        let read = long(ExpressionKind::Read(Place::Local(id)), datum.span);
        let (computed, form) = match datum.form.clone() {
            Form::Value(value) => (value, Form::Value(read)),
            Form::Memory(address) => (address, Form::Memory(read)),
        };
        (Some((id, computed)), Datum { form, ..datum })
    }

    pub(super) fn show(
        &mut self,
        shown: &mut Shown,
        datum: &Datum,
        detail: Detail,
        depth: u32,
    ) {
        if shown.is_full() {
            return shown.text("...");
        }
        shown.parts += 1;
        if let Some(name) = self.named_value(datum) {
            return shown.value(Conversion::String, false, name);
        }
        if let Some(text) = self.text(datum) {
            shown.text("\"");
            shown.value(Conversion::String, true, text);
            return shown.text("\"");
        }
        let of = self.resolver().view(datum.ty);
        match &*of {
            DataType::Record(record) => match (&record.shape, &datum.form) {
                (Shape::Slice { extent, of }, Form::Memory(_)) => {
                    self.show_slice(shown, datum, (*extent, *of), (detail, depth));
                }
                (Shape::Variants(variants), _) => {
                    self.show_variants(shown, datum, variants, (detail, depth));
                }
                _ => {
                    let members = self.names.types.members(record);
                    if is_tuple(&members) && goes_inside(detail, depth) {
                        return self.show_tuple(shown, datum, members, (detail, depth));
                    }
                    self.show_record(shown, datum, members, detail, depth);
                }
            },
            DataType::Array { of, length } => {
                self.show_array(shown, datum, (*of, *length), detail, depth);
            }
            DataType::Pointer(to) if self.names.types.is_char(*to) => {
                shown.text("\"");
                let text = unless_unreadable(self.value(datum), datum.space);
                shown.value(Conversion::String, true, text);
                shown.text("\"");
            }
            DataType::Pointer(_) => {
                shown.value(Conversion::String, false, self.pointer_text(datum));
            }
            DataType::Char { .. } => {
                shown.text("'");
                shown.value(Conversion::Char, true, self.value(datum));
                shown.text("'");
            }
            DataType::Float { size: 4 | 8, .. } => {
                shown.value(Conversion::Shortest, false, self.value(datum));
            }
            DataType::Integer { signed: false, .. } => {
                shown.value(Conversion::Unsigned, false, self.value(datum));
            }
            DataType::Integer { size: 1 | 2 | 4 | 8, .. } => {
                shown.value(Conversion::Signed, false, self.value(datum));
            }
            _ => shown.text("?"),
        }
    }

    pub(super) fn show_record(
        &mut self,
        shown: &mut Shown,
        datum: &Datum,
        members: Vec<(String, Part)>,
        detail: Detail,
        depth: u32,
    ) {
        if !goes_inside(detail, depth) {
            return shown.text("{...}");
        }
        shown.text("{");
        for (at, (name, place)) in members.into_iter().enumerate() {
            shown.text(if at == 0 { "" } else { ", " });
            if shown.is_full() {
                shown.text("...");
                break;
            }
            shown.text(&format!(".{name}="));
            let part = self.part(datum.clone(), place, datum.span);
            self.show(shown, &part, detail, depth + 1);
        }
        shown.text("}");
    }

    fn show_array(
        &mut self,
        shown: &mut Shown,
        datum: &Datum,
        (of, length): (TypeRef, Option<u64>),
        detail: Detail,
        depth: u32,
    ) {
        let size = self.names.types.size(of);
        let (true, Some(size)) = (goes_inside(detail, depth), size) else {
            return shown.text("[...]");
        };
        let length = length.unwrap_or(0);
        shown.text("[");
        for at in 0..length.min(ELEMENTS_MAX) {
            shown.text(if at == 0 { "" } else { ", " });
            let offset = literal(at.wrapping_mul(size) as i64, datum.span);
            let element = Datum { ty: of, ..datum.clone().moved(offset) };
            self.show(shown, &element, detail, depth + 1);
        }
        shown.text(if length > ELEMENTS_MAX { ", ...]" } else { "]" });
    }

    /// A pointer, and what is known of the place it points to.
    fn pointer_text(&self, datum: &Datum) -> Expression {
        let name = match datum.space {
            Space::User => "usymptr",
            Space::Kernel => "symptr",
        };
        call(name, vec![self.value(datum)], datum.span)
    }

    /// The text that data in memory is; none of other data.
    fn text(&self, datum: &Datum) -> Option<Expression> {
        self.text_of_array(datum).or_else(|| self.text_elsewhere(datum))
    }

    /// The text in an array of characters in memory; none of others.
    fn text_of_array(&self, datum: &Datum) -> Option<Expression> {
        let types = self.names.types;
        let DataType::Array { of, length } = &*types.view(datum.ty) else { return None };
        let (true, Form::Memory(address)) = (types.is_char(*of), &datum.form) else {
            return None;
        };
        let span = datum.span;
        // Of an array that does not tell how long it is, up to its end.
        let most = i64::try_from(length.unwrap_or(u64::MAX)).unwrap_or(i64::MAX);
        let arguments = vec![address.clone(), literal(most, span)];
        let name = match datum.space {
            Space::User => "user_string_n",
            Space::Kernel => "kernel_string_n",
        };
        Some(call(name, arguments, span))
    }
}

pub(super) fn goes_inside(detail: Detail, depth: u32) -> bool {
    depth == 0 || (detail == Detail::Deep && depth < DEPTH_MAX)
}

/// Whether computing it again costs nothing and changes nothing.
fn is_simple(place: &Expression) -> bool {
    match &place.kind {
        ExpressionKind::Literal(_)
        | ExpressionKind::Field(_)
        | ExpressionKind::Read(Place::Local(_)) => true,
        ExpressionKind::Binary(BinaryOp::Add, left, right) => {
            is_simple(left) && is_simple(right)
        }
        _ => false,
    }
}

/// The text at an address, or that it can not be read: one pointer that is
/// wrong should not hide the rest.
fn unless_unreadable(address: Expression, space: Space) -> Expression {
    let span = address.span;
    let kind = ExpressionKind::Literal(Literal::String(UNREADABLE.to_owned()));
    let otherwise = Expression { kind, ty: Type::String, span };
    let name = match space {
        Space::User => "user_string2",
        Space::Kernel => "kernel_string2",
    };
    call(name, vec![address, otherwise], span)
}

pub(super) fn call(name: &str, arguments: Vec<Expression>, span: Span) -> Expression {
    let Some(builtin) = builtins::lookup(name) else {
        unreachable!("{name} is in the table; the tests call it")
    };
    let kind = ExpressionKind::Call(builtin, arguments);
    Expression { kind, ty: Type::String, span }
}
