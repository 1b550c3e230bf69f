//! The print family.

use hwtrace_lang::printf::{self, Count, Format, Piece};
use hwtrace_lang::span::Span;
use hwtrace_lang::typed::Expression;
use hwtrace_runtime::abi::format::{Conversion, Directive};

use super::super::{Emit, Op, Type, Value};
use super::Builder;
use super::expression::helper;

impl Builder<'_> {
    /// Prints. All arguments are evaluated before the first is printed, so
    /// that what they print themselves comes first.
    pub(super) fn print(&mut self, format: &Format, args: &[Expression], span: Span) {
        let values = self.expressions(args);
        self.emit(format, args, values, span);
    }

    /// Prints, and gives 0; or gives the text.
    pub(super) fn print_value(
        &mut self,
        format: &Format,
        args: &[Expression],
        to_string: bool,
        span: Span,
    ) -> Value {
        let values = self.expressions(args);
        if !to_string {
            self.emit(format, args, values, span);
            return self.long(0, span);
        }
        self.effect(Op::CaptureBegin, span);
        self.emit(format, args, values, span);
        self.value(Type::String, Op::CaptureEnd, span)
    }

    fn emit(
        &mut self,
        format: &Format,
        args: &[Expression],
        values: Vec<Value>,
        span: Span,
    ) {
        let mut args = args.iter().map(|arg| arg.ty).zip(values);
        for piece in &format.pieces {
            match piece {
                Piece::Literal(text) => {
                    let text = self.pool.text(text);
                    self.effect(Op::EmitText(text), span);
                }
                Piece::Directive(directive) => self.emit_one(directive, &mut args, span),
            }
        }
    }

    fn emit_one(
        &mut self,
        directive: &printf::Directive,
        args: &mut impl Iterator<Item = (Type, Value)>,
        span: Span,
    ) {
        let mut count = |count: Option<Count>| match count? {
            Count::Fixed(count) => Some(self.long(i64::from(count), span)),
            Count::Argument => args.next().map(|(_, value)| value),
        };
        let (width, precision) = (count(directive.width), count(directive.precision));
        let Some((ty, value)) = args.next() else {
            unreachable!("the checker counts the arguments of print")
        };
        if ty == Type::Stack {
            // It has lines, not columns: width and precision say nothing.
            let alone = self.long(directive.flags.alternate.into(), span);
            return self.effect(helper("emit_stack", vec![value, alone]), span);
        }
        let emit = Emit { directive: packed(directive), width, precision, value };
        let op = match (emit.directive.conversion, ty) {
            (Conversion::Memory | Conversion::MemoryHex, _) => Op::EmitMemory(emit),
            (_, Type::Double) => Op::EmitDouble(emit),
            (_, Type::String) => Op::EmitString(emit),
            (_, Type::Long | Type::Stack | Type::Stats) => Op::EmitLong(emit),
        };
        self.effect(op, span);
    }
}

fn packed(directive: &printf::Directive) -> Directive {
    let flags = directive.flags;
    Directive {
        conversion: conversion(directive.conversion),
        left: flags.left,
        plus: flags.plus,
        space: flags.space,
        zero: flags.zero,
        alternate: flags.alternate,
    }
}

fn conversion(conversion: printf::Conversion) -> Conversion {
    match conversion {
        printf::Conversion::Signed => Conversion::Signed,
        printf::Conversion::Unsigned => Conversion::Unsigned,
        printf::Conversion::HexLower => Conversion::HexLower,
        printf::Conversion::HexUpper => Conversion::HexUpper,
        printf::Conversion::Octal => Conversion::Octal,
        printf::Conversion::Pointer => Conversion::Pointer,
        printf::Conversion::Char => Conversion::Char,
        // A double prints in its shortest form where no directive is for it.
        printf::Conversion::String | printf::Conversion::Shortest => Conversion::String,
        printf::Conversion::Bytes => Conversion::Binary,
        printf::Conversion::Memory => Conversion::Memory,
        printf::Conversion::MemoryHex => Conversion::MemoryHex,
        printf::Conversion::Fixed => Conversion::Fixed,
        printf::Conversion::Exponent => Conversion::Exponent,
        printf::Conversion::General => Conversion::General,
    }
}
