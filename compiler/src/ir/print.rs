//! The text form that `--dump ir` shows.

use std::fmt::{self, Display, Formatter, Write};

use hwtrace_runtime::aggregate::Shape as Statistics;
use hwtrace_runtime::map::Shape;

use super::{
    Aggregate, Block, BlockId, Code, Emit, Extractor, Histogram, Instruction, Load,
    Local, Module, Op, Space, Terminator, Text, Type, Value, WalkOrder, type_of,
};

impl Display for Module {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.globals(f)?;
        for function in &self.functions {
            let params = function.locals.iter().take(function.params as usize);
            let params: Vec<_> = params.map(Type::to_string).collect();
            write!(f, "\nfunction {}({})", function.name, params.join(", "))?;
            if let Some(ty) = function.returns {
                write!(f, ": {ty}")?;
            }
            self.code(f, function)?;
        }
        for (number, handler) in self.handlers.iter().enumerate() {
            write!(f, "\nhandler {}", handler.name)?;
            self.code(f, handler)?;
            if let Some(Some(condition)) = self.conditions.get(number) {
                write!(f, "\ncondition of {}: long", condition.name)?;
                self.code(f, condition)?;
            }
        }
        Ok(())
    }
}

impl Module {
    fn globals(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scalars = self.names.longs.iter().zip(&self.scalars);
        for ((name, ty), word) in scalars.zip(&self.layout.longs) {
            match ty {
                Type::Double => {
                    let value = f64::from_bits(*word as u64);
                    writeln!(f, "global {name}: double = {value:?}")?;
                }
                _ => writeln!(f, "global {name}: {ty} = {word}")?,
            }
        }
        for (name, initial) in self.names.texts.iter().zip(&self.layout.texts) {
            writeln!(f, "global {name}: string = {initial:?}")?;
        }
        for (name, shape) in self.names.statistics.iter().zip(&self.layout.statistics) {
            writeln!(f, "global {name}: statistics{}", Kept(shape))?;
        }
        for (number, names) in self.layout.enumerations.iter().enumerate() {
            let name = |(value, name): &(i64, String)| format!("{name} = {value}");
            let names: Vec<_> = names.iter().map(name).collect();
            writeln!(f, "names {number} {{ {} }}", names.join(", "))?;
        }
        for (name, shape) in self.names.arrays.iter().zip(&self.layout.arrays) {
            writeln!(f, "array {name}{}", Declared(shape))?;
        }
        Ok(())
    }

    fn code(&self, f: &mut Formatter<'_>, code: &Code) -> fmt::Result {
        writeln!(f, " {{")?;
        let shown = Shown { module: self, code };
        for (number, block) in code.blocks.iter().enumerate() {
            shown.block(f, number, block)?;
        }
        writeln!(f, "}}")
    }
}

/// What aggregates keep.
struct Kept<'a>(&'a Statistics);

impl Display for Kept<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Statistics { variance_shift, log, linear, percentiles } = self.0;
        if let Some(shift) = variance_shift {
            write!(f, ", variance with {shift} bits")?;
        }
        if *log {
            f.write_str(", logarithmic histogram")?;
        }
        for (low, high, step) in linear {
            write!(f, ", histogram from {low} to {high} by {step}")?;
        }
        f.write_str(if *percentiles { ", percentiles" } else { "" })
    }
}

/// Keys, values and bounds of an array.
struct Declared<'a>(&'a Shape);

impl Display for Declared<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shape = self.0;
        let keys = shape.keys.iter().map(|key| type_of(*key).to_string());
        let keys: Vec<_> = keys.collect();
        let values = type_of(shape.values);
        write!(f, "[{}]: {values}{}", keys.join(", "), Kept(&shape.statistics))?;
        let full = if shape.wraps { ", then the oldest goes" } else { "" };
        write!(f, ", {} at most{full}", shape.capacity)
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
            Self::Return(None) => f.write_str("return"),
            Self::Return(Some(value)) => write!(f, "return {value}"),
            Self::Leave => f.write_str("leave"),
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
            Self::Extractor { extractor, descending } => {
                write!(f, "by {}{}", extractor_name(*extractor), sign(descending))
            }
        }
    }
}

/// A handler with the module that its numbers refer to.
struct Shown<'a> {
    module: &'a Module,
    code: &'a Code,
}

impl Shown<'_> {
    fn block(&self, f: &mut Formatter<'_>, number: usize, block: &Block) -> fmt::Result {
        write!(f, "  b{number}:")?;
        block.on_fault.map_or(Ok(()), |caught| write!(f, " faults to {caught}"))?;
        f.write_char('\n')?;
        for Instruction { result, op, .. } in &block.instructions {
            f.write_str("    ")?;
            if let Some(value) = result {
                let ty = self.code.values.get(value.0 as usize).copied();
                write!(f, "{value}: {} = ", ty.unwrap_or(Type::Long))?;
            }
            self.op(f, op)?;
            f.write_char('\n')?;
        }
        writeln!(f, "    {}", block.terminator)
    }

    fn op(&self, f: &mut Formatter<'_>, op: &Op) -> fmt::Result {
        let names = &self.module.names;
        match op {
            Op::Long(value) => write!(f, "{value}"),
            Op::Double(value) => write!(f, "{value:?}"),
            Op::Text(text) => self.text(f, *text),
            Op::Field(field) => write!(f, "record.{}", field.name),
            Op::GetLocal(local) => write!(f, "{local}"),
            Op::SetLocal(local, value) => write!(f, "{local} = {value}"),
            Op::GetLong(slot) => f.write_str(name(&names.longs, *slot)),
            Op::SetLong(slot, value) => {
                write!(f, "{} = {value}", name(&names.longs, *slot))
            }
            Op::GetText(slot) => f.write_str(name(&names.texts, *slot)),
            Op::SetText(slot, value) => {
                write!(f, "{} = {value}", name(&names.texts, *slot))
            }
            Op::Call(helper, args) => write!(f, "{}({})", helper.name, list(args)),
            Op::CallFunction(number, args) => {
                let function = self.module.functions.get(*number as usize);
                let name = function.map_or("?", |function| &function.name);
                write!(f, "call {name}({})", list(args))
            }
            Op::Fuel(steps) => write!(f, "fuel {steps}"),
            Op::CaptureBegin => f.write_str("capture {"),
            Op::CaptureEnd => f.write_str("} capture"),
            Op::Mark => f.write_str("mark"),
            Op::Caught(mark) => write!(f, "caught, back to {mark}"),
            Op::Clear(_)
            | Op::GetElement(..)
            | Op::SetElement(..)
            | Op::AddElement(..)
            | Op::HasElement(..)
            | Op::HasMatch(..)
            | Op::DeleteElement(..)
            | Op::DeleteMatches(..)
            | Op::WalkBegin { .. }
            | Op::WalkNext
            | Op::WalkKey(_)
            | Op::WalkEnd => self.array(f, op),
            _ => self.operator_or_emit(f, op),
        }
    }

    fn operator_or_emit(&self, f: &mut Formatter<'_>, op: &Op) -> fmt::Result {
        match op {
            Op::Unary(op, value) => write!(f, "{op:?} {value}"),
            Op::NegateDouble(value) => write!(f, "Negate double {value}"),
            Op::Binary(op, left, right) => write!(f, "{op:?} {left}, {right}"),
            Op::BinaryDouble(op, left, right) => {
                write!(f, "{op:?} double {left}, {right}")
            }
            Op::Compare(op, left, right) => write!(f, "{op:?} {left}, {right}"),
            Op::CompareDouble(op, left, right) => {
                write!(f, "{op:?} double {left}, {right}")
            }
            Op::CompareText(op, left, right) => write!(f, "{op:?} text {left}, {right}"),
            Op::ToDouble(value) => write!(f, "to double {value}"),
            Op::FromBits { bits, single: false } => write!(f, "double of {bits}"),
            Op::FromBits { bits, single: true } => write!(f, "single of {bits}"),
            Op::Load { address, load } => write!(f, "load {load} at {address}"),
            Op::Name(table, value) => write!(f, "name {table} of {value}"),
            Op::Concat(left, right) => write!(f, "concat {left}, {right}"),
            Op::Match { text, regex, groups } => {
                let regex = name(&self.module.layout.regexes, *regex);
                let kept = if *groups { ", groups kept" } else { "" };
                write!(f, "match {text}, {regex:?}{kept}")
            }
            Op::EmitText(text) => {
                f.write_str("emit ")?;
                self.text(f, *text)
            }
            Op::EmitLong(emit) | Op::EmitDouble(emit) | Op::EmitString(emit) => {
                write!(f, "emit {emit}")
            }
            Op::EmitMemory(emit) => write!(f, "emit memory at {emit}"),
            _ => self.statistics(f, op),
        }
    }

    fn array(&self, f: &mut Formatter<'_>, op: &Op) -> fmt::Result {
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
            Op::HasMatch(number, slice) => {
                write!(f, "[{}] in {}", pattern(slice), array(number))
            }
            Op::DeleteElement(number, keys) => {
                write!(f, "delete {}[{}]", array(number), list(keys))
            }
            Op::DeleteMatches(number, slice) => {
                write!(f, "delete {}[{}]", array(number), pattern(slice))
            }
            Op::Clear(number) => write!(f, "delete {}", array(number)),
            Op::WalkBegin { array: number, order, slice, limit } => {
                write!(f, "walk {}", array(number))?;
                if !slice.is_empty() {
                    write!(f, "[{}]", pattern(slice))?;
                }
                write!(f, " {order}")?;
                limit.map_or(Ok(()), |limit| write!(f, " limit {limit}"))
            }
            Op::WalkNext => f.write_str("walk next"),
            Op::WalkKey(position) => write!(f, "walk key {position}"),
            Op::WalkEnd => f.write_str("walk end"),
            _ => unreachable!("`op` sends arrays and walks here"),
        }
    }

    fn statistics(&self, f: &mut Formatter<'_>, op: &Op) -> fmt::Result {
        match op {
            Op::Accumulate(aggregate, value) => {
                write!(f, "{} <<< {value}", self.aggregate(aggregate))
            }
            Op::Extract(extractor, aggregate) => {
                let extractor = extractor_name(*extractor);
                write!(f, "{extractor}({})", self.aggregate(aggregate))
            }
            Op::Percentile(aggregate, value) => {
                write!(f, "@percentile({}, {value})", self.aggregate(aggregate))
            }
            Op::Bucket(aggregate, histogram, index) => {
                write!(f, "{}[{index}]", self.histogram(aggregate, *histogram))
            }
            Op::PrintHistogram { aggregate, histogram, newline } => {
                let newline = if *newline { " and a newline" } else { "" };
                write!(f, "emit {}{newline}", self.histogram(aggregate, *histogram))
            }
            Op::WalkBuckets { aggregate, histogram, limit } => {
                write!(f, "walk {}", self.histogram(aggregate, *histogram))?;
                limit.map_or(Ok(()), |limit| write!(f, " limit {limit}"))
            }
            Op::ClearStatistics(slot) => {
                write!(f, "delete {}", self.aggregate(&Aggregate::Scalar(*slot)))
            }
            _ => unreachable!("`op` shows all others"),
        }
    }

    fn aggregate(&self, aggregate: &Aggregate) -> String {
        let names = &self.module.names;
        match aggregate {
            Aggregate::Scalar(slot) => name(&names.statistics, *slot).to_owned(),
            Aggregate::Element(array, keys) => {
                format!("{}[{}]", name(&names.arrays, *array), list(keys))
            }
            Aggregate::Merged(array, slice) => {
                format!("{}[{}]", name(&names.arrays, *array), pattern(slice))
            }
        }
    }

    fn histogram(&self, aggregate: &Aggregate, histogram: Histogram) -> String {
        let of = self.aggregate(aggregate);
        match histogram {
            Histogram::Log => format!("@hist_log({of})"),
            Histogram::Linear { low, high, step } => {
                format!("@hist_linear({of}, {low}, {high}, {step})")
            }
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

impl Display for Load {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.signed { "i" } else { "u" };
        let space = match self.space {
            Space::User => "user",
            Space::Kernel => "kernel",
        };
        write!(f, "{space} {sign}{}", 8 * self.size)
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

fn pattern(slice: &[Option<Value>]) -> String {
    let key = |key: &Option<Value>| key.map_or("*".to_owned(), |key| key.to_string());
    slice.iter().map(key).collect::<Vec<_>>().join(", ")
}

fn extractor_name(extractor: Extractor) -> &'static str {
    match extractor {
        Extractor::Count => "@count",
        Extractor::Sum => "@sum",
        Extractor::Min => "@min",
        Extractor::Max => "@max",
        Extractor::Avg => "@avg",
        Extractor::Variance => "@variance",
    }
}
