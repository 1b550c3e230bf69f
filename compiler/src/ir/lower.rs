//! Typed program to intermediate representation.

mod expression;
mod print;
mod statement;

use std::collections::HashMap;

use hwtrace_lang::sema::AUTOPRINT_PRIORITY;
use hwtrace_lang::span::Span;
use hwtrace_lang::typed::{self, GlobalKind, Literal, LocalId};
use hwtrace_runtime::abi::Limits;
use hwtrace_runtime::map::Shape;

use super::{
    Block, BlockId, Handler, Instruction, Local, Module, Op, Terminator, Text, Type,
    Value,
};

/// Lowers a checked program; `limits` are written into the module.
pub fn lower(program: &typed::Program, limits: &Limits) -> Module {
    let mut module = Module {
        steps_max: limits.steps,
        string_bytes_max: limits.string_bytes,
        ..Module::default()
    };
    let slots =
        program.globals.iter().map(|global| place(&mut module, global, limits)).collect();
    let mut pool = Pool { module, slots, constants: HashMap::new() };
    for probe in &program.probes {
        pool.module.layout.probes.push(probe.name.clone());
        let handler = Builder::new(&mut pool, probe).handler(probe);
        pool.module.handlers.push(handler);
    }
    pool.module
}

/// Where a global lives.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Long(u32),
    Text(u32),
    Array(u32, Type),
}

fn place(module: &mut Module, global: &typed::Global, limits: &Limits) -> Slot {
    let (layout, names) = (&mut module.layout, &mut module.names);
    match &global.kind {
        GlobalKind::Scalar { initial: Literal::Long(value), .. } => {
            layout.longs.push(*value);
            names.longs.push(global.name.clone());
            Slot::Long(layout.longs.len() as u32 - 1)
        }
        GlobalKind::Scalar { initial: Literal::String(text), .. } => {
            layout.texts.push(text.clone());
            names.texts.push(global.name.clone());
            Slot::Text(layout.texts.len() as u32 - 1)
        }
        GlobalKind::Array { keys, value, capacity } => {
            layout.arrays.push(Shape {
                string_keys: keys.iter().map(|key| *key == Type::String).collect(),
                string_values: *value == Type::String,
                capacity: capacity.unwrap_or(limits.array_entries) as usize,
            });
            names.arrays.push(global.name.clone());
            Slot::Array(layout.arrays.len() as u32 - 1, *value)
        }
    }
}

/// What the handlers share while they are lowered.
struct Pool {
    module: Module,
    slots: Vec<Slot>,
    constants: HashMap<String, u32>,
}

impl Pool {
    fn text(&mut self, text: &str) -> Text {
        if text.is_empty() {
            return Text::Empty;
        }
        if let Some(index) = self.constants.get(text) {
            return Text::Constant(*index);
        }
        let index = self.constants.len() as u32;
        self.constants.insert(text.to_owned(), index);
        self.module.layout.constants.push(text.to_owned());
        Text::Constant(index)
    }

    fn site(&mut self, span: Span) -> u32 {
        let sites = &mut self.module.sites;
        if sites.last() != Some(&span) {
            sites.push(span);
        }
        sites.len() as u32 - 1
    }
}

/// A loop that `break` and `continue` refer to.
#[derive(Clone, Copy)]
struct Loop {
    again: BlockId,
    after: BlockId,
}

/// Lowers one handler.
struct Builder<'a> {
    pool: &'a mut Pool,
    handler: Handler,
    /// The block that instructions are added to.
    current: BlockId,
    loops: Vec<Loop>,
    /// Takes no fuel: what prints the gathered data is not the script's doing,
    /// and ends by itself.
    free: bool,
}

impl<'a> Builder<'a> {
    fn new(pool: &'a mut Pool, probe: &typed::Probe) -> Self {
        let handler = Handler {
            name: probe.name.clone(),
            locals: probe.locals.iter().map(|local| local.ty).collect(),
            ..Handler::default()
        };
        let free = probe.name == format!("end({AUTOPRINT_PRIORITY})");
        Self { pool, handler, current: BlockId(0), loops: Vec::new(), free }
    }

    fn handler(mut self, probe: &typed::Probe) -> Handler {
        let entry = self.block();
        self.go_on_in(entry);
        self.fuel(&probe.body, probe.span);
        self.statements(&probe.body);
        self.handler
    }

    /// A new block that returns, until something else is said.
    fn block(&mut self) -> BlockId {
        let block = Block { instructions: Vec::new(), terminator: Terminator::Return };
        self.handler.blocks.push(block);
        BlockId(self.handler.blocks.len() as u32 - 1)
    }

    fn go_on_in(&mut self, block: BlockId) {
        self.current = block;
    }

    fn end(&mut self, terminator: Terminator) {
        self.handler.blocks[self.current.0 as usize].terminator = terminator;
    }

    fn local(&mut self, ty: Type) -> Local {
        self.handler.locals.push(ty);
        Local(self.handler.locals.len() as u32 - 1)
    }

    fn push(&mut self, op: Op, result: Option<Value>, span: Span) {
        let site = self.pool.site(span);
        let block = &mut self.handler.blocks[self.current.0 as usize];
        block.instructions.push(Instruction { result, op, site });
    }

    /// An instruction for its effect.
    fn effect(&mut self, op: Op, span: Span) {
        self.push(op, None, span);
    }

    /// An instruction that gives a value.
    fn value(&mut self, ty: Type, op: Op, span: Span) -> Value {
        self.handler.values.push(ty);
        let value = Value(self.handler.values.len() as u32 - 1);
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
            Slot::Long(_) | Slot::Text(_) => {
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
