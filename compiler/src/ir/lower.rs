//! Typed program to intermediate representation.

mod expression;
mod print;
mod statement;
mod statistics;

use std::collections::HashMap;

use hwtrace_lang::sema::AUTOPRINT_PRIORITY;
use hwtrace_lang::span::Span;
use hwtrace_lang::typed::{self, GlobalKind, Literal, LocalId};
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::aggregate::Shape as Statistics;
use hwtrace_runtime::map::{Kind, Shape};

use super::{
    Block, BlockId, Code, Instruction, Local, Module, Op, Terminator, Text, Type, Value,
    effects,
};

/// Bytes of the native stack that functions of the script may take.
const STACK_BYTES: u32 = 512 << 10;

/// Lowers a checked program; `limits` are written into the module.
pub fn lower(program: &typed::Program, limits: &Limits) -> Module {
    let mut module = Module {
        steps_max: limits.steps,
        string_bytes_max: limits.string_bytes,
        ..Module::default()
    };
    let slots =
        program.globals.iter().map(|global| place(&mut module, global, limits)).collect();
    let returns = program.functions.iter();
    let returns = returns.map(|function| function.returns.map(word)).collect();
    let mut pool = Pool {
        module,
        slots,
        returns,
        constants: HashMap::new(),
        regexes: HashMap::new(),
        wants_groups: false,
        wants_registers: false,
        wants_counts: false,
    };
    for names in &program.names {
        pool.module.layout.enumerations.push(names.names.clone());
    }
    for function in &program.functions {
        let code = function_code(&mut pool, function);
        pool.module.functions.push(code);
    }
    for probe in &program.probes {
        pool.module.layout.probes.push(probe.name.clone());
        let code = handler_code(&mut pool, probe);
        pool.module.handlers.push(code);
        let condition =
            probe.condition.as_ref().map(|on| condition_code(&mut pool, probe, on));
        pool.module.conditions.push(condition);
    }
    finish(pool, limits)
}

/// What is known only when all code is there.
fn finish(pool: Pool, limits: &Limits) -> Module {
    let wants_groups = pool.wants_groups;
    let mut module = pool.module;
    module.layout.registers = pool.wants_registers;
    module.layout.counts = pool.wants_counts;
    let asks_for_stacks = module.codes().any(effects::asks_for_stacks);
    module.layout.stacks = asks_for_stacks;
    for code in module.codes_mut() {
        let instructions =
            code.blocks.iter_mut().flat_map(|block| &mut block.instructions);
        for instruction in instructions {
            if let Op::Match { groups, .. } = &mut instruction.op {
                *groups = wants_groups;
            }
        }
    }
    module.conditions_after = effects::conditions_after(&module);
    let frame = module.functions.iter().map(frame_bytes).max().unwrap_or(1);
    module.nesting_max = limits.nesting.min(STACK_BYTES / frame).max(1);
    module
}

/// The most bytes of stack that a function can need: each value and local in
/// memory twice over, what it saves, and the key that it lays down.
fn frame_bytes(function: &Code) -> u32 {
    let words = (function.values.len() + function.locals.len()) as u32;
    words.saturating_mul(16).saturating_add(512)
}

/// Where a global lives.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Scalar(u32, Type),
    Text(u32),
    Statistics(u32),
    Array(u32, Type),
}

fn place(module: &mut Module, global: &typed::Global, limits: &Limits) -> Slot {
    let name = global.name.clone();
    match &global.kind {
        GlobalKind::Scalar { initial: Literal::Long(value), .. } => {
            scalar(module, name, *value, Type::Long)
        }
        GlobalKind::Scalar { initial: Literal::Double(value), .. } => {
            scalar(module, name, value.to_bits() as i64, Type::Double)
        }
        GlobalKind::Scalar { initial: Literal::String(text), .. } => {
            module.layout.texts.push(text.clone());
            module.names.texts.push(name);
            Slot::Text(module.layout.texts.len() as u32 - 1)
        }
        GlobalKind::Array { keys, value, capacity, wraps } => {
            module.layout.arrays.push(Shape {
                keys: keys.iter().copied().map(kind).collect(),
                values: kind(*value),
                statistics: Statistics::default(),
                capacity: capacity.unwrap_or(limits.array_entries) as usize,
                wraps: *wraps,
            });
            module.names.arrays.push(name);
            Slot::Array(module.layout.arrays.len() as u32 - 1, word(*value))
        }
        GlobalKind::Stats => {
            module.layout.statistics.push(Statistics::default());
            module.names.statistics.push(name);
            Slot::Statistics(module.layout.statistics.len() as u32 - 1)
        }
    }
}

fn scalar(module: &mut Module, name: String, initial: i64, ty: Type) -> Slot {
    module.layout.longs.push(initial);
    module.names.longs.push(name);
    module.scalars.push(ty);
    Slot::Scalar(module.layout.longs.len() as u32 - 1, ty)
}

/// The type of what stands for a value here: for a stack its number.
fn word(ty: Type) -> Type {
    if ty == Type::Stack { Type::Long } else { ty }
}

fn kind(ty: Type) -> Kind {
    match ty {
        Type::Long | Type::Stack => Kind::Long,
        Type::Double => Kind::Double,
        Type::String => Kind::String,
        Type::Stats => Kind::Statistics,
    }
}

/// What the handlers share while they are lowered.
struct Pool {
    module: Module,
    slots: Vec<Slot>,
    /// Types of the functions' results.
    returns: Vec<Option<Type>>,
    constants: HashMap<String, u32>,
    regexes: HashMap<String, u32>,
    /// Whether `matched()` is called anywhere.
    wants_groups: bool,
    /// Whether a register is asked for anywhere.
    wants_registers: bool,
    wants_counts: bool,
}

impl Pool {
    fn text(&mut self, text: &str) -> Text {
        if text.is_empty() {
            return Text::Empty;
        }
        Text::Constant(number(
            &mut self.constants,
            &mut self.module.layout.constants,
            text,
        ))
    }

    fn regex(&mut self, regex: &str) -> u32 {
        number(&mut self.regexes, &mut self.module.layout.regexes, regex)
    }

    fn site(&mut self, span: Span) -> u32 {
        let sites = &mut self.module.sites;
        if sites.last() != Some(&span) {
            sites.push(span);
        }
        sites.len() as u32 - 1
    }
}

/// The index of `text` in `list`, where it is put unless it is there.
fn number(known: &mut HashMap<String, u32>, list: &mut Vec<String>, text: &str) -> u32 {
    if let Some(index) = known.get(text) {
        return *index;
    }
    let index = list.len() as u32;
    known.insert(text.to_owned(), index);
    list.push(text.to_owned());
    index
}

/// A loop that `break` and `continue` refer to.
#[derive(Clone, Copy)]
struct Loop {
    again: BlockId,
    after: BlockId,
}

/// Lowers one handler, function or condition.
struct Builder<'a> {
    pool: &'a mut Pool,
    code: Code,
    /// The block that instructions are added to.
    current: BlockId,
    loops: Vec<Loop>,
    /// Where faults go on, for each `try` around, the innermost last.
    tries: Vec<BlockId>,
    /// Walks that are open here.
    walks: u32,
    /// Of a function, where `next` and `return` are different.
    is_function: bool,
    /// Takes no fuel: what prints the gathered data is not the script's doing,
    /// and ends by itself.
    free: bool,
}

fn handler_code(pool: &mut Pool, probe: &typed::Probe) -> Code {
    let locals = probe.locals.iter().map(|local| word(local.ty)).collect();
    let mut builder = Builder::new(pool, &probe.name, locals);
    builder.fuel(&probe.body, probe.span);
    builder.statements(&probe.body);
    builder.code
}

fn condition_code(
    pool: &mut Pool,
    probe: &typed::Probe,
    condition: &typed::Expression,
) -> Code {
    let mut builder = Builder::new(pool, &probe.name, Vec::new());
    builder.code.returns = Some(Type::Long);
    let holds = builder.expression(condition);
    builder.end(Terminator::Return(Some(holds)));
    // What returns without a result does not exist: conditions do not branch
    // out of themselves.
    builder.code
}

fn function_code(pool: &mut Pool, function: &typed::Function) -> Code {
    let locals = function.locals.iter().map(|local| word(local.ty)).collect();
    let mut builder = Builder::new(pool, &function.name, locals);
    builder.is_function = true;
    builder.code.params = function.params;
    builder.code.returns = function.returns.map(word);
    builder.fuel(&function.body, function.span);
    builder.statements(&function.body);
    builder.return_zero(function.span);
    builder.code
}

impl<'a> Builder<'a> {
    fn new(pool: &'a mut Pool, name: &str, locals: Vec<Type>) -> Self {
        let code = Code { name: name.to_owned(), locals, ..Code::default() };
        let mut builder = Self {
            pool,
            code,
            current: BlockId(0),
            loops: Vec::new(),
            tries: Vec::new(),
            walks: 0,
            is_function: false,
            free: name == format!("end({AUTOPRINT_PRIORITY})"),
        };
        let entry = builder.block();
        builder.go_on_in(entry);
        builder
    }

    /// A new block that ends the handler, until something else is said.
    fn block(&mut self) -> BlockId {
        self.code.blocks.push(Block {
            instructions: Vec::new(),
            terminator: Terminator::Return(None),
            on_fault: self.tries.last().copied(),
        });
        BlockId(self.code.blocks.len() as u32 - 1)
    }

    fn go_on_in(&mut self, block: BlockId) {
        self.current = block;
    }

    fn end(&mut self, terminator: Terminator) {
        self.code.blocks[self.current.0 as usize].terminator = terminator;
    }

    fn local(&mut self, ty: Type) -> Local {
        self.code.locals.push(word(ty));
        Local(self.code.locals.len() as u32 - 1)
    }

    fn push(&mut self, op: Op, result: Option<Value>, span: Span) {
        let site = self.pool.site(span);
        let block = &mut self.code.blocks[self.current.0 as usize];
        block.instructions.push(Instruction { result, op, site });
    }

    /// An instruction for its effect.
    fn effect(&mut self, op: Op, span: Span) {
        self.push(op, None, span);
    }

    /// An instruction that gives a value.
    fn value(&mut self, ty: Type, op: Op, span: Span) -> Value {
        self.code.values.push(word(ty));
        let value = Value(self.code.values.len() as u32 - 1);
        self.push(op, Some(value), span);
        value
    }

    fn long(&mut self, value: i64, span: Span) -> Value {
        self.value(Type::Long, Op::Long(value), span)
    }

    fn slot(&self, global: typed::GlobalId) -> Slot {
        self.pool.slots[global.0 as usize]
    }

    /// The array's number and the type of its values.
    fn array(&self, global: typed::GlobalId) -> (u32, Type) {
        match self.slot(global) {
            Slot::Array(array, value) => (array, value),
            Slot::Scalar(..) | Slot::Text(_) | Slot::Statistics(_) => {
                unreachable!("the checker lets only arrays be indexed")
            }
        }
    }
}

impl From<LocalId> for Local {
    fn from(id: LocalId) -> Self {
        Self(id.0)
    }
}
