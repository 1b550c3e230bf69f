//! The one place where Rust enters a compiled handler.
#![allow(unsafe_code)] // Calls machine code that another crate made.

use crate::abi::{ConditionFn, Fault, FaultCode, HandlerContext, HandlerFn};
use crate::schema::HitRecord;
use crate::world::World;

impl World {
    /// Runs a handler for a record; `probe` is its index in the layout.
    ///
    /// # Errors
    /// The fault that ended it early. What it did up to there stays done.
    ///
    /// # Safety
    /// `handler` must have been compiled for this world's layout, and its
    /// code must still be mapped.
    pub unsafe fn run(
        &mut self,
        handler: HandlerFn,
        probe: usize,
        record: &HitRecord,
    ) -> Result<(), Fault> {
        let globals = self.begin_run(probe);
        let mut context =
            HandlerContext { globals, fault: 0, site: 0, record, world: self };
        // SAFETY: the caller vouches for the code; context and record live
        // until it returns.
        unsafe { handler(&raw mut context, record) };
        if context.fault == 0 {
            return Ok(());
        }
        self.end_run_early();
        outcome(&context, ())
    }

    /// Computes the condition of probe `probe`: whether it holds.
    ///
    /// # Errors
    /// The fault that ended it early.
    ///
    /// # Safety
    /// As [`World::run`].
    pub unsafe fn run_condition(
        &mut self,
        condition: ConditionFn,
        probe: usize,
    ) -> Result<bool, Fault> {
        let record = HitRecord::default();
        let globals = self.begin_run(probe);
        let mut context = HandlerContext {
            globals,
            fault: 0,
            site: 0,
            record: &raw const record,
            world: self,
        };
        // SAFETY: as in `run`.
        let holds = unsafe { condition(&raw mut context, &raw const record) };
        outcome(&context, holds != 0)
    }
}

/// The result, or the fault that a run ended with.
fn outcome<T>(context: &HandlerContext, result: T) -> Result<T, Fault> {
    match FaultCode::from_number(context.fault) {
        Some(code) => Err(Fault { code, site: context.site }),
        None => Ok(result),
    }
}
