//! Checks that a module means something: what the code generator and the
//! helpers rely on without looking.

use hwtrace_runtime::abi::AbiType;

use super::{BlockId, Handler, Instruction, Module, Op, Terminator, Text, Type, Value};

/// What is wrong with a module: a bug of the lowering.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("handler `{handler}`, block {block}, instruction {instruction}: {what}")]
pub struct Invalid {
    /// The handler's name.
    pub handler: String,
    /// The block's number.
    pub block: usize,
    /// The instruction's number in the block; one past the last for the
    /// terminator.
    pub instruction: usize,
    /// The rule that is broken.
    pub what: String,
}

/// Checks every handler.
///
/// # Errors
/// The first rule that is broken: a value that is not set on every path to
/// its use, or is set in a later block, or twice, a type or a number of keys that does not fit, a
/// number that refers to nothing.
pub fn verify(module: &Module) -> Result<(), Invalid> {
    for handler in &module.handlers {
        let checker = Checker { module, handler, homes: homes(handler) };
        let set = checker.set_on_entry()?;
        for (number, known) in set.into_iter().enumerate() {
            // A block that nothing enters has nothing to answer for.
            if let Some(known) = known {
                checker.block(number, known)?;
            }
        }
    }
    Ok(())
}

/// Which values are set.
type Known = Vec<bool>;

struct Checker<'a> {
    module: &'a Module,
    handler: &'a Handler,
    /// The block that sets each value.
    homes: Vec<usize>,
}

fn homes(handler: &Handler) -> Vec<usize> {
    let mut homes = vec![usize::MAX; handler.values.len()];
    for (number, block) in handler.blocks.iter().enumerate() {
        for Value(value) in block.instructions.iter().filter_map(|set| set.result) {
            if let Some(home) = homes.get_mut(value as usize) {
                *home = number.min(*home);
            }
        }
    }
    homes
}

impl Checker<'_> {
    fn invalid<T>(
        &self,
        block: usize,
        instruction: usize,
        what: impl Into<String>,
    ) -> Result<T, Invalid> {
        let handler = self.handler.name.clone();
        Err(Invalid { handler, block, instruction, what: what.into() })
    }

    /// For each block the values that are set on every path to it; none for
    /// blocks without a path.
    fn set_on_entry(&self) -> Result<Vec<Option<Known>>, Invalid> {
        let blocks = &self.handler.blocks;
        let mut entry: Vec<Option<Known>> = vec![None; blocks.len()];
        if blocks.is_empty() {
            return self.invalid(0, 0, "a handler has at least one block");
        }
        entry[0] = Some(vec![false; self.handler.values.len()]);
        let mut pending = vec![0];
        while let Some(number) = pending.pop() {
            let mut known = entry[number].clone().unwrap_or_default();
            let instructions = &blocks[number].instructions;
            for value in instructions.iter().filter_map(|instruction| instruction.result)
            {
                let Some(known) = known.get_mut(value.0 as usize) else {
                    return self.invalid(number, 0, format!("{value} has no type"));
                };
                *known = true;
            }
            for BlockId(next) in blocks[number].terminator.successors() {
                let Some(at) = entry.get_mut(next as usize) else {
                    return self.invalid(number, instructions.len(), "no such block");
                };
                if meet(at, &known) {
                    pending.push(next as usize);
                }
            }
        }
        Ok(entry)
    }

    fn block(&self, number: usize, mut known: Known) -> Result<(), Invalid> {
        let block = &self.handler.blocks[number];
        for (at, instruction) in block.instructions.iter().enumerate() {
            for value in instruction.op.operands() {
                if !self.is_set(&known, value, number) {
                    return self.invalid(number, at, format!("{value} is not set here"));
                }
            }
            if let Err(what) = self.instruction(instruction) {
                return self.invalid(number, at, what);
            }
            if let Some(Value(value)) = instruction.result
                && std::mem::replace(&mut known[value as usize], true)
            {
                return self.invalid(number, at, format!("v{value} is set twice"));
            }
        }
        if let Terminator::Branch(value, ..) = block.terminator {
            let set = self.is_set(&known, value, number);
            if !set || self.ty(value) != Type::Long {
                let what = format!("{value} is no long that is set here");
                return self.invalid(number, block.instructions.len(), what);
            }
        }
        Ok(())
    }

    /// Whether a value can be used in block `number`. The code generator goes
    /// through the blocks in order: what a later one sets it does not know yet.
    fn is_set(&self, known: &Known, value: Value, number: usize) -> bool {
        let at = value.0 as usize;
        known.get(at).copied().unwrap_or(false) && self.homes[at] <= number
    }

    fn ty(&self, value: Value) -> Type {
        self.handler.values[value.0 as usize]
    }

    fn instruction(&self, instruction: &Instruction) -> Result<(), String> {
        let result = instruction.result.map(|value| self.ty(value));
        let wanted = match instruction.op {
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
            Op::GetLong(slot) => {
                within(*slot, layout.longs.len())?;
                Some(Type::Long)
            }
            Op::SetLong(slot, value) => {
                within(*slot, layout.longs.len())?;
                self.is(*value, Type::Long)?;
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
            Op::Unary(_, value) => {
                self.is(*value, Type::Long)?;
                Some(Type::Long)
            }
            Op::Binary(_, left, right) | Op::Compare(_, left, right) => {
                self.both(*left, *right, Type::Long)?;
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
            Op::Call(helper, args) => {
                self.call(helper.params, args)?;
                helper.returns.map(abi_type)
            }
            _ => self.array_or_emit(op)?,
        })
    }

    fn array_or_emit(&self, op: &Op) -> Result<Option<Type>, String> {
        Ok(match op {
            Op::GetElement(array, keys) => Some(self.keys(*array, keys)?),
            Op::SetElement(array, keys, value) => {
                self.is(*value, self.keys(*array, keys)?)?;
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
            Op::WalkBegin { array, limit, .. } => {
                within(*array, self.module.layout.arrays.len())?;
                limit.map_or(Ok(()), |limit| self.is(limit, Type::Long))?;
                None
            }
            Op::WalkNext => Some(Type::Long),
            Op::WalkKey(_) => return Err("a key is used or not asked for".into()),
            Op::EmitLong(emit) | Op::EmitString(emit) => {
                let ty = match op {
                    Op::EmitLong(_) => Type::Long,
                    _ => Type::String,
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

    fn call(&self, params: &[AbiType], args: &[Value]) -> Result<(), String> {
        if params.len() != args.len() {
            return Err(format!(
                "{} arguments for {} parameters",
                args.len(),
                params.len()
            ));
        }
        for (param, arg) in params.iter().zip(args) {
            self.is(*arg, abi_type(*param))?;
        }
        Ok(())
    }

    /// Checks the keys of an array; gives the type of its values.
    fn keys(&self, array: u32, keys: &[Value]) -> Result<Type, String> {
        let arrays = &self.module.layout.arrays;
        within(array, arrays.len())?;
        let shape = &arrays[array as usize];
        if shape.string_keys.len() != keys.len() {
            return Err(format!("{} keys for {}", keys.len(), shape.string_keys.len()));
        }
        for (string, key) in shape.string_keys.iter().zip(keys) {
            self.is(*key, if *string { Type::String } else { Type::Long })?;
        }
        Ok(if shape.string_values { Type::String } else { Type::Long })
    }

    fn is(&self, value: Value, ty: Type) -> Result<(), String> {
        if self.ty(value) == ty { Ok(()) } else { Err(format!("{value} is no {ty}")) }
    }

    fn both(&self, left: Value, right: Value, ty: Type) -> Result<(), String> {
        self.is(left, ty)?;
        self.is(right, ty)
    }

    fn local(&self, number: u32) -> Result<Type, String> {
        let ty = self.handler.locals.get(number as usize).copied();
        ty.ok_or_else(|| format!("no local l{number}"))
    }

    fn text(&self, text: Text) -> Result<(), String> {
        match text {
            Text::Empty => Ok(()),
            Text::Constant(index) => within(index, self.module.layout.constants.len()),
        }
    }
}

/// Keeps what is known on both ways; says whether that changed anything.
fn meet(at: &mut Option<Known>, known: &Known) -> bool {
    match at {
        None => {
            *at = Some(known.clone());
            true
        }
        Some(at) => {
            let mut changed = false;
            for (at, known) in at.iter_mut().zip(known) {
                changed |= *at && !known;
                *at &= known;
            }
            changed
        }
    }
}

fn within(index: u32, length: usize) -> Result<(), String> {
    if (index as usize) < length { Ok(()) } else { Err(format!("no number {index}")) }
}

fn abi_type(ty: AbiType) -> Type {
    match ty {
        AbiType::String => Type::String,
        AbiType::Long | AbiType::Words => Type::Long,
    }
}
