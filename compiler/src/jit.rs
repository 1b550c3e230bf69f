//! Native handlers in memory: made once, called often, unmapped at the end.
#![allow(unsafe_code)] // Turns addresses of code into functions and calls them.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use cranelift_codegen::settings::{self, Configurable};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::default_libcall_names;
use hwtrace_lang::span::Span;
use hwtrace_runtime::abi::{ConditionFn, Fault, HELPERS, HandlerFn};
use hwtrace_runtime::schema::HitRecord;
use hwtrace_runtime::world::{Layout, World};

use crate::codegen::{self, Listing};
use crate::ir::Module;

/// Compiler stage: native. The handlers of a script as machine code.
///
/// The code lives as long as this value; a handler can only be run through
/// it, so none runs after its code is gone.
pub struct Program {
    module: ManuallyDrop<JITModule>,
    handlers: Vec<HandlerFn>,
    conditions: Vec<Option<ConditionFn>>,
    conditions_after: Vec<Vec<u32>>,
    listings: Vec<Listing>,
    layout: Arc<Layout>,
    sites: Vec<Span>,
}

/// The compiler failed: a bug of hwtrace, or a machine it knows nothing of.
#[derive(Debug, thiserror::Error)]
#[error("cannot compile the script to native code: {0}")]
pub struct CompileError(String);

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("handlers", &self.handlers.len()).finish()
    }
}

impl Program {
    /// Compiles a verified module for the machine it runs on. With
    /// `listings`, keeps the text that [`Program::listings`] gives.
    ///
    /// # Errors
    /// [`CompileError`] where Cranelift does not know the machine, has no
    /// memory, or refuses what the lowering made.
    pub fn compile(module: &Module, listings: bool) -> Result<Self, CompileError> {
        let error = |error: &dyn fmt::Display| CompileError(error.to_string());
        let mut jit = ManuallyDrop::new(JITModule::new(builder()?));
        let defined = codegen::define(module, &mut *jit, listings).and_then(|defined| {
            jit.finalize_definitions().map_err(Box::new).map(|()| defined)
        });
        let defined = match defined {
            Ok(defined) => defined,
            Err(problem) => {
                // SAFETY: no handler was given out; `jit` is not used again.
                unsafe { ManuallyDrop::into_inner(jit).free_memory() };
                return Err(error(&problem));
            }
        };
        let handler = |function| {
            let code = jit.get_finalized_function(function);
            // SAFETY: the function was defined with the signature of
            // `HandlerFn` (`codegen::Role::Handler`).
            unsafe { std::mem::transmute::<*const u8, HandlerFn>(code) }
        };
        let condition = |function| {
            let code = jit.get_finalized_function(function);
            // SAFETY: the function was defined with the signature of
            // `ConditionFn` (`codegen::Role::Condition`).
            unsafe { std::mem::transmute::<*const u8, ConditionFn>(code) }
        };
        let conditions = defined.conditions.into_iter();
        Ok(Self {
            handlers: defined.handlers.into_iter().map(handler).collect(),
            conditions: conditions.map(|function| function.map(condition)).collect(),
            conditions_after: module.conditions_after.clone(),
            module: jit,
            listings: defined.listings,
            layout: Arc::new(module.layout.clone()),
            sites: module.sites.clone(),
        })
    }

    /// Runs handler number `handler` for a record.
    ///
    /// # Errors
    /// The fault that ended it.
    ///
    /// # Panics
    /// Where there is no such handler, or the world was not made from
    /// [`Program::layout`].
    pub fn run(
        &self,
        handler: usize,
        world: &mut World,
        record: &HitRecord,
    ) -> Result<(), Fault> {
        self.assert_own(world);
        // SAFETY: the world was made from the very layout that the handler
        // was compiled for, and `self` keeps its code mapped.
        unsafe { world.run(self.handlers[handler], handler, record) }
    }

    /// Whether the condition of a handler's probe point holds, for which it
    /// is armed; without a condition it does.
    ///
    /// # Errors
    /// The fault that ended it.
    ///
    /// # Panics
    /// As [`Program::run`].
    pub fn condition(&self, handler: usize, world: &mut World) -> Result<bool, Fault> {
        self.assert_own(world);
        match self.conditions[handler] {
            // SAFETY: as in `run`.
            Some(condition) => unsafe { world.run_condition(condition, handler) },
            None => Ok(true),
        }
    }

    /// Whether a handler's probe point has a condition.
    ///
    /// # Panics
    /// Where there is no such handler.
    pub fn has_condition(&self, handler: usize) -> bool {
        self.conditions[handler].is_some()
    }

    /// The handlers whose conditions a run of `handler` may have changed.
    pub fn conditions_after(&self, handler: usize) -> &[u32] {
        self.conditions_after.get(handler).map_or(&[], |after| after)
    }

    fn assert_own(&self, world: &World) {
        let own = Arc::ptr_eq(world.layout(), &self.layout);
        assert!(own, "the world of another program");
    }

    /// The state that the handlers want: worlds for this program are made
    /// from it.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The place in the script that a fault happened at.
    pub fn span(&self, fault: Fault) -> Option<Span> {
        self.sites.get(fault.site as usize).copied()
    }

    /// The text of each handler, then of each function, empty unless asked
    /// for.
    pub fn listings(&self) -> &[Listing] {
        &self.listings
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: taken once, here. Handlers are called only through
        // `Program::run`, which borrows `self`, so none is running.
        unsafe { ManuallyDrop::take(&mut self.module).free_memory() };
    }
}

fn builder() -> Result<JITBuilder, CompileError> {
    let error = |error: &dyn fmt::Display| CompileError(error.to_string());
    let mut flags = settings::builder();
    // Cranelift checks its own work in debug builds alone: it takes a sixth of
    // the time, and what goes in is verified.
    let verifier = if cfg!(debug_assertions) { "true" } else { "false" };
    for (name, value) in [
        ("opt_level", "speed"),
        ("is_pic", "false"),
        ("use_colocated_libcalls", "false"),
        ("enable_verifier", verifier),
    ] {
        flags.set(name, value).map_err(|problem| error(&problem))?;
    }
    let isa = cranelift_native::builder()
        .map_err(|problem| error(&problem))?
        .finish(settings::Flags::new(flags))
        .map_err(|problem| error(&problem))?;
    let mut builder = JITBuilder::with_isa(isa, default_libcall_names());
    for helper in HELPERS {
        builder.symbol(codegen::import_name(helper), (helper.address)());
    }
    Ok(builder)
}
