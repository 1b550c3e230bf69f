//! Checks that a module means something: what the code generator and the
//! helpers rely on without looking.

use hwtrace_runtime::abi::AbiType;
use hwtrace_runtime::map::Kind;

use super::{
    Aggregate, BinaryOp, BlockId, Code, Dominators, Instruction, Module, Op, Terminator,
    Text, Type, Value, WalkOrder, type_of,
};

/// What is wrong with a module: a bug of the lowering.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("handler `{handler}`, block {block}, instruction {instruction}: {what}")]
pub struct Invalid {
    /// The handler's or function's name.
    pub handler: String,
    /// The block's number.
    pub block: usize,
    /// The instruction's number in the block; one past the last for the
    /// terminator.
    pub instruction: usize,
    /// The rule that is broken.
    pub what: String,
}

/// Checks every function, handler and condition.
///
/// # Errors
/// The first rule that is broken: a value that is not set on every path to
/// its use or is set twice, a type or a number of keys that does not fit, a
/// number that refers to nothing.
pub fn verify(module: &Module) -> Result<(), Invalid> {
    for code in module.codes() {
        let checker = Checker { module, code };
        checker.references()?;
        let dominators = Dominators::new(code);
        let places = checker.places()?;
        for block in dominators.order() {
            // A block that nothing enters has nothing to answer for.
            checker.block(*block, &places, &dominators)?;
        }
    }
    Ok(())
}

/// Where a value is set: block and instruction.
type Place = (BlockId, usize);

struct Checker<'a> {
    module: &'a Module,
    code: &'a Code,
}

impl Checker<'_> {
    fn invalid<T>(
        &self,
        block: usize,
        instruction: usize,
        what: impl Into<String>,
    ) -> Result<T, Invalid> {
        let handler = self.code.name.clone();
        Err(Invalid { handler, block, instruction, what: what.into() })
    }

    /// Checks that blocks go on in blocks that there are, and that each
    /// parameter is a local.
    fn references(&self) -> Result<(), Invalid> {
        let blocks = &self.code.blocks;
        if blocks.is_empty() {
            return self.invalid(0, 0, "there is at least one block");
        }
        if self.code.params as usize > self.code.locals.len() {
            return self.invalid(0, 0, "a parameter is no local");
        }
        for (number, block) in blocks.iter().enumerate() {
            let mut next = block.terminator.successors().chain(block.on_fault);
            if next.any(|next| next.0 as usize >= blocks.len()) {
                return self.invalid(number, block.instructions.len(), "no such block");
            }
        }
        Ok(())
    }

    /// For each value where it is set.
    fn places(&self) -> Result<Vec<Option<Place>>, Invalid> {
        let mut places = vec![None; self.code.values.len()];
        for (number, block) in self.code.blocks.iter().enumerate() {
            for (at, instruction) in block.instructions.iter().enumerate() {
                let Some(value) = instruction.result else { continue };
                let Some(place) = places.get_mut(value.0 as usize) else {
                    return self.invalid(number, at, format!("{value} has no type"));
                };
                if place.replace((BlockId(number as u32), at)).is_some() {
                    return self.invalid(number, at, format!("{value} is set twice"));
                }
            }
        }
        Ok(places)
    }

    fn block(
        &self,
        number: BlockId,
        places: &[Option<Place>],
        dominators: &Dominators,
    ) -> Result<(), Invalid> {
        let block = &self.code.blocks[number.0 as usize];
        let is_set = |value: Value, at: usize| {
            let place = places.get(value.0 as usize).copied().flatten();
            place.is_some_and(|(set_in, set_at)| {
                dominators.precedes(set_in, number) || set_in == number && set_at < at
            })
        };
        for (at, instruction) in block.instructions.iter().enumerate() {
            for value in instruction.op.operands() {
                if !is_set(value, at) {
                    let what = format!("{value} is not set here");
                    return self.invalid(number.0 as usize, at, what);
                }
            }
            if let Err(what) = self.instruction(instruction) {
                return self.invalid(number.0 as usize, at, what);
            }
        }
        let end = block.instructions.len();
        let what = match block.terminator.operand() {
            Some(value) if !is_set(value, end) => Err(format!("{value} is not set here")),
            _ => self.terminator(block.terminator),
        };
        what.or_else(|what| self.invalid(number.0 as usize, end, what))
    }

    fn terminator(&self, terminator: Terminator) -> Result<(), String> {
        match terminator {
            Terminator::Branch(value, ..) => self.is(value, Type::Long),
            Terminator::Return(value) => {
                let given = value.map(|value| self.ty(value));
                if given == self.code.returns {
                    return Ok(());
                }
                Err(format!("the result is {given:?} but is {:?}", self.code.returns))
            }
            Terminator::Jump(_) | Terminator::Leave => Ok(()),
        }
    }

    fn ty(&self, value: Value) -> Type {
        self.code.values[value.0 as usize]
    }

    fn instruction(&self, instruction: &Instruction) -> Result<(), String> {
        let result = instruction.result.map(|value| self.ty(value));
        let wanted = match instruction.op {
            // Nobody has to take what a function or a caught fault gives.
            Op::CallFunction(..) | Op::Caught(_) if result.is_none() => {
                self.op(&instruction.op)?;
                None
            }
            // Which array is walked is known at run time alone: the type of a
            // key is the one that the lowering gave it.
            Op::WalkKey(_) if result.is_some() => result,
            _ => self.op(&instruction.op)?,
        };
        if result != wanted {
            return Err(format!("the result is {result:?} but should be {wanted:?}"));
        }
        match self.module.sites.get(instruction.site as usize) {
            Some(_) => Ok(()),
            None => Err(format!("no site {}", instruction.site)),
        }
    }

    /// Checks the operands; gives the type of the result.
    fn op(&self, op: &Op) -> Result<Option<Type>, String> {
        let layout = &self.module.layout;
        Ok(match op {
            Op::Long(_) => Some(Type::Long),
            Op::Text(text) => {
                self.text(*text)?;
                Some(Type::String)
            }
            Op::Field(field) => {
                Some(if field.string { Type::String } else { Type::Long })
            }
            Op::GetLocal(local) => Some(self.local(local.0)?),
            Op::SetLocal(local, value) => {
                self.is(*value, self.local(local.0)?)?;
                None
            }
            Op::GetLong(slot) => Some(self.scalar(*slot)?),
            Op::SetLong(slot, value) => {
                self.is(*value, self.scalar(*slot)?)?;
                None
            }
            Op::GetText(slot) => {
                within(*slot, layout.texts.len())?;
                Some(Type::String)
            }
            Op::SetText(slot, value) => {
                within(*slot, layout.texts.len())?;
                self.is(*value, Type::String)?;
                None
            }
            Op::Match { text, regex, .. } => {
                within(*regex, layout.regexes.len())?;
                self.is(*text, Type::String)?;
                Some(Type::Long)
            }
            Op::Call(helper, args) => {
                self.call(helper.params.iter().map(|param| abi_type(*param)), args)?;
                helper.returns.map(abi_type)
            }
            Op::CallFunction(number, args) => {
                within(*number, self.module.functions.len())?;
                let function = &self.module.functions[*number as usize];
                let params = function.locals.iter().take(function.params as usize);
                self.call(params.copied(), args)?;
                // What it gives may be left.
                function.returns
            }
            Op::Mark => Some(Type::Long),
            Op::Caught(mark) => {
                self.is(*mark, Type::Long)?;
                Some(Type::String)
            }
            _ => return self.operator_or_array(op),
        })
    }

    fn operator_or_array(&self, op: &Op) -> Result<Option<Type>, String> {
        Ok(match op {
            Op::Double(_) => Some(Type::Double),
            Op::Unary(_, value) => {
                self.is(*value, Type::Long)?;
                Some(Type::Long)
            }
            Op::NegateDouble(value) => {
                self.is(*value, Type::Double)?;
                Some(Type::Double)
            }
            Op::ToDouble(value) | Op::FromBits { bits: value, .. } => {
                self.is(*value, Type::Long)?;
                Some(Type::Double)
            }
            Op::Load { address, load } => {
                if !matches!(load.size, 1 | 2 | 4 | 8) {
                    return Err(format!("no number has {} bytes", load.size));
                }
                self.is(*address, Type::Long)?;
                Some(Type::Long)
            }
            Op::Name(table, value) => {
                within(*table, self.module.layout.enumerations.len())?;
                self.is(*value, Type::Long)?;
                Some(Type::String)
            }
            Op::Binary(_, left, right) | Op::Compare(_, left, right) => {
                self.both(*left, *right, Type::Long)?;
                Some(Type::Long)
            }
            Op::BinaryDouble(op, left, right) => {
                use BinaryOp::{Add, Divide, Multiply, Remainder, Subtract};
                if !matches!(op, Add | Subtract | Multiply | Divide | Remainder) {
                    return Err(format!("{op:?} is no operator on doubles"));
                }
                self.both(*left, *right, Type::Double)?;
                Some(Type::Double)
            }
            Op::CompareDouble(_, left, right) => {
                self.both(*left, *right, Type::Double)?;
                Some(Type::Long)
            }
            Op::CompareText(_, left, right) => {
                self.both(*left, *right, Type::String)?;
                Some(Type::Long)
            }
            Op::Concat(left, right) => {
                self.both(*left, *right, Type::String)?;
                Some(Type::String)
            }
            Op::Accumulate(..)
            | Op::Extract(..)
            | Op::Percentile(..)
            | Op::Bucket(..)
            | Op::PrintHistogram { .. }
            | Op::WalkBuckets { .. }
            | Op::ClearStatistics(_) => self.statistics(op)?,
            _ => self.array_or_emit(op)?,
        })
    }

    fn statistics(&self, op: &Op) -> Result<Option<Type>, String> {
        let (aggregate, last, result) = match op {
            Op::ClearStatistics(slot) => {
                within(*slot, self.module.layout.statistics.len())?;
                return Ok(None);
            }
            Op::Accumulate(aggregate, value) => (aggregate, Some(*value), None),
            Op::Extract(_, aggregate) => (aggregate, None, Some(Type::Long)),
            Op::Bucket(aggregate, _, index) => {
                (aggregate, Some(*index), Some(Type::Long))
            }
            Op::Percentile(aggregate, percentage) => {
                self.is(*percentage, Type::Double)?;
                (aggregate, None, Some(Type::Long))
            }
            Op::PrintHistogram { aggregate, .. } => (aggregate, None, None),
            Op::WalkBuckets { aggregate, limit, .. } => (aggregate, *limit, None),
            _ => return Err("no statistics".into()),
        };
        last.map_or(Ok(()), |value| self.is(value, Type::Long))?;
        match aggregate {
            Aggregate::Scalar(slot) => {
                within(*slot, self.module.layout.statistics.len())?;
            }
            Aggregate::Element(array, keys) => {
                if self.keys(*array, keys)? != Type::Stats {
                    return Err("the array has no statistics".into());
                }
            }
            Aggregate::Merged(..) if matches!(op, Op::Accumulate(..)) => {
                return Err("many elements can not be added to".into());
            }
            Aggregate::Merged(array, slice) => {
                if self.slice(*array, slice)? != Type::Stats {
                    return Err("the array has no statistics".into());
                }
            }
        }
        Ok(result)
    }

    fn array_or_emit(&self, op: &Op) -> Result<Option<Type>, String> {
        Ok(match op {
            Op::GetElement(array, keys) => Some(self.values(*array, keys)?),
            Op::SetElement(array, keys, value) => {
                self.is(*value, self.values(*array, keys)?)?;
                None
            }
            Op::AddElement(array, keys, value) => {
                self.is(*value, Type::Long)?;
                if self.keys(*array, keys)? != Type::Long {
                    return Err("only longs can be added to".into());
                }
                Some(Type::Long)
            }
            Op::HasElement(array, keys) => {
                self.keys(*array, keys)?;
                Some(Type::Long)
            }
            Op::DeleteElement(array, keys) => {
                self.keys(*array, keys)?;
                None
            }
            Op::Clear(array) => {
                within(*array, self.module.layout.arrays.len())?;
                None
            }
            Op::HasMatch(array, slice) => {
                self.slice(*array, slice)?;
                Some(Type::Long)
            }
            Op::DeleteMatches(array, slice) => {
                self.slice(*array, slice)?;
                None
            }
            Op::WalkBegin { array, order, slice, limit } => {
                self.walk(*array, *order, slice)?;
                limit.map_or(Ok(()), |limit| self.is(limit, Type::Long))?;
                None
            }
            Op::WalkNext => Some(Type::Long),
            Op::WalkKey(_) => return Err("a key is used or not asked for".into()),
            Op::EmitLong(emit)
            | Op::EmitDouble(emit)
            | Op::EmitString(emit)
            | Op::EmitMemory(emit) => {
                let ty = match op {
                    Op::EmitString(_) => Type::String,
                    Op::EmitDouble(_) => Type::Double,
                    _ => Type::Long,
                };
                self.is(emit.value, ty)?;
                for count in [emit.width, emit.precision].into_iter().flatten() {
                    self.is(count, Type::Long)?;
                }
                None
            }
            Op::EmitText(text) => {
                self.text(*text)?;
                None
            }
            Op::CaptureEnd => Some(Type::String),
            _ => None,
        })
    }

    fn call(
        &self,
        params: impl ExactSizeIterator<Item = Type>,
        args: &[Value],
    ) -> Result<(), String> {
        let wanted = params.len();
        if wanted != args.len() {
            return Err(format!("{} arguments for {wanted} parameters", args.len()));
        }
        params.zip(args).try_for_each(|(param, arg)| self.is(*arg, param))
    }

    /// Checks the keys of an array; gives the type of its values.
    fn keys(&self, array: u32, keys: &[Value]) -> Result<Type, String> {
        let keys: Vec<_> = keys.iter().copied().map(Some).collect();
        self.slice(array, &keys)
    }

    /// Checks the keys of an array whose values can be had.
    fn values(&self, array: u32, keys: &[Value]) -> Result<Type, String> {
        match self.keys(array, keys)? {
            Type::Stats => Err("statistics are no value".into()),
            ty => Ok(ty),
        }
    }

    fn slice(&self, array: u32, slice: &[Option<Value>]) -> Result<Type, String> {
        let arrays = &self.module.layout.arrays;
        within(array, arrays.len())?;
        let shape = &arrays[array as usize];
        if shape.keys.len() != slice.len() {
            return Err(format!("{} keys for {}", slice.len(), shape.keys.len()));
        }
        for (kind, key) in shape.keys.iter().zip(slice) {
            if *kind == Kind::Statistics {
                return Err("statistics are no key".into());
            }
            key.map_or(Ok(()), |key| self.is(key, type_of(*kind)))?;
        }
        Ok(type_of(shape.values))
    }

    fn walk(
        &self,
        array: u32,
        order: WalkOrder,
        slice: &[Option<Value>],
    ) -> Result<(), String> {
        let arrays = &self.module.layout.arrays;
        within(array, arrays.len())?;
        let shape = &arrays[array as usize];
        match order {
            WalkOrder::Key { position, .. } => within(position, shape.keys.len())?,
            WalkOrder::Extractor { .. } if shape.values != Kind::Statistics => {
                return Err("only statistics can be extracted from".into());
            }
            _ => {}
        }
        if slice.is_empty() { Ok(()) } else { self.slice(array, slice).map(|_| ()) }
    }

    fn scalar(&self, slot: u32) -> Result<Type, String> {
        within(slot, self.module.layout.longs.len())?;
        self.module.scalars.get(slot as usize).copied().ok_or("it has no type".into())
    }

    fn is(&self, value: Value, ty: Type) -> Result<(), String> {
        if self.ty(value) == ty { Ok(()) } else { Err(format!("{value} is no {ty}")) }
    }

    fn both(&self, left: Value, right: Value, ty: Type) -> Result<(), String> {
        self.is(left, ty)?;
        self.is(right, ty)
    }

    fn local(&self, number: u32) -> Result<Type, String> {
        let ty = self.code.locals.get(number as usize).copied();
        ty.ok_or_else(|| format!("no local l{number}"))
    }

    fn text(&self, text: Text) -> Result<(), String> {
        match text {
            Text::Empty => Ok(()),
            Text::Constant(index) => within(index, self.module.layout.constants.len()),
        }
    }
}

fn within(index: u32, length: usize) -> Result<(), String> {
    if (index as usize) < length { Ok(()) } else { Err(format!("no number {index}")) }
}

fn abi_type(ty: AbiType) -> Type {
    match ty {
        AbiType::String => Type::String,
        AbiType::Double => Type::Double,
        AbiType::Long | AbiType::Words => Type::Long,
    }
}
