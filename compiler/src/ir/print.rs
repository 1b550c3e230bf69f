//! The text form that `--dump ir` shows.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    Block, BlockId, Emit, Handler, Instruction, Local, Module, Op, Terminator, Text,
    Type, Value, WalkOrder,
};

impl Display for Module {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (name, initial) in self.names.longs.iter().zip(&self.layout.longs) {
            writeln!(f, "global {name}: long = {initial}")?;
        }
        for (name, initial) in self.names.texts.iter().zip(&self.layout.texts) {
            writeln!(f, "global {name}: string = {initial:?}")?;
        }
        for (name, shape) in self.names.arrays.iter().zip(&self.layout.arrays) {
            let ty = |string: bool| if string { Type::String } else { Type::Long };
            let keys: Vec<_> =
                shape.string_keys.iter().map(|key| ty(*key).to_string()).collect();
            let value = ty(shape.string_values);
            writeln!(
                f,
                "array {name}[{}]: {value}, {} at most",
                keys.join(", "),
                shape.capacity
            )?;
        }
        for handler in &self.handlers {
            writeln!(f, "\nhandler {} {{", handler.name)?;
            let shown = Shown { module: self, handler };
            for (number, block) in handler.blocks.iter().enumerate() {
                shown.block(f, number, block)?;
            }
            writeln!(f, "}}")?;
        }
        Ok(())
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Display for Local {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "l{}", self.0)
    }
}

impl Display for BlockId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl Display for Terminator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump(block) => write!(f, "jump {block}"),
            Self::Branch(value, then, otherwise) => {
                write!(f, "branch {value}, {then}, {otherwise}")
            }
            Self::Return => f.write_str("return"),
        }
    }
}

impl Display for WalkOrder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = |descending: &bool| if *descending { '-' } else { '+' };
        match self {
            Self::Insertion => f.write_str("in order of insertion"),
            Self::Value { descending } => write!(f, "by value{}", sign(descending)),
            Self::Key { position, descending } => {
                write!(f, "by key {position}{}", sign(descending))
            }
        }
    }
}

/// A handler with the module that its numbers refer to.
struct Shown<'a> {
    module: &'a Module,
    handler: &'a Handler,
}

impl Shown<'_> {
    fn block(&self, f: &mut Formatter<'_>, number: usize, block: &Block) -> fmt::Result {
        writeln!(f, "  b{number}:")?;
        for Instruction { result, op, .. } in &block.instructions {
            f.write_str("    ")?;
            if let Some(value) = result {
                let ty = self.handler.values.get(value.0 as usize).copied();
                write!(f, "{value}: {} = ", ty.unwrap_or(Type::Long))?;
            }
            self.op(f, op)?;
            f.write_char('\n')?;
        }
        writeln!(f, "    {}", block.terminator)
    }

    fn op(&self, f: &mut Formatter<'_>, op: &Op) -> fmt::Result {
        match op {
            Op::Long(value) => write!(f, "{value}"),
            Op::Text(text) => self.text(f, *text),
            Op::Field(field) => write!(f, "record.{}", field.name),
            Op::GetLocal(local) => write!(f, "{local}"),
            Op::SetLocal(local, value) => write!(f, "{local} = {value}"),
            Op::GetLong(slot) => f.write_str(name(&self.module.names.longs, *slot)),
            Op::SetLong(slot, value) => {
                write!(f, "{} = {value}", name(&self.module.names.longs, *slot))
            }
            Op::GetText(slot) => f.write_str(name(&self.module.names.texts, *slot)),
            Op::SetText(slot, value) => {
                write!(f, "{} = {value}", name(&self.module.names.texts, *slot))
            }
            Op::Unary(op, value) => write!(f, "{op:?} {value}"),
            Op::Binary(op, left, right) => write!(f, "{op:?} {left}, {right}"),
            Op::Compare(op, left, right) => write!(f, "{op:?} {left}, {right}"),
            Op::CompareText(op, left, right) => write!(f, "{op:?} text {left}, {right}"),
            Op::Concat(left, right) => write!(f, "concat {left}, {right}"),
            Op::Call(helper, args) => write!(f, "{}({})", helper.name, list(args)),
            Op::Fuel(steps) => write!(f, "fuel {steps}"),
            Op::CaptureBegin => f.write_str("capture {"),
            Op::CaptureEnd => f.write_str("} capture"),
            _ => self.array_or_emit(f, op),
        }
    }

    fn array_or_emit(&self, f: &mut Formatter<'_>, op: &Op) -> fmt::Result {
        let array = |number: &u32| name(&self.module.names.arrays, *number);
        match op {
            Op::GetElement(number, keys) => {
                write!(f, "{}[{}]", array(number), list(keys))
            }
            Op::SetElement(number, keys, value) => {
                write!(f, "{}[{}] = {value}", array(number), list(keys))
            }
            Op::AddElement(number, keys, value) => {
                write!(f, "{}[{}] += {value}", array(number), list(keys))
            }
            Op::HasElement(number, keys) => {
                write!(f, "[{}] in {}", list(keys), array(number))
            }
            Op::DeleteElement(number, keys) => {
                write!(f, "delete {}[{}]", array(number), list(keys))
            }
            Op::Clear(number) => write!(f, "delete {}", array(number)),
            Op::WalkBegin { array: number, order, limit } => {
                write!(f, "walk {} {order}", array(number))?;
                limit.map_or(Ok(()), |limit| write!(f, " limit {limit}"))
            }
            Op::WalkNext => f.write_str("walk next"),
            Op::WalkKey(position) => write!(f, "walk key {position}"),
            Op::WalkEnd => f.write_str("walk end"),
            Op::EmitText(text) => {
                f.write_str("emit ")?;
                self.text(f, *text)
            }
            Op::EmitLong(emit) | Op::EmitString(emit) => write!(f, "emit {emit}"),
            _ => unreachable!("`op` shows all others"),
        }
    }

    fn text(&self, f: &mut Formatter<'_>, text: Text) -> fmt::Result {
        let text = match text {
            Text::Empty => "",
            Text::Constant(index) => name(&self.module.layout.constants, index),
        };
        write!(f, "{text:?}")
    }
}

impl Display for Emit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let directive = self.directive;
        let flags = [
            (directive.left, '-'),
            (directive.plus, '+'),
            (directive.space, ' '),
            (directive.zero, '0'),
            (directive.alternate, '#'),
        ];
        write!(f, "{} as {:?}", self.value, directive.conversion)?;
        for (_, flag) in flags.iter().filter(|(on, _)| *on) {
            write!(f, " {flag:?}")?;
        }
        if let Some(width) = self.width {
            write!(f, " width {width}")?;
        }
        self.precision.map_or(Ok(()), |precision| write!(f, " precision {precision}"))
    }
}

fn name(names: &[String], index: u32) -> &str {
    names.get(index as usize).map_or("?", |name| name)
}

fn list(values: &[Value]) -> String {
    let values: Vec<_> = values.iter().map(Value::to_string).collect();
    values.join(", ")
}
