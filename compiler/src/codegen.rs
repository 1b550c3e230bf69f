//! Intermediate representation to Cranelift's: one function a handler.

mod instruction;
mod layout;

use std::collections::HashMap;

use cranelift_codegen::Context;
use cranelift_codegen::ir::{self as clif, AbiParam, InstBuilder, Signature, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use cranelift_module::{FuncId, Linkage, Module as _, ModuleError};
use hwtrace_runtime::abi::{self, Helper};

use crate::ir::{BlockId, Handler, Module, Terminator, Value};

/// The text of a compiled handler, for `--dump`.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Cranelift's representation.
    pub clif: String,
    /// The machine's instructions.
    pub assembly: String,
}

/// Defines every handler of `module` in `target`. Handlers can be called once
/// the target's definitions are finalised.
///
/// # Errors
/// Only what Cranelift refuses: a bug of the compiler or lack of memory.
pub(crate) fn define<M: cranelift_module::Module>(
    module: &Module,
    target: &mut M,
    listings: bool,
) -> Result<Vec<(FuncId, Listing)>, Box<ModuleError>> {
    let mut helpers = Helpers::default();
    let mut frontend = FunctionBuilderContext::new();
    let mut defined = Vec::new();
    for (number, handler) in module.handlers.iter().enumerate() {
        let mut context = target.make_context();
        context.set_disasm(listings);
        context.func.signature = handler_signature(target);
        Translator::new(
            module,
            handler,
            target,
            &mut helpers,
            &mut context,
            &mut frontend,
        )
        .translate()?;
        let clif =
            if listings { context.func.display().to_string() } else { String::new() };
        let function = target.declare_function(
            &format!("handler{number}"),
            Linkage::Local,
            &context.func.signature,
        )?;
        target.define_function(function, &mut context)?;
        let assembly = context.compiled_code().and_then(|code| code.vcode.clone());
        defined
            .push((function, Listing { clif, assembly: assembly.unwrap_or_default() }));
    }
    Ok(defined)
}

/// The name under which native code imports a helper. No text of a script
/// ever becomes part of an import's name.
pub(crate) fn import_name(helper: &Helper) -> String {
    format!("hwtrace_{}", helper.name)
}

/// `fn(*mut HandlerContext, *const HitRecord)`
fn handler_signature<M: cranelift_module::Module>(target: &M) -> Signature {
    let mut signature = target.make_signature();
    signature.params = vec![AbiParam::new(types::I64); 2];
    signature
}

/// The helpers that were imported, by name.
#[derive(Default)]
struct Helpers {
    imported: HashMap<&'static str, FuncId>,
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
        let mut signature = target.make_signature();
        // The context, then one word each.
        signature.params = vec![AbiParam::new(types::I64); 1 + helper.params.len()];
        signature.returns =
            helper.returns.iter().map(|_| AbiParam::new(types::I64)).collect();
        let function =
            target.declare_function(&import_name(helper), Linkage::Import, &signature)?;
        self.imported.insert(helper.name, function);
        Ok(function)
    }
}

/// Translates one handler.
struct Translator<'a, M> {
    module: &'a Module,
    handler: &'a Handler,
    target: &'a mut M,
    helpers: &'a mut Helpers,
    builder: FunctionBuilder<'a>,
    context: clif::Value,
    record: clif::Value,
    fuel: Variable,
    locals: Vec<Variable>,
    values: Vec<Option<clif::Value>>,
    blocks: Vec<clif::Block>,
    /// Helpers that this function has a reference to.
    references: HashMap<FuncId, clif::FuncRef>,
}

impl<'a, M: cranelift_module::Module> Translator<'a, M> {
    fn new(
        module: &'a Module,
        handler: &'a Handler,
        target: &'a mut M,
        helpers: &'a mut Helpers,
        context: &'a mut Context,
        frontend: &'a mut FunctionBuilderContext,
    ) -> Self {
        let mut builder = FunctionBuilder::new(&mut context.func, frontend);
        let blocks: Vec<_> =
            handler.blocks.iter().map(|_| builder.create_block()).collect();
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        let (context, record) =
            (builder.block_params(entry)[0], builder.block_params(entry)[1]);
        let locals =
            handler.locals.iter().map(|_| builder.declare_var(types::I64)).collect();
        let fuel = builder.declare_var(types::I64);
        Self {
            module,
            handler,
            target,
            helpers,
            builder,
            context,
            record,
            fuel,
            locals,
            values: vec![None; handler.values.len()],
            blocks,
            references: HashMap::new(),
        }
    }

    fn translate(mut self) -> Result<(), Box<ModuleError>> {
        let zero = self.builder.ins().iconst(types::I64, 0);
        for local in self.locals.clone() {
            // 0, and as a string handle the empty string.
            self.builder.def_var(local, zero);
        }
        let fuel =
            self.builder.ins().iconst(types::I64, i64::from(self.module.steps_max));
        self.builder.def_var(self.fuel, fuel);
        self.builder.ins().jump(self.blocks[0], &[]);
        for (number, block) in self.handler.blocks.iter().enumerate() {
            self.builder.switch_to_block(self.blocks[number]);
            for instruction in &block.instructions {
                self.instruction(instruction)?;
            }
            self.terminator(block.terminator);
        }
        self.builder.seal_all_blocks();
        self.builder.finalize(self.target.target_config());
        Ok(())
    }

    fn terminator(&mut self, terminator: Terminator) {
        let block = |id: BlockId, blocks: &[clif::Block]| blocks[id.0 as usize];
        match terminator {
            Terminator::Jump(next) => {
                let next = block(next, &self.blocks);
                self.builder.ins().jump(next, &[]);
            }
            Terminator::Branch(value, then, otherwise) => {
                let (then, otherwise) =
                    (block(then, &self.blocks), block(otherwise, &self.blocks));
                let value = self.get(value);
                self.builder.ins().brif(value, then, &[], otherwise, &[]);
            }
            Terminator::Return => {
                self.builder.ins().return_(&[]);
            }
        }
    }

    /// A value that an instruction before has set. In blocks that nothing
    /// enters it may not be: there it is 0.
    fn get(&mut self, value: Value) -> clif::Value {
        match self.values[value.0 as usize] {
            Some(value) => value,
            None => self.builder.ins().iconst(types::I64, 0),
        }
    }

    /// Calls a helper of the table; ends the handler if it faulted.
    fn call(
        &mut self,
        name: &'static str,
        args: &[clif::Value],
        site: u32,
    ) -> Result<Option<clif::Value>, Box<ModuleError>> {
        let Some(helper) = abi::helper(name) else {
            unreachable!(
                "no helper called `{name}`; the code generator's tests call each"
            )
        };
        self.call_helper(helper, args, site)
    }

    fn call_helper(
        &mut self,
        helper: &'static Helper,
        args: &[clif::Value],
        site: u32,
    ) -> Result<Option<clif::Value>, Box<ModuleError>> {
        let function = self.helpers.import(self.target, helper)?;
        let reference = *self.references.entry(function).or_insert_with(|| {
            self.target.declare_func_in_func(function, self.builder.func)
        });
        let args: Vec<_> =
            [self.context].into_iter().chain(args.iter().copied()).collect();
        let call = self.builder.ins().call(reference, &args);
        let result = self.builder.inst_results(call).first().copied();
        if helper.fallible {
            self.leave_if_faulted(site);
        }
        Ok(result)
    }
}
