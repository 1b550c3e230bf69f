//! Intermediate representation to Cranelift's: one function a handler, a
//! function of the script, a condition.
//!
//! A handler takes the context and the record. A function takes its fuel, how
//! deep it is nested and its arguments on top of that, and gives the fuel that
//! is left and its result: what is counted stays in registers, and handlers
//! that call no function pay nothing.

mod arithmetic;
mod arrays;
mod calls;
mod faults;
mod instruction;
mod layout;

use std::collections::HashMap;

use cranelift_codegen::Context;
use cranelift_codegen::ir::{
    self as clif, AbiParam, InstBuilder, Signature, StackSlotData, StackSlotKind, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use cranelift_module::{FuncId, Linkage, Module as _, ModuleError};
use hwtrace_runtime::abi::{AbiType, HELPERS, Helper};

use crate::ir::{BlockId, Code, Dominators, Module, Terminator, Type, Value};

/// The text of a compiled handler, for `--dump`.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Cranelift's representation.
    pub clif: String,
    /// The machine's instructions.
    pub assembly: String,
}

/// What was defined.
#[derive(Debug, Default)]
pub(crate) struct Defined {
    /// By handler.
    pub(crate) handlers: Vec<FuncId>,
    /// By handler, where its probe point has a condition.
    pub(crate) conditions: Vec<Option<FuncId>>,
    /// By handler, with the functions of the script behind.
    pub(crate) listings: Vec<Listing>,
}

/// What a code is called as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// `fn(*mut HandlerContext, *const HitRecord)`
    Handler,
    /// The same with an integer as its result.
    Condition,
    /// With fuel, nesting and arguments; gives fuel and result.
    Function,
}

/// Defines every code of `module` in `target`. They can be called once the
/// target's definitions are finalised.
///
/// # Errors
/// Only what Cranelift refuses: a bug of the compiler or lack of memory.
pub(crate) fn define<M: cranelift_module::Module>(
    module: &Module,
    target: &mut M,
    listings: bool,
) -> Result<Defined, Box<ModuleError>> {
    let mut functions = Vec::new();
    for (number, function) in module.functions.iter().enumerate() {
        let signature = signature(target, function, Role::Function);
        let name = format!("function{number}");
        functions.push(target.declare_function(&name, Linkage::Local, &signature)?);
    }
    let mut maker = Maker {
        module,
        target,
        listings,
        helpers: Helpers::default(),
        frontend: FunctionBuilderContext::new(),
        functions,
    };
    let mut defined = Defined::default();
    for (number, handler) in module.handlers.iter().enumerate() {
        let (id, listing) =
            maker.make(handler, Role::Handler, &format!("handler{number}"))?;
        defined.handlers.push(id);
        defined.listings.push(listing);
    }
    for (number, condition) in module.conditions.iter().enumerate() {
        let name = format!("condition{number}");
        let make = |condition| maker.make(condition, Role::Condition, &name);
        let made = condition.as_ref().map(make).transpose()?;
        defined.conditions.push(made.map(|(id, _)| id));
    }
    for (number, function) in module.functions.iter().enumerate() {
        let (_, listing) =
            maker.make(function, Role::Function, &format!("function{number}"))?;
        defined.listings.push(listing);
    }
    Ok(defined)
}

/// Makes one code after the other.
struct Maker<'a, M> {
    module: &'a Module,
    target: &'a mut M,
    listings: bool,
    helpers: Helpers,
    frontend: FunctionBuilderContext,
    functions: Vec<FuncId>,
}

impl<M: cranelift_module::Module> Maker<'_, M> {
    fn make(
        &mut self,
        code: &Code,
        role: Role,
        name: &str,
    ) -> Result<(FuncId, Listing), Box<ModuleError>> {
        let mut context = self.target.make_context();
        context.set_disasm(self.listings);
        context.func.signature = signature(self.target, code, role);
        self.translate(code, role, &mut context)?;
        let clif = match self.listings {
            true => context.func.display().to_string(),
            false => String::new(),
        };
        let signature = &context.func.signature;
        let id = self.target.declare_function(name, Linkage::Local, signature)?;
        self.target.define_function(id, &mut context)?;
        let assembly = context.compiled_code().and_then(|code| code.vcode.clone());
        Ok((id, Listing { clif, assembly: assembly.unwrap_or_default() }))
    }

    fn translate(
        &mut self,
        code: &Code,
        role: Role,
        context: &mut Context,
    ) -> Result<(), Box<ModuleError>> {
        let mut builder = FunctionBuilder::new(&mut context.func, &mut self.frontend);
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        let params = builder.block_params(entry).to_vec();
        let locals = code.locals.iter().map(|ty| builder.declare_var(machine(*ty)));
        let locals = locals.collect();
        let fuel = builder.declare_var(types::I64);
        let dominators = Dominators::new(code);
        let mut blocks = vec![None; code.blocks.len()];
        for block in dominators.order() {
            blocks[block.0 as usize] = Some(builder.create_block());
        }
        let translator = Translator {
            module: self.module,
            code,
            role,
            target: self.target,
            helpers: &mut self.helpers,
            functions: &self.functions,
            builder,
            context: params[0],
            record: params[1],
            depth: (role == Role::Function).then(|| params[3]),
            fuel,
            locals,
            values: vec![None; code.values.len()],
            blocks,
            on_fault: None,
            exits: Vec::new(),
            keys: None,
            references: HashMap::new(),
        };
        translator.translate(&params, &dominators)
    }
}

/// The name under which native code imports a helper. No text of a script
/// ever becomes part of an import's name.
pub(crate) fn import_name(helper: &Helper) -> String {
    format!("hwtrace_{}", helper.name)
}

/// The register that holds a value of this type.
fn machine(ty: Type) -> clif::Type {
    match ty {
        Type::Double => types::F64,
        Type::Long | Type::String | Type::Stack | Type::Stats => types::I64,
    }
}

fn signature<M: cranelift_module::Module>(
    target: &M,
    code: &Code,
    role: Role,
) -> Signature {
    let mut signature = target.make_signature();
    signature.params = vec![AbiParam::new(types::I64); 2];
    if role == Role::Function {
        // Fuel and nesting.
        signature.params.extend([AbiParam::new(types::I64); 2]);
        let params = code.locals.iter().take(code.params as usize);
        signature.params.extend(params.map(|ty| AbiParam::new(machine(*ty))));
        signature.returns.push(AbiParam::new(types::I64));
    }
    if role != Role::Handler {
        signature.returns.extend(code.returns.map(|ty| AbiParam::new(machine(ty))));
    }
    signature
}

/// The helpers, and those that were imported.
struct Helpers {
    by_name: HashMap<&'static str, &'static Helper>,
    imported: HashMap<&'static str, FuncId>,
}

impl Default for Helpers {
    fn default() -> Self {
        let by_name = HELPERS.iter().map(|helper| (helper.name, helper)).collect();
        Self { by_name, imported: HashMap::new() }
    }
}

impl Helpers {
    fn import<M: cranelift_module::Module>(
        &mut self,
        target: &mut M,
        helper: &'static Helper,
    ) -> Result<FuncId, Box<ModuleError>> {
        if let Some(function) = self.imported.get(helper.name) {
            return Ok(*function);
        }
        let register = |ty: &AbiType| {
            AbiParam::new(match ty {
                AbiType::Double => types::F64,
                AbiType::Long | AbiType::String | AbiType::Words => types::I64,
            })
        };
        let mut signature = target.make_signature();
        // The context, then one register each.
        signature.params.push(AbiParam::new(types::I64));
        signature.params.extend(helper.params.iter().map(register));
        signature.returns.extend(helper.returns.as_ref().map(register));
        let function =
            target.declare_function(&import_name(helper), Linkage::Import, &signature)?;
        self.imported.insert(helper.name, function);
        Ok(function)
    }
}

/// Translates one code.
struct Translator<'a, M> {
    module: &'a Module,
    code: &'a Code,
    role: Role,
    target: &'a mut M,
    helpers: &'a mut Helpers,
    functions: &'a [FuncId],
    builder: FunctionBuilder<'a>,
    context: clif::Value,
    record: clif::Value,
    /// How many functions this one is inside of; a handler is in none.
    depth: Option<clif::Value>,
    fuel: Variable,
    locals: Vec<Variable>,
    values: Vec<Option<clif::Value>>,
    /// Blocks that can be reached.
    blocks: Vec<Option<clif::Block>>,
    /// Where faults of the current block go on.
    on_fault: Option<clif::Block>,
    /// Where faults leave with the site, each with the number of those that do.
    exits: Vec<(clif::Block, usize)>,
    /// Where keys are laid down for helpers, one place for all.
    keys: Option<clif::StackSlot>,
    /// Functions that this one has a reference to.
    references: HashMap<FuncId, clif::FuncRef>,
}

impl<M: cranelift_module::Module> Translator<'_, M> {
    fn translate(
        mut self,
        params: &[clif::Value],
        dominators: &Dominators,
    ) -> Result<(), Box<ModuleError>> {
        self.enter(params);
        let first = self.block(BlockId(0));
        self.builder.ins().jump(first, &[]);
        for number in dominators.order() {
            let block = &self.code.blocks[number.0 as usize];
            let here = self.block(*number);
            self.builder.switch_to_block(here);
            self.on_fault = block.on_fault.map(|caught| self.block(caught));
            for instruction in &block.instructions {
                self.instruction(instruction)?;
            }
            self.terminator(block.terminator);
        }
        self.finish_exits();
        self.builder.seal_all_blocks();
        self.builder.finalize(self.target.target_config());
        Ok(())
    }

    /// Sets the locals and the fuel to what they are at the start.
    fn enter(&mut self, params: &[clif::Value]) {
        let code = self.code;
        for (number, ty) in code.locals.iter().enumerate() {
            let start = match params.get(4 + number) {
                Some(param) if number < code.params as usize => *param,
                // 0, and as a string handle the empty string.
                _ => self.zero(*ty),
            };
            self.builder.def_var(self.locals[number], start);
        }
        let fuel = match self.role {
            Role::Function => params[2],
            Role::Handler | Role::Condition => {
                self.long(i64::from(self.module.steps_max))
            }
        };
        self.builder.def_var(self.fuel, fuel);
    }

    /// The machine's block, which is there for all that can be reached.
    fn block(&mut self, id: BlockId) -> clif::Block {
        match self.blocks[id.0 as usize] {
            Some(block) => block,
            None => unreachable!("what can be reached goes on in what can be reached"),
        }
    }

    fn terminator(&mut self, terminator: Terminator) {
        match terminator {
            Terminator::Jump(next) => {
                let next = self.block(next);
                self.builder.ins().jump(next, &[]);
            }
            Terminator::Branch(value, then, otherwise) => {
                let (then, otherwise) = (self.block(then), self.block(otherwise));
                let value = self.get(value);
                self.builder.ins().brif(value, then, &[], otherwise, &[]);
            }
            Terminator::Return(value) => {
                let value = value.map(|value| self.get(value));
                self.give_back(value);
            }
            Terminator::Leave => self.leave_handler(),
        }
    }

    /// Returns to who called: with the fuel, and with the result or 0.
    fn give_back(&mut self, value: Option<clif::Value>) {
        let mut results = Vec::new();
        if self.role == Role::Function {
            results.push(self.builder.use_var(self.fuel));
        }
        if let Some(ty) = self.code.returns {
            results.push(value.unwrap_or_else(|| self.zero(ty)));
        }
        self.builder.ins().return_(&results);
    }

    /// A value that an instruction before has set.
    fn get(&mut self, value: Value) -> clif::Value {
        match self.values[value.0 as usize] {
            Some(value) => value,
            // Blocks are translated behind those that dominate them.
            None => unreachable!("the verifier refuses values that are not set"),
        }
    }

    fn ty(&self, value: Value) -> Type {
        self.code.values[value.0 as usize]
    }

    fn zero(&mut self, ty: Type) -> clif::Value {
        match ty {
            Type::Double => self.builder.ins().f64const(0.0),
            Type::Long | Type::String | Type::Stack | Type::Stats => self.long(0),
        }
    }

    fn long(&mut self, value: i64) -> clif::Value {
        self.builder.ins().iconst(types::I64, value)
    }

    /// Where keys are laid down: they are used before others take their place.
    fn key_slot(&mut self) -> clif::StackSlot {
        if let Some(slot) = self.keys {
            return slot;
        }
        let most = self.module.layout.arrays.iter().map(|array| array.keys.len()).max();
        let bytes = 8 * most.unwrap_or(0).max(1) as u32;
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3);
        *self.keys.insert(self.builder.create_sized_stack_slot(data))
    }
}
